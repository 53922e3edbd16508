"""What a server would have done without its change: what the servers of its node did that changed nothing then."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from virtio_study.fleet.grid import INSTRUMENT, NodeGrid
from virtio_study.stats.elementary import Array, mean
from virtio_study.stats.stretch import Stretch
from virtio_study.study import Metric

__all__ = ["FEWEST_CONTROLS", "Neighbours", "neighbours", "one_instrument"]

FEWEST_CONTROLS = 3
"""With two servers beside it, what one of them does by itself is half of what the node seems to have done."""

COVERED = 0.5
"""A control has so much of each side."""


@dataclass(frozen=True)
class Neighbours:
    """The course of a node's unchanged servers: 1 on average before the change; NaN where too few have a value."""

    index: Stretch
    count: int


def neighbours(
    grid: NodeGrid, metric: Metric, free: NDArray[np.bool_], before: slice, after: slice
) -> Neighbours | None:
    """Median over unchanged servers of each one's value relative to its own mean before.

    A median, so that what one control does by itself, a job or a change of its load, is not taken for the node's; and
    relative, so that a large server counts as much as a small one.

    Parameters
    ----------
    free : array of bool, shape (servers,)
        Servers that changed nothing in the time of either side.
    before, after : slice
        Slots of the two sides.

    Returns
    -------
    Neighbours or None
        The index has the slots from the beginning of `before` to the end of `after`. None with fewer than
        `FEWEST_CONTROLS` servers.
    """
    start, split = before.start, after.start - before.start
    values = grid.values[metric][free, start : after.stop]
    usable = np.flatnonzero(free)[_covered(values[:, : before.stop - start]) & _covered(values[:, split:])]
    if metric == "mem_displayed":
        usable = usable[[one_instrument(grid, place, before, after) for place in usable]]
    values = grid.values[metric][usable, start : after.stop]
    levels = _levels(values[:, : before.stop - start])
    values, levels = values[levels > 0], levels[levels > 0]
    if len(values) < FEWEST_CONTROLS:
        return None
    ratios = np.sort(values / levels[:, None], axis=0)  # NaN last
    known = np.count_nonzero(~np.isnan(ratios), axis=0)
    columns = np.arange(ratios.shape[1])
    middle = (ratios[np.maximum(known - 1, 0) // 2, columns] + ratios[np.maximum(known, 1) // 2, columns]) / 2
    middle[(known < FEWEST_CONTROLS) | ~(middle > 0)] = np.nan
    earlier = middle[: before.stop - start]
    level = mean(earlier[~np.isnan(earlier)])
    index = Stretch(middle / level, grid.start_s + start * grid.slot_s, grid.slot_s)
    return Neighbours(index, len(values)) if level > 0 else None


def one_instrument(grid: NodeGrid, place: int, before: slice, after: slice) -> bool:
    """Whether the displayed memory of a server was made by one instrument on both sides."""
    codes = np.concatenate([grid.instruments[place, side] for side in (before, after)])
    known = codes[codes != INSTRUMENT]
    return len(known) > 0 and bool((known == known[0]).all())


def _covered(values: Array) -> NDArray[np.bool_]:
    known = np.count_nonzero(~np.isnan(values), axis=1)
    return np.asarray(known >= COVERED * max(values.shape[1], 1), dtype=bool)


def _levels(values: Array) -> Array:
    """Mean of each row without what is missing, added in order."""
    if not values.size:
        return np.full(len(values), np.nan)
    known = ~np.isnan(values)
    sums: Array = np.cumsum(np.where(known, values, 0.0), axis=1)[:, -1]
    levels: Array = sums / np.maximum(np.count_nonzero(known, axis=1), 1)
    return levels
