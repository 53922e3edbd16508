"""Which files a study has: `manifest.json`, and in `manifest.jsonl` what came since that was written.

The list of a few files is written anew with each change. A long one is left, and every change adds a line to the log
beside it, so that the 10,000th file costs what the 10th did; once the log is as long as the list, it is folded in. A
line says what is listed and what no longer, so that one that is read twice, after a kill, changes nothing.
"""

import hashlib
import json
import os
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtio_study.errors import DataError, NoRoomError
from virtio_study.i18n.marks import N_
from virtio_study.storage.files import append_whole, cut_unfinished, write_atomically

__all__ = [
    "LOG",
    "MANIFEST",
    "digest_of",
    "enlist",
    "files_listed",
    "fold",
    "manifest_bytes",
    "plain_bytes",
    "written_otherwise",
]

MANIFEST, LOG = "manifest.json", "manifest.jsonl"

SHORT = 65_536
"""Bytes up to which a list is written anew with every change; some 500 files."""

FORMATS = (1, 2)
"""Of `manifest.json`: a list of format 2 may have a log beside it, one of format 1 has none."""


@dataclass
class _Read:
    """What this process has read of a long list: the files it was read from, and how far the log."""

    of: tuple[int, ...]
    files: dict[str, str]
    until: int = 0


_known: dict[Path, _Read] = {}
_reading = threading.Lock()


def files_listed(folder: Path) -> dict[str, str]:
    """Listed files of a study and their SHA-256; empty if nothing was recorded yet.

    Raises
    ------
    DataError
        If the list, or a line of its log, is not as it was written.
    """
    with _reading:
        return dict(_newest(folder))


def digest_of(folder: Path, name: str) -> str | None:
    """SHA-256 of one listed file, None if it is not listed; `DataError` as `files_listed`."""
    with _reading:
        return _newest(folder).get(name)


def _newest(folder: Path) -> dict[str, str]:
    """The list, of which a long one is read once by a process, and then what was added to its log."""
    while True:
        of = _identity(folder)
        known = _known.get(folder)
        if known is None or known.of != of:
            known = _Read(of, _base(folder))
        try:
            _catch_up(known, folder / LOG)
        except DataError:
            if _identity(folder) == of:
                raise
        if _identity(folder) == of:  # else it was folded meanwhile
            break
    _known.clear()
    if of and of[2] >= SHORT:
        _known[folder] = known
    return known.files


def _identity(folder: Path) -> tuple[int, ...]:
    """What changes when a list is written anew, or its log begins."""
    try:
        base = (folder / MANIFEST).stat()
    except FileNotFoundError:
        return ()
    found = (base.st_ino, base.st_mtime_ns, base.st_size)
    with suppress(FileNotFoundError):
        return (*found, (folder / LOG).stat().st_ino)
    return found


def _base(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if (log := folder / LOG).exists():
            form = N_("{path}: missing, though {log} goes on from it; restore it from version control")
            raise DataError(form, path=path, log=log.name) from None
        return {}
    try:
        found = json.loads(content)
        if found.get("version", 1) not in FORMATS:
            form = N_("{path}: a manifest of format {version}; install the virtio-study that wrote it, or a later one")
            raise DataError(form, path=path, version=str(found["version"])[:20])
        return {str(name): str(digest) for name, digest in found["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            N_("{path}: not a manifest ({error}); restore it from version control"), path=path, error=error
        ) from error


def _catch_up(known: _Read, path: Path) -> None:
    """Take in the whole lines of a log that were not read yet; behind the last one a line may be being added."""
    try:
        with path.open("rb") as file:
            file.seek(known.until)
            added = file.read()
    except FileNotFoundError:
        return
    *lines, _begun = added.split(b"\n")
    for line in lines:
        written, gone = _entry(line, path)
        for name in gone:
            known.files.pop(name, None)
        known.files |= written
        known.until += len(line) + 1


def _line(written: Mapping[str, str], gone: Collection[str]) -> bytes:
    """A change of the list, with a checksum of its own: an old line may tell of no file that is still there."""
    told: dict[str, Any] = {"gone": sorted(gone), "written": dict(sorted(written.items()))}
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return json.dumps({**told, "sha256": digest}).encode() + b"\n"


def _entry(line: bytes, path: Path) -> tuple[dict[str, str], list[str]]:
    try:
        told = json.loads(line)
        written, gone = dict(told["written"]), list(told["gone"])
        if _line(written, gone) != line + b"\n":
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        form = N_("{path}: a line is not as it was written ({line:cause}); restore it from version control")
        raise DataError(form, path=path, line=line[:60].decode(errors="replace")) from error
    return written, gone


def enlist(folder: Path, written: Mapping[str, str], gone: Collection[str] = ()) -> None:
    """List files with their SHA-256, and others no longer; the caller is the study's one writer.

    Raises
    ------
    NoRoomError, DataError
        If that cannot be written; the list is as it was then.
    """
    base, log = folder / MANIFEST, folder / LOG
    if not _may_have_log(base):
        files = files_listed(folder)
        for name in gone:
            files.pop(name, None)
        _write_anew(folder, files | dict(written))
        return
    line = _line(written, gone)
    if log.exists():
        cut_unfinished(log)
        append_whole({log: line})
    else:
        write_atomically(log, line)
    if log.stat().st_size >= base.stat().st_size:
        with suppress(NoRoomError):  # the line is there, and a log may be longer
            fold(folder)


def _may_have_log(base: Path) -> bool:
    try:
        with base.open("rb") as file:
            return os.fstat(file.fileno()).st_size >= SHORT and file.read(len(_LONG)) == _LONG
    except FileNotFoundError:
        return False


def fold(folder: Path) -> int:
    """Write the list anew, without a log, and return the number of changes that were in the log; by its one writer."""
    try:
        changes = (folder / LOG).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
    _write_anew(folder, files_listed(folder))
    return changes


def _write_anew(folder: Path, files: Mapping[str, str]) -> None:
    write_atomically(folder / MANIFEST, manifest_bytes(files))
    (folder / LOG).unlink(missing_ok=True)  # a kill before this leaves lines that say what the list says


def manifest_bytes(files: Mapping[str, str]) -> bytes:
    """The list of files and their SHA-256, as it is written."""
    content = plain_bytes(files)
    return content if len(content) < SHORT else content.replace(_PLAIN, _LONG, 1)


def plain_bytes(files: Mapping[str, str]) -> bytes:
    """The list of files and their SHA-256 in format 1, which is the same whatever is in a log."""
    return (json.dumps({"version": 1, "files": dict(sorted(files.items()))}, indent=1) + "\n").encode()


_PLAIN, _LONG = b'{\n "version": 1,', b'{\n "version": 2,'


def written_otherwise(folder: Path) -> bool:
    """Whether the bytes of `manifest.json` are not those that it is written with, though it says the same."""
    path = folder / MANIFEST
    if not path.exists():
        return False
    files = _base(folder)
    return path.read_bytes() not in (manifest_bytes(files), plain_bytes(files))
