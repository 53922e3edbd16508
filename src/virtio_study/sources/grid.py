"""Rows of one step from samples that were taken at moments: which sample is which row, and when that row ended."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid", "grid_of"]

NEARLY_S = 0.02
"""A step that is so near to whole seconds is one of whole seconds."""

NEAR, MOST = 0.06, 0.5
"""A sample within this share of a step stands at a place; a step that fewer samples keep is not taken."""

CANDIDATES = 9
"""Samples among which the one is sought that most others stand whole steps away from."""


@dataclass(frozen=True)
class Grid:
    """Rows of one step, each at the place nearest to its sample.

    `kept` are the positions of the samples that are rows, in order; `ends_s` when each row ended, Unix seconds;
    `step_s` the seconds between two places.
    """

    kept: NDArray[np.int64]
    ends_s: NDArray[np.float64]
    step_s: float


def grid_of(times_s: NDArray[np.float64]) -> Grid:
    """The rows that samples stand for.

    Parameters
    ----------
    times_s : ndarray of float64, shape (samples,)
        When each was taken, Unix seconds, in order; two may have the same time.

    Returns
    -------
    Grid
        A sample between two places is the row of the nearest; where that has two samples, as after an extra poll or a
        restart of whoever polls, the one that is nearest to it is the row, and the other none. So no row is moved by
        another one, and none is further from its sample than half a step.
    """
    step = _step(times_s)
    if not step:
        return Grid(np.arange(min(1, len(times_s))), times_s[:1], 0.0)
    origin = _origin(times_s, step)
    places = np.rint((times_s - origin) / step)
    off = np.abs(times_s - origin - places * step)
    kept = np.lexsort((off, places))  # of each place the nearest first
    kept = np.sort(kept[np.unique(places[kept], return_index=True)[1]])
    return Grid(kept, origin + places[kept] * step, step)


def _step(times_s: NDArray[np.float64]) -> float:
    """Seconds between two places: the usual distance, or another one that more samples keep; 0 if there is none.

    Where two programs poll by turns, or a poll in two is followed by an extra one, no distance is the step of either.
    """
    distances = np.diff(times_s)
    distances = distances[distances > 0]
    if not len(distances):
        return 0.0
    usual = float(np.median(distances))
    others = [float(np.quantile(distances, 0.75, method="nearest")), float(np.median(times_s[2:] - times_s[:-2]))]
    steps = [_whole(times_s, step) for step in (usual, *others[: len(times_s) - 1]) if step > 0]
    kept = [_kept(times_s, step) for step in steps]
    return steps[int(np.argmax(kept))] if max(kept) >= MOST else steps[0]


def _whole(times_s: NDArray[np.float64], usual: float) -> float:
    """A usual distance in whole seconds if it is nearly so; else the mean one that it tells."""
    step = float(round(usual))
    if abs(usual - step) < NEARLY_S and step:
        return step
    elapsed = float(times_s[-1] - times_s[0])
    return elapsed / max(1, round(elapsed / usual))


def _kept(times_s: NDArray[np.float64], step: float) -> float:
    """Share of the samples that stand at a place of a step."""
    off = (times_s - _origin(times_s, step) + step / 2) % step - step / 2
    return float(np.mean(np.abs(off) < NEAR * step))


def _origin(times_s: NDArray[np.float64], step: float) -> float:
    """A place of the grid, in whole seconds: most samples are near to one."""
    chosen, most = float(times_s[0]), 0
    for candidate in times_s[np.unique(np.linspace(0, len(times_s) - 1, CANDIDATES).astype(np.int64))]:
        off = (times_s - candidate + step / 2) % step - step / 2
        near = off[np.abs(off) < NEAR * step]
        if len(near) > most:
            chosen, most = float(candidate) + float(np.median(near)), len(near)
    return float(round(chosen))
