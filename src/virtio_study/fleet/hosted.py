"""The servers of a live host or of saved answers as a fleet, node by node; no study is needed."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from virtio_study.cleaning.left_out import touched
from virtio_study.cleaning.transients import LONGEST_START_UP_S
from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.pve.explanation import Explanation
from virtio_study.pve.ingredients import BALLOON_DRIVER, CARD, DISK
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.past_rows import Past, answers_of_servers, past_of_answers, past_of_host, stacked
from virtio_study.sources.events import starts, stops, tasks_of
from virtio_study.sources.history import Disturbance, History, history_in, is_simulated
from virtio_study.sources.responses import Answer
from virtio_study.sources.runs import of_present_server, runs_in

__all__ = ["AnsweredFleet", "HostFleet"]

SHORTEST_S = 120.0
"""A server that starts looks for a moment like one without a balloon driver."""


@dataclass(frozen=True)
class HostFleet:
    """Servers of a live host that run, each of the node on which it is; read-only.

    A host holds no configuration of the past, so that of each server the present one is all that is known. What was
    asked is kept in a folder, for a node is looked at more than once and no question is asked twice. `without` are
    servers that gave no rows, as far as their nodes were looked at.
    """

    found: Sequence[Explanation]
    client: Client
    folder: Path
    without: dict[str, None] = field(default_factory=dict)

    portable = False

    @cached_property
    def simulated(self) -> bool:
        """Whether the host is the embedded one."""
        return any(is_simulated(item.node) for item in self.found)

    @property
    def nodes(self) -> list[str]:
        """Nodes with a server that runs."""
        return sorted({item.node for item in self.found if item.node and item.state})

    def servers(self, node: str) -> Sequence[ServerHistory]:
        """Every server of the node that has rows."""
        import zstandard

        kept = self.folder / f"{self.nodes.index(node)}.zst"
        if not kept.exists():
            made = self._asked(node)
            kept.write_bytes(zstandard.compress(pickle.dumps(made, protocol=5), 1))
            return made
        told: Sequence[ServerHistory] = pickle.loads(zstandard.decompress(kept.read_bytes()))
        return told

    def _asked(self, node: str) -> list[ServerHistory]:
        here = [item for item in self.found if item.node == node and item.state]
        reply = self.client.get(f"/nodes/{node}/tasks?limit=500")
        tasks = [Answer(reply.time_s, reply.path, 200, reply.data)] if reply.good else []
        past = past_of_host(self.client, here)
        made = [_history(item, past.get(item.vmid, {}), history_in(item.vmid, tasks)) for item in here]
        self.without.update(dict.fromkeys(item.server for item in made if not len(item.rows)))
        return [item for item in made if len(item.rows)]


@dataclass(frozen=True)
class AnsweredFleet:
    """Servers of saved answers, each of the node on which it was last; what the answers tell of their past is known."""

    found: Sequence[Explanation]
    place: Path
    without: dict[str, None] = field(default_factory=dict)

    portable = False

    @cached_property
    def simulated(self) -> bool:
        """Whether the embedded host gave the answers."""
        return any(is_simulated(item.node) for item in self.found)

    @property
    def nodes(self) -> list[str]:
        """Nodes of which answers tell a server."""
        return sorted({item.node for item in self.found if item.node})

    def servers(self, node: str) -> Sequence[ServerHistory]:
        """Every server of the node that has rows in answers of rrddata."""
        here = [item for item in self.found if item.node == node]
        answers = answers_of_servers(self.place, {item.vmid for item in here})
        made = []
        for item in here:
            history = history_in(item.vmid, answers)
            made.append(_history(item, past_of_answers(answers, item.vmid, item.qemu_server), history))
        self.without.update(dict.fromkeys(item.server for item in made if not len(item.rows)))
        return [item for item in made if len(item.rows)]


def _history(item: Explanation, past: Past, history: History) -> ServerHistory:
    """A server from its rows and from what its history tells; rows in which something else went on are left out."""
    last_s = max((frame["time"].iloc[-1].timestamp() for frame in past.values()), default=0.0)
    disturbed = [*tasks_of(history, 0.0, last_s), *stops(past), *starts(history)]
    spans = [_span(one) for one in disturbed]
    rows = stacked(past, lambda frame: _undisturbed(frame, spans))
    runs = [run for run in of_present_server(runs_in(history)) if not run.why and run.end_s - run.start_s >= SHORTEST_S]
    told = [
        Setup(
            run.start_s,
            {
                **_known({DISK: run.devices["disk"], CARD: run.devices["network"]}),
                BALLOON_DRIVER: "loaded" if run.balloon_driver else "not loaded",
            },
        )
        for run in runs
    ]
    setups = told or [Setup(0.0, _known({DISK: item.disk, CARD: item.card}))]
    emulated = any(str(run.config.get("kvm", "1")) == "0" for run in runs)
    name = f"{item.vmid} {item.name}".strip()
    return ServerHistory(name, item.node, rows, tuple(setups), emulated, item.reporting, item.requests_per_s)


def _known(parts: Mapping[str, str]) -> dict[str, str]:
    return {part: model for part, model in parts.items() if model}


def _span(found: Disturbance) -> tuple[float, float, str]:
    """A disturbed stretch; a start with the hour in which a server is not steady."""
    late = LONGEST_START_UP_S if found.reason == "restart" else 0.0
    return found.start_s, found.end_s + late, found.reason


def _undisturbed(frame: pd.DataFrame, spans: Sequence[tuple[float, float, str]]) -> pd.DataFrame:
    kept: pd.DataFrame = frame[touched(frame, spans) == ""]
    return kept
