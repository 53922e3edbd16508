"""Writing a file whole or not at all, and saying what to do where it cannot be written."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from virtio_study.errors import DataError, NoRoomError
from virtio_study.i18n.marks import N_

__all__ = [
    "append_whole",
    "cut_unfinished",
    "json_bytes",
    "replacing",
    "saying_why",
    "sha256",
    "sweep",
    "write_atomically",
    "write_json",
]

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PART = ".part"
"""How the names of files end that are being written; the writer holds their lock, so that leftovers can be told."""


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def saying_why(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write a file into an error that says what is wrong and what to do.

    Raises
    ------
    NoRoomError
        If the disk, a quota or a limit is full.
    DataError
        If it may not be written, or the disk fails.
    """
    try:
        yield
    except OSError as error:
        if not _is_about(error, path):
            raise
        if error.errno in NO_ROOM:
            raise NoRoomError(
                N_(
                    "{path}: not written: {reason} ({free} MB free there); make room or raise the quota, then give the "
                    "same command again: what was stored before is whole"
                ),
                path=path,
                reason=os.strerror(error.errno or 0),
                free=_free_mb(path),
            ) from error
        raise DataError(
            N_("{path}: not written: {reason}; see to the disk and its permissions, then give the same command again"),
            path=path,
            reason=error.strerror or str(error),
        ) from error


def _is_about(error: OSError, path: Path) -> bool:
    """Whether an error names no other file, such as one that was read to be written here."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
    return named.parent == path.parent or path.is_relative_to(named)


def _free_mb(path: Path) -> int:
    there = next(folder for folder in path.absolute().parents if folder.exists())
    return shutil.disk_usage(there).free // 10**6


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes another's place when it is whole: readers see the old or the new content and never a
    part. Parents are made; what a killed program left of the same file is removed.

    Raises
    ------
    NoRoomError, DataError
        As `saying_why`; the old content is there then.
    """
    with saying_why(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent.glob(f".{_escaped(path.name)}.*{PART}"))
        with _part_of(path) as (file, name):
            yield file
            file.flush()
            os.fsync(file.fileno())
            name.chmod(0o644)
            name.replace(path)
        _sync_folder(path.parent)


@contextmanager
def _part_of(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file beside another, locked while it is written, and gone when that fails."""
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    while not _locked_in_time(handle):
        os.close(handle)
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    name = Path(made)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, name
    except BaseException:  # whatever ended the writing, no half file stays; raised again
        name.unlink(missing_ok=True)
        raise


def _locked_in_time(handle: int) -> bool:
    """Lock a new file; false if a sweep took it away before."""
    with contextlib.suppress(OSError):  # a file system without locks has no sweeps either
        fcntl.flock(handle, fcntl.LOCK_EX)
    return os.fstat(handle).st_nlink > 0


def sweep(parts: Iterable[Path]) -> None:
    """Remove files that were being written when their program was killed; those whose writer lives stay."""
    for path in parts:
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in name)


def _sync_folder(folder: Path) -> None:
    """Let a new name outlast a loss of power, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


def append_whole(added: Mapping[Path, bytes]) -> None:
    """Add to files; all of it is on the disk when this returns, and none of it is in a file when it fails.

    Raises
    ------
    NoRoomError, DataError
        As `saying_why`.
    """
    sizes: dict[Path, int] = {}
    try:
        for path, content in added.items():
            with saying_why(path), path.open("ab", buffering=0) as file:
                sizes[path] = file.tell()
                left = memoryview(content)
                while left:  # a nearly full disk takes a part, and says so by its length alone
                    left = left[os.write(file.fileno(), left) :]
                os.fsync(file.fileno())
    except DataError:
        for path, size in sizes.items():
            os.truncate(path, size)
        raise


def cut_unfinished(path: Path) -> None:
    """Take away a last line that was never finished; the file is made if there is none.

    Raises
    ------
    NoRoomError, DataError
        As `saying_why`.
    """
    with saying_why(path), path.open("ab+") as file:
        handle = file.fileno()
        size = place = os.fstat(handle).st_size
        while place > 0:
            start = max(0, place - 65536)
            cut = os.pread(handle, place - start, start).rfind(b"\n")
            if cut >= 0:
                place = start + cut + 1
                break
            place = start
        if place < size:
            os.ftruncate(handle, place)


def json_bytes(data: Any) -> bytes:
    """JSON that is the same to the last byte for the same data: sorted keys, no NaN, floats as computed."""
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, data: Any) -> None:
    """Write `json_bytes` of some data."""
    write_atomically(path, json_bytes(data))
