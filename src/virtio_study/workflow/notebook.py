"""One notebook through papermill, in a worker process, and the proof that all of it ran.

papermill's saved notebook is no such proof: after a dead kernel every cell in it says `completed`, and after
`raise SystemExit` the cells that never ran pass silently. So the cells are counted here.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from virtio_study.environment import without_secrets
from virtio_study.errors import PipelineError
from virtio_study.i18n.marks import N_
from virtio_study.storage import write_atomically
from virtio_study.workflow.isolation import KERNEL, isolate
from virtio_study.workflow.parentage import end_with

if TYPE_CHECKING:
    from virtio_study.workflow.kernels import KernelParent

__all__ = ["Job", "Pool", "execute"]

CELL_TIMEOUT_S = 1800
IOPUB_TIMEOUT_S = 300
"""For a kernel to say that a cell is done; of the usual 4 s a busy machine may need more."""

_TYPES: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float), "bool": bool}


@dataclass(frozen=True)
class Job:
    """What a worker needs to run one notebook.

    `root` becomes the notebook's working directory; `output` is its executed copy; `products` is what it must write.
    """

    notebook: Path
    parameters: dict[str, str]
    root: Path
    output: Path
    products: tuple[Path, ...]
    scratch: Path


class Pool:
    """Worker processes for notebooks; if one dies, new ones take its place. Leaving the context ends them at once.

    Parameters
    ----------
    workers : int
        Notebooks at the same time.
    scratch : Path
        A temporary folder of this run.
    log : Path
        Where the kernels' own output goes, which would garble the progress bar.
    """

    def __init__(self, workers: int, scratch: Path, log: Path) -> None:
        self._context = multiprocessing.get_context("spawn")
        # no event or lock: whoever is killed while it holds or awaits one lets `set` of all others wait for ever
        listens, self._stop = self._context.Pipe(duplex=False)
        self._workers, self._initargs = workers, (listens, scratch, log)
        with without_secrets():  # what is shared between processes starts one that keeps account of it
            self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, self._context, _prepare_worker, self._initargs)

    def submit(self, job: Job) -> Future[None]:
        """Run a job in a worker; the future raises what `execute` raises, or BrokenProcessPool."""
        with without_secrets():  # a worker may be started here
            try:
                return self._executor.submit(execute, job)
            except BrokenProcessPool:
                self._executor.shutdown(wait=True)
                self._executor = self._start()
                return self._executor.submit(execute, job)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.close()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _prepare_worker(stop: Connection, scratch: Path, log: Path) -> None:
    """Set up a worker process: gone when its parent is gone, quiet, and isolated from the user's environment."""
    if (program := multiprocessing.parent_process()) is not None and program.pid is not None:
        end_with(program.pid)
    threading.Thread(target=_leave_with_parent, args=(stop,), daemon=True).start()
    # 35 grammars, 1.2 s of import, for a format check that no notebook needs; jsonschema does without it.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    isolate(scratch)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    global _parent
    if os.name == "posix":
        from virtio_study.workflow.kernels import KernelParent

        _parent = KernelParent()


def _leave_with_parent(stop: Connection) -> None:
    # The other end closes when the program says so, or is gone. What kernels are forked from goes with this worker, and
    # the kernels with that within a second.
    stop.poll(None)
    os._exit(1)


def execute(job: Job) -> None:
    """Run a notebook and put the executed copy in place once every cell is seen to have run.

    Raises
    ------
    PipelineError
        If a parameter is not declared or has the wrong type, a cell raises, the kernel dies, a cell did not run, or a
        product was not written. The message names the cell.
    """
    import papermill

    _check_parameters(job, papermill.inspect_notebook(_literal(job.notebook)))
    partial = job.scratch / job.output.name
    try:
        notebook = papermill.execute_notebook(
            _literal(job.notebook),
            _literal(partial),
            kernel_name=KERNEL,
            parameters=job.parameters,
            cwd=str(job.root),
            progress_bar=False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            execution_timeout=CELL_TIMEOUT_S,
            iopub_timeout=IOPUB_TIMEOUT_S,
            shutdown_kernel="immediate",
            **_forked(),
            **_transport(job),
        )
    except papermill.PapermillExecutionError as error:
        raise PipelineError(
            N_("cell {index}: {error}"),
            index=error.cell_index,
            error=_one_line(f"{error.ename}: {error.evalue}"),
        ) from None
    except Exception as error:  # nbclient's errors of kernels and time-outs share no base class
        raise PipelineError("{error}", error=_one_line(f"{type(error).__name__}: {error}")) from None
    finally:
        partial.unlink(missing_ok=True)
    _every_cell_ran(notebook)
    for path in job.products:
        if not path.exists():
            name = path.relative_to(job.root)
            raise PipelineError(N_("ran to its end but did not write {path}"), path=name)
    write_atomically(job.output, _committable(notebook, job).encode())


_parent: "KernelParent | None" = None
"""What the kernels of this worker are forked from; without it each starts anew."""


def _forked() -> dict[str, Any]:
    if _parent is None:
        return {}
    from virtio_study.workflow.kernels import manager_of

    return {"kernel_manager_class": manager_of(_parent)}


def _literal(path: Path) -> str:
    """A path as papermill takes it, to which braces are fields of a template."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _check_parameters(job: Job, declared: dict[str, dict[str, Any]]) -> None:
    for name, value in job.parameters.items():
        if name not in declared:
            raise PipelineError(
                N_("parameter {name!r} is not declared in {notebook}; it has: {declared}"),
                name=name,
                notebook=job.notebook.name,
                declared=", ".join(declared) or "-",
            )
        expected = declared[name]["inferred_type_name"]
        if expected in _TYPES and not isinstance(value, _TYPES[expected]):
            raise PipelineError(
                N_("parameter {name!r} is {value!r}; {notebook} declares {expected}"),
                name=name,
                value=value,
                notebook=job.notebook.name,
                expected=expected,
            )


def _transport(job: Job) -> dict[str, Any]:
    """Options for kernels over sockets in a private folder: no port race and no warning about open TCP ports."""
    from traitlets.config import Config

    prefix = Path(tempfile.mkdtemp(dir=job.scratch, prefix="k")) / "s"
    if os.name != "posix" or len(str(prefix)) > 90:  # a socket's path holds at most 107 characters
        return {}
    return {"config": Config({"KernelManager": {"transport": "ipc", "ip": str(prefix)}})}


def _every_cell_ran(notebook: Any) -> None:
    """Raise unless every code cell has an execution number, in order, and none left an error."""
    cells = [
        (i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and "".join(cell.source).strip()
    ]
    for number, (index, cell) in enumerate(cells, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                raise PipelineError(
                    N_("cell {index}: {error} ended the notebook"),
                    index=index,
                    error=_one_line(f"{output.ename}: {output.evalue}"),
                )
        if cell.execution_count != number:
            raise PipelineError(
                N_("cell {index}: did not run (execution number {found}, not {number})"),
                index=index,
                found=str(cell.execution_count),
                number=number,
            )


def _committable(notebook: Any, job: Job) -> str:
    """Text of an executed notebook without times, random identifiers, and paths and versions of this machine."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    for path, name in ((str(job.root) + "/", ""), (str(job.root), "."), (sys.prefix, "<environment>")):
        text = text.replace(path, name)
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
