"""Natural experiments: changes of a server's devices, balloon driver or instrument, and what lies around each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from virtio_study.fleet.grid import INSTRUMENT, NodeGrid
from virtio_study.fleet.histories import CHANGEABLE, ServerHistory
from virtio_study.pve.devices import device_class
from virtio_study.pve.ingredients import BALLOON_DRIVER
from virtio_study.stats.hours import DAY_S

__all__ = ["INSTRUMENT_ONLY", "Change", "Direction", "Experiment", "changes", "experiments", "placebo"]

Direction = Literal["to VirtIO", "from VirtIO", "other"]

INSTRUMENT_ONLY = "instrument"
"""What changed where Proxmox VE began to display memory of another instrument, and nothing of the server changed."""

LASTING_S = DAY_S
"""Another instrument that displays for less than a day is a moment in which statistics came too late."""

TOGETHER_S = 7200.0
"""An instrument changes so soon after the balloon driver, and is then no change of its own."""


@dataclass(frozen=True)
class Change:
    """What a server changed at a moment (Unix seconds), and whether towards VirtIO or back."""

    at_s: float
    parts: tuple[str, ...]
    direction: Direction


@dataclass(frozen=True)
class Experiment:
    """A change of the server at a place of the grid, with the slots before and after that belong to it."""

    place: int
    change: Change
    before: slice
    after: slice


def changes(server: ServerHistory, grid: NodeGrid, place: int) -> list[Change]:
    """Every change of a server, oldest first; setups that differ in what one of them does not know do not differ."""
    found = []
    for old, new in pairwise(sorted(server.setups, key=lambda setup: setup.since_s)):
        shared = old.parts.keys() & new.parts.keys()
        parts = tuple(part for part in CHANGEABLE if part in shared and old.parts[part] != new.parts[part])
        if parts:
            towards = {_towards(part, old.parts[part], new.parts[part]) for part in parts}
            found.append(Change(new.since_s, parts, towards.pop() if len(towards) == 1 else "other"))
    for at_s in _instrument_changes(grid, place):
        if all(not -grid.slot_s <= at_s - change.at_s <= TOGETHER_S for change in found):
            found.append(Change(at_s, (INSTRUMENT_ONLY,), "other"))
    return sorted(found, key=lambda change: change.at_s)


def _towards(part: str, old: str, new: str) -> Direction:
    if part == BALLOON_DRIVER:
        return "to VirtIO" if new == "loaded" else "from VirtIO"
    classes = device_class(old), device_class(new)
    return {("emulated", "virtio"): "to VirtIO", ("virtio", "emulated"): "from VirtIO"}.get(classes, "other")  # type: ignore[return-value]


def _instrument_changes(grid: NodeGrid, place: int) -> list[float]:
    """Moments from which on memory was displayed by another instrument, for a day at least on both sides."""
    codes = grid.instruments[place]
    known = np.flatnonzero(codes != INSTRUMENT)
    if not len(known):
        return []
    edges = np.flatnonzero(np.diff(codes[known])) + 1
    cuts = [0, *edges.tolist(), len(known)]
    lasting = [
        (known[first], codes[known[first]])
        for first, last in pairwise(cuts)
        if (known[last - 1] + 1 - known[first]) * grid.slot_s >= LASTING_S
    ]
    return [grid.start_s + grid.slot_s * int(slot) for (_, old), (slot, new) in pairwise(lasting) if old != new]


def experiments(place: int, found: Sequence[Change], grid: NodeGrid) -> list[Experiment]:
    """What lies around every change of a server: from the change before it, and until the one after it."""
    slots = grid.instruments.shape[1]
    moments = [grid.slot_at(change.at_s) for change in found]
    # a slot in which something changes belongs to neither side
    begun = [int((change.at_s - grid.start_s) // grid.slot_s) for change in found]
    return [
        Experiment(
            place,
            change,
            slice(moments[number - 1] if number else 0, max(min(begun[number], moments[number]), 0)),
            slice(moments[number], begun[number + 1] if number + 1 < len(found) else slots),
        )
        for number, change in enumerate(found)
    ]


def placebo(place: int, grid: NodeGrid) -> Experiment:
    """A change that never was, in the middle of a server that changed nothing."""
    slots = grid.instruments.shape[1]
    middle = slots // 2
    change = Change(grid.start_s + grid.slot_s * middle, (), "other")
    return Experiment(place, change, slice(0, middle), slice(middle, slots))
