"""Specification curves: every way to calculate an effect that keeps the promise, and how many of them agree."""

import numpy as np
import pandas as pd
import pytest

from synthetic import boot
from virtio_study.analysis.arms import Arm, arm_of
from virtio_study.analysis.multiverse import START_UPS, agreement, specifications, usual_answers
from virtio_study.cleaning.transients import label_periods
from virtio_study.stats.effects import difference
from virtio_study.stats.rounding import significant
from virtio_study.stats.series import difference_of_series


def side(seed: int, boots: int, cpu: float, day: str = "2026-01-01") -> Arm:
    rng = np.random.default_rng(seed)
    frames = [boot(rng, cpu=cpu, start=day).assign(replicate=f"boot-{n:02d}") for n in range(boots)]
    return arm_of("versat", "emulated", label_periods(pd.concat(frames, ignore_index=True)))


@pytest.fixture(scope="module")
def both() -> tuple[Arm, Arm]:
    return side(1, 6, 0.30), side(2, 6, 0.20)


def test_every_choice_is_tried_once_and_sorted(both):
    found = specifications(*both, "cpu_cores", 0.95, True)
    assert len(found) == 3 * 3 * 2 * 2
    keys = [(s.start_up, s.statistic, s.rows_averaged, s.method) for s in found]
    assert len(set(keys)) == len(keys)
    assert {s.start_up for s in found} == set(START_UPS)
    assert [s.estimate for s in found] == sorted(s.estimate for s in found)


def test_the_main_choice_is_among_them_to_the_last_declared_digit(both):
    levels = [[level.mean for level in arm.levels("cpu_cores")] for arm in both]
    main = difference(*levels, 0.95)
    found = specifications(*both, "cpu_cores", 0.95, True)
    same = [
        s
        for s in found
        if (s.start_up, s.statistic, s.rows_averaged, s.method) == ("found", "mean", 1, "Welch over boots")
    ]
    assert [(s.estimate, s.low, s.high) for s in same] == [
        tuple(map(significant, (main.estimate, main.low, main.high)))
    ]


def test_agreement_counts_signs_and_conclusions(both):
    found = specifications(*both, "cpu_cores", 0.95, True)
    levels = [[level.mean for level in arm.levels("cpu_cores")] for arm in both]
    summary = agreement(found, difference(*levels, 0.95))
    signs = np.mean([s.estimate < 0 for s in found])
    concluded = np.mean([s.high < 0 for s in found if s.high is not None])
    assert summary.same_sign == pytest.approx(signs)
    assert summary.same_conclusion == pytest.approx(concluded)
    # means and medians agree; the peak of a start-up left in is the same one core on both sides, and says nothing
    assert 0.5 < summary.same_conclusion < 1


def test_one_recording_a_side_tries_interval_methods_and_the_daily_cycle():
    before, after = side(1, 1, 0.30), side(2, 1, 0.20, day="2026-01-02")
    found = specifications(before, after, "cpu_cores", 0.95, False)
    assert {s.method for s in found if s.statistic == "mean"} == {"series", "halves"}
    assert {s.daily_cycle for s in found} == {"-"}
    # two minutes of a server with days: there is no way at all
    assert specifications(before, after, "cpu_cores", 0.95, True) == []


def test_excluded_rows_are_never_taken_back(both):
    before, after = both
    rows = pd.concat([boot.rows for boot in after.boots], ignore_index=True)
    rows.loc[rows.index[-5:], ["period", "reason"]] = ["excluded", "gap"]
    rows.loc[rows.index[-5:], "cpu_cores"] = 1e6
    changed = arm_of("versat", "virtio", rows)
    assert max(abs(s.estimate) for s in specifications(before, changed, "cpu_cores", 0.95, True)) < 2


def test_gaps_do_not_take_the_averaged_ways_away():
    arms = []
    for day, missing in (("2026-01-01", [200, 301]), ("2026-01-02", [])):
        rows = boot(np.random.default_rng(1), start=day).iloc[10:].reset_index(drop=True)
        rows = pd.concat([rows] * 6, ignore_index=True).assign(replicate="boot-01", period="steady", reason="")
        rows["time"] = pd.date_range(day, periods=len(rows), freq="2s", tz="UTC")
        rows["cpu_cores"] += np.random.default_rng(len(missing)).normal(0, 0.02, len(rows))
        arms.append(arm_of("versat", "emulated", rows.drop(index=missing)))
    found = specifications(*arms, "cpu_cores", 0.95, False)
    assert {s.rows_averaged for s in found} == {1, 5}
    assert {s.start_up for s in found} == {"found"}, "nothing started: there is one rule"


def test_usual_methods_stand_apart_and_are_not_counted():
    stretches = [
        arm.boots[0].stretch("cpu_cores", "a side") for arm in (side(1, 1, 0.3), side(2, 1, 0.2, "2026-01-02"))
    ]
    usual = usual_answers((stretches[0], stretches[1]), 0.95)
    assert [way.method for way in usual] == ["welch", "hac", "bootstrap"]
    ways = specifications(side(1, 1, 0.3), side(2, 1, 0.2, "2026-01-02"), "cpu_cores", 0.95, False)
    main = difference_of_series(*stretches, 0.95).interval
    summary = agreement(ways, main, usual)
    assert summary.usual == tuple(usual)
    assert summary.count == len(ways) == len(agreement(ways, main).specifications)
