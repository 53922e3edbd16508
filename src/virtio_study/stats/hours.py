"""Servers have days: what two stretches must cover to be compared, and the daily cycle taken out of both alike."""

import math

import numpy as np

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import mean, total
from virtio_study.stats.stretch import Array, Stretch

__all__ = ["DAY_S", "FEWEST_DAYS", "same_hours", "whole_days", "without_daily_cycle"]

DAY_S = 86_400.0
HOUR_S = 3_600.0
FEWEST_DAYS = 2


def whole_days(before: Stretch, after: Stretch) -> tuple[Stretch, Stretch]:
    """Cut two sides so that both cover the same hours, next to the change: whole weeks, else whole days.

    Parameters
    ----------
    before, after : Stretch
        Rows of a server whose days differ (any server that people work with), before and after the change.

    Returns
    -------
    tuple of Stretch
        The last days of before and the first of after: whole weeks of both if each has a week, else whole days.

    Raises
    ------
    DataError
        "not enough data" if a side has less than two whole days: nothing in one day a side tells a change from the
        difference between two days (in simulation the best of all methods then covers 18 % instead of 95 %).
    """
    days = [int((side.end_s - side.start_s) / DAY_S * (1 + 1e-9)) for side in (before, after)]
    if min(days) < FEWEST_DAYS:
        # rounded down, so that nearly two days do not read as two
        covered = [int((side.end_s - side.start_s) / DAY_S * 100) / 100 for side in (before, after)]
        raise DataError(
            N_(
                "not enough data: {before} and {after} days before and after; at least {fewest} whole days a "
                "side are needed, because nothing in one day tells a change from the difference between two "
                "days"
            ),
            before=covered[0],
            after=covered[1],
            fewest=FEWEST_DAYS,
        )
    if min(days) >= 7:
        days = [day - day % 7 for day in days]
    rows = [round(day * DAY_S / side.step_s) for day, side in zip(days, (before, after), strict=True)]
    kept = before.values[-rows[0] :]
    start = before.end_s - before.step_s * len(kept)
    return Stretch(kept, start, before.step_s), Stretch(after.values[: rows[1]], after.start_s, after.step_s)


def without_daily_cycle(before: Stretch, after: Stretch) -> tuple[Stretch, Stretch]:
    """Take the daily cycle that both sides share out of both; the level of each side stays what it was.

    The cycle is the mean deviation of each hour of the day (UTC) from its own side's mean, over both sides together.

    Parameters
    ----------
    before, after : Stretch
        Whole days, as `whole_days` returns them.

    Notes
    -----
    With D days in all, the cycle takes a share of 1/D of the variance at its own frequencies with it; the deviations
    are stretched by sqrt(D / (D - 1)) to give it back.
    """
    slot_s = max(HOUR_S, before.step_s, after.step_s)
    sides = (before, after)
    slots = [_slots(side, slot_s) for side in sides]
    deviations = [side.values - _level(side.values) for side in sides]
    where, what = np.concatenate(slots), np.concatenate(deviations)
    known = ~np.isnan(what)
    where, what = where[known], what[known]
    of_slots = [what[where == slot] for slot in range(math.ceil(DAY_S / slot_s))]
    cycle = np.array([mean(rows) if len(rows) else 0.0 for rows in of_slots])
    days = total(side.end_s - side.start_s for side in sides) / DAY_S
    stretched = math.sqrt(days / (days - 1))
    first, second = (
        Stretch(_flat(side, deviation, cycle[slot], stretched), side.start_s, side.step_s)
        for side, deviation, slot in zip(sides, deviations, slots, strict=True)
    )
    return first, second


def same_hours(before: Stretch, after: Stretch, daily_cycle: bool) -> tuple[Stretch, Stretch]:
    """Both sides made ready for a difference: whole days without their common cycle, or as they are in a lab.

    Raises
    ------
    DataError
        As `whole_days`, if the servers' work follows the day (`daily_cycle`).
    """
    return without_daily_cycle(*whole_days(before, after)) if daily_cycle else (before, after)


def _flat(side: Stretch, deviation: Array, cycle: Array, stretched: float) -> Array:
    flat: Array = _level(side.values) + (deviation - cycle) * stretched
    # with gaps the cycle's own mean over the rows is not exactly zero
    return flat + (_level(side.values) - _level(flat))


def _level(values: Array) -> float:
    return mean(values[~np.isnan(values)])


def _slots(side: Stretch, slot_s: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    middle = side.start_s + side.step_s * (np.arange(len(side.values)) + 0.5)
    return ((middle % DAY_S) // slot_s).astype(np.int64)
