"""One at a time: locks that the kernel lets go when their holder dies, and that say who it is."""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from virtio_study.errors import VirtioStudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.storage.files import saying_why

__all__ = ["locked", "scratch_folder"]

LOOK_AGAIN_S = 0.05

CHANGING_HANDS_S = 1.0
"""A lock whose holder does not say its name may be let go, or have been taken, at this moment."""

LET_GO = b"{}"
"""What is in the file of a lock that nobody holds; who failed or was killed leaves a name there, or nothing."""

OWNER = ".owner"
"""The file of a temporary folder whose lock tells that its program lives."""


@contextmanager
def locked(path: Path, busy: Callable[[Said], VirtioStudyError] | None = None, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock of a file while the block runs, which is given whether the holder before let it go by itself.

    Parameters
    ----------
    path : Path
        Of the lock file, which stays; whoever holds the lock is written in it.
    busy : callable, optional
        Of who holds the lock, the error to raise then; without it the lock is waited for as long as it takes.
    wait_s : float
        How long the lock is waited for before that error.
    """
    with saying_why(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+", buffering=0)
    with file:
        until = time.monotonic() + wait_s
        while not _take(file):
            if busy is not None and time.monotonic() >= until:
                holder = _holder(file)
                if holder or time.monotonic() >= until + CHANGING_HANDS_S:
                    raise busy(holder or said(N_("a program that does not say which")))
            time.sleep(LOOK_AGAIN_S)
        file.seek(0)
        let_go = file.read(len(LET_GO) + 1) == LET_GO
        _write_over(file, json.dumps(_self()).encode())
        yield let_go
        _write_over(file, LET_GO)


def _write_over(file: IO[Any], content: bytes) -> None:
    with contextlib.suppress(OSError):  # on a full disk it is held all the same, and nameless
        file.truncate(0)
        file.write(content)


def _take(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _self() -> dict[str, str | int]:
    words = [Path(sys.argv[0]).name.replace("__main__.py", "virtio-study"), *sys.argv[1:]]
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    return {"command": " ".join(words)[:120], "pid": os.getpid(), "host": platform.node(), "since": since}


def _holder(file: IO[Any]) -> Said | None:
    """Who holds a lock; None where nobody says so, as while it changes hands."""
    try:
        file.seek(0)
        told = json.loads(file.read(1000))
        return said(N_("{command}, process {pid} on {host} since {since} UTC"), **{key: told[key] for key in _self()})
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder of this program; those that killed programs left are removed first."""
    for owner in Path(tempfile.gettempdir()).glob(f"vs-*/{OWNER}"):
        with contextlib.suppress(OSError), owner.open() as file:
            if os.fstat(file.fileno()).st_uid == os.getuid() and _take(file):
                _remove(owner.parent)
    with tempfile.TemporaryDirectory(prefix="vs-", ignore_cleanup_errors=True) as name:
        hidden = Path(name) / f"{OWNER}-yet-unlocked"
        with hidden.open("w") as file:
            _take(file)
            hidden.rename(Path(name) / OWNER)
            yield Path(name)


def _remove(folder: Path) -> None:
    """Remove a folder, and last of all its owner's file, by which the next start knows it if this one is killed."""
    for path in folder.iterdir():
        if path.name == OWNER:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
