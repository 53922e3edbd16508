"""The table of a Parquet file, once what the file says of itself is of a sensible size and can be."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from virtio_study import limits
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["bounded_table"]

PAGE_UNPACKED, PAGE_PACKED = 2, 3
"""Numbers of the sizes in the header of a Parquet page (https://github.com/apache/parquet-format, `PageHeader`)."""


def bounded_table(source: "Path | pa.BufferReader", path: Path, columns: list[str] | None = None) -> "pa.Table":
    """Table of a Parquet file, once what the file says of itself is of a sensible size.

    Parameters
    ----------
    source : Path or pyarrow.BufferReader
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
        _hold_metadata(known, source.stat().st_size if isinstance(source, Path) else source.size())
        groups = [known.row_group(number) for number in range(known.num_row_groups)]
        chunks = [group.column(number) for group in groups for number in range(known.num_columns)]
        unpacked = sum(abs(chunk.total_uncompressed_size) for chunk in chunks)
        if (
            known.num_rows > limits.PARQUET_ROWS
            or known.num_columns > limits.PARQUET_COLUMNS
            or unpacked > limits.PARQUET_BYTES
        ):
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
    return _unpacked_texts(table, fields, path)


def _unpacked_texts(table: "pa.Table", fields: "pa.Schema", path: Path) -> "pa.Table":
    """The table with each text in its own row, as its file has it; `DataError` if one is too long."""
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        for chunk in table.column(number).chunks:
            if any(len(text) > limits.PARQUET_TEXT for text in chunk.dictionary.to_pylist() if text is not None):
                raise DataError(
                    N_("{path}: column {name!r} has a text longer than {most} characters; is it the right file?"),
                    path=path,
                    name=field.name,
                    most=limits.PARQUET_TEXT,
                )
        table = table.set_column(number, field.name, table.column(number).cast(fields.field(field.name).type))
    return table


class _Unread(io.RawIOBase):
    """A file of a size, which ends where somebody begins to read; `begun` says whether anybody did."""

    def __init__(self, size: int) -> None:
        self._size, self._place, self.begun = size, 0, False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._place = (0, self._place, self._size)[whence] + offset
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        self.begun = True  # an exception here would be kept by Arrow for ever, and this file with it
        return b""


def _hold_metadata(known: "pq.FileMetaData", size: int) -> None:
    """`OSError` if what a file of a size says of its columns cannot be.

    Arrow says so when it begins to read, and here it comes no further. Asked for such a column's metadata alone, as for
    its pages below, it ends the whole process (pyarrow 26: `RowGroupMetaData.column` lets no exception of C++ through).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    unread = _Unread(size)
    try:
        with pq.ParquetFile(pa.PythonFile(unread, mode="r"), metadata=known, pre_buffer=True) as file:
            file.read(use_threads=False)
    except (pa.ArrowException, OSError):
        if not unread.begun:
            raise


def _hold_pages(chunks: "list[pq.ColumnChunkMetaData]", source: "Path | pa.BufferReader", path: Path) -> None:
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
                    raise DataError(
                        N_(
                            "{path}: a page of column {name!r} unpacks to more than its file says; is it the right "
                            "file?"
                        ),
                        path=path,
                        name=chunk.path_in_schema,
                    )
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
