"""Numbers are written with a declared number of digits, the same on any machine."""

import math

import numpy as np
import pytest

from virtio_study.stats.rounding import DIGITS, significant


def test_noise_in_the_last_bits_is_gone() -> None:
    noisy = math.nextafter(math.nextafter(1234.56789, math.inf), math.inf)
    assert noisy != 1234.56789
    assert significant(noisy) == significant(1234.56789) == 1234.56789


@pytest.mark.parametrize(
    "value", [math.pi, -1e-300 * math.pi, 4.2e20 / 9, 5e-324, 123456789.49999999, 0.1 + 0.2, 1.7976931348623157e308]
)
def test_rounding_twice_changes_nothing_and_keeps_nine_digits(value: float) -> None:
    rounded = significant(value)
    assert significant(rounded) == rounded
    assert float(f"{value:.{DIGITS - 1}e}") == rounded


def test_what_is_no_number_stays_so_and_zero_has_no_sign() -> None:
    assert math.isnan(significant(math.nan))
    assert significant(-math.inf) == -math.inf
    assert math.copysign(1, significant(-0.0)) == 1
    assert type(significant(np.float64(1.5))) is float


def test_digits_are_chosen_and_checked() -> None:
    assert significant(0.123456, 3) == 0.123
    with pytest.raises(ValueError, match="at least one digit, not 0"):
        significant(1.0, 0)
