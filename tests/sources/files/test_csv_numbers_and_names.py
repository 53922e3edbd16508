"""CSV tables as people export them: numbers of one reading, rows of one thing, at the step that is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from imports import windowed
from paths import TESTS
from virtio_study import recording
from virtio_study.errors import DataError, StudyError
from virtio_study.sources.files.csv_mapping import load_mapping
from virtio_study.sources.files.csv_tables import read_csv
from virtio_study.sources.files.importers import import_csv
from virtio_study.sources.outcomes import RecordedFile
from virtio_study.study import Server, Text

CASES = TESTS / "data" / "files" / "csv"
SERVER = Server(vmid=100, role=Text(en="a", es="a"), vcpus=2, memory_bytes=2 * 2**30, disk_bytes=2**35)  # type: ignore[arg-type]
T = 1_795_441_260
MAPPING = {
    "time": {"column": "t", "format": "unix"},
    "step_s": 60,
    "columns": {"cpu_cores": {"column": "c", "unit": "cores"}},
}


def read(tmp_path: Path, text: str, **changes: Any) -> Any:
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(MAPPING | changes))
    (tmp_path / "t.csv").write_text(text)
    return read_csv(tmp_path / "t.csv", load_mapping(tmp_path / "m.yaml"), SERVER)


def rows(*cells: str, step: float = 60, names: str = "t,c") -> str:
    return "\n".join([names, *(f"{T + step * n:.0f},{cell}" for n, cell in enumerate(cells))]) + "\n"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "es_thousands",
            r"line 2, column 'RAM \(MiB\)' is '1\.350'; expected a number with decimal ',' and no grouping of",
        ),
        ("wrongstep", r"wrongstep\.csv: rows are 300 s apart, but step_s is 60; set step_s to what they are"),
        ("step_too_large", r"rows are 60 s apart, but step_s is 300"),
        ("dupcol", r"dupcol\.csv: 2 columns are named 'cpu'; rename the one that is this server's"),
        ("cell_neg", r"cell_neg\.csv: line 2, column 'M' is '-5'; expected at least 0"),
    ],
)
def test_a_table_that_would_be_read_wrongly_is_refused(case: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(CASES / f"{case}.csv", load_mapping(CASES / f"{case}.yaml"), SERVER)


@pytest.mark.parametrize(
    ("decimal", "cell"),
    [
        (",", "1.350"), (",", "1.350,5"), (",", "1 350"), (",", "1.350.000"), (",", "0,5.1"),
        (".", "1,350"), (".", "1,350.5"), (".", "1_350"), (".", "1'350"), (".", "1\N{NO-BREAK SPACE}350"),
        (".", "\N{ARABIC-INDIC DIGIT ONE}"), (".", "0x10"), (".", "12 %"), (".", "1e999"), (".", "infinity"),
    ],
)  # fmt: skip
def test_grouping_and_other_ways_of_writing_are_no_numbers(tmp_path: Path, decimal: str, cell: str) -> None:
    with pytest.raises(DataError, match=r"line 3, column 'c' is .*; expected a number with decimal"):
        read(tmp_path, f"t|c\n{T}|1\n{T + 60}|{cell}\n", delimiter="|", decimal=decimal)


@pytest.mark.parametrize(
    ("decimal", "cell", "value"),
    [
        (",", "1350", 1350),
        (",", "13,5", 13.5),
        (",", ",5", 0.5),
        (".", "1.350", 1.35),
        (".", "1e-3", 0.001),
        (".", "+2.", 2),
    ],
)
def test_plain_numbers_are_read(tmp_path: Path, decimal: str, cell: str, value: float) -> None:
    frame = read(tmp_path, f"t|c\n{T}|{cell}\n", delimiter="|", decimal=decimal)
    assert frame["cpu_cores"].tolist() == [value]


def test_a_number_below_zero_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 4, column 'c' is '-0\.1'; expected at least 0"):
        read(tmp_path, rows("0.1", "-0", "-0.1"))


@pytest.mark.parametrize("seconds", [300, 3600, 30, 15])
def test_rows_at_another_step_are_refused(tmp_path: Path, seconds: int) -> None:
    with pytest.raises(DataError, match=rf"rows are {seconds} s apart, but step_s is 60"):
        read(tmp_path, rows(*["0.1"] * 8, step=seconds))


@pytest.mark.parametrize(
    "distances",
    [[60, 300, 60, 1260, 180, 60, 2400, 120], [7, 190, 33, 512, 61, 1900], [60, 60, 600, 60, 60, 180, 60, 60, 240]],
)
def test_a_log_of_changes_is_refused(tmp_path: Path, distances: list[int]) -> None:
    times = T + np.cumsum([0, *distances])
    text = "t,c\n" + "".join(f"{time},0.{n + 1}\n" for n, time in enumerate(times))
    with pytest.raises(
        DataError, match=rf"rows are {min(distances)} to {max(distances)} s apart, not every 60 s; of a log"
    ):
        read(tmp_path, text)


def test_gaps_and_seconds_late_are_no_other_step(tmp_path: Path) -> None:
    times = T + np.cumsum([0, 60, 61, 58, 60, 3600, 60, 62, 59, 60])
    assert len(read(tmp_path, "t,c\n" + "".join(f"{time},0.1\n" for time in times))) == 10


ENTITIES = {
    "time": {"column": "last_changed", "format": "iso"},
    "columns": {"cpu_cores": {"column": "state", "unit": "percent"}},
}


def test_rows_of_two_entities_are_asked_for_and_one_is_taken(tmp_path: Path) -> None:
    text = (CASES / "ha_two_entities.csv").read_text()
    asked = (
        r"rows of 2 things, by column 'entity_id': sensor\.vm_web_cpu, sensor\.vm_db_cpu; .* only: {\"entity_id\": \"s"
    )
    with pytest.raises(DataError, match=asked):
        read(tmp_path, text, **ENTITIES)
    frame = read(tmp_path, text, **ENTITIES, only={"entity_id": "sensor.vm_web_cpu"})
    assert set(frame["cpu_cores"]) == {0.2}  # 10 % of 2 cores
    with pytest.raises(
        DataError, match=r"no row whose 'entity_id' is sensor.vm_mail_cpu; there are: sensor.vm_web_cpu, sen"
    ):
        read(tmp_path, text, **ENTITIES, only={"entity_id": "sensor.vm_mail_cpu"})


def labelled(name: str, *labels: str) -> str:
    return f"t,{name},c\n" + "".join(f"{T + 60 * n},{label},0.1\n" for n, label in enumerate(labels))


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("VM ID", "100 101 100 101 100 101"),  # numbers, by the column's name
        ("vmid", "100 100 100 101"),
        ("host", "pve1 pve1 pve1 pve2 pve2"),  # one after the other
        ("metric", "cpu mem cpu mem"),
        ("host.name", "7 8 7 8"),
        ("Friendly Name", "7 8 7 8"),
        ("Who", "web db web db web db"),  # texts that all come again, by themselves
    ],
)
def test_rows_of_several_things_are_asked_for(tmp_path: Path, name: str, labels: str) -> None:
    with pytest.raises(DataError, match=rf"rows of 2 things, by column '{name}'"):
        read(tmp_path, labelled(name, *labels.split()))
    first = labels.split()[0]
    taken = read(tmp_path, labelled(name, *[first] * 3), only={name: int(first) if first.isdecimal() else first})
    assert len(taken) == 3


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("id", "1 2 3 4 5"),  # the rows' own numbers
        ("vmid", "100 100 100"),
        ("CPU host", "7 8 7 8"),
        ("note", "begin - - lunch end"),
        ("day", "23/11 23/11 24/11 24/11"),
    ],
)
def test_what_says_nothing_of_several_things_is_left_alone(tmp_path: Path, name: str, labels: str) -> None:
    assert len(read(tmp_path, labelled(name, *labels.split()))) == len(labels.split())


def test_values_that_all_are_this_server_s_may_be_listed(tmp_path: Path) -> None:
    labels = ("web-old", "web-old", "web", "web")
    assert len(read(tmp_path, labelled("name", *labels), only={"name": ["web-old", "web"]})) == 4


@pytest.mark.parametrize(("names", "changes"), [("t,t,c", {}), ("t,c,c", {}), ("t,vm,vm,c", {"only": {"vm": "a"}})])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, names: str, changes: dict[str, Any]) -> None:
    cells = ",".join([str(T), *["1"] * names.count(",")])
    with pytest.raises(DataError, match="2 columns are named"):
        read(tmp_path, f"{names}\n{cells}\n", **changes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("step_s: 60\nstep_s: 300", r"m\.yaml:3: key 'step_s' is there twice \(first in line 2\); keep one"),
        ("step_s: 1_0", r"m\.yaml:2: 1_0 is not what YAML reads; write the number with digits alone"),
        ("step_s: 5:00", r"m\.yaml:2: 5:00 is not what YAML reads"),
        ("step_s: 010", r"m\.yaml:2: 010 is not what YAML reads"),
        ("step_s: .inf", r"m\.yaml:2: \.inf is not what YAML reads"),
    ],
)
def test_a_mapping_that_yaml_would_misread_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"time: {{column: t, format: unix}}\n{line}\ncolumns: {{cpu_cores: {{column: c, unit: cores}}}}\n")
    with pytest.raises(StudyError, match=message):
        load_mapping(path)


def test_impossible_values_of_a_table_are_left_out_with_their_reason(tmp_path: Path) -> None:
    study = windowed(tmp_path, ("alpha", "virtio", "2026-11-23T13:40:00Z", "2026-11-23T14:40:00Z"))
    cells = ["0.2"] * 20
    cells[7] = "114"
    (tmp_path / "t.csv").write_text(rows(*cells))
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(MAPPING))
    (done,) = import_csv(study, "alpha", tmp_path / "t.csv", tmp_path / "m.yaml")
    assert isinstance(done, RecordedFile)
    kept = recording.read(study.folder / done.place, study.folder)
    assert kept.frame["cpu_cores"].isna().tolist() == [n == 7 for n in range(20)]
    assert kept.provenance.contaminated == [(T + 360, T + 420, "impossible value")]
    assert any("cpu_cores 114 at 2026-11-23 13:48:00 UTC, more than 2" in note for note in kept.provenance.notes)
