"""Commands of the command line in real processes, forked from one that has everything loaded already."""

import functools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Forks", "serve_forks"]

TESTS = Path(__file__).parents[1]


class Forks:
    """Starts commands, each in a process of its own; what they print goes to a file for each.

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

    def start(self, *words: object, largest_file: int | None = None) -> int:
        """Start `virtio-study WORDS` and return its process number; `largest_file` bounds its files, in bytes."""
        self._number += 1
        printed = str(self.folder / f"printed-{self._number}")
        return self._ask(words=[str(word) for word in words], printed=printed, largest_file=largest_file)

    def wait(self, pid: int) -> int:
        """Exit code of a process that ends by itself; negative: the signal that ended it."""
        return self._ask(wait=pid)

    def kill(self, pid: int, number: int = signal.SIGKILL) -> int:
        """End a process by a signal, and return as `wait` does."""
        os.kill(pid, number)
        return self.wait(pid)

    def run(self, *words: object, largest_file: int | None = None) -> int:
        """Start a command and wait for its end."""
        return self.wait(self.start(*words, largest_file=largest_file))

    def printed(self) -> str:
        """What the latest process printed."""
        return (self.folder / f"printed-{self._number}").read_text(errors="replace")

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


def serve_forks() -> None:
    """Read requests from standard input: fork a command, or wait for one."""
    import pandas  # noqa: F401
    import proxmoxer.backends.https  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import requests  # noqa: F401
    import zstandard  # noqa: F401

    from virtio_study import cli
    from virtio_study.archive import export, verify  # noqa: F401
    from virtio_study.cli import archive, files, live  # noqa: F401
    from virtio_study.sources.api import collecting, importers, watching  # noqa: F401
    from virtio_study.sources.files import importers as of_files  # noqa: F401
    from virtio_study.workflow import runner  # noqa: F401

    watching.watch = functools.partial(watching.watch, poll_s=0.05)  # type: ignore[assignment]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            status = os.waitpid(request["wait"], 0)[1]
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(request["printed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
            os.dup2(1, 2)
            os.setpgid(0, 0)
            if request["largest_file"] is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
            cli.main(request["words"])
        print(child, flush=True)
