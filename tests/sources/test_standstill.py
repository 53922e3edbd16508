"""A server that does not execute gives no rows: by its state, by a QEMU that hangs, and by rows alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from answers import imported, labelled, level, study_in
from paths import ROOT, TESTS
from virtio_study import recording
from virtio_study.cleaning.transients import label_periods
from virtio_study.pve.run_states import NOT_RUNNING, why_not_running
from virtio_study.sources.api.importers import import_answers
from virtio_study.sources.files.importers import import_dump
from virtio_study.sources.files.influx import read_influx
from virtio_study.sources.history import History, Poll, Task
from virtio_study.sources.runs import Run, runs_in
from virtio_study.sources.standstill import asleep, not_running, stood_still

RIG = ROOT / "data" / "pve-rig"
T = 1_795_441_200


def test_a_paused_server_gives_no_rows(tmp_path: Path) -> None:
    rows = imported(tmp_path, "paused_qmpstatus")["emulated"]
    assert level(rows) == pytest.approx(0.8)
    paused = rows["time"].between(pd.Timestamp(T + 300, unit="s", tz="UTC"), pd.Timestamp(T + 900, unit="s", tz="UTC"))
    assert set(rows.loc[paused, "reason"]) == {"paused"}


def test_ten_paused_minutes_do_not_cost_three_hours(tmp_path: Path) -> None:
    rows = imported(tmp_path, "pshort")
    assert set(rows) == {"emulated", "virtio"}
    for one in rows.values():
        assert (one["period"] == "steady").sum() > 700
        assert not one.loc[one["period"] == "steady", "cpu_cores"].eq(0).any()


def test_a_dump_of_influxdb_tells_the_state_too(tmp_path: Path) -> None:
    window = "{server: versat, driver_config: emulated, start: 2026-11-23T13:00:00Z, end: 2026-11-23T14:30:00Z}"
    path = TESTS / "data" / "files" / "qmpstatus_paused.lp"
    study = study_in(tmp_path, f"windows:\n  - {window}\n")
    import_dump(study, read_influx([path]), [path], "influx")
    rows = labelled(study, study.folder / "recordings/versat/emulated/influx-01.parquet")
    assert level(rows) == pytest.approx(0.8)
    assert (rows["reason"] == "paused").sum() == 21, "twenty paused rows, and the one that ended with the pause"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("running", ""),
        ("", ""),
        ("stopped", ""),
        ("paused", "paused"),
        ("suspended", "suspended"),
        ("inmigrate", "migration"),
        ("finish-migrate", "migration"),
        ("save-vm", "snapshot"),
        *((state, NOT_RUNNING) for state in ("io-error", "internal-error", "watchdog", "guest-panicked", "prelaunch")),
        *((state, NOT_RUNNING) for state in ("shutdown", "debug", "of-a-new-qemu")),
    ],
)
def test_every_state_but_running_is_a_reason(state: str, reason: str) -> None:
    assert why_not_running({"qmpstatus": state})[0] == reason


def poll(at: float, **more: Any) -> Poll:
    data = {"status": "running", "qmpstatus": "running", "uptime": 5000 + at, "pid": 1, "blockstat": {"ide0": {}}}
    data |= {
        "cpu": 0.1,
        "netin": 100 * at,
        "netout": 9 * at,
        "diskread": 50 * at,
        "running-machine": "pc",
        "mem": 5,
        "memhost": 5,
    }
    return Poll.of(T + at, {key: value for key, value in (data | more).items() if value is not None})


HUNG: dict[str, Any] = {"blockstat": None, "running-machine": None, "diskread": None, "netout": 7, "cpu": 0}


def stretches(polls: list[Poll], workers: int = 3) -> list[tuple[float, float, str]]:
    return [(item.start_s - T, item.end_s - T, item.reason) for item in not_running(polls, workers)]


def test_a_state_is_out_from_the_poll_before_until_every_worker_has_answered_since() -> None:
    polls = [poll(t, **({"qmpstatus": "io-error"} if 100 <= t <= 150 else {})) for t in range(0, 300, 10)]
    assert stretches(polls) == [(90, 180, NOT_RUNNING)]
    assert stretches(polls, workers=0) == [(90, 160, NOT_RUNNING)]
    assert [item.detail for item in not_running(polls)] == ["io-error"]


def test_a_qemu_that_hangs_is_out_and_one_that_missed_a_question_is_not() -> None:
    hung = [poll(t, **(HUNG if 100 <= t <= 150 else {})) for t in range(0, 300, 10)]
    assert stretches(hung, 0) == [(90, 160, "QEMU did not answer")], "also the first, whose counter had still moved"
    busy = [poll(t, **(HUNG | {"netout": 9 * t, "cpu": 0.1} if t in (100, 110) else {})) for t in range(0, 300, 10)]
    assert stretches(busy) == []
    long = [poll(t, **(HUNG | {"netout": t, "cpu": 1.0} if 100 <= t <= 160 else {})) for t in range(0, 300, 10)]
    assert stretches(long, 0) == [(90, 170, "QEMU did not answer")]


def test_a_qemu_that_hangs_until_the_end_leaves_its_version_known() -> None:
    polls = [poll(t, **{"running-qemu": "10.0.13"}, **(HUNG if t > 200 else {})) for t in range(0, 300, 10)]
    ended = [
        Poll.of(one.time_s, {k: v for k, v in one.sample.items() if "blockstat" in one.sample or k != "running-qemu"})
        for one in polls
    ]
    (run,) = runs_of(ended)
    assert (run.qemu, run.machine) == ("10.0.13", "pc")


def test_a_guest_whose_counters_and_cpu_stand_still_for_minutes_is_out() -> None:
    still = {"cpu": 0, "netout": 9, "diskread": 9}  # and what is sent to it still comes
    polls = [poll(t, **(still if 100 <= t <= 300 else {})) for t in range(0, 600, 10)]
    assert stretches(polls, 0) == [(100, 310, "stood still")]
    short = [poll(t, **(still if 100 <= t <= 180 else {})) for t in range(0, 600, 10)]
    assert stretches(short, 0) == []


def test_polls_hours_apart_say_nothing_of_the_hours_between() -> None:
    polls = [poll(0), poll(3600, qmpstatus="paused"), poll(7200)]
    assert stretches(polls) == [(3600, 3600, "paused")]
    samples = [{"time": T + t, "qmpstatus": "paused" if t == 20 else "running"} for t in range(0, 60, 10)]
    assert [(item.start_s - T, item.end_s - T) for item in asleep(samples)] == [(10, 30)]


def task(kind: str, at: float, status: str = "OK") -> Task:
    row = {"upid": f"{kind}{at}", "type": kind, "id": "100", "starttime": T + at, "endtime": T + at, "status": status}
    return Task.of(row)


def runs_of(polls: list[Poll], *tasks: Task) -> list[Run]:
    return runs_in(History(100, polls=polls, tasks=tasks))


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ((task("qmpause", 100), task("qmresume", 200)), (100, 200)),
        ((task("qmpause", 100), task("qmpause", 150, "failed"), task("qmresume", 200)), (100, 200)),
        ((task("qmpause", 100),), (100, 390)),
        ((task("qmpause", 100), task("qmstop", 300)), (100, 300)),
    ],
)
def test_the_whole_time_between_pause_and_resume_is_out(tasks: tuple[Task, ...], told: tuple[float, float]) -> None:
    """Also where the polls do not have the state."""
    (run,) = runs_of([poll(t, qmpstatus=None) for t in range(0, 400, 10)], *tasks)
    paused = [(item.start_s - T, item.end_s - T) for item in run.contaminated if item.reason == "paused"]
    assert told in paused


def test_a_pause_without_a_resume_ends_where_a_poll_shows_the_server_running() -> None:
    polls = [poll(t, **({"qmpstatus": "paused"} if 100 <= t < 200 else {})) for t in range(0, 400, 10)]
    (run,) = runs_of(polls, task("qmpause", 95))
    assert max(item.end_s - T for item in run.contaminated if item.reason == "paused") == 220


def test_a_long_pause_is_no_end_of_the_balloon_statistics_and_costs_no_configuration() -> None:
    def sent(at: float, paused: bool) -> dict[str, Any]:
        info = {"total_mem": 9, "free_mem": 4, "last_update": T + (1000 if paused else at)}
        return {"ballooninfo": info, "qmpstatus": "paused" if paused else "running"}

    for state in ("paused", "hung"):
        polls = [poll(t, **sent(t, state == "paused" and 1000 < t < 2500)) for t in range(0, 4000, 10)]
        if state == "hung":
            polls = [
                poll(t, **HUNG) if 1000 < t < 2500 else one for t, one in zip(range(0, 4000, 10), polls, strict=True)
            ]
        (run,) = runs_of(polls)
        assert run.balloon_driver


def rows(minutes: int = 30, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"time": pd.date_range("2026-11-23", periods=minutes, freq="min", tz="UTC"), "step_s": 60.0})
    values = {"cpu_cores": 0.2, "disk_read_bytes_per_s": 5.0, "disk_write_bytes_per_s": 1.0}
    return frame.assign(**values, net_in_bytes_per_s=4.0, net_out_bytes_per_s=3.0).assign(**columns)


def test_rows_alone_name_minutes_in_which_everything_was_zero() -> None:
    frame = rows()
    frame.loc[10:12, frame.columns[2:]] = 0.0
    frame.loc[20, frame.columns[2:]] = 0.0
    (found,) = stood_still(frame)
    ends = frame["time"].map(pd.Timestamp.timestamp)
    assert (found.start_s, found.end_s, found.reason) == (ends[8], ends[13], "stood still")
    frame.loc[10:12, "net_in_bytes_per_s"] = 4.0
    assert stood_still(frame) == [found], "what is sent to a server that stands still is counted for a while"
    assert stood_still(rows(cpu_cores=0.0)) == []
    assert stood_still(rows(cpu_cores=0.0, disk_read_bytes_per_s=np.nan, disk_write_bytes_per_s=np.nan)) == []


def test_a_start_up_is_found_without_what_is_disturbed() -> None:
    frame = recording.read(RIG / "recordings/versat/emulated/api-01.parquet", RIG).frame.assign(replicate="boot")
    ends = frame["time"].map(pd.Timestamp.timestamp)
    whole = label_periods(frame)["period"].eq("steady")
    for first in (10, 50, 95):
        stopped = frame.copy()
        stopped.loc[first : first + 20, "cpu_cores"] = 0.0
        told = {"boot": [(ends[first - 1], ends[first + 20], "paused")]}
        found = label_periods(stopped, contaminated=told)
        assert (found["reason"] == "paused").sum() == 21
        others = whole & ~frame.index.isin(range(first, first + 21))
        assert level(found) == pytest.approx(frame.loc[others, "cpu_cores"].mean(), rel=0.01)


def test_a_server_that_no_answer_shows_costs_no_other(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    outcomes = import_answers(study, [TESTS / "data" / "answers" / "mem0.jsonl.zst"])
    assert any("/qemu/101/status/current shows it running" in str(item) for item in outcomes)
    assert (study.folder / "timeline.json").exists()
