"""The whole fleet, node by node: what changed, and what that did; on as many processes as wanted."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import TypeVar

import numpy as np

from virtio_study.fleet.estimating import ChangeEffect, FittedChange, change_effects, fitted_changes, placebo_intervals
from virtio_study.fleet.experiments import changes, experiments
from virtio_study.fleet.grid import node_grid
from virtio_study.fleet.histories import Fleet
from virtio_study.stats.controls import Controls, controls
from virtio_study.stats.interval import Interval
from virtio_study.study import METRICS, Metric

__all__ = ["PLACEBO_NODES", "Survey", "survey"]

PLACEBO_NODES = 16
"""So many nodes at most, evenly among all, say what the estimator says where nothing was changed."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Survey:
    """What a fleet says: every finding, in order of node, server and time.

    `servers` counts all, `changed` those with a change; `placebos` are the estimator's false alarms by metric, where
    there were servers to try it on.
    """

    findings: tuple[ChangeEffect, ...]
    servers: int
    changed: int
    placebos: Mapping[Metric, Controls]
    days: float


def survey(fleet: Fleet, confidence: float, workers: int = 1) -> Survey:
    """Find and estimate every natural experiment of a fleet.

    Parameters
    ----------
    confidence : float
        Such as 0.95.
    workers : int
        Processes; each reads a node at a time. The findings do not depend on their number.
    """
    nodes = list(fleet.nodes)
    with _pool(min(workers, len(nodes))) as over:
        chosen = [nodes[place] for place in sorted({round(x) for x in np.linspace(0, len(nodes) - 1, PLACEBO_NODES)})]
        tried: dict[Metric, list[Interval]] = {}
        for found in over(partial(_placebos_of, fleet, confidence), chosen):
            for metric, interval in found:
                tried.setdefault(metric, []).append(interval)
        placebos = {metric: controls(tried[metric]) for metric in METRICS if metric in tried}
        parts = list(over(partial(_findings_of, fleet, placebos, confidence), nodes))
    return Survey(
        tuple(finding for part in parts for finding in part.findings),
        sum(len(part.servers) for part in parts),
        sum(len(part.changed) for part in parts),
        placebos,
        max((part.days for part in parts), default=0.0),
    )


@contextmanager
def _pool(workers: int) -> Iterator[Callable[[Callable[[str], Answer], Sequence[str]], Iterator[Answer]]]:
    """A `map` over nodes: in this process, or in others."""
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield pool.map


@dataclass(frozen=True)
class _Node:
    """What a node says: its findings, its servers and those that changed."""

    findings: tuple[ChangeEffect, ...]
    servers: tuple[str, ...]
    changed: tuple[str, ...]
    days: float


def _placebos_of(fleet: Fleet, confidence: float, node: str) -> list[tuple[Metric, Interval]]:
    servers = fleet.servers(node)
    grid = node_grid(servers)
    untouched = np.array([not changes(server, grid, place) for place, server in enumerate(servers)])
    return placebo_intervals(grid, untouched, confidence)


def _findings_of(fleet: Fleet, placebos: Mapping[Metric, Controls], confidence: float, node: str) -> _Node:
    servers = fleet.servers(node)
    grid = node_grid(servers)
    changed = [changes(server, grid, place) for place, server in enumerate(servers)]
    drawn: list[FittedChange] = []
    for place, server in enumerate(servers):
        for experiment in experiments(place, changed[place], grid):
            begins, ends = (
                grid.start_s + grid.slot_s * slot for slot in (experiment.before.start, experiment.after.stop)
            )
            free = np.array([not any(begins < item.at_s < ends for item in found) for found in changed])
            free[place] = False
            drawn += fitted_changes((server.server, node), experiment, grid, free, placebos, confidence)
    days = grid.slot_s * grid.instruments.shape[1] / 86_400
    names = tuple(server.server for server in servers)
    return _Node(tuple(change_effects(drawn, confidence)), names, tuple(compress(names, changed)), days)
