"""Sums do not depend on order or chunks; exponentials and logarithms are exact without the machine's own."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from virtio_study.stats.elementary import exp, log, log1p, mean, powers, product_sum, total, variance
from virtio_study.stats.levels import level_over_boots
from virtio_study.stats.stretch import batch

RNG = np.random.default_rng(5)
NUMBERS = RNG.normal(4e8, 3e5, 1013) * 10.0 ** RNG.integers(-6, 6, 1013)


def test_sums_are_the_same_in_any_order() -> None:
    answers = {(total(order), mean(order), variance(order)) for order in (RNG.permutation(NUMBERS) for _ in range(50))}
    assert len(answers) == 1
    assert len({float(np.sum(RNG.permutation(NUMBERS))) for _ in range(50)}) > 1  # as a plain sum is not


@pytest.mark.parametrize("unit", [1e-300, 1e-9, 1.0, 2.0**30, 1e250])
@pytest.mark.parametrize("spread", [0, 3, 40, 200])
def test_many_numbers_are_summed_as_exactly_as_few(unit: float, spread: int) -> None:
    numbers = RNG.normal(1, 1, 3000) * 2.0 ** RNG.integers(-spread, 1, 3000) * unit
    assert total(numbers) == math.fsum(numbers)
    assert total(np.append(numbers, -numbers)) == 0.0
    assert total(np.round(numbers)) == math.fsum(np.round(numbers))
    assert math.isnan(total(np.append(numbers, math.nan)))
    assert total(np.zeros(500)) == 0.0


def test_the_levels_of_boots_do_not_depend_on_the_order_of_boots_or_rows() -> None:
    boots = np.abs(NUMBERS[:24])
    assert len({level_over_boots(RNG.permutation(boots), 0.95) for _ in range(20)}) == 1
    rows = np.abs(NUMBERS[:240])
    shuffled = np.concatenate([RNG.permutation(part) for part in np.split(rows, 12)])
    assert np.array_equal(batch(rows), batch(shuffled))


def test_means_and_variances_are_those_of_the_numbers() -> None:
    assert mean([1, 2, 4]) == 7 / 3
    assert variance([1.0, 2.0, 4.0]) == pytest.approx(7 / 3)
    assert math.isnan(mean([]))
    assert math.isnan(variance([1.0]))
    assert product_sum(np.array([1e16, 1.0, -1e16]), np.ones(3)) == 1.0
    assert powers(np.array([-0.5, 2.0]), 3).tolist() == [[-0.5, 0.25, -0.125], [2.0, 4.0, 8.0]]


@pytest.mark.parametrize(
    ("function", "exact", "numbers"),
    [
        (exp, lambda x: x.exp(), RNG.uniform(-300, 300, 300)),
        (log, lambda x: x.ln(), np.exp(RNG.uniform(-300, 300, 300))),
        (log, lambda x: x.ln(), RNG.uniform(0.7, 1.4, 300)),
        (log1p, lambda x: (1 + x).ln(), -np.exp(RNG.uniform(-30, -0.01, 300))),
        (log1p, lambda x: (1 + x).ln(), np.exp(RNG.uniform(-30, 30, 300))),
    ],
)
def test_they_are_exact_and_the_same_for_a_number_and_an_array(function, exact, numbers) -> None:
    one_by_one = [function(float(number)) for number in numbers]
    assert np.array_equal(function(numbers), one_by_one)
    with localcontext(prec=60):
        for number, value in zip(numbers, one_by_one, strict=True):
            wanted = exact(Decimal(float(number)))
            assert abs(Decimal(value) - wanted) <= Decimal("4e-16") * abs(wanted)


def test_an_exponential_never_overflows() -> None:
    assert exp(-1e9) < 1e-300
    assert math.isfinite(exp(1e9))
    assert exp(np.array([-1e9, 0.0])).tolist() == [exp(-745.0), 1.0]
