"""Whether an effect hangs on how it was calculated: every choice that keeps the promise, and what usual methods say."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.analysis.records import Number, Recorded
from virtio_study.errors import DataError
from virtio_study.stats.effects import difference
from virtio_study.stats.elementary import mean, variance
from virtio_study.stats.hours import same_hours, whole_days
from virtio_study.stats.interval import Interval
from virtio_study.stats.methods import METHODS
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import PEAK_QUANTILE, Array, Statistic, Stretch, stretch
from virtio_study.stats.student import t_quantile

__all__ = [
    "ROWS_AVERAGED",
    "START_UPS",
    "STATISTICS",
    "Sensitivity",
    "Specification",
    "agreement",
    "specifications",
    "usual_answers",
    "ways",
]

START_UPS = ("found", "first quarter", "none")
"""Rows of the start-up: as the rule found them, the first quarter of every recording, or none left out."""

STATISTICS: tuple[Statistic, ...] = ("mean", "median", "peak")
ROWS_AVERAGED = (1, 5)
KEEPING, USUAL = ("series", "halves"), ("welch", "hac", "bootstrap")
"""Intervals for one recording a side whose false alarms stay under the promise on servers that nobody touched, and the
usual ones, which give 35 to 77 % there (`docs/calibration.md`)."""


class Specification(Recorded):
    """One way to calculate an effect, and what comes out; `low` and `high` are None where no interval can be had."""

    start_up: str
    statistic: Statistic
    rows_averaged: int
    daily_cycle: str
    method: str
    estimate: Number
    low: Number | None
    high: Number | None


class Sensitivity(Recorded):
    """Every way to calculate one effect that keeps the promise, and the shares that agree with the main answer.

    `usual` holds, apart and uncounted, what the usual methods would have said of one recording a side. Same sign: the
    estimate is on the main one's side of zero. Same conclusion, of the `judged` ways that give an interval: it excludes
    zero on that side, if the main one does, and includes zero, if the main one does.
    """

    specifications: tuple[Specification, ...]
    usual: tuple[Specification, ...] = ()
    count: int
    judged: int
    same_sign: Number | None
    same_conclusion: Number | None
    least: Number | None
    most: Number | None


class _Series(NamedTuple):
    """Values of one boot under a start-up rule, rows averaged: end times in Unix seconds, values, seconds a value."""

    ends_s: Array
    values: Array
    step_s: float


def specifications(before: Arm, after: Arm, column: str, confidence: float, daily_cycle: bool) -> list[Specification]:
    """Every way to calculate one effect that keeps the promise, smallest estimate first.

    Parameters
    ----------
    before, after : Arm
        The boots of both sides.
    column : str
        The metric's column.
    confidence : float
        Such as 0.95.
    daily_cycle : bool
        Whether the servers' work follows the day; only single recordings are treated by it.

    Returns
    -------
    list of Specification
        Over boots where both sides have two or more: start-up rule, statistic, rows averaged first, and Welch's t or
        Student's t on pairs of boots of the same block. For one recording a side: start-up rule, statistic, rows
        averaged, daily cycle taken out or left in, and the interval or its robust bound. Where nothing started there is
        one start-up rule. A way that has no answer (not enough data) is left out.

    References
    ----------
    Simonsohn, U., Simmons, J. P. & Nelson, L. D. (2020). Specification curve analysis. Nat. Hum. Behav. 4, 1208-1214.
    """
    found = []
    started = any((boot.periods == "transient").any() for arm in (before, after) for boot in arm.boots)
    for start_up, averaged in product(START_UPS if started else START_UPS[:1], ROWS_AVERAGED):
        found += ways((before, after), column, confidence, daily_cycle, start_up, averaged)
    # estimates have the digits that are written: ways that agree in all of them are told apart by their names
    return sorted(found, key=lambda item: (item.estimate, item.start_up, item.statistic, item.method))


def ways(
    arms: tuple[Arm, Arm], column: str, confidence: float, daily_cycle: bool, start_up: str, averaged: int
) -> list[Specification]:
    """The ways of `specifications` under one rule for the start-up, and so many rows averaged first."""
    single = len(arms[0].boots) == len(arms[1].boots) == 1
    before, after = (_series(arm, column, start_up, 1 if single else averaged) for arm in arms)
    if single:
        return list(_of_series(before, after, confidence, daily_cycle, start_up, averaged))
    return list(_of_boots(before, after, confidence, start_up, averaged))


def usual_answers(sides: tuple[Stretch, Stretch], confidence: float) -> list[Specification]:
    """What the usual methods say of two sides that were made ready as for the main answer."""
    found = []
    for method in USUAL:
        interval = _interval(sides, "mean", method, confidence)
        if interval:
            choices: tuple[str, Statistic, int] = START_UPS[0], "mean", 1
            found.append(_way(choices, "as in the main answer", method, interval.estimate, interval.low, interval.high))
    return found


def agreement(found: list[Specification], main: Interval, usual: Sequence[Specification] = ()) -> Sensitivity:
    """The curve of all ways, how many agree with the main answer, and the usual answers apart."""
    sign = np.sign(main.estimate)
    judged = [item for item in found if item.low is not None and item.high is not None]
    mine = _conclusion(main.low, main.high)
    agreeing = sum(_conclusion(item.low or 0.0, item.high or 0.0) == mine for item in judged)
    return Sensitivity(
        specifications=tuple(found),
        usual=tuple(usual),
        count=len(found),
        judged=len(judged),
        same_sign=sum(np.sign(item.estimate) == sign for item in found) / len(found) if found else None,
        same_conclusion=agreeing / len(judged) if judged else None,
        least=found[0].estimate if found else None,
        most=found[-1].estimate if found else None,
    )


def _conclusion(low: float, high: float) -> int:
    return 1 if low > 0 else -1 if high < 0 else 0


def _series(arm: Arm, column: str, start_up: str, averaged: int) -> dict[str, _Series]:
    """Every boot's values under a start-up rule; excluded rows are never taken back."""
    found = {boot.replicate: _of_boot(boot, column, start_up, averaged) for boot in arm.boots}
    return {name: series for name, series in found.items() if series is not None}


