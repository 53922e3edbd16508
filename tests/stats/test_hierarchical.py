"""Variance by level: published worked examples, recovered components, and crossovers whose intervals hold."""

import numpy as np
import pytest

from virtio_study.errors import DataError
from virtio_study.stats.blocks import Blocks, crossover
from virtio_study.stats.effects import difference
from virtio_study.stats.hierarchical import (
    mixed_model_difference,
    optimal_repetitions,
    restart_interval,
    two_levels,
    variance_components,
)
from virtio_study.stats.stretch import batch


def boots(rng: np.random.Generator, count: int, level: float, between: float, within: float = 1.0) -> list[np.ndarray]:
    return [level + rng.normal(0, between) + rng.normal(0, within, 120) for _ in range(count)]


def test_kalibera_and_jones_worked_example_of_three_levels():
    values = [[[9, 5], [8, 3]], [[10, 6], [7, 11]], [[1, 12], [2, 4]]]
    assert np.mean(values) == 6.5
    biased, unbiased = variance_components(values)
    assert np.round(biased, 1).tolist() == [3.6, 2.6, 16.5]
    assert np.round(unbiased, 1).tolist() == [2.3, -5.7, 16.5] or np.round(unbiased, 1).tolist() == [2.3, -5.6, 16.5]
    biased, unbiased = variance_components(np.reshape(values, (3, 4)))
    assert np.round(biased, 1).tolist() == [3.6, 12.7]
    assert np.round(unbiased, 1).tolist() == [0.4, 12.7]


def test_kalibera_and_jones_optimal_repetitions():
    values = [[[3, 4, 3], [1.2, 3.1, 3]], [[0.2, 1, 1.5], [1, 2, 3]]]
    _, unbiased = variance_components(values)
    assert unbiased[::-1] == pytest.approx([0.7266667, 0.262777778, 0.7747], rel=1e-4)
    assert optimal_repetitions((100, 20, 3), unbiased) == [2, 5]
    with pytest.raises(DataError, match="above 0"):
        optimal_repetitions((100, 20), (1.0, -0.2))


def test_the_two_levels_are_recovered():
    rng = np.random.default_rng(1)
    found = two_levels(boots(rng, 200, 10, between=0.5))
    assert found.between == pytest.approx(0.25, rel=0.25)
    assert found.within == pytest.approx(1 / 120, rel=0.1)
    assert found.within_share < 0.1
    same = two_levels(boots(rng, 200, 10, between=0.0))
    assert same.within_share > 0.7
    with pytest.raises(DataError, match="two boots of 24 rows"):
        two_levels([np.ones(100)])


@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_a_crossover_holds_under_slow_drift(pairs: int):
    inside, pooled = [], []
    for seed in range(400):
        rng = np.random.default_rng([pairs, seed])
        after = [False, True] * pairs
        levels = 10 + 0.3 * np.arange(2 * pairs) + 2.0 * np.array(after) + rng.normal(0, 0.7, 2 * pairs)
        inside.append(not crossover(levels, after, 0.95).effect.excludes(2.0))
        rows = [level + rng.normal(0, 1, 60) for level in levels]
        before_rows, after_rows = np.concatenate(rows[::2]), np.concatenate(rows[1::2])
        pooled.append(not difference(before_rows, after_rows, 0.95).excludes(2.0))
    assert 0.93 - 0.03 < np.mean(inside) < 0.98
    assert np.mean(pooled) < 0.5  # rows taken for replicates


def test_a_crossover_is_least_squares():
    from statsmodels.regression.linear_model import OLS

    rng, after = np.random.default_rng(1), [False, False, True, False, True, True, True]
    levels = 10 + rng.normal(0, 1, 7)
    fitted = OLS(levels, np.column_stack([np.ones(7), np.array(after, float), np.arange(7)])).fit()
    found = crossover(levels, after, 0.9)
    for interval, column in ((found.effect, 1), (found.drift, 2)):
        assert interval.estimate == pytest.approx(fitted.params[column])
        assert (interval.low, interval.high) == pytest.approx(tuple(fitted.conf_int(alpha=0.1)[column]))


