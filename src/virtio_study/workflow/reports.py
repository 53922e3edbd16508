"""What a study has in `reports/`: every file listed with its SHA-256 and the key of what it was made of.

The list is `reports/<study>/manifest.json` and is kept with the reports, so that a changed, missing or strange file and
a report of another protocol, other code or other inputs are found by anyone, on any machine.
"""

import hashlib
import json
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Said, said
from virtio_study.storage import json_bytes, locked, sha256, write_atomically
from virtio_study.study import Study
from virtio_study.workflow.graph import find_notebooks, plan
from virtio_study.workflow.keys import Key, Keys

__all__ = [
    "ENVIRONMENT",
    "MANIFEST",
    "Made",
    "check_reports",
    "files_present",
    "list_made",
    "listed",
    "publish",
    "read_list",
    "todays",
    "up_to_date",
    "withdraw",
]

MANIFEST = "manifest.json"
"""The list of a study's reports, in their folder."""

ENVIRONMENT = "environment.json"
"""Where results were made, beside them: what differs between machines, and no result may depend on."""


@dataclass(frozen=True)
class Made:
    """A file of a report: its SHA-256 when it was made, and what it was made of."""

    sha256: str
    key: Key


def publish(study: Study, key: Key, files: dict[str, bytes], instead_of: tuple[str, ...] = ()) -> None:
    """Write files of a report and list them.

    Parameters
    ----------
    study : Study
    key : Key
        What the files were made of.
    files : dict
        Name relative to `reports/<study>/` -> content.
    instead_of : tuple of str
        Patterns of names: listed files like them that are not among `files` were made by an earlier run of the same
        step, and are removed as `withdraw` does it.
    """
    for name, content in files.items():
        path = study.reports / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
    made = {name: Made(hashlib.sha256(content).hexdigest(), key) for name, content in files.items()}
    _update(study, made, instead_of, files)


def list_made(study: Study, key: Key, name: str) -> None:
    """List a file of a report that another program wrote, as it is now."""
    _update(study, {name: Made(sha256(study.reports / name), key)}, (), ())


def withdraw(study: Study, like: str, but: Collection[str]) -> None:
    """Remove listed files whose name is like a pattern, but for some; a file that somebody changed since stays."""
    _update(study, {}, (like,), but)


def listed(study: Study) -> dict[str, Made]:
    """Files of a study's report as they were made; see `read_list`."""
    return read_list(study.reports)


def read_list(folder: Path) -> dict[str, Made]:
    """Files that the list of a report's folder has, by name; empty if there is no list.

    Raises
    ------
    DataError
        If the list is damaged.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
        keys = {digest: Key(**parts) for digest, parts in found["keys"].items()}
        return {name: Made(item["sha256"], keys[item["key"]]) for name, item in found["files"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = N_("{path}: not a list of reports ({error}); {again}")
        raise DataError(message, path=path, error=error, again=_again(folder.name)) from error


def files_present(folder: Path) -> set[str]:
    """Names of the files that are in a report's folder, without the list itself, hidden files and archives."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {
        name
        for name in names - {MANIFEST}
        if not name.endswith(".zip") and not any(part.startswith(".") for part in name.split("/"))
    }


def check_reports(study: Study) -> list[DataError]:
    """An error of one line for everything that is wrong with a study's report; nothing if none was made yet.

    Found are files that are missing, changed or not listed, and files that were made of another protocol, other code or
    other inputs than today's.
    """
    there = files_present(study.reports)
    try:
        files = listed(study)
    except DataError as error:
        return [error]
    if not files:
        return [_missing(study, MANIFEST)] if there else []
    today = todays(Keys(study))
    problems: list[DataError | None] = [*_stale(study, files, today), _list_as_written(study, files)]
    problems += [_as_made(study, name, files) for name in sorted(files.keys() | today.keys() | there)]
    return [problem for problem in problems if problem]


