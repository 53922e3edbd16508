"""The difference at equal load: what the load explains is no change, and a change is not explained away."""

import numpy as np
import pytest
from scipy.signal import lfilter

from virtio_study.errors import DataError
from virtio_study.stats.equal_load import difference_at_equal_load
from virtio_study.stats.hours import same_hours
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch

DAY = 86_400.0
Pair = tuple[Stretch, Stretch]


def servers(seed: int, change: float = 0.0, more: float = 0.0, days: int = 7, slope: float = 0.3) -> tuple[Pair, Pair]:
    """Spending that follows ln(1 + load) and noise, half-hours of both sides; the side after has a factor of load."""
    rng = np.random.default_rng(seed)
    rows = 2 * days * 48
    late = np.arange(rows) >= rows // 2
    logged = 5 + lfilter([0.3], [1.0, -0.9], rng.standard_normal(rows)) + more * late
    spent = 1 + slope * logged + lfilter([0.05], [1.0, -0.8], rng.standard_normal(rows)) + change * late
    whole = [Stretch(values, 4 * DAY, 1800.0) for values in (spent, np.expm1(logged))]
    first = [Stretch(side.values[: rows // 2], side.start_s, 1800.0) for side in whole]
    second = [Stretch(side.values[rows // 2 :], first[0].end_s, 1800.0) for side in whole]
    return (first[0], first[1]), (second[0], second[1])


def test_what_more_load_costs_is_no_change_at_equal_load():
    before, after = servers(1, more=1.0)
    assert difference_of_series(*same_hours(before[0], after[0], True), 0.95).interval.low > 0
    found = difference_at_equal_load(before, after, 0.95, True)
    assert not found.interval.excludes(0.0)
    assert found.of_twice == pytest.approx(0.3 * np.log(2), rel=0.1)


def test_a_change_is_shown_that_the_load_hides():
    before, after = servers(2, change=-0.3, more=1.0)
    assert not difference_of_series(*same_hours(before[0], after[0], True), 0.95).interval.excludes(0.0)
    found = difference_at_equal_load(before, after, 0.95, True)
    assert found.interval.estimate == pytest.approx(-0.3, abs=0.08)
    assert found.interval.high < 0


def test_it_covers_and_is_shorter_where_the_load_wanders():
    inside, shorter = [], []
    for seed in range(60):
        before, after = servers(seed)
        found = difference_at_equal_load(before, after, 0.95, True).interval
        plain = difference_of_series(*same_hours(before[0], after[0], True), 0.95).interval
        inside.append(not found.excludes(0.0))
        shorter.append((found.high - found.low) / (plain.high - plain.low))
    assert np.mean(inside) >= 0.9
    assert np.median(shorter) < 0.7


def test_gaps_and_loads_that_tell_nothing():
    before, after = servers(3)
    values = before[1].values.copy()
    values[50:90] = np.nan
    holed = before[0], Stretch(values, before[1].start_s, 1800.0)
    whole, found = (difference_at_equal_load(side, after, 0.95, True).interval for side in (before, holed))
    assert found.estimate == pytest.approx(whole.estimate, abs=0.05)
    still = [(side[0], Stretch(np.ones_like(side[1].values), side[1].start_s, 1800.0)) for side in (before, after)]
    with pytest.raises(DataError, match="the load never varies"):
        difference_at_equal_load(still[0], still[1], 0.95, True)
    with pytest.raises(DataError, match="not the same rows"):
        difference_at_equal_load((before[0], after[1]), after, 0.95, True)
