"""Mixtures of Student's t around one centre, as an average over a parameter that is not known leaves them."""

import math
from collections.abc import Callable

from virtio_study.stats.elementary import Array, exp, log, product_sum
from virtio_study.stats.student import t_cdf, t_quantile, t_tail

__all__ = ["crossing", "mixture_cdf", "mixture_quantile"]

SMALLEST_WEIGHT = 1e-12
CONVERGED = 1e-8
"""A step of Newton's rule after which the next, being its square, changes nothing."""


def mixture_quantile(weight: Array, error: Array, df: Array, confidence: float) -> float:
    """Two-sided critical value of a mixture of Student's t around zero.

    Parameters
    ----------
    weight, error, df : array of float64, shape (parts,)
        Share, standard error and degrees of freedom of every part; the shares sum to 1.
    confidence : float
        Such as 0.95.
    """
    keep = weight > SMALLEST_WEIGHT
    weight, error, df = weight[keep], error[keep], df[keep]
    wanted = (1 - confidence) / 2
    low = float(error.min()) * t_quantile(float(df.max()), confidence)
    high = float(error.max()) * t_quantile(float(df.min()), confidence)
    value = min(max(product_sum(weight, error) * t_quantile(product_sum(weight, df), confidence), low), high)
    for _ in range(200):
        tails, densities = t_tail(df, value / error)
        tail = product_sum(weight, tails)
        step = log(tail / wanted) * tail / (value * product_sum(weight / error, densities))
        low, high = (value, high) if step > 0 else (low, value)
        newton = value * exp(min(step, 1.0))
        if abs(step) < CONVERGED:
            return newton
        value = newton if low < newton < high else math.sqrt(low) * math.sqrt(high)
    return value


def mixture_cdf(weight: Array, df: Array, t: Array) -> float:
    """Share of a mixture below one point, which lies `t` standard errors of each part above its centre."""
    return product_sum(weight, t_cdf(df, t))


def crossing(share: Callable[[float], float], wanted: float, first: float, second: float) -> float:
    """Where an increasing or decreasing function takes a value that it takes between two points.

    The Illinois rule: secants that keep the crossing between their ends, so that it is found from any start.
    """
    at_first, at_second = share(first) - wanted, share(second) - wanted
    for _ in range(200):
        if at_second == 0 or at_first == at_second:
            return second
        third = second - at_second * (second - first) / (at_second - at_first)
        at_third = share(third) - wanted
        if abs(third - second) <= 1e-15 * abs(third):
            return third
        if (at_third > 0) != (at_second > 0):
            first, at_first = second, at_second
        else:
            at_first /= 2
        second, at_second = third, at_third
    return second
