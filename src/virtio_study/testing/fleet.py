"""A simulated fleet: servers with days and weeks, gaps, restarts and changes of drivers whose true effects are known.

Every server is made of its own seed, so that any one can be made alone, and none is kept. Nothing of it was measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.pve.ingredients import BALLOON_DRIVER, CARD, DISK, ReportingOutlook

__all__ = ["SimulatedFleet", "TrueChange", "wandering"]

Array = npt.NDArray[np.float64]

BEGINS_S = 1_767_225_600.0
"""Thursday, 1 January 2026, UTC."""

DAY_S, WEEK_S = 86_400.0, 604_800.0
CORRELATION_S = 4 * 3600.0
"""After so long, what is left of a deviation from the level is 1/e of it."""

SPREAD = {"cpu": 0.20, "mem_guest": 0.03, "mem_host": 0.02}
SHARED_SPREAD = 0.05
"""Relative standard deviations of a server's own wandering, and of what all servers of a node share."""

GAP_SHARE, RESTARTS_A_MONTH = 0.02, 0.7
RATES = {
    "disk_read_bytes_per_s": 1e6,
    "disk_write_bytes_per_s": 2e6,
    "net_in_bytes_per_s": 1e5,
    "net_out_bytes_per_s": 4e5,
}
"""Work of a server in which one core is busy, in bytes a second."""

EMULATED = {BALLOON_DRIVER: "not loaded", DISK: "ide", CARD: "e1000"}
VIRTIO = {BALLOON_DRIVER: "loaded", DISK: "virtio-scsi", CARD: "virtio-net"}
CHANGES: tuple[tuple[str, ...], ...] = ((DISK, CARD), (BALLOON_DRIVER,), (BALLOON_DRIVER, DISK, CARD))


@dataclass(frozen=True)
class TrueChange:
    """What a server changed and when, and the relative effect of it on each metric; 0 is none."""

    at_s: float
    parts: tuple[str, ...]
    effects: Mapping[str, float]


