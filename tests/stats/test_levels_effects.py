"""Levels, effects and equivalence against published values, other implementations, and measured coverage."""

import numpy as np
import pandas as pd
import pytest

from virtio_study.errors import DataError
from virtio_study.stats import effects
from virtio_study.stats.effects import difference, relative_difference
from virtio_study.stats.equivalence import equivalent
from virtio_study.stats.levels import Level, level, level_over_boots

# R: set.seed(12345); rnorm(5, 1, 1); rnorm(5, 2, 1), with the output of t.test and of t.test.ratio (package mratios)
# printed at http://mikuhatsune.hatenadiary.com/entry/20121212/1355320912
R_AFTER = 1 + np.array([0.5855288, 0.7094660, -0.1093033, -0.4534972, 0.6058875])
R_BEFORE = 2 + np.array([-1.8179560, 0.6300986, -0.2761841, -0.2841597, -0.9193220])

# Student's sleep data (1908), as used in R's manual page of t.test: Welch's interval -3.3654832 to 0.2054832, df 17.776
SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) + 10
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]) + 10


def frame(values: dict[str, list[float]], steady_from: int = 0) -> pd.DataFrame:
    rows = [
        {"replicate": name, "period": "steady" if i >= steady_from else "transient", "x": value}
        for name, series in values.items()
        for i, value in enumerate(series)
    ]
    return pd.DataFrame(rows)


class TestDifference:
    def test_published_welch(self):
        found = difference(R_BEFORE, R_AFTER, 0.95)
        assert found.low == pytest.approx(-1.3249365, abs=2e-7)
        assert found.high == pytest.approx(0.9271785, abs=2e-7)
        assert found.df == pytest.approx(6.363, abs=5e-4)

    def test_student_sleep(self):
        found = difference(SLEEP_2, SLEEP_1, 0.95)
        assert (found.low, found.high) == pytest.approx((-3.3654832, 0.2054832), abs=1e-7)
        assert found.df == pytest.approx(17.776, abs=5e-4)

    @pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
    def test_agrees_with_scipy(self, scale):
        from scipy.stats import ttest_ind

        rng = np.random.default_rng(1)
        before, after = scale * (5 + rng.normal(size=8)), scale * (4 + 3 * rng.random(5))
        found = difference(before, after, 0.9)
        expected = ttest_ind(after, before, equal_var=False)
        limits = expected.confidence_interval(0.9)
        assert (found.low, found.high) == pytest.approx((limits.low, limits.high), rel=1e-10)
        assert found.df == pytest.approx(expected.df)
        assert (found.n, found.n_before, found.n_after) == (13, 8, 5)

    def test_one_constant_side_is_named(self):
        found = difference([2.0, 2.0, 2.0], [1.0, 1.1, 1.2], 0.95)
        assert found.df == 2
        assert "before is constant" in found.method

    @pytest.mark.parametrize(
        ("before", "after", "match"),
        [
            ([1.0], [1.0, 2.0], "before: boots with a value: 1; at least 2 are needed"),
            ([1.0, 2.0], [], "after: boots with a value: 0"),
            ([1.0, np.nan], [1.0, 2.0], "before: boot 1 has no finite value"),
            ([np.nan, np.nan], [1.0, 2.0], "before: boot 0 has no finite value"),
            ([1.0, 2.0], [1.0, -2.0], "after: boot 1 is -2; .* cannot be negative"),
            ([4.0, 4.0], [4.0, 4.0], "both sides are constant"),
            ([[1.0, 2.0]], [1.0, 2.0], r"array of shape \(1, 2\)"),
        ],
    )
    def test_mistakes_get_a_sentence(self, before, after, match):
        with pytest.raises(DataError, match=match):
            difference(before, after, 0.95)

    def test_confidence_is_checked(self):
        with pytest.raises(DataError, match="confidence is 95"):
            difference([1.0, 2.0], [1.0, 2.0], 95)

    def test_a_constant_is_constant_despite_rounding(self):
        with pytest.raises(DataError, match="both sides are constant"):
            difference([0.1] * 3, [0.3] * 7, 0.95)


