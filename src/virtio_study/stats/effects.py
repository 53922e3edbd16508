"""What changed between two driver configurations, after minus before; the unit of replication is the boot."""

import math

from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.interval import Interval, Moments, moments
from virtio_study.stats.student import t_quantile

__all__ = ["difference", "ratio_limits", "relative_difference", "satterthwaite"]


FEW_BOOTS = 3
"""With fewer boots on a side, the smaller side's df count: two boots that are alike by chance look exact.

By Satterthwaite's df, 2 boots before and 8 after with a quarter of the spread have the truth in 89 % of 95 % intervals
of the difference and of the ratio; by the smaller side's, in 99 %; with three boots by Satterthwaite's, in 93 %
(`test_two_boots_never_promise_too_much`).
"""


def satterthwaite(before: Moments, after: Moments, ratio: float = 1.0) -> float:
    """Degrees of freedom of `after - ratio * before` with unequal variances (Satterthwaite 1946, Welch 1947).

    With few boots (`FEW_BOOTS`) those of the smaller side, which never promise too much.

    References
    ----------
    Hsu, P. L. (1938). Contribution to the theory of "Student's" t-test as applied to the problem of two samples.
    Statistical Research Memoirs 2, 1-24.
    """
    fewest = min(before.n, after.n)
    if fewest < FEW_BOOTS:
        return float(fewest - 1)
    a, b = after.variance_of_mean, ratio * ratio * before.variance_of_mean
    # relative to the greater one, so that tiny units do not underflow when squared
    scale = max(a, b)
    if scale == 0:  # after is constant and the ratio 0: only the base's own error is left
        return float(before.n - 1)
    a, b = a / scale, b / scale
    return (a + b) * (a + b) / (a * a / (after.n - 1) + b * b / (before.n - 1))


def difference(before: ArrayLike, after: ArrayLike, confidence: float) -> Interval:
    """Difference of means over boots, after minus before, with Welch's t interval.

    Parameters
    ----------
    before, after : array-like of float64, shape (boots,)
        One value a boot, in one and the same unit; at least two a side; NaN is refused.
    confidence : float
        Such as 0.95.

    Returns
    -------
    Interval
        `df` by Satterthwaite. A side that is constant over boots adds no variance; `method` names it.

    Raises
    ------
    DataError
        If a side has fewer than two boots, a value is NaN or negative, or both sides are constant: without spread
        there is no interval.

    References
    ----------
    Welch, B. L. (1947). The generalization of "Student's" problem when several different population variances are
    involved. Biometrika 34, 28-35.
    """
    side_before, side_after = moments(before, said(N_("before"))), moments(after, said(N_("after")))
    _refuse_constant(side_before, side_after)
    df = satterthwaite(side_before, side_after)
    error = math.sqrt(side_before.variance_of_mean + side_after.variance_of_mean)
    half = t_quantile(df, confidence) * error
    estimate = side_after.mean - side_before.mean
    return Interval(
        estimate,
        estimate - half,
        estimate + half,
        confidence,
        side_before.n + side_after.n,
        df,
        "Welch t over boots" + _constant_side(side_before, side_after),
        side_before.n,
        side_after.n,
    )


def relative_difference(before: ArrayLike, after: ArrayLike, confidence: float) -> Interval | None:
    """Difference relative to before, `after / before - 1`, by Fieller's theorem with Satterthwaite's df.

    Parameters
    ----------
    before, after : array-like of float64, shape (boots,)
        As for `difference`.

    Returns
    -------
    Interval or None
        None means "not estimable": the base's own interval includes zero, so the ratio has no bounded interval.

    Raises
    ------
    DataError
        As for `difference`.

    Notes
    -----
    The df are those of `after - ratio * before` at the estimated ratio (Tamhane & Logan 2004), so that the limits
    have a closed form.

    References
    ----------
    Fieller, E. C. (1954). Some problems in interval estimation. J. R. Stat. Soc. B 16, 175-185.
    Tamhane, A. C. & Logan, B. R. (2004). Finding the maximum safe dose level for heteroscedastic data.
    J. Biopharm. Stat. 14, 843-856.
    """
    side_before, side_after = moments(before, said(N_("before"))), moments(after, said(N_("after")))
    _refuse_constant(side_before, side_after)
    limits = ratio_limits(side_before, side_after, confidence)
    if limits is None:
        return None
    low, high, df = limits
    return Interval(
        side_after.mean / side_before.mean - 1,
        low - 1,
        high - 1,
        confidence,
        side_before.n + side_after.n,
        df,
        "Fieller over boots" + _constant_side(side_before, side_after),
        side_before.n,
        side_after.n,
    )


def ratio_limits(before: Moments, after: Moments, confidence: float) -> tuple[float, float, float] | None:
    """Fieller's limits of `after.mean / before.mean` and their df; None where the base's interval includes zero."""
    base_error = math.sqrt(before.variance_of_mean)
    if before.mean - t_quantile(before.n - 1, confidence) * base_error <= 0:
        return None
    ratio = after.mean / before.mean
    df = satterthwaite(before, after, ratio)
    # in units of the base, so that bytes squared squared stay small numbers
    critical = t_quantile(df, confidence) / before.mean
    base_variance = critical * critical * before.variance_of_mean
    if base_variance >= 1:
        return None
    after_variance = critical * critical * after.variance_of_mean
    root = math.sqrt(base_variance * ratio * ratio + after_variance * (1 - base_variance))
    return (ratio - root) / (1 - base_variance), (ratio + root) / (1 - base_variance), df


def _refuse_constant(before: Moments, after: Moments) -> None:
    if before.constant and after.constant:
        raise DataError(
            N_(
                "both sides are constant over boots (before {before}, after {after}): without spread there is "
                "no interval; a value that never varies is an allocation or a stuck reading, not a measurement"
            ),
            before=before.mean,
            after=after.mean,
        )


def _constant_side(before: Moments, after: Moments) -> str:
    if before.constant:
        return "; before is constant over boots"
    return "; after is constant over boots" if after.constant else ""
