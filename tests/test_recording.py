"""The recording: what was written is read again; what is damaged is named; nothing is rewritten or half-written."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small import make_frame, make_recording
from virtio_study import recording
from virtio_study.errors import DataError
from virtio_study.storage import add_file, manifest, verify_file, write_atomically


@pytest.fixture
def written(tmp_path: Path) -> recording.Recording:
    item = make_recording(tmp_path, "alpha", "virtio", 1)
    recording.write(item, tmp_path)
    return item


def test_round_trip(tmp_path: Path, written: recording.Recording) -> None:
    again = recording.read(written.path, tmp_path)
    assert again.provenance == written.provenance
    assert list(again.frame.columns) == list(recording.SCHEMA)
    given = written.frame
    pd.testing.assert_frame_equal(again.frame[given.columns], given, check_dtype=False)
    assert str(again.frame["time"].dtype) == "datetime64[us, UTC]"
    assert again.frame["mem_host_bytes"].isna().all()
    assert set(again.frame["mem_host_instrument"]) == {"unknown"}


def test_the_same_recording_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recording.write(make_recording(tmp_path / name / "s", "alpha", "virtio", 1), tmp_path / name / "s")
    assert manifest(tmp_path / "a" / "s") == manifest(tmp_path / "b" / "s")


def test_never_rewritten(tmp_path: Path, written: recording.Recording) -> None:
    before = written.path.read_bytes()
    with pytest.raises(DataError, match="recorded already; recordings are never rewritten"):
        recording.write(make_recording(tmp_path, "alpha", "virtio", 1, cpu=0.9), tmp_path)
    assert written.path.read_bytes() == before
    written.path.write_bytes(b"other")
    with pytest.raises(DataError, match="already in the manifest with another content"):
        add_file(tmp_path, written.path)


@pytest.mark.parametrize("position", [0, 100, -1])
def test_a_changed_byte(tmp_path: Path, written: recording.Recording, position: int) -> None:
    content = bytearray(written.path.read_bytes())
    content[position] ^= 1
    written.path.write_bytes(content)
    with pytest.raises(DataError, match=r"boot-01\.parquet: changed since it was recorded \(SHA-256 differs"):
        recording.read(written.path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet"])
def test_a_file_that_is_no_recording_though_listed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recordings" / "x.parquet"
    write_atomically(path, content)
    add_file(tmp_path, path)
    with pytest.raises(DataError, match=r"x\.parquet: not a recording of this package: "):
        recording.read(path, tmp_path)


def test_truncated_though_listed(tmp_path: Path, written: recording.Recording) -> None:
    path = tmp_path / "recordings" / "half.parquet"
    write_atomically(path, written.path.read_bytes()[:-200])
    add_file(tmp_path, path)
    with pytest.raises(DataError, match=r"half\.parquet: not a recording of this package: "):
        recording.read(path, tmp_path)


def test_parquet_without_provenance(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    make_frame().to_parquet(path)
    add_file(tmp_path, path)
    with pytest.raises(DataError, match=r"x\.parquet: not a recording of this package: .*virtio_study"):
        recording.read(path, tmp_path)


def test_missing_and_unlisted(tmp_path: Path, written: recording.Recording) -> None:
    with pytest.raises(DataError, match=r"boot-09\.parquet: not in .*manifest\.json; record it"):
        verify_file(written.path.with_name("boot-09.parquet"), tmp_path)
    written.path.unlink()
    with pytest.raises(DataError, match=r"boot-01\.parquet: listed in the manifest but missing; restore it"):
        recording.read(written.path, tmp_path)
    with pytest.raises(DataError, match="no recording of server 'beta' under 'virtio'; record it first"):
        next(recording.recordings(tmp_path, "beta", "virtio"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": []}'])
def test_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"not a manifest .*restore it from version control"):
        manifest(tmp_path)


@pytest.mark.parametrize(
    ("column", "row", "value", "expected"),
    [
        ("cpu_cores", 3, -0.1, r"x: row 3, column 'cpu_cores' is -0.1: expected at least 0 \(1 such row\)"),
        ("mem_displayed_bytes", 0, np.inf, r"x: row 0, column 'mem_displayed_bytes' is inf: expected a finite number"),
        ("mem_instrument", 9, "guess", r"x: row 9, column 'mem_instrument' is guess: expected one of guest_stats"),
        ("time", 5, pd.Timestamp("2026-01-01", tz="UTC"), r"x: row 5, column 'time' is .*: times must increase"),
        ("time", 2, pd.NaT, r"x: row 2, column 'time' is NaT: every row needs a time"),
        ("step_s", 4, 0.0, r"x: row 4, column 'step_s' is 0.0: expected a microsecond at least, and a year at most"),
        ("step_s", 4, 1e-300, r"x: row 4, column 'step_s' is 1e-300: expected a microsecond at least"),
        ("step_s", 4, np.nan, r"x: row 4, column 'step_s' is nan: expected a microsecond at least"),
        ("step_s", 4, 1e300, r"x: row 4, column 'step_s' is 1e\+300: expected a microsecond at least"),
    ],
)
def test_the_wrong_row_and_column_are_named(column: str, row: int, value: object, expected: str) -> None:
    frame = make_frame()
    frame.loc[row, column] = value
    with pytest.raises(DataError, match=expected):
        recording.check_frame(frame, "x")


@pytest.mark.parametrize("column", ["cpu_cores", "step_s", "mem_displayed_bytes", "consolidation"])
def test_a_required_value_may_not_be_absent(column: str) -> None:
    with pytest.raises(DataError, match=f"column '{column}' is missing; it is required"):
        recording.check_frame(make_frame().drop(columns=column), "x")


def test_columns_and_types(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="x: unknown column 'cpu'; the schema has: time, step_s"):
        recording.check_frame(make_frame().rename(columns={"cpu_cores": "cpu"}), "x")
    with pytest.raises(DataError, match=r"column 'time' is .*; expected UTC times"):
        recording.check_frame(make_frame().assign(time=lambda f: f["time"].dt.tz_localize(None)), "x")
    with pytest.raises(DataError, match="column 'cpu_cores': expected numbers"):
        recording.check_frame(make_frame().assign(cpu_cores="much"), "x")
    with pytest.raises(DataError, match="x: no rows"):
        recording.check_frame(make_frame(0), "x")


def test_a_frame_that_breaks_the_schema_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cpu_cores"):
        recording.write(make_recording(tmp_path, "alpha", "virtio", 1, cpu=-1.0), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_middle_of_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    code = (
        "import os, sys; from pathlib import Path; from virtio_study import storage\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "storage.write_atomically(Path(sys.argv[1]), b'new')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"


def test_a_failure_in_the_middle_of_writing_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match="not written: disk full"):
        write_atomically(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []
