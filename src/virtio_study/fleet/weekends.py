"""The weekend of a server, told by one number, taken out of both sides where both show the same."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from virtio_study.stats.elementary import Array, mean
from virtio_study.stats.hours import DAY_S
from virtio_study.stats.stretch import Stretch

__all__ = ["without_weekend"]

MONDAY, FREE_DAYS = 3, 2
"""1 January 1970 was a Thursday; the week ends with two free days, by UTC."""

ALIKE = 0.5
"""Both sides show the same weekend if the lesser difference from working days is so much of the greater."""

LEAST_S = DAY_S
"""Of weekends and of working days, each, so much has to be on each side."""


def without_weekend(before: Stretch, after: Stretch) -> tuple[Stretch, Stretch]:
    """Take the difference between weekends and working days out of two sides, if they agree on it.

    A server differs from its neighbours by its weekends, and few servers have weeks enough that a whole week's course
    could be taken out (`hours.same_week`). One number can. What is left are levels of a usual week: five sevenths of
    working days and two of weekends, whatever days a side has.
    """
    sides = [(side, _free(side)) for side in (before, after)]
    found = [_difference(side.values, free, side.step_s) for side, free in sides]
    if None in found:
        return before, after
    one, other = (value for value in found if value is not None)
    if one * other <= 0 or min(abs(one), abs(other)) < ALIKE * max(abs(one), abs(other)):
        return before, after
    usual = (one + other) / 2
    first, second = (
        replace(side, values=side.values - usual * (free.astype(np.float64) - FREE_DAYS / 7)) for side, free in sides
    )
    return first, second


def _free(side: Stretch) -> NDArray[np.bool_]:
    """Rows whose middle lies in a weekend."""
    return _free_rows(side.start_s, side.step_s, len(side.values))


@lru_cache(maxsize=32)  # every metric of a server, and many servers of a fleet, have the same rows
def _free_rows(start_s: float, step_s: float, rows: int) -> NDArray[np.bool_]:
    middle = start_s + step_s * (np.arange(rows) + 0.5)
    free = np.asarray((middle // DAY_S + MONDAY) % 7 >= 7 - FREE_DAYS, dtype=bool)
    free.flags.writeable = False
    return free


def _difference(values: Array, free: NDArray[np.bool_], step_s: float) -> float | None:
    """Mean of the weekends less that of the working days; None where a side has too little of either."""
    known = ~np.isnan(values)
    parts = values[known & free], values[known & ~free]
    if min(len(part) for part in parts) * step_s < LEAST_S:
        return None
    return mean(parts[0]) - mean(parts[1])
