"""Start-up transients found by measurement (MSER-5) after a start, restarts and gaps, as labels on every row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from virtio_study.cleaning.left_out import blips, edges, irregular, touched, unmeasured
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import mean, total

__all__ = [
    "LONGEST_START_UP_S",
    "LONG_TRANSIENT",
    "PERIODS",
    "REASONS",
    "PeriodSummary",
    "label_periods",
    "period_table",
    "steady_start",
    "summarise",
]

PERIODS = ("transient", "steady", "excluded")
REASONS = {
    "start-up": "start-up, found by MSER-5 on the CPU series in the first hours after a start",
    "before the load": "steady already, but before the load of the protocol began",
    "wash-out": "steady already, but in the first minutes of a block of the schedule, which every block leaves out",
    "restart": "a restart inside the recording (the uptime fell, or the source says so), and the start-up after it",
    "no steady state": "the start-up would take more than half of a recording of less than two hours",
    "gap": "the interval of this row is not one step long",
    "outside the window": "outside the study's windows",
    "another instrument": "the displayed memory of this row was made otherwise than that of nearly all others",
    "not measured": "the CPU of this row is missing, as of more than a twentieth of the others",
    "": "steady: may be analysed",
}
"""Reason of a label -> what it means."""

LONG_TRANSIENT = 0.25
"""A start-up longer than this share of its recording deserves a note."""

LONGEST_START_UP_S = 3600.0
"""A start-up ends within an hour of its start: what wanders later is the server's own level, and cutting there selects.

On 500 production servers that nobody touched, MSER over whole weeks refused 57 to 65 % of all comparisons, and of those
that it let pass 15 to 24 % were false alarms (GWA-T-12, trace Rnd).
"""

BATCH, SMALL_BATCH = 5, 3
"""Rows a batch of the rule, and where what is missing or disturbed leaves too few of them for it."""

COARSE_BATCH = 1
"""Rows a batch where a recording goes on, but its rows are so long that two hours of them are too few for the rule.

Of simulated servers with rows of five or ten minutes (AR(1), phi 0 to 0.9) a start-up of a quarter of an hour at four
times the level is then found in 99.8 %, and 10 to 28 minutes are left out where there is none. Of rows of more than
twelve minutes nothing can be told; the longest start-up is left out.
"""

OTHER_BATCHES = (3, 5, 10)
"""Rows a batch among which the rule's answer is looked at, to say how sure it is."""

LAST_BATCHES = 5
"""MSER is not computed over fewer batches than these: there it is small by chance (Hoad, Robinson & Davies 2010)."""

LATE_GAIN = 1 / 3
"""A cut in the second half counts only if it brings MSER below this share of the best cut in the first half.

Without it, plain noise of 65 rows "never settles" in 11 to 24 % of boots (AR(1), phi 0 to 0.9); with it in 1 to 3 %,
and a step of five standard deviations after 60 % of the rows is still seen in 90 to 100 %.
"""


def steady_start(values: NDArray[np.float64], batch: int = BATCH) -> int | None:
    """First row of the steady stretch, by MSER on means of `batch` rows.

    Parameters
    ----------
    values : ndarray of float64, shape (rows,)
        CPU of one boot, rows in order of time; NaN (a missed reading) is left out.
    batch : int
        Rows in a batch mean.

    Returns
    -------
    int or None
        Index of the first steady row, a multiple of `batch` when nothing is missing. None: no steady state was reached;
        the series settles after its middle if at all, or there are too few rows to tell.

    Notes
    -----
    MSER cuts where the squared standard error of what remains is smallest: sum of squares over the squared number of
    remaining batches. Cuts in the first half compete with each other; one in the second half means "no steady
    state" if it is better by `LATE_GAIN`. A last incomplete batch is not used to find the cut.

    References
    ----------
    White, K. P. (1997). An effective truncation heuristic for bias reduction in simulation output. Simulation 69,
    323-334.
    """
    if batch < 1:
        raise DataError(N_("batch is {batch}; expected at least 1 row"), batch=batch)
    present = np.flatnonzero(~np.isnan(values))
    count = len(present) // batch
    if count < 2 * LAST_BATCHES:
        return None
    # running sums, here and below: their order is fixed, and so is their last bit
    means = np.cumsum(values[present[: count * batch]].reshape(count, batch), axis=1)[:, -1] / batch
    # from the mean, so that long series of large numbers keep their digits
    means = means - mean(means)
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum((means * means)[::-1])[::-1]
    mser = np.maximum(squares - sums * sums / left, 0.0) / (left * left)
    half = len(present) // 2 // batch
    cut = int(np.argmin(mser[: half + 1]))
    late = mser[half + 1 : count - LAST_BATCHES + 1]
    if len(late) and late.min() < LATE_GAIN * mser[cut]:
        return None
    return int(present[cut * batch]) if cut else 0


