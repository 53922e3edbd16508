"""Attacks on the disk: full at every size in turn, unreadable, one byte changed, files cut short."""

import contextlib
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from small import write_small
from torture.attack import Conditions, Outcome
from torture.crash import FREEZE, NOW, raw_lines, rows_of, study_of, token
from torture.processes import Forks
from virtio_study.errors import DataError
from virtio_study.sources.api import response_log
from virtio_study.sources.api.client import Reply
from virtio_study.study import Study, load_study
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.workflow.check import check_study
from virtio_study.workflow.keys import Keys
from virtio_study.workflow.reports import publish, todays

__all__ = ["changed_bytes", "full_for_imports", "full_for_watch", "small_disk", "unreadable"]

DISK_BYTES = 48 * 2**20
PAGE = 4096
READING: dict[tuple[str, ...], tuple[str, ...]] = {
    ("check",): (),
    ("files", "answers"): (),
    ("export",): ("-o", "x.zip"),
    ("run", "--server", "alpha"): (),
    ("fleet",): ("--workers", "1", "--output", "fleet"),
    ("explain", "--answers"): ("--page", "explain.html"),
}
"""Commands that read a study, with the words that follow its name."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int | None], None]]:
    """Mount a small disk at a folder; what is yielded leaves so many bytes free on it, None: all.

    `PermissionError` where this user may not mount.
    """
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "torture", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        raise PermissionError("a small disk can only be mounted by root")
    ballast = folder / "ballast"

    def leave(free: int | None) -> None:
        ballast.unlink(missing_ok=True)
        if free is not None:
            with ballast.open("wb") as file, contextlib.suppress(OSError):  # others write meanwhile
                file.write(bytes(max(0, shutil.disk_usage(folder).free - free) // PAGE * PAGE))

    try:
        yield leave
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_for_imports(given: Conditions) -> Outcome:
    """Fill the disk under an import that replaces recordings, at one size after another, by disk and by limit."""
    done, chance = Outcome("disk full under files answers", given.seed), given.chance()
    with small_disk(given.folder / "disk") as leave, Forks(given.folder / "forks") as forks:
        base, study = given.folder / "base", given.folder / "disk" / "data" / "study"
        base.mkdir()
        shutil.copy(FREEZE / "study.yaml", base)
        forks.run("files", "answers", base, FREEZE / "first.jsonl.zst")
        shutil.copytree(base, study)
        forks.run("files", "answers", study, FREEZE / "later.jsonl.zst")
        old, new = rows_of(base), rows_of(study)
        needed = sum(path.stat().st_size for path in study.rglob("*") if path.is_file())
        for number in given.tries():
            shutil.rmtree(study)
            shutil.copytree(base, study)
            size = chance.randrange(0, needed)
            leave(None if number % 3 == 2 else size)
            code = forks.run(
                "files", "answers", study, FREEZE / "later.jsonl.zst", largest_file=size if number % 3 == 2 else None
            )
            faults = _told(code, forks.printed())
            leave(None)
            try:
                left = rows_of(study)
                lost = sum(left.get(place) not in (rows, new.get(place)) for place, rows in old.items())
                again = forks.run("files", "answers", study, FREEZE / "later.jsonl.zst")
                if again != 0 or rows_of(study) != new:
                    faults.append(f"with room again: {again}: {forks.printed()}")
            except DataError as error:
                lost = 1
                faults.append(str(error))
            done.judge(*faults, lost=lost)
    return done


def _told(code: int, printed: str) -> list[str]:
    """What is wrong with how a program tells that it could not write."""
    lines = [line for line in printed.splitlines() if line]
    if "Traceback" in printed:
        return [f"a traceback: {printed[-400:]}"]
    if code not in (0, 2, 3):
        return [f"exit code {code}: {printed[-400:]}"]
    if code == 2 and not re.search(r"not written: .*(room|disk)", lines[-1] if lines else ""):
        return [f"it does not say what is wrong: {printed[-400:]}"]
    return []


def full_for_watch(given: Conditions) -> Outcome:
    """Fill the disk under a watch, again and again: it waits for room and goes on, and no line is a half."""
    done, chance = Outcome("disk full under watch", given.seed), given.chance()
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, small_disk(given.folder / "disk") as leave:
        study = study_of(given.folder / "disk", host)
        with Forks(given.folder / "forks", token(host)) as forks:
            child = forks.start("watch", study.folder)
            _until(lambda: raw_lines(study.folder).count(b"\n") > 40)
            for _ in given.tries():
                before = raw_lines(study.folder)
                leave(chance.randrange(0, 40 * PAGE))
                waits = _until(lambda: shutil.disk_usage(given.folder / "disk").free < 2 * PAGE, 20)
                time.sleep(chance.uniform(0.1, 0.5))
                full = raw_lines(study.folder)
                leave(None)
                goes_on = _until(lambda full=full: raw_lines(study.folder).count(b"\n") > full.count(b"\n") + 10)
                after = raw_lines(study.folder)
                lost = 0 if after.startswith(full) and full.startswith(before) else before.count(b"\n")
                faults = [] if goes_on else [f"it does not go on: {forks.printed()[-400:]}"]
                faults += [] if waits else ["the disk never was full"]
                new = [json.loads(line) for line in after[len(before) :].splitlines()]
                asked = [(line["path"], line["t"]) for line in new]
                faults += ["an answer is stored twice"] if len({*asked}) < len(asked) else []
                done.judge(*faults, lost=lost)
                if not goes_on:
                    break
            forks.kill(child)
        problems = [str(problem) for problem in check_study(study).problems]
        done.judge(*problems, *_told(0, forks.printed()))
    return done


def _until(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def changed_bytes(given: Conditions) -> Outcome:
    """Change one byte of a file in data/ or reports/, or cut a file short: `check` finds it and names the file."""
    done, chance = Outcome("one byte changed, files cut short", given.seed), given.chance()
    study = write_small(given.folder)
    replies = (Reply(NOW + number, "/version", 200, {"number": number}) for number in range(50))
    for reply in replies:
        response_log.append(study.folder, [reply])
    for name, key in todays(Keys(study)).items():
        publish(study, key, {name: f"{name} is here\n".encode() * 10})
    clean = [str(problem) for problem in check_study(study).problems]
    done.judge(*clean)
    found = [*study.folder.rglob("*"), *study.reports.rglob("*")]
    # a lock holds nothing, and study.yaml is written by hand
    ours = sorted(path for path in found if path.is_file() and path.name not in {".lock", "listing.lock", "study.yaml"})
    for number in given.tries():
        path = ours[number % len(ours)]
        content = path.read_bytes()
        harmed = _harmed(content, chance)
        if path.suffix == ".sums" and content.startswith(harmed):
            continue  # a list of checksums that ends early is what a kill leaves: all that it lists is as it says
        path.write_bytes(harmed)
        problems = _found(study)
        named = any(part in problem for problem in problems for part in (path.name, "manifest.json", path.name[1:-5]))
        done.judge(*([] if named else [f"{path.relative_to(given.folder)}: not found: {problems}"]))
        path.write_bytes(content)
    return done


def unreadable(given: Conditions) -> Outcome:
    """Let one file after another of a study be read with EIO: every command names it in a line, and changes nothing."""
    done, chance = Outcome("files that the disk cannot read", given.seed), given.chance()
    study = write_small(given.folder)
    response_log.append(study.folder, [Reply(NOW, "/version", 200, {})])
    found = sorted(path for path in study.folder.rglob("*") if path.is_file() and ".lock" not in path.name)
    with Forks(given.folder / "forks") as forks:
        for number in given.tries():
            path, words = found[number % len(found)], chance.choice([*READING])
            kept = path.with_name(f"{path.name}.kept")
            path.rename(kept)
            path.symlink_to("/proc/self/mem")  # whose first byte no process has: the system says EIO
            code = forks.run(*words, study.folder, *READING[words])
            printed = forks.printed()
            kept.replace(path)
            named = words == ("check",) and code == 0 and path.suffix != ".sums"
            faults = [f"{words[0]} of {path.name}: it is not named: {printed[-300:]}"] if named else []
            if code < 0 or "Traceback" in printed or "not foreseen" in printed:
                faults.append(f"{words[0]} of {path.name}: {printed[-400:]}")
            done.judge(*faults)
    return done


def _found(study: Study) -> list[str]:
    """What `check` says of a study; of a manifest that cannot be read it says nothing else."""
    try:
        return [str(problem) for problem in check_study(load_study(study.folder)).problems]
    except DataError as error:
        return [str(error)]


def _harmed(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    if chance.random() < 0.2:
        return content[:at]
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
