"""Stretches in which a server did not execute, though its process was there: from its samples and from its rows."""

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from virtio_study.pve.run_states import why_not_running
from virtio_study.pve.values import RRD_COLUMNS, Sample, seconds
from virtio_study.sources.history import Disturbance, Poll

__all__ = ["asleep", "at_zero", "awake", "not_running", "stood_still"]

STOOD_STILL = "stood still"
NO_ANSWER = "QEMU did not answer"

LEAST_S = 120.0
"""A server that executes uses a tick of CPU, its disk or its network within so long."""

SILENT_S = 60.0
"""QEMU that is busy misses a question now and then; one that misses all of them for so long hangs."""

FAR_S = 300.0
"""A sample that is further away than this says nothing of where a stretch ends."""

WORKERS = 3
"""Of the API (pve-manager, `PVE/Service/pvedaemon.pm`): for so many polls after a stretch the CPU is a mean over it."""

BY_THE_GUEST = ("diskread", "diskwrite", "netout")
"""Counters that only a server that executes moves; what is sent to it is counted until its queue is full."""

FROM_QEMU = ("blockstat", "running-machine", "running-qemu")
"""Keys of `status/current` that QEMU's own answers fill, of every server that runs."""


def not_running(polls: Sequence[Poll], workers: int = WORKERS) -> list[Disturbance]:
    """Stretches in which polls show a server that does not execute, or a QEMU that hangs, and the state in `detail`.

    Parameters
    ----------
    polls : sequence of Poll
        In order of time, of a server whose process is there.
    workers : int
        Polls after a stretch that belong to it; 0 for samples of one and the same program, such as pvestatd.

    Returns
    -------
    list of Disturbance
        From the poll before to that after, and `workers` less one more.
    """
    found = []
    for (reason, detail), numbers in groupby(range(len(polls)), key=_states(polls).__getitem__):
        if reason:
            first, *_, last = [*numbers] * 2
            found.append(Disturbance(*_around(polls, first, last, workers), reason, detail))
    return found


def asleep(samples: Sequence[Sample]) -> list[Disturbance]:
    """As `not_running`, of samples of one program, each with its `time` in Unix seconds."""
    return not_running([Poll.of(seconds(sample.get("time")) or 0.0, sample) for sample in samples], 0)


def awake(polls: Sequence[Poll]) -> list[Poll]:
    """Polls of a server that executed, as far as they tell."""
    return [poll for poll, (reason, _) in zip(polls, _states(polls), strict=True) if not reason]


def _around(polls: Sequence[Poll], first: int, last: int, workers: int) -> tuple[float, float]:
    """When the poll before some polls was, and one of those after; the nearest of them where others are far away."""
    start_s, end_s = polls[first].time_s, polls[last].time_s
    if first and start_s - polls[first - 1].time_s <= FAR_S:
        start_s = polls[first - 1].time_s
    for poll in polls[last + 1 : last + 1 + max(1, workers)]:
        if poll.time_s - end_s > FAR_S:
            break
        end_s = poll.time_s
    return start_s, end_s


def _states(polls: Sequence[Poll]) -> list[tuple[str, str]]:
    """Reason and detail of every poll; empty where the server ran."""
    told = [why_not_running(poll.sample) for poll in polls]
    marks = {NO_ANSWER: _silent(polls), STOOD_STILL: _unmoved(polls)}
    for reason, marked in marks.items():
        told = [(reason, "") if mark and not state[0] else state for state, mark in zip(told, marked, strict=True)]
    return told


def _silent(polls: Sequence[Poll]) -> list[bool]:
    """Polls of a QEMU that answered before or after, and now neither answers nor moves anything, or not for long."""
    answered = [any(key in poll.sample for key in FROM_QEMU) for poll in polls]
    if not any(answered):
        return [False] * len(polls)
    moved = [True, *(_moved(before.sample, after.sample) for before, after in pairwise(polls))]
    found = [False] * len(polls)
    for silent, group in groupby(range(len(polls)), key=lambda number: not answered[number]):
        numbers = [*group]
        long = polls[numbers[-1]].time_s - polls[numbers[0]].time_s >= SILENT_S
        hangs = silent and (long or not all(moved[number] for number in numbers))
        for number in numbers:
            found[number] = hangs
    return found


def _unmoved(polls: Sequence[Poll]) -> list[bool]:
    """Polls between which for minutes no CPU was used, and no counter moved."""
    still = [False, *(_still(before.sample, after.sample) for before, after in pairwise(polls))]
    found = [False] * len(polls)
    for quiet, group in groupby(range(len(polls)), key=still.__getitem__):
        numbers = [*group]
        if quiet and polls[numbers[-1]].time_s - polls[numbers[0] - 1].time_s >= LEAST_S:
            for number in numbers:
                found[number] = True
    return found


def _still(before: Sample, after: Sample) -> bool:
    known = [key for key in BY_THE_GUEST if before.get(key) is not None and after.get(key) is not None]
    return bool(known) and str(after.get("cpu")) in {"0", "0.0"} and not _moved(before, after)


def _moved(before: Sample, after: Sample) -> bool:
    """Whether a counter of the guest's own doing that both have differs."""
    return any(
        str(before[key]) != str(after[key])
        for key in BY_THE_GUEST
        if before.get(key) is not None and after.get(key) is not None
    )


def stood_still(frame: pd.DataFrame) -> list[Disturbance]:
    """Stretches of rows in which CPU, disk and network were all at zero for minutes, and the rows on both sides.

    Where rows alone tell, a server that was paused or that hung looks like this, and no server that executes does; of
    the network only what it sends counts. The rows around may hold a part of it.

    Parameters
    ----------
    frame : DataFrame
        Of the schema, in order of time.
    """
    zero = at_zero(frame)
    ends = frame["time"].map(pd.Timestamp.timestamp).to_numpy(dtype=float)
    steps = frame["step_s"].to_numpy(dtype=float)
    found = []
    for quiet, group in groupby(range(len(frame)), key=zero.__getitem__):
        first, *_, last = [*group] * 2
        if quiet and ends[last] - ends[first] + steps[first] >= LEAST_S:
            start_s = ends[first] - steps[first] * (2 if first else 1)
            end_s = ends[last] + (steps[last] if last + 1 < len(frame) else 0.0)
            found.append(Disturbance(float(start_s), float(end_s), STOOD_STILL))
    return found


def at_zero(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows without CPU, disk and sent network; where the frame never has disk or network, nothing tells."""
    own = frame.reindex(columns=[RRD_COLUMNS[key] for key in BY_THE_GUEST])
    if own.iloc[:, :2].isna().all(axis=None) or own.iloc[:, 2].isna().all():
        return np.zeros(len(frame), dtype=bool)
    return np.asarray(own.fillna(0.0).eq(0).all(axis=1) & frame["cpu_cores"].eq(0), dtype=bool)
