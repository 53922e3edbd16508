"""How much to record: plans that come true in simulation, and a refusal where there is nothing to plan with."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from synthetic import make_study
from virtio_study.cli.main import cli
from virtio_study.errors import DataError
from virtio_study.stats.effects import difference
from virtio_study.stats.planning import detectable, enough, plan_boots, plan_days
from virtio_study.stats.stretch import Stretch


def test_the_power_that_a_plan_of_boots_promises_is_the_power_that_studies_have():
    pilot = [9.0, 10.0, 11.0, 9.5, 10.5]
    level, sd = np.mean(pilot), np.std(pilot, ddof=1)
    (plan,) = plan_boots(pilot, [6], 0.15, 0.95)
    rng = np.random.default_rng(1)
    shown = [
        difference(rng.normal(level, sd, 6), rng.normal(level * 0.85, sd, 6), 0.95).excludes(0.0) for _ in range(3000)
    ]
    assert plan.power == pytest.approx(np.mean(shown), abs=0.03)
    halves = []
    for _ in range(1000):
        found = difference(rng.normal(level, sd, 6), rng.normal(level, sd, 6), 0.95)
        halves.append((found.high - found.low) / 2)
    assert plan.half_width == pytest.approx(np.mean(halves), rel=0.1)


def test_what_a_study_could_have_detected_is_detected_in_four_of_five():
    rng = np.random.default_rng(2)
    before, after = rng.normal(10, 1, 8), rng.normal(10, 1, 8)
    least = detectable(before, after, 0.95)
    sd = np.sqrt((before.var(ddof=1) + after.var(ddof=1)) / 2)
    shown = [difference(rng.normal(10, sd, 8), rng.normal(10 - least, sd, 8), 0.95).excludes(0.0) for _ in range(3000)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.04)


def test_more_boots_buy_precision_and_the_least_that_is_enough_is_named():
    plans = plan_boots([9.0, 10.0, 11.0, 9.5, 10.5], [3, 6, 12, 24], 0.15, 0.95)
    assert [p.half_width for p in plans] == sorted((p.half_width for p in plans), reverse=True)
    assert enough(plans).amount == min(p.amount for p in plans if p.power >= 0.8)
    assert enough(plan_boots([1.0, 10.0, 100.0], [2, 3], 0.01, 0.95)) is None


def test_more_days_of_one_before_and_after_do_not_narrow_it():
    rng = np.random.default_rng(3)
    pilot = Stretch(10 + rng.normal(size=8 * 48) + np.repeat(rng.normal(size=8), 48), 0.0, 1800.0)
    three, four, twenty_eight = plan_days(pilot, [3, 4, 28], 0.3, 0.95)
    assert twenty_eight.half_width == pytest.approx(four.half_width * 7**0.2)
    assert three.half_width > 0


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: plan_days(Stretch(np.ones(3 * 48), 0.0, 1800.0), [7], 0.3, 0.95), "the pilot has 3 whole days"),
        (lambda: plan_boots([1.0, 2.0], [5], 0.3, 0.95), "at least 3 are needed"),
        (lambda: plan_boots([1.0, 1.0, 1.0], [5], 0.3, 0.95), "nothing to plan with"),
        (lambda: plan_boots([1.0, 2.0, 3.0], [5], 30, 0.95), "expected a share between 0 and 1"),
        (lambda: plan_boots([1.0, 2.0, 3.0], [1], 0.3, 0.95), "at least two"),
    ],
)
def test_nothing_to_plan_with_is_said(ask, sentence):
    with pytest.raises(DataError, match=sentence):
        ask()


def test_the_command_shows_a_curve_and_numbers(tmp_path):
    study = make_study(tmp_path, boots=5)
    arguments = ["plan", str(study.folder), "--server", "versat", "--metric", "mem_host", "--drop", "0.05"]
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 0, shown.output
    assert "boots a side" in shown.output
    assert "#" in shown.output
    found = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).output)
    assert found["unit"] == "boots"
    assert f"{found['enough']} boots a side are enough" in shown.output
