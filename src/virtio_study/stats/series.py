"""Levels and differences of autocorrelated series: the rows of one recording a side, where there are no replicates.

The rule, in six lines (`docs/calibration.md` shows what it covers, beside what others cover):

1. Each side is averaged into 12 batches of consecutive rows (of a week: 14 hours each).
2. Batch means are the level plus first-order autoregressive noise, with one coefficient phi for both sides and a
   variance for each.
3. phi is not estimated but averaged over: every phi from -0.9 to 0.995 counts with its likelihood, and persistent ones
   a little more (prior (1 - phi^2)^(-1/8); flat on levels, 1/sigma on each sigma; closed form, no random numbers).
4. Under each phi the error of a side's mean is known up to Student's t with 11 degrees of freedom, and that of their
   difference is Welch's t.
5. The interval is the difference of the plain means, plus and minus the quantile of the mixture of those t.
6. Beside it stands the robust bound: Welch's t on the means of the halves (2 + 2 numbers), which trusts no model; an
   effect is called robust only if both exclude zero.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.elementary import exp, log, log1p, mean, powers, product_sum, total, variance
from virtio_study.stats.interval import Interval
from virtio_study.stats.mixture import crossing, mixture_cdf, mixture_quantile
from virtio_study.stats.stretch import BATCHES, Array, Statistic, Stretch, batch, present, refuse_overlap, statistic_of
from virtio_study.stats.student import t_quantile

__all__ = [
    "Difference",
    "difference_of_batches",
    "difference_of_series",
    "halves_difference",
    "level_of_series",
    "ratio_of_series",
    "share_below",
    "work_difference",
]

_PHI: Array = np.array([-0.9 + 1.895 / 79 * number for number in range(80)])
# between a flat prior and the reference prior, whose exponent is -1/2; the measurements behind it: docs/calibration.md
_LOG_PRIOR = -0.125 * log1p(-_PHI * _PHI)
# variance of the mean of 12 values of an AR(1) whose innovations have variance 1, for every phi
_CORRELATED = np.array([total(row) for row in powers(_PHI, BATCHES - 1) * np.arange(BATCHES - 1, 0, -1)])
_MEAN_VARIANCE = (BATCHES + 2 * _CORRELATED) / (1 - _PHI * _PHI) / (BATCHES * BATCHES)
_METHOD = "AR(1) over 12 batches a side, phi averaged over"


@dataclass(frozen=True)
class Difference:
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
class _Side:
    """A side under every phi: variance of its mean, and the logarithm of phi's likelihood (None: no spread)."""

    variance: Array
    likelihood: Array | None

    @property
    def constant(self) -> bool:
        return self.likelihood is None


def _side(batched: Array) -> _Side:
    """Batch means as the level plus AR(1) noise: generalised least squares under every phi, in closed form."""
    if np.ptp(batched) == 0:
        return _Side(np.zeros_like(_PHI), None)
    z, phi, square = batched - mean(batched), _PHI, _PHI * _PHI
    inner, ends = z[1:-1], float(z[0] + z[-1])
    # 1'R^-1 1, 1'R^-1 z and z'R^-1 z with the tridiagonal R^-1 of an AR(1) whose innovations have variance 1
    xx = 2 + (BATCHES - 2) * (1 + square) - 2 * (BATCHES - 1) * phi
    xz = ends + (1 + square) * total(inner) - phi * (total(z[:-1]) + total(z[1:]))
    zz = product_sum(z, z) + square * product_sum(inner, inner) - 2 * phi * product_sum(z[:-1], z[1:])
    rss = np.maximum(zz - xz * xz / xx, np.finfo(float).tiny)
    likelihood = 0.5 * (log1p(-square) - log(xx) - (BATCHES - 1) * log(rss))
    return _Side(rss / (BATCHES - 1) * _MEAN_VARIANCE, likelihood)


def _weights(*sides: _Side) -> Array:
    logs = _LOG_PRIOR
    for side in sides:
        if side.likelihood is not None:
            logs = logs + side.likelihood
    weight = exp(logs - logs.max())
    normed: Array = weight / total(weight)
    return normed


