"""Commands of the command line in real processes, forked from one that has everything loaded already."""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from torture.notebooks import without_kernels
from torture.writing import Harm

__all__ = ["Clock", "Forks", "family", "serve_forks"]

TESTS = Path(__file__).parents[1]


class Forks:
    """Starts commands, each in a process of its own; what they print goes to a file for each.

    What the first process of a command had to import is imported for all that follow. Nothing is made sure of on the
    disk (`fsync`), which no end of a process needs.

    Parameters
    ----------
    folder : Path
        Working folder of the commands, and where what they print goes.
    environment : dict, optional
        Variables beside those of this process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder, self._number = folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        self._server = subprocess.Popen(
            [sys.executable, "-c", "from torture.processes import serve_forks; serve_forks()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), **(environment or {})},
        )

    def _ask(self, **request: Any) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        return int(self._server.stdout.readline())

    def start(
        self,
        *words: object,
        largest_file: int | None = None,
        clock: Mapping[str, float] | None = None,
        harm: Mapping[str, object] | None = None,
        kernels: bool = True,
    ) -> int:
        """Start `virtio-study WORDS` and return its process number.

        Parameters
        ----------
        words : objects
            Their texts are the words of the command.
        largest_file : int, optional
            Bytes that a file of it may have.
        clock : dict, optional
            Of `Clock`: the clock by which it asks a host.
        harm : dict, optional
            Of `Harm`: what becomes of its writes.
        kernels : bool
            Whether a `run` has kernels, or runs the cells in its own process, where its harm reaches them.
        """
        self._number += 1
        asked = {"printed": str(self.latest), "largest_file": largest_file, "clock": clock, "harm": harm}
        return self._ask(words=[*map(str, words)], kernels=kernels, **asked)

    def wait(self, pid: int) -> int:
        """Exit code of a process that ends by itself; negative: the signal that ended it."""
        return self._ask(wait=pid)

    def kill(self, pid: int, number: int = signal.SIGKILL) -> int:
        """End a process by a signal, and return as `wait` does."""
        os.kill(pid, number)
        return self.wait(pid)

    def run(self, *words: object, **how: Any) -> int:
        """Start a command, as `start` does, and wait for its end."""
        return self.wait(self.start(*words, **how))

    @property
    def latest(self) -> Path:
        """The file of what the latest process prints."""
        return self.folder / f"printed-{self._number}"

    def printed(self) -> str:
        """What the latest process printed."""
        return self.latest.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


class Clock:
    """A clock that is `speed` times as fast as real time, and jumps to and fro about once in `every_s` real seconds.

    Parameters
    ----------
    now : float
        Unix seconds that it shows first.
    speed : float
    jump_s : float
        The widest jump; 0: none.
    every_s : float
    seed : float
        Of the jumps.
    """

    def __init__(self, now: float, speed: float, jump_s: float = 0.0, every_s: float = 1.0, seed: float = 0) -> None:
        self._now, self._since, self.speed, self._jump_s, self._every_s = now, time.monotonic(), speed, jump_s, every_s
        self._chance, self._jumps, self._lock = random.Random(seed), 0, threading.Lock()

    def __call__(self) -> float:
        """The Unix seconds that it shows."""
        passed = time.monotonic() - self._since
        with self._lock:
            while self._jump_s and self._jumps < passed // self._every_s:
                self._jumps += 1
                self._now += self._chance.uniform(-self._jump_s, self._jump_s)
            return self._now + passed * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait so many of its seconds."""
        time.sleep(seconds / self.speed)


def family(pid: int) -> list[int]:
    """A process and all that it started, and those started, as far as they live."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def serve_forks() -> None:
    """Read requests from standard input: fork a command, or wait for one."""
    import pandas  # noqa: F401
    import proxmoxer.backends.https  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import requests  # noqa: F401
    import zstandard  # noqa: F401

    from virtio_study.archive import export, verify  # noqa: F401
    from virtio_study.cli import archive, files, live  # noqa: F401
    from virtio_study.sources.api import client, collecting, importers, watching  # noqa: F401
    from virtio_study.sources.files import importers as of_files  # noqa: F401
    from virtio_study.workflow import runner  # noqa: F401

    watch = watching.watch
    watching.watch = functools.partial(watch, poll_s=0.05)  # type: ignore[assignment]
    watching.LOOK_FOR_ROOM_S = 0.1
    client.FIRST_WAIT_S = 0.05
    os.fsync = lambda _: None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    learnt, learning = set[str](), dict[int, tuple[str, Path]]()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            status = os.waitpid(request["wait"], 0)[1]
            command, told = learning.pop(request["wait"], ("", Path()))
            if command and told.exists():
                learnt.add(command)
                _learn(told)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        command = " ".join(request["words"][:2] if request["words"][0] in {"files", "lab"} else request["words"][:1])
        told = None if command in learnt else Path(f"{request['printed']}-imported")
        child = os.fork()
        if child == 0:
            _become(request, watch, told)
        if told is not None:
            learning[child] = command, told
        print(child, flush=True)


def _learn(told: Path) -> None:
    """Import what a command imported."""
    for name in json.loads(told.read_text()):
        with contextlib.suppress(Exception):  # what only its own program can import
            importlib.import_module(name)
    told.unlink()
    gc.collect()
    gc.freeze()


def _become(request: dict[str, Any], watch: Any, told: Path | None) -> NoReturn:
    """Be the process of a command."""
    from virtio_study import cli
    from virtio_study.sources.api import client, watching

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(request["printed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    os.setpgid(0, 0)
    if request["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
    if request["clock"]:
        clock = Clock(**request["clock"])
        watching.watch = functools.partial(watch, sleep=clock.sleep)
        client.Client.__init__.__defaults__ = (None, client.TRIES, clock)  # type: ignore[attr-defined]
    before = {*sys.modules}
    if not request["kernels"]:
        without_kernels()
    if request["harm"]:
        Harm(**request["harm"]).begin()
    code: Any = 1
    try:
        cli.main(request["words"])
    except SystemExit as end:
        code = end.code
    # as the interpreter ends, but for taking every module to pieces
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if told is not None:
        told.write_text(json.dumps(sorted({*sys.modules} - before)))
    os._exit(code)
