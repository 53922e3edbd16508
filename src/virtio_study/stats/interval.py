"""An estimate with its interval, and the one gate through which values over boots enter the statistics."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said
from virtio_study.stats.elementary import mean, variance

__all__ = ["Interval", "Moments", "moments"]


@dataclass(frozen=True)
class Interval:
    """An estimate with a two-sided interval.

    `n` counts replicates (boots, or batches of one series), never rows; a difference also has them by side.
    `df` is None where the interval is made of a mixture of distributions.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    n: int
    df: float | None
    method: str
    n_before: int | None = None
    n_after: int | None = None

    def excludes(self, value: float) -> bool:
        """Whether the interval lies wholly on one side of a value."""
        return value < self.low or value > self.high


@dataclass(frozen=True)
class Moments:
    """Mean, variance and number of values of one side; `variance_of_mean` is `variance / n`."""

    mean: float
    variance: float
    n: int

    @property
    def variance_of_mean(self) -> float:
        """Variance of the mean."""
        return self.variance / self.n

    @property
    def constant(self) -> bool:
        """Whether all values are equal."""
        return self.variance == 0.0


def moments(values: ArrayLike, name: str | Said, minimum: int = 2) -> Moments:
    """Check the values of one side and summarise them.

    Parameters
    ----------
    values : array-like of float64, shape (n,)
        One value a boot. NaN and negative values are refused: a boot without a value has to be left out knowingly.
    name : str
        What to call the side in an error.
    minimum : int
        Fewest values that the caller can use.

    Raises
    ------
    DataError
        If there are fewer than `minimum` values, or one is not a finite number of at least 0.
    """
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(
            N_("{name}: expected one value a boot, got an array of shape {shape}"), name=name, shape=array.shape
        )
    if len(array) < minimum:
        raise DataError(
            N_(
                "{name}: boots with a value: {boots}; at least {fewest} are needed, because the spread between "
                "boots is what an interval is made of; record more boots"
            ),
            name=name,
            boots=len(array),
            fewest=minimum,
        )
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        raise DataError(
            N_("{name}: boot {boot} has no finite value ({value}); leave it out, and say why"),
            name=name,
            boot=wrong[0],
            value=array[wrong[0]],
        )
    wrong = np.flatnonzero(array < 0)
    if len(wrong):
        raise DataError(
            N_("{name}: boot {boot} is {value:g}; CPU, RAM and load cannot be negative"),
            name=name,
            boot=wrong[0],
            value=array[wrong[0]],
        )
    # equal values can leave a rounding error in the variance; a constant must come out as exactly that
    if array.min() == array.max():
        return Moments(float(array[0]), 0.0, len(array))
    return Moments(mean(array), variance(array) if len(array) > 1 else 0.0, len(array))
