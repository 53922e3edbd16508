"""Notebooks of a `run` without kernels: their cells are executed in the process of the run.

A kernel is another process, where nothing of an attack on writes would reach what a notebook writes.
"""

import os
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["without_kernels"]


class Here:
    """In place of `workflow.notebook.Pool`: jobs are done when they are given."""

    def __init__(self, workers: int, scratch: Path, log: Path) -> None:
        pass

    def submit(self, job: Any) -> Future[None]:
        from virtio_study.workflow.notebook import execute

        done = Future[None]()
        try:
            done.set_result(execute(job))
        except Exception as error:
            done.set_exception(error)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def without_kernels() -> None:
    """Let the runner of this process do so from now on."""
    import papermill

    from virtio_study.workflow import runner

    papermill.execute_notebook = _executed
    runner.Pool = Here  # type: ignore[misc, assignment]


def _executed(path: str, output: str, *, parameters: dict[str, str], cwd: str, **_: Any) -> Any:
    """What papermill returns, of cells that print nothing."""
    import nbformat
    from papermill import PapermillExecutionError

    notebook, names, back = nbformat.read(path, as_version=4), dict[str, Any](), Path.cwd()
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    os.chdir(cwd)
    try:
        for number, (index, cell) in enumerate(cells, start=1):
            try:
                exec(cell.source, names)
            except Exception as error:
                kind = type(error).__name__
                raise PapermillExecutionError(index, number, cell.source, kind, str(error), []) from error
            cell.execution_count = number
            if "parameters" in cell.metadata.get("tags", []):
                names |= parameters
    finally:
        os.chdir(back)
    nbformat.write(notebook, output)
    return notebook
