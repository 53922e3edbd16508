"""Fisher's exact test of what was drawn at random: signed ranks of the draws, and intervals by inverting the test.

Each free draw of a design, such as the order within a pair of blocks, has one change: level after less level before, as
drawn. If the configuration changes nothing (the sharp null hypothesis), the other draw would have turned its sign and
left its size. So the sum of the signed ranks has a known distribution, whatever the levels' autocorrelation, drift and
cycles are. That distribution is counted over all assignments of the law, however many, and never drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import Array, exp, log, product_sum, total
from virtio_study.stats.interval import Interval
from virtio_study.stats.student import t_quantile

__all__ = ["Contrasts", "enough_draws", "joined", "least_ranks", "null_distribution", "of_pairs", "of_turns"]

OVER_PAIRS = "signed ranks over all orders within pairs"
OVER_TURNS = "signed ranks over all draws of single blocks"
BINS = 41


@dataclass(frozen=True, eq=False)
class Contrasts:
    """One change a free draw, and what an effect adds to it.

    `changes` are logarithms of the level after over that before, as drawn, shape (draws,); `weights` say how much of a
    relative effect's logarithm is in each: 1 in a pair, 0 to 1 where a block is held against its neighbours. `apart` is
    above 0 where a pair of draws (each with itself too) tells a rise, and below where it tells a fall; `sums` are the
    additive effects at which it would tell neither, `ratios` the relative ones.

    Notes
    -----
    The sum of positive signed ranks is the number of pairs of draws whose changes add up to a rise (Tukey's form of
    Wilcoxon's statistic), so that the limits of the inverted test are order statistics and need no search. Equal sizes
    and zeros count for the null hypothesis, so the test is never more than its level.

    References
    ----------
    Imbens, G. W. & Rubin, D. B. (2015). Causal inference for statistics, social, and biomedical sciences, chapters 5
    and 9. Hodges, J. L. & Lehmann, E. L. (1963). Estimates of location based on rank tests. Ann. Math. Stat. 34,
    598-611. Bojinov, I., Simchi-Levi, D. & Zhao, J. (2023). Design and analysis of switchback experiments. Management
    Science 69, 3759-3777.
    """

    changes: Array
    weights: Array
    apart: Array
    sums: Array
    ratios: Array
    method: str = OVER_PAIRS

    @property
    def draws(self) -> int:
        """Number of free draws, each with two outcomes as likely."""
        return len(self.changes)

    @property
    def rises(self) -> int:
        """Pairs of draws that add up to a rise: the sum of the ranks of the rises."""
        return int(np.count_nonzero(self.apart > 0))

    @property
    def falls(self) -> int:
        """As `rises`, of falls."""
        return int(np.count_nonzero(self.apart < 0))

    @property
    def p(self) -> float:
        """Two-sided exact p value of the sharp null hypothesis of no effect."""
        if not self.draws:
            return 1.0
        below = _cumulative(self.draws)
        return min(1.0, 2 * float(below[len(below) - 1 - max(self.rises, self.falls)]))

    @property
    def least_p(self) -> float:
        """The least p value that so many draws can have."""
        return min(1.0, math.ldexp(2.0, -self.draws))

    def difference(self, confidence: float) -> Interval:
        """Additive effect, in the levels' unit: the one that the test contradicts least, and all that it does not.

        Raises
        ------
        DataError
            With too few draws for the confidence, or so many that tell nothing that there is no limit.
        """
        return self._inverted(self.sums, confidence)

    def relative(self, confidence: float) -> Interval | None:
        """Relative effect, after over before less 1; None where it has no limits, as of levels of zero.

        Raises
        ------
        DataError
            With too few draws for the confidence.
        """
        try:
            return self._inverted(self.ratios, confidence)
        except NoLimitsError:
            return None

    def detectable(self, confidence: float, power: float = 0.8) -> float:
        """Least additive effect that such draws would show with the given power: by the width of the interval.

        Raises
        ------
        DataError
            As `difference`.
        """
        found, df = self.difference(confidence), float(self.draws - 1)
        shown = t_quantile(df, confidence)
        return (found.high - found.low) / 2 * (shown + t_quantile(df, 2 * power - 1)) / shown

    def p_of_ratio(self, ratio: float, *, above: bool) -> float:
        """One-sided p value of the hypothesis that after over before is `ratio` or less (`above`), or or more."""
        at = ratio - 1
        seen = np.count_nonzero(self.ratios > at) if above else np.count_nonzero(self.ratios < at)
        below = _cumulative(self.draws)
        return float(below[len(below) - 1 - int(seen)])

    def at_equal_load(self, load: "Contrasts") -> "Contrasts":
        """The logarithms of the changes less what the same draws' changes of load explain, by least squares.

        Under the null hypothesis neither level nor load depends on the draw, and both change sign together: the slope
        stays, and the test of what is left is exact. It takes for granted that the configuration leaves the load alone.
        """
        of_load = np.where(np.isfinite(load.changes), load.changes, 0.0)
        known = np.where(np.isfinite(self.changes), self.changes, 0.0)
        size = product_sum(of_load, of_load)
        if size == 0:
            return self
        slope, share = product_sum(known, of_load) / size, product_sum(self.weights, of_load) / size
        return _of_logs(self.changes - slope * of_load, self.weights - share * of_load, self.method)

    def _inverted(self, candidates: Array, confidence: float) -> Interval:
        outside = np.flatnonzero(_cumulative(self.draws) <= (1 - confidence) / 2)
        if not len(outside):
            raise DataError(
                N_(
                    "{draws} random draws have values on both sides; an interval of {confidence:percent} needs "
                    "{needed} at least: plan more blocks"
                ),
                draws=self.draws,
                confidence=confidence,
                needed=enough_draws(confidence),
            )
        place, last = int(outside[-1]), len(candidates) - 1
        low = float(np.sort(np.where(np.isnan(candidates), -np.inf, candidates))[place])
        high = float(np.sort(np.where(np.isnan(candidates), np.inf, candidates))[last - place])
        estimate = float(np.median(candidates[~np.isnan(candidates)])) if math.isfinite(low + high) else math.nan
        if not math.isfinite(low + high + estimate):
            raise NoLimitsError(N_("so many levels are zero, or never vary, that the effect has no limits"))
        return Interval(estimate, low, high, confidence, 2 * self.draws, None, self.method, self.draws, self.draws)


class NoLimitsError(DataError):
    """An inverted test without limits."""


def of_pairs(before: ArrayLike, after: ArrayLike) -> Contrasts:
    """Pairs of neighbouring blocks or boots, whose order was drawn: signed ranks of the differences of their levels.

    Two pairs tell a fall where their levels after add up to less than those before; the ratio of both sums is the
    relative effect that they would not contradict. On untouched servers of one month (GWA-T-12 Rnd, 2013-7), and then
    of another, this showed more falls of 50 and 88 % over two weeks than signed ranks of log ratios, and as many of
    the others within a point: docs/calibration.md.

    Parameters
    ----------
    before, after : array-like of float64, shape (pairs,)
        Level of each, 0 or more, in one unit; NaN is refused.

    Raises
    ------
    DataError
        With unequal numbers or none, or a level that is negative or not finite.
    """
    first, second = _checked(before), _checked(after)
    if first.shape != second.shape:
        raise DataError(
            N_("{before} levels before and {after} after; pairs have one of each"), before=len(first), after=len(second)
        )
    late, early = _added(second), _added(first)
    apart = late - early
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = apart / early
    weights = np.where(first + second > 0, 1.0, 0.0)
    return Contrasts(_log_ratio(second, first), weights, apart, apart / 2, ratios)


def of_turns(levels: ArrayLike, after: Sequence[bool]) -> Contrasts:
    """Blocks in order of time, each with a draw of its own: each is held against the mean of its two neighbours.

    Parameters
    ----------
    levels : array-like of float64, shape (blocks,)
        0 or more, in one unit; NaN is refused.
    after : sequence of bool, shape (blocks,)
        Whether the block had the configuration after.

    Raises
    ------
    DataError
        With unequal numbers, fewer than two blocks, or a level that is negative or not finite.
    """
    values, treated = _checked(levels), np.asarray(after, dtype=np.float64)
    if values.shape != treated.shape or len(values) < 2:
        raise DataError(
            N_("{levels} levels and {labels} configurations of blocks; expected as many, and two or more"),
            levels=len(values),
            labels=len(treated),
        )
    sign = np.where(treated > 0, 1.0, -1.0)
    logs = _log_ratio(values, np.ones_like(values))
    with np.errstate(invalid="ignore"):
        changes = sign * (logs - _neighbours(logs))
    weights = sign * (treated - _neighbours(treated))
    changes = np.where(np.isnan(changes), 0.0, changes)
    sums = _turning(_added(sign * (values - _neighbours(values))), _added(weights))
    return replace(_of_logs(changes, weights, OVER_TURNS), sums=sums)


def joined(parts: Sequence[Contrasts]) -> Contrasts:
    """Several servers, each with draws of its own: the logarithms of all their changes ranked together.

    No additive effect is common.

    Raises
    ------
    DataError
        If there is none.
    """
    if not parts:
        raise DataError(N_("no server has blocks of both configurations"))
    changes, weights = (np.concatenate([getattr(part, name) for part in parts]) for name in ("changes", "weights"))
    return _of_logs(changes, weights, parts[0].method)


def enough_draws(confidence: float) -> int:
    """Fewest draws with which a two-sided test can contradict anything at a level of `1 - confidence`."""
    draws = 1
    while math.ldexp(2.0, -draws) > 1 - confidence:
        draws += 1
    return draws


def least_ranks(draws: int, confidence: float) -> int | None:
    """Least rank sum of falls at which so many draws show a fall; None where they are too few to show any."""
    outside = np.flatnonzero(_cumulative(draws) <= (1 - confidence) / 2)
    return draws * (draws + 1) // 2 - int(outside[-1]) if len(outside) else None


def null_distribution(draws: int) -> tuple[tuple[float, float], ...]:
    """Distribution of the statistic over all assignments, in bins.

    Returns
    -------
    tuple of (share, probability)
        Middle of each bin of the rank sum of the rises as a share of its greatest value, and how likely that is.
    """
    below = _cumulative(draws)
    each = np.diff(below, prepend=0.0)
    bins = min(BINS, len(each))
    place = np.arange(len(each)) * bins // len(each)
    shares = np.arange(len(each)) / (len(each) - 1)
    middles = [(float(shares[place == number][0]) + float(shares[place == number][-1])) / 2 for number in range(bins)]
    return tuple((middle, total(each[place == number])) for number, middle in enumerate(middles))


@lru_cache(maxsize=64)
def _cumulative(draws: int) -> Array:
    """Share of all 2^draws assignments whose rank sum of rises is at most 0, 1, 2, ..."""
    most = draws * (draws + 1) // 2
    each = np.zeros(most + 1)
    each[0] = 1.0
    for rank in range(1, draws + 1):
        reached = rank * (rank + 1) // 2 + 1
        kept = each[:reached] / 2
        each[:reached] = kept
        each[rank:reached] += kept[: reached - rank]
    return np.cumsum(each)


def _of_logs(changes: Array, weights: Array, method: str) -> Contrasts:
    """Signed ranks of logarithms of changes, which have no additive effect in common."""
    apart = _added(changes)
    ratios = _turning(apart, _added(weights))
    known = np.isfinite(ratios)
    ratios[known] = exp(ratios[known]) - 1
    return Contrasts(changes, weights, apart, np.full(1, np.nan), ratios, method)


def _turning(apart: Array, weight: Array) -> Array:
    """Effects at which pairs of draws tell neither: NaN where any is as good, infinite where none is enough."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weight > 0, apart / weight, np.where(apart == 0, np.nan, apart * np.inf))


def _added(values: Array) -> Array:
    """Sum of every pair of values, each with itself too."""
    one, other = np.triu_indices(len(values))
    with np.errstate(invalid="ignore"):
        return np.asarray(values[one] + values[other])


def _neighbours(values: Array) -> Array:
    """Mean of the values before and after each; the ends have one."""
    padded = np.concatenate([values[1:2], values, values[-2:-1]])
    with np.errstate(invalid="ignore"):
        return np.asarray((padded[:-2] + padded[2:]) / 2)


def _log_ratio(value: Array, base: Array) -> Array:
    """Logarithm of a ratio: infinite where one of the two is zero, and 0 where both are."""
    found = np.zeros(len(value))
    both = (value > 0) & (base > 0)
    found[both] = log(value[both]) - log(base[both])
    found[(value > 0) & (base == 0)] = np.inf
    found[(value == 0) & (base > 0)] = -np.inf
    return found


def _checked(levels: ArrayLike) -> Array:
    values = np.asarray(levels, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(N_("expected one level a block, got an array of shape {shape}"), shape=values.shape)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        raise DataError(
            N_("block {block} has the level {value}; expected a finite number of at least 0"),
            block=int(wrong[0]) + 1,
            value=float(values[wrong[0]]),
        )
    return values
