"""The usual intervals for a difference of two series, to compare with; what they cover is in docs/calibration.md."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.effects import satterthwaite
from virtio_study.stats.elementary import exp, log, mean, product_sum, total, variance
from virtio_study.stats.interval import Interval, Moments
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Array, Stretch, present
from virtio_study.stats.student import t_quantile

__all__ = ["METHODS", "hac", "stationary_bootstrap", "welch_rows"]

DRAWS = 999


def welch_rows(before: Stretch, after: Stretch, confidence: float) -> Interval:
    """Welch's t on rows, as if they were independent; see `series.difference_of_series` for shapes and errors."""
    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    one, two = (Moments(mean(rows), variance(rows), len(rows)) for rows in (first, second))
    error = math.sqrt(one.variance_of_mean + two.variance_of_mean)
    half, estimate = t_quantile(satterthwaite(one, two), confidence) * error, two.mean - one.mean
    return _interval(first, second, estimate - half, estimate + half, confidence, "Welch t on rows")


def hac(before: Stretch, after: Stretch, confidence: float) -> Interval:
    """Least squares on a step with Newey and West's standard error, lags 4 (n / 100)^(2/9) as is usual.

    References
    ----------
    Newey, W. K. & West, K. D. (1987). Econometrica 55, 703-708; the tests hold it against statsmodels'
    `OLS.fit(cov_type="HAC")`, of which this is the closed form for two groups.
    """
    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    rows = len(first) + len(second)
    lags = int(4 * exp(2 / 9 * log(rows / 100)))
    means = mean(first), mean(second)
    # what each row adds to the error of the difference
    influence = np.concatenate([(means[0] - first) / len(first), (second - means[1]) / len(second)])
    summed = [product_sum(influence[lag:], influence[: rows - lag]) for lag in range(lags + 1)]
    tapered = [2 * (1 - lag / (lags + 1)) * summed[lag] for lag in range(1, lags + 1)]
    half = t_quantile(rows - 2, confidence) * math.sqrt(total([summed[0], *tapered]) * rows / (rows - 2))
    estimate = means[1] - means[0]
    return _interval(first, second, estimate - half, estimate + half, confidence, f"HAC, {lags} lags")


def stationary_bootstrap(before: Stretch, after: Stretch, confidence: float) -> Interval:
    """Percentiles of 999 stationary-bootstrap draws a side, block length by Politis and White; seed 0.

    References
    ----------
    Politis, D. N. & Romano, J. P. (1994). J. Am. Stat. Assoc. 89, 1303-1313. Patton, A., Politis, D. N. & White, H.
    (2009). Econom. Rev. 28, 372-375. `arch.bootstrap.StationaryBootstrap`.
    """
    from arch.bootstrap import StationaryBootstrap, optimal_block_length

    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    draws = []
    for seed, values in enumerate((first, second)):
        # a whole number of rows, so that the last bits of its estimate do not count
        block = 1.0 if np.ptp(values) == 0 else float(optimal_block_length(values)["stationary"].iloc[0])
        whole, power = _whole_numbers(values)
        sampler = StationaryBootstrap(max(1, round(block)), whole, seed=seed)
        draws.append(np.ldexp(sampler.apply(lambda drawn: drawn.sum(), DRAWS)[:, 0], -power) / len(values))
    low, high = np.quantile(draws[1] - draws[0], [(1 - confidence) / 2, (1 + confidence) / 2])
    return _interval(first, second, low, high, confidence, "stationary bootstrap")


def _whole_numbers(values: Array) -> tuple[NDArray[np.int64], int]:
    """Values as whole numbers of 2**-power, as fine as a sum of all of them can hold: summed exactly, and quickly."""
    _, exponent = math.frexp(float(np.abs(values).max()))
    power = 62 - len(values).bit_length() - exponent
    return np.rint(np.ldexp(values, power)).astype(np.int64), power


def _interval(first: Array, second: Array, low: float, high: float, confidence: float, method: str) -> Interval:
    estimate = mean(second) - mean(first)
    rows = len(first) + len(second)
    return Interval(estimate, float(low), float(high), confidence, rows, None, method, len(first), len(second))


METHODS: dict[str, Callable[[Stretch, Stretch, float], Interval]] = {
    "series": lambda before, after, confidence: difference_of_series(before, after, confidence).interval,
    "halves": lambda before, after, confidence: difference_of_series(before, after, confidence).bound,
    "welch": welch_rows,
    "hac": hac,
    "bootstrap": stationary_bootstrap,
}
"""Name -> interval for the difference of means; the first is the study's own, the second its robust bound."""