def _of_boot(boot: Boot, column: str, start_up: str, averaged: int) -> _Series | None:
    if start_up == "found":
        analysed = np.flatnonzero(boot.periods == "steady")
    else:
        analysed = np.flatnonzero(boot.periods != "excluded")
        analysed = analysed[len(analysed) // 4 if start_up == "first quarter" else 0 :]
    values = boot.values(column)[analysed]
    present = ~np.isnan(values)
    values, ends = values[present], boot.ends_s[analysed][present]
    count = len(values) // averaged
    if not count:
        return None
    step_s = float(np.median(boot.values("step_s")[analysed][present]))
    summed = np.cumsum(values[: count * averaged].reshape(count, averaged), axis=1)[:, -1]
    return _Series(ends[averaged - 1 : count * averaged : averaged], summed / averaged, step_s * averaged)


def _value(values: Array, statistic: Statistic) -> float:
    if statistic == "mean":
        return mean(values)
    if statistic == "median":
        return float(np.median(values))
    return float(np.quantile(values, PEAK_QUANTILE, method="higher"))


def _of_boots(
    before: dict[str, _Series],
    after: dict[str, _Series],
    confidence: float,
    start_up: str,
    averaged: int,
) -> Iterator[Specification]:
    for statistic in STATISTICS:
        first, second = (
            {name: _value(boot.values, statistic) for name, boot in side.items()} for side in (before, after)
        )
        if min(len(first), len(second)) < 2:
            continue
        low = high = None
        estimate = mean(second.values()) - mean(first.values())
        try:
            welch = difference(list(first.values()), list(second.values()), confidence)
            low, high = welch.low, welch.high
        except DataError:
            pass  # constant on both sides: an estimate without an interval
        choices = start_up, statistic, averaged
        yield _way(choices, "-", "Welch over boots", estimate, low, high)
        shared = sorted(set(first) & set(second))
        changes = np.array([second[name] - first[name] for name in shared])
        if len(shared) > 2 and np.ptp(changes) > 0:
            middle = mean(changes)
            half = t_quantile(len(changes) - 1, confidence) * math.sqrt(variance(changes) / len(changes))
            yield _way(choices, "-", "pairs of boots", middle, middle - half, middle + half)


def _of_series(
    before: dict[str, _Series],
    after: dict[str, _Series],
    confidence: float,
    daily_cycle: bool,
    start_up: str,
    averaged: int,
) -> Iterator[Specification]:
    try:
        first, second = (stretch(*next(iter(side.values()))) for side in (before, after) if side)
    except (DataError, ValueError):
        return
    for cycle in ("taken out", "left in") if daily_cycle else ("-",):
        try:
            one, other = _ready(first, second, cycle)
            ready = _averaged(one, averaged), _averaged(other, averaged)
        except DataError:
            continue
        for statistic in STATISTICS:
            for method in KEEPING if statistic == "mean" else KEEPING[:1]:
                if found := _interval(ready, statistic, method, confidence):
                    choices = start_up, statistic, averaged
                    yield _way(choices, cycle, method, found.estimate, found.low, found.high)


def _averaged(side: Stretch, rows: int) -> Stretch:
    """Means of every `rows` rows of the grid, of the values that are there; NaN where there is none."""
    if rows == 1:
        return side
    groups = side.values[: len(side.values) // rows * rows].reshape(-1, rows)
    known = ~np.isnan(groups)
    count = known.cumsum(axis=1)[:, -1]
    summed = np.where(known, groups, 0.0).cumsum(axis=1)[:, -1]
    return Stretch(np.where(count > 0, summed / np.maximum(count, 1), np.nan), side.start_s, side.step_s * rows)


def _ready(before: Stretch, after: Stretch, cycle: str) -> tuple[Stretch, Stretch]:
    if cycle == "left in":
        return whole_days(before, after)
    return same_hours(before, after, cycle == "taken out")


def _interval(sides: tuple[Stretch, Stretch], statistic: Statistic, method: str, confidence: float) -> Interval | None:
    try:
        if statistic == "mean":
            return METHODS[method](*sides, confidence)
        return difference_of_series(*sides, confidence, statistic).interval
    except DataError:
        return None


def _way(
    choices: tuple[str, Statistic, int], cycle: str, method: str, estimate: float, low: float | None, high: float | None
) -> Specification:
    start_up, statistic, averaged = choices
    return Specification(
        start_up=start_up,
        statistic=statistic,
        rows_averaged=averaged,
        daily_cycle=cycle,
        method=method,
        estimate=estimate,
        low=low,
        high=high,
    )
