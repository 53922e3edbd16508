"""Sustained level and peak of each boot, and the level over boots."""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.stats.elementary import mean, variance
from virtio_study.stats.interval import Interval, sample
from virtio_study.stats.stretch import PEAK_QUANTILE, Stretch, stretch
from virtio_study.stats.student import t_quantile

__all__ = ["PEAK_QUANTILE", "boot_levels", "level_over_boots", "mean_change", "steady_stretch"]


def boot_levels(clean: pd.DataFrame, column: str, peak_quantile: float = PEAK_QUANTILE) -> pd.DataFrame:
    """Sustained level and peak of one column, boot by boot, over the rows of period `steady`.

    Parameters
    ----------
    clean : DataFrame, shape (rows, columns)
        With `replicate`, `period` and `column`; see `cleaning.label_periods`. A row without a value (NaN) is left out.
    column : str
        A number column, in its own unit, which the result keeps.
    peak_quantile : float
        Quantile of the steady rows, by numpy's method `higher`: always an observed row.

    Returns
    -------
    DataFrame, shape (boots, 5)
        `replicate`, `rows` (with a value), `mean`, `median`, `peak`; a boot without steady rows has 0 rows and NaN.

    Raises
    ------
    DataError
        If the column is missing, was measured in no boot, or holds a negative value.
    """
    for name in ("replicate", "period", column):
        if name not in clean.columns:
            raise DataError(N_("column {name!r} is missing; clean the recordings first (2_clean)"), name=name)
    if not 0 < peak_quantile <= 1:
        raise DataError(
            N_("the quantile of the peak is {peak_quantile:g}; expected more than 0 and at most 1"),
            peak_quantile=peak_quantile,
        )
    values = clean[column].astype("float64")
    if values.isna().all():
        raise DataError(
            N_("column {column!r} was not measured in any row; take it out of the study's metrics"), column=column
        )
    if (values < 0).any():
        row = int(np.flatnonzero(values < 0)[0])
        raise DataError(
            N_("row {row}, column {column!r} is {value:g}; it cannot be negative"),
            row=row,
            column=column,
            value=values.iloc[row],
        )
    steady = values.where(clean["period"] == "steady")
    rows = [
        _one_boot(str(replicate), np.asarray(boot, dtype=np.float64), peak_quantile)
        for replicate, boot in steady.groupby(clean["replicate"], sort=True)
    ]
    return pd.DataFrame(rows, columns=["replicate", "rows", "mean", "median", "peak"])


def _one_boot(replicate: str, values: NDArray[np.float64], quantile: float) -> tuple[str, int, float, float, float]:
    values = values[~np.isnan(values)]
    if not len(values):
        return replicate, 0, np.nan, np.nan, np.nan
    peak = float(np.quantile(values, quantile, method="higher"))
    return replicate, len(values), mean(values), float(np.median(values)), peak


def level_over_boots(means: ArrayLike, confidence: float) -> Interval:
    """Mean over boots with Student's t interval; the boot is the unit of replication, never the row.

    Parameters
    ----------
    means : array-like of float64, shape (boots,)
        One level a boot; NaN is refused.
    confidence : float
        Such as 0.95.

    Returns
    -------
    Interval
        Where all boots are equal to the last digit (an allocation, a set rate) its width is 0 and `method` says so.

    Raises
    ------
    DataError
        If there are fewer than two boots, or a value is NaN or negative.
    """
    side = sample(means, said(N_("level over boots")))
    critical = t_quantile(side.n - 1, confidence)
    half = critical * math.sqrt(side.variance_of_mean)
    method = "constant over boots: no spread to make an interval of" if side.constant else "Student t over boots"
    return Interval(side.mean, side.mean - half, side.mean + half, confidence, side.n, float(side.n - 1), method)


def mean_change(changes: ArrayLike, confidence: float) -> Interval:
    """Mean of changes, one a boot and of either sign, with Student's t interval.

    Raises
    ------
    DataError
        If there are fewer than two.
    """
    values = np.asarray(changes, dtype=np.float64)
    if len(values) < 2:
        raise DataError(N_("{count} boots with a change; at least two are needed for an interval"), count=len(values))
    middle, half = mean(values), t_quantile(len(values) - 1, confidence) * math.sqrt(variance(values) / len(values))
    return Interval(
        middle, middle - half, middle + half, confidence, len(values), float(len(values) - 1), "Student t over boots"
    )


def steady_stretch(clean: pd.DataFrame, column: str, name: str | Said) -> Stretch:
    """Steady rows of one recording on their regular grid; rows between them that may not be analysed are NaN.

    Parameters
    ----------
    clean : DataFrame, shape (rows, columns)
        Rows of one replicate, with `time`, `step_s`, `period` and `column`.
    column : str
        A number column.
    name : str
        What to call the series in an error.

    Raises
    ------
    DataError
        If there is no steady row, or as `stretch.stretch`.
    """
    steady = clean[clean["period"] == "steady"]
    if steady.empty:
        raise DataError(N_("{name}: no steady state was reached; nothing may be averaged"), name=name)
    ends = (steady["time"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return stretch(ends.to_numpy(), steady[column].to_numpy(dtype=np.float64), steady["step_s"].to_numpy(), name)
