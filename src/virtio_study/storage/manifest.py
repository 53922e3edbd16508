"""How what was recorded is listed and read again, and how files that belong together take others' places.

A set of files is replaced in four steps: the new ones are written beside, a journal says which they are, each takes its
place and the manifest theirs, and the journal goes. Whoever comes after a kill finds no journal, and all is as it was,
or does the rest of what it says.
"""

import hashlib
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from virtio_study.errors import BusyError, DataError
from virtio_study.i18n.marks import N_
from virtio_study.storage.files import sha256, sweep, write_atomically, write_json
from virtio_study.storage.listing import MANIFEST, digest_of, enlist, files_listed, fold
from virtio_study.storage.locks import locked

__all__ = [
    "add_file",
    "commit",
    "compact",
    "manifest",
    "one_writer",
    "read_verified",
    "verify_file",
]

JOURNAL, LOCK = ".commit.json", ".lock"

NEW = ".new"
"""How the names of files end that wait to take their place."""

PLACE = re.compile(r"recordings/[^/\\]+/[^\\]+|timeline\.json|counts\.json")
"""Names of what a study has of itself, but for what is kept in `raw/`."""

WAIT_S = 60.0
"""How long another writer of the study is waited for; most are done sooner."""


class _Held(threading.local):
    """Folders whose lock this thread holds."""

    def __init__(self) -> None:
        self.folders: set[Path] = set()


_held = _Held()