@dataclass(frozen=True)
class SimulatedFleet:
    """A fleet of so many servers over so many days.

    A share of the servers change; of these a share `without_effect` change nothing else by it. With `shock`, everything
    on every node uses so much more CPU (a share) from the middle of the time on, whether it changed or not.
    """

    count: int
    seed: int = 1
    days: int = 30
    step_s: float = 1800.0
    per_node: int = 25
    changed: float = 0.4
    without_effect: float = 0.5
    shock: float = 0.0

    simulated = True
    portable = True
    without = ()

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes, in order."""
        return [f"node{number:04d}" for number in range(-(-self.count // self.per_node))]

    def servers(self, node: str) -> list[ServerHistory]:
        """Every server of a node."""
        first = int(node.removeprefix("node")) * self.per_node
        return [self.server(number) for number in range(first, min(first + self.per_node, self.count))]

    def histories(self) -> Iterator[ServerHistory]:
        """Every server, one after the other."""
        return (self.server(number) for number in range(self.count))

    def truth(self, number: int) -> TrueChange | None:
        """What a server changed; None where it changed nothing."""
        rng = np.random.default_rng([self.seed, number, 1])
        changes, none, kind, when = rng.random(4)
        if changes >= self.changed:
            return None
        parts = CHANGES[int(kind * len(CHANGES))]
        drawn = {"cpu": rng.normal(-0.12, 0.04), "mem_host": rng.normal(-0.15, 0.05), "mem_guest": 0.0}
        touched = {"cpu": DISK in parts, "mem_host": BALLOON_DRIVER in parts, "mem_guest": False}
        effects = {name: float(drawn[name]) if touched[name] and none >= self.without_effect else 0.0 for name in drawn}
        rows = self.days * DAY_S / self.step_s
        at_s = BEGINS_S + self.step_s * round(rows * (0.35 + 0.3 * when))
        return TrueChange(at_s, parts, effects)

    def server(self, number: int) -> ServerHistory:
        """One server, made alone."""
        rng = np.random.default_rng([self.seed, number, 2])
        node = f"node{number // self.per_node:04d}"
        rows = np.arange(1, round(self.days * DAY_S / self.step_s) + 1, dtype=np.float64)
        ends: Array = np.asarray(BEGINS_S + self.step_s * rows, dtype=np.float64)
        truth = self.truth(number)
        before = VIRTIO if truth is None and rng.random() < 0.5 else EMULATED
        after = before if truth is None else {**before, **{part: VIRTIO[part] for part in truth.parts}}
        changed = np.zeros(len(ends), bool) if truth is None else ends > truth.at_s
        setups = [Setup(BEGINS_S, before)] + ([] if truth is None else [Setup(truth.at_s, after)])
        levels = self._levels(rng, ends, node)
        for name, effect in ({} if truth is None else truth.effects).items():
            levels[name] = levels[name] * np.where(changed, 1 + effect, 1.0)
        loaded = np.where(changed, after[BALLOON_DRIVER] == "loaded", before[BALLOON_DRIVER] == "loaded")
        uptime = self._uptime(rng, ends, None if truth is None else truth.at_s)
        frame = _frame(ends, self.step_s, levels, loaded, uptime, rng)
        reporting: ReportingOutlook = "on" if after[BALLOON_DRIVER] == "loaded" else "possible"
        return ServerHistory(f"vm{100 + number}", node, frame, tuple(setups), reporting=reporting)

    def _levels(self, rng: np.random.Generator, ends: Array, node: str) -> dict[str, Array]:
        """CPU in cores and memory in bytes, without any effect."""
        day = 2 * np.pi * (ends / DAY_S + rng.random())
        week = np.where((ends // DAY_S + 3) % 7 >= 5, 1 - 0.4 * rng.random(), 1.0)
        cycle = week * np.exp(rng.uniform(0.1, 0.5) * np.sin(day) + rng.uniform(0, 0.15) * np.sin(2 * day))
        shared, shocked = self._of_node(node)
        noise = {name: spread * wandering(rng, len(ends), self.step_s) for name, spread in SPREAD.items()}
        allocated = float(rng.choice([2, 4, 8, 16])) * 2**30
        guest = allocated * rng.uniform(0.2, 0.7)
        cpu = np.exp(rng.normal(np.log(0.3), 0.8)) * cycle * np.exp(noise["cpu"] + SHARED_SPREAD * shared) * shocked
        return {
            "cpu": np.minimum(cpu, 4.0),
            "mem_guest": guest * np.exp(noise["mem_guest"]),
            "mem_host": (guest + 0.25 * allocated) * np.exp(noise["mem_host"]),
            "mem_allocated": np.full(len(ends), allocated),
        }

    def _of_node(self, node: str) -> tuple[Array, Array]:
        return _shared_by(self.seed, int(node.removeprefix("node")), self.days, self.step_s, self.shock)

    def _uptime(self, rng: np.random.Generator, ends: Array, at_s: float | None) -> Array:
        count = rng.poisson(RESTARTS_A_MONTH * self.days / 30)
        starts = np.sort([BEGINS_S - DAY_S, *rng.uniform(ends[0], ends[-1], count), *([] if at_s is None else [at_s])])
        uptime: Array = ends - starts[np.searchsorted(starts, ends, side="left") - 1]
        return uptime


@lru_cache(maxsize=4)
def _shared_by(seed: int, node: int, days: int, step_s: float, shock: float) -> tuple[Array, Array]:
    """What all servers of a node share: deviations of unit variance, and the factor of a shock in the middle."""
    rows = round(days * DAY_S / step_s)
    shared = wandering(np.random.default_rng([seed, node, 3]), rows, step_s)
    return shared, np.where(np.arange(rows) >= rows // 2, 1 + shock, 1.0)


def wandering(rng: np.random.Generator, rows: int, step_s: float) -> Array:
    """First-order autoregressive deviations of unit variance."""
    from scipy.signal import lfilter

    phi = float(np.exp(-step_s / CORRELATION_S))
    shocks = rng.standard_normal(rows) * np.sqrt(1 - phi**2)
    shocks[0] /= np.sqrt(1 - phi**2)
    made: Array = np.asarray(lfilter([1.0], [1.0, -phi], shocks), dtype=np.float64)
    return made


def _frame(
    ends: Array,
    step_s: float,
    levels: Mapping[str, Array],
    loaded: npt.NDArray[np.bool_],
    uptime: Array,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Rows of the recording schema; some are missing, alone and in a stretch, as where a host was away."""
    kept = rng.random(len(ends)) >= GAP_SHARE / 2
    length = round(len(ends) * GAP_SHARE / 2)
    first = int(rng.integers(0, len(ends) - length))
    kept[first : first + length] = False
    # after a start CPU is busy and memory not yet filled
    young = np.exp(-uptime / 600)
    guest = levels["mem_guest"] * (1 - 0.5 * young)
    host = levels["mem_host"] * (1 - 0.5 * young)
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(ends, unit="s", utc=True).astype("datetime64[us, UTC]"),
            "step_s": step_s,
            "cpu_cores": levels["cpu"] + 0.5 * young,
            "cpu_allocated_cores": 4.0,
            "mem_displayed_bytes": np.where(loaded, guest, host),
            "mem_instrument": np.where(loaded, "guest_stats", "host_cgroup"),
            "mem_host_bytes": host,
            "mem_guest_bytes": np.where(loaded, guest, np.nan),
            "mem_allocated_bytes": levels["mem_allocated"],
            **{name: rate * levels["cpu"] for name, rate in RATES.items()},
            "uptime_s": uptime,
            "consolidation": "AVERAGE",
        }
    )
    return frame[kept].reset_index(drop=True)
