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
from typing import IO, TYPE_CHECKING, BinaryIO

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

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
    "parquet",
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

PAGE_UNPACKED, PAGE_PACKED = 2, 3
"""Numbers of the sizes in the header of a Parquet page (https://github.com/apache/parquet-format, `PageHeader`)."""

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


def parquet(source: "Path | IO[bytes] | pa.BufferReader", path: Path, columns: list[str] | None = None) -> "pa.Table":
    """Table of a Parquet file, once what the file says of itself is of a sensible size.

    Parameters
    ----------
    source : path or file
        To read it from.
    path : Path
        What to call it in an error.
    columns : list of str, optional
        Those to read.

    Raises
    ------
    DataError
        If it has too many rows, columns, bytes or too long a text, or its pages unpack to more than it says.
    pyarrow.ArrowException, OSError
        If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        known, fields = file.metadata, file.schema_arrow
        groups = [known.row_group(number) for number in range(known.num_row_groups)]
        chunks = [group.column(number) for group in groups for number in range(known.num_columns)]
        unpacked = sum(abs(chunk.total_uncompressed_size) for chunk in chunks)
        if known.num_rows > PARQUET_ROWS or known.num_columns > PARQUET_COLUMNS or unpacked > PARQUET_BYTES:
            raise DataError(
                N_(
                    "{path}: {rows} rows, {columns} columns and {size} MiB, more than a recording has; is it the right "
                    "file?"
                ),
                path=path,
                rows=known.num_rows,
                columns=known.num_columns,
                size=unpacked >> 20,
            )
        _hold_pages([chunk for chunk in chunks if columns is None or chunk.path_in_schema in columns], source, path)
        texts = [field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]
    # a text that is in every row is there once as long as it is not unpacked
    with pq.ParquetFile(source, read_dictionary=texts) as file:
        table = file.read(columns)
    for number, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        for chunk in table.column(number).chunks:
            if any(len(text) > PARQUET_TEXT for text in chunk.dictionary.to_pylist() if text is not None):
                raise DataError(
                    N_("{path}: column {name!r} has a text longer than {most} characters; is it the right file?"),
                    path=path,
                    name=field.name,
                    most=PARQUET_TEXT,
                )
        table = table.set_column(number, field.name, table.column(number).cast(fields.field(field.name).type))
    return table


def _hold_pages(
    chunks: "list[pq.ColumnChunkMetaData]", source: "Path | IO[bytes] | pa.BufferReader", path: Path
) -> None:
    """`DataError` if pages unpack to more than the end of the file says of them: each is unpacked as it says itself."""
    import pyarrow as pa

    # closed by itself where it was opened here
    file = pa.memory_map(str(source)) if isinstance(source, Path) else source
    for chunk in chunks:
        starts = [chunk.data_page_offset, chunk.dictionary_page_offset]
        file.seek(min(start for start in starts if start is not None))
        pages = memoryview(file.read(chunk.total_compressed_size))
        place = unpacked = 0
        try:
            while place < len(pages):
                sizes, place = _integers(pages, place)
                size, packed = sizes[PAGE_UNPACKED], sizes[PAGE_PACKED]
                unpacked, place = unpacked + size, place + packed
                if min(size, packed) < 0 or unpacked > chunk.total_uncompressed_size:
                    raise _more_than_said(path, chunk.path_in_schema)
        except (IndexError, KeyError) as error:
            raise pa.ArrowInvalid("a page without a header") from error
    file.seek(0)


def _integers(text: memoryview, place: int, depth: int = 0) -> tuple[dict[int, int], int]:
    """Integers of a struct in Thrift's compact protocol by the number of their field, and where it ends.

    https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
    """
    found: dict[int, int] = {}
    number = 0
    while head := text[place]:
        number, place = (number + (head >> 4), place + 1) if head >> 4 else _integer(text, place + 1)
        kind = head & 15
        if kind in {4, 5, 6}:
            found[number], place = _integer(text, place)
        elif kind == 8:  # a text
            length, place = _integer(text, place, signed=False)
            place += length
        elif kind == 12 and depth < 8:
            place = _integers(text, place, depth + 1)[1]
        elif kind == 7:
            place += 8
        elif kind not in {1, 2}:  # a truth stands in its kind; bytes, lists and maps stand in no page's header
            raise KeyError(kind)
    return found, place + 1


def _integer(text: memoryview, place: int, *, signed: bool = True) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = text[place]
        value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return ((value >> 1) ^ -(value & 1) if signed else value), place
    raise KeyError(shift)


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


def _more_than_said(path: Path, name: str) -> DataError:
    return DataError(
        N_("{path}: a page of column {name!r} unpacks to more than its file says; is it the right file?"),
        path=path,
        name=name,
    )
