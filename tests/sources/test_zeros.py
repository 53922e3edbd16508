"""Zeros that mean "unknown": of a worker's first look, of memory that could not be read, of a new pvestatd."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from answers import imported, level, study_in
from paths import TESTS
from virtio_study.cleaning.transients import label_periods
from virtio_study.pve.instruments import memory_state
from virtio_study.sources.api.importers import import_answers
from virtio_study.sources.events import restarts_of_pvestatd
from virtio_study.sources.history import History, Poll, Task
from virtio_study.sources.normalising import add_node_cpu, polled_frame, rrd_frame, sample_frame
from virtio_study.sources.runs import runs_in
from virtio_study.sources.spread_zeros import began_anew, holds_zero
from virtio_study.study import Server, Text

T = 1_795_441_200
SERVER = Server(vmid=100, role=Text(en="a", es="a"), vcpus=2, memory_bytes=2**29, disk_bytes=2**30)  # type: ignore[arg-type]


def polls(cpu: Any, **more: Any) -> list[Poll]:
    """Polls every 10 s with the given shares of 2 vCPUs."""
    base = {"status": "running", "qmpstatus": "running", "cpus": 2, "blockstat": {"ide0": {}}, "pid": 1}
    return [
        Poll.of(
            T + 10 * n,
            {**base, "uptime": 900 + 10 * n, "cpu": value, "netin": 99 * n, "mem": 5e8, "memhost": 5e8} | more,
        )
        for n, value in enumerate(cpu)
    ]


def cores(cpu: Any) -> "pd.Series[float]":
    return polled_frame(polls(cpu), SERVER, "a", None)[0]["cpu_cores"]


# --- a worker's first answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [52, 60, 400])
@pytest.mark.parametrize("places", [(1, 2), (5, 40), (20, 21, 23), (49, 50, 51)])
def test_a_zero_among_busy_readings_is_none_however_short_the_phase(rows: int, places: tuple[int, ...]) -> None:
    cpu = np.full(rows, 0.09)
    cpu[list(places)] = 0
    found = cores(cpu)
    assert found.isna().sum() == len(places)
    assert found.mean() == pytest.approx(0.18)


def test_zeros_of_an_idle_server_are_readings() -> None:
    idle = np.zeros(200)
    idle[::7] = 0.001  # two ticks now and then
    assert cores(idle).notna().all()
    assert cores(idle).mean() == pytest.approx(2 * idle[1:].mean())


def test_many_first_answers_are_told_as_well() -> None:
    cpu = np.full(120, 0.2)
    cpu[::4] = 0
    assert cores(cpu).mean() == pytest.approx(0.4)


def test_a_server_that_rests_between_its_work_has_readings_of_zero() -> None:
    rests = np.where(np.arange(200) % 5 < 2, 0.0, 0.2)
    still = [Poll.of(one.time_s, {**one.sample, "netin": 5}) for one in polls(rests)]
    assert polled_frame(still, SERVER, "a", None)[0]["cpu_cores"].mean() == pytest.approx(2 * rests[1:].mean())


def test_rows_without_cpu_are_named_where_they_are_many() -> None:
    for lost, reasons in ((3, {""}), (12, {"", "not measured"})):
        cpu = np.full(121, 0.09) + np.arange(121) % 2 * 0.001
        cpu[10 : 10 * lost + 1 : 10] = 0
        frame = polled_frame(polls(cpu), SERVER, "a", None)[0].assign(replicate="boot", uptime_s=90000.0)
        assert set(label_periods(frame)["reason"]) == reasons


# --- memory of 0 ------------------------------------------------------------------------------------------------------


def test_memory_of_zero_is_no_measurement(tmp_path: Path) -> None:
    for rows in imported(tmp_path, "mem0").values():
        assert level(rows, "mem_displayed_bytes") == pytest.approx(440.5e6, rel=0.002)
        assert level(rows, "mem_host_bytes") == pytest.approx(440.5e6, rel=0.002)


def minutes(samples: Any, shift: int = 0) -> np.ndarray:
    """Minutes as RRD averages samples of 10 s; `shift` samples of the first minute came before."""
    cut = np.asarray(samples, dtype=float)[shift:]
    return cut[: len(cut) // 6 * 6].reshape(-1, 6).mean(axis=1)


@pytest.mark.parametrize("zeros", [1, 2, 4, 6, 9, 40])
@pytest.mark.parametrize("place", [60, 62, 65])
def test_samples_of_zero_in_minutes_are_found_and_the_rest_stays(zeros: int, place: int) -> None:
    rng = np.random.default_rng(zeros)
    samples = 4.4e8 + rng.normal(0, 1e6, 600)
    whole = minutes(samples)
    samples[place : place + zeros] = 0
    spoilt = minutes(samples)
    found = holds_zero(pd.Series(spoilt)).to_numpy()
    assert (found == (spoilt != whole)).all()


def test_memory_that_falls_and_rises_by_itself_is_no_zero() -> None:
    memory = np.full(100, 4.4e8)
    memory[40:] *= 5 / 6  # for good
    memory[70:75] *= 0.9  # five minutes
    assert not holds_zero(pd.Series(memory)).any()


def test_a_row_that_holds_a_zero_keeps_its_cpu() -> None:
    memory = np.full(60, 4.4e8)
    memory[30] *= 5 / 6
    rows = [
        {"time": T + 60 * n, "cpu": 0.1, "maxcpu": 2, "mem": m, "memhost": m, "maxmem": 2**29}
        for n, m in enumerate(memory)
    ]
    frame = rrd_frame(rows, 60, "AVERAGE", "rows", "9.2.0")
    assert frame["mem_host_bytes"].isna().tolist() == [n == 30 for n in range(60)]
    assert frame["mem_displayed_bytes"].isna().sum() == 1
    assert frame["cpu_cores"].notna().all()


# --- the instrument is held against the answer ------------------------------------------------------------------------

SENT = {"actual": 2**29, "total_mem": 479395840, "free_mem": 443645952, "last_update": T}


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ({"ballooninfo": SENT, "mem": 35749888, "memhost": 4e8}, "statistics"),
        ({"ballooninfo": SENT, "mem": "35749888"}, "statistics"),
        ({"ballooninfo": SENT, "mem": 35749889, "memhost": 4e8}, "not these statistics"),
        ({"ballooninfo": SENT, "mem": 4e8, "memhost": 4e8}, "not these statistics"),
        ({"ballooninfo": SENT, "mem": 0}, "statistics"),
        ({"ballooninfo": {"actual": 1}, "qmpstatus": "running", "mem": 3e8, "memhost": 4e8}, "not the host's"),
        ({"ballooninfo": {"actual": 1}, "mem": 4e8, "memhost": 4e8}, "no driver"),
        ({"qmpstatus": "running", "mem": 0, "memhost": 4e8}, "no balloon"),
    ],
)
def test_a_displayed_value_has_an_instrument_only_if_it_is_that_ones(sample: dict[str, Any], name: str) -> None:
    assert memory_state(sample).name == name


def test_on_a_patched_host_the_displayed_memory_is_unknown_and_the_statistics_are_the_guests() -> None:
    patched = [
        Poll.of(poll.time_s, {**poll.sample, "mem": 1.2e8, "ballooninfo": SENT | {"last_update": poll.time_s}})
        for poll in polls(np.full(60, 0.1))
    ]
    frame = polled_frame(patched, SERVER, "a", "9.2.0")[0]
    assert set(frame["mem_instrument"]) == {"unknown"}
    assert set(frame["mem_guest_instrument"]) == {"guest_stats"}
    assert set(frame["mem_guest_bytes"]) == {35749888}
    (run,) = runs_in(History(100, polls=patched))
    assert run.balloon_driver, "the driver sends, whatever is displayed"


# --- pvestatd began anew ----------------------------------------------------------------------------------------------


def genuine() -> pd.DataFrame:
    rows = json.loads((TESTS / "data" / "files" / "pvestatd-restart.json").read_text())
    frame = rrd_frame(rows["server"], 60, "AVERAGE", "rows", "9.2.6")
    return add_node_cpu(frame, rrd_frame(rows["node"], 60, "AVERAGE", "rows"))


def test_the_rows_over_a_restart_of_a_genuine_pvestatd_are_out() -> None:
    """Rows 13:33 and 13:34 had 0.026 and 0.0215 cores where the polls had 0.13; disk and network went on."""
    frame = genuine()
    out = [(pd.Timestamp(item.start_s, unit="s"), pd.Timestamp(item.end_s, unit="s")) for item in began_anew(frame)]
    assert out == [(pd.Timestamp("2026-11-26 13:32"), pd.Timestamp("2026-11-26 13:34"))]
    (alone,) = began_anew(frame.drop(columns="node_cpu_cores").iloc[:9])
    assert alone.reason == "pvestatd restarted"


def busy(seed: int, noise: float = 0.05, minutes: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"time": pd.date_range("2026-11-26", periods=minutes, freq="min", tz="UTC"), "step_s": 60.0})
    work = 1 + rng.normal(0, noise, minutes)
    for name in ("disk_read", "disk_write", "net_in", "net_out"):
        frame[f"{name}_bytes_per_s"] = 1e5 * work
    return frame.assign(cpu_cores=0.1 * work * (1 + rng.normal(0, noise, minutes)))


@pytest.mark.parametrize("place", [3, 100, 196])
def test_a_short_restart_halves_a_minute_and_is_found(place: int) -> None:
    frame = busy(place)
    frame.loc[place, "cpu_cores"] *= 0.5
    ends = frame["time"].map(pd.Timestamp.timestamp)
    assert [(item.start_s, item.end_s) for item in began_anew(frame)] == [(ends[place] - 60, ends[place])]


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
def test_a_server_s_own_minutes_are_no_restart(noise: float) -> None:
    for seed in range(20):
        frame = busy(seed, noise)
        frame.loc[50, frame.columns[2:]] *= 0.4  # less work, less CPU
        frame.loc[120:160:2, "cpu_cores"] *= 0.5  # its way
        assert began_anew(frame) == []


def test_a_level_that_changes_is_no_restart() -> None:
    for seed in range(5):
        frame = busy(seed)
        frame.loc[102:, "cpu_cores"] *= 3
        frame.loc[100, "cpu_cores"] *= 3  # a start, and one row before the level
        assert began_anew(frame) == []


def test_tasks_of_the_node_tell_a_restart() -> None:
    def task(kind: str, at: float, service: str = "pvestatd") -> Task:
        return Task.of({"upid": f"{kind}{at}", "type": kind, "id": service, "starttime": T + at, "endtime": T + at + 2})

    tasks = [task("srvrestart", 100), task("srvstop", 500), task("srvstart", 560), task("srvrestart", 800, "pveproxy")]
    found = [(item.start_s - T, item.end_s - T) for item in restarts_of_pvestatd(History(100, tasks=tasks))]
    assert found == [(90, 122), (490, 582)]


def test_the_first_sample_of_a_new_pvestatd_in_a_dump_is_no_reading() -> None:
    samples = [{**poll.sample, "time": poll.time_s} for poll in polls(np.where(np.arange(90) == 45, 0.0, 0.1))]
    assert sample_frame(samples, SERVER, "a")["cpu_cores"].isna().sum() == 1


def test_an_import_of_zeros_alone_does_not_fail(tmp_path: Path) -> None:
    lines = [
        {
            "t": poll.time_s,
            "path": "/nodes/a/qemu/100/status/current",
            "status": 200,
            "body": {"data": {**poll.sample, "mem": 0}},
        }
        for poll in polls(np.zeros(60), memhost=0)
    ]
    config = {"ide0": "a", "net0": "e1000=AA"}
    lines.append({"t": T, "path": "/nodes/a/qemu/100/config?current=1", "status": 200, "body": {"data": config}})
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    assert len(import_answers(study_in(tmp_path), [tmp_path / "a.jsonl"])) == 2
