"""Attacks that kill: processes end by SIGKILL at random moments, and what was stored has to be there as it was."""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
import zstandard

from paths import ROOT, TESTS
from small import write_small
from synthetic import analyse
from synthetic import make_study as made_up
from torture.attack import Conditions, Outcome, in_lanes
from torture.processes import Forks, family
from virtio_study import recording, storage
from virtio_study.errors import DataError
from virtio_study.sources.api import response_log
from virtio_study.sources.responses import read_answers
from virtio_study.study import Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, SimulatedHost, Story, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = [
    "FREEZE",
    "GONE_IN_S",
    "NOW",
    "STILL",
    "answers",
    "collect",
    "exports",
    "fleets",
    "is_gone",
    "pages",
    "raw_lines",
    "rows_of",
    "runs",
    "study_of",
    "there",
    "timeless",
    "token",
    "verifications",
    "watch",
    "within",
]

NOW = 1_772_409_600.0
FREEZE = TESTS / "data" / "answers" / "freeze"
STILL = {"now": NOW, "speed": 0.0}
"""A clock by which a command stores and shows the same each time."""

KILLS_OF_A_STUDY = 20
GONE_IN_S = 5.0
"""How long a process may outlive the program that started it."""

SIMULATED = 40
"""Servers, which are a few nodes'."""

ENDED_IN_S = 15.0
"""How long a program may take to end after it was asked to."""


def study_of(folder: Path, host: SimulatedHost, story: Story | None = None) -> Study:
    """The study of the embedded host's two servers, which asks that host."""
    path = make_study(folder, story or two_servers(now=NOW)).folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text())
    protocol["proxmox"] = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    return load_study(path)


def token(host: SimulatedHost) -> dict[str, str]:
    """The variable by which a command is given the token of an embedded host."""
    return {"VIRTIO_STUDY_PVE_TOKEN": f"{host.token_id}={host.token_secret}"}


def there(host: SimulatedHost) -> tuple[object, ...]:
    """The options that name an embedded host."""
    return "--host", host.host, "--port", host.port, "--ca-file", host.ca_file


def raw_lines(folder: Path) -> bytes:
    """Whole lines of all stored answers, in the order in which they were stored."""
    while True:
        try:
            found = b"".join(map(_plain, response_log.stored(folder)))
        except FileNotFoundError:  # a watch packed a day meanwhile
            continue
        return found[: found.rfind(b"\n") + 1]


def _plain(path: Path) -> bytes:
    content = path.read_bytes()
    return zstandard.ZstdDecompressor().stream_reader(content).read() if path.suffix == ".zst" else content


@in_lanes
def watch(given: Conditions) -> Outcome:
    """Kill watches."""
    return _live("watch", given)


@in_lanes
def collect(given: Conditions) -> Outcome:
    """Kill collections."""
    return _live("collect", given)


def _live(command: str, given: Conditions) -> Outcome:
    """Kill a command that stores answers: none is lost, changed or there twice, and collecting goes on."""
    done, chance = Outcome(f"kill -9 of {command}", given.seed), given.chance()
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(given.folder, token(host)) as forks:
        study, stored, seen = study_of(given.folder, host), b"", set[tuple[str, float]]()
        lasts = _lasts(forks, "collect", study.folder)
        for number in given.tries():
            if number % KILLS_OF_A_STUDY == 0:
                done.remark(*_goes_on(forks, study) if number else ())
                shutil.rmtree(given.folder / "data")
                study, stored, seen = study_of(given.folder, host), b"", set()
            child = forks.start(command, study.folder)
            time.sleep(chance.uniform(0.0, 1.1) * lasts)
            forks.kill(child)
            now = raw_lines(study.folder)
            lost = 0 if now.startswith(stored) else stored.count(b"\n")
            answers = [json.loads(line) for line in now[len(stored) :].splitlines()]
            new = [(answer["path"], answer["t"]) for answer in answers]
            twice = [f"{path} at {at:.3f} is stored twice" for path, at in new if (path, at) in seen]
            done.judge(*twice, lost=lost)
            seen |= set(new)
            stored = now
        done.remark(*_goes_on(forks, study))
    return done


