"""Published reference values of the methods and libraries that the package stands on, to their printed digits."""

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length

from virtio_study.stats.effects import difference
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch
from virtio_study.stats.student import t_quantile


def nile() -> tuple[np.ndarray, np.ndarray]:
    """Annual flow at Aswan 1871 to 1970, either side of 1899 (Cobb 1978; Durbin & Koopman 2012)."""
    from statsmodels.datasets import nile

    data = nile.load_pandas().data
    volume, year = data["volume"].to_numpy(), data["year"].to_numpy()
    return volume[year < 1899], volume[year >= 1899]


def test_nile_before_and_after_the_dam():
    before, after = nile()
    assert (len(before), len(after)) == (28, 72)
    assert before.mean() == pytest.approx(1097.75)
    assert after.mean() == pytest.approx(849.972222, abs=5e-7)
    welch = difference(before, after, 0.95)
    assert welch.estimate == pytest.approx(-247.778, abs=5e-4)
    assert (welch.low, welch.high) == pytest.approx((-307, -188.5), abs=0.6)


def test_nile_by_the_rule_for_single_recordings():
    before, after = nile()
    year = 365.25 * 86_400
    sides = Stretch(before, 0.0, year), Stretch(after, year * len(before), year)
    found = difference_of_series(*sides, 0.95).interval
    # wider than Welch's on independent years, and still far from zero
    assert -340 < found.low < -307
    assert -188 < found.high < -150


def test_block_lengths_of_politis_and_white_as_in_arch():
    state = np.random.RandomState(0)
    noise = state.standard_normal(10_100)
    series = np.zeros_like(noise)
    for t in range(1, len(series)):
        series[t] = 0.3 * series[t - 1] + noise[t]
    lengths = optimal_block_length(series[100:]).iloc[0]
    assert lengths["stationary"] == pytest.approx(13.635665, rel=1e-4)
    assert lengths["circular"] == pytest.approx(15.60894, rel=1e-4)


def test_nist_longley_by_least_squares():
    """NIST StRD, Longley: certified b0, b1, their errors and the residual standard deviation."""
    from statsmodels.datasets import longley
    from statsmodels.regression.linear_model import OLS

    data = longley.load_pandas()
    exog = np.column_stack([np.ones(len(data.endog)), data.exog.to_numpy()])
    fit = OLS(data.endog.to_numpy(), exog).fit()
    assert fit.params[:2] == pytest.approx([-3482258.63459582, 15.0618722713733], rel=1e-8)
    assert fit.bse[0] == pytest.approx(890420.383607373, rel=1e-8)
    assert np.sqrt(fit.scale) == pytest.approx(304.854073561965, rel=1e-9)


def test_autoregressive_errors_of_statsmodels_against_gretl():
    from statsmodels.datasets import macrodata
    from statsmodels.regression.linear_model import GLSAR

    data = macrodata.load_pandas().data
    invest = 400 * np.diff(np.log(data["realinv"].to_numpy()))
    product = 400 * np.diff(np.log(data["realgdp"].to_numpy()))
    rate = data["realint"].to_numpy()[:-1]
    # gretl's own coefficient of the errors, as in statsmodels' tests
    fit = GLSAR(invest, np.column_stack([np.ones_like(product), product, rate]), rho=-0.108136).fit()
    assert fit.params == pytest.approx([-9.50990, 4.37040, -0.579253], rel=2e-5)
    assert fit.bse == pytest.approx([0.990456, 0.208146, 0.268009], rel=2e-4)


@pytest.mark.parametrize(("df", "confidence", "value"), [(1, 0.95, 12.706), (11, 0.95, 2.201), (30, 0.9, 1.697)])
def test_students_t_as_in_the_tables(df, confidence, value):
    assert t_quantile(df, confidence) == pytest.approx(value, abs=5e-4)
