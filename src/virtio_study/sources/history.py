"""What stored answers and the study's log tell of one server, read into typed values once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from virtio_study.pve.devices import NUMBERED_DISK
from virtio_study.pve.values import Config, Sample, part, seconds
from virtio_study.pve.vm_config import release
from virtio_study.sources.responses import Answer, lists, objects
from virtio_study.study import Study

__all__ = [
    "Disturbance",
    "History",
    "HostAt",
    "InForce",
    "Installed",
    "Node",
    "NodeStatus",
    "Poll",
    "Task",
    "Waiting",
    "history_in",
    "history_of",
    "is_simulated",
    "qemu_server_in",
]

LONGEST_UPTIME_S = 1e9


@dataclass(frozen=True)
class Disturbance:
    """A stretch (Unix seconds) in which something else went on; `detail` names what, such as keys or versions."""

    start_s: float
    end_s: float
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """An answer of `status/current`.

    `uptime_s` is 0 where it is not told; `disks` and `cards` are keys of the configuration, empty where not told;
    `sample` has the measured values.
    """

    time_s: float
    running: bool
    uptime_s: float
    pid: str
    lock: str
    disks: frozenset[str]
    cards: frozenset[str]
    qemu: str
    machine: str
    sample: Sample

    @classmethod
    def of(cls, time_s: float, data: Sample) -> "Poll":
        """Read an answer."""
        uptime_s = seconds(data.get("uptime")) or 0.0
        return cls(
            time_s=time_s,
            running=data.get("status") == "running",
            uptime_s=uptime_s if uptime_s < LONGEST_UPTIME_S else 0.0,
            pid=str(data.get("pid") or ""),
            lock=str(data.get("lock") or ""),
            disks=_disks(tuple(part(data, "blockstat"))),
            cards=_cards(tuple(part(data, "nics"))),
            qemu=str(data.get("running-qemu") or ""),
            machine=str(data.get("running-machine") or ""),
            sample=data,
        )

    @property
    def started_s(self) -> float:
        """When the server was started, by the uptime."""
        return self.time_s - self.uptime_s


@cache
def _disks(keys: tuple[str, ...]) -> frozenset[str]:
    """Keys of disks and CDs; `blockstat` also names the firmware's flash and what a backup adds."""
    return frozenset(key for key in keys if NUMBERED_DISK.fullmatch(key))


@cache
def _cards(taps: tuple[str, ...]) -> frozenset[str]:
    """Keys of network cards by their taps; that of `net0` is called `tap100i0`."""
    numbers = [name.rpartition("i")[2] for name in taps]
    return frozenset(f"net{number}" for number in numbers if number.isdecimal())


@dataclass(frozen=True)
class InForce:
    """An answer of `config?current=1`: the configuration in force at a moment."""

    time_s: float
    config: Config


