"""Importing weeks of polls: `files answers` against reading the same lines as JSON alone, in the same run.

    python benchmarks/weeks.py [--days 28]

The real `watch` polls the simulated host of two servers every 10 s, without HTTP and without waiting. Prints what was
stored, seconds and memory of the import in a process of its own, seconds of reading alone, and their ratio.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml
import zstandard

from virtio_study.sources.api import response_log
from virtio_study.sources.api.client import Reply
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.watching import watch
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing.api import ApiError, Call, State, answer
from virtio_study.testing.demo import make_study
from virtio_study.testing.faults import Faults
from virtio_study.testing.pve import two_servers
from virtio_study.testing.story import Story
from virtio_study.testing.truth import Truth
from virtio_study.testing.versions import VERSIONS

NOW = 1_772_409_600.0
ANSWER_S = 0.02


class Direct:
    """What `watch` needs of a client: the simulated host's answers, and its clock."""

    endpoint, secret = Endpoint(), Credential("user@pve", "name", "secret")

    def __init__(self, story: Story) -> None:
        self.truth, self.now = Truth(story), story.created + 30

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def get_all(self, paths: Iterable[str]) -> list[Reply]:
        return [self._get(path) for path in paths]

    def _get(self, path: str) -> Reply:
        self.now += ANSWER_S
        place, _, query = path.partition("?")
        state = State(self.truth, VERSIONS["9.2"], Faults(), self.now, "")
        try:
            found = answer(state, Call("GET", place.strip("/"), dict(parse_qsl(query)), path))
        except ApiError as error:
            return Reply(self.now, path, error.status, reason=error.reason)
        return Reply(self.now, path, 200, found.data)


def watched(folder: Path, days: float) -> Study:
    """A study whose host was watched for so many days."""
    story = two_servers(now=NOW, hours=(6 * days, 6 * days, 12 * days))
    path = make_study(folder, story).folder / "study.yaml"
    protocol: dict[str, Any] = yaml.safe_load(path.read_text())
    del protocol["windows"]  # the polls tell when each driver configuration was in force
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    study, client = load_study(path), Direct(story)
    watch(study, client, lambda line: None, lambda: client.now >= NOW - 60, sleep=client.sleep)  # type: ignore[arg-type]
    return study


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, default=28)
    days = parser.parse_args().days
    with tempfile.TemporaryDirectory() as scratch:
        study = watched(Path(scratch), days)
        files = response_log.stored(study.folder)
        start, lines = time.perf_counter(), 0
        for path in files:
            content = path.read_bytes()
            if path.suffix == ".zst":
                content = zstandard.ZstdDecompressor().stream_reader(content).read()
            lines += len([json.loads(line) for line in content.splitlines()])
        alone = time.perf_counter() - start
        start = time.perf_counter()
        words = [sys.executable, "-m", "virtio_study", "files", "answers", str(study.folder)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        ours = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        stored = sum(path.stat().st_size for path in files) / 2**20
        rows = len(list(study.folder.glob("recordings/**/*.parquet")))
    print(f"{days:g} days of two simulated servers: {lines} answers, {stored:.0f} MiB stored, {rows} recordings")
    print(f"virtio-study files answers: {ours:.1f} s, at most {memory:.0f} MiB of memory")
    print(f"reading the lines as JSON alone: {alone:.1f} s")
    print(f"ratio: {ours / alone:.2f}")


if __name__ == "__main__":
    main()
