"""Saved rrddata answers (a genuine one of Proxmox VE 9.2.11 among them) and CSV files, to frames and recordings."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imports import windowed
from paths import TESTS
from virtio_study import recording
from virtio_study.cli.main import cli
from virtio_study.errors import DataError, StudyError
from virtio_study.pve.instruments import host_instrument
from virtio_study.sources.files.csv_mapping import load_mapping
from virtio_study.sources.files.csv_tables import read_csv
from virtio_study.sources.files.rrddata import read_rrddata
from virtio_study.sources.normalising import rrd_frame
from virtio_study.study import Server, Text

HOUR = TESTS / "data" / "files" / "rrddata-hour.json"
SERVER = Server(vmid=100, role=Text(en="a", es="a"), vcpus=4, memory_bytes=8 * 2**30, disk_bytes=2**35)  # type: ignore[arg-type]
NOW = 1_795_442_400

FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def save(path: Path, body: Any) -> Path:
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize("wrapped", [False, True], ids=["pvesh", "API"])
def test_a_genuine_answer_of_pvesh_or_the_api(tmp_path: Path, wrapped: bool) -> None:
    body = json.loads(HOUR.read_text())
    rows = read_rrddata([save(tmp_path / "hour.json", {"data": body} if wrapped else body)])
    assert list(rows) == [60]
    frame = recording.check_frame(rrd_frame(rows[60], 60, "AVERAGE", "hour", "9.2.6"), "hour")
    assert len(frame) == len(body) == 59
    row, answer = frame.iloc[30], body[30]
    assert row["time"] == datetime.fromtimestamp(answer["time"], UTC)
    assert row["step_s"] == 60
    assert row["cpu_cores"] == answer["cpu"] * answer["maxcpu"]
    assert row["mem_displayed_bytes"] == row["mem_guest_bytes"] == answer["mem"]
    assert row["mem_host_bytes"] == answer["memhost"]
    assert row["net_in_bytes_per_s"] == answer["netin"]
    assert row["pressure_cpu_some_percent"] == answer["pressurecpusome"]
    # The rig's balloon driver was loaded at 13:54: until then `mem` is the host's own number.
    switch = pd.Timestamp("2026-11-23T13:56Z")
    assert set(frame.loc[frame["time"] < switch - pd.Timedelta("2min"), "mem_instrument"]) == {"host_cgroup"}
    # It was started again at 14:14:53; the one sample before its first statistics is the host's.
    since = frame[frame["time"] > switch].set_index("time")["mem_instrument"]
    assert since[since != "guest_stats"].to_dict() == {pd.Timestamp("2026-11-23T14:15Z"): "unknown"}
    assert frame.loc[frame["time"] < switch - pd.Timedelta("2min"), "mem_guest_bytes"].isna().all()


def test_a_row_has_the_instrument_of_the_version_of_its_time() -> None:
    rows = [{"time": 1_772_409_600 + 60 * n, "cpu": 0.1, "maxcpu": 1, "mem": 5e8, "memhost": 5e8} for n in range(1, 5)]
    upgrade = rows[1]["time"]
    frame = rrd_frame(rows, 60, "AVERAGE", "rows", lambda moment: "9.1.3" if moment <= upgrade else "9.1.4")
    wanted = ["host_pss", "host_pss", "host_cgroup", "host_cgroup"]
    assert frame["mem_host_instrument"].tolist() == frame["mem_instrument"].tolist() == wanted


def test_an_upgraded_host_goes_back_in_time_and_loses_nothing(tmp_path: Path) -> None:
    old = [{"time": NOW - 1800 * (5 - i), "mem": i} for i in range(5)]
    new = [{"time": NOW - 2460 + 60 * i, "mem": 10 + i, "memhost": 5} for i in range(1, 8)]
    rows = read_rrddata([save(tmp_path / "day.json", [*old, *new])])
    assert {step: [row["mem"] for row in part] for step, part in rows.items()} == {
        60: [11, 12, 13, 14, 15, 16, 17],
        1800: [0, 1, 2, 3, 4],
    }


def test_several_answers_are_joined_and_the_fuller_row_stays(tmp_path: Path) -> None:
    first = save(tmp_path / "1.json", [{"time": NOW + 60 * i, "mem": 1, "cpu": 0.5} for i in range(3)])
    later = save(tmp_path / "2.json", [{"time": NOW + 60 * i, **({} if i < 3 else {"mem": 2})} for i in range(6)])
    assert [row.get("mem") for row in read_rrddata([first, later])[60]] == [1, 1, 1, 2, 2, 2]


def test_numbers_may_be_texts_and_unknown_values_are_left_out(tmp_path: Path) -> None:
    rows = [{"time": str(NOW), "cpu": "0.25", "maxcpu": "2", "mem": None}, {"time": NOW + 60, "mem": "NaN"}]
    frame = rrd_frame(read_rrddata([save(tmp_path / "a.json", rows)])[60], 60, "MAX", "a")
    assert frame["cpu_cores"].tolist() == [0.5]
    assert frame["mem_instrument"].tolist() == ["unknown"]
    assert frame["consolidation"].tolist() == ["MAX"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"time": NOW, "mem": "much"}, {"time": NOW + 60}], "row 0, mem is 'much'; expected a number"),
        ([{"time": NOW, "cpu": True}, {"time": NOW + 60}], "row 0, cpu is 'True'; expected a number"),
        ([{"time": NOW, "cpu": [1]}, {"time": NOW + 60}], r"row 0, cpu is '\[1\]'; expected a number"),
        ([{"time": NOW}, {"time": NOW + 60}], "no row with a value"),
        ([{"time": NOW, "mem": 1}], "row 0 is alone, not s from its neighbours; rrddata has 60, 1800"),
        ([{"time": NOW, "mem": 1}, {"time": NOW + 7}], r"row 0 is \[7\] s from its neighbours"),
        ([{"time": "soon"}], "row 0: time is 'soon'; expected whole Unix seconds"),
        ([{"mem": 1}], "row 0: time is 'None'"),
        ([3], "row 0: time is 'None'"),
        ({"data": None}, "an answer without data; the host says why in its status line"),
        ({"qmpstatus": "running"}, "no list of rows"),
        ([], "no list of rows"),
    ],
)
def test_a_wrong_answer_is_named(tmp_path: Path, rows: Any, message: str) -> None:
    path = save(tmp_path / "a.json", rows)
    with pytest.raises(DataError, match=message):
        rrd_frame(read_rrddata([path])[60], 60, "AVERAGE", "a.json")


def test_what_is_no_json_or_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("time: 1")
    with pytest.raises(DataError, match=r"a: not JSON: 'time: 1'; save it with --output-format json"):
        read_rrddata([tmp_path / "a"])
    with pytest.raises(DataError, match="b: cannot be read: it is not there"):
        read_rrddata([tmp_path / "b"])


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("8.4.10", "host_rss_scaled"), ("9.0.10", "host_rss_scaled"), ("9.0.11", "host_pss"), ("9.1.3", "host_pss"),
        ("9.1.4", "host_cgroup"), ("9.2.6-1", "host_cgroup"), (None, "unknown"), ("nine", "unknown"), ("9", "unknown"),
    ],
)  # fmt: skip
def test_the_host_s_instrument_follows_from_the_version(version: str | None, name: str) -> None:
    assert host_instrument(version) == name


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["1e999", "NaN", "-1"])
)
VALUES = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2)
KEYS = st.sampled_from(["time", "cpu", "maxcpu", "mem", "memhost", "netin", "diskread", "x"])


@FUZZ
@given(changes=st.dictionaries(st.tuples(st.integers(0, 5), KEYS), VALUES, max_size=3))
def test_a_mutated_answer_is_read_or_refused_and_other_rows_stay_as_they_are(
    tmp_path: Path, changes: dict[tuple[int, str], Any]
) -> None:
    rows: list[dict[str, Any]] = [
        {"time": NOW + 60 * i, "cpu": 0.5, "maxcpu": 2, "mem": 1e8, "memhost": 2e8} for i in range(6)
    ]
    for (row, key), value in changes.items():
        rows[row][key] = value
    path = save(tmp_path / "a.json", rows)
    with contextlib.suppress(DataError):
        frame = recording.check_frame(rrd_frame(read_rrddata([path])[60], 60, "AVERAGE", "a"), "a")
        times = {pd.Timestamp(NOW + 60 * row, unit="s", tz="UTC") for row in {row for row, _ in changes}}
        others = frame[~frame["time"].isin(times)]
        assert len(others) == 6 - len(times)
        assert set(others["cpu_cores"]) <= {1.0}
        assert set(others["mem_instrument"]) <= {"guest_stats"}


@FUZZ
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_rrddata([path])


MAPPING = """\
time: {column: Fecha, format: "%d/%m/%Y %H:%M", zone: America/Lima, marks: start}
step_s: 300
delimiter: ";"
decimal: ","
mem_instrument: host_pss
columns:
  cpu_cores: {column: "CPU (%)", unit: percent}
  mem_displayed_bytes: {column: "RAM (GB)", unit: GiB}
  net_in_bytes_per_s: {column: Red, unit: Mbit/s}
  pressure_io_some_percent: {column: Espera, unit: fraction}
