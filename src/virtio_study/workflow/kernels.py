"""Kernels forked from one parent that has imported what notebooks need, so that no notebook pays for imports again.

`python -m virtio_study.workflow.kernels N PID` is that parent, of the worker PID: it reads requests from the socket at
descriptor N and answers each with the process number of a new kernel. It ends with the worker, and its kernels with it.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from virtio_study.workflow.parentage import end_with

__all__ = ["KernelParent", "main", "manager_of"]

NEEDED = (
    "IPython.core.completer",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "babel.dates",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "matplotlib.backends.backend_svg",
    "matplotlib_inline.backend_inline",
    "pandas.io.formats.html",
    "pandas.io.formats.string",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "seaborn",
    "sqlite3",
    "tornado.platform.asyncio",
    "virtio_study.analysis.results",
    "virtio_study.public.opened",
    "virtio_study.report.page",
    "virtio_study.report.pictures",
    "virtio_study.report.tables",
    "virtio_study.workflow.steps",
    "xml.dom.expatbuilder",
)

BEFORE_IMPORTS = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as ipykernel would set it
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator starts a thread when it is loaded
}

RETRY_MS = 5
"""How soon a client tries to connect again; of zmq's usual 100 ms a forked kernel needs half."""

POLL_S = 0.005
"""How often it is looked whether a kernel that was killed is gone; usually every 100 ms."""

ANSWER_S = 1.0

REHEARSED = (
    "cpu_cores",
    "cpu_allocated_cores",
    "mem_displayed_bytes",
    "mem_host_bytes",
    "mem_guest_bytes",
    "mem_allocated_bytes",
)

UNWANTED = "debugpy"
"""A debugger, a third of what a kernel's start takes, that no batch uses; ipykernel does without it."""


class KernelParent:
    """The process that kernels are forked from, and the way to ask it for one."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "virtio_study.workflow.kernels", str(theirs.fileno()), str(os.getpid())]
            environment = {**BEFORE_IMPORTS, **os.environ}
            self.process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), env=environment)
        self._channel = ours.makefile("rwb")
        self._socket = ours

    def fork(self, connection_file: str, cwd: str, environment: dict[str, str]) -> int:
        """Start a kernel and return its process number.

        Raises
        ------
        ChildProcessError
            If the parent is gone.
        """
        request = {"connection_file": connection_file, "cwd": cwd, "environment": environment}
        try:
            self._channel.write(json.dumps(request).encode() + b"\n")
            self._channel.flush()
            answer = self._channel.readline()
        except OSError as error:
            raise ChildProcessError(str(error)) from error
        if not answer:
            raise ChildProcessError("the kernels' parent is gone")
        return int(answer)


class _Forked:
    """What `LocalProvisioner` asks of a process, for one that is another's child and that its parent leaves none of."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self) -> int:
        return 0

    def send_signal(self, signum: int) -> None:
        os.kill(self.pid, signum)


class _Client(AsyncKernelClient):
    """A client that is ready with its kernel: the usual one waits for 0.2 s of silence, and connects 0.1 s late."""

    def _context_default(self) -> Any:
        context = super()._context_default()
        context.reconnect_ivl = RETRY_MS  # of every socket that it makes
        return context

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers, and until what it publishes beside its answer arrives here too."""
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        asked: set[str] = set()
        while time.monotonic() < until:
            asked.add(self.kernel_info())
            reply = await self._of(asked, self.shell_channel, "kernel_info_reply")
            if reply and await self._of(asked, self.iopub_channel, "idle"):
                self._handle_kernel_info_reply(reply)
                return
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    async def _of(self, asked: set[str], channel: Any, what: str) -> dict[str, Any] | None:
        """The next message of a type, or state, that belongs to one of these requests, if it comes within a second."""
        until = time.monotonic() + ANSWER_S
        with contextlib.suppress(Empty):
            while (left := until - time.monotonic()) > 0:
                message: dict[str, Any] = await channel.get_msg(timeout=left)
                about = message["parent_header"].get("msg_id")
                if about in asked and what in (message["msg_type"], message["content"].get("execution_state")):
                    return message
        return None


def manager_of(parent: KernelParent) -> type[AsyncKernelManager]:
    """A class of kernel managers whose kernels are forked from a parent."""

    class Provisioner(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
            # nothing of the kernel's specification is needed: it is this interpreter, with this package imported
            assert self.parent is not None
            pid = parent.fork(self.parent.connection_file, str(kwargs.get("cwd") or Path.cwd()), dict(kwargs["env"]))
            self.process = _Forked(pid)  # type: ignore[assignment]
            self.pid = self.pgid = pid
            return self.connection_info

    class Manager(AsyncKernelManager):
        client_factory = _Client

        async def _async_pre_start_kernel(self, **kw: Any) -> Any:
            self.provisioner = Provisioner(parent=self, kernel_id=self.kernel_id or "", kernel_spec=self.kernel_spec)
            return await super()._async_pre_start_kernel(**kw)

        async def _async_wait(self, pollinterval: float = POLL_S) -> None:
            while await self.is_alive():
                await asyncio.sleep(POLL_S)

        pre_start_kernel = _async_pre_start_kernel

    return Manager


def main(descriptor: int, worker: int) -> None:
    """Import what notebooks need, then fork a kernel for every request until the socket closes."""
    end_with(worker)
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    _warm()
    signal.signal(signal.SIGCHLD, _reap)
    channel = socket.socket(fileno=descriptor).makefile("rwb")
    own = os.getpid()
    for line in channel:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            end_with(own)
            channel.close()
            _become_kernel(request)
        channel.write(f"{pid}\n".encode())
        channel.flush()


def _warm() -> None:
    """Load what every notebook would load, and let no search for garbage copy it in any of them.

    A thread would be missing in what is forked, with whatever lock it holds: nothing here may start one.
    """
    sys.modules.setdefault(UNWANTED, None)  # type: ignore[arg-type]
    for name in NEEDED:
        importlib.import_module(name)
    _rehearse()
    gc.collect()
    gc.freeze()


def _rehearse() -> None:
    """Do what notebooks do with rows that nobody recorded: fonts are found, patterns compiled, the code's digest made.

    Parquet is left out: reading it starts threads.
    """
    import pandas as pd

    from virtio_study.cleaning.transients import label_periods, period_table
    from virtio_study.recording import check_frame
    from virtio_study.report import figures, pictures, tables
    from virtio_study.workflow.keys import code_digest

    code_digest()
    times = pd.date_range("2026-01-01", periods=60, freq="10s", tz="UTC")
    texts = {"mem_instrument": "guest_stats", "consolidation": "AVERAGE"}
    rows = check_frame(pd.DataFrame({"time": times, "step_s": 10.0, **dict.fromkeys(REHEARSED, 1.0), **texts}), "")
    rows["uptime_s"] = 10.0 * (rows.index + 1)
    cleaned = label_periods(rows.assign(replicate="boot-01"))
    period_table(cleaned)
    pictures.recordings(cleaned)
    pictures.since_start(cleaned)
    tables.periods(cleaned).to_html()
    _, (axes,) = figures.blank()
    figures.dots(axes, [1.0, 2.0], 0, figures.BLUE)


def _reap(signum: int, frame: object) -> None:
    """Let whoever ends be gone at once; not by ignoring the signal, with which its processor time would be lost."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become_kernel(request: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    parent = os.getppid()
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    from ipykernel.kernelapp import launch_new_instance

    try:
        # the number is read from the environment on import, which was before this kernel had a parent
        launch_new_instance(argv=["-f", request["connection_file"], f"--IPKernelApp.parent_handle={parent}"])
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
