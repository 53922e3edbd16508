"""The rows of a node's servers on one grid of time, so that they can be set side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from virtio_study.cleaning.left_out import edges
from virtio_study.cleaning.transients import LONGEST_START_UP_S
from virtio_study.fleet.histories import ServerHistory
from virtio_study.recording import INSTRUMENTS
from virtio_study.stats.elementary import Array
from virtio_study.study import METRICS

__all__ = ["SLOT_S", "NodeGrid", "long_running", "node_grid"]

SLOT_S = 1800.0
"""Length of a slot, in seconds, unless rows are longer: Proxmox VE keeps rows of half an hour for a month.

Finer rows are averaged into it: intervals are made of batches of six hours and more, and gain nothing from them.
"""

FILLED = 0.5
"""A slot has a value if rows for so much of it have one."""

ALLOCATIONS = ("cpu_allocated_cores", "mem_allocated_bytes")
INSTRUMENT = -1
"""Number of no instrument, where a slot has no displayed memory."""


@dataclass(frozen=True)
class NodeGrid:
    """A node's servers, slot by slot, what is within an hour of a start left out.

    `values` has an array of shape (servers, slots) for every metric and every allocation, NaN where nothing was
    measured; `instruments` the number, in `recording.INSTRUMENTS`, of what made the displayed memory; `start_s` is the
    beginning of the first slot. `emulated` says whose CPU time is a software emulator's.
    """

    start_s: float
    slot_s: float
    values: dict[str, Array]
    instruments: NDArray[np.int8]
    emulated: tuple[bool, ...]

    def slot_at(self, time_s: float) -> int:
        """First slot that begins at a time or later, within the grid or at its end."""
        slots: int = self.instruments.shape[1]
        return min(max(int(np.ceil((time_s - self.start_s) / self.slot_s - 1e-9)), 0), slots)


def node_grid(servers: Sequence[ServerHistory]) -> NodeGrid:
    """Put the rows of servers on one grid.

    Parameters
    ----------
    servers : sequence of ServerHistory
        Of one node, one at least; a row counts for the slot in which its middle lies.
    """
    times = [edges(server.rows) for server in servers]
    slot_s = max([SLOT_S, *(float(server.rows["step_s"].to_numpy().max()) for server in servers)])
    first = min(float(begins[0]) for begins, _ in times) // slot_s * slot_s
    slots = int(np.ceil((max(float(ends[-1]) for _, ends in times) - first) / slot_s))
    shape = (len(servers), slots)
    values = {name: np.full(shape, np.nan) for name in (*METRICS, *ALLOCATIONS)}
    instruments = np.full(shape, INSTRUMENT, dtype=np.int8)
    for place, (server, (begins, ends)) in enumerate(zip(servers, times, strict=True)):
        rows = server.rows
        steady = long_running(rows)
        slot = ((begins + ends) / 2 - first) // slot_s
        where = slot.astype(np.int64)[steady]
        weight = (ends - begins)[steady]
        filled = _sums(where, weight, slots)
        for name, column in (*METRICS.items(), *((item, item) for item in ALLOCATIONS)):
            if column in rows.columns:
                measured = rows[column].to_numpy(np.float64)[steady]
                values[name][place] = _averaged(measured, weight, where, filled, slot_s)
        instruments[place] = _instruments(rows, steady, where, slots)
    return NodeGrid(first, slot_s, values, instruments, tuple(server.emulated for server in servers))


def long_running(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows that begin later than a start-up may last; rows that do not say since when their server runs stay."""
    if "uptime_s" not in rows.columns:
        return np.ones(len(rows), dtype=bool)
    since = rows["uptime_s"].to_numpy(np.float64) - rows["step_s"].to_numpy(np.float64)
    return np.asarray(~(since < LONGEST_START_UP_S), dtype=bool)


def _averaged(values: Array, weight: Array, where: NDArray[np.int64], filled: Array, slot_s: float) -> Array:
    """Mean of the rows of every slot by their length; NaN where too little of it has one.

    `filled` is how much of every slot has a row.
    """
    known = ~np.isnan(values)
    if not known.all():
        where, weight, values = where[known], weight[known], values[known]
        filled = _sums(where, weight, len(filled))
    total = _sums(where, weight * values, len(filled))
    enough = filled >= FILLED * slot_s
    return np.where(enough, total / np.where(enough, filled, 1.0), np.nan)


def _sums(where: NDArray[np.int64], values: Array, slots: int) -> Array:
    """Sum of the values of every slot, added in the order of the rows, everywhere."""
    return np.asarray(np.bincount(where, values, slots), dtype=np.float64)


def _instruments(
    rows: pd.DataFrame, steady: NDArray[np.bool_], where: NDArray[np.int64], slots: int
) -> NDArray[np.int8]:
    """Instrument of the last steady row of every slot that has a displayed memory; `where` is each one's slot."""
    made = np.full(slots, INSTRUMENT, dtype=np.int8)
    if "mem_instrument" in rows.columns:
        shown = ~np.isnan(rows["mem_displayed_bytes"].to_numpy(np.float64)[steady])
        codes, names = pd.factorize(rows["mem_instrument"])
        # a row without one has the code -1, which is the last place
        numbers = np.array(
            [*(INSTRUMENTS.index(name) if name in INSTRUMENTS else INSTRUMENT for name in names), INSTRUMENT], np.int8
        )
        made[where[shown]] = numbers[codes[steady][shown]]
    return made
