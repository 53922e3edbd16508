"""Running the notebooks of a study whose inputs, code or parameters changed, in parallel, through papermill.

A notebook is up to date if the run manifest says that it was completed under the same key (notebook source, parameters,
code of this package, lock, inputs, outputs of the notebooks it needs) and its outputs are still as it left them.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtio_study.errors import PipelineError
from virtio_study.storage import PACKAGE, manifest, sha256, write_atomically
from virtio_study.study import Study
from virtio_study.workflow.graph import Task, check_recordings, find_notebooks, plan
from virtio_study.workflow.notebook import Job, Pool

__all__ = ["Outcome", "run"]


@dataclass
class Outcome:
    """Names of the tasks of a run by what became of them; `error` and `skipped` with the reason."""

    ran: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    error: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every notebook is up to date now."""
        return not self.error and not self.skipped


def run(
    study: Study,
    *,
    workers: int | None = None,
    servers: list[str] | None = None,
    notebooks: Path | None = None,
    say: Callable[[str], None],
) -> Outcome:
    """Run every notebook of a study that is not up to date.

    Parameters
    ----------
    study : Study
    workers : int, optional
        Notebooks at the same time; default: one for each CPU.
    servers : list of str, optional
        Run for these alone, without the report.
    notebooks : Path, optional
        Folder of the notebooks; see `find_notebooks`.
    say : callable
        Told what became of each notebook, in one line, where no terminal shows the progress bar.

    Raises
    ------
    DataError
        If a recording is missing or changed; nothing has run then.
    PipelineError
        If another run of the same study is under way.
    """
    tasks = plan(study, servers)
    check_recordings(study, tasks)
    state = _Run(study, tasks, notebooks or find_notebooks(study), say)
    with _alone(study.reports / ".run"):
        return state.go(workers or os.cpu_count() or 1)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(f"{folder.parent}: another run of this study is under way; wait for it") from None
        yield


class _Run:
    """The state of one run; the run manifest on disk follows every change of it."""

    def __init__(self, study: Study, tasks: list[Task], notebooks: Path, say: Callable[[str], None]) -> None:
        self.study, self.notebooks, self.say = study, notebooks, say
        self.root = study.reports.parent.parent
        self.path = study.reports / ".run" / "manifest.json"
        self.waiting = {task.name: task for task in tasks}
        self.outcome = Outcome()
        self.record = _read_record(self.path)
        self.listed = manifest(study.folder)
        code = (path for path in sorted(PACKAGE.rglob("*")) if path.is_file())
        lock = notebooks.parent / "requirements.lock"
        self.common = [
            list(sys.version_info[:2]),
            study.model_dump_json(),
            [sha256(path) for path in code if "__pycache__" not in path.parts],
            sha256(lock) if lock.exists() else None,
        ]

    def go(self, workers: int) -> Outcome:
        ready = self._ready(workers)
        if not ready:
            return self.outcome
        from tqdm import tqdm

        for name in self.waiting:
            self.record.setdefault(name, {"status": "outstanding"})
        total = len(ready) + len(self.waiting)
        running: dict[Future[None], Task] = {}
        with (
            tempfile.TemporaryDirectory(prefix="vs-", ignore_cleanup_errors=True) as scratch,
            Pool(workers, Path(scratch), self.path.with_name("kernels.log")) as pool,
            tqdm(total=total, unit="notebook", disable=None) as bar,
        ):
            while ready or running:
                for task in ready:
                    self.record[task.name] = {"status": "outstanding"}
                    running[pool.submit(self._job(task, Path(scratch)))] = task
                self._save()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task = running.pop(future)
                    self._finish(task, future)
                    if bar.disable:
                        self.say(f"{task.name}: {self.record[task.name]['status']}")
                ready = self._ready(workers - len(running))
                bar.n = total - len(self.waiting) - len(running) - len(ready)
                bar.refresh()
            self._save()
        return self.outcome

    def _ready(self, slots: int) -> list[Task]:
        """Take from the waiting tasks those to run now; settle those that are up to date or can never run."""
        ready: list[Task] = []
        for task in list(self.waiting.values()):
            failed = [need for need in task.needs if need in self.outcome.error or need in self.outcome.skipped]
            if failed:
                self._settle(task, "skipped", f"needs {failed[0]}, which {self._what_became_of(failed[0])}")
            elif all(need not in self.waiting and self._done(need) for need in task.needs):
                if self._current(task):
                    del self.waiting[task.name]
                    self.outcome.current.append(task.name)
                elif len(ready) < slots:
                    ready.append(self.waiting.pop(task.name))
        return ready

    def _done(self, name: str) -> bool:
        return name in self.outcome.ran or name in self.outcome.current

    def _what_became_of(self, name: str) -> str:
        return "failed" if name in self.outcome.error else "was skipped"

    def _key(self, task: Task) -> str:
        prefix = task.recordings
        parts = [
            self.common,
            _source(self.notebooks / f"{task.notebook}.ipynb"),
            task.parameters,
            [[path.name, sha256(path)] for path in task.inputs],
            [item for item in sorted(self.listed.items()) if prefix and item[0].startswith(prefix)],
            # Not the executed copies: what a notebook says in prose is no input of the next one.
            sorted(
                item for need in task.needs for item in self.record[need]["outputs"].items() if item[0][-6:] != ".ipynb"
            ),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _current(self, task: Task) -> bool:
        entry = self.record.get(task.name, {})
        return bool(
            entry.get("status") == "complete"
            and entry.get("key") == self._key(task)
            and entry.get("outputs") == self._outputs(task)
        )

    def _outputs(self, task: Task) -> dict[str, str | None]:
        """SHA-256 of what a task leaves, by path relative to the root; None for a file that is not there."""
        paths = (*task.outputs, self._executed(task))
        return {os.path.relpath(path, self.root): sha256(path) if path.exists() else None for path in paths}

    def _executed(self, task: Task) -> Path:
        return self.study.reports / "notebooks" / f"{task.name}.ipynb"

    def _job(self, task: Task, scratch: Path) -> Job:
        notebook = self.notebooks / f"{task.notebook}.ipynb"
        return Job(notebook, task.parameters, self.root, self._executed(task), task.outputs, scratch)

    def _finish(self, task: Task, future: Future[None]) -> None:
        try:
            future.result()
        except PipelineError as error:
            self._settle(task, "error", str(error))
            return
        except BrokenProcessPool:
            self._settle(task, "error", "its worker process died (killed, or out of memory); run again")
            return
        self.record[task.name] = {"status": "complete", "key": self._key(task), "outputs": self._outputs(task)}
        self.outcome.ran.append(task.name)

    def _settle(self, task: Task, status: str, reason: str) -> None:
        self.waiting.pop(task.name, None)
        self.record[task.name] = {"status": status, "reason": reason}
        (self.outcome.error if status == "error" else self.outcome.skipped)[task.name] = reason

    def _save(self) -> None:
        text = json.dumps({"version": 1, "tasks": self.record}, indent=1, sort_keys=True) + "\n"
        write_atomically(self.path, text.encode())


def _read_record(path: Path) -> dict[str, Any]:
    # A damaged run manifest costs a run of everything, never a wrong result.
    try:
        tasks = json.loads(path.read_bytes())["tasks"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return tasks if isinstance(tasks, dict) else {}


def _source(notebook: Path) -> list[Any]:
    """What a notebook does and says: its cells without outputs."""
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        return [[cell["cell_type"], cell["source"], cell["metadata"].get("tags", [])] for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(f"{notebook}: not a notebook: {error}; restore it from version control") from error