@dataclass(frozen=True)
class Waiting:
    """An answer of `pending`: keys of the configuration whose change waits for a restart, in order."""

    time_s: float
    keys: tuple[str, ...]

    @classmethod
    def of(cls, time_s: float, rows: Iterable[Mapping[str, object]]) -> "Waiting":
        """Read an answer."""
        changed = (row for row in rows if "pending" in row or row.get("delete"))
        return cls(time_s, tuple(sorted(str(row.get("key")) for row in changed)))


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a node: its type, the server that it is on (empty: of several), and when it ran, in Unix seconds.

    `start_s` is 0 where it is not told, `end_s` None of a task that was not at its end; `succeeded` also of such a one.
    """

    upid: str
    kind: str
    server: str
    start_s: float
    end_s: float | None
    ended: bool
    succeeded: bool

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Task":
        """Read a row of `/nodes/{node}/tasks`."""
        return cls(
            upid=str(row.get("upid")),
            kind=str(row.get("type")),
            server=str(row.get("id")),
            start_s=seconds(row.get("starttime")) or 0.0,
            end_s=seconds(row.get("endtime")),
            ended="endtime" in row,
            succeeded=str(row.get("status", "OK")).startswith(("OK", "WARNINGS", "RUNNING")),
        )


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """An answer of `/nodes/{node}/status`; texts are empty where not told, `cpu` and `cpus` are as they came."""

    time_s: float
    uptime_s: float | None
    proxmox: str
    kernel: str
    cpu: object
    cpus: object

    @classmethod
    def of(cls, time_s: float, data: Mapping[str, object]) -> "NodeStatus":
        """Read an answer; until Proxmox VE 7 the kernel is in `kversion` alone."""
        release = part(data, "current-kernel").get("release")
        return cls(
            time_s=time_s,
            uptime_s=seconds(data.get("uptime")),
            proxmox=str(data.get("pveversion") or ""),
            kernel=str(release or str(data.get("kversion") or "").removeprefix("Linux ")),
            cpu=data.get("cpu"),
            cpus=part(data, "cpuinfo").get("cpus"),
        )


@dataclass(frozen=True)
class Installed:
    """An answer of `/nodes/{node}/apt/versions`: the version of qemu-server, None where it has none."""

    time_s: float
    qemu_server: str | None


@dataclass(frozen=True)
class Node:
    """What answers tell of a node on which the server was, in order of time."""

    statuses: Sequence[NodeStatus] = ()
    packages: Sequence[Installed] = ()

    def kernel_at(self, moment: float) -> str:
        """Release of the kernel: of an answer since, if the node was up all the time, or the last before; or empty."""
        found = ""
        for status in self.statuses:
            if status.time_s > moment:
                since = status.time_s - (status.uptime_s or 0.0)
                return status.kernel if since <= moment and status.kernel else found
            found = status.kernel or found
        return found

    def qemu_server_at(self, moment: float) -> str | None:
        """Version of qemu-server: of the last answer before a moment, else of the first since; None if none tells."""
        found = None
        for installed in self.packages:
            if found is not None and installed.time_s > moment:
                break
            found = installed.qemu_server or found
        return found


@dataclass(frozen=True)
class HostAt:
    """What ran on a server's host at a moment, as far as told.

    `proxmox` is a text such as `pve-manager/9.2.11/abc`, `release` the version alone; `qemu_server` is as in
    `History.qemu_server_at`.
    """

    proxmox: str
    release: str
    qemu_server: str | None
    kernel: str


@dataclass(frozen=True)
class History:
    """What is known of a server, each kind of answer in order of time.

    Attributes
    ----------
    vmid : int
        Number of the server.
    versions : sequence of (float, str)
        Unix seconds, and what `/version` told then.
    nodes : mapping of name to Node
        Every node on which the server was.
    logged : sequence of Disturbance
        Of the researcher's own log; one without length marks a change that the API does not show.
    simulated : bool
        Whether the embedded host of `virtio_study.testing` gave the answers.
    """

    vmid: int
    polls: Sequence[Poll] = ()
    configs: Sequence[InForce] = ()
    waiting: Sequence[Waiting] = ()
    tasks: Sequence[Task] = ()
    versions: Sequence[tuple[float, str]] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    logged: Sequence[Disturbance] = ()
    simulated: bool = False

    def kernel_at(self, moment: float) -> str:
        """Release of the kernel of the server's nodes; empty if no answer tells."""
        return max((node.kernel_at(moment) for node in self.nodes.values()), default="")

    def host_at(self, moment: float) -> HostAt:
        """What ran on the server's host at a moment."""
        told = [(item.time_s, item.proxmox) for node in self.nodes.values() for item in node.statuses if item.proxmox]
        proxmox = max((item for item in told if item[0] <= moment), default=(0.0, ""))[1]
        release = proxmox.split("/")[1] if "/" in proxmox else next((version for _, version in self.versions), "")
        return HostAt(proxmox, release, self.qemu_server_at(moment, release), self.kernel_at(moment))

    def started_at(self, moment: float) -> float | None:
        """Start of the server that was running at a moment, by an uptime since; None if none tells."""
        since = (poll for poll in self.polls if poll.uptime_s and poll.started_s <= moment <= poll.time_s)
        return min((poll.started_s for poll in since), default=None)

    def qemu_server_at(self, moment: float, proxmox_version: str) -> str | None:
        """Version of qemu-server, or one with surely the same instrument; None where nothing tells.

        It is what the nodes' packages say. Without them the version of Proxmox VE tells it, but for 9.0 and 9.1, which
        ran with versions of qemu-server on both sides of a change of the instrument (9.1.4).
        """
        told = {node.qemu_server_at(moment) for node in self.nodes.values()} - {None}
        if told:
            return told.pop() if len(told) == 1 else None
        version = release(proxmox_version)
        if version is None:
            return None
        return "8.0" if version < (9, 0) else "9.1.4" if version >= (9, 2) else None