def _lasts(forks: Forks, *words: object, ends: int = 0, **how: Any) -> float:
    """Seconds that a command takes, once what it needs is imported, which ends with this exit code."""
    for _ in range(2):
        begun = time.monotonic()
        if (code := forks.run(*words, **how)) != ends:
            raise RuntimeError(f"{words[0]} ended with {code}: {forks.printed()[-500:]}")
    return time.monotonic() - begun


def _goes_on(forks: Forks, study: Study) -> list[str]:
    """What is wrong with a study after kills, and with collecting in it."""
    code = forks.run("collect", study.folder)
    faults = [f"collect ended with {code} after the kills: {forks.printed()}"] if code else []
    return faults + _as_it_should_be(study, raw_lines(study.folder).count(b"\n"))


def _as_it_should_be(study: Study, lines: int) -> list[str]:
    """What is wrong with a study of which so many answers were stored."""
    faults = [str(problem) for problem in check_study(study).problems]
    if lines != (read := len(read_answers(response_log.stored(study.folder)))):
        faults.append(f"{lines} answers are stored and {read} are read")
    for path in study.folder.glob("recordings/**/*.parquet"):
        if recording.read(path, study.folder).frame["time"].duplicated().any():
            faults.append(f"{path}: a row is there twice")
    return faults


@in_lanes
def answers(given: Conditions) -> Outcome:
    """Kill imports that replace recordings: each leaves the old or the new ones, and the next one makes them all."""
    done, chance = Outcome("kill -9 of files answers", given.seed), given.chance()
    with Forks(given.folder / "forks") as forks:
        base, whole = given.folder / "data" / "base", given.folder / "data" / "whole"
        base.mkdir(parents=True)
        shutil.copy(FREEZE / "study.yaml", base)
        forks.run("files", "answers", base, FREEZE / "first.jsonl.zst")
        shutil.copytree(base, whole)
        forks.run("files", "answers", whole, FREEZE / "later.jsonl.zst")
        shutil.copytree(base, given.folder / "data" / "timed")
        lasts = _lasts(forks, "files", "answers", given.folder / "data" / "timed", FREEZE / "later.jsonl.zst")
        old, new = rows_of(base), rows_of(whole)
        for number in given.tries():
            folder = given.folder / "data" / f"try-{number}"
            shutil.copytree(base, folder)
            child = forks.start("files", "answers", folder, FREEZE / "later.jsonl.zst")
            time.sleep(chance.uniform(0.0, 1.1) * lasts)
            forks.kill(child)
            try:
                left = rows_of(folder)
                lost = sum(left.get(place) not in (rows, new.get(place)) for place, rows in old.items())
                code = forks.run("files", "answers", folder, FREEZE / "later.jsonl.zst")
                faults = [] if code == 0 and rows_of(folder) == new else [f"after a kill: {code}: {forks.printed()}"]
                faults += [f"left behind: {path.name}" for path in folder.rglob(".*.*") if path.name != ".lock"]
            except DataError as error:
                lost, faults = 1, [str(error)]
            done.judge(*faults, lost=lost)
            shutil.rmtree(folder)
    return done


def rows_of(folder: Path) -> dict[str, int]:
    """Listed recordings, each verified, and how many rows they have."""
    listed = storage.manifest(folder)
    return {
        name: len(recording.read(folder / name, folder).frame) for name in sorted(listed) if name.endswith(".parquet")
    }


@in_lanes
def runs(given: Conditions) -> Outcome:
    """End runs by SIGKILL, or SIGTERM to one or all of their processes: nothing outlives them, and all goes on."""
    done, chance = Outcome("kill -9 and SIGTERM of run", given.seed), given.chance()
    study = write_small(given.folder)
    temporary = given.folder / "tmp"
    temporary.mkdir()
    with Forks(given.folder / "forks", {"TMPDIR": str(temporary)}) as forks:
        begun = time.monotonic()
        first = forks.run("run", study.folder, "--workers", 2)
        lasts = time.monotonic() - begun
        done.remark(*([] if first == 0 else [f"run ended with {first}: {forks.printed()}"]))
        whole = _report(study)
        for _ in given.tries():
            for made_before in (study.reports, study.work):
                shutil.rmtree(made_before, ignore_errors=True)
            child = forks.start("run", study.folder, "--workers", 2, "--server", "alpha")
            time.sleep(chance.uniform(0.05, 0.5) * lasts)
            how = chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGTERM))
            done.judge(*_ended(forks, child, how, of_all=chance.random() < 0.3))
        code = forks.run("run", study.folder, "--workers", 2)
        faults = [str(problem) for problem in check_study(study).problems]
        faults += [] if code == 0 else [f"run ended with {code} after the kills: {forks.printed()}"]
        faults += [f"left behind: {path}" for path in temporary.glob("vs-*")]
        done.remark(*faults, lost=sum(_report(study).get(name) != content for name, content in whole.items()))
    return done


