"""The client of a forked kernel: ready with the kernel, and told of one that dies."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from small import write_notebook
from virtio_study.errors import PipelineError
from virtio_study.workflow import notebook
from virtio_study.workflow.kernels import KernelParent, manager_of


class Channel:
    """A channel on which these messages have come; whoever waits for another one waits for silence."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = [*messages]

    async def get_msg(self, timeout: float) -> dict[str, Any]:
        return self.messages.pop(0)


def message(about: str, kind: str, **content: str) -> dict[str, Any]:
    return {"parent_header": {"msg_id": about} if about else {}, "msg_type": kind, "content": content}


def test_a_client_is_ready_once_the_kernel_answered_and_waits_for_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = manager_of(KernelParent.__new__(KernelParent)).client_factory
    shell = Channel(message("another", "kernel_info_reply"), message("own", "kernel_info_reply", status="ok"))
    states = [
        message("", "iopub_welcome"),
        *(message("own", "status", execution_state=name) for name in ("busy", "idle")),
    ]
    published = Channel(*states)
    monkeypatch.setattr(client, "shell_channel", shell)
    monkeypatch.setattr(client, "iopub_channel", published)
    monkeypatch.setattr(client, "kernel_info", lambda self: "own")
    monkeypatch.setattr(client, "_handle_kernel_info_reply", lambda self, reply: None)
    asyncio.run(client().wait_for_ready(timeout=5))
    assert (shell.messages, published.messages) == ([], [])


def test_a_kernel_that_dies_before_it_answers_is_an_error_of_its_notebook(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Stillborn(KernelParent):
        def __init__(self) -> None: ...

        def fork(self, connection_file: str, cwd: str, environment: dict[str, str]) -> int:
            with subprocess.Popen([sys.executable, "-S", "-c", ""]) as kernel:
                pass
            return kernel.pid

    monkeypatch.setattr(notebook, "_parent", Stillborn())
    write_notebook(tmp_path / "n.ipynb", "x: int = 1", "1")
    job = notebook.Job(tmp_path / "n.ipynb", {}, tmp_path, tmp_path / "out.ipynb", (), tmp_path)
    with pytest.raises(PipelineError, match="Kernel died"):
        notebook.execute(job)
