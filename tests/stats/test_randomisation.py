"""The randomisation test against a count of every assignment, scipy, and its own promise of coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, wilcoxon

from virtio_study.errors import DataError
from virtio_study.stats import randomisation
from virtio_study.stats.assignments import assignments
from virtio_study.stats.randomisation import Contrasts, enough_draws, joined, null_distribution, of_pairs, of_turns

PAIRS = 8
ALL = assignments([block // 2 for block in range(2 * PAIRS)], 2, draws=1, seed=0)
TURNS = assignments(list(range(10)), 2, draws=1, seed=0)


def wandering(blocks: int, seed: int = 3) -> np.ndarray:
    """Levels of a server that nobody touches: a walk, a drift and a cycle, far from independent."""
    rng = np.random.default_rng(seed)
    order = np.arange(blocks)
    return np.exp(0.3 * np.cumsum(rng.normal(size=blocks)) + 0.1 * order + 0.5 * np.sin(order))


def pairs_of(levels: np.ndarray, after: np.ndarray) -> Contrasts:
    late = after.astype(bool)
    return of_pairs(levels[~late], levels[late])


def test_the_p_value_is_the_share_of_all_assignments_of_the_law_that_are_as_extreme() -> None:
    assert ALL.complete
    assert len(ALL.each) == 2**PAIRS
    levels = wandering(2 * PAIRS)
    changes = np.array([levels[each == 1] - levels[each == 0] for each in ALL.each])
    ranks = np.apply_along_axis(lambda row: rankdata(np.abs(row)) @ (row > 0), 1, changes)
    extreme = np.maximum(ranks, PAIRS * (PAIRS + 1) / 2 - ranks)
    for number in (0, 17, 200):
        expected = np.mean(extreme >= extreme[number])
        assert pairs_of(levels, ALL.each[number]).p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_over_all_assignments_false_alarms_are_at_most_nominal_whatever_the_levels_do(alpha: float) -> None:
    levels = wandering(2 * PAIRS)
    found = [pairs_of(levels, each).p for each in ALL.each]
    assert 0.6 * alpha <= np.mean(np.array(found) <= alpha) <= alpha
    blocks = wandering(10)
    turns = [of_turns(blocks, each.astype(bool)).p for each in TURNS.each]
    assert 0.4 * alpha <= np.mean(np.array(turns) <= alpha) <= alpha


def test_over_all_assignments_the_intervals_cover_a_relative_and_an_additive_effect_as_promised() -> None:
    levels = wandering(2 * PAIRS)
    relative = [pairs_of(levels * np.where(each == 1, 0.6, 1.0), each).relative(0.9) for each in ALL.each]
    assert 0.9 <= np.mean([found.low <= -0.4 <= found.high for found in relative if found]) <= 0.96
    added = [pairs_of(levels + 2.5 * each, each).difference(0.9) for each in ALL.each]
    assert 0.9 <= np.mean([found.low <= 2.5 <= found.high for found in added]) <= 0.96


def test_it_is_wilcoxons_test_of_differences_and_its_limits_are_hodges_and_lehmanns() -> None:
    rng = np.random.default_rng(4)
    before = np.exp(rng.normal(size=15))
    after = before * 0.7 * np.exp(0.3 * rng.normal(size=15))
    found = of_pairs(before, after)
    assert found.p == pytest.approx(wilcoxon(after - before, method="exact").pvalue, abs=1e-12)
    both = [(i, j) for i in range(15) for j in range(i, 15)]
    walsh = np.sort([(after[i] + after[j] - before[i] - before[j]) / 2 for i, j in both])
    # 25 is the critical value of 15 pairs in every table of Wilcoxon's two-sided test at 0.05
    difference = found.difference(0.95)
    assert [difference.estimate, difference.low, difference.high] == pytest.approx(
        [np.median(walsh), walsh[25], walsh[-26]]
    )
    ratios = np.sort([(after[i] + after[j]) / (before[i] + before[j]) for i, j in both]) - 1
    relative = found.relative(0.95)
    assert relative is not None
    assert [relative.estimate, relative.low, relative.high] == pytest.approx(
        [np.median(ratios), ratios[25], ratios[-26]]
    )


def test_a_fall_of_the_busy_blocks_is_shown_whatever_idle_ones_do() -> None:
    busy, idle = np.linspace(2.0, 3.0, 8), np.full(3, 0.01)
    before, after = np.concatenate([busy, idle]), np.concatenate([0.5 * busy, 10 * idle])
    assert of_pairs(before, after).p < 0.05 < wilcoxon(np.log(after / before), method="exact").pvalue


@given(st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4)), min_size=6, max_size=12))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_the_test_and_both_intervals_say_the_same_of_no_effect(pairs: list[tuple[float, float]]) -> None:
    rounded = np.round(np.array(pairs), 2)
    found = of_pairs(rounded[:, 0], rounded[:, 1])
    shown = found.p <= 1 - 0.95
    try:
        assert found.difference(0.95).excludes(0.0) == shown
    except DataError:
        assert not shown
    relative = found.relative(0.95)
    if relative is not None:
        assert relative.excludes(0.0) == shown


def test_the_limits_are_where_the_test_of_levels_without_the_effect_turns() -> None:
    rng = np.random.default_rng(5)
    before = rng.uniform(0.2, 1.0, 9)
    after = before * 0.5 + rng.uniform(0, 0.1, 9)
    found = of_pairs(before, after).difference(0.95)
    for limit, inside in ((found.low, 1e-9), (found.high, -1e-9)):
        assert of_pairs(before, after - (limit + inside)).p > 0.05
        assert of_pairs(before, after - (limit - inside)).p <= 0.05
    relative = of_pairs(before, after).relative(0.95)
    assert relative is not None
    assert of_pairs(before, after / (1 + relative.low + 1e-9)).p > 0.05
    assert of_pairs(before, after / (1 + relative.low - 1e-9)).p <= 0.05


def test_single_draws_find_an_effect_in_spite_of_a_drift_and_runs_of_the_same_configuration() -> None:
    rng = np.random.default_rng(6)
    after = rng.random(60) < 0.5
    levels = np.exp(np.linspace(0, 3, 60) + 0.05 * rng.normal(size=60)) * np.where(after, 0.7, 1.0)
    relative = of_turns(levels, after).relative(0.95)
    assert relative is not None
    assert relative.low < -0.3 < relative.high
    assert relative.high - relative.low < 0.15
    linear = of_turns(np.linspace(10, 20, 60) + 3.0 * after + 0.1 * rng.normal(size=60), after).difference(0.95)
    assert linear.low < 3.0 < linear.high
    assert linear.high - linear.low < 0.5


def test_at_equal_load_less_is_left_to_chance_and_the_test_stays_exact() -> None:
    rng = np.random.default_rng(7)
    load = np.exp(rng.normal(size=2 * PAIRS))
    levels = load**0.8 * np.exp(0.05 * rng.normal(size=2 * PAIRS))
    false = [pairs_of(levels, each).at_equal_load(pairs_of(load, each)).p for each in ALL.each]
    assert np.mean(np.array(false) <= 0.05) <= 0.05
    each = ALL.each[90]
    fallen = pairs_of(levels * np.where(each == 1, 0.7, 1.0), each)
    assert fallen.p > 0.05
    adjusted = fallen.at_equal_load(pairs_of(load, each))
    assert adjusted.p <= 0.05
    relative = adjusted.relative(0.95)
    assert relative is not None
    assert relative.low < -0.3 < relative.high
    assert fallen.at_equal_load(pairs_of(np.ones(2 * PAIRS), each)).p == fallen.p


def test_servers_with_draws_of_their_own_show_together_what_none_shows_alone() -> None:
    servers = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        servers.append(of_pairs(np.exp(rng.normal(size=5)), 0.4 * np.exp(0.7 * rng.normal(size=5))))
    assert min(server.p for server in servers) > 0.05
    together = joined(servers)
    assert together.draws == 20
    assert together.p <= 0.05
    with pytest.raises(DataError, match="no server"):
        joined([])


def test_too_few_draws_have_a_p_value_and_no_interval_and_the_error_says_how_many_it_takes() -> None:
    found = of_pairs([1.0, 2.0, 3.0], [0.5, 1.1, 1.2])
    assert found.p == found.least_p == 0.25
    with pytest.raises(DataError, match=r"3 random draws .* an interval of 95 % needs 6 at least"):
        found.difference(0.95)
    assert [enough_draws(confidence) for confidence in (0.9, 0.95, 0.99)] == [5, 6, 8]


def test_idle_blocks_show_nothing_and_blocks_that_stop_being_idle_have_no_relative_effect() -> None:
    idle = of_pairs(np.zeros(8), np.zeros(8))
    assert idle.p == 1.0
    assert idle.relative(0.95) is None
    woken = of_pairs(np.zeros(8), np.linspace(1, 2, 8))
    assert woken.p == 2 / 2**8
    assert woken.relative(0.95) is None
    assert woken.difference(0.95).low > 0.9


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: of_pairs([1.0], [1.0, 2.0]), "1 levels before and 2 after"),
        (lambda: of_pairs([], []), "one level a block"),
        (lambda: of_pairs([1.0, np.nan], [1.0, 2.0]), "block 2 has the level nan"),
        (lambda: of_turns([1.0, -2.0], [True, False]), "block 2 has the level .2"),
        (lambda: of_turns([1.0], [True]), "1 levels and 1 configurations"),
    ],
)
def test_wrong_levels_are_refused_by_name(make: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make()  # type: ignore[operator]


def test_the_distribution_for_the_figure_is_whole_symmetric_and_that_of_the_test() -> None:
    shown = null_distribution(12)
    assert len(shown) == randomisation.BINS
    assert sum(probability for _, probability in shown) == pytest.approx(1.0, abs=1e-12)
    assert [middle for middle, _ in null_distribution(3)] == pytest.approx(np.arange(7) / 6)
    assert [probability for _, probability in null_distribution(3)] == [0.125, 0.125, 0.125, 0.25, 0.125, 0.125, 0.125]