def _report(study: Study) -> dict[str, bytes]:
    """Files of a report but hidden ones."""
    found = [path for path in study.reports.rglob("*") if path.is_file()]
    names = {path.relative_to(study.reports).as_posix(): path for path in found}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(".")}


def _ended(forks: Forks, child: int, how: int, *, of_all: bool) -> list[str]:
    """End a program, and say what is wrong with how it ends: late, with a traceback, or survived by its processes."""
    of_it = family(child)
    for pid in of_it if of_all and how != signal.SIGKILL else [child]:
        _send(pid, how)
    faults = []
    if not within(ENDED_IN_S, lambda: is_gone(child)):
        faults.append(f"signal {how}: process {child} did not end in {ENDED_IN_S:g} s")
        _send(child, signal.SIGKILL)
    forks.wait(child)
    if not within(GONE_IN_S, lambda: all(map(is_gone, of_it))):
        faults.append(f"signal {how}: {[pid for pid in of_it if not is_gone(pid)]} outlive their program")
    if "Traceback" in forks.printed():
        faults.append(f"signal {how}: {forks.printed()}")
    return faults


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def is_gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its end yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def _packed(given: Conditions) -> Iterator[tuple[Forks, Study, Path, Path]]:
    """Processes, a study with a report, its zip, and the temporary folder of the processes."""
    root, temporary, whole = given.folder / "root", given.folder / "tmp", given.folder / "whole.zip"
    temporary.mkdir()
    shutil.copytree(ROOT / "data" / "published", root / "data" / "published")
    study = made_up(root, boots=3)
    analyse(study)
    with Forks(given.folder / "forks", {"TMPDIR": str(temporary)}) as forks:
        if code := forks.run("export", study.folder, "-o", whole):
            raise RuntimeError(f"export ended with {code}: {forks.printed()[-500:]}")
        yield forks, study, whole, temporary


@in_lanes
def exports(given: Conditions) -> Outcome:
    """Kill export: a zip is the old one, the new one or none, and what is left behind is swept."""
    done, chance = Outcome("kill -9 of export", given.seed), given.chance()
    path = given.folder / "out" / "x.zip"
    with _packed(given) as (forks, study, whole, _):
        words = ("export", study.folder, "-o", path)
        lasts = _lasts(forks, *words)
        for _ in given.tries():
            if chance.random() < 0.3:
                path.unlink(missing_ok=True)
            child = forks.start(*words)
            time.sleep(chance.uniform(0.0, 1.1) * lasts)
            faults = _ended(forks, child, signal.SIGKILL, of_all=False)
            done.judge(*faults, *_no_half(path, whole.read_bytes()))
        done.remark(*_written_after_all(forks, words, {path: whole.read_bytes()}))
    return done


def timeless(path: Path) -> bytes:
    """Content of a file without the time at which a page says that it was made."""
    content = path.read_bytes()
    return re.sub(rb"<time\b.*?</time>", b"", content) if path.suffix == ".html" else content


def _no_half(path: Path, whole: bytes) -> list[str]:
    return [f"{path.name} is a half"] if path.exists() and timeless(path) != whole else []


def _written_after_all(forks: Forks, words: Sequence[object], whole: Mapping[Path, bytes], **how: Any) -> list[str]:
    """What is wrong with a command after kills, which is to write these files and to leave nothing beside them."""
    code = forks.run(*words, **how)
    faults = [f"{words[0]} ended with {code} after the kills: {forks.printed()[-500:]}"] if code else []
    faults += [f"{path.name} is another one after the kills" for path in whole if timeless(path) != whole[path]]
    beside = {path for one in whole for path in one.parent.iterdir()} - whole.keys()
    return faults + [f"left behind: {path.name}" for path in beside]