def _welch(before: Array, after: Array) -> tuple[Array, Array]:
    """Standard error and Satterthwaite's df of the difference under every phi."""
    variance = before + after
    scale = variance.max()
    b, a = before / scale, after / scale
    return np.sqrt(variance), (BATCHES - 1) * (b + a) * (b + a) / (b * b + a * a)


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
        "not enough data" with fewer than 24 rows or more than 5 % of the rows missing.
    """
    values = present(side, said(N_("the series")))
    estimate, one = statistic_of(values, statistic), _side(batch(values, statistic))
    if one.constant:
        method = "constant in every batch: no spread to make an interval of"
        return Interval(estimate, estimate, estimate, confidence, BATCHES, None, method)
    df = np.full_like(_PHI, BATCHES - 1)
    half = mixture_quantile(_weights(one), np.sqrt(one.variance), df, confidence)
    return Interval(estimate, estimate - half, estimate + half, confidence, BATCHES, None, _METHOD)


def difference_of_series(
    before: Stretch, after: Stretch, confidence: float, statistic: Statistic = "mean"
) -> Difference:
    """After minus before, of two stretches of one server, with an interval and a robust bound.

    Parameters
    ----------
    before, after : Stretch
        Steady rows in one unit. For a server with daily habits pass them through `calendar.whole_days` first.
    confidence : float
        Such as 0.95.
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
    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    return difference_of_batches(
        (statistic_of(first, statistic), batch(first, statistic), batch(first, statistic, 2)),
        (statistic_of(second, statistic), batch(second, statistic), batch(second, statistic, 2)),
        confidence,
    )


def work_difference(
    before: Stretch, before_work: Stretch, after: Stretch, after_work: Stretch, confidence: float
) -> Difference:
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
        As `difference_of_series`; if spending and work are not the same rows; if a batch has no work.
    """
    refuse_overlap(before, after)
    sides = []
    named = (N_("the side before"), before, before_work), (N_("the side after"), after, after_work)
    for side, spent, work in named:
        name = said(side)
        if (spent.start_s, spent.step_s, len(spent.values)) != (work.start_s, work.step_s, len(work.values)):
            raise DataError(N_("spending and work of {name} are not the same rows"), name=name)
        both = spent.values + work.values
        kept = ~np.isnan(both)
        present(Stretch(both, spent.start_s, spent.step_s), name)
        done, paid = work.values[kept], spent.values[kept]
        if (batch(done) <= 0).any():
            raise DataError(N_("not enough data: a twelfth of {name} has no work to divide by"), name=name)
        sides.append((mean(paid) / mean(done), batch(paid) / batch(done), _halves(paid, done)))
    return difference_of_batches(sides[0], sides[1], confidence)


def _halves(paid: Array, done: Array) -> Array:
    return batch(paid, batches=2) / batch(done, batches=2)


def difference_of_batches(
    before: tuple[float, Array, Array], after: tuple[float, Array, Array], confidence: float
) -> Difference:
    """Difference of two values, each given with the same statistic of its 12 batches and of its 2 halves.

    Raises
    ------
    DataError
        If both sides are constant.
    """
    (low_side, batches_before, halves_before), (high_side, batches_after, halves_after) = before, after
    one, two = _side(batches_before), _side(batches_after)
    if one.constant and two.constant:
        raise DataError(
            N_(
                "both sides are constant (before {before}, after {after}): without spread there is no "
                "interval; a value that never varies is an allocation or a stuck reading, not a measurement"
            ),
            before=low_side,
            after=high_side,
        )
    error, df = _welch(one.variance, two.variance)
    half = mixture_quantile(_weights(one, two), error, df, confidence)
    estimate = high_side - low_side
    note = "; one side is constant" if one.constant or two.constant else ""
    interval = Interval(
        estimate, estimate - half, estimate + half, confidence, 2 * BATCHES, None, _METHOD + note, BATCHES, BATCHES
    )
    return Difference(interval, halves_difference(halves_before, halves_after, confidence), low_side, high_side)


def halves_difference(before: ArrayLike, after: ArrayLike, confidence: float) -> Interval:
    """The robust bound: Welch's t on the values of the two halves of each side.

    Parameters
    ----------
    before, after : array-like of float64, shape (2,)
        The statistic of the first and second half of a side.

    Raises
    ------
    DataError
        If no half differs from its other half.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    of_before, of_after = variance(first) / 2, variance(second) / 2
    both = of_before + of_after
    if both == 0:
        raise DataError(N_("the halves of each side are equal to the last digit: without spread there is no bound"))
    shares = of_before / both, of_after / both
    df = 1 / (shares[0] * shares[0] + shares[1] * shares[1])
    half = t_quantile(df, confidence) * math.sqrt(both)
    estimate = mean(second) - mean(first)
    return Interval(estimate, estimate - half, estimate + half, confidence, 4, df, "Welch t over half sides", 2, 2)