def qemu_server_in(packages: Iterable[Mapping[str, object]]) -> str | None:
    """Version of qemu-server among rows of `apt/versions` (pve-manager, `PVE/API2/APT.pm`: `OldVersion` is in use)."""
    rows = (row for row in packages if row.get("Package") == "qemu-server")
    return next((str(row["OldVersion"]) for row in rows if row.get("OldVersion")), None)


def history_of(study: Study, name: str, answers: Sequence[Answer]) -> History:
    """Read what answers, in order of time, tell of a server.

    Parameters
    ----------
    study : Study
        Its log belongs to the history.
    name : str
        Server of the study.
    answers : sequence of Answer
        Of `read_answers`; those of other servers are passed over.
    """
    logged = [Disturbance(*entry) for entry in study.logged(name)]
    return history_in(study.servers[name].vmid, answers, logged)


def is_simulated(node: str) -> bool:
    """Whether a node is that of the embedded host of `virtio_study.testing`."""
    return node == "simulated"


def history_in(vmid: int, answers: Sequence[Answer], logged: Sequence[Disturbance] = ()) -> History:
    """As `history_of`, of a server that belongs to no study."""
    base = f"/nodes/[^/]+/qemu/{vmid}"
    asked = re.compile(f"/nodes/([^/]+)/qemu/{vmid}/status/current")
    names = {found[1] for path in {answer.path for answer in answers} if (found := asked.fullmatch(path))}
    return History(
        vmid=vmid,
        polls=[Poll.of(at, data) for at, data in objects(answers, f"{base}/status/current")],
        configs=[InForce(at, data) for at, data in objects(answers, rf"{base}/config\?current=1")],
        waiting=[Waiting.of(at, listed) for at, listed in lists(answers, f"{base}/pending")],
        tasks=_tasks(lists(answers, r"/nodes/[^/]+/tasks(?:\?.*)?")),
        versions=[(at, str(data.get("version", ""))) for at, data in objects(answers, "/version")],
        nodes={node: _node(node, answers) for node in sorted(names)},
        logged=logged,
        simulated=any(
            is_simulated(answer.path.split("/")[2]) for answer in answers if answer.path.startswith("/nodes/")
        ),
    )


def _tasks(listed: Iterable[tuple[float, list[Mapping[str, object]]]]) -> list[Task]:
    """Every task once as it was told: a list comes again every few minutes, and is mostly the same."""
    found: dict[Task, None] = {}
    known: list[Mapping[str, object]] = []
    for _, rows in listed:
        if rows != known:
            found |= dict.fromkeys(Task.of(row) for row in rows)
            known = rows
    return [*found]


def _node(name: str, answers: Sequence[Answer]) -> Node:
    base = f"/nodes/{re.escape(name)}"
    return Node(
        statuses=[NodeStatus.of(at, data) for at, data in objects(answers, f"{base}/status")],
        packages=[Installed(at, qemu_server_in(rows)) for at, rows in lists(answers, f"{base}/apt/versions")],
    )
