"""A weekend that both sides show is taken out of both; one that only one side shows stays where it is."""

import numpy as np
import pytest

from virtio_study.fleet.weekends import without_weekend
from virtio_study.stats.hours import DAY_S
from virtio_study.stats.stretch import Stretch

MONDAY = 4 * DAY_S
"""5 January 1970."""


def side(days: int, start_day: int, weekend: float, level: float = 1.0) -> Stretch:
    place = np.arange(days * 48) // 48 + start_day
    return Stretch(level + weekend * (place % 7 >= 5), MONDAY + start_day * DAY_S, 1800.0)


def test_levels_are_those_of_a_usual_week_whatever_days_a_side_has() -> None:
    before, after = without_weekend(side(9, 0, -0.35), side(10, 9, -0.35, level=1.2))
    assert np.ptp(before.values) == pytest.approx(0)
    assert before.values[0] == pytest.approx(1.0 - 0.35 * 2 / 7)
    assert after.values[0] - before.values[0] == pytest.approx(0.2)


@pytest.mark.parametrize("other", [0.0, 0.2, -0.1])
def test_sides_that_show_other_weekends_stay_as_they_are(other: float) -> None:
    sides = side(14, 0, -0.35), side(14, 14, other)
    assert without_weekend(*sides) == sides


def test_without_a_weekend_on_one_side_both_stay_as_they_are() -> None:
    sides = side(4, 0, -0.35), side(14, 7, -0.35)
    assert without_weekend(*sides) == sides