def up_to_date(study: Study, name: str) -> Path:
    """Path of a file of a study's report, which is there, as it was made, and made of what is there today.

    Raises
    ------
    DataError
        If it is not; the line says what makes it again.
    """
    files = listed(study)
    made = {name: files[name]} if name in files else {}
    problem = _as_made(study, name, files) or next(iter(_stale(study, made, {name: Keys(study).reported})), None)
    if problem:
        raise problem
    return study.reports / name


def _as_made(study: Study, name: str, files: dict[str, Made]) -> DataError | None:
    """What is wrong with one file of a report, whatever it was made of."""
    path = study.reports / name
    if not path.is_file():
        return _missing(study, name)
    if name not in files:
        message = N_("{path}: not in {manifest}, so no step made it; remove it")
        return DataError(message, path=path, manifest=study.reports / MANIFEST)
    if sha256(path) != files[name].sha256:
        message = N_("{path}: changed since it was made (SHA-256 differs from the manifest); {again}")
        return DataError(message, path=path, again=_again(study.name))
    return None


def todays(keys: Keys, notebooks: Path | None = None) -> dict[str, Key]:
    """Keys that the files of a complete report have today; what is not among them has the one of `results.json`.

    Parameters
    ----------
    keys : Keys
        Of the study.
    notebooks : Path, optional
        Folder of the notebooks; see `find_notebooks`.
    """
    study, reported = keys.study, keys.reported
    names = {"results.json": reported, ENVIRONMENT: reported}
    if study.source == "published":
        return names
    folder = notebooks or find_notebooks(study)
    for task in plan(study):
        names[task.executed] = keys.executed(folder / f"{task.notebook}.ipynb", task.parameters)
        made = [path for path in task.outputs if path.is_relative_to(study.reports)]
        names |= {path.relative_to(study.reports).as_posix(): reported for path in made}
    return names


def _stale(study: Study, files: dict[str, Made], today: dict[str, Key]) -> list[DataError]:
    """One error for all files that are stale for the same reason."""
    reasons: dict[tuple[str, ...], list[str]] = {}
    for name, made in files.items():
        changes = tuple(made.key.changes(today.get(name) or today["results.json"]))
        if changes:
            reasons.setdefault(changes, []).append(name)
    problems = []
    for changes, names in reasons.items():
        first = min(names, key=lambda name: (name != "results.json", name.count("/"), name))
        message = plural(
            len(names),
            "{count} file, {path}: made before {changes} changed; {again}",
            "{count} files, such as {path}: made before {changes} changed; {again}",
        )
        path, again = study.reports / first, _again(study.name)
        problems.append(DataError(message, count=len(names), path=path, changes=list(changes), again=again))
    return problems


def _list_bytes(files: dict[str, Made]) -> bytes:
    """The list of files, as it is written."""
    return json_bytes(
        {
            "version": 1,
            "files": {name: {"sha256": item.sha256, "key": item.key.digest} for name, item in files.items()},
            "keys": {item.key.digest: asdict(item.key) for item in files.values()},
        }
    )


def _list_as_written(study: Study, files: dict[str, Made]) -> DataError | None:
    """What is wrong with the list itself, though it says the same."""
    path = study.reports / MANIFEST
    if path.read_bytes() == _list_bytes(files):
        return None
    return DataError(N_("{path}: changed since it was written; {again}"), path=path, again=_again(study.name))


def _missing(study: Study, name: str) -> DataError:
    return DataError(N_("{path}: missing; {again}"), path=study.reports / name, again=_again(study.name))


def _again(study: str) -> Said:
    return said(N_("make it again with: virtio-study run {study}"), study=shlex.quote(study))


def _update(study: Study, made: dict[str, Made], like: tuple[str, ...], but: Collection[str]) -> None:
    with locked(study.reports / ".run" / "listing.lock"):
        try:
            files = listed(study)
        except DataError:  # `check_reports` says so; what is made now is listed anew
            files = {}
        gone = {name for name in files if name not in but and any(fnmatchcase(name, pattern) for pattern in like)}
        for name in gone:
            path = study.reports / name
            if path.is_file() and sha256(path) == files[name].sha256:
                path.unlink()
        files = {name: item for name, item in files.items() if name not in gone} | made
        content = _list_bytes(files)
        path = study.reports / MANIFEST
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
