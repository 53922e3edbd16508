"""Levels and differences of autocorrelated series: the rows of one recording a side, where there are no replicates.

The rule, in six lines (`docs/calibration.md` shows what it covers, beside what others cover):

1. Each side is averaged into 12 batches of consecutive rows (of a week: 14 hours each).
2. Batch means are the level plus first-order autoregressive noise, with one coefficient phi for both sides and a
   variance for each.
3. phi is not estimated but averaged over: every phi from -0.9 to 0.995 counts with its likelihood, and persistent ones
   a little more (prior (1 - phi^2)^(-3/16); flat on levels, 1/sigma on each sigma; closed form, no random numbers).
4. Under each phi the error of a side's mean is known up to Student's t with 11 degrees of freedom, and that of their
   difference is Welch's t.
5. The interval is the difference of the plain means, plus and minus the quantile of the mixture of those t.
6. Beside it stands the robust bound: Welch's t on the means of the halves (2 + 2 numbers), which trusts no model; an
   effect is called robust only if both exclude zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.stats.elementary import exp, log, log1p, mean, powers, product_sum, total, variance
from virtio_study.stats.fieller import Pairs
from virtio_study.stats.interval import Interval
from virtio_study.stats.mixture import mixture_quantiles
from virtio_study.stats.stretch import (
    BATCHES,
    Array,
    Batched,
    Statistic,
    Stretch,
    batch,
    batched,
    present,
    refuse_overlap,
)
from virtio_study.stats.student import t_quantile

__all__ = [
    "Fit",
    "Fitted",
    "SeriesDifference",
    "difference_of_series",
    "fit",
    "fitted",
    "halves_difference",
    "level_of_series",
    "ratios",
    "series_differences",
    "shares_below",
    "work_difference",
]

_PHI: Array = np.array([-0.9 + 1.895 / 79 * number for number in range(80)])
# between a flat prior and the reference prior, whose exponent is -1/2; the measurements behind it: docs/calibration.md
_LOG_PRIOR = -0.1875 * log1p(-_PHI * _PHI)
# variance of the mean of 12 values of an AR(1) whose innovations have variance 1, for every phi
_CORRELATED = np.array([total(row) for row in powers(_PHI, BATCHES - 1) * np.arange(BATCHES - 1, 0, -1)])
_MEAN_VARIANCE = (BATCHES + 2 * _CORRELATED) / (1 - _PHI * _PHI) / (BATCHES * BATCHES)
_METHOD = "AR(1) over 12 batches a side, phi averaged over"


@dataclass(frozen=True)
class SeriesDifference:
    """After minus before: the interval, the robust bound, and both sides' values; see the module's six lines."""

    interval: Interval
    bound: Interval
    before: float
    after: float

    @property
    def robust(self) -> bool:
        """Whether interval and robust bound both exclude zero, on the same side."""
        return (
            self.interval.excludes(0.0)
            and self.bound.excludes(0.0)
            and ((self.interval.low > 0) == (self.bound.low > 0))
        )


@dataclass(frozen=True)
class Fitted:
    """One side: a value, the same of its two halves, and under every phi the variance of its error.

    `likelihood` is the logarithm of every phi's; None where the side is constant in every batch. `share` says how much
    of what 12 batches tell these tell (see `Stretch`): it weighs in the likelihood and in the degrees of freedom.
    """

    value: float
    halves: Array
    variance: Array
    likelihood: Array | None
    share: float = 1.0

    @property
    def constant(self) -> bool:
        """Whether there is no spread to make an interval of."""
        return self.likelihood is None

    def level(self, confidence: float) -> Interval:
        """The side's value with its interval; see `level_of_series`."""
        if self.constant:
            method = "constant in every batch: no spread to make an interval of"
            return Interval(self.value, self.value, self.value, confidence, BATCHES, None, method)
        half = self.half_width(_weights(self), confidence)
        return Interval(self.value, self.value - half, self.value + half, confidence, BATCHES, None, _METHOD)

    def half_width(self, weight: Array, confidence: float) -> float:
        """Half the interval of the value under given weights of every phi."""
        df = np.full((1, len(_PHI)), self.share * (BATCHES - 1))
        return float(mixture_quantiles(weight[None], np.sqrt(self.variance)[None], df, confidence)[0])


