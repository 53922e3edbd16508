"""Attacks that kill: processes end by SIGKILL at random moments, and what was stored has to be there as it was."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import yaml
import zstandard

from paths import ROOT, TESTS
from small import write_small
from synthetic import analyse
from synthetic import make_study as made_up
from torture.attack import Conditions, Outcome
from torture.processes import Forks, family
from virtio_study import recording, storage
from virtio_study.errors import DataError
from virtio_study.sources.api import response_log
from virtio_study.sources.responses import read_answers
from virtio_study.study import Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = [
    "FREEZE",
    "GONE_IN_S",
    "NOW",
    "answers",
    "collect_and_watch",
    "exports_and_verifications",
    "is_gone",
    "raw_lines",
    "rows_of",
    "runs",
    "study_of",
    "token",
    "within",
]

NOW = 1_772_409_600.0
FREEZE = TESTS / "data" / "answers" / "freeze"
GONE_IN_S = 5.0
"""How long a process may outlive the program that started it."""

ENDED_IN_S = 15.0
"""How long a program may take to end after it was asked to."""


def study_of(folder: Path, host: SimulatedHost) -> Study:
    """The study of the embedded host's two servers, which asks that host."""
    path = make_study(folder, two_servers(now=NOW)).folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text())
    protocol["proxmox"] = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    return load_study(path)


def token(host: SimulatedHost) -> dict[str, str]:
    """The variable by which a command is given the token of an embedded host."""
    return {"VIRTIO_STUDY_PVE_TOKEN": f"{host.token_id}={host.token_secret}"}


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


def collect_and_watch(given: Conditions) -> Outcome:
    """Kill watch and collect in turn: no stored answer is lost, changed or there twice, and collecting goes on."""
    done, chance = Outcome("kill -9 of watch and collect", given.seed), given.chance()
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(given.folder, token(host)) as forks:
        study = study_of(given.folder, host)
        stored, seen = b"", set[tuple[str, float]]()
        for number in given.tries():
            child = forks.start(("watch", "collect")[number % 2], study.folder)
            time.sleep(chance.uniform(0.0, 0.6))
            forks.kill(child)
            now = raw_lines(study.folder)
            lost = 0 if now.startswith(stored) else stored.count(b"\n")
            answers = [json.loads(line) for line in now[len(stored) :].splitlines()]
            new = [(answer["path"], answer["t"]) for answer in answers]
            twice = [f"{path} at {at:.3f} is stored twice" for path, at in new if (path, at) in seen]
            done.judge(*twice, lost=lost)
            seen |= set(new)
            stored = now
        code = forks.run("collect", study.folder)
        done.judge(*([] if code == 0 else [f"collect ended with {code} after the kills: {forks.printed()}"]))
        done.judge(*_as_it_should_be(study, raw_lines(study.folder).count(b"\n")))
    return done


def _as_it_should_be(study: Study, lines: int) -> list[str]:
    """What is wrong with a study of which so many answers were stored."""
    faults = [str(problem) for problem in check_study(study).problems]
    if lines != (read := len(read_answers(response_log.stored(study.folder)))):
        faults.append(f"{lines} answers are stored and {read} are read")
    for path in study.folder.glob("recordings/**/*.parquet"):
        if recording.read(path, study.folder).frame["time"].duplicated().any():
            faults.append(f"{path}: a row is there twice")
    return faults


def answers(given: Conditions) -> Outcome:
    """Kill imports that replace recordings: each leaves the old or the new ones, and the next one makes them all."""
    done, chance = Outcome("kill -9 of files answers", given.seed), given.chance()
    with Forks(given.folder / "forks") as forks:
        base, whole = given.folder / "data" / "base", given.folder / "data" / "whole"
        base.mkdir(parents=True)
        shutil.copy(FREEZE / "study.yaml", base)
        forks.run("files", "answers", base, FREEZE / "first.jsonl.zst")
        shutil.copytree(base, whole)
        begun = time.monotonic()
        forks.run("files", "answers", whole, FREEZE / "later.jsonl.zst")
        lasts = time.monotonic() - begun
        old, new = rows_of(base), rows_of(whole)
        for number in given.tries():
            folder = given.folder / "data" / f"try-{number}"
            shutil.copytree(base, folder)
            child = forks.start("files", "answers", folder, FREEZE / "later.jsonl.zst")
            time.sleep(chance.uniform(0.2, 1.1) * lasts)
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
        done.judge(*([] if first == 0 else [f"run ended with {first}: {forks.printed()}"]))
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
        done.judge(*faults, lost=sum(_report(study).get(name) != content for name, content in whole.items()))
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


def exports_and_verifications(given: Conditions) -> Outcome:
    """Kill export and verify: a zip is the old, the new or none, nothing outlives them, and leftovers are swept."""
    done, chance = Outcome("kill -9 of export and verify", given.seed), given.chance()
    root, temporary = given.folder / "root", given.folder / "tmp"
    temporary.mkdir()
    shutil.copytree(ROOT / "data" / "published", root / "data" / "published")
    study = made_up(root, boots=3)
    analyse(study)
    path, whole = given.folder / "out" / "x.zip", given.folder / "whole.zip"
    with Forks(given.folder / "forks", {"TMPDIR": str(temporary)}) as forks:
        begun = time.monotonic()
        code = forks.run("export", study.folder, "-o", whole)
        lasts = time.monotonic() - begun
        done.judge(*([] if code == 0 else [f"export ended with {code}: {forks.printed()}"]))
        for number in given.tries():
            words = ("verify", whole) if number % 2 else ("export", study.folder, "-o", path)
            child = forks.start(*words)
            time.sleep(chance.uniform(0.05, 1.0) * lasts * (3 if number % 2 else 1))
            faults = _ended(forks, child, signal.SIGKILL, of_all=False)
            faults += [f"{path.name} is a half"] if path.exists() and path.read_bytes() != whole.read_bytes() else []
            left = len([*temporary.glob("vs-*")])  # a verification has a folder, and the run in it another
            faults += ["what killed verifications left is not swept"] if left > 2 else []
            done.judge(*faults)
        code = forks.run("export", study.folder, "-o", path)
        faults = [] if code == 0 and path.read_bytes() == whole.read_bytes() else ["another zip after the kills"]
        done.judge(*faults, *[f"left behind: {left.name}" for left in path.parent.iterdir() if left != path])
    return done