def start_range(values: NDArray[np.float64], batches: Sequence[int] = OTHER_BATCHES) -> tuple[int, int] | None:
    """Least and greatest start of the steady stretch under other lengths of the rule's batches: how sure the cut is.

    Parameters
    ----------
    values : array of float64, shape (rows,)
        As in `steady_start`.
    batches : sequence of int
        Rows a batch.

    Returns
    -------
    tuple of int, or None
        Rows left out, at least and at most; the number of all rows stands for "no steady state". None if no length
        finds a steady state.
    """
    cuts = [steady_start(values, batch) for batch in batches]
    if all(cut is None for cut in cuts):
        return None
    known = [len(values) if cut is None else cut for cut in cuts]
    return min(known), max(known)


def label_periods(
    frame: pd.DataFrame,
    column: str = "cpu_cores",
    windows: Sequence[tuple[datetime, datetime]] = (),
    load_started: Mapping[str, float] | None = None,
    contaminated: Mapping[str, Sequence[tuple[float, float, str]]] | None = None,
    washouts: Sequence[tuple[float, float]] = (),
) -> pd.DataFrame:
    """Label every row with the period that it belongs to, and why; nothing is dropped.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        Columns of the recording schema and `replicate`; rows of a replicate in order of time.
    column : str
        The series in which the start-up is looked for, after every start: in the first `2 * LONGEST_START_UP_S` after
        it, and for half of that at most. Rows that begin later than that after a start have none; nor has a longer
        recording that does not say since when its server runs. The start-up is over when the host's memory, where that
        was measured, is filled too: leading rows, at most a quarter of those looked at, that lie further outside the
        range of the rest than that range is wide. What fills more slowly is drift.
    windows : sequence of (start, end)
        Stretches with time zone to which the study is restricted; none means that every row belongs.
    load_started : mapping of replicate to seconds, optional
        Uptime at which the load of the protocol began; it only ever shortens what the rule found.
    contaminated : mapping of replicate to sequence of (start, end, reason), optional
        Stretches (Unix seconds) of something else, whose rows are excluded; a start-up is looked for after `restart`.
    washouts : sequence of (start, end)
        Stretches (Unix seconds) at the start of a schedule's blocks; what is steady in them is left out too.

    Returns
    -------
    DataFrame, shape (rows, columns + 2)
        A copy with `period` (one of `PERIODS`) and `reason` (a key of `REASONS`).

    Raises
    ------
    DataError
        If a column is missing or the times of a replicate do not increase.
    """
    for name in ("replicate", "time", "step_s", column):
        if name not in frame.columns:
            raise DataError(N_("column {name!r} is missing; collect the recordings first (1_collect)"), name=name)
    found: NDArray[np.object_] = np.full(len(frame), "", dtype=object)
    boots = frame.groupby("replicate", sort=True)
    for replicate, boot in boots:
        if (boot["time"].diff().dropna() <= pd.Timedelta(0)).any():
            message = N_("replicate {replicate}: times must increase; collect its recording again")
            raise DataError(message, replicate=replicate)
        name = str(replicate)
        disturbed = (contaminated or {}).get(name, ())
        restarts = [end for _, end, reason in disturbed if reason == "restart"]
        told = touched(boot, disturbed)
        reasons = _reasons(boot, column, windows, (load_started or {}).get(name), restarts, told != "")
        reasons = np.where(reasons == "", told, reasons)
        reasons[(reasons == "") & _washed(boot, washouts)] = "wash-out"
        reasons[blips(boot, reasons)] = "another instrument"
        reasons[unmeasured(boot, column, reasons)] = "not measured"
        found[boots.indices[replicate]] = reasons
    return _with_labels(frame, found)