"""
CSV = """\
Fecha;CPU (%);RAM (GB);Nota;Red;Espera
09/12/2025 08:00;12,5;1,5;"a;b";8;0,5

09/12/2025 08:05;-;2;;;0
"""


def mapped(tmp_path: Path, mapping: str = MAPPING, text: str = CSV, **changes: Any) -> pd.DataFrame:
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(yaml.safe_load(mapping) | changes))
    (tmp_path / "t.csv").write_text(text, encoding="utf-8-sig")
    return read_csv(tmp_path / "t.csv", load_mapping(tmp_path / "m.yaml"), SERVER)


def test_a_csv_file_with_units_a_zone_and_decimal_commas(tmp_path: Path) -> None:
    frame = recording.check_frame(mapped(tmp_path), "t.csv")
    assert frame["time"].tolist() == [pd.Timestamp("2025-12-09T13:05Z"), pd.Timestamp("2025-12-09T13:10Z")]
    np.testing.assert_array_equal(frame["cpu_cores"], [0.5, np.nan])  # 12.5 % of 4 cores
    assert frame["mem_displayed_bytes"].tolist() == [1.5 * 2**30, 2.0 * 2**30]
    np.testing.assert_array_equal(frame["net_in_bytes_per_s"], [1e6, np.nan])
    assert frame["pressure_io_some_percent"].tolist() == [50, 0]
    assert frame["cpu_allocated_cores"].tolist() == [4, 4]
    assert set(frame["mem_instrument"]) == {"host_pss"}
    assert set(frame["mem_host_instrument"]) == {"unknown"}


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ({"format": "unix"}, "1765285500"),
        ({"format": "unix_ms"}, "1765285500000"),
        ({"format": "iso"}, "2025-12-09T08:05:00-05:00"),
        ({"format": "iso", "zone": "America/Lima"}, "2025-12-09 08:05"),
        ({"format": "iso", "zone": "America/Lima"}, "2025-12-09T13:05Z"),
        ({"format": "%d.%m.%Y %H:%M %z"}, "09.12.2025 14:05 +0100"),
    ],
)
def test_times_in_every_format_are_the_same_moment(tmp_path: Path, time: dict[str, str], text: str) -> None:
    mapping = {
        "time": {"column": "t", **time},
        "step_s": 60,
        "columns": {"cpu_cores": {"column": "c", "unit": "cores"}},
    }
    frame = mapped(tmp_path, yaml.safe_dump(mapping), f"t,c\n{text},1\n")
    assert frame["time"].tolist() == [pd.Timestamp("2025-12-09T13:05Z")]
    assert frame["mem_displayed_bytes"].isna().all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1,5", "1.5 GB", r"t\.csv: line 2, column 'RAM \(GB\)' is '1\.5 GB'; expected a number with decimal ','"),
        (";2;;;0", ";inf;;;0", r"line 4, column 'RAM \(GB\)' is 'inf'"),
        (";2;;;0", ";2;0", r"line 4 has 4 cells; expected 6"),
        ("09/12/2025 08:05", "soon", "line 4, column 'Fecha' is 'soon': time data 'soon' does not match format"),
        ("09/12/2025 08:05", "09/12/2025 08:00", "line 4, column 'Fecha' is '09/12/2025 08:00': times must increase"),
        ("Red", "Net", r"no column 'Red'; its first line names: Fecha, CPU \(%\), RAM"),
    ],
)
def test_a_wrong_cell_is_named_with_line_and_column(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mapped(tmp_path, text=CSV.replace(old, new))


@pytest.mark.parametrize("hour", ["25/10/2026 02:30", "29/03/2026 02:30"])
def test_a_local_time_that_was_twice_or_never_is_refused(tmp_path: Path, hour: str) -> None:
    time = {"column": "Fecha", "format": "%d/%m/%Y %H:%M", "zone": "Europe/Madrid"}
    with pytest.raises(DataError, match="the clocks of Europe/Madrid showed it twice or never; export the file in UTC"):
        mapped(tmp_path, text=CSV.replace("09/12/2025 08:00", hour), time=time)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("columns", {"cpu": {"column": "c", "unit": "cores"}}, "no such column of numbers; there are: cpu_cores"),
        ("columns", {"mem_host_bytes": {"column": "c", "unit": "KB"}}, "unit is 'KB'; expected one of B, kB, KiB"),
        ("columns", {"cpu_cores": {"column": "c"}}, r"m\.yaml:\d+: missing key 'columns\.cpu_cores\.unit'; add it"),
        ("time", {"column": "t", "format": "%H:%M"}, "time.zone is missing; give the zone of the clock"),
        ("time", {"column": "t", "format": "%H:%M", "zone": "Lima"}, "time.zone is 'Lima'; expected a name such as"),
        ("step_s", 0, r"m\.yaml:\d+: step_s is 0: input should be greater than 0"),
        ("steps", 1, r"unknown key 'steps' \(did you mean 'step_s'\?\); valid: time, step_s, columns"),
        ("mem_instrument", "host", "mem_instrument is 'host': input should be 'guest_stats', 'guest_agent'"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_named_with_its_key(tmp_path: Path, key: str, value: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        mapped(tmp_path, **{key: value})


def test_times_without_an_offset_and_without_a_zone_are_refused(tmp_path: Path) -> None:
    mapping = "time: {column: t, format: iso}\nstep_s: 60\ncolumns: {cpu_cores: {column: c, unit: cores}}\n"
    with pytest.raises(
        DataError, match=r"line 2, column 't' is '2025-12-09 08:05': no offset from UTC; give time\.zone"
    ):
        mapped(tmp_path, mapping, "t,c\n2025-12-09 08:05,1\n")


@FUZZ
@given(text=st.text(st.sampled_from('0123456789;,/-: "\n\r\0eNaté'), max_size=120), head=st.booleans())
def test_any_text_is_read_as_csv_or_refused(tmp_path: Path, text: str, head: bool) -> None:
    with contextlib.suppress(DataError):
        assert len(mapped(tmp_path, text=(CSV.splitlines()[0] + "\n" if head else "") + text))


def test_a_csv_file_becomes_recordings_by_the_study_s_windows(tmp_path: Path) -> None:
    study = windowed(
        tmp_path,
        ("alpha", "emulated", "2025-12-09T08:00:00-05:00", "2025-12-09T08:05:00-05:00"),
        ("alpha", "virtio", "2025-12-09T08:05:00-05:00", "2025-12-09T09:00:00-05:00"),
        given="vcpus: 4, memory_bytes: 8 GiB",
    )
    mapped(tmp_path)
    line = ["files", "csv", str(study.folder), "alpha", str(tmp_path / "t.csv"), "--mapping", str(tmp_path / "m.yaml")]
    done = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert done.output == (
        "recordings/alpha/emulated/csv-01.parquet: 1 rows of 300 s cover 0.08333 of the 0.08333 hours of the window.\n"
        "recordings/alpha/virtio/csv-02.parquet: 1 rows of 300 s cover 0.08333 of the 0.9167 hours of the window.\n"
    )
    (first,) = recording.recordings(study.folder, "alpha", "emulated")
    assert first.provenance.kind == "measured"
    assert first.provenance.source == "CSV file t.csv, mapping m.yaml"
    assert sorted(name.split("-")[-2] for name in first.provenance.inputs) == ["m.yaml", "t.csv"]
    assert all((study.folder / name).is_file() for name in first.provenance.inputs)
    again = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert again.output.count("was recorded already; recordings are never rewritten") == 2


def test_rrddata_of_one_hour_becomes_a_recording_and_what_is_missing_is_said(tmp_path: Path) -> None:
    window = ("alpha", "virtio", "2026-11-23T14:00:00Z", "2026-11-23T14:30:00Z")
    study = windowed(tmp_path, window, given="vcpus: 2, memory_bytes: 512 MiB")
    line = ["files", "rrddata", str(study.folder), "alpha", str(HOUR), "--qemu-server", "9.2.6"]
    done = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert done.output.endswith("30 rows of 60 s cover 0.5 of the 0.5 hours of the window.\n")
    (made,) = recording.recordings(study.folder, "alpha", "virtio")
    assert made.provenance.versions == {"qemu-server": "9.2.6"}
    assert CliRunner().invoke(cli, ["check", str(study.folder)]).exit_code == 0
    with pytest.raises(StudyError, match=r"qemu-server version 'nine': expected one such as 9\.1\.4"):
        CliRunner().invoke(cli, [*line[:-1], "nine"], catch_exceptions=False)
    line[3] = "beta"
    with pytest.raises(StudyError, match="no window for server 'beta'; files do not say which driver configuration"):
        CliRunner().invoke(cli, line, catch_exceptions=False)


def test_rows_outside_every_window_are_said_to_be(tmp_path: Path) -> None:
    study = windowed(tmp_path, ("alpha", "virtio", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"))
    with pytest.raises(
        DataError, match=r"alpha, virtio: no row from 2027-01-01T00:00:00.*; the rows are from 2026-11-23"
    ):
        CliRunner().invoke(cli, ["files", "rrddata", str(study.folder), "alpha", str(HOUR)], catch_exceptions=False)
