"""Student's t: tails, densities and quantiles to the same last bit on every machine; see `elementary` for why."""

import math
from functools import lru_cache
from typing import overload

import numpy as np

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import Array, Real, exp, log, log1p

__all__ = ["FURTHEST", "t_cdf", "t_quantile", "t_tail"]

_ROOT_PI = math.sqrt(math.pi)
FURTHEST = 1e100
"""Beyond it a square would overflow, and no tail is left."""

_SHIFT = 8
# of ln(Gamma(w + 3/4) / Gamma(w + 1/4)) - ln(w) / 2, from Bernoulli's polynomials, the lowest power of 1/w^2 first
_GAMMA_SERIES = (1 / 64, -5 / 2048, 61 / 49152, -1385 / 1048576, 50521 / 20971520, -2702765 / 402653184)


def _gamma_ratio(a: Real) -> Real:
    """Gamma(a + 1/2) / Gamma(a) for a of 1/2 or more."""
    shift = a / (a + 0.5)
    for step in range(1, _SHIFT):
        shift = shift * ((a + step) / (a + step + 0.5))
    w = a + (_SHIFT - 0.25)
    square = 1 / (w * w)
    series = 0 * w
    for coefficient in reversed(_GAMMA_SERIES):
        series = (series + coefficient) * square
    return shift * exp(series + log(w) / 2)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), from its end backwards."""
    value = 1.0
    for m in range(_levels(max(a, b)), 0, -1):
        value = 1 + m * (b - m) * x / ((a + (2 * m - 1)) * (a + 2 * m) * value)
        value = 1 - (a + (m - 1)) * (a + b + (m - 1)) * x / ((a + (2 * m - 2)) * (a + (2 * m - 1)) * value)
    return value


def _fractions(a: Array, b: Array, x: Array) -> Array:
    """The same for arrays, all their coefficients first."""
    m = np.arange(_levels(float(max(a.max(), b.max()))), 0, -1).reshape(-1, *(1,) * x.ndim)
    middle = a + (2 * m - 1)
    even = m * (b - m) * x / (middle * (a + 2 * m))
    odd = (a + (m - 1)) * (a + b + (m - 1)) * x / (middle * (a + (2 * m - 2)))
    value = np.ones_like(x)
    for place in range(len(m)):
        value = 1 - odd[place] / (1 + even[place] / value)
    return value


def _levels(a: float) -> int:
    """Levels of the fraction after which nothing changes any more, found by trying."""
    return min(14 + int(3 * math.sqrt(a)), 60)


@overload
def t_tail(df: float, t: float) -> tuple[float, float]: ...
@overload
def t_tail(df: Array, t: Array) -> tuple[Array, Array]: ...
def t_tail(df: float | Array, t: float | Array) -> tuple[float, float] | tuple[Array, Array]:
    """Probability that Student's t with `df` degrees of freedom is above `t`, 0 or more, and its density there.

    Both are exact to about 1e-14 of themselves, however small; with 10,000 degrees of freedom to 1e-12.
    """
    if isinstance(df, np.ndarray) and isinstance(t, np.ndarray):
        return _array_tail(df, t)
    return _scalar_tail(float(df), float(t))


def _scalar_tail(df: float, t: float) -> tuple[float, float]:
    a, y = df / 2, t * t / df
    far, near = 1 / (1 + y), y / (1 + y)
    core = exp(-a * log1p(y)) * _gamma_ratio(a)
    # each of the two fractions is quick on its own side of the middle of the distribution
    if far < (a + 1) / (a + 2.5):
        tail = core * math.sqrt(near) / (2 * _ROOT_PI * a * _fraction(a, 0.5, far))
    else:
        tail = 0.5 - core * math.sqrt(near) / (_ROOT_PI * _fraction(0.5, a, near))
    return tail, core * math.sqrt(far / df) / _ROOT_PI


def _array_tail(df: Array, t: Array) -> tuple[Array, Array]:
    a, y = df / 2, t * t / df
    far, near = 1 / (1 + y), y / (1 + y)
    core = exp(-a * log1p(y)) * _gamma_ratio(a)
    outer = far < (a + 1) / (a + 2.5)
    first = np.where(outer, a, 0.5)
    fraction = _fractions(first, np.where(outer, 0.5, a), np.where(outer, far, near))
    part = core * np.sqrt(near) / (2 * _ROOT_PI * first * fraction)
    return np.where(outer, part, 0.5 - part), core * np.sqrt(far / df) / _ROOT_PI


@overload
def t_cdf(df: float, t: float) -> float: ...
@overload
def t_cdf(df: Array, t: Array) -> Array: ...
def t_cdf(df: float | Array, t: float | Array) -> float | Array:
    """Probability that Student's t with `df` degrees of freedom is below `t`."""
    if isinstance(df, np.ndarray) and isinstance(t, np.ndarray):
        tails, _ = _array_tail(df, np.minimum(np.abs(t), FURTHEST))
        below: Array = np.where(t < 0, tails, 1 - tails)
        return below
    tail, _ = _scalar_tail(float(df), min(abs(float(t)), FURTHEST))
    return tail if t < 0 else 1 - tail


@lru_cache(maxsize=4096)
def t_quantile(df: float, confidence: float) -> float:
    """Two-sided critical value of Student's t.

    Parameters
    ----------
    df : float
        Degrees of freedom, 1 or more.
    confidence : float
        Such as 0.95: the value that Student's t exceeds, in absolute terms, with probability 0.05.

    Raises
    ------
    DataError
        If the confidence is not between 0.5 and 1.

    Notes
    -----
    Newton's rule on the logarithms of value and tail, where the tail is concave: it converges from any start.
    """
    if not 0.5 < confidence < 1:
        raise DataError(
            N_("confidence is {confidence:g}; expected a share between 0.5 and 1, such as 0.95"), confidence=confidence
        )
    wanted, value = (1 - confidence) / 2, 1.0
    for _ in range(100):
        tail, density = _scalar_tail(df, value)
        step = log(tail / wanted) * tail / (value * density)
        value *= exp(min(step, 1.0))  # no further, lest the tail of many degrees of freedom underflow
        if abs(step) < 1e-8:  # the next step would be its square
            break
    return value
