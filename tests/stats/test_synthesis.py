"""Several servers: the published example, coverage by simulation, and what two servers can say."""

import numpy as np
import pytest
from scipy.stats import norm

from virtio_study.errors import DataError
from virtio_study.stats.synthesis import false_discoveries, false_discoveries_within, synthesise

# BCG vaccine against tuberculosis, 13 trials (Colditz et al. 1994, JAMA 271, 698-702): cases and others of the
# vaccinated, then of the others
BCG = np.array(
    [
        [4, 119, 11, 128],
        [6, 300, 29, 274],
        [3, 228, 11, 209],
        [62, 13536, 248, 12619],
        [33, 5036, 47, 5761],
        [180, 1361, 372, 1079],
        [8, 2537, 10, 619],
        [505, 87886, 499, 87892],
        [29, 7470, 45, 7232],
        [17, 1699, 65, 1600],
        [186, 50448, 141, 27197],
        [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ],
    dtype=float,
)


def bcg() -> tuple[np.ndarray, np.ndarray]:
    ill, well, ill_control, well_control = BCG.T
    effect = np.log(ill / (ill + well)) - np.log(ill_control / (ill_control + well_control))
    variance = 1 / ill - 1 / (ill + well) + 1 / ill_control - 1 / (ill_control + well_control)
    return effect, np.sqrt(variance)


def test_the_published_example_to_its_printed_digits():
    found = synthesise(*bcg(), 0.95)
    assert found.tau**2 == pytest.approx(0.318068, abs=5e-6)
    assert found.mean.estimate == pytest.approx(-0.714968, abs=5e-6)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    assert found.i2 == pytest.approx(0.92117, abs=5e-6)
    assert found.mean.low < -0.714968 < found.mean.high
    assert found.prediction is not None
    assert found.prediction.low < found.mean.low
    assert len(found.without) == 13


@pytest.mark.parametrize("servers", [2, 3, 8])
def test_it_is_what_statsmodels_finds_and_more_digits_of_it(servers: int):
    from statsmodels.stats.meta_analysis import combine_effects

    rng = np.random.default_rng(servers)
    effects, errors = rng.normal(0, 3, servers), rng.uniform(0.5, 1.5, servers)
    found = synthesise(effects, errors, 0.95)
    expected = combine_effects(effects, errors**2, method_re="iterated")
    assert found.tau**2 == pytest.approx(expected.tau2, rel=1e-4)
    assert found.mean.estimate == pytest.approx(expected.mean_effect_re, rel=1e-4)
    assert found.q == pytest.approx(expected.q, rel=1e-9)
    weights = 1 / (errors**2 + found.tau**2)
    squares = (weights * (effects - found.mean.estimate) ** 2).sum()
    assert squares == pytest.approx(servers - 1, rel=1e-12)  # Paule and Mandel's equation itself
    turned = synthesise(effects[::-1], errors[::-1], 0.95)
    assert (turned.mean, turned.tau, turned.q) == (found.mean, found.tau, found.q)


@pytest.mark.parametrize("servers", [2, 5, 10])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_coverage(servers: int, tau: float):
    rng = np.random.default_rng([servers, int(tau)])
    inside = []
    for _ in range(400):
        errors = rng.uniform(0.3, 1.5, servers)
        effects = 2.0 + rng.normal(0, tau, servers) + rng.normal(0, errors)
        found = synthesise(effects, errors, 0.95)
        assert found.tau >= 0
        assert np.isfinite([found.mean.low, found.mean.high]).all()
        inside.append(not found.mean.excludes(2.0))
    # two servers that agree by luck are held to their errors, which costs width and no promise
    assert 0.92 - 0.03 < np.mean(inside) <= (1.0 if servers == 2 else 0.99)


def test_two_servers_say_little_and_say_so():
    found = synthesise([-0.6, -0.4], [0.05, 0.05], 0.95)
    assert found.mean.df == 1
    assert found.mean.excludes(0.0) is False
    assert found.prediction is None
    assert found.without == ()


def test_the_trap_of_the_other_estimator_is_avoided():
    # DerSimonian and Laird without a floor gives tau2 = -0.247 here
    found = synthesise([0.10, 0.11, 0.12], np.sqrt([0.20, 0.30, 0.25]), 0.95)
    assert found.tau == 0
    assert found.mean.estimate == pytest.approx(0.1086, abs=1e-3)


def test_the_unit_does_not_matter():
    effects, errors = bcg()
    small, great = synthesise(effects, errors, 0.95), synthesise(effects * 2**30, errors * 2**30, 0.95)
    assert great.mean.low == pytest.approx(small.mean.low * 2**30, rel=1e-6)


@pytest.mark.parametrize(
    ("effects", "errors", "sentence"),
    [
        ([1.0], [1.0], "at least two"),
        ([1.0, 2.0], [1.0], "one of each a server"),
        ([1.0, np.nan], [1.0, 1.0], "server 1: effect nan"),
        ([1.0, 2.0], [1.0, 0.0], "an error above 0"),
    ],
)
def test_mistakes(effects, errors, sentence):
    with pytest.raises(DataError, match=sentence):
        synthesise(effects, errors, 0.95)


def test_false_discoveries_among_many_untouched_servers():
    rng = np.random.default_rng(4)
    any_shown = [any(false_discoveries(list(rng.uniform(size=50)), 0.05)) for _ in range(400)]
    assert np.mean(any_shown) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert false_discoveries([0.001, 0.011, 0.02, 0.9], 0.05) == [True, True, True, False]
    assert false_discoveries([], 0.05) == []
    with pytest.raises(DataError, match="between 0 and 1"):
        false_discoveries([1.5], 0.05)


def test_what_is_found_easily_in_one_family_lets_no_false_ones_through_in_another():
    rng = np.random.default_rng(19)
    families = ["memory"] * 200 + ["cpu"] * 200
    null = np.array(([True, False] * 100) + ([True, True, True, False] * 50))
    size = np.where(null, 0.0, np.array([9.0] * 200 + [2.0] * 200))

    def false_share(shown):
        of_cpu = np.array(shown)[200:]
        return (of_cpu & null[200:]).sum() / max(of_cpu.sum(), 1)

    together, within = [], []
    for _ in range(200):
        p = (2 * norm.sf(np.abs(size + rng.standard_normal(400)))).tolist()
        together.append(false_share(false_discoveries(p, 0.05)))
        within.append(false_share(false_discoveries_within(p, families, 0.05)))
    assert np.mean(together) > 0.08
    assert np.mean(within) < 0.05


def test_families_of_one_effect_are_as_if_there_were_none():
    p = [0.001, 0.011, 0.02, 0.9]
    assert false_discoveries_within(p, [*"abcd"], 0.05) == false_discoveries(p, 0.05) == [True, True, True, False]
    # of the family with something to show, half of the rate is left: one of two families is selected
    assert false_discoveries_within([0.01, 0.04, 0.5, 0.9], [*"aabb"], 0.05) == [True, False, False, False]
    assert false_discoveries_within([], [], 0.05) == []
