"""Servers have days and weeks: what two stretches must cover to be compared, and what both repeat taken out of both."""

import math
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import mean, product_sum, total
from virtio_study.stats.stretch import Array, Stretch

__all__ = [
    "DAY_S",
    "EDGE_S",
    "FEWEST_DAYS",
    "HOUR_S",
    "WEEK_S",
    "same_hours",
    "same_week",
    "whole_days",
    "without_cycle",
]

DAY_S = 86_400.0
HOUR_S = 3_600.0
WEEK_S = 7 * DAY_S
FEWEST_DAYS = 3
"""Two days can be a weekend, and whatever follows it a change: 96 % false alarms in simulation, against 0 to 7 %."""

EDGE_S = 6 * HOUR_S
"""A side that begins or ends so much short of its whole days still has them: rows are missing there, not a day."""

SAME_WEEK, WITHOUT_TREND = 0.97, 0.8
"""Both sides repeat one week if their days of it correlate so, also without a trend: it is then taken out of both.

Taken out always, it costs 10 points of power on real servers, whose levels wander more than they repeat; left in,
intervals with weekends are some 20 times as wide as need be. Of 7600 pairs of real servers 2 % are as alike
as this; their intervals get 0.3 times as wide, with 5.5 % false alarms.
"""


def whole_days(before: Stretch, after: Stretch) -> tuple[Stretch, Stretch]:
    """Cut two sides so that both cover the same hours, next to the change: whole weeks, else whole days.

    Parameters
    ----------
    before, after : Stretch
        Rows of a server whose days differ (any server that people work with), before and after the change.

    Returns
    -------
    tuple of Stretch
        The last days of before and the first of after: whole weeks of both if each has a week, else whole days. Up to
        six hours that a side lacks at its far end are missing rows.

    Raises
    ------
    DataError
        "not enough data" if a side has less than three whole days: nothing in one day a side tells a change from the
        difference between two days (in simulation the best of all methods then covers 18 % instead of 95 %), and
        nothing in two days tells a weekend.
    """
    days = [int((side.end_s - side.start_s + EDGE_S) / DAY_S * (1 + 1e-9)) for side in (before, after)]
    if min(days) < FEWEST_DAYS:
        # rounded down, so that nearly three days do not read as three
        covered = [int((side.end_s - side.start_s) / DAY_S * 100) / 100 for side in (before, after)]
        raise DataError(
            N_(
                "not enough data: {before} and {after} days before and after; at least {fewest} whole days a side "
                "are needed: in less, a change looks like the difference between two days, or like a weekend"
            ),
            before=covered[0],
            after=covered[1],
            fewest=FEWEST_DAYS,
        )
    if min(days) >= 7:
        days = [day - day % 7 for day in days]
    rows = [round(day * DAY_S / side.step_s) for day, side in zip(days, (before, after), strict=True)]
    kept, rest = before.values[-rows[0] :], after.values[: rows[1]]
    kept = np.concatenate([np.full(rows[0] - len(kept), np.nan), kept])
    rest = np.concatenate([rest, np.full(rows[1] - len(rest), np.nan)])
    start = before.end_s - before.step_s * len(kept)
    return Stretch(kept, start, before.step_s), Stretch(rest, after.start_s, after.step_s)


def without_cycle(before: Stretch, after: Stretch, period_s: float = DAY_S) -> tuple[Stretch, Stretch]:
    """Take the cycle that both sides share out of both; without gaps the level of each side stays what it was.

    The cycle is the mean deviation of each hour of the day or week (UTC), over both sides together, from its own side's
    level. That level is the mean over the hours that both sides have, so that a gap at night does not raise it.

    Parameters
    ----------
    before, after : Stretch
        Whole days or weeks, as `whole_days` returns them.
    period_s : float
        `DAY_S` or `WEEK_S`.

    Notes
    -----
    With D periods in all, the cycle takes a share of 1/D of the variance at its own frequencies with it; the deviations
    are stretched by sqrt(D / (D - 1)) to give it back.
    """
    slot_s = max(HOUR_S, before.step_s, after.step_s)
    sides = (before, after)
    count = math.ceil(period_s / slot_s)
    slots = [_slots(side, slot_s, period_s) for side in sides]
    means = [_by_slot(side.values, slot, count) for side, slot in zip(sides, slots, strict=True)]
    shared = ~np.isnan(means[0] + means[1])
    levels = [mean(of_slot[shared if shared.any() else ~np.isnan(of_slot)]) for of_slot in means]
    where = np.concatenate(slots)
    what = np.concatenate([side.values - level for side, level in zip(sides, levels, strict=True)])
    cycle = _by_slot(what, where, count)
    cycle = np.nan_to_num(cycle - mean(cycle[~np.isnan(cycle)]))
    periods = total(side.end_s - side.start_s for side in sides) / period_s
    stretched = math.sqrt(periods / (periods - 1))
    first, second = (
        replace(side, values=_flat(side.values - cycle[slot], stretched))
        for side, slot in zip(sides, slots, strict=True)
    )
    return first, second


