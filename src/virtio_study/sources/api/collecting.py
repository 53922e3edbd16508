"""Collecting everything that a Proxmox VE host can tell of a study's servers, once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.devices import agent_enabled
from virtio_study.sources.api import health, response_log
from virtio_study.sources.api.client import TRIES, Client, Reply
from virtio_study.sources.api.cluster import RESOURCES, Cluster
from virtio_study.sources.api.importers import record_rrddata
from virtio_study.sources.api.remedies import remedy, unseen
from virtio_study.sources.outcomes import RecordedFile
from virtio_study.study import Study

__all__ = ["Collected", "Missing", "client_of", "collect", "paths_of", "places_of"]

TIMEFRAMES = ("hour", "day", "week", "month", "year")
CONSOLIDATIONS = ("AVERAGE", "MAX")
NODE_ROWS = re.compile(r"/nodes/[^/]+/rrddata\?timeframe=hour&cf=AVERAGE")
AGENT = ("get-fsinfo", "network-get-interfaces", "info")
"""What the guest agent is asked where it told its system: the buses of its disks, its cards, itself."""


@dataclass(frozen=True)
class Missing:
    """What could not be had: of which server (empty: of the host), the path, the cause and the remedy."""

    server: str
    path: str
    cause: Said
    remedy: Said


@dataclass
class Collected:
    """What came of a collection: answers stored, recordings, what is missing, and servers that do not execute."""

    answers: int = 0
    written: list[RecordedFile] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    troubled: list[Said] = field(default_factory=list)


def client_of(study: Study, tries: int = TRIES) -> Client:
    """A client for the study's host that sends a request so many times; `StudyError` if the study names none."""
    if study.proxmox is None:
        where = study.folder / "study.yaml"
        raise StudyError(
            N_("{where}: no proxmox (host, and ca_file or fingerprint); add it, or use virtio-study files"), where=where
        )
    return Client(study.proxmox, tries=tries)


def places_of(study: Study, nodes: Mapping[int, str]) -> dict[str, str]:
    """Path of every server of the study that the host shows."""
    return {
        name: f"/nodes/{nodes[server.vmid]}/qemu/{server.vmid}"
        for name, server in study.servers.items()
        if server.vmid in nodes
    }


def _hidden(study: Study, cluster: Cluster, token: str) -> list[Missing]:
    """Servers of the study that cannot be asked, and nodes of the others that measure nothing."""
    missing = []
    for name, server in study.servers.items():
        if server.vmid not in cluster.servers:
            form = N_("the host shows no server {vmid}: there is none, or the token may not see it")
            missing.append(Missing(name, RESOURCES, said(form, vmid=server.vmid), unseen(token)))
        elif (node := cluster.nodes[server.vmid]) in cluster.off:
            missing.append(Missing(name, f"/nodes/{node}", *health.node_off(node)))
    homes = {cluster.nodes[server.vmid] for server in study.servers.values() if server.vmid in cluster.servers}
    return missing + [Missing("", RESOURCES, *health.not_measured(node)) for node in sorted(homes & cluster.silent)]


