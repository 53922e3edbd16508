"""Sums, means, exponentials and logarithms whose last bit is the same on every machine.

The libraries' are not: BLAS adds in an order that depends on the processor's kernel, and numpy and libm have several
exponentials and logarithms each and take what the processor is fastest with. Here sums are rounded once (`math.fsum`,
so that their order does not matter either), and the rest is additions, multiplications, divisions and square roots,
which IEEE 754 fixes to the last bit.
"""

import math
from collections.abc import Iterable
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["exp", "log", "log1p", "mean", "powers", "product_sum", "total", "variance"]

Array = NDArray[np.float64]
Real = TypeVar("Real", float, Array)

FEWEST_AS_INTEGERS = 400

# ln 2 in two parts (fdlibm), the first so short that its product with an exponent is exact
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_PER_LN2 = 1.44269504088896338700
_EXP = [1 / math.factorial(n) for n in range(14, -1, -1)]
_LOG = [2 / n for n in range(23, 2, -2)]


def total(values: Iterable[float]) -> float:
    """Sum of numbers, rounded once: the same in any order and in any chunks."""
    if isinstance(values, np.ndarray):
        exact = _total_of_many(values) if len(values) >= FEWEST_AS_INTEGERS else None
        return math.fsum(values.tolist()) if exact is None else exact
    return math.fsum(values)


def _total_of_many(values: Array) -> float | None:
    """What `math.fsum` gives, some times as fast: the numbers as integers of two words; None if they need three."""
    largest = float(np.abs(values).max())
    if not 1e-200 < largest < 1e200:
        return None
    bits = 62 - len(values).bit_length()
    power = bits - math.frexp(largest)[1]
    # powers of two, so that only the roundings to whole numbers round
    high = np.rint(values * math.ldexp(1.0, power))
    rest = (values - high * math.ldexp(1.0, -power)) * math.ldexp(1.0, power + bits)
    low = np.rint(rest)
    if not np.array_equal(low, rest):
        return None
    words = (int(high.astype(np.int64).sum()) << bits) + int(low.astype(np.int64).sum())
    return math.ldexp(words, -power - bits)


def mean(values: Iterable[float]) -> float:
    """Mean of numbers: their `total` over their number; NaN of none."""
    numbers = values if isinstance(values, np.ndarray | list) else list(values)
    return total(numbers) / len(numbers) if len(numbers) else math.nan


def variance(values: Iterable[float]) -> float:
    """Unbiased variance (n - 1) of numbers, about their mean; NaN of fewer than two."""
    numbers = np.asarray(values if isinstance(values, np.ndarray | list) else list(values), dtype=np.float64)
    if len(numbers) < 2:
        return math.nan
    apart = numbers - mean(numbers)
    return total(apart * apart) / (len(numbers) - 1)


def product_sum(one: Array, other: Array) -> float:
    """Sum of the products of two arrays' elements, each product and the sum rounded once."""
    return total(one * other)


def product_sums(one: Array, other: Array) -> Array:
    """Sum of the products of two arrays' elements, row by row, each as `product_sum` has it; shape (rows,)."""
    return np.array([math.fsum(row) for row in (one * other).tolist()])


def powers(base: Array, highest: int) -> Array:
    """Powers 1 to `highest` of every number, shape (len(base), highest)."""
    found: Array = np.multiply.accumulate(np.repeat(base[:, None], highest, axis=1), axis=1)
    return found


@overload
def exp(x: float) -> float: ...
@overload
def exp(x: Array) -> Array: ...
def exp(x: float | Array) -> float | Array:
    """Exponential of a number or of every number of an array; exact to about 2e-16 of itself."""
    if isinstance(x, np.ndarray):
        bounded = np.clip(x, -745.0, 709.0)
        whole = np.rint(bounded * _PER_LN2)
        rest = (bounded - whole * _LN2_HIGH) - whole * _LN2_LOW
        value: Array = np.ldexp(_polynomial(_EXP, rest), whole.astype(np.int64))
        return value
    bounded_x = min(max(x, -745.0), 709.0)
    whole_x = round(bounded_x * _PER_LN2)
    return math.ldexp(_polynomial(_EXP, (bounded_x - whole_x * _LN2_HIGH) - whole_x * _LN2_LOW), whole_x)


@overload
def log(x: float) -> float: ...
@overload
def log(x: Array) -> Array: ...
def log(x: float | Array) -> float | Array:
    """Natural logarithm of a number above 0, or of every number of an array; exact to about 2e-16 of itself."""
    if isinstance(x, np.ndarray):
        part, power = np.frexp(x)
        small = part < math.sqrt(0.5)
        value: Array = _log(np.where(small, 2 * part, part), (power - small).astype(np.float64))
        return value
    part_x, power_x = math.frexp(x)
    return _log(2 * part_x, power_x - 1.0) if part_x < math.sqrt(0.5) else _log(part_x, float(power_x))


def _log(part: Real, power: Real) -> Real:
    """Logarithm of `part * 2**power`, `part` between the square roots of 1/2 and 2, by the series of atanh."""
    ratio = (part - 1) / (part + 1)
    square = ratio * ratio
    return power * _LN2_HIGH + (power * _LN2_LOW + (2 * ratio + ratio * square * _polynomial(_LOG, square)))


def _polynomial(coefficients: list[float], x: Real) -> Real:
    """Horner's rule, the coefficient of the highest power first."""
    value = 0 * x + coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def log1p(x: Real) -> Real:
    """Logarithm of 1 + x, exact also where x is tiny; x above -1."""
    one_more = 1 + x
    # what the addition lost is given back to first order
    return log(one_more) - ((one_more - 1) - x) / one_more
