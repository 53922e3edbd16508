"""Student's t and mixtures of it, held against scipy."""

import numpy as np
import pytest
from scipy.special import stdtr, stdtrit
from scipy.stats import t as student

from virtio_study.errors import DataError
from virtio_study.stats.mixture import distances, mixture_cdfs, mixture_quantiles
from virtio_study.stats.student import t_cdf, t_quantile, t_tail

RNG = np.random.default_rng(6)


@pytest.mark.parametrize(("fewest", "most"), [(1, 3), (3, 30), (30, 1000), (1000, 1e5)])
def test_tails_and_densities(fewest: float, most: float) -> None:
    df, t = RNG.uniform(fewest, most, 500), np.exp(RNG.uniform(-8, 3, 500))
    tail, density = t_tail(df, t)
    assert tail == pytest.approx(stdtr(df, -t), rel=1e-9, abs=1e-290)
    assert density == pytest.approx(student.pdf(t, df), rel=1e-9, abs=1e-290)
    one_by_one = np.array([t_tail(float(d), float(x)) for d, x in zip(df, t, strict=True)])
    assert one_by_one[:, 0] == pytest.approx(tail, rel=1e-13)
    assert one_by_one[:, 1] == pytest.approx(density, rel=1e-13)


def test_the_distribution_is_symmetric_and_ends_at_one() -> None:
    t = np.array([-1e300, -2.0, 0.0, 2.0, 1e300])
    below = t_cdf(np.full(5, 7.5), t)
    assert below == pytest.approx(stdtr(7.5, t), abs=1e-14)
    assert [t_cdf(7.5, float(x)) for x in t] == pytest.approx(below, abs=1e-15)


@pytest.mark.parametrize("confidence", [0.51, 0.6, 0.8, 0.95, 0.99, 0.9999])
@pytest.mark.parametrize("df", [1, 1.3, 2, 7.77, 22, 400, 1e5])
def test_quantiles(df: float, confidence: float) -> None:
    assert t_quantile(df, confidence) == pytest.approx(stdtrit(df, (1 + confidence) / 2), rel=1e-9)


def test_a_confidence_that_is_none_is_refused() -> None:
    for confidence in (0.5, 1.0, 95):
        with pytest.raises(DataError, match=f"confidence is {confidence:g}; expected a share"):
            t_quantile(5, confidence)


@pytest.mark.parametrize("parts", [1, 2, 80])
def test_quantiles_of_mixtures_leave_what_was_asked_for_outside(parts: int) -> None:
    shape = (5, parts)
    weight, error = RNG.dirichlet(np.ones(parts), 5), np.exp(RNG.normal(0, 3, shape))
    df = RNG.uniform(2, 22, shape)
    for confidence in (0.6, 0.95, 0.999):
        values = mixture_quantiles(weight, error, df, confidence)
        below = mixture_cdfs(weight, df, values[:, None] / error)
        assert below == pytest.approx(np.full(5, (1 + confidence) / 2), abs=1e-11)
    exact = (weight * stdtr(df, 1.5 / error)).sum(axis=1)
    assert mixture_cdfs(weight, df, 1.5 / error) == pytest.approx(exact, rel=1e-12)


def test_a_distance_is_found_where_secants_alone_would_run_away() -> None:
    def tails(distance: np.ndarray) -> np.ndarray:
        tail = 0.5 / (1 + distance**9)
        return np.array([tail, tail])  # a slope nine times too small far out

    found = distances(tails, np.array([1e-6, 0.1, 1.0, 1e6]), 0.025)
    assert found == pytest.approx(np.full(4, 19 ** (1 / 9)), rel=1e-9)