@dataclass(frozen=True)
class Fit:
    """Both sides under one error model: every answer about their difference comes from it, so that none contradicts.

    `weight` is every phi's; `factor` is by how much errors of differences are greater than the rows alone say, `note`
    why, and `df` the degrees of freedom where not the rows but a few restarts decide.
    """

    before: Fitted
    after: Fitted
    weight: Array
    factor: float = 1.0
    note: str = ""
    df: float | None = None

    def difference(self, confidence: float) -> SeriesDifference:
        """After minus before; see `difference_of_series`."""
        return series_differences([self], confidence)[0]

    def ratio(self, confidence: float) -> Interval | None:
        """Relative difference, `after / before - 1`; see `ratios`."""
        return ratios([self], confidence)[0]

    def share_below(self, ratio: float) -> float:
        """How much of the mixture lies below a ratio of `after` to `before`; 0.5 at the ratio of the values.

        One minus it, or it, is the one-sided p value of that ratio.
        """
        return shares_below([self], ratio)[0]

    @property
    def share(self) -> float:
        """How much of what two sides of 12 batches tell these tell."""
        return min(self.before.share, self.after.share)

    def interval(self, estimate: float, low: float, high: float, confidence: float, method: str) -> Interval:
        """An interval of the two sides' batches."""
        return Interval(estimate, low, high, confidence, 2 * BATCHES, self.df, method + self.note, BATCHES, BATCHES)


def series_differences(fits: Sequence[Fit], confidence: float) -> list[SeriesDifference]:
    """After minus before of many fits at a time: each as `Fit.difference` has it, for a tenth of the time."""
    if not fits:
        return []
    found = []
    for one, half in zip(fits, _pairs(fits).half_widths(confidence).tolist(), strict=True):
        estimate = one.after.value - one.before.value
        note = "; one side is constant" if one.before.constant or one.after.constant else ""
        interval = one.interval(estimate, estimate - half, estimate + half, confidence, _METHOD + note)
        bound = halves_difference(one.before.halves, one.after.halves, confidence, one.share)
        found.append(SeriesDifference(interval, bound, one.before.value, one.after.value))
    return found


def ratios(fits: Sequence[Fit], confidence: float) -> list[Interval | None]:
    """Relative differences, `after / before - 1`, of many fits at a time, by Fieller's argument within the mixture.

    Returns
    -------
    list of Interval or None
        None means "not estimable": the base's own interval includes zero, so the ratio has no bounded interval.

    References
    ----------
    Fieller, E. C. (1954). Some problems in interval estimation. J. R. Stat. Soc. B 16, 175-185.
    """
    found: list[Interval | None] = [None] * len(fits)
    bounded = np.flatnonzero(_pairs(fits).bounded(confidence)).tolist() if fits else []
    if bounded:
        limits = _pairs([fits[place] for place in bounded]).limits(confidence) - 1
        for place, (low, high) in zip(bounded, limits.T.tolist(), strict=True):
            ratio = fits[place].after.value / fits[place].before.value
            found[place] = fits[place].interval(ratio - 1, low, high, confidence, f"Fieller; {_METHOD}")
    return found


def shares_below(fits: Sequence[Fit], ratio: float) -> list[float]:
    """How much of each mixture lies below a ratio of `after` to `before`; see `Fit.share_below`."""
    shares: list[float] = _pairs(fits).shares_below(ratio).tolist() if fits else []
    return shares


