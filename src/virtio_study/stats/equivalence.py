"""Whether two sides are the same for practical purposes: two one-sided tests against a margin declared before."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.blocks import Blocks
from virtio_study.stats.effects import ratio_limits, satterthwaite
from virtio_study.stats.elementary import mean
from virtio_study.stats.interval import Interval, Moments, moments
from virtio_study.stats.randomisation import Contrasts
from virtio_study.stats.series import Fit, fit
from virtio_study.stats.stretch import BATCHES, Stretch, present
from virtio_study.stats.student import t_cdf

__all__ = ["Equivalence", "equivalent", "equivalent_blocks", "equivalent_draws", "equivalent_fit", "equivalent_series"]


@dataclass(frozen=True)
class Equivalence:
    """The answer of `equivalent`.

    `ratio` is after over before, None where before is 0; `low` and `high` are its interval at confidence `1 - 2 alpha`,
    None where there is none.
    """

    equivalent: bool
    p: float
    before: float
    after: float
    ratio: float | None
    low: float | None
    high: float | None
    margin: float
    confidence: float
    n_before: int
    n_after: int
    method: str


def equivalent(before: ArrayLike, after: ArrayLike, margin_relative: float, confidence: float) -> Equivalence:
    """Test that `after / before` lies inside `1 - margin .. 1 + margin`, over boots.

    Parameters
    ----------
    before, after : array-like of float64, shape (boots,)
        One value a boot, at least two a side; NaN is refused.
    margin_relative : float
        Such as 0.05, declared before recording.
    confidence : float
        Such as 0.95: each one-sided test at level `1 - confidence`.

    Returns
    -------
    Equivalence
        `p` is the greater of the two one-sided p values. Where both sides are constant over boots nothing is
        tested: the values are compared directly, `p` is 0 or 1, and `method` says so.

    Raises
    ------
    DataError
        If the margin is not between 0 and 1, a side has fewer than two boots, or a value is NaN or negative.

    Notes
    -----
    The tests are on `after - (1 -+ margin) before`, with Satterthwaite's df, so that the base's own error counts;
    a margin fixed at a share of the observed base would ignore it.

    References
    ----------
    Schuirmann, D. J. (1987). J. Pharmacokinet. Biopharm. 15, 657-680.
    Hauschke, D., Kieser, M., Diletti, E. & Burke, M. (1999). Stat. Med. 18, 93-105.
    """
    _check_margin(margin_relative)
    side_before, side_after, limits = moments(before, said(N_("before"))), moments(after, said(N_("after"))), None
    if side_before.constant and side_after.constant:
        inside = abs(side_after.mean - side_before.mean) <= margin_relative * side_before.mean
        p, method = float(not inside), "both sides constant over boots: compared directly"
    else:
        sides = ((1 - margin_relative, 1.0), (1 + margin_relative, -1.0))
        p = max(_one_sided(side_before, side_after, factor, sign) for factor, sign in sides)
        inside, method = p <= 1 - confidence, "two one-sided Welch t tests over boots"
        limits = ratio_limits(side_before, side_after, 2 * confidence - 1) if confidence > 0.75 else None
    return Equivalence(
        bool(inside),
        p,
        side_before.mean,
        side_after.mean,
        side_after.mean / side_before.mean if side_before.mean else None,
        limits[0] if limits else None,
        limits[1] if limits else None,
        margin_relative,
        confidence,
        side_before.n,
        side_after.n,
        method,
    )


def equivalent_series(before: Stretch, after: Stretch, margin_relative: float, confidence: float) -> Equivalence:
    """Test that `after / before` lies inside `1 - margin .. 1 + margin`, of one recording a side.

    Parameters
    ----------
    before, after : Stretch
        Rows of one load in one unit.
    margin_relative, confidence : float
        As for `equivalent`.

    Returns
    -------
    Equivalence
        `n_before` and `n_after` are numbers of batches. Sides that are both constant are compared directly.

    Raises
    ------
    DataError
        If the margin is not between 0 and 1, or as `series.fit`.
    """
    _check_margin(margin_relative)
    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    if np.ptp(first) > 0 or np.ptp(second) > 0:
        return equivalent_fit(fit(before, after), margin_relative, confidence)
    base, value = mean(first), mean(second)
    inside = abs(value - base) <= margin_relative * base
    method = "both sides constant: compared directly"
    return _of_series(inside, float(not inside), base, value, None, margin_relative, confidence, method)


def equivalent_fit(both: Fit, margin_relative: float, confidence: float) -> Equivalence:
    """As `equivalent_series`, from the model that was fitted to both sides."""
    _check_margin(margin_relative)
    p = max(both.share_below(1 - margin_relative), 1 - both.share_below(1 + margin_relative))
    limits = both.ratio(2 * confidence - 1) if confidence > 0.75 else None
    inside, method = p <= 1 - confidence, "two one-sided tests, AR(1) over 12 batches a side"
    base, value = both.before.value, both.after.value
    return _of_series(inside, p, base, value, limits, margin_relative, confidence, method)


def equivalent_blocks(blocks: Blocks, margin_relative: float, confidence: float) -> Equivalence:
    """As `equivalent`, of boots that ran in blocks; `n_before` and `n_after` are numbers of blocks."""
    _check_margin(margin_relative)
    p = max(blocks.share_below(1 - margin_relative), 1 - blocks.share_below(1 + margin_relative))
    limits = blocks.ratio(2 * confidence - 1) if confidence > 0.75 else None
    base, value, count = mean(blocks.before), mean(blocks.after), len(blocks.before)
    return Equivalence(
        p <= 1 - confidence,
        p,
        base,
        value,
        value / base if base else None,
        1 + limits.low if limits else None,
        1 + limits.high if limits else None,
        margin_relative,
        confidence,
        count,
        count,
        "two one-sided t tests over blocks of boots",
    )


def equivalent_draws(
    draws: Contrasts, before: ArrayLike, after: ArrayLike, margin_relative: float, confidence: float
) -> Equivalence:
    """As `equivalent`, of random draws: two one-sided randomisation tests on the ratio.

    Parameters
    ----------
    draws : Contrasts
        Of the levels.
    before, after : array-like of float64, shape (blocks of a side,)
        The levels themselves.
    """
    _check_margin(margin_relative)
    p = max(
        draws.p_of_ratio(1 - margin_relative, above=True),
        draws.p_of_ratio(1 + margin_relative, above=False),
    )
    limits = draws.relative(2 * confidence - 1) if confidence > 0.75 else None
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    return Equivalence(
        p <= 1 - confidence,
        p,
        mean(first),
        mean(second),
        1 + limits.estimate if limits else None,
        1 + limits.low if limits else None,
        1 + limits.high if limits else None,
        margin_relative,
        confidence,
        len(first),
        len(second),
        "two one-sided randomisation tests on the ratio",
    )


def _of_series(
    inside: bool,
    p: float,
    base: float,
    value: float,
    limits: Interval | None,
    margin_relative: float,
    confidence: float,
    method: str,
) -> Equivalence:
    return Equivalence(
        bool(inside),
        p,
        base,
        value,
        value / base if base else None,
        1 + limits.low if limits else None,
        1 + limits.high if limits else None,
        margin_relative,
        confidence,
        BATCHES,
        BATCHES,
        method,
    )


def _check_margin(margin_relative: float) -> None:
    if not 0 < margin_relative < 1:
        raise DataError(
            N_("the margin is {margin:g}; expected a share between 0 and 1, such as 0.05"),
            margin=margin_relative,
        )


def _one_sided(before: Moments, after: Moments, ratio: float, sign: float) -> float:
    """P value of the test that `sign * (after - ratio * before)` is not above zero."""
    distance = sign * (after.mean - ratio * before.mean)
    error = math.sqrt(after.variance_of_mean + ratio * ratio * before.variance_of_mean)
    return t_cdf(satterthwaite(before, after, ratio), -distance / error)
