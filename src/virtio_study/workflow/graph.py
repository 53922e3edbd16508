"""Which notebook runs for what, and what it needs, reads and writes."""

from dataclasses import dataclass
from pathlib import Path

from virtio_study.errors import StudyError
from virtio_study.i18n.language import LANGUAGES
from virtio_study.i18n.marks import N_
from virtio_study.storage import shipped
from virtio_study.study import Study

__all__ = ["NotebookRun", "find_notebooks", "pages", "plan"]


@dataclass(frozen=True)
class NotebookRun:
    """One notebook with its parameters: what it writes (`outputs`), and what must run before (`needs`)."""

    notebook: str
    parameters: dict[str, str]
    needs: tuple[str, ...]
    outputs: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Notebook, then server, driver configuration or language: `3_describe-versat-virtio`."""
        return "-".join([self.notebook, *(v for k, v in self.parameters.items() if k != "study")])

    @property
    def executed(self) -> str:
        """Its executed copy, relative to the study's reports."""
        return f"notebooks/{self.name}.ipynb"


def plan(study: Study, servers: list[str] | None = None) -> list[NotebookRun]:
    """Tasks of a study, each after those it needs. With `servers`, theirs alone, without the report."""
    tasks: list[NotebookRun] = []
    for server in servers or study.servers:
        for config in study.driver_configs:
            tasks += _recording_tasks(study, server, config)
        needs = tuple(
            f"{step}-{server}-{config}" for step in ("2_clean", "3_describe") for config in study.driver_configs
        )
        parameters = {"study": study.name, "server": server}
        tasks.append(NotebookRun("4_compare", parameters, needs, (study.work / f"{server}.effects.json",)))
    if servers:
        return tasks
    needs = tuple(task.name for task in tasks)
    for language, page in pages(study).items():
        parameters = {"study": study.name, "language": language}
        tasks.append(NotebookRun("5_report", parameters, needs, (study.reports / "results.json", page)))
    return tasks


def pages(study: Study) -> dict[str, Path]:
    """Language -> page of a study's report."""
    return {language: study.reports / f"index.{language}.html" for language in LANGUAGES}


def _recording_tasks(study: Study, server: str, config: str) -> list[NotebookRun]:
    parameters = {"study": study.name, "server": server, "driver_config": config}
    place = study.work / f"{server}-{config}"
    ends = ("collected.parquet", "provenance.json", "clean.parquet", "periods.json", "levels.json")
    collected, provenance, clean, periods, levels = (Path(f"{place}.{end}") for end in ends)
    return [
        NotebookRun("1_collect", parameters, (), (collected, provenance)),
        NotebookRun("2_clean", parameters, (f"1_collect-{server}-{config}",), (clean, periods)),
        NotebookRun("3_describe", parameters, (f"2_clean-{server}-{config}",), (levels,)),
    ]


def find_notebooks(study: Study) -> Path:
    """Folder of the notebooks: beside the study's `data/`, or those that come with this package."""
    candidates = [study.reports.parent.parent / "notebooks", shipped("notebooks")]
    for folder in candidates:
        if (folder / "1_collect.ipynb").is_file():
            return folder
    raise StudyError(
        N_("no notebooks: looked in {first} and {second}; install virtio-study again"),
        first=candidates[0],
        second=candidates[1],
    )
