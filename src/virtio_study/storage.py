"""Files of a study: atomic writing, checksums, and the manifest that lists what was recorded.

Needs the standard library alone, so that finding out that nothing changed is quick.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from virtio_study.errors import DataError, VirtioStudyError
from virtio_study.i18n.marks import N_

__all__ = [
    "PACKAGE",
    "SHIPPED",
    "add_file",
    "json_bytes",
    "locked",
    "manifest",
    "read_verified",
    "replacing",
    "sha256",
    "shipped",
    "unlist",
    "verify_file",
    "write_atomically",
    "write_json",
]

PACKAGE = Path(__file__).parent
"""Folder of this package."""

SHIPPED = "shipped"
"""Folder of an installed package that holds what stands beside `src/` in a checkout; see `hatch_build.py`."""


def shipped(name: str) -> Path:
    """Where something stands that comes with this package and is none of its code, such as `notebooks`."""
    inside = PACKAGE / SHIPPED / name
    return inside if inside.exists() else PACKAGE.parents[1] / name


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes another's place when it is whole: readers see the old or the new content and never a
    part. Parents are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:  # whatever ended the writing, no half file stays; raised again below
        Path(name).unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def locked(path: Path, busy: VirtioStudyError | None = None) -> Iterator[None]:
    """Hold a lock file's lock; where another program holds it, raise `busy`, or wait if there is none."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            assert busy is not None  # without it the lock is waited for
            raise busy from None
        yield


def json_bytes(data: Any) -> bytes:
    """JSON that is the same to the last byte for the same data: sorted keys, no NaN, floats as computed."""
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, data: Any) -> None:
    """Write `json_bytes` of some data."""
    write_atomically(path, json_bytes(data))


def manifest(folder: Path) -> dict[str, str]:
    """Files of a study and their SHA-256: `{relative path: hexadecimal}`; empty if nothing was recorded yet."""
    path = folder / "manifest.json"
    if not path.exists():
        return {}
    try:
        files = json.loads(path.read_bytes())["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            N_("{path}: not a manifest ({error}); restore it from version control"), path=path, error=error
        ) from error


def add_file(folder: Path, path: Path) -> None:
    """List a finished file in the study's manifest; a listed file with other content is refused."""
    files = manifest(folder)
    name = path.relative_to(folder).as_posix()
    digest = sha256(path)
    if files.get(name, digest) != digest:
        raise DataError(
            N_("{path}: already in the manifest with another content; recordings are never rewritten"), path=path
        )
    files[name] = digest
    _write_manifest(folder, files)


def unlist(folder: Path, path: Path) -> None:
    """Take a file out of the study's manifest, so that another may be written in its place; the file itself stays."""
    files = manifest(folder)
    files.pop(path.relative_to(folder).as_posix(), None)
    _write_manifest(folder, files)


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
        raise _changed(path)


def read_verified(path: Path, folder: Path, listed: dict[str, str] | None = None) -> bytes:
    """Read a file once, and check it as `verify` does."""
    recorded = _recorded(path, folder, listed)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != recorded:
        raise _changed(path)
    return content


def _recorded(path: Path, folder: Path, listed: dict[str, str] | None) -> str:
    digest = (manifest(folder) if listed is None else listed).get(path.relative_to(folder).as_posix())
    if digest is None:
        raise DataError(
            N_("{path}: not in {manifest}; record it, or restore the manifest"),
            path=path,
            manifest=folder / "manifest.json",
        )
    if not path.exists():
        raise DataError(N_("{path}: listed in the manifest but missing; restore it from version control"), path=path)
    return digest


def _changed(path: Path) -> DataError:
    return DataError(
        N_("{path}: changed since it was recorded (SHA-256 differs from the manifest); restore it"), path=path
    )


def _write_manifest(folder: Path, files: dict[str, str]) -> None:
    text = json.dumps({"version": 1, "files": dict(sorted(files.items()))}, indent=1) + "\n"
    write_atomically(folder / "manifest.json", text.encode())
