"""Parquet files that are not what they say: each is refused in one line, before the memory is gone."""

import gc
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from virtio_study import recording, storage
from virtio_study.errors import VirtioStudyError
from virtio_study.recording.tables import bounded_table

BOMBS = {
    "rows": (lambda: {"time": pa.array([0], pa.int64()).take(pa.array([0] * 4_000_001, pa.int8()))}, "4000001 rows"),
    "columns": (lambda: {f"c{number}": [0] for number in range(65)}, "65 columns"),
    "one text in every row": (lambda: {"consolidation": ["x" * 10_000] * 100_000}, "longer than 1000 characters"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_recording_that_unpacks_to_too_much_is_refused_before_the_memory_is_gone(kind: str, tmp_path: Path) -> None:
    columns, says = BOMBS[kind]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns()), path, compression="zstd")
    listed = {"version": 1, "files": {path.name: storage.sha256(path)}}
    (tmp_path / "manifest.json").write_text(json.dumps(listed))
    assert path.stat().st_size < 1 << 18
    with pytest.raises(VirtioStudyError, match=says):
        recording.read(path, tmp_path)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "none"])
def test_a_page_that_unpacks_to_more_than_its_file_says_is_refused_before_it_is(
    codec: str, version: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"step_s": [0.0] * 20_000, "time": [1] * 20_000})
    pq.write_table(table, path, compression=codec, data_page_version=version, use_dictionary=["time"])
    assert bounded_table(path, path) == table
    content = path.read_bytes()
    page = re.search(rb"\x15[\x00\x06]\x15([\x80-\xff]{2}[\x00-\x7f])", content)
    assert page is not None
    path.write_bytes(content[: page.start(1)] + varint((1 << 21) - 2) + content[page.end(1) :])
    with pytest.raises(VirtioStudyError, match=r"a\.parquet: a page of column 'step_s' unpacks to more than its file"):
        bounded_table(path, path)


def varint(number: int) -> bytes:
    """A number as Thrift writes it, seven bits a byte."""
    last = b"" if number < 128 else varint(number >> 7)
    return bytes([number & 127 | (128 if last else 0)]) + last


def test_a_column_that_contradicts_what_is_told_of_it_is_refused_and_ends_no_process(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"time": [1, 2], "step_s": [0.0, None]}), path)
    optional, required = b"%\x02\x18\x06step_s", b"%\x00\x18\x06step_s"
    content = path.read_bytes()
    assert content.count(optional) == 1
    path.write_bytes(content.replace(optional, required))
    for source in (path, pa.BufferReader(path.read_bytes())):
        with pytest.raises(OSError, match="histogram size mismatch"):
            bounded_table(source, path, ["time"])


def test_what_was_read_is_given_back(tmp_path: Path) -> None:
    """A fleet reads a hundred thousand files, and a watch the same ones for months."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"time": range(1000), "step_s": [0.0] * 1000}), path)
    kept = []
    for _ in range(2):
        for _ in range(20):
            bounded_table(path, path)
            bounded_table(pa.BufferReader(path.read_bytes()), path)
        gc.collect()
        kept.append((pa.total_allocated_bytes(), len(gc.get_objects())))
    assert kept[1][0] <= kept[0][0], "of Arrow"
    assert kept[1][1] < kept[0][1] + 1000, "of Python; other threads may have made some"
