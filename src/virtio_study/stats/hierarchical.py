"""Where the variance lies: between boots, inside boots, between restarts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import mean, total, variance
from virtio_study.stats.interval import Interval
from virtio_study.stats.stretch import BATCHES, batch
from virtio_study.stats.student import t_quantile

__all__ = [
    "MixedDifference",
    "TwoLevels",
    "mixed_model_difference",
    "optimal_repetitions",
    "restart_half_width",
    "restart_interval",
    "two_levels",
    "variance_components",
]


@dataclass(frozen=True)
class TwoLevels:
    """Variance of one boot's level between boots, its part that is error within the boot, and their ratio.

    `within_share` near 1 says that longer boots would help, near 0 that only more boots would.
    """

    boots: int
    between: float
    within: float
    within_share: float


def two_levels(boots: Sequence[ArrayLike]) -> TwoLevels:
    """Split the variance of boot levels into what differs between boots and what is error within them.

    Parameters
    ----------
    boots : sequence of array-like of float64, each of shape (rows,)
        Steady rows of each boot, at least two boots of 24 rows. The error within a boot is that of 12 batch means, so
        that autocorrelation shorter than a batch counts.

    Raises
    ------
    DataError
        With fewer than two boots or 24 rows.
    """
    rows = [np.asarray(boot, dtype=np.float64) for boot in boots]
    if len(rows) < 2 or min(len(boot) for boot in rows) < 2 * BATCHES:
        raise DataError(
            N_("{boots} boots of {rows} rows; two boots of 24 rows are needed"),
            boots=len(rows),
            rows=[len(boot) for boot in rows],
        )
    of_levels = variance(mean(boot) for boot in rows)
    within = mean(variance(batch(boot)) / BATCHES for boot in rows)
    share = min(1.0, within / of_levels) if of_levels > 0 else 0.0
    return TwoLevels(len(rows), max(of_levels - within, 0.0), within, share)


def variance_components(values: ArrayLike) -> tuple[list[float], list[float]]:
    """Kalibera and Jones' variances of nested repetitions, from the highest level down.

    Parameters
    ----------
    values : array-like of float64
        One axis a level, highest first, such as (builds, boots, runs); at least two repetitions at every level.

    Returns
    -------
    tuple of list of float
        `S2`, the biased variances of the levels, and `T2`, the unbiased ones (a T2 can be negative), highest first.

    References
    ----------
    Kalibera, T. & Jones, R. (2013). Rigorous benchmarking in reasonable time. ISMM '13, 63-74, section 6.
    """
    nested = np.asarray(values, dtype=np.float64)
    if min(nested.shape, default=0) < 2:
        raise DataError(N_("repetitions of shape {shape}; at least two are needed at every level"), shape=nested.shape)
    biased, means = [], nested
    for _ in range(nested.ndim):
        biased.append(mean(np.atleast_1d(np.apply_along_axis(variance, -1, means)).ravel()))
        means = np.apply_along_axis(mean, -1, means)
    # lowest level first so far: every level's variance holds a share of that below it
    counts = nested.shape[::-1]
    unbiased = [biased[0], *(biased[i] - biased[i - 1] / counts[i - 1] for i in range(1, len(biased)))]
    return biased[::-1], unbiased[::-1]


def optimal_repetitions(costs: Sequence[float], unbiased: Sequence[float]) -> list[int]:
    """Repetitions at every level but the highest that buy most precision for the time, highest of them first.

    Parameters
    ----------
    costs : sequence of float
        Time that one repetition adds, highest level first, as `unbiased`.
    unbiased : sequence of float
        T2 of `variance_components`, each above 0.

    Raises
    ------
    DataError
        If lengths differ or a T2 is not above 0: that level has no variance of its own and needs one repetition.

    References
    ----------
    Kalibera & Jones (2013), section 7.
    """
    if len(costs) != len(unbiased) or min(unbiased) <= 0 or min(costs) <= 0:
        raise DataError(
            N_("costs {costs} and variances {unbiased}: expected as many, each above 0"),
            costs=list(costs),
            unbiased=list(unbiased),
        )
    pairs = zip(costs[:-1], costs[1:], unbiased[:-1], unbiased[1:], strict=True)
    return [math.ceil(math.sqrt(upper / lower * below / above)) for upper, lower, above, below in pairs]


def restart_half_width(restarts: ArrayLike, confidence: float) -> float:
    """Half the interval of a difference that is made of restarts alone.

    Parameters
    ----------
    restarts : array-like of float64, shape (comparisons,)
        Differences between boots of the same driver configuration (A/A), one a comparison.
    confidence : float
        Such as 0.95.

    Raises
    ------
    DataError
        If there is none, or one is not finite.

    Notes
    -----
    Their mean square is the squared standard error, with as many degrees of freedom as there are comparisons.
    """
    seen = np.asarray(restarts, dtype=np.float64)
    if not len(seen) or not np.isfinite(seen).all():
        raise DataError(N_("{count} A/A differences: at least one finite number is needed"), count=len(seen))
    return t_quantile(len(seen), confidence) * math.sqrt(mean(seen * seen))


def restart_interval(effect: Interval, restarts: ArrayLike) -> Interval:
    """An interval of a difference, not narrower than what a restart alone was seen to change.

    Parameters
    ----------
    effect : Interval
        After minus before, over boots of one session of recording.
    restarts : array-like of float64, shape (comparisons,)
        As for `restart_half_width`.

    Raises
    ------
    DataError
        As `restart_half_width`.
    """
    half = restart_half_width(restarts, effect.confidence)
    half = max(half, effect.high - effect.estimate, effect.estimate - effect.low)
    count = len(np.asarray(restarts))
    return replace(
        effect,
        low=effect.estimate - half,
        high=effect.estimate + half,
        df=float(count),
        method=f"{effect.method}; not narrower than {count} restarts alone",
    )


@dataclass(frozen=True)
class MixedDifference:
    """After minus before by a mixed model; None, and a `reason`, where the model is singular.

    It is where boots differ no more than their own batches let expect.
    """

    estimate: float | None
    standard_error: float | None
    reason: str


def mixed_model_difference(boots: Sequence[ArrayLike], after: Sequence[bool]) -> MixedDifference:
    """The same effect by a mixed model on batch means, a random level for every boot; a cross-check, not the answer.

    Parameters
    ----------
    boots : sequence of array-like of float64
        Steady rows of each boot, at least 24.
    after : sequence of bool
        Whether the boot ran under the driver configuration after.

    Returns
    -------
    MixedDifference
        Its Wald interval knows nothing of the small number of boots, so none is given.

    Raises
    ------
    DataError
        With fewer than two boots a side, or 24 rows a boot.

    Notes
    -----
    Every boot has as many batches, so that restricted maximum likelihood has a closed form and nothing is iterated;
    the tests hold it against statsmodels' `MixedLM`, whose optimiser converges on one processor and not on another.

    References
    ----------
    Searle, S. R., Casella, G. & McCulloch, C. E. (1992). Variance Components, section 3.8 (balanced data).
    """
    two_levels(boots)
    batches = [batch(np.asarray(boot, dtype=np.float64)) for boot in boots]
    sides = [
        [mean(own) for own, late in zip(batches, after, strict=True) if bool(late) is side] for side in (False, True)
    ]
    if min(map(len, sides)) < 2:
        raise DataError(
            N_("{before} boots before and {after} after; two a side are needed"),
            before=len(sides[0]),
            after=len(sides[1]),
        )
    squares = [variance(levels) * (len(levels) - 1) for levels in sides]
    of_levels = total(squares) / (len(boots) - 2)
    within = mean(variance(own) for own in batches) / BATCHES
    if of_levels <= within:
        reason = "no variance between boots is left for the model to estimate"
        return MixedDifference(None, None, reason)
    error = math.sqrt(of_levels * (1 / len(sides[0]) + 1 / len(sides[1])))
    return MixedDifference(mean(sides[1]) - mean(sides[0]), error, "")