def _pairs(fits: Sequence[Fit]) -> Pairs:
    numbers = [(one.before.value, one.after.value, one.factor, one.share * (BATCHES - 1)) for one in fits]
    before, after, factor, df = np.array(numbers).T[:, :, None]
    first, second = (
        np.array([side.variance for side in sides]) for sides in zip(*((f.before, f.after) for f in fits), strict=True)
    )
    return Pairs(before, after, first, second, np.array([one.weight for one in fits]), factor, df)


def fitted(side: Batched) -> Fitted:
    """One side under every phi.

    The batch means are the level plus AR(1) noise: generalised least squares under every phi, in closed form.
    """
    batches = side.batches
    if np.ptp(batches) == 0:
        return Fitted(side.value, side.halves, np.zeros_like(_PHI), None, side.share)
    z, phi, square = batches - mean(batches), _PHI, _PHI * _PHI
    inner, ends = z[1:-1], float(z[0] + z[-1])
    # 1'R^-1 1, 1'R^-1 z and z'R^-1 z with the tridiagonal R^-1 of an AR(1) whose innovations have variance 1
    xx = 2 + (BATCHES - 2) * (1 + square) - 2 * (BATCHES - 1) * phi
    xz = ends + (1 + square) * total(inner) - phi * (total(z[:-1]) + total(z[1:]))
    zz = product_sum(z, z) + square * product_sum(inner, inner) - 2 * phi * product_sum(z[:-1], z[1:])
    rss = np.maximum(zz - xz * xz / xx, np.finfo(float).tiny)
    likelihood = 0.5 * (log1p(-square) - log(xx) - (BATCHES - 1) * log(rss))
    return Fitted(side.value, side.halves, rss / (BATCHES - 1) * _MEAN_VARIANCE, side.share * likelihood, side.share)


def fit(before: Stretch, after: Stretch, statistic: Statistic = "mean") -> Fit:
    """Fit the error model to two stretches of one server.

    Parameters
    ----------
    before, after : Stretch
        Steady rows in one unit. For a server with daily habits pass them through `hours.same_hours` first.
    statistic : {"mean", "median", "peak"}
        Peaks of rows of different steps are refused: a longer step hides peaks.

    Raises
    ------
    DataError
        "not enough data" as `level_of_series`; if the sides overlap in time; if both are constant (without spread
        there is no interval); if peaks of different steps are asked for.

    References
    ----------
    Welch, B. L. (1947). Biometrika 34, 28-35. Zellner, A. & Tiao, G. C. (1964). Bayesian analysis of the regression
    model with autocorrelated errors. J. Am. Stat. Assoc. 59, 763-778. Batch means: Law, A. M. & Kelton, W. D.
    (1984). Confidence intervals for steady-state simulations. Oper. Res. 32, 1221-1239.
    """
    refuse_overlap(before, after)
    if statistic == "peak" and before.step_s != after.step_s:
        raise DataError(
            N_("peaks of rows of {before:g} s and {after:g} s cannot be compared: longer rows hide peaks"),
            before=before.step_s,
            after=after.step_s,
        )
    first, second = said(N_("the side before")), said(N_("the side after"))
    return _both(fitted(batched(before, first, statistic)), fitted(batched(after, second, statistic)))


def _both(before: Fitted, after: Fitted) -> Fit:
    if before.constant and after.constant:
        raise DataError(
            N_(
                "both sides are constant (before {before}, after {after}): without spread there is no "
                "interval; a value that never varies is an allocation or a stuck reading, not a measurement"
            ),
            before=before.value,
            after=after.value,
        )
    return Fit(before, after, _weights(before, after))


def _weights(*sides: Fitted) -> Array:
    logs = _LOG_PRIOR
    for side in sides:
        if side.likelihood is not None:
            logs = logs + side.likelihood
    weight = exp(logs - logs.max())
    normed: Array = weight / total(weight)
    return normed


