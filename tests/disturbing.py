"""The genuine rig's answers with something put into them, and the levels that come out, without a file in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from paths import ROOT
from virtio_study.cleaning.transients import LONG_TRANSIENT, label_periods
from virtio_study.sources.history import history_of
from virtio_study.sources.normalising import polled_frame
from virtio_study.sources.responses import Answer, read_answers
from virtio_study.sources.runs import match, runs_in
from virtio_study.study import Study, load_study

RIG = ROOT / "data" / "pve-rig"
METRICS = ("cpu_cores", "mem_displayed_bytes", "mem_host_bytes")
Data = dict[str, Any]


@dataclass(frozen=True)
class Poll:
    """When a poll came, and what it said."""

    time_s: float
    data: Data


@dataclass(frozen=True)
class Levels:
    """What comes of a driver configuration: levels by metric, labelled rows, and the reasons of what is out."""

    level: Mapping[str, float]
    rows: pd.DataFrame

    @property
    def reasons(self) -> set[str]:
        return set(self.rows["reason"]) - {"", "start-up"}

    @property
    def long_start_up(self) -> bool:
        """The start-up takes more than a quarter of the rows, as the results note; its end is then uncertain."""
        return bool(self.rows["reason"].eq("start-up").mean() > LONG_TRANSIENT)


@cache
def rig() -> tuple[Study, tuple[Answer, ...]]:
    """The bundled study and its answers."""
    return load_study(RIG), tuple(read_answers(sorted((RIG / "raw").glob("*.zst"))))


def path_of(server: str) -> str:
    return f"/nodes/pve1/qemu/{rig()[0].servers[server].vmid}/status/current"


@cache
def polls_of(server: str) -> tuple[Poll, ...]:
    """Every poll of a server of the rig."""
    return tuple(Poll(item.time_s, dict(item.data)) for item in rig()[1] if item.path == path_of(server))  # type: ignore[call-overload]


def with_polls(server: str, polls: Sequence[Poll]) -> list[Answer]:
    """The rig's answers with other polls of a server."""
    path = path_of(server)
    others = [item for item in rig()[1] if item.path != path]
    return sorted([*others, *(Answer(one.time_s, path, 200, one.data) for one in polls)], key=lambda item: item.time_s)


def levels(server: str, answers: Sequence[Answer]) -> dict[str, Levels]:
    """Driver configuration -> what comes of it, as the product makes it: runs, rows, periods."""
    study, _ = rig()
    history = history_of(study, server, answers)
    found: dict[str, list[pd.DataFrame]] = {}
    for run in (match(run, study.driver_configs) for run in runs_in(history)):
        frame, _ = polled_frame(run.polls, study.servers[server], server, run.host.qemu_server)
        told = [(item.start_s, item.end_s, item.reason) for item in run.contaminated]
        rows = label_periods(frame.assign(replicate="boot"), contaminated={"boot": told})
        found.setdefault(run.driver_config, []).append(rows)
    return {config: _levels(pd.concat(parts)) for config, parts in found.items()}


def _levels(rows: pd.DataFrame) -> Levels:
    steady = rows[rows["period"] == "steady"]
    return Levels({name: float(steady[name].mean()) for name in METRICS}, rows)


COUNTERS = ("netin", "netout", "diskread", "diskwrite")
FROM_QEMU = ("blockstat", "running-machine", "running-qemu", "ballooninfo", "diskread", "diskwrite")


def asleep(polls: Sequence[Poll], first: int, count: int, state: str) -> list[Poll]:
    """A stretch in which the server has a run state: it uses nothing, its counters stand, and its statistics age."""
    stood = polls[first - 1].data
    frozen = {key: stood[key] for key in (*COUNTERS, "mem", "memhost", "ballooninfo") if key in stood}
    return _changed(polls, first, count, lambda data: {**data, **frozen, "cpu": 0, "qmpstatus": state})


def hung(polls: Sequence[Poll], first: int, count: int) -> list[Poll]:
    """A stretch in which QEMU answers nothing: the host's figures alone are there, and stand still."""
    stood = {key: polls[first - 1].data[key] for key in ("netin", "netout")}

    def silent(data: Data) -> Data:
        left = {key: value for key, value in data.items() if key not in FROM_QEMU}
        return {**left, **stood, "cpu": 0, "mem": data["memhost"]}

    return _changed(polls, first, count, silent)


def memory_zero(polls: Sequence[Poll], first: int, count: int) -> list[Poll]:
    """A stretch in which memory could not be read."""
    return _changed(polls, first, count, lambda data: {**data, "mem": 0, "memhost": 0})


def cpu_zero(polls: Sequence[Poll], first: int, count: int) -> list[Poll]:
    """First answers of workers."""
    return _changed(polls, first, count, lambda data: {**data, "cpu": 0})


def with_disk(polls: Sequence[Poll], first: int, count: int, name: str) -> list[Poll]:
    """A stretch in which another drive is there, as of a backup."""
    return _changed(polls, first, count, lambda data: {**data, "blockstat": {**data["blockstat"], name: None}})


def repeated(polls: Sequence[Poll], first: int, count: int, late_s: float = 3.0, every: int = 1) -> list[Poll]:
    """Polls of a stretch again a little later, as another program's question or a watch that was restarted."""
    again = [Poll(one.time_s + late_s, {**one.data, "uptime": one.data["uptime"] + round(late_s)}) for one in polls]
    return sorted([*polls, *again[first : first + count : every]], key=lambda one: one.time_s)


def missing(polls: Sequence[Poll], first: int, count: int) -> list[Poll]:
    """Without the polls of a stretch."""
    return [*polls[:first], *polls[first + count :]]


def late(polls: Sequence[Poll], first: int, count: int, late_s: float) -> list[Poll]:
    """Polls of a stretch, each so much later, as of a host that is slow to answer."""
    return [Poll(one.time_s + late_s * (first <= place < first + count), one.data) for place, one in enumerate(polls)]


def _changed(polls: Sequence[Poll], first: int, count: int, change: Callable[[Data], Data]) -> list[Poll]:
    return [
        Poll(one.time_s, change(one.data)) if first <= place < first + count else one for place, one in enumerate(polls)
    ]