def ratio_of_series(before: Stretch, after: Stretch, confidence: float) -> Interval | None:
    """Relative difference of the means, `after / before - 1`, by Fieller's argument within the mixture of `series`.

    Returns
    -------
    Interval or None
        None means "not estimable": the base's own interval includes zero, so the ratio has no bounded interval.

    Raises
    ------
    DataError
        As `difference_of_series`.

    References
    ----------
    Fieller, E. C. (1954). Some problems in interval estimation. J. R. Stat. Soc. B 16, 175-185.
    """
    refuse_overlap(before, after)
    fitted = _fitted(before, after)
    base = fitted.before
    if not base.constant:
        df = np.full_like(_PHI, BATCHES - 1)
        half = mixture_quantile(fitted.weight, np.sqrt(base.variance), df, confidence)
    if fitted.base <= 0 or (not base.constant and fitted.base - half <= 0):
        return None
    low, high = (_fieller_limit(fitted, confidence, sign) - 1 for sign in (-1.0, 1.0))
    ratio = fitted.value / fitted.base
    return Interval(ratio - 1, low, high, confidence, 2 * BATCHES, None, f"Fieller; {_METHOD}", BATCHES, BATCHES)


def share_below(before: Stretch, after: Stretch, ratio: float) -> float:
    """How much of the mixture lies below a ratio of `after` to `before`; 0.5 at the ratio of the means.

    One minus it, or it, is the one-sided p value of that ratio.

    Raises
    ------
    DataError
        As `difference_of_series`.
    """
    refuse_overlap(before, after)
    return _share_below(_fitted(before, after), ratio)


@dataclass(frozen=True)
class _Fitted:
    """Means of both sides, the variances of each under every phi, and every phi's weight."""

    base: float
    value: float
    before: _Side
    after: _Side
    weight: Array


def _fitted(before: Stretch, after: Stretch) -> _Fitted:
    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    one, two = _side(batch(first)), _side(batch(second))
    if one.constant and two.constant:
        raise DataError(N_("both sides are constant: without spread there is no interval"))
    return _Fitted(mean(first), mean(second), one, two, _weights(one, two))


def _share_below(fitted: _Fitted, ratio: float) -> float:
    error, df = _welch(ratio * ratio * fitted.before.variance, fitted.after.variance)
    # a constant numerator at ratio 0 has no error: its sign decides
    safe = np.where(error > 0, error, np.finfo(float).tiny)
    return mixture_cdf(fitted.weight, df, (ratio * fitted.base - fitted.value) / safe)


def _fieller_limit(fitted: _Fitted, confidence: float, sign: float) -> float:
    """The ratio below (-1) or above (+1) the estimate at which the mixture leaves half of `1 - confidence` outside."""
    wanted = (1 + sign * confidence) / 2
    inside = fitted.value / fitted.base
    step = math.sqrt(float(fitted.after.variance.max() + fitted.before.variance.max())) / fitted.base
    while sign * (_share_below(fitted, inside + sign * step) - wanted) < 0:
        step *= 2
    return crossing(lambda ratio: _share_below(fitted, ratio), wanted, inside, inside + sign * step)