class TestRelativeDifference:
    def test_published_fieller(self):
        found = relative_difference(R_BEFORE, R_AFTER, 0.95)
        assert found is not None
        assert found.estimate + 1 == pytest.approx(0.8643849, abs=2e-7)
        assert (found.low + 1, found.high + 1) == pytest.approx((0.4056763, 2.6170008), abs=5e-7)

    def test_limits_invert_the_test(self):
        from scipy.stats import t

        rng = np.random.default_rng(2)
        before, after = 10 + rng.normal(size=6), 7 + 2 * rng.normal(size=9)
        found = relative_difference(before, after, 0.95)
        assert found is not None
        for limit in (found.low + 1, found.high + 1):
            error = np.sqrt(after.var(ddof=1) / 9 + limit**2 * before.var(ddof=1) / 6)
            assert abs(after.mean() - limit * before.mean()) / error == pytest.approx(t.ppf(0.975, found.df))

    def test_does_not_depend_on_the_unit(self):
        rng = np.random.default_rng(3)
        before, after = 3 + rng.normal(size=6), 2 + rng.normal(size=6) * 0.3
        small, large = (relative_difference(before * s, after * s, 0.95) for s in (1.0, 2.0**40))
        assert small is not None
        assert large is not None
        assert (small.low, small.high) == pytest.approx((large.low, large.high))

    @pytest.mark.parametrize("before", [[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [1.0, 9.0]])
    def test_not_estimable_where_the_base_may_be_zero(self, before):
        assert relative_difference(before, [1.0, 1.1, 1.2], 0.95) is None

    def test_after_zero_is_minus_one_hundred_percent(self):
        found = relative_difference([1.0, 1.1, 0.9], [0.0, 0.0, 0.0], 0.95)
        assert found is not None
        assert (found.estimate, found.low, found.high) == (-1.0, -1.0, -1.0)


class TestEquivalence:
    def test_agrees_with_statsmodels(self):
        from statsmodels.stats.weightstats import ttost_ind

        rng = np.random.default_rng(4)
        before, after = 100 + 3 * rng.normal(size=8), 101 + 2 * rng.normal(size=7)
        found = equivalent(before, after, 0.05, 0.95)
        _, low, _ = ttost_ind(after, 0.95 * before, 0.0, 1e9, usevar="unequal")
        _, _, high = ttost_ind(after, 1.05 * before, -1e9, 0.0, usevar="unequal")
        assert found.p == pytest.approx(max(low[1], high[1]), rel=1e-9)

    def test_decision_is_that_of_the_interval(self):
        rng = np.random.default_rng(5)
        for _ in range(50):
            before, after = 20 + rng.normal(size=6), 20 + rng.normal(size=6)
            found = equivalent(before, after, 0.05, 0.95)
            assert found.low is not None
            assert found.high is not None
            # the interval has the df of the estimate, the tests those of the margins: they may differ at the very edge
            inside = found.low >= 0.95 and found.high <= 1.05
            assert inside == found.equivalent or abs(found.p - 0.05) < 0.005

    def test_set_rates_are_compared_directly(self):
        found = equivalent([100.0] * 8, [100.0] * 8, 0.05, 0.95)
        assert found.equivalent
        assert "compared directly" in found.method
        assert not equivalent([100.0] * 8, [110.0] * 8, 0.05, 0.95).equivalent
        assert equivalent([0.0] * 2, [0.0] * 2, 0.05, 0.95).equivalent
        assert equivalent([0.0] * 2, [0.0] * 2, 0.05, 0.95).ratio is None

    def test_nothing_is_not_equivalent_to_something(self):
        found = equivalent([20.0, 20.1, 19.9], [0.0, 0.0, 0.0], 0.05, 0.95)
        assert not found.equivalent
        assert found.p > 0.999

    def test_noise_is_not_equivalence(self):
        assert not equivalent([50.0, 150.0, 100.0], [60.0, 140.0, 100.0], 0.05, 0.95).equivalent

    def test_margin_is_checked(self):
        with pytest.raises(DataError, match="the margin is 5"):
            equivalent([1.0, 2.0], [1.0, 2.0], 5, 0.95)


class TestLevels:
    def test_mean_median_and_peak(self):
        assert level(range(1, 201), "x") == Level(200, 100.5, 100.5, 191.0)
        found = level([1.0, 2.0, 4.0], "x")
        assert (found.rows, found.mean, found.median, found.peak) == (3, pytest.approx(7 / 3), 2.0, 4.0)

    def test_missing_rows_are_left_out_and_a_boot_without_rows_has_no_level(self):
        assert level([1.0, np.nan, 3.0], "x").rows == 2
        empty = level([np.nan], "x")
        assert empty.rows == 0
        assert np.isnan(empty.mean)

    def test_a_negative_value_gets_a_sentence(self):
        with pytest.raises(DataError, match="x: steady row 1 is -1; it cannot be negative"):
            level([1.0, -1.0], "x")

    def test_interval_over_boots(self):
        # Student's t by hand: mean 5, sd 2, n 4, t(3, .975) = 3.182446
        found = level_over_boots([3.0, 7.0, 5.0 - np.sqrt(2), 5.0 + np.sqrt(2)], 0.95)
        assert found.estimate == pytest.approx(5)
        assert found.high - 5 == pytest.approx(3.182446 * 2 / 2, rel=1e-6)

    def test_a_constant_has_no_width_and_says_so(self):
        found = level_over_boots([512.0] * 8, 0.95)
        assert (found.low, found.high) == (512.0, 512.0)
        assert "constant over boots" in found.method


def covered(rng, n_before, n_after, sd_before, sd_after, function, truth, repetitions=1500):
    hits = 0
    for _ in range(repetitions):
        found = function(
            20 + sd_before * rng.standard_normal(n_before), 16 + sd_after * rng.standard_normal(n_after), 0.95
        )
        hits += found is not None and found.low <= truth <= found.high
    return hits / repetitions


@pytest.mark.parametrize(("n_before", "n_after", "sd_after"), [(8, 8, 0.5), (8, 8, 2.0), (5, 8, 2.0), (3, 3, 0.5)])
def test_measured_coverage(n_before, n_after, sd_after):
    """Nominal 95 % holds within 2.5 points for boots as the lab records them (standard error of the count: 0.6)."""
    rng = np.random.default_rng(6)
    assert covered(rng, n_before, n_after, 0.5, sd_after, difference, -4.0) == pytest.approx(0.95, abs=0.025)
    assert covered(rng, n_before, n_after, 0.5, sd_after, relative_difference, -0.2) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(
    ("n_before", "few", "share"), [(2, 0, 0.89), (2, effects.FEW_BOOTS, 0.99), (3, effects.FEW_BOOTS, 0.93)]
)
@pytest.mark.parametrize("sd_before", [0.4, 1.0])
def test_two_boots_never_promise_too_much(sd_before, n_before, few, share, monkeypatch):
    """By Satterthwaite's df (no boots are few) two boots promise too much; by the smaller side's they do not."""
    monkeypatch.setattr(effects, "FEW_BOOTS", few)
    rng = np.random.default_rng(8)
    shown = covered(rng, n_before, 8, sd_before, sd_before / 4, difference, -4.0)
    ratios = [
        relative_difference(
            20 + sd_before * rng.standard_normal(n_before), 16 + sd_before / 4 * rng.standard_normal(8), 0.95
        )
        for _ in range(1500)
    ]
    answered = [interval.low <= -0.2 <= interval.high for interval in ratios if interval]
    assert (shown, np.mean(answered)) == pytest.approx((share, share), abs=0.008)


def test_false_equivalence_at_the_margin_is_at_most_alpha():
    """Load that differs by exactly the margin is called equivalent in at most 5 % of cases (standard error 0.5)."""
    rng = np.random.default_rng(7)
    wrong = sum(
        equivalent(100 + rng.standard_normal(8), 105 + rng.standard_normal(8), 0.05, 0.95).equivalent
        for _ in range(1500)
    )
    assert wrong / 1500 <= 0.05 + 2 * 0.0056
