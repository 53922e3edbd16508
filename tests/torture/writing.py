"""Every step by which a process writes below a folder, counted, and one of them (or all from it on) made to fail.

What Python's own functions hand to the system is looked at: opening, writing, making sure, renaming, removing. No
disk has to fail, and no right is needed.
"""

import builtins
import errno
import functools
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Harm"]

CREATING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NEEDS_ROOM = {"open", "write", "mkdir"}
"""Steps that a full disk refuses; it renames and removes all the same."""


@dataclass
class Harm:
    """What becomes of the steps of a process below a folder.

    Parameters
    ----------
    folder : str
    counted : str
        A file, outside the folder, that has as many bytes as there were steps.
    number : int
        The step that fails, from 0 on; -1: none.
    error : int
        Number of the system's error: `ENOSPC` from that step on, wherever room is needed; `EROFS` from that step on,
        everywhere; any other once.
    """

    folder: str
    counted: str
    number: int = -1
    error: int = errno.EIO
    _steps: int = field(default=0, init=False)

    def begin(self) -> None:
        """Look at the steps of this process from now on."""
        self._real_open, self._real_write = io.open, os.write
        self._counted = os.open(self.counted, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for name in ("mkdir", "rename", "replace", "unlink", "remove", "truncate"):
            self._watch(name, lambda path: os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "")
        for name in ("write", "fsync", "ftruncate"):
            self._watch(name, _place)
        os.open = functools.partial(self._os_open, os.open)
        io.open = builtins.open = self._open  # type: ignore[assignment]

    def step(self, kind: str, path: str) -> None:
        """Count a step; `OSError` if it is to fail."""
        if not str(Path.cwd() / path).startswith(f"{self.folder}/"):
            return
        number = self._steps
        self._steps += 1
        self._real_write(self._counted, b".")
        lasting = self.error == errno.EROFS or (self.error == errno.ENOSPC and kind in NEEDS_ROOM)
        once = self.error not in {errno.ENOSPC, errno.EROFS} and number == self.number
        if once or (lasting and 0 <= self.number <= number):
            named = () if kind in {"write", "fsync"} else (path,)
            raise OSError(self.error, os.strerror(self.error), *named)

    def _watch(self, name: str, where: Callable[[Any], str]) -> None:
        real = getattr(os, name)

        def watched(path: Any, *rest: Any, **how: Any) -> Any:
            self.step(name, where(path))
            return real(path, *rest, **how)

        setattr(os, name, watched)

    def _os_open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **how: Any) -> int:
        if flags & CREATING:
            self.step("open", os.fsdecode(path))
        return real(path, flags, *rest, **how)

    def _open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        path = _place(file) if isinstance(file, int) else str(Path.cwd() / os.fsdecode(file))
        if not set(mode) & set("wax+") or not path.startswith(f"{self.folder}/"):
            return self._real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if not isinstance(file, int):
            self.step("open", path)
        raw = _Raw(self, path, file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)


class _Raw(io.FileIO):
    """A file whose writes are steps; one that fails for want of room takes half before, as disks do."""

    def __init__(self, harm: Harm, path: str, file: Any, mode: str, closefd: bool, opener: Any) -> None:
        self._harm, self._path = harm, path
        super().__init__(file, mode, closefd, opener)

    def write(self, data: Any) -> int:
        try:
            self._harm.step("write", self._path)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data)


def _place(handle: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{handle}").readlink())
    except OSError:
        return ""
