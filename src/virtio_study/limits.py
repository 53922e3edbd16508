"""How much is read of anything that comes from outside: sizes, lengths of lines, and what compressed data may grow to.

Whatever a study can need stands well below these limits; what is beyond is damage, a mistake or an attack, and is
refused in one line before the memory is gone. What is read needs ten to thirty times the memory of its text.
"""

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_

__all__ = [
    "ANSWER_BYTES",
    "ANSWER_S",
    "DOCUMENT_BYTES",
    "PROGRAM_BYTES",
    "PROTOCOL_BYTES",
    "PROTOCOL_DEPTH",
    "PROTOCOL_NODES",
    "TABLE_BYTES",
    "Printed",
    "TooMuchPrintedError",
    "beginning",
    "content",
    "may_grow_to",
    "output_of",
    "text_lines",
    "unpacked_lines",
]

ANSWER_BYTES, ANSWER_S = 16 << 20, 120.0
"""One answer of a host: the list of 10,000 servers is 5 MiB, and pveproxy gives up after 30 s."""

PROTOCOL_BYTES, PROTOCOL_NODES, PROTOCOL_DEPTH = 1 << 20, 50_000, 50
"""A protocol or mapping (YAML): bytes; values once every alias is written out; how deep they are nested."""

DOCUMENT_BYTES = 40 << 20
"""A document that is read whole, such as saved JSON."""

TABLE_BYTES = 64 << 20
"""A table in CSV: 600,000 rows, or a year of minutes."""

PROGRAM_BYTES = 64 << 20
"""What a program prints, such as `rrdtool` of a host's file: a year of minutes."""

PARQUET_ROWS, PARQUET_COLUMNS, PARQUET_BYTES, PARQUET_TEXT = 4_000_000, 64, 1 << 30, 1000
"""A recording: rows (15 months of a poll in ten seconds), columns, bytes unpacked, and characters of one text."""

DUMP_BYTES = 4 << 30
"""A dump, which is read line by line."""

LINE_BYTES = 1 << 20
LOG_LINE_BYTES = ANSWER_BYTES + (1 << 20)
"""A line of a dump or table; and one of stored answers, which holds a whole answer."""

PACKED_RATIO, PACKED_FLOOR = 300, 32 << 20
"""Compressed data may grow so many times, or to so many bytes where that is more: stored polls grow 17 to 90 times."""

BLOCK = 1 << 18


def content(path: Path, most: int = DOCUMENT_BYTES) -> bytes:
    """All of a file; `DataError` if it has more than so many bytes, `OSError` if it cannot be read."""
    with path.open("rb") as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise _too_much(path, most)
    return found


def beginning(path: Path, most: int = 4096) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(most)


def text_lines(path: Path, most: int = DUMP_BYTES) -> Iterator[str]:
    """Lines of a text file in UTF-8 with their ends; `DataError` if one is too long, or all have too many bytes."""
    if path.stat().st_size > most:
        raise _too_much(path, most)
    with path.open(encoding="utf-8-sig", newline="") as file:
        number, read = 0, 0
        while line := file.readline(LINE_BYTES + 1):
            number, read = number + 1, read + len(line)
            if len(line) > LINE_BYTES:
                raise _long_line(path, number, LINE_BYTES)
            if read > most:
                raise _too_much(path, most)
            yield line


def unpacked_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Number and text of every line of stored answers, plain or `.zst`, that is not empty, and whether it was finished.

    Raises
    ------
    DataError
        If a line is too long, or the file unpacks to far more than such files do.
    OSError, zstandard.ZstdError
        If it cannot be read, or unpacked.
    """
    if path.suffix != ".zst":
        with path.open("rb") as file:
            yield from _lines(path, file, None)
        return
    import zstandard

    grown = may_grow_to(path)
    # a frame may ask for a window of 2 GiB; what this package writes needs 8 MiB
    unpacking = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    with path.open("rb") as file, unpacking.stream_reader(file, read_across_frames=True) as reader:
        yield from _lines(path, reader, grown)


def may_grow_to(path: Path) -> int:
    """Bytes to which what is packed in a file may grow."""
    return max(PACKED_FLOOR, PACKED_RATIO * path.stat().st_size)


class TooMuchPrintedError(Exception):
    """A program printed more than is read; it was ended."""


@dataclass(frozen=True)
class Printed:
    """What a program printed to standard output and standard error, and its exit code."""

    out: str
    error: str
    code: int


def output_of(
    words: Sequence[str | bytes],
    seconds: float,
    most: int = PROGRAM_BYTES,
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Printed:
    """Run a program and read what it prints, up to a size and a time; it is ended there.

    Parameters
    ----------
    words : sequence of str or bytes
        Of the command.
    seconds, most : float, int
        That it may take, and bytes that it may print.
    given : bytes
        Its standard input; short, for it is written before anything is read.
    environment : dict, optional
        Its variables; default: those of this process.

    Raises
    ------
    TooMuchPrintedError
        If it prints more.
    subprocess.TimeoutExpired
        If it takes longer.
    OSError
        If it cannot be started.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as running:
        try:
            found = _read_both(running, given, seconds, most)
            code = running.wait(seconds)
        except BaseException:  # whatever ended the reading, the program ends too; raised again
            running.kill()
            raise
    out, error = (text.decode(errors="replace") for text in found)
    return Printed(out, error, code)


def _read_both(running: "subprocess.Popen[bytes]", given: bytes, seconds: float, most: int) -> list[bytearray]:
    assert running.stdin is not None
    until, found = time.monotonic() + seconds, [bytearray(), bytearray()]
    with contextlib.suppress(BrokenPipeError):  # it reads nothing
        running.stdin.write(given)
        running.stdin.close()
    with selectors.DefaultSelector() as ready:
        for pipe, text in zip((running.stdout, running.stderr), found, strict=True):
            assert pipe is not None
            ready.register(pipe, selectors.EVENT_READ, text)
        while ready.get_map():
            if (left := until - time.monotonic()) <= 0:
                raise subprocess.TimeoutExpired(running.args, seconds)
            for key, _ in ready.select(left):
                block = os.read(key.fd, BLOCK)
                key.data.extend(block)
                if not block:
                    ready.unregister(key.fileobj)
            if sum(map(len, found)) > most:
                raise TooMuchPrintedError
    return found


def _lines(path: Path, file: BinaryIO, grown: int | None) -> Iterator[tuple[int, bytes, bool]]:
    parts: list[bytes] = []
    number, read, size = 0, 0, 0
    while block := file.read(BLOCK):
        read += len(block)
        if grown is not None and read > grown:
            raise DataError(
                N_("{path}: unpacks to more than {most} MiB, far more than stored answers do; is it the right file?"),
                path=path,
                most=grown >> 20,
            )
        *whole, rest = block.split(b"\n")
        if whole:
            whole[0] = b"".join([*parts, whole[0]])
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        for line in whole:
            number += 1
            if line:
                yield number, line, True
        if size > LOG_LINE_BYTES:
            raise _long_line(path, number + 1, LOG_LINE_BYTES)
    if last := b"".join(parts):
        yield number + 1, last, False


def _too_much(path: Path, most: int) -> DataError:
    return DataError(
        N_(
            "{path}: more than {most} MiB, which nothing of its kind has; is it the right file? if so, give it in parts"
        ),
        path=path,
        most=most >> 20,
    )


def _long_line(path: Path, number: int, most: int) -> DataError:
    return DataError(
        N_("{path}: line {line} is longer than {most} MiB, which no line of its kind is; is it the right file?"),
        path=path,
        line=number,
        most=most >> 20,
    )
