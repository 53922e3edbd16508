"""Sustained level and peak of each boot, and the level over boots."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.elementary import mean, variance
from virtio_study.stats.interval import Interval, moments
from virtio_study.stats.stretch import PEAK_QUANTILE
from virtio_study.stats.student import t_quantile

__all__ = ["PEAK_QUANTILE", "Level", "level", "level_over_boots", "mean_change"]


@dataclass(frozen=True)
class Level:
    """Sustained level of one boot: mean, median and peak of its steady rows, in the column's unit.

    `rows` counts those with a value; without any, the three are NaN.
    """

    rows: int
    mean: float
    median: float
    peak: float


def level(values: ArrayLike, name: str) -> Level:
    """Sustained level and peak of the steady values of one boot.

    Parameters
    ----------
    values : array-like of float64, shape (rows,)
        Steady rows of one column; NaN (a missed reading) is left out.
    name : str
        What to call the values in an error.

    Returns
    -------
    Level
        The peak is the quantile `PEAK_QUANTILE` by numpy's method `higher`: always an observed row.

    Raises
    ------
    DataError
        If a value is negative.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    if not len(array):
        return Level(0, np.nan, np.nan, np.nan)
    if (array < 0).any():
        row = int(np.flatnonzero(array < 0)[0])
        raise DataError(
            N_("{name}: steady row {row} is {value:g}; it cannot be negative"), name=name, row=row, value=array[row]
        )
    peak = float(np.quantile(array, PEAK_QUANTILE, method="higher"))
    return Level(len(array), mean(array), float(np.median(array)), peak)


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
    side = moments(means, said(N_("level over boots")))
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