def test_blocks_take_out_what_their_boots_share_and_never_contradict_themselves():
    rng = np.random.default_rng(3)
    inside, shorter, contradictions = [], [], 0
    for _ in range(400):
        shared = 2.0 * np.cumsum(rng.normal(0, 1, 8))
        before, after = 50 + shared + rng.normal(0, 0.5, 8), 49 + shared + rng.normal(0, 0.5, 8)
        found = Blocks.of(before, after)
        interval, ratio = found.difference(0.95), found.ratio(0.95)
        assert ratio is not None
        inside.append(not interval.excludes(-1.0))
        welch = difference(before, after, 0.95)
        shorter.append((interval.high - interval.low) / (welch.high - welch.low))
        contradictions += interval.excludes(0.0) != ratio.excludes(0.0)
        assert found.share_below(1 + ratio.low) == pytest.approx(0.025, abs=1e-9)
        assert found.share_below(1 + ratio.high) == pytest.approx(0.975, abs=1e-9)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert np.median(shorter) < 0.35
    assert contradictions == 0


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ([1.0, 2.0], [2.0, 3.0], "three at least"),
        ([1.0, 2.0, 3.0], [2.0, 3.0], "as many before as after"),
        ([1.0, 2.0, np.nan], [2.0, 3.0, 4.0], "no finite level"),
        ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], "the same difference"),
    ],
)
def test_what_is_no_block_is_refused(before: list[float], after: list[float], sentence: str):
    with pytest.raises(DataError, match=sentence):
        Blocks.of(before, after)


def test_the_mixed_model_agrees_or_says_why_not():
    rng = np.random.default_rng(2)
    rows = [*boots(rng, 6, 10, 0.5), *boots(rng, 6, 12, 0.5)]
    after = [False] * 6 + [True] * 6
    found = mixed_model_difference(rows, after)
    means = [boot.mean() for boot in rows]
    assert found.estimate == pytest.approx(np.mean(means[6:]) - np.mean(means[:6]), rel=1e-6)
    welch = difference(means[:6], means[6:], 0.95)
    assert 2 * 1.96 * found.standard_error == pytest.approx(welch.high - welch.low, rel=0.3)
    from statsmodels.regression.mixed_linear_model import MixedLM

    batches = np.concatenate([batch(boot) for boot in rows])
    late, boot = np.repeat(np.array(after, dtype=float), 12), np.repeat(np.arange(12), 12)
    fit = MixedLM(batches, np.column_stack([np.ones(144), late]), boot).fit(reml=True)
    assert (found.estimate, found.standard_error) == pytest.approx((fit.params[1], fit.bse[1]), rel=1e-4)


def test_a_mixed_model_without_variance_between_boots_says_so():
    still = [np.tile([1.0, 2.0], 30)] * 4  # every boot the same
    flat = mixed_model_difference(still, [False, False, True, True])
    assert (flat.estimate, flat.standard_error) == (None, None)
    assert "no variance between boots" in flat.reason
    with pytest.raises(DataError, match="1 boots before and 3 after"):
        mixed_model_difference(still, [False, True, True, True])


def test_restarts_widen_and_never_narrow():
    effect = difference([10.0, 10.1, 9.9], [8.0, 8.1, 7.9], 0.95)
    wide = restart_interval(effect, [1.0, -1.2])
    assert wide.high - wide.low > effect.high - effect.low
    assert wide.estimate == effect.estimate
    calm = restart_interval(effect, [0.0, 0.0, 0.0])
    assert (calm.low, calm.high) == pytest.approx((effect.low, effect.high))
    with pytest.raises(DataError, match="at least one"):
        restart_interval(effect, [])


def test_too_few_boots_for_a_crossover():
    with pytest.raises(DataError, match="five in all"):
        crossover([1.0, 2.0, 3.0, 4.0], [False, True, False, True], 0.95)