@contextmanager
def one_writer(folder: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Keep every other writer of a study out while the block runs; inside it, more of it costs nothing.

    What a killed writer left is done or removed first.

    Raises
    ------
    BusyError
        If another is at work for longer than `wait_s`; it says who.
    """
    place = folder.resolve()
    if place in _held.folders:
        yield
        return
    form = N_("{folder}: another program is writing this study ({who}); wait for it, or end it")
    with locked(folder / LOCK, lambda who: BusyError(form, folder=folder, who=who), wait_s) as let_go:
        _held.folders.add(place)
        try:
            if not let_go or (folder / JOURNAL).exists():  # to look for what may be left costs more the more files
                _settle(folder)
            yield
        finally:
            _held.folders.discard(place)


def _settle(folder: Path) -> None:
    if (folder / JOURNAL).exists():
        _apply(folder)
    for pattern in ("*", "raw/*", "recordings/**/*"):
        sweep(folder.glob(f"{pattern}.part"))
        for path in folder.glob(f"{pattern}{NEW}"):
            path.unlink()


def commit(folder: Path, files: Mapping[str, bytes], instead_of: Collection[str] = ()) -> None:
    """Write files of a study and list them, in place of others: all of it or nothing, whenever the program is killed.

    Parameters
    ----------
    folder : Path
        Of the study.
    files : dict
        Name relative to it -> content.
    instead_of : collection of str
        Names of listed files that go, or that are among `files` and may change.

    Raises
    ------
    DataError
        If a file is listed with another content and is not among `instead_of`.
    """
    with one_writer(folder):
        written = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for name, digest in written.items():
            if name not in instead_of and (digest_of(folder, name) or digest) != digest:
                raise _other_content(folder / name)
        gone = sorted(set(instead_of) - files.keys())
        try:
            for name, content in files.items():
                write_atomically(_waiting(folder, name), content)
            write_json(folder / JOURNAL, {"version": 1, "written": written, "gone": gone})
        except DataError:
            for name in files:  # on a full disk they would only be in the way
                _waiting(folder, name).unlink(missing_ok=True)
            raise
        _apply(folder)


def _waiting(folder: Path, name: str) -> Path:
    path = folder / name
    return path.with_name(f".{path.name}{NEW}")


def _apply(folder: Path) -> None:
    """Do what the journal says; as often as it is begun, the end is the same."""
    written, gone = _journal(folder / JOURNAL)
    for name in written:
        if (waiting := _waiting(folder, name)).exists():
            waiting.replace(folder / name)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    enlist(folder, written, gone)
    (folder / JOURNAL).unlink()


def _journal(path: Path) -> tuple[dict[str, str], list[str]]:
    """Names and digests of what takes its place, and names of what goes."""
    try:
        found = json.loads(path.read_bytes())
        written, gone = (
            {str(name): str(digest) for name, digest in found["written"].items()},
            [*map(str, found["gone"])],
        )
        # it may have come with a folder of somebody else's
        if strange := [name for name in [*written, *gone] if not PLACE.fullmatch(name) or ".." in name.split("/")]:
            raise ValueError(strange[0])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        form = N_("{path}: not a list of files that are being written ({error}); remove it, then check the study")
        raise DataError(form, path=path, error=error) from error
    return written, gone


def manifest(folder: Path) -> dict[str, str]:
    """Files of a study and their SHA-256: `{relative path: hexadecimal}`; empty if nothing was recorded yet."""
    _after_journal(folder)
    return files_listed(folder)


def _after_journal(folder: Path) -> None:
    if (folder / JOURNAL).exists():  # a writer is at work, or was killed
        with one_writer(folder):
            pass


def _digest_of(folder: Path, name: str) -> str | None:
    _after_journal(folder)
    return digest_of(folder, name)


def compact(folder: Path) -> int:
    """Fold what was listed since the manifest was written into it, and return the number of changes that were folded.

    Raises
    ------
    BusyError, NoRoomError, DataError
        As `one_writer`, or if it cannot be read or written; nothing is lost then.
    """
    with one_writer(folder):
        return fold(folder)


def add_file(folder: Path, path: Path) -> None:
    """List a finished file in the study's manifest; a listed file with other content is refused."""
    with one_writer(folder):
        name = path.relative_to(folder).as_posix()
        listed, digest = digest_of(folder, name), sha256(path)
        if listed is None:
            enlist(folder, {name: digest})
        elif listed != digest:
            raise _other_content(path)


def _other_content(path: Path) -> DataError:
    return DataError(
        N_("{path}: already in the manifest with another content; recordings are never rewritten"), path=path
    )


def verify_file(path: Path, folder: Path, listed: dict[str, str] | None = None) -> None:
    """Check that a file is in the manifest of the study's folder and has the content it had when it was recorded.

    Parameters
    ----------
    path, folder : Path
    listed : dict, optional
        What `manifest` returns, for many files of one manifest.

    Raises
    ------
    DataError
        If the file is not listed, is missing, or changed.
    """
    recorded = _recorded(path, folder, listed)
    if sha256(path) != recorded:
        raise _changed(path, folder, recorded)


def read_verified(path: Path, folder: Path, listed: dict[str, str] | None = None) -> bytes:
    """Read a file once, and check it as `verify` does."""
    recorded = _recorded(path, folder, listed)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != recorded:
        raise _changed(path, folder, recorded)
    return content


def _recorded(path: Path, folder: Path, listed: dict[str, str] | None) -> str:
    name = path.relative_to(folder).as_posix()
    digest = _digest_of(folder, name) if listed is None else listed.get(name)
    if digest is None:
        raise DataError(
            N_("{path}: not in {manifest}; record it, or restore the manifest"),
            path=path,
            manifest=folder / MANIFEST,
        )
    if not path.exists():
        if _digest_of(folder, name) is None:
            raise DataError(N_("{path}: was recorded anew meanwhile; give the same command again"), path=path)
        raise DataError(N_("{path}: listed in the manifest but missing; restore it from version control"), path=path)
    return digest


def _changed(path: Path, folder: Path, recorded: str) -> DataError:
    if _digest_of(folder, path.relative_to(folder).as_posix()) != recorded:
        return DataError(N_("{path}: was recorded anew meanwhile; give the same command again"), path=path)
    return DataError(
        N_("{path}: changed since it was recorded (SHA-256 differs from the manifest); restore it"), path=path
    )
