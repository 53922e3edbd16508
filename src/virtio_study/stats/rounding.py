"""The gate through which every number enters results: a declared number of significant digits.

The last bits of a float depend on the machine that computed it: vector width, fused multiplications, the order of a
sum. Readers need far fewer digits than a float holds; what is written has nine, and later steps read what was written.
"""

import math
from typing import Final

__all__ = ["DIGITS", "significant"]

DIGITS: Final = 9
"""Significant decimal digits of every number in results and in the data of figures."""


def significant(value: float, digits: int = DIGITS) -> float:
    """``value`` rounded to a number of significant decimal digits, the same on any machine.

    The exact binary value is rounded to the nearest decimal with that many digits (ties to even) and the float nearest
    to that decimal is returned; rounding twice changes nothing.

    Parameters
    ----------
    value : float
        In any unit. NaN stays NaN and an infinity stays itself: whether they may be written is for the caller to say.
        Negative zero becomes zero.
    digits : int
        At least 1; above 15 a float does not hold them all.

    Raises
    ------
    ValueError
        If ``digits`` is below 1.

    Examples
    --------
    >>> significant(0.1 + 0.2), significant(123456789.4), significant(-0.0)
    (0.3, 123456789.0, 0.0)
    """
    if digits < 1:
        raise ValueError(f"a number needs at least one digit, not {digits}")
    if not math.isfinite(value):
        return float(value)
    return float(f"{value:.{digits - 1}e}") + 0.0
