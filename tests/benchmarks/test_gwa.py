"""Traces of the Grid Workloads Archive: the published CSV and Parquet, made here with the faults of the real ones."""

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gwa import COLUMNS, load_traces, read_vm
from virtio_study.errors import DataError

START = 1_375_308_176  # the first time of the published month 2013-8


def write_csv(path: Path, seconds: list[int], cpu: list[float] | None = None) -> Path:
    """A CSV as published: separated by a semicolon and a tab, times in seconds under a header that says ms."""
    cpu = cpu or [float(i) for i in range(len(seconds))]
    rows = [
        f"{START + s};\t2;\t5851.9989;\t747.1;\t{c};\t8388608.0;\t{1000.0 + c};\t0.0;\t1.0;\t11.5;\t27.2"
        for s, c in zip(seconds, cpu, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([";\t".join(COLUMNS), *rows]) + "\n")
    return path


def test_times_are_seconds_although_the_header_says_milliseconds(tmp_path: Path) -> None:
    frame = read_vm(write_csv(tmp_path / "1.csv", [0, 300, 600]))
    assert list(frame.columns) == ["time", *list(COLUMNS.values())[1:]]
    assert frame["time"].iloc[0] == pd.Timestamp("2013-07-31T22:02:56Z")
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"
    assert frame["cpu_percent"].tolist() == [0, 1, 2]
    assert frame.loc[0, ["vcpus", "mem_capacity_kb", "net_in_kb_s", "net_out_kb_s"]].tolist() == [
        2,
        8388608,
        11.5,
        27.2,
    ]
    assert frame.attrs == {"duplicates": 0, "missing": 0}


def test_true_milliseconds_are_refused_instead_of_read_as_the_far_future(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "1.csv", [0])
    path.write_text(path.read_text().replace(str(START), f"{START}000"))
    with pytest.raises(DataError, match=r"1\.csv: time 1375308176000 is not in Unix seconds"):
        read_vm(path)


def test_repeated_rows_are_dropped_and_counted_and_gaps_are_nan(tmp_path: Path) -> None:
    # A repeated row, a second series five seconds beside the first (as in the real trace), and a gap of two rows.
    frame = read_vm(write_csv(tmp_path / "1.csv", [0, 300, 300, 305, 600, 605, 1500], [1, 2, 20, 21, 3, 31, 6]))
    assert frame.attrs == {"duplicates": 3, "missing": 2}
    np.testing.assert_array_equal(frame["cpu_percent"], [1, 2, 3, np.nan, np.nan, 6])
    assert (frame["time"].diff().dropna() == pd.Timedelta(seconds=300)).all()


def test_drift_makes_neither_a_gap_nor_a_repetition(tmp_path: Path) -> None:
    frame = read_vm(write_csv(tmp_path / "1.csv", [301 * i for i in range(1000)]))
    assert frame.attrs == {"duplicates": 0, "missing": 0}
    assert len(frame) == 1000


def test_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    assert read_vm(write_csv(tmp_path / "1.csv", [600, 0, 300], [3, 1, 2]))["cpu_percent"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CPU usage [%]", "CPU [%]", r"no column 'CPU usage \[%\]'"),
        ("5851.9989", "n/a?", r"line 2, cpu_capacity_mhz is 'n/a\?'; expected a number"),
        ("5851.9989", "", "line 2, cpu_capacity_mhz is 'nan'; expected a number"),
    ],
)
def test_a_wrong_file_is_named_with_its_row_and_column(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_csv(tmp_path / "1.csv", [0, 300])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        read_vm(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=300), st.text(';\t\n0123456789.-eNa"', max_size=300).map(str.encode)))
def test_any_content_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "1.csv"
    for head in (b"", (";\t".join(COLUMNS) + "\n").encode()):
        path.write_bytes(head + content)
        with contextlib.suppress(DataError):
            assert len(read_vm(path))


def test_a_folder_of_csv_files_in_months_is_one_tidy_frame(tmp_path: Path) -> None:
    write_csv(tmp_path / "2013-7" / "2.csv", [0, 300])
    write_csv(tmp_path / "2013-7" / "10.csv", [0, 300, 900])
    write_csv(tmp_path / "2013-8" / "2.csv", [0])
    frame = load_traces(tmp_path)
    assert list(frame.columns) == ["month", "vm", "time", "cpu_percent", "mem_used_kb", "net_in_kb_s"]
    keys = frame.groupby(["month", "vm"], observed=True).size()
    assert {(str(m), int(v)): int(n) for (m, v), n in keys.items()} == {  # type: ignore[misc]
        ("2013-7", 2): 2, ("2013-7", 10): 4, ("2013-8", 2): 1
    }  # fmt: skip
    assert frame["vm"].tolist() == [2, 2, 10, 10, 10, 10, 2]
    assert frame.attrs == {"duplicates": 0, "missing": 1}
    assert frame["cpu_percent"].dtype == "float32"


def test_parquet_and_csv_give_the_same_series(tmp_path: Path) -> None:
    seconds = [0, 300, 300, 1500]
    write_csv(tmp_path / "csv" / "2013-8" / "7.csv", seconds)
    rows = pd.DataFrame({"vm": 7, "time_s": [START + s for s in seconds], "net_in_kb_s": 11.5})
    rows = rows.assign(cpu_percent=[0.0, 1, 2, 3], mem_used_kb=[1000.0, 1001, 1002, 1003])
    (tmp_path / "parquet").mkdir()
    rows.to_parquet(tmp_path / "parquet" / "2013-8.parquet")
    pd.testing.assert_frame_equal(load_traces(tmp_path / "csv"), load_traces(tmp_path / "parquet"))
    assert load_traces(tmp_path / "parquet").attrs == {"duplicates": 1, "missing": 3}


def test_an_empty_folder_and_a_file_without_a_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no trace; expected Parquet files, or CSV"):
        load_traces(tmp_path)
    write_csv(tmp_path / "one.csv", [0])
    with pytest.raises(DataError, match=r"one\.csv: expected the number of a virtual machine"):
        load_traces(tmp_path)
    (tmp_path / "one.csv").unlink()
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read as traces"):
        load_traces(tmp_path)
