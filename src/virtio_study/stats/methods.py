"""The usual intervals for a difference of two series, to compare with; what they cover is in docs/calibration.md."""

from collections.abc import Callable

import numpy as np

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.interval import Interval
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Array, Stretch, present

__all__ = ["METHODS", "hac", "stationary_bootstrap", "welch_rows"]

DRAWS = 999


def welch_rows(before: Stretch, after: Stretch, confidence: float) -> Interval:
    """Welch's t on rows, as if they were independent; see `series.difference_of_series` for shapes and errors."""
    from scipy.stats import ttest_ind

    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    interval = ttest_ind(second, first, equal_var=False).confidence_interval(confidence)
    return _interval(first, second, interval.low, interval.high, confidence, "Welch t on rows")


def hac(before: Stretch, after: Stretch, confidence: float) -> Interval:
    """Least squares on a step with Newey and West's standard error, lags 4 (n / 100)^(2/9) as is usual.

    References
    ----------
    Newey, W. K. & West, K. D. (1987). Econometrica 55, 703-708; statsmodels `OLS.fit(cov_type="HAC")`.
    """
    from statsmodels.regression.linear_model import OLS

    first, second = present(before, said(N_("the side before"))), present(after, said(N_("the side after")))
    values = np.concatenate([first, second])
    step = np.concatenate([np.zeros_like(first), np.ones_like(second)])
    lags = int(4 * (len(values) / 100) ** (2 / 9))
    fit = OLS(values, np.column_stack([np.ones_like(step), step])).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
    )
    low, high = fit.conf_int(alpha=1 - confidence)[1]
    return _interval(first, second, low, high, confidence, f"HAC, {lags} lags")


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
        block = 1.0 if np.ptp(values) == 0 else float(optimal_block_length(values)["stationary"].iloc[0])
        sampler = StationaryBootstrap(max(1, round(block)), values, seed=seed)
        draws.append(sampler.apply(np.mean, DRAWS)[:, 0])
    low, high = np.quantile(draws[1] - draws[0], [(1 - confidence) / 2, (1 + confidence) / 2])
    return _interval(first, second, low, high, confidence, "stationary bootstrap")


def _interval(first: Array, second: Array, low: float, high: float, confidence: float, method: str) -> Interval:
    estimate = float(second.mean() - first.mean())
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
