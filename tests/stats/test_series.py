"""Intervals for single recordings: valid under autocorrelation, and a sentence where no number can be given."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import ttest_ind

from paths import ROOT
from virtio_study.errors import DataError
from virtio_study.stats.controls import controls, cuts, held
from virtio_study.stats.hours import WEEK_S, same_hours, same_week, whole_days, without_cycle
from virtio_study.stats.interval import Interval
from virtio_study.stats.methods import METHODS, block_length, resampled_variance
from virtio_study.stats.series import (
    difference_of_series,
    fit,
    level_of_series,
    ratios,
    series_differences,
    shares_below,
    work_difference,
)
from virtio_study.stats.stretch import Stretch, batch, stretch

CALIBRATION = ROOT / "src/virtio_study/stats/calibration.json"
DAY = 86_400.0


def ar1(seed: int, phi: float, rows: int, sd: float = 1.0, level: float = 20.0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(rows)
    noise[1:] *= np.sqrt(1 - phi**2)
    return level + sd * lfilter([1.0], [1.0, -phi], noise)


def pair(before: np.ndarray, after: np.ndarray, step: float = 60.0) -> tuple[Stretch, Stretch]:
    return Stretch(before, 0.0, step), Stretch(after, step * len(before), step)


def brute_force(before: np.ndarray, after: np.ndarray, confidence: float) -> tuple[float, float]:
    """The rule by matrices and a million draws: nothing in it is shared with the closed form."""
    rng, draws = np.random.default_rng(3), 1_000_000
    phis = np.linspace(-0.9, 0.995, 80)
    log_weight, scales = np.log((1 - phis**2) ** (-3 / 16)), np.zeros((2, 80))
    for k, phi in enumerate(phis):
        correlation = phi ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
        covariance = correlation / (1 - phi**2)
        inverse = np.linalg.inv(covariance)
        for s, y in enumerate((before, after)):
            ones = np.ones(12)
            information = ones @ inverse @ ones
            mean = ones @ inverse @ y / information
            rss = (y - mean) @ inverse @ (y - mean)
            # flat prior on the level, 1/sigma on sigma: both integrated out
            log_weight[k] += -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * np.log(information) - 5.5 * np.log(rss)
            scales[s, k] = np.sqrt(rss / 11 * (ones @ covariance @ ones) / 144)
    weight = np.exp(log_weight - log_weight.max())
    chosen = rng.choice(80, size=draws, p=weight / weight.sum())
    # Welch's t of the two scales
    a, b = scales[0, chosen] ** 2, scales[1, chosen] ** 2
    drawn = rng.standard_t(11 * (a + b) ** 2 / (a**2 + b**2)) * np.sqrt(a + b)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(after.mean() - before.mean() + low), float(after.mean() - before.mean() + high)


def test_the_closed_form_is_the_rule_done_by_matrices_and_random_numbers():
    before, after = ar1(1, 0.6, 120), ar1(2, 0.3, 120, sd=0.4, level=19)
    found = difference_of_series(*pair(before, after), 0.95).interval
    low, high = brute_force(batch(before), batch(after), 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01 * (high - low))
    assert found.estimate == pytest.approx(after.mean() - before.mean(), rel=1e-12)
    assert found.low - found.estimate == pytest.approx(found.estimate - found.high, rel=1e-9)


def test_the_robust_bound_is_welch_on_the_halves():
    before, after = ar1(1, 0.6, 120), ar1(2, 0.3, 120)
    bound = difference_of_series(*pair(before, after), 0.9).bound
    halves = [[side[:60].mean(), side[60:].mean()] for side in (before, after)]
    expected = ttest_ind(halves[1], halves[0], equal_var=False).confidence_interval(0.9)
    assert (bound.low, bound.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_an_effect_is_robust_only_if_both_exclude_zero():
    clear = difference_of_series(*pair(ar1(1, 0.3, 500), ar1(2, 0.3, 500, level=10)), 0.95)
    none = difference_of_series(*pair(ar1(1, 0.3, 500), ar1(2, 0.3, 500)), 0.95)
    assert clear.robust
    assert not none.robust


@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_coverage_where_nothing_changed(phi: float):
    missed = [
        difference_of_series(*pair(*np.split(ar1(seed, phi, 800), 2)), 0.95).interval.excludes(0.0)
        for seed in range(600)
    ]
    # 93 % or more with three standard errors to spare
    assert 1 - np.mean(missed) > 0.93 - 3 * np.sqrt(0.05 * 0.95 / 600) + 0.01


def test_the_interval_scales_with_its_unit_and_ignores_a_common_shift():
    before, after = ar1(1, 0.6, 300), ar1(2, 0.6, 300)
    base = difference_of_series(*pair(before, after), 0.95).interval
    bytes_ = difference_of_series(*pair(before * 2**30, after * 2**30), 0.95).interval
    assert bytes_.high == pytest.approx(base.high * 2**30, rel=1e-9)
    shifted = difference_of_series(*pair(before + 1e4, after + 1e4), 0.95).interval
    assert shifted.high == pytest.approx(base.high, rel=1e-6)


@pytest.mark.parametrize("statistic", ["mean", "median", "peak"])
def test_level_and_difference_of_other_statistics(statistic):
    before, after = ar1(1, 0.5, 600), ar1(2, 0.5, 600, level=15)
    level = level_of_series(pair(before, after)[0], 0.95, statistic)
    wanted = {"mean": before.mean(), "median": np.median(before), "peak": np.quantile(before, 0.95)}[statistic]
    assert level.estimate == pytest.approx(wanted)
    assert level.low < wanted < level.high
    assert difference_of_series(*pair(before, after), 0.95, statistic).interval.high < -3


def test_relative_difference_agrees_with_the_one_sided_shares_at_its_limits():
    sides = pair(ar1(1, 0.5, 300), ar1(2, 0.5, 300, level=15))
    ratio = fit(*sides).ratio(0.95)
    assert ratio is not None
    assert ratio.low < -0.25 < ratio.high
    assert fit(*sides).share_below(1 + ratio.low) == pytest.approx(0.025, abs=1e-6)
    assert fit(*sides).share_below(1 + ratio.high) == pytest.approx(0.975, abs=1e-6)
    assert fit(*sides).share_below(1 + ratio.estimate) == pytest.approx(0.5, abs=1e-9)


def test_a_base_that_may_be_zero_has_no_ratio():
    near_zero = np.abs(ar1(1, 0.9, 300, level=0.0))
    near_zero[:150] = 0
    assert fit(*pair(near_zero, ar1(2, 0.5, 300))).ratio(0.95) is None


def test_many_fits_at_a_time_say_what_each_says_alone() -> None:
    fits = [
        fit(*pair(ar1(seed, 0.3 * (seed % 4), 400) + 8, ar1(seed + 50, 0.5, 300) + level))
        for seed, level in enumerate((8.0, 9.0, 12.0, 2.0))
    ]
    fits += [fit(*pair(ar1(1, 0.5, 300) + 9, np.full(300, level))) for level in (0.0, 9.0)]
    near_zero = np.concatenate([np.zeros(150), np.abs(ar1(1, 0.9, 150, level=0.0))])
    fits += [replace(fits[0], factor=1.7), fit(*pair(near_zero, ar1(2, 0.5, 300)))]
    alone = [(one.difference(0.9), one.ratio(0.9), one.share_below(1.0)) for one in fits]
    together = zip(series_differences(fits, 0.9), ratios(fits, 0.9), shares_below(fits, 1.0), strict=True)
    for (first, relative, share), (second, other, part) in zip(alone, together, strict=True):
        assert second.interval.low == pytest.approx(first.interval.low, rel=1e-12)
        assert part == pytest.approx(share, rel=1e-12)
        assert (other is None) == (relative is None)
        if relative and other:
            assert (other.low, other.high) == pytest.approx((relative.low, relative.high), rel=1e-12)
    assert alone[-1][1] is None
    # a server that uses nothing afterwards, to the last digit, saved everything
    assert (alone[4][1].low, alone[4][1].high) == (-1.0, -1.0)


def test_effect_per_unit_of_work_finds_the_price_when_the_work_doubled():
    work_before, work_after = ar1(3, 0.5, 400, level=100), ar1(4, 0.5, 400, level=200)
    noise = np.random.default_rng(5).normal(1, 0.05, (2, 400))
    before, after = 0.003 * work_before * noise[0], 0.002 * work_after * noise[1]
    spent, done = pair(before, after), pair(work_before, work_after)
    found = work_difference(spent[0], done[0], spent[1], done[1], 0.95)
    assert found.interval.low < -0.001 < found.interval.high
    assert found.interval.high < 0
    # the plain difference has the other sign: the closed loop did more
    assert difference_of_series(*spent, 0.95).interval.low > 0


def test_whole_weeks_next_to_the_change_and_whole_days_otherwise():
    before, after = pair(np.arange(10 * 48.0), np.arange(9 * 48.0), 1800.0)
    first, second = whole_days(before, after)
    assert (len(first.values), len(second.values)) == (7 * 48, 7 * 48)
    assert first.end_s == before.end_s == second.start_s
    first, second = whole_days(*pair(np.arange(3.6 * 48), np.arange(9 * 48.0), 1800.0))
    assert (len(first.values), len(second.values)) == (3 * 48, 9 * 48)


def test_a_common_daily_cycle_is_taken_out_and_the_levels_stay():
    hours = 2 * np.pi * np.arange(14 * 48) / 48
    values = ar1(1, 0.3, 14 * 48) + 6 * np.sin(hours)
    before, after = pair(values[: 7 * 48], values[7 * 48 :] + 1, 1800.0)
    flat = without_cycle(before, after)
    for raw, side in zip((before, after), flat, strict=True):
        assert side.values.mean() == pytest.approx(raw.values.mean(), rel=1e-12)
        assert side.values.std() < 1.3
    narrow, wide = (difference_of_series(*sides, 0.95).interval for sides in (flat, (before, after)))
    assert narrow.high - narrow.low < wide.high - wide.low


def days_of(seed: int, days: float, weekly: float = 0.0, start_day: int = 4) -> Stretch:
    """Half-hours of a server with a daily cycle, and with `weekly` more from Monday to Friday (day 4: a Monday)."""
    place = np.arange(round(days * 48)) / 48
    weekday = (place + start_day - 4) % 7 < 5
    values = ar1(seed, 0.9, len(place), level=50) + 3 * np.sin(2 * np.pi * place) + weekly * weekday
    return Stretch(values, start_day * DAY, 1800.0)


def cut(whole: Stretch) -> tuple[Stretch, Stretch]:
    middle = len(whole.values) // 2
    first = Stretch(whole.values[:middle], whole.start_s, whole.step_s)
    return first, Stretch(whole.values[middle:], first.end_s, whole.step_s)


def test_two_days_are_refused_because_they_can_be_a_weekend():
    with pytest.raises(DataError, match=r"2 and 2 days .* or like a weekend"):
        same_hours(*cut(days_of(1, 4, weekly=10, start_day=9)), True)
    alarms = [
        difference_of_series(*same_hours(*cut(days_of(seed, 6, 10, start)), True), 0.95).interval.excludes(0.0)
        for seed in range(5)
        for start in range(4, 11)
    ]
    assert np.mean(alarms) <= 0.1


@pytest.mark.parametrize("lost", ["first row", "last rows", "nightly backup", "a day and a half"])
def test_missing_rows_are_missing_and_cost_neither_a_week_nor_the_answer(lost: str):
    before, after = cut(days_of(2, 28))
    whole = difference_of_series(*same_hours(before, after, True), 0.95).interval
    values, start = before.values.copy(), before.start_s
    if lost == "first row":
        values, start = values[1:], start + 1800.0
    elif lost == "nightly backup":
        values[np.arange(len(values)) % 48 < 3] = np.nan
    elif lost == "a day and a half":
        values[100:172] = np.nan
    else:
        after = Stretch(after.values[:-4], after.start_s, 1800.0)
    ready = same_hours(Stretch(values, start, 1800.0), after, True)
    assert [len(side.values) for side in ready] == [14 * 48] * 2
    found = difference_of_series(*ready, 0.95).interval
    assert found.estimate == pytest.approx(whole.estimate, abs=0.25)
    assert 0.7 < (found.high - found.low) / (whole.high - whole.low) < 1.4


def test_a_gap_in_the_quiet_hours_of_one_side_does_not_raise_its_level():
    before, after = cut(days_of(3, 14))
    night = np.sin(2 * np.pi * np.arange(len(before.values)) / 48) < 0
    found = same_hours(Stretch(np.where(night, np.nan, before.values), 4 * DAY, 1800.0), after, True)
    assert np.nanmean(before.values[~night]) - before.values.mean() > 1.5
    assert np.nanmean(found[0].values) == pytest.approx(before.values.mean(), abs=0.3)


@pytest.mark.parametrize("days", [7, 14])
def test_a_week_that_both_sides_repeat_costs_no_width(days: int):
    def half(weekly: float) -> float:
        found = difference_of_series(*same_hours(*cut(days_of(5, 2 * days, weekly)), True), 0.95).interval
        assert not found.excludes(0.0)
        return (found.high - found.low) / 2

    assert half(10.0) < 2.5 * half(0.0)


def test_what_climbs_on_both_sides_repeats_no_week():
    climbing = Stretch(np.linspace(0, 1, 14 * 48) + ar1(1, 0.3, 14 * 48, sd=0.01), 4 * DAY, 1800.0)
    assert not same_week(*without_cycle(*cut(climbing)))
    assert same_week(*without_cycle(*cut(days_of(5, 14, 10.0))))
    assert not same_week(*without_cycle(*cut(days_of(5, 6, 10.0))))
    shares = [side.share for side in same_hours(*cut(days_of(5, 28, 10.0)), True)]
    assert shares == [0.75, 0.75]
    assert WEEK_S == 7 * DAY


def test_both_resolutions_of_one_server_can_be_compared_but_not_their_peaks():
    fine = ar1(1, 0.5, 3 * 1440)
    coarse = fine.reshape(-1, 30).mean(axis=1)
    before, after = Stretch(fine, 0.0, 60.0), Stretch(coarse + 5, 3 * DAY, 1800.0)
    found = difference_of_series(*same_hours(before, after, True), 0.95).interval
    assert found.low < 5 < found.high
    with pytest.raises(DataError, match="longer rows hide peaks"):
        difference_of_series(before, after, 0.95, "peak")


CONSTANT = np.full(100, 3.0)
MISTAKES = {
    "constant": (lambda: difference_of_series(*pair(CONSTANT, CONSTANT + 1), 0.95), "both sides are constant"),
    "one row": (lambda: difference_of_series(*pair(CONSTANT, CONSTANT[:1]), 0.95), "not enough data: .* 1 rows"),
    "all missing": (lambda: stretch([60.0, 120.0], [np.nan, np.nan], 60.0, "alpha"), "alpha: no row has a value"),
    "no rows": (lambda: stretch([], [], 60.0, "alpha"), "alpha: no rows"),
    "negative": (lambda: stretch([60.0, 120.0], [1.0, -5.0], 60.0, "RAM of alpha"), "RAM of alpha: row 1 is -5"),
    "overlap": (
        lambda: difference_of_series(Stretch(CONSTANT, 0.0, 60.0), Stretch(CONSTANT, 600.0, 60.0), 0.95),
        "the sides overlap by 5400 s",
    ),
    "mixed steps": (lambda: stretch([60.0, 1860.0], [1.0, 2.0], [60.0, 1800.0]), "different steps \\(60 s, 1800 s\\)"),
    "backwards": (lambda: stretch([120.0, 60.0], [1.0, 2.0], 60.0), "row 1 does not come a whole step"),
    "gaps": (
        lambda: level_of_series(Stretch(np.where(np.arange(100) < 59, np.nan, 1.0), 0, 60), 0.95),
        "59 % .*missing",
    ),
    "one day": (
        lambda: same_hours(*pair(ar1(1, 0.5, 1440), ar1(2, 0.5, 1440)), True),
        "1 and 1 days .* 3 whole days",
    ),
    "confidence": (lambda: difference_of_series(*pair(ar1(1, 0, 99), ar1(2, 0, 99)), 95), "confidence is 95"),
    "other rows": (
        lambda: work_difference(
            Stretch(CONSTANT, 0, 60), Stretch(CONSTANT, 60, 60), *[Stretch(CONSTANT, 6000, 60)] * 2, 0.95
        ),
        "not the same rows",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_a_sentence_and_not_a_number(mistake: str):
    ask, sentence = MISTAKES[mistake]
    with pytest.raises(DataError, match=sentence) as error:
        ask()
    assert "\n" not in str(error.value)


def test_a_gap_of_few_rows_changes_little():
    values = ar1(1, 0.5, 1000)
    whole = difference_of_series(*pair(values[:500], values[500:]), 0.95).interval
    holes = values.copy()
    holes[100:120] = np.nan
    found = difference_of_series(*pair(holes[:500], holes[500:]), 0.95).interval
    assert found.estimate == pytest.approx(whole.estimate, abs=0.1)
    assert 0.5 < (found.high - found.low) / (whole.high - whole.low) < 2


def test_one_constant_side_is_allowed_and_named():
    found = difference_of_series(*pair(CONSTANT, ar1(2, 0.5, 100)), 0.95)
    assert "one side is constant" in found.interval.method


def test_usual_methods_answer_the_same_question():
    sides = pair(ar1(1, 0.0, 500), ar1(2, 0.0, 500, level=21))
    for name, method in METHODS.items():
        interval = method(*sides, 0.95)
        assert interval.estimate == pytest.approx(1.0, abs=0.2), name
        assert interval.low < interval.estimate < interval.high


def test_closed_forms_agree_with_the_libraries_they_stand_for():
    from statsmodels.regression.linear_model import OLS

    before, after = pair(ar1(1, 0.6, 500), ar1(2, 0.4, 400, level=10))
    welch = ttest_ind(after.values, before.values, equal_var=False).confidence_interval(0.9)
    found = METHODS["welch"](before, after, 0.9)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high), rel=1e-9)
    values, step = np.concatenate([before.values, after.values]), np.repeat([0.0, 1.0], [500, 400])
    fit = OLS(values, np.column_stack([np.ones(900), step])).fit(
        cov_type="HAC", cov_kwds={"maxlags": int(4 * 9 ** (2 / 9)), "use_correction": True}, use_t=True
    )
    found = METHODS["hac"](before, after, 0.9)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int(alpha=0.1)[1]), rel=1e-9)


@pytest.mark.parametrize(("rows", "phi"), [(24, 0.5), (25, 0.9), (400, 0.0), (500, 0.6)])
def test_the_bootstrap_without_draws_is_that_of_many_draws(rows: int, phi: float):
    from arch.bootstrap import StationaryBootstrap, optimal_block_length

    values = ar1(1, phi, rows, level=30)
    block = block_length(values)
    assert block == max(1, round(float(optimal_block_length(values)["stationary"].iloc[0])))
    draws = StationaryBootstrap(block, values, seed=1).apply(np.mean, 2000)[:, 0]
    assert resampled_variance(values, block) == pytest.approx(draws.var(), rel=0.1)
    # Politis and Romano's sum, term by term
    apart, q = values - values.mean(), 1 - 1 / block
    lags = [np.dot(apart, np.roll(apart, -lag)) / rows for lag in range(rows)]
    weighted = sum((1 - lag / rows) * q**lag * lags[lag] for lag in range(1, rows))
    assert resampled_variance(values, block) == pytest.approx((lags[0] + 2 * weighted) / rows, rel=1e-12)


def test_negative_controls_widen_and_never_narrow():
    def interval(estimate: float) -> Interval:
        return Interval(estimate, estimate - 1, estimate + 1, 0.95, 24, None, "m")

    assert controls([interval(0.5)] * 19).widening is None
    calm = controls([interval(0.5)] * 40)
    assert (calm.alarms, calm.widening) == (0, 1.0)
    loud = controls([interval(0.5)] * 30 + [interval(3.0)] * 10)
    assert (loud.compared, loud.alarms, loud.share, loud.widening) == (40, 10, 0.25, 3.0)
    rng = np.random.default_rng(5)
    both = fit(Stretch(rng.normal(5, 1, 96), 0.0, 60.0), Stretch(rng.normal(6, 1, 96), 1e6, 60.0))
    plain, kept, wide = (
        item.difference(0.95).interval for item in (both, *(held(both, c, [], 0.95) for c in (calm, loud)))
    )
    assert kept == plain
    assert wide.estimate == plain.estimate
    assert wide.high - wide.low == pytest.approx(3 * (plain.high - plain.low))
    assert "widened 3 times" in wide.method


def test_what_restarts_change_reaches_every_answer_about_a_difference():
    rng = np.random.default_rng(6)
    both = fit(Stretch(rng.normal(5, 0.1, 96), 0.0, 60.0), Stretch(rng.normal(5.3, 0.1, 96), 1e6, 60.0))
    assert both.difference(0.95).interval.excludes(0.0)
    assert both.ratio(0.95).excludes(0.0)
    wide = held(both, None, [0.2, -0.3, 0.25], 0.95)
    assert not wide.difference(0.95).interval.excludes(0.0)
    assert not wide.ratio(0.95).excludes(0.0)
    assert wide.share_below(1.0) > 0.025
    assert wide.difference(0.95).interval.df == 3
    same = held(both, None, [0.001, 0.001], 0.95)
    assert same.difference(0.95).interval.high == both.difference(0.95).interval.high


def test_cuts_of_one_side_share_no_row():
    side = Stretch(np.arange(100.0), 1000.0, 10.0)
    found = list(cuts(side, 24))
    assert len(found) == 2
    rows = np.concatenate([part.values for both in found for part in both])
    assert len(set(rows)) == len(rows) == 96
    assert found[1][0].start_s == 1000.0 + 48 * 10


@pytest.fixture(scope="module")
def calibration() -> dict:
    return json.loads(CALIBRATION.read_text())


def test_the_calibration_that_the_report_shows_keeps_the_promise(calibration):
    answered = [c for c in calibration["cells"] if c["covered"]["series"] is not None]
    covered = {(c["kind"], c["process"], c["phi"], c["rows"], c["daily"]): c["covered"]["series"] for c in answered}
    assert min(c["series"] for c in calibration["cells"]) >= 2000
    assert min(covered.values()) >= 0.93, min(covered, key=covered.get)
    assert np.mean([value for key, value in covered.items() if key[0] == "grid"]) <= 0.985
    assert len([key for key in covered if key[0] == "grid"]) == 24
    for c in answered:
        if c["width_of_reml"] and c["rows"] >= 1440 and c["phi"] <= 0.9:
            assert c["width_of_reml"] <= (1.4 if c["phi"] <= 0.5 else 1.5), c
    one_day = [c for c in calibration["cells"] if c["daily"] and c["rows"] in (70, 1440)]
    assert {c["refused"] for c in one_day} == {1.0}


def test_the_calibration_on_untouched_servers_keeps_the_promise(calibration):
    # July has long stretches without gaps of a few servers only: 26 at 14 days a side
    august = [r for r in calibration["placebo"] if r["compared"] > 1000]
    assert len(august) >= 8
    for row in august:
        assert row["alarms"]["series"] <= (0.07 if row["metric"] == "cpu_percent" else 0.10), row
        assert row["alarms"]["series_and_halves"] <= 0.06
        assert row["alarms"]["welch"] > 0.25


def test_what_a_user_receives_keeps_the_promise(calibration):
    """Through recordings, cleaning and comparison: both months together, by metric and length."""
    for metric, most in (("cpu", 0.07), ("mem_displayed", 0.10)):
        for days in (3.5, 7.0, 14.0):
            rows = [r for r in calibration["received"] if (r["metric"], r["days"]) == (metric, days)]
            answered = [r["pairs"] * (1 - r["refused"]) for r in rows]
            alarms = {
                name: np.average([r["alarms"][name] for r in rows], weights=answered) for name in rows[0]["alarms"]
            }
            assert len(rows) == 2
            assert 1 - sum(answered) / sum(r["pairs"] for r in rows) <= 0.05
            assert alarms["received"] <= most
            assert alarms["bound"] <= 0.06
            assert alarms["robust"] <= 0.03
            shown = [np.average([r["power"]["0.88"][name] for r in rows]) for name in ("received", "estimator")]
            assert shown[0] >= shown[1] - 0.05
    assert {r["refused"] for r in calibration["received"] if r["days"] < 3} == {1.0}


def test_the_page_of_the_calibration_is_that_of_its_numbers(calibration):
    page = (CALIBRATION.parents[3] / "docs/calibration.md").read_text()
    row = next(c for c in calibration["cells"] if (c["kind"], c["rows"], c["phi"]) == ("grid", 336, 0.9))
    found = re.search(r"\| 336 \| 0\.9 \| ([\d.]+) \|", page)
    assert found is not None
    assert float(found[1]) == pytest.approx(100 * row["covered"]["series"], abs=0.05)
