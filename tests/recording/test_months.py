"""A long recording is in parts by month: a day more touches the last alone, and all that one file promised holds."""

import os
import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paths import ROOT
from small import make_recording, write_small
from virtio_study import limits, recording, storage
from virtio_study.archive.ro_crate import recording_facts
from virtio_study.errors import DataError, NoRoomError
from virtio_study.fleet.recorded import RecordedFleet
from virtio_study.i18n.sentences import english, said
from virtio_study.recording import files, months
from virtio_study.sources.outcomes import RecordedFile
from virtio_study.sources.replacing import Recordable, answered_before, keep_all, keep_window
from virtio_study.study import Study
from virtio_study.workflow.check import check_study
from virtio_study.workflow.keys import Keys

PLACE = "recordings/alpha/virtio/api-01.parquet"
PARTS = ["recordings/alpha/virtio/api-01/2026-01.parquet", "recordings/alpha/virtio/api-01/2026-02.parquet"]


@pytest.fixture
def least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Months of a row every six hours are long enough."""
    monkeypatch.setattr(months, "LEAST", 100)


def long(folder: Path, days: int) -> recording.Recording:
    """A recording from 1 January 2026 on, four rows a day."""
    like = make_recording(folder, "alpha", "virtio", 1)
    rows = 4 * days
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01 03:00", periods=rows, freq="6h", tz="UTC"),
            "step_s": 21600.0,
            "cpu_cores": np.random.default_rng(1).gamma(2.0, 0.1, rows),
            "cpu_allocated_cores": 1.0,
            "mem_displayed_bytes": 1e8,
            "mem_instrument": np.where(np.arange(rows) % 7 == 3, "guest_stats", "host_pss"),
            "mem_allocated_bytes": 5.12e8,
            "consolidation": "AVERAGE",
        }
    )
    known = like.provenance.model_copy(update={"replicate": "api-01", "notes": [f"{days} days"]})
    return recording.Recording(recording.check_frame(frame, "x"), known, folder / PLACE)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Number and content of every recorded file."""
    found = (path for path in folder.glob("recordings/**/*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_ino, path.read_bytes()) for path in found}


def append(folder: Path, days: int) -> None:
    recording.write_all([long(folder, days)], folder, [PLACE])


@pytest.mark.usefixtures("least")
def test_a_day_more_writes_the_last_month_anew_and_no_other(tmp_path: Path) -> None:
    append(tmp_path, 70)
    before = contents(tmp_path)
    assert {*before} == {PLACE, *PARTS}
    append(tmp_path, 71)
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {PLACE}
    assert {*storage.manifest(tmp_path)} == {PLACE, *PARTS}
    found, given = recording.read(tmp_path / PLACE, tmp_path), long(tmp_path, 71)
    pd.testing.assert_frame_equal(found.frame, given.frame)
    assert found.provenance == given.provenance
    assert len(pq.read_table(tmp_path / PLACE)) == 4 * 12, "twelve days of March"
    append(tmp_path, 91)
    assert {*contents(tmp_path)} == {PLACE, *PARTS, PARTS[0].replace("-01.p", "-03.p")}, "March is over"


@pytest.mark.parametrize("least_rows", [100, 10**9])
def test_a_recording_of_less_than_a_month_is_the_file_that_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least_rows: int
) -> None:
    monkeypatch.setattr(months, "LEAST", least_rows)
    made = long(tmp_path, 31)
    recording.write(made, tmp_path)
    table = pa.Table.from_pandas(made.frame, preserve_index=False)
    told = {**table.schema.metadata, b"virtio_study": made.provenance.model_dump_json().encode()}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(told), sink, compression="zstd")
    assert (tmp_path / PLACE).read_bytes() == sink.getvalue().to_pybytes()
    assert {*contents(tmp_path)} == {PLACE}


@pytest.mark.usefixtures("least")
def test_a_long_recording_of_format_1_is_read_and_its_next_day_parts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(months, "LEAST", 10**9)
        append(tmp_path, 70)
    assert {*contents(tmp_path)} == {PLACE}
    pd.testing.assert_frame_equal(recording.read(tmp_path / PLACE, tmp_path).frame, long(tmp_path, 70).frame)
    append(tmp_path, 71)
    assert {*contents(tmp_path)} == {PLACE, *PARTS}
    pd.testing.assert_frame_equal(recording.read(tmp_path / PLACE, tmp_path).frame, long(tmp_path, 71).frame)