def _with_labels(frame: pd.DataFrame, reasons: NDArray[np.object_]) -> pd.DataFrame:
    labels = {"period": [_PERIOD_OF.get(reason, "excluded") for reason in reasons], "reason": reasons}
    added = {name: pd.Series(values, index=frame.index, dtype="str") for name, values in labels.items()}
    return frame.drop(columns=list(labels), errors="ignore").assign(**added)


def _washed(boot: pd.DataFrame, washouts: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    return np.asarray(touched(boot, [(start, end, "wash-out") for start, end in washouts]) != "", dtype=bool)


_PERIOD_OF = {
    "": "steady",
    "start-up": "transient",
    "before the load": "transient",
    "wash-out": "transient",
    "restart": "transient",
    "no steady state": "transient",
    "gap": "excluded",
    "outside the window": "excluded",
}


def _reasons(
    boot: pd.DataFrame,
    column: str,
    windows: Sequence[tuple[datetime, datetime]],
    load_started: float | None,
    restarts: Sequence[float],
    disturbed: NDArray[np.bool_],
) -> NDArray[np.object_]:
    """Reason of each row of one replicate; its first in the order window, start-up, before the load, gap wins.

    What is disturbed says nothing of when a start-up ended; where all is, there is none to look for.
    """
    reasons: NDArray[np.object_] = np.full(len(boot), "", dtype=object)
    inside = np.ones(len(boot), dtype=bool)
    if windows:
        inside = np.zeros(len(boot), dtype=bool)
        for start, end in windows:
            inside |= ((boot["time"] > start) & (boot["time"] <= end)).to_numpy()
    reasons[~inside] = "outside the window"
    quiet = boot.assign(
        **{name: boot[name].mask(disturbed) for name in {column, "mem_host_bytes"} if name in boot.columns}
    )
    restarted = _restarted(boot, restarts)
    cuts = np.unique([0, *restarted, len(boot)])
    for first, last in pairwise(cuts):
        rows = np.arange(first, last)[inside[first:last]]
        looked = _after_start(boot, rows, first in restarted)
        if looked is None or disturbed[rows].all():
            continue
        cut = _start_up(quiet, column, looked)
        if cut is None:
            reasons[rows[~disturbed[rows]]] = "no steady state"
        else:
            reasons[rows[:cut]] = "restart" if first else "start-up"
    if load_started is not None and "uptime_s" in boot.columns:
        early = np.asarray(boot["uptime_s"] - boot["step_s"] < load_started, dtype=bool)
        reasons[early & (reasons == "")] = "before the load"
    reasons[irregular(boot) & (reasons == "")] = "gap"
    return reasons


@dataclass(frozen=True)
class _Looked:
    """Rows after a start that are looked at, and how many the start-up may take; `whole`: there are no later ones."""

    rows: NDArray[np.int64]
    most: int
    whole: bool


def _after_start(boot: pd.DataFrame, rows: NDArray[np.int64], started: bool) -> _Looked | None:
    """What is looked at of a stretch; None where nothing started shortly before it.

    `started`: a start just before the first row is known. Else the uptime tells; where it does not, only a stretch as
    short as the rule's reach is taken to begin with a start, as the boots of a laboratory do.
    """
    if not len(rows):
        return None
    begins, ends = (side[rows] for side in edges(boot))
    uptime = (
        boot["uptime_s"].to_numpy(dtype=np.float64)[rows] if "uptime_s" in boot.columns else np.full(len(rows), np.nan)
    )
    known = np.flatnonzero(~np.isnan(uptime))
    age = 0.0 if started else max(float(uptime[known[0]] - (ends[known[0]] - begins[0])), 0.0) if len(known) else None
    if age is None:
        age = 0.0 if ends[-1] - begins[0] <= 2 * LONGEST_START_UP_S else np.inf
    since = age + begins - begins[0]
    most = int((since < LONGEST_START_UP_S).sum())
    if not most:
        return None
    near = since < 2 * LONGEST_START_UP_S
    return _Looked(rows[near], most, bool(near.all()))


def _start_up(boot: pd.DataFrame, column: str, looked: _Looked) -> int | None:
    """Rows of the start-up; None if no steady state was reached.

    Where later rows exist, a start-up that cannot be told is the longest that there can be.
    """
    values = boot[column].to_numpy(dtype=np.float64)[looked.rows]
    left = np.count_nonzero(~np.isnan(values))
    batch = SMALL_BATCH if left < min(len(values), 2 * LAST_BATCHES * BATCH) else BATCH
    if not looked.whole and left < 2 * LAST_BATCHES * batch:
        batch = COARSE_BATCH
    found = steady_start(values, batch)
    if found is None:
        return None if looked.whole else looked.most
    memory = (
        boot["mem_host_bytes"].to_numpy(dtype=np.float64)[looked.rows] if "mem_host_bytes" in boot.columns else None
    )
    return min(max(found, 0 if memory is None else _filled(memory)), looked.most)


def _filled(memory: NDArray[np.float64]) -> int:
    """Leading rows whose memory lies further outside the range of the last three quarters than that range is wide."""
    quarter = int(LONG_TRANSIENT * len(memory))
    rest = memory[quarter:]
    if not quarter or np.isnan(rest).all():
        return 0
    low, high = float(np.nanmin(rest)), float(np.nanmax(rest))
    outside = np.flatnonzero((memory[:quarter] < 2 * low - high) | (memory[:quarter] > 2 * high - low))
    return int(outside[-1]) + 1 if len(outside) else 0


def _restarted(boot: pd.DataFrame, restarts: Sequence[float]) -> list[int]:
    """First rows after a restart: the uptime is below that of the row before, or a restart that is told has ended."""
    begins, _ = edges(boot)
    told = [int(place) for place in np.searchsorted(begins, restarts)]
    if "uptime_s" not in boot.columns:
        return told
    return [*told, *(int(place) for place in np.flatnonzero(boot["uptime_s"].ffill().diff() < 0))]


@dataclass(frozen=True)
class PeriodSummary:
    """Rows and seconds of one replicate by period.

    `status` is "steady" or "no steady state"; `start_up_range_s` the start of the steady stretch under other batches
    (see `start_range`, on the CPU); `long_transient` says that the start-up took more than a quarter of the rows;
    `reasons` counts rows by reason.
    """

    replicate: str
    rows: int
    steady_rows: int
    steady_s: float
    transient_rows: int
    transient_s: float
    start_up_range_s: tuple[float, float] | None
    excluded_rows: int
    status: str
    long_transient: bool
    reasons: dict[str, int]


def summarise(replicate: str, boot: pd.DataFrame) -> PeriodSummary:
    """Summarise the labels of one replicate's rows."""
    periods, steps = np.asarray(boot["period"], dtype=object), boot["step_s"].to_numpy(dtype=np.float64)
    steady, transient = periods == "steady", periods == "transient"
    looked = _after_start(boot, np.arange(len(boot)), started=False)
    if looked and "cpu_cores" in boot.columns:
        cuts = start_range(boot["cpu_cores"].to_numpy(dtype=np.float64)[looked.rows])
    else:
        cuts = None
    step_s = float(np.nanmedian(steps))
    reasons = sorted(boot["reason"].astype("str").to_numpy())
    return PeriodSummary(
        replicate=replicate,
        rows=len(boot),
        steady_rows=int(steady.sum()),
        steady_s=total(steps[steady]),
        transient_rows=int(transient.sum()),
        transient_s=total(steps[transient]),
        start_up_range_s=(cuts[0] * step_s, cuts[1] * step_s) if cuts else None,
        excluded_rows=int((periods == "excluded").sum()),
        status="steady" if steady.any() else "no steady state",
        long_transient=bool(transient.sum() > LONG_TRANSIENT * len(boot)),
        reasons={reason: reasons.count(reason) for reason in dict.fromkeys(reasons) if reason},
    )


def period_table(clean: pd.DataFrame) -> list[PeriodSummary]:
    """Summarise the labels of cleaned rows, one entry a replicate."""
    return [summarise(str(name), boot) for name, boot in clean.groupby("replicate", sort=True)]
