"""The whole fleet, node by node: what changed, and what that did; on as many machines as wanted."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import compress
from typing import Any

import numpy as np

from virtio_study.analysis.unchanged import worth_first
from virtio_study.fleet.estimating import ChangeEffect, FittedChange, change_effects, fitted_changes, placebo_intervals
from virtio_study.fleet.experiments import changes, experiments
from virtio_study.fleet.foreseen import ServerOutlook, foreseen
from virtio_study.fleet.grid import node_grid
from virtio_study.fleet.histories import Fleet
from virtio_study.fleet.kept import Kept
from virtio_study.fleet.packed import PackedNode, packed
from virtio_study.fleet.walking import Walk, walking
from virtio_study.stats.controls import Controls, controls
from virtio_study.stats.interval import Interval
from virtio_study.study import METRICS, Metric

__all__ = ["PLACEBO_NODES", "NodeServers", "Survey", "survey"]

PLACEBO_NODES = 16
"""So many nodes at most, evenly among all, say what the estimator says where nothing was changed."""


@dataclass(frozen=True)
class NodeServers:
    """Names of the servers of a node, and of those among them that changed something there."""

    servers: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What a fleet says: every finding, in order of node, server and time.

    `nodes` has the servers of each; one that went from node to node is one of each. `placebos` are the estimator's
    false alarms by metric, where there were servers to try it on. `outlooks` are forecasts of the servers that changed
    nothing, those first that are worth most.
    """

    findings: tuple[ChangeEffect, ...]
    nodes: Mapping[str, NodeServers]
    placebos: Mapping[Metric, Controls]
    days: float
    outlooks: tuple[ServerOutlook, ...] = ()

    @property
    def servers(self) -> int:
        """How many there are."""
        return len({name for node in self.nodes.values() for name in node.servers})

    @property
    def changed(self) -> int:
        """How many changed something."""
        return len({name for node in self.nodes.values() for name in node.changed})


def survey(fleet: Fleet, confidence: float, workers: int = 1, scheduler: str = "", kept: Kept | None = None) -> Survey:
    """Find and estimate every natural experiment of a fleet.

    Parameters
    ----------
    confidence : float
        Such as 0.95.
    workers, scheduler
        Where; see `walking`. The findings depend on neither.
    kept : Kept, optional
        Where what a node says is kept, and looked for first.

    Raises
    ------
    ClusterError
        If the workers are not there or are lost; what was kept until then is taken the next time.
    """
    nodes = list(fleet.nodes)
    chosen = [nodes[place] for place in sorted({round(x) for x in np.linspace(0, len(nodes) - 1, PLACEBO_NODES)})]
    with walking(len(nodes), workers if scheduler else min(workers, len(nodes)), scheduler) as walk:
        tried: dict[Metric, list[Interval]] = {}
        untouched = partial(_placebos_of, confidence)
        for found in _walked(walk, untouched, fleet, chosen, kept, (list[tuple[Metric, Interval]], confidence)):
            for metric, interval in found:
                tried.setdefault(metric, []).append(interval)
        placebos = {metric: controls(tried[metric]) for metric in METRICS if metric in tried}
        known = {metric: asdict(item) for metric, item in placebos.items()}
        parts = _walked(
            walk, partial(_findings_of, placebos, confidence), fleet, nodes, kept, (_Node, confidence, known)
        )
    return Survey(
        tuple(finding for part in parts for finding in part.findings),
        {node: NodeServers(part.servers, part.changed) for node, part in zip(nodes, parts, strict=True)},
        placebos,
        max((part.days for part in parts), default=0.0),
        tuple(sorted((item for part in parts for item in part.outlooks), key=worth_first)),
    )


def _walked(
    walk: Walk,
    function: Callable[[PackedNode], Any],
    fleet: Fleet,
    nodes: Sequence[str],
    kept: Kept | None,
    made_of: tuple[Any, ...],
) -> list[Any]:
    """What a function says of each node, in their order; `made_of` begins with the type of an answer."""
    from pydantic import TypeAdapter

    kind: TypeAdapter[Any] = TypeAdapter(made_of[0])
    answers: dict[str, Any] = {}
    asked: deque[tuple[str, Any]] = deque()

    def left() -> Iterator[PackedNode]:
        for node in nodes:
            item = packed(fleet, node)
            place = kept.place(str(made_of[0]), made_of[1:], node, item.digest) if kept else None
            if place and place.is_file():
                answers[node] = kind.validate_json(place.read_bytes())
            else:
                asked.append((node, place))
                yield item

    for answer in walk(function, left()):
        node, place = asked.popleft()
        if kept and place:
            kept.write(place, kind.dump_json(answer))
        answers[node] = answer
    return [answers[node] for node in nodes]


@dataclass(frozen=True)
class _Node:
    """What a node says: its findings, its servers and those that changed, forecasts of the others."""

    findings: tuple[ChangeEffect, ...]
    servers: tuple[str, ...]
    changed: tuple[str, ...]
    days: float
    outlooks: tuple[ServerOutlook, ...]


def _placebos_of(confidence: float, item: PackedNode) -> list[tuple[Metric, Interval]]:
    servers = item.servers()
    if not servers:
        return []
    grid = node_grid(servers)
    untouched = np.array([not changes(server, grid, place) for place, server in enumerate(servers)])
    return placebo_intervals(grid, untouched, confidence)


def _findings_of(placebos: Mapping[Metric, Controls], confidence: float, item: PackedNode) -> _Node:
    servers = item.servers()
    if not servers:
        return _Node((), (), (), 0.0, ())
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
            drawn += fitted_changes((server.server, item.node), experiment, grid, free, placebos, confidence)
    days = grid.slot_s * grid.instruments.shape[1] / 86_400
    names = tuple(server.server for server in servers)
    ahead = foreseen(item.node, servers, changed)
    return _Node(tuple(change_effects(drawn, confidence)), names, tuple(compress(names, changed)), days, tuple(ahead))
