"""One stretch of one series on a regular grid, and what may be asked of it."""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said
from virtio_study.stats.elementary import Array, mean

__all__ = [
    "BATCHES",
    "FEWEST_ROWS",
    "MOST_MISSING",
    "PEAK_QUANTILE",
    "Array",
    "Batched",
    "Statistic",
    "Stretch",
    "batch",
    "batched",
    "present",
    "refuse_overlap",
    "statistic_of",
    "stretch",
]

Statistic = Literal["mean", "median", "peak"]

BATCHES = 12
FEWEST_ROWS = 2 * BATCHES
MOST_MISSING = 0.5
"""Up to this share of a side's rows may be missing; `docs/calibration.md` has what gaps do to the coverage."""

PEAK_QUANTILE = 0.95
"""The peak is this quantile of the rows, not the maximum of unequal lengths."""


@dataclass(frozen=True)
class Stretch:
    """Values on a regular grid of time; a gap is NaN.

    `start_s` is the beginning of the first row's interval in Unix seconds (UTC); `step_s` the length of a row; `share`
    how much of its spread is its own: a cycle that was taken out of two sides alike leaves less than two sides.
    """

    values: Array
    start_s: float
    step_s: float
    share: float = 1.0

    @property
    def end_s(self) -> float:
        """End of the last row's interval, Unix seconds."""
        return self.start_s + self.step_s * len(self.values)

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return np.count_nonzero(np.isnan(self.values)) / len(self.values)


def stretch(end_s: ArrayLike, values: ArrayLike, step_s: ArrayLike, name: str | Said = "series") -> Stretch:
    """Put the rows of one series on a regular grid; missing rows become NaN.

    Parameters
    ----------
    end_s : array-like of float64, shape (rows,)
        End of each row's interval, Unix seconds, increasing.
    values : array-like of float64, shape (rows,)
        One value a row, at least 0; NaN where it was not measured.
    step_s : array-like of float64, shape () or (rows,)
        Seconds a row stands for; all rows of a series must have the same.
    name : str
        What to call the series in an error.

    Raises
    ------
    DataError
        If there are no rows, steps are mixed, times do not increase, no row has a value, or a value is negative or
        infinite.
    """
    times, numbers = np.asarray(end_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    steps = np.unique(np.asarray(step_s, dtype=np.float64))
    if times.shape != numbers.shape or times.ndim != 1:
        raise DataError(
            N_("{name}: {times} times and {values} values; expected as many of each, in a row"),
            name=name,
            times=times.shape,
            values=numbers.shape,
        )
    if not len(times):
        raise DataError(N_("{name}: no rows; record first"), name=name)
    if len(steps) != 1 or not steps[0] > 0:
        shown = ", ".join(f"{step:g} s" for step in steps[:4])
        raise DataError(
            N_("{name}: rows of different steps ({steps}); analyse each resolution by itself"), name=name, steps=shown
        )
    step = float(steps[0])
    if np.isnan(numbers).all():
        raise DataError(N_("{name}: no row has a value; was it measured?"), name=name)
    wrong = np.flatnonzero(np.isinf(numbers) | (numbers < 0))
    if len(wrong):
        raise DataError(
            N_("{name}: row {row} is {value:g}; CPU, RAM and load are finite and at least 0"),
            name=name,
            row=wrong[0],
            value=numbers[wrong[0]],
        )
    place = np.rint((times - times[0]) / step).astype(np.int64)
    if (np.diff(times) <= 0).any() or (np.diff(place) <= 0).any():
        row = int(np.flatnonzero((np.diff(times) <= 0) | (np.diff(place) <= 0))[0]) + 1
        raise DataError(
            N_("{name}: row {row} does not come a whole step ({step:g} s) after the row before it"),
            name=name,
            row=row,
            step=step,
        )
    grid = np.full(int(place[-1]) + 1, np.nan)
    grid[place] = numbers
    return Stretch(grid, float(times[0]) - step, step)


def batch(values: Array, statistic: Statistic = "mean", batches: int = BATCHES) -> Array:
    """Statistic of each of `batches` equal stretches of consecutive rows (lengths differ by one row at most)."""
    edges = [round(len(values) * number / batches) for number in range(batches + 1)]
    return np.array([statistic_of(values[a:b], statistic) for a, b in itertools.pairwise(edges)])


def statistic_of(values: Array, statistic: Statistic) -> float:
    """Mean, median or peak of the values."""
    if statistic == "mean":
        return mean(values)
    return float(np.quantile(values, 0.5 if statistic == "median" else PEAK_QUANTILE))


def present(side: Stretch, name: str | Said) -> Array:
    """Values without gaps, after the checks that every answer needs."""
    values = side.values[~np.isnan(side.values)]
    if len(values) < FEWEST_ROWS:
        raise DataError(
            N_("not enough data: {name} has {rows} rows with a value; at least {fewest} are needed"),
            name=name,
            rows=len(values),
            fewest=FEWEST_ROWS,
        )
    if side.missing > MOST_MISSING:
        raise DataError(
            N_(
                "not enough data: {share:percent} of the rows of {name} are missing, more than {most:percent}; "
                "choose another stretch, or record more days"
            ),
            share=side.missing,
            name=name,
            most=MOST_MISSING,
        )
    return values


@dataclass(frozen=True)
class Batched:
    """A statistic of all rows of a stretch, of its `BATCHES` batches and of its halves; `share` is the stretch's."""

    value: float
    batches: Array
    halves: Array
    share: float = 1.0


def batched(side: Stretch, name: str | Said, statistic: Statistic = "mean") -> Batched:
    """The statistic of a stretch, of its batches and of its halves; gaps are left out.

    Raises
    ------
    DataError
        As `present`.
    """
    values = present(side, name)
    return Batched(statistic_of(values, statistic), batch(values, statistic), batch(values, statistic, 2), side.share)


def refuse_overlap(before: Stretch, after: Stretch) -> None:
    """Raise `DataError` if two sides share a moment."""
    if before.start_s < after.end_s and after.start_s < before.end_s:
        shared = min(before.end_s, after.end_s) - max(before.start_s, after.start_s)
        raise DataError(
            N_("the sides overlap by {shared} s; a row belongs to one side only: mend the windows of the study"),
            shared=float(shared),
        )