def same_week(before: Stretch, after: Stretch) -> bool:
    """Whether two sides of whole weeks, their daily cycle taken out, repeat one week: see `SAME_WEEK`.

    The days must be alike without their trend too: what climbs on both sides repeats nothing.
    """
    if min(side.end_s - side.start_s for side in (before, after)) < WEEK_S * (1 - 1e-9):
        return False
    profiles, straight = [], []
    for side in (before, after):
        # days begin where the side does, lest a trend look like steps that both sides share
        since = np.arange(len(side.values)) * side.step_s // DAY_S
        profile = _by_slot(side.values, (since % 7).astype(np.int64), 7)
        shift = int(side.start_s // DAY_S) % 7
        profiles.append(np.roll(profile, shift))
        straight.append(np.roll(_without_trend(profile), shift))
    return _alike(*profiles) >= SAME_WEEK and _alike(*straight) >= WITHOUT_TREND


def same_hours(before: Stretch, after: Stretch, daily_cycle: bool) -> tuple[Stretch, Stretch]:
    """Both sides made ready for a difference: whole days without what both repeat, or as they are in a lab.

    Every day of the sides is taken to have a cycle; the week has one where both sides show the same. Of D weeks one is
    then spent on the cycle, and the sides tell only a share (D - 1) / D of what as many others would.

    Raises
    ------
    DataError
        As `whole_days`, if the servers' work follows the day (`daily_cycle`).
    """
    if not daily_cycle:
        return before, after
    first, second = without_cycle(*whole_days(before, after))
    if not same_week(first, second):
        return first, second
    weeks = total(side.end_s - side.start_s for side in (first, second)) / WEEK_S
    first, second = without_cycle(first, second, WEEK_S)
    share = (weeks - 1) / weeks
    return replace(first, share=share), replace(second, share=share)


def _alike(one: Array, other: Array) -> float:
    """Correlation of the values that both have; 0 where one does not vary."""
    known = ~np.isnan(one + other)
    if not known.any():
        return 0.0
    first, second = one[known] - mean(one[known]), other[known] - mean(other[known])
    squares = product_sum(first, first) * product_sum(second, second)
    return product_sum(first, second) / math.sqrt(squares) if squares > 0 else 0.0


def _without_trend(profile: Array) -> Array:
    """Residuals of a least-squares line through the values that are there; NaN stays."""
    known = ~np.isnan(profile)
    if not known.any():
        return profile
    order = np.arange(len(profile), dtype=np.float64)
    place = order - mean(order[known])
    apart: Array = profile - mean(profile[known])
    square = product_sum(place[known], place[known])
    slope = product_sum(place[known], apart[known]) / square if square else 0.0
    residual: Array = apart - slope * place
    return residual


def _by_slot(values: Array, slots: np.ndarray[tuple[int, ...], np.dtype[np.int64]], count: int) -> Array:
    """Mean of the values of each slot; NaN where there is none."""
    known = ~np.isnan(values)
    where = slots[known]
    in_order = values[known][np.lexsort((where,))].tolist()
    ends = np.cumsum(np.bincount(where, minlength=count)).tolist()
    return np.array([mean(in_order[first:last]) for first, last in pairwise([0, *ends])])


def _flat(values: Array, stretched: float) -> Array:
    level = mean(values[~np.isnan(values)])
    flat: Array = level + (values - level) * stretched
    return flat


def _slots(side: Stretch, slot_s: float, period_s: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return _slots_of(side.start_s, side.step_s, len(side.values), slot_s, period_s)


@lru_cache(maxsize=32)  # every metric of a server, and many servers of a fleet, have the same rows
def _slots_of(
    start_s: float, step_s: float, rows: int, slot_s: float, period_s: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    middle = start_s + step_s * (np.arange(rows) + 0.5)
    slots = ((middle % period_s) // slot_s).astype(np.int64)
    slots.flags.writeable = False
    return slots