def level_of_series(side: Stretch, confidence: float, statistic: Statistic = "mean") -> Interval:
    """Level of one stretch with an interval that is valid under autocorrelation.

    Parameters
    ----------
    side : Stretch
        Rows of one steady stretch.
    confidence : float
        Such as 0.95.
    statistic : {"mean", "median", "peak"}
        Over all rows; the error comes from the same statistic of 12 batches.

    Returns
    -------
    Interval
        `n` is the number of batches; `df` is None (a mixture has none). A constant stretch has width 0, and `method`
        says so.

    Raises
    ------
    DataError
        "not enough data" with fewer than 24 rows or more than half of the rows missing.
    """
    return fitted(batched(side, said(N_("the series")), statistic)).level(confidence)


def difference_of_series(
    before: Stretch, after: Stretch, confidence: float, statistic: Statistic = "mean"
) -> SeriesDifference:
    """After minus before, of two stretches of one server, with an interval and a robust bound.

    Parameters and errors are those of `fit`; `confidence` is such as 0.95.
    """
    return fit(before, after, statistic).difference(confidence)


def work_difference(
    before: Stretch, before_work: Stretch, after: Stretch, after_work: Stretch, confidence: float
) -> SeriesDifference:
    """Effect per unit of work: what one operation, packet or byte costs after, minus what it cost before.

    Parameters
    ----------
    before, after : Stretch
        What is spent, such as CPU cores (CPU seconds a second).
    before_work, after_work : Stretch
        Work done in the same rows, such as operations a second; a row without both values is left out.
    confidence : float
        Such as 0.95.

    Returns
    -------
    Difference
        In units of spending per unit of work, such as CPU seconds an operation. A side's value is its total spending
        over its total work, and so is each batch's.

    Raises
    ------
    DataError
        As `fit`; if spending and work are not the same rows; if a batch has no work.
    """
    refuse_overlap(before, after)
    first = _of_work(said(N_("the side before")), before, before_work)
    return _both(first, _of_work(said(N_("the side after")), after, after_work)).difference(confidence)


def _of_work(name: Said, spent: Stretch, work: Stretch) -> Fitted:
    if (spent.start_s, spent.step_s, len(spent.values)) != (work.start_s, work.step_s, len(work.values)):
        raise DataError(N_("spending and work of {name} are not the same rows"), name=name)
    both = spent.values + work.values
    kept = ~np.isnan(both)
    present(Stretch(both, spent.start_s, spent.step_s), name)
    done, paid = work.values[kept], spent.values[kept]
    if (batch(done) <= 0).any():
        raise DataError(N_("not enough data: a twelfth of {name} has no work to divide by"), name=name)
    halves = batch(paid, batches=2) / batch(done, batches=2)
    return fitted(Batched(mean(paid) / mean(done), batch(paid) / batch(done), halves))


def halves_difference(before: ArrayLike, after: ArrayLike, confidence: float, share: float = 1.0) -> Interval:
    """The robust bound: Welch's t on the values of the two halves of each side.

    Parameters
    ----------
    before, after : array-like of float64, shape (2,)
        The statistic of the first and second half of a side.
    share : float
        How much of what four halves tell these tell; see `Stretch`.

    Returns
    -------
    Interval
        Where no half differs from its other half (the peaks of a server that is idle but for moments) its width is 0,
        and `method` says so.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    of_before, of_after = variance(first) / 2, variance(second) / 2
    both = of_before + of_after
    estimate = mean(second) - mean(first)
    if both == 0:
        method = "the halves of each side are equal to the last digit"
        return Interval(estimate, estimate, estimate, confidence, 4, None, method, 2, 2)
    shares = of_before / both, of_after / both
    df = max(share / (shares[0] * shares[0] + shares[1] * shares[1]), 1.0)
    half = t_quantile(df, confidence) * math.sqrt(both)
    return Interval(estimate, estimate - half, estimate + half, confidence, 4, df, "Welch t over half sides", 2, 2)
