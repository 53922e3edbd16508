"""What was spent at equal load: the difference of two sides once the load of the same hours is taken into account."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import Array, log1p, mean, product_sum, total
from virtio_study.stats.hours import HOUR_S, same_hours
from virtio_study.stats.interval import Interval
from virtio_study.stats.series import SeriesDifference, difference_of_series
from virtio_study.stats.stretch import BATCHES, Stretch
from virtio_study.stats.student import t_quantile

__all__ = ["AtEqualLoad", "difference_at_equal_load"]

FEWEST_GROUPS = 2 * BATCHES
LN2 = 0.6931471805599453


@dataclass(frozen=True)
class AtEqualLoad:
    """The difference at equal load, its robust bound, and what twice the load adds to the spending."""

    interval: Interval
    bound: Interval
    of_twice: float


def difference_at_equal_load(
    before: tuple[Stretch, Stretch], after: tuple[Stretch, Stretch], confidence: float, daily_cycle: bool
) -> AtEqualLoad:
    """After minus before of the spending, had both sides had the same load.

    Parameters
    ----------
    before, after : pair of Stretch
        Spending (such as CPU cores) and load (such as bytes a second) in the same rows.
    confidence : float
        Such as 0.95.
    daily_cycle : bool
        As for `hours.same_hours`.

    Raises
    ------
    DataError
        As `series.fit`; if spending and load are not the same rows; if the load never varies.

    Notes
    -----
    Within each side, hour by hour, spending is regressed on ln(1 + load) with one slope for both, and each row is moved
    to the mean load of both sides. It assumes that the load drives the spending, the same on both sides, and not the
    reverse. The slope's error, by batches of hours, is added to the interval of the moved rows. On untouched servers it
    has as few false alarms as the plain interval (`docs/calibration.md`), and shows more.
    """
    for spent, load in (before, after):
        if (spent.start_s, spent.step_s, len(spent.values)) != (load.start_s, load.step_s, len(load.values)):
            raise DataError(N_("spending and load are not the same rows"))
    spending = same_hours(before[0], after[0], daily_cycle)
    loads = same_hours(_logged(before[1]), _logged(after[1]), daily_cycle)
    sides = [_deviations(spent, load) for spent, load in zip(spending, loads, strict=True)]
    square = total(product_sum(x, x) for _, x in sides)
    if square <= 0:
        raise DataError(N_("the load never varies within a side: nothing tells what it costs"))
    slope = total(product_sum(x, y) for y, x in sides) / square
    levels = [mean(load.values[~np.isnan(load.values)]) for load in loads]
    middle = (levels[0] + levels[1]) / 2
    first, second = (
        Stretch(spent.values - slope * (load.values - middle), spent.start_s, spent.step_s, spent.share)
        for spent, load in zip(spending, loads, strict=True)
    )
    found = difference_of_series(first, second, confidence)
    scores = [score for y, x in sides for score in _scores(x * (y - slope * x))]
    moved = (levels[1] - levels[0]) * math.sqrt(total(score * score for score in scores)) / square
    return _widened(found, moved, slope, confidence)


def _widened(found: SeriesDifference, moved: float, slope: float, confidence: float) -> AtEqualLoad:
    """The interval with the slope's standard error, `moved` by the distance of the loads, added in squares."""
    interval = found.interval
    half, more = interval.high - interval.estimate, t_quantile(2.0 * (BATCHES - 1), confidence) * moved
    half = math.sqrt(half * half + more * more)
    widened = Interval(
        interval.estimate,
        interval.estimate - half,
        interval.estimate + half,
        confidence,
        interval.n,
        None,
        f"{interval.method}; at equal load",
        interval.n_before,
        interval.n_after,
    )
    return AtEqualLoad(widened, found.bound, slope * LN2)


def _logged(load: Stretch) -> Stretch:
    return Stretch(log1p(np.maximum(load.values, 0.0)), load.start_s, load.step_s)


def _deviations(spent: Stretch, load: Stretch) -> tuple[Array, Array]:
    """Hourly means of both, where both are there, from their own mean."""
    known = ~np.isnan(spent.values + load.values)
    rows = max(1, min(round(HOUR_S / spent.step_s), len(spent.values) // (2 * FEWEST_GROUPS)))
    starts = range(0, len(known) - rows + 1, rows)
    kept = [slice(start, start + rows) for start in starts if known[start : start + rows].any()]
    if len(kept) < FEWEST_GROUPS:
        raise DataError(
            N_("not enough data: {hours} stretches with spending and load; at least {fewest} are needed"),
            hours=len(kept),
            fewest=FEWEST_GROUPS,
        )
    spending, loads = (np.array([mean(side.values[part][known[part]]) for part in kept]) for side in (spent, load))
    return spending - mean(spending), loads - mean(loads)


def _scores(products: Array) -> list[float]:
    """Sums over `BATCHES` stretches of neighbours, so that what lasts for hours counts as one."""
    edges = [round(len(products) * number / BATCHES) for number in range(BATCHES + 1)]
    return [total(products[a:b]) for a, b in pairwise(edges)]
