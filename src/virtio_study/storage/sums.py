"""Checksums of a file that still grows: one line a piece, in a file beside it, as `BEGIN END SHA-256`."""

import hashlib
import re
from pathlib import Path

__all__ = ["as_summed", "files_summed", "summed", "sums_of"]

ENDING = ".sums"

LONGEST = 200
"""Bytes that a line of checksums has at most."""


def sums_of(path: Path) -> Path:
    """The file of a file's checksums."""
    return path.with_name(f".{path.name}{ENDING}")


def files_summed(folder: Path) -> list[Path]:
    """Files of a folder that have checksums, whether they are there or not."""
    return [path.with_name(path.name[1 : -len(ENDING)]) for path in sorted(folder.glob(f".*{ENDING}"))]


def summed(path: Path) -> int:
    """How many bytes of a file have a checksum, as the last line has it; 0 if there is none."""
    try:
        with sums_of(path).open("rb") as file:
            file.seek(max(0, sums_of(path).stat().st_size - LONGEST))
            return int(file.read().splitlines()[-1].split()[1])
    except (FileNotFoundError, IndexError, ValueError):
        return 0


def as_summed(path: Path) -> bool:
    """Whether all of a file that has a checksum is as it was when that was written.

    What is behind the last checksum was being added when the program was killed.
    """
    try:
        lines = sums_of(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return True
    at = 0
    with path.open("rb") as file:
        for number, line in enumerate(lines):
            found = _LINE.fullmatch(line)
            if found is None:
                # behind the last line end is nothing, or the beginning of a line that was being added
                return number == len(lines) - 1 and _BEGUN.fullmatch(line) is not None
            begin, end = int(found[1]), int(found[2])
            if begin != at or end < at or hashlib.sha256(file.read(end - at)).hexdigest() != found[3].decode("ascii"):
                return False
            at = end
    return True


_NUMBER = rb"(0|[1-9][0-9]*)"
_LINE = re.compile(_NUMBER + b" " + _NUMBER + rb" ([0-9a-f]{64})")
_BEGUN = re.compile(rb"([0-9]+( ([0-9]+( [0-9a-f]{0,63})?)?)?)?")
