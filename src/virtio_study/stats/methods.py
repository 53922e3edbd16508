"""The usual intervals for a difference of two series, to compare with; what they cover is in docs/calibration.md."""

import math
from collections.abc import Callable

import numpy as np

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.effects import satterthwaite
from virtio_study.stats.elementary import exp, log, mean, product_sum, total, variance
from virtio_study.stats.interval import Interval, Moments
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Array, Stretch, present
from virtio_study.stats.student import t_quantile

__all__ = ["METHODS", "block_length", "hac", "resampled_variance", "stationary_bootstrap", "welch_rows"]


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
    """What endless draws of the stationary bootstrap come to, block length by Politis and White.

    The variance of a mean under that bootstrap has a closed form (Politis and Romano 1994, lemma 1), so nothing is
    drawn; its distribution is taken to be normal.

    References
    ----------
    Politis, D. N. & Romano, J. P. (1994). J. Am. Stat. Assoc. 89, 1303-1313. `arch.bootstrap.StationaryBootstrap`.
    """
    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    variances = [resampled_variance(values, block_length(values)) for values in (first, second)]
    half = t_quantile(_NORMAL_DF, confidence) * math.sqrt(total(variances))
    estimate = mean(second) - mean(first)
    return _interval(first, second, estimate - half, estimate + half, confidence, "stationary bootstrap")


_NORMAL_DF = 1e6


def resampled_variance(values: Array, block: int) -> float:
    """Variance of the mean of `values` under the stationary bootstrap with a mean block of `block` rows.

    Notes
    -----
    It is C(0) + 2 sum (1 - i/n) q^i C(i) over n, with q = 1 - 1/block and C the circular autocovariances. Both sums of
    q^i x[j+i] and of i q^i x[j+i] over n rows are built by doubling, so that n log n steps do instead of n^2.
    """
    apart = values - mean(values)
    rows, ratio = len(apart), 1 - 1 / block
    summed, moment, length, power = apart, np.zeros_like(apart), 1, ratio
    for bit in f"{rows:b}"[1:]:
        ahead = np.roll(summed, -length)
        moment = moment + power * (np.roll(moment, -length) + length * ahead)
        summed, length, power = summed + power * ahead, 2 * length, power * power
        if bit == "1":
            more = power * np.roll(apart, -length)
            summed, moment, length, power = summed + more, moment + length * more, length + 1, power * ratio
    # every lag twice, but for the row itself
    return max(product_sum(apart, 2 * (summed - moment / rows) - apart), 0.0) / rows / rows


def block_length(values: Array) -> int:
    """Block of the stationary bootstrap that suits a series, by Politis and White's rule, in whole rows.

    References
    ----------
    Patton, A., Politis, D. N. & White, H. (2009). Econom. Rev. 28, 372-375. The tests hold it against arch's
    `optimal_block_length`.
    """
    apart, rows = values - mean(values), len(values)
    if not apart.any():
        return 1
    run = max(5, len(str(rows)) - 1)
    most = math.ceil(math.sqrt(rows)) + run
    small = 2 * math.sqrt(log(float(rows)) / log(10.0) / rows)
    squares = np.cumsum(apart * apart)
    covered, correlated = [], []
    for lag in range(most + 1):
        product = product_sum(apart[lag:], apart[: rows - lag])
        covered.append(product / rows)
        correlated.append(abs(product) / math.sqrt((squares[-1] - squares[lag]) * squares[rows - lag - 2]))
    quiet = next((lag for lag in range(most - run + 1) if max(correlated[lag : lag + run]) < small), None)
    lags = most if quiet is None else min(2 * max(quiet, 1), most)
    taper = [min(1.0, 2 * (1 - lag / lags)) for lag in range(1, lags + 1)]
    slope = total(2 * share * lag * covered[lag] for lag, share in enumerate(taper, 1))
    level = covered[0] + total(2 * share * covered[lag] for lag, share in enumerate(taper, 1))
    ratio = abs(slope / level)
    found = exp((2 * log(ratio) + log(float(rows))) / 3) if ratio > 0 else 1.0
    return max(1, round(min(found, math.ceil(min(3 * math.sqrt(rows), rows / 3)))))


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
