"""Servers that have changed nothing yet, simulated, and what the same servers spend less once they have changed.

What a forecast is held against. The guest's use wanders and follows the day; without free page reporting the host keeps
what the guest has touched once, with it what the guest uses, and QEMU needs something beside either. Every disk request
and packet costs accesses to registers, each at a price. Nothing of it was measured.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from virtio_study.analysis.plausibility import EXIT, NOTIFICATION
from virtio_study.analysis.unchanged import ACCESSES, PACKET_BYTES, REQUEST_BYTES
from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.pve.ingredients import BALLOON_DRIVER, CARD, DISK
from virtio_study.testing.fleet import BEGINS_S, DAY_S, EMULATED, SPREAD, VIRTIO, Array, wandering

__all__ = ["Awaited", "awaited"]

STEP_S = 1800.0
NEED_BYTES, NEED_SPREAD = 90 * 2.0**20, 0.3
"""What QEMU needs beside the guest's memory: its median over servers, and the standard deviation of its logarithm."""

TOUCHED = 1.5
"""A guest has touched at most so many times what it uses on average, before its rows begin."""


@dataclass(frozen=True)
class Awaited:
    """A server without any change, with the rows of the first half of the time.

    `returned` (bytes) and `saved` (cores) are what the host spends less in the second half if the server changes in
    between than if it does not.
    """

    history: ServerHistory
    returned: float
    saved: float


def awaited(node: str, count: int, seed: int, days: int = 28, drift: float = 0.0) -> list[Awaited]:
    """Servers of one node; every third has VirtIO already, so that nothing comes of it any more.

    Parameters
    ----------
    node : str
        Its name; another one has other servers.
    drift : float
        Relative standard deviation of what the guest's mean use becomes in the second half.
    """
    return [
        _server(node, number, np.random.default_rng([seed, *node.encode(), number]), days, drift)
        for number in range(count)
    ]


def _server(node: str, number: int, rng: np.random.Generator, days: int, drift: float) -> Awaited:
    rows = round(days * DAY_S / STEP_S)
    ends: Array = np.asarray(BEGINS_S + STEP_S * np.arange(1, rows + 1), dtype=np.float64)
    later = np.arange(rows) >= rows // 2
    swing = np.sin(2 * np.pi * (ends / DAY_S + rng.random()))
    allocated = float(rng.choice([2, 4, 8, 16])) * 2**30
    level = allocated * rng.uniform(0.2, 0.6)
    use = level * np.exp(0.05 * swing + SPREAD["mem_guest"] * wandering(rng, rows, STEP_S))
    use *= np.where(later, np.exp(drift * rng.standard_normal()), 1.0)
    touched = np.maximum(np.maximum.accumulate(use), level * rng.uniform(1.0, TOUCHED))
    need = NEED_BYTES * np.exp(NEED_SPREAD * rng.standard_normal())
    busy = np.exp(0.3 * swing + SPREAD["cpu"] * wandering(rng, rows, STEP_S))
    volume, traffic = (rate * rng.lognormal(0.0, 1.0) * busy for rate in (3e5, 1e5))
    saved = _price(rng, volume, REQUEST_BYTES, ACCESSES[EMULATED[DISK]], 1)
    saved += _price(rng, traffic, PACKET_BYTES, ACCESSES[EMULATED[CARD]], 2)
    done = number % 3 == 0
    parts = VIRTIO if done else EMULATED
    host = (use if done else touched) + need
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(ends, unit="s", utc=True).astype("datetime64[us, UTC]"),
            "step_s": STEP_S,
            "cpu_cores": 0.1 * busy + (0.0 if done else saved),
            "mem_displayed_bytes": use if done else host,
            "mem_host_bytes": host,
            "mem_guest_bytes": use,
            "mem_allocated_bytes": allocated,
            "disk_read_bytes_per_s": volume / 2,
            "disk_write_bytes_per_s": volume / 2,
            "net_in_bytes_per_s": traffic / 2,
            "net_out_bytes_per_s": traffic / 2,
            "uptime_s": ends - BEGINS_S + DAY_S,
        }
    )
    history = ServerHistory(
        f"{node}-{number}",
        node,
        frame[~later].reset_index(drop=True),
        (Setup(BEGINS_S, parts),),
        reporting="on" if parts[BALLOON_DRIVER] == "loaded" else "possible",
    )
    if done:
        return Awaited(history, 0.0, 0.0)
    return Awaited(history, float((touched - use)[later].mean()), float(saved[later].mean()))


def _price(
    rng: np.random.Generator, bytes_per_s: Array, sizes: tuple[int, int, int], accesses: float, operations: int
) -> Array:
    """Cores that an emulated device costs more than a VirtIO device; size and price are the server's own."""
    size = np.exp(rng.uniform(np.log(sizes[2]), np.log(sizes[0])))
    rank = rng.random()
    exits, notice = (price.low_s * (price.high_s / price.low_s) ** rank for price in (EXIT, NOTIFICATION))
    saved: Array = bytes_per_s / size / operations * (accesses * exits - notice)
    return saved