@in_lanes
def verifications(given: Conditions) -> Outcome:
    """Kill verify: nothing outlives it, and what it left is swept by the next one."""
    done, chance = Outcome("kill -9 of verify", given.seed), given.chance()
    with _packed(given) as (forks, _, whole, temporary):
        # no notebook made the report, so that there is something that differs
        lasts, before = _lasts(forks, "verify", whole, ends=1), whole.read_bytes()
        for _ in given.tries():
            child = forks.start("verify", whole)
            time.sleep(chance.uniform(0.0, 1.1) * lasts)
            faults = _ended(forks, child, signal.SIGKILL, of_all=False)
            left = len([*temporary.glob("vs-*")])  # a verification has a folder, and the run in it another
            faults += ["what killed verifications left is not swept"] if left > 2 else []
            done.judge(*faults, lost=int(whole.read_bytes() != before))
        code = forks.run("verify", whole)
        done.remark(*([] if code == 1 else [f"verify ended with {code} after the kills: {forks.printed()[-500:]}"]))
        done.remark(*[f"left behind: {path.name}" for path in temporary.glob("vs-*")])
    return done


@in_lanes
def fleets(given: Conditions) -> Outcome:
    """Kill fleet, of a study, a host and a simulation in two processes: files are whole, and the next makes all."""
    done, chance = Outcome("kill -9 of fleet", given.seed), given.chance()
    temporary = given.folder / "tmp"
    temporary.mkdir()
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        with Forks(given.folder / "forks", {**token(host), "TMPDIR": str(temporary)}) as forks:
            study = study_of(given.folder, host)
            forks.run("collect", study.folder)
            words: list[tuple[object, ...]] = [(study.folder,), there(host)]
            words += [] if given.lane else [("--simulated", SIMULATED, "--workers", 2)]
            ways = []
            for number, which in enumerate(words):
                folder = given.folder / f"written-{number}"
                command = ("fleet", *which, "--output", folder)
                lasts = _lasts(forks, *command, clock=STILL)
                ways.append((command, lasts, {path: timeless(path) for path in folder.iterdir()}))
            for number in given.tries():
                # a simulation with its processes takes much longer
                command, lasts, whole = ways[2] if len(ways) > 2 and number % 8 == 7 else ways[number % 2]
                if chance.random() < 0.3:
                    shutil.rmtree(next(iter(whole)).parent, ignore_errors=True)
                child = forks.start(*command, clock=STILL)
                time.sleep(chance.uniform(0.0, 1.1) * lasts)
                faults = _ended(forks, child, signal.SIGKILL, of_all=False)
                faults += ["what killed ones left is not swept"] if len([*temporary.glob("vs-*")]) > 1 else []
                done.judge(*faults, *(half for path, content in whole.items() for half in _no_half(path, content)))
            for command, _, whole in ways:
                done.remark(*_written_after_all(forks, command, whole, clock=STILL))
            done.remark(*[f"left behind: {path.name}" for path in temporary.glob("vs-*")])
        done.remark(*[str(problem) for problem in check_study(study).problems])
    return done


@in_lanes
def pages(given: Conditions) -> Outcome:
    """Kill explain: its page is the old one, the new one or none, and what is left behind is swept."""
    done, chance = Outcome("kill -9 of explain --page", given.seed), given.chance()
    path = given.folder / "out" / "explain.html"
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(given.folder / "forks", token(host)) as forks:
        words = ("explain", *there(host), "--page", path)
        lasts, whole = _lasts(forks, *words, clock=STILL), timeless(path)
        for _ in given.tries():
            if chance.random() < 0.3:
                path.unlink(missing_ok=True)
            child = forks.start(*words, clock=STILL)
            time.sleep(chance.uniform(0.0, 1.1) * lasts)
            done.judge(*_ended(forks, child, signal.SIGKILL, of_all=False), *_no_half(path, whole))
        done.remark(*_written_after_all(forks, words, {path: whole}, clock=STILL))
    return done
