"""Boots in the order in which they ran: blocks of one boot a side, and a drift from boot to boot beside the effect."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import Array, mean, product_sum
from virtio_study.stats.interval import Interval
from virtio_study.stats.student import t_cdf, t_quantile

__all__ = ["FEWEST_BLOCKS", "Blocks", "Crossover", "crossover"]

FEWEST_BLOCKS = 3


@dataclass(frozen=True)
class Blocks:
    """One level before and one after from each block of boots that ran next to each other.

    Every answer about the effect comes from the same `after - ratio * before` of the blocks, by Student's t: what a
    block shares, such as a drift of the host, is in both boots and leaves the difference. Without such a share nothing
    is won, and the degrees of freedom are half of Welch's.
    """

    before: Array
    after: Array

    @classmethod
    def of(cls, before: ArrayLike, after: ArrayLike) -> "Blocks":
        """Check the levels of both sides, block by block.

        Raises
        ------
        DataError
            With fewer than three blocks, unequal numbers, a level that is not finite, or differences that never vary.
        """
        first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        if first.shape != second.shape or first.ndim != 1 or len(first) < FEWEST_BLOCKS:
            raise DataError(
                N_("{before} and {after} levels; blocks need as many before as after, and three at least"),
                before=len(first),
                after=len(second),
            )
        if not np.isfinite(first + second).all():
            raise DataError(N_("a boot has no finite level; leave it out, and say why"))
        if np.ptp(second - first) == 0:
            raise DataError(N_("every block has the same difference: without spread there is no interval"))
        return cls(first, second)

    def difference(self, confidence: float) -> Interval:
        """After minus before, mean over the blocks."""
        estimate, half = mean(self.after - self.before), t_quantile(self._df, confidence) * self._error(1.0)
        return self._interval(estimate, estimate - half, estimate + half, confidence, "Student t over blocks of boots")

    def detectable(self, confidence: float, power: float = 0.8) -> float:
        """Least difference that so many blocks of this spread show with the given power; see `planning.detectable`."""
        return (t_quantile(self._df, confidence) + t_quantile(self._df, 2 * power - 1)) * self._error(1.0)

    def ratio(self, confidence: float) -> Interval | None:
        """Relative difference, `after / before - 1`, by Fieller's theorem; None where the base may be zero."""
        base, value = mean(self.before), mean(self.after)
        t = t_quantile(self._df, confidence)
        one, both, other = (t * t * part / len(self.before) for part in self._moments())
        # (value - r base)^2 = other - 2 r both + r^2 one, in units of the base
        outer = 1 - one / (base * base) if base > 0 else 0.0
        if outer <= 0:
            return None
        middle = value / base - both / (base * base)
        root = math.sqrt(max(middle * middle - outer * (value * value - other) / (base * base), 0.0))
        low, high = (middle - root) / outer - 1, (middle + root) / outer - 1
        return self._interval(value / base - 1, low, high, confidence, "Fieller over blocks of boots")

    def share_below(self, ratio: float) -> float:
        """One-sided p value of a ratio of after to before: how much of the error's distribution lies below it."""
        distance, error = mean(self.after - ratio * self.before), self._error(ratio)
        if error == 0:
            return float(distance < 0)
        return t_cdf(self._df, -distance / error)

    @property
    def _df(self) -> float:
        return float(len(self.before) - 1)

    def _moments(self) -> tuple[float, float, float]:
        """Variance before, covariance, variance after."""
        first, second = self.before - mean(self.before), self.after - mean(self.after)
        return (
            product_sum(first, first) / self._df,
            product_sum(first, second) / self._df,
            product_sum(second, second) / self._df,
        )

    def _error(self, ratio: float) -> float:
        one, both, other = self._moments()
        return math.sqrt(max(other - 2 * ratio * both + ratio * ratio * one, 0.0) / len(self.before))

    def _interval(self, estimate: float, low: float, high: float, confidence: float, method: str) -> Interval:
        blocks = len(self.before)
        return Interval(estimate, low, high, confidence, 2 * blocks, self._df, method, blocks, blocks)


@dataclass(frozen=True)
class Crossover:
    """The effect with a linear drift from boot to boot beside it, and that drift, in units a boot."""

    effect: Interval
    drift: Interval


def crossover(levels: ArrayLike, after: Sequence[bool], confidence: float) -> Crossover:
    """Effect of switching back and forth on one host: least squares with a linear drift over the order of boots.

    Parameters
    ----------
    levels : array-like of float64, shape (boots,)
        One level a boot, in the order in which the boots ran.
    after : sequence of bool, shape (boots,)
        Whether the boot ran under the driver configuration after.
    confidence : float
        Such as 0.95.

    Raises
    ------
    DataError
        With fewer than two boots a side or five in all, or a level that is not finite.

    References
    ----------
    Jones, B. & Kenward, M. G. (2014). Design and analysis of cross-over trials, 3rd ed.; the tests hold the closed form
    against statsmodels' `OLS`.
    """
    values, treated = _checked(levels, after)
    order = np.arange(len(values), dtype=np.float64)
    y, side, place = (part - mean(part) for part in (values, treated, order))
    sides, places, shared = product_sum(side, side), product_sum(place, place), product_sum(side, place)
    free = sides * places - shared * shared
    of_side, of_place = product_sum(side, y), product_sum(place, y)
    effect = (of_side * places - of_place * shared) / free
    drift = (of_place * sides - of_side * shared) / free
    rest = y - effect * side - drift * place
    df = len(values) - 3.0
    spread = product_sum(rest, rest) / df
    count = int(np.count_nonzero(treated))
    found = []
    for estimate, share in ((effect, places), (drift, sides)):
        half = t_quantile(df, confidence) * math.sqrt(spread * share / free)
        method = "least squares over boots with a linear drift"
        sizes = len(values), df, method, len(values) - count, count
        found.append(Interval(estimate, estimate - half, estimate + half, confidence, *sizes))
    return Crossover(*found)


def _checked(levels: ArrayLike, after: Sequence[bool]) -> tuple[Array, Array]:
    values, treated = np.asarray(levels, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if values.shape != treated.shape or values.ndim != 1:
        raise DataError(
            N_("{levels} levels and {labels} labels; expected one of each a boot"),
            levels=values.shape,
            labels=treated.shape,
        )
    count = int(np.count_nonzero(treated))
    if min(count, len(values) - count) < 2 or len(values) < 5:
        raise DataError(
            N_("{boots} boots, {after} of them after; two a side and five in all are needed"),
            boots=len(values),
            after=count,
        )
    if not np.isfinite(values).all():
        raise DataError(N_("a boot has no finite level; leave it out, and say why"))
    return values, treated
