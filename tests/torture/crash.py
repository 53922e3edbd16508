"""Attacks that kill: processes end by SIGKILL at random moments, and what was stored has to be there as it was."""

import json
import time
from pathlib import Path

import yaml
import zstandard

from torture.attack import Conditions, Outcome
from torture.processes import Forks
from virtio_study import recording
from virtio_study.sources.api import response_log
from virtio_study.sources.responses import read_answers
from virtio_study.study import Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = ["collect_and_watch", "raw_lines", "study_of", "token"]

NOW = 1_772_409_600.0


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
    found = b""
    for path in response_log.stored(folder):
        content = path.read_bytes()
        found += zstandard.ZstdDecompressor().stream_reader(content).read() if path.suffix == ".zst" else content
    return found[: found.rfind(b"\n") + 1]


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
