"""Running the notebooks of a study whose inputs, code or parameters changed, in parallel, through papermill.

A notebook is up to date if the run manifest says that it was completed under today's key, from what the notebooks that
it needs left, and what it wrote is still as it left it.
"""

import json
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from virtio_study.errors import DataError, PipelineError, StudyError, VirtioStudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.i18n.spoken import spoken
from virtio_study.storage import locked, scratch_folder, sha256, write_atomically
from virtio_study.study import Study
from virtio_study.workflow.check import unfinished
from virtio_study.workflow.graph import NotebookRun, find_notebooks, plan
from virtio_study.workflow.keys import Key, Keys
from virtio_study.workflow.notebook import Job, Pool
from virtio_study.workflow.overview import write_overview
from virtio_study.workflow.reports import Made, list_made, listed, todays, withdraw

__all__ = ["Outcome", "run"]


@dataclass
class Outcome:
    """Names of the tasks of a run by what became of them; `error` and `skipped` with the reason."""

    ran: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    error: dict[str, VirtioStudyError] = field(default_factory=dict)
    skipped: dict[str, VirtioStudyError] = field(default_factory=dict)

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
    say: Callable[[Said], None],
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
    StudyError
        If the study is a published one, its protocol is not finished, or a server is unknown.
    DataError
        If a recording is missing or changed; nothing has run then.
    PipelineError
        If another run of the same study is under way.
    """
    if left := unfinished(study):
        raise StudyError("{problems}", problems=left)
    keys = Keys(study)
    keys.verify_all(servers)
    tasks = plan(study, servers)
    state = _Run(keys, tasks, notebooks or find_notebooks(study), say)
    form = N_("{folder}: another run of this study is under way ({who}); wait for it, or end it")
    lock = study.reports / ".run" / "lock"
    with locked(lock, lambda who: PipelineError(form, folder=study.reports, who=who)):
        outcome = state.go(workers or os.cpu_count() or 1)
        if outcome.ok and outcome.ran and not servers:
            withdraw(study, "notebooks/*.ipynb", [task.executed for task in tasks])
    if outcome.ok and not servers:
        write_overview(study.reports.parent)
    return outcome


class _Run:
    """The state of one run; the run manifest on disk follows every change of it."""

    def __init__(self, keys: Keys, tasks: list[NotebookRun], notebooks: Path, say: Callable[[Said], None]) -> None:
        study = keys.study
        self.study, self.notebooks, self.say = study, notebooks, say
        self.root = study.reports.parent.parent
        self.path = study.reports / ".run" / "manifest.json"
        self.waiting = {task.name: task for task in tasks}
        self.outcome = Outcome()
        self.record = _read_record(self.path)
        self.today = todays(keys, notebooks)
        try:
            self.listing = listed(study)
        except DataError:  # a damaged list costs a run of everything, never a wrong report
            self.listing = {}

    def go(self, workers: int) -> Outcome:
        ready = self._ready(workers)
        if not ready:
            return self.outcome
        from virtio_study.workflow.progress import progress

        for name in self.waiting:
            self.record.setdefault(name, {"status": "outstanding"})
        total = len(ready) + len(self.waiting)
        running: dict[Future[None], NotebookRun] = {}
        with (
            scratch_folder() as scratch,
            Pool(workers, scratch, self.path.with_name("kernels.log")) as pool,
            progress(total, spoken().gettext(N_("notebook"))) as bar,
        ):
            while ready or running:
                for task in ready:
                    self.record[task.name] = {"status": "outstanding"}
                    running[pool.submit(self._job(task, scratch))] = task
                self._save()
                bar.set_postfix_str(", ".join(task.name for task in running.values()))
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task = running.pop(future)
                    self._finish(task, future)
                    if bar.disable:
                        self.say(_told(task.name, self.record[task.name]["status"]))
                ready = self._ready(workers - len(running))
                bar.n = total - len(self.waiting) - len(running) - len(ready)
                bar.refresh()
            self._save()
        return self.outcome

    def _ready(self, slots: int) -> list[NotebookRun]:
        """Take from the waiting tasks those to run now; settle those that are up to date or can never run."""
        ready: list[NotebookRun] = []
        for task in list(self.waiting.values()):
            failed = [need for need in task.needs if need in self.outcome.error or need in self.outcome.skipped]
            if failed:
                self._settle(task, "skipped", self._needs(failed[0]))
            elif all(need not in self.waiting and self._done(need) for need in task.needs):
                if self._current(task):
                    del self.waiting[task.name]
                    self.outcome.current.append(task.name)
                elif len(ready) < slots:
                    ready.append(self.waiting.pop(task.name))
        return ready

    def _done(self, name: str) -> bool:
        return name in self.outcome.ran or name in self.outcome.current

    def _needs(self, name: str) -> PipelineError:
        form = N_("needs {name}, which failed") if name in self.outcome.error else N_("needs {name}, which was skipped")
        return PipelineError(form, name=name)

    def _key(self, task: NotebookRun) -> Key:
        return self.today[task.executed]

    def _current(self, task: NotebookRun) -> bool:
        entry = self.record.get(task.name, {})
        outputs = entry.get("outputs")
        return bool(
            entry.get("status") == "complete"
            and entry.get("key") == self._key(task).digest
            and entry.get("read") == self._read(task)
            and isinstance(outputs, dict)
            and all(self._as_left(self.root / name, digest) for name, digest in outputs.items())
        )

    def _as_left(self, path: Path, digest: str) -> bool:
        if not path.is_file() or sha256(path) != digest:
            return False
        if not path.is_relative_to(self.study.reports):
            return True
        name = path.relative_to(self.study.reports).as_posix()
        return self.listing.get(name) == Made(digest, self.today.get(name, self.today["results.json"]))

    def _read(self, task: NotebookRun) -> dict[str, str]:
        """What the notebooks that a task needs left for it, as they left it."""
        return {
            name: digest
            for need in task.needs
            for name, digest in self.record[need]["outputs"].items()
            if not name.endswith(".ipynb")  # what a notebook says in prose is no input of the next one
        }

    def _outputs(self, task: NotebookRun) -> dict[str, str]:
        """SHA-256 of what a task left, by path relative to the root."""
        reports = self.study.reports
        paths = [*task.outputs, reports / task.executed]
        if language := task.parameters.get("language"):
            figures = (f"figures/*.{language}.svg", "figures/*.csv")
            names = [name for name in listed(self.study) if any(fnmatchcase(name, like) for like in figures)]
            paths += [reports / name for name in names]
        return {os.path.relpath(path, self.root): sha256(path) for path in paths}

    def _job(self, task: NotebookRun, scratch: Path) -> Job:
        notebook = self.notebooks / f"{task.notebook}.ipynb"
        executed = self.study.reports / task.executed
        return Job(notebook, task.parameters, self.root, executed, task.outputs, scratch)

    def _finish(self, task: NotebookRun, future: Future[None]) -> None:
        try:
            future.result()
        except (PipelineError, DataError) as error:
            self._settle(task, "error", error)
            return
        except BrokenProcessPool:
            died = PipelineError(N_("its worker process died (killed, or out of memory); run again"))
            self._settle(task, "error", died)
            return
        key = self._key(task)
        list_made(self.study, key, task.executed)
        done = {"key": key.digest, "read": self._read(task), "outputs": self._outputs(task)}
        self.record[task.name] = {"status": "complete", **done}
        self.outcome.ran.append(task.name)

    def _settle(self, task: NotebookRun, status: str, reason: VirtioStudyError) -> None:
        self.waiting.pop(task.name, None)
        self.record[task.name] = {"status": status, "reason": str(reason)}
        (self.outcome.error if status == "error" else self.outcome.skipped)[task.name] = reason

    def _save(self) -> None:
        text = json.dumps({"version": 1, "tasks": self.record}, indent=1, sort_keys=True) + "\n"
        write_atomically(self.path, text.encode())


def _told(name: str, status: str) -> Said:
    forms = {"complete": N_("{name}: complete"), "error": N_("{name}: error"), "skipped": N_("{name}: skipped")}
    return said(forms[status], name=name)


def _read_record(path: Path) -> dict[str, Any]:
    # A damaged run manifest costs a run of everything, never a wrong result.
    try:
        tasks = json.loads(path.read_bytes())["tasks"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return tasks if isinstance(tasks, dict) else {}