def collect(study: Study, client: Client) -> Collected:
    """Ask the host for everything that it can tell of a study's servers, and store every answer.

    With `windows` or a `schedule` in the study, recordings are made of the rrddata rows inside them.

    Parameters
    ----------
    study : Study
    client : Client

    Returns
    -------
    Collected
        What is missing is named; nothing that came is lost for it.

    Raises
    ------
    DataError
        If another collector is at work.
    StudyError
        If the certificate cannot be trusted.
    """
    done = Collected()
    agents: list[str] = []
    answering: list[str] = []

    def keep(reply: Reply) -> None:
        """Store a reply; it does not stay in memory, for a thousand servers have gigabytes of rows."""
        response_log.append(study.folder, [reply])
        done.answers += reply.good
        if "/config?" in reply.path and isinstance(reply.data, dict) and agent_enabled(reply.data):
            agents.append(reply.path.replace("config?current=1", "agent"))
        if reply.good and reply.path.endswith("/agent/get-osinfo"):
            answering.append(reply.path.removesuffix("/get-osinfo"))
        if not reply.good and "/agent/" not in reply.path:  # one that may not be asked, or does not answer, is no fault
            done.missing.append(_missing(paths.get(reply.path, ""), reply, client))
        _look(done, reply, told=bool(cluster.silent))

    cluster = Cluster()
    with response_log.alone(study.folder):
        paths = dict.fromkeys(["/version", RESOURCES], "")
        first = client.get_all(paths)
        for reply in first:
            keep(reply)
        if all(reply.status == 401 for reply in first):
            return done  # the token is refused, and every further question would be
        cluster = Cluster.of(first[1].data)
        done.missing += _hidden(study, cluster, client.secret.token_id) if first[1].good else []
        paths = paths_of(study, cluster)
        client.each(paths, keep)
        client.each([f"{agent}/get-osinfo" for agent in sorted(agents)], keep)
        client.each([f"{agent}/{what}" for agent in sorted(answering) for what in AGENT], keep)
        order = {path: number for number, path in enumerate(paths)}
        done.missing.sort(key=lambda item: order.get(item.path, -1))  # not by which came first
        if study.windows or study.schedule:
            _record(study, done)
    return done


def _look(done: Collected, reply: Reply, *, told: bool) -> None:
    """Note servers that do not execute, and a node whose rows have stopped, unless the list of servers told so."""
    done.troubled += [
        said("{vmid} {power:power}; {cure}", vmid=vmid, power=state, cure=health.remedy_of(state, vmid))
        for vmid, state in health.troubled([reply])
    ]
    late = health.silent_s(reply.data) if NODE_ROWS.fullmatch(reply.path) and not told else 0.0
    if late:
        done.missing.append(Missing("", reply.path, *health.not_measured(reply.path.split("/")[2], late)))


def paths_of(study: Study, cluster: Cluster) -> dict[str, str]:
    """What to ask, and of which server of the study it is; empty for the host's own."""
    nodes = {vmid: node for vmid, node in cluster.nodes.items() if node not in cluster.off}
    paths = {"/cluster/tasks": ""}
    for node in sorted({nodes[server.vmid] for server in study.servers.values() if server.vmid in nodes}):
        paths |= {f"/nodes/{node}/{what}": "" for what in ("status", "apt/versions")}
        paths |= {f"/nodes/{node}/rrddata?timeframe={frame}&cf=AVERAGE": "" for frame in TIMEFRAMES}
    # of every node, for a server may have been on another one
    paths |= {f"/nodes/{node}/tasks?limit=500": "" for node in cluster.hosts}
    for name, base in places_of(study, nodes).items():
        paths |= {f"{base}/{what}": name for what in ("status/current", "config?current=1", "pending")}
        paths |= {f"{base}/rrddata?timeframe={frame}&cf={cf}": name for frame in TIMEFRAMES for cf in CONSOLIDATIONS}
    return paths


def _missing(server: str, reply: Reply, client: Client) -> Missing:
    form = "{status}: {reason:cause}" if reply.status else "{reason:cause}"
    told = said(form, status=reply.status, reason=reply.reason)
    return Missing(server, reply.path, told, remedy(reply, client))


_WINDOWS = said(N_("correct the windows in study.yaml"))
_NO_WINDOWS = said(N_("the schedule stays; add windows to study.yaml that say what was in force"))


def _record(study: Study, done: Collected) -> None:
    """Record the study's windows from all stored answers."""
    outcomes, failed = record_rrddata(study)
    for item in outcomes:
        if isinstance(item, RecordedFile):
            done.written.append(item)
        else:
            cure = _WINDOWS if study.windows else _NO_WINDOWS
            done.missing.append(Missing(item.server, "windows", item.reason if not item.place else item.told, cure))
    cure = said(N_("collect again, or correct the windows in study.yaml"))
    done.missing += [Missing(name, "rrddata", cause, cure) for name, cause in failed.items()]
