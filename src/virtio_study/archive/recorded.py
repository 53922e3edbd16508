"""Results as they stand somewhere, with what was recorded about their making."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.limits import content
from virtio_study.storage import sha256
from virtio_study.study import Study, load_study
from virtio_study.workflow.reports import ENVIRONMENT, Made, read_list

__all__ = ["RecordedResults", "read_results"]


@dataclass(frozen=True)
class RecordedResults:
    """Results, and what is known of their making.

    `environment` is empty if none was recorded; `code` is the key of the code that made them, or None. `as_listed` says
    whether the file is the one that the list beside it names; None if there is no such list. `study` is there if its
    results were asked for by its name.
    """

    path: Path
    results: dict[str, Any]
    environment: dict[str, Any]
    code: str | None
    as_listed: bool | None
    study: Study | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The results with what is known of their making, for a comparison."""
        known = {"environment": self.environment, "code": self.code}
        return self.results | {name: value for name, value in known.items() if value}


def read_results(place: str | Path) -> RecordedResults:
    """Find and read results.

    Parameters
    ----------
    place : str or Path
        A `results.json`, the folder that holds it, a study's folder or protocol, or the name of a study.

    Raises
    ------
    DataError
        If there is none, or it is not JSON of this package.
    StudyError
        If it is neither a file nor a folder with results, and no study either.
    """
    path, study = Path(place), None
    if path.is_dir() and (path / "results.json").is_file():
        path = path / "results.json"
    elif not path.is_file() or path.suffix in {".yaml", ".yml"}:
        study = load_study(place)
        path = study.reports / "results.json"
        if not path.is_file():
            raise DataError(
                N_("{path}: no results yet; make them with: virtio-study run {study}"),
                path=path,
                study=shlex.quote(study.name),
            )
    results = _json(path)
    if not isinstance(results, dict) or not isinstance(results.get("provenance"), dict):
        raise DataError(
            N_("{path}: not results of virtio-study (no provenance); give a results.json that it wrote"), path=path
        )
    beside = path.with_name(ENVIRONMENT)
    environment = _json(beside) if beside.is_file() else {}
    made = _listed(path)
    as_listed = None if made is None else made.sha256 == sha256(path)
    code = made.key.code if made and as_listed else None
    return RecordedResults(path, results, environment if isinstance(environment, dict) else {}, code, as_listed, study)


def _json(path: Path) -> Any:
    try:
        return json.loads(content(path))
    except (ValueError, RecursionError) as error:
        raise DataError(
            N_("{path}: not JSON ({error}); make the results again, or restore them"), path=path, error=error
        ) from error


def _listed(path: Path) -> Made | None:
    try:
        return read_list(path.parent).get(path.name)
    except DataError:  # a list that cannot be read says nothing of the results
        return None