def test_recordings_of_the_bundled_studies_are_read_as_they_are() -> None:
    folder = ROOT / "data" / "pve-rig"
    names = recording.names_of_recordings(storage.manifest(folder))
    found = recording.read(folder / names[0], folder)
    assert found.provenance == recording.provenance_in(folder / names[0])
    assert len(found.frame) == pq.read_metadata(folder / names[0]).num_rows


@pytest.mark.usefixtures("least")
def test_a_program_refuses_a_format_that_it_does_not_know(tmp_path: Path) -> None:
    append(tmp_path, 70)
    says = pq.read_schema(tmp_path / PLACE).metadata[b"virtio_study"]
    with pytest.raises(ValueError, match="validation error"):  # as a program of format 1 reads it
        recording.Provenance.model_validate_json(says)
    with pytest.raises(DataError, match=r"^x: a recording of format 3; install the virtio-study that wrote it"):
        months.facts_from(says.replace(b'"format":2', b'"format":3'), "x")
    with pytest.raises(ValueError, match="pattern"):
        months.facts_from(says.replace(b'"2026-01"', b'"../../x"'), "x")


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that ends, and tidies nothing up, before so manyth a file takes a place or goes."""
    child = os.fork()
    if child == 0:
        left = step

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def step_of(*given: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return real(*given, **options)

            return step_of

        Path.replace = counted(Path.replace)  # type: ignore[method-assign]
        Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.usefixtures("least")
@pytest.mark.parametrize(("before", "after"), [(58, 70), (70, 31)])
def test_a_kill_between_a_month_and_its_recording_leaves_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # which is for a loss of power
    append(tmp_path / "start", before)
    cores = {days: long(tmp_path, days).frame["cpu_cores"].to_list() for days in (before, after)}
    seen = []
    for step in range(100):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "start", folder)
        made = long(folder, after)
        killed = killed_at(step, lambda: recording.write_all([made], folder, [PLACE]))  # noqa: B023
        found = recording.read(folder / PLACE, folder)
        seen.append(len(found.frame) // 4)
        assert found.frame["cpu_cores"].to_list() == cores[seen[-1]]
        assert found.provenance.notes == [f"{seen[-1]} days"]
        with storage.one_writer(folder):
            assert {*contents(folder)} == {*storage.manifest(folder)}, "nothing half is left, and nothing is unlisted"
        if not killed:
            break
    assert seen == sorted(seen, key=[before, after].index)
    assert {*seen} == {before, after}
    append(tmp_path / "3", after)
    assert recording.read(tmp_path / "3" / PLACE, tmp_path / "3").frame["cpu_cores"].to_list() == cores[after]


@pytest.mark.usefixtures("least")
def test_a_disk_that_is_full_at_the_month_or_at_the_rest_keeps_the_recording_before(tmp_path: Path) -> None:
    append(tmp_path, 58)
    before = contents(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    made = long(tmp_path, 300)
    for size in (100, 19_850, 22_000):  # no file fits, some months do, all of them do
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(NoRoomError, match="not written: File too large"):
                recording.write_all([made], tmp_path, [PLACE])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert contents(tmp_path) == before
        assert {*storage.manifest(tmp_path)} == {*before}
    append(tmp_path, 300)
    assert len(recording.read(tmp_path / PLACE, tmp_path).frame) == 1200


@pytest.mark.usefixtures("least")
def test_months_whose_rows_changed_are_written_anew_and_those_of_a_recording_that_goes_go(tmp_path: Path) -> None:
    append(tmp_path, 70)
    before = contents(tmp_path)
    made = long(tmp_path, 70)
    made.frame.loc[130, "cpu_cores"] = 0.77
    recording.write_all([made], tmp_path, [PLACE])
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {PLACE, PARTS[1]}
    pd.testing.assert_frame_equal(recording.read(tmp_path / PLACE, tmp_path).frame, made.frame)
    other = replace(long(tmp_path, 3), path=tmp_path / PLACE.replace("-01", "-02"))
    recording.write_all([other], tmp_path, [PLACE])
    assert [*contents(tmp_path)] == [PLACE.replace("-01", "-02")] == [*storage.manifest(tmp_path)]


@pytest.fixture
def study(tmp_path: Path, least: None) -> Study:
    """A study with one long recording beside its short ones."""
    made = write_small(tmp_path)
    append(made.folder, 70)
    return made


@pytest.mark.parametrize("name", [PLACE, *PARTS])
def test_a_changed_byte_and_a_missing_file_are_named_once(study: Study, name: str) -> None:
    path = study.folder / name
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    for form in (f"{path}: changed since it was recorded", f"{path}: listed in the manifest but missing"):
        with pytest.raises(DataError, match=form):
            recording.read(study.folder / PLACE, study.folder)
        with pytest.raises(DataError, match=form):
            Keys(study).verify("alpha", "virtio")
        said_of_it = [str(each) for each in check_study(study).problems if "api-01" in str(each)]
        assert [each[: len(form)] for each in said_of_it] == [form]
        path.unlink(missing_ok=True)


def test_a_reader_whose_recording_is_written_anew_between_two_files_says_so(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = files._read_head(study.folder / PLACE, study.folder)
    made = long(study.folder, 70)
    made.frame.loc[3, "cpu_cores"] = 0.77
    recording.write_all([made], study.folder, [PLACE])
    monkeypatch.setattr(files, "_read_head", lambda path, folder: head)
    with pytest.raises(DataError, match=r"2026-01\.parquet: was recorded anew meanwhile; give the same command again"):
        recording.read(study.folder / PLACE, study.folder)


def test_a_recording_with_its_months_has_no_more_rows_than_one_may(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PARQUET_ROWS", 4 * 69)
    with pytest.raises(DataError, match=r"api-01\.parquet: more than 276 rows with its months"):
        recording.read(study.folder / PLACE, study.folder)


def test_what_knows_recordings_takes_months_for_parts_of_them(study: Study) -> None:
    listed = storage.manifest(study.folder)
    assert len(recording.names_of_recordings(listed, "recordings/alpha/virtio/")) == 3
    times = recording.read_times(study.folder / PLACE)
    assert [times["time"].iloc[at] for at in (0, -1)] == [
        long(study.folder, 70).frame["time"].iloc[at] for at in (0, -1)
    ]
    facts = recording_facts({f"data/small/{name}": study.folder / name for name in (PLACE, *PARTS)})
    assert [*facts] == [f"data/small/{PLACE}"]
    key = Keys(study).recorded("alpha", "virtio")
    made = long(study.folder, 70)
    made.frame.loc[3, "cpu_cores"] = 0.77
    recording.write_all([made], study.folder, [PLACE])
    assert Keys(study).recorded("alpha", "virtio").changes(key) == ["recordings/alpha/virtio"]


@pytest.mark.parametrize("keep", [lambda study, item: keep_all(study, "alpha", [item])[0], keep_window])
def test_an_import_of_a_day_more_reads_no_closed_month(
    study: Study, monkeypatch: pytest.MonkeyPatch, keep: Callable[[Study, Recordable], RecordedFile]
) -> None:
    given = long(study.folder, 71)
    storage.commit(study.folder, {}, [name for name in storage.manifest(study.folder) if "boot" in name])
    item = Recordable(given.frame, given.provenance, said("{days} days.", days=71))
    with monkeypatch.context() as unread:
        unread.setattr(files, "_read_month", lambda *_: pytest.fail("a closed month is read"))
        assert english(keep(study, item).told) == "71 days. It had 280."
        assert "was recorded already" in english(keep(study, item).told)
        assert answered_before(study) == []
        assert RecordedFleet(study).simulated
    given.frame.loc[130, "cpu_cores"] += 0.5
    other = english(keep(study, replace(item, frame=given.frame)).told)
    assert ("made anew" in other) or ("has 284 other rows and stays" in other)
    given = long(study.folder, 71) if "stays" in other else given
    pd.testing.assert_frame_equal(recording.read(study.folder / PLACE, study.folder).frame, given.frame)
