"""Collecting everything that a Proxmox VE host can tell of a study's servers, once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from virtio_study.errors import DataError, StudyError
from virtio_study.pve.devices import agent_enabled
from virtio_study.sources import normalising
from virtio_study.sources.api import response_log
from virtio_study.sources.api.client import TRIES, Client, Reply, hosts_of, nodes_of, remedy
from virtio_study.sources.events import host_changes, new_instruments, starts, stops, tasks_of
from virtio_study.sources.files.rrddata import merge_rrddata
from virtio_study.sources.recorder import Written, write_windows
from virtio_study.sources.responses import Answer, around_of, is_simulated, of, qemu_server_of, read_answers
from virtio_study.study import Study

__all__ = ["Collected", "Missing", "client_of", "collect", "paths_of", "places_of", "record_rrddata"]

TIMEFRAMES = ("hour", "day", "week", "month", "year")
CONSOLIDATIONS = ("AVERAGE", "MAX")
AGENT = ("get-fsinfo", "network-get-interfaces", "info")
"""What the guest agent is asked where it told its system: the buses of its disks, its cards, itself."""


@dataclass(frozen=True)
class Missing:
    """What could not be had: of which server (empty: of the host), the path, the cause and the remedy."""

    server: str
    path: str
    cause: str
    remedy: str


@dataclass
class Collected:
    """What came of a collection: answers stored, recordings written, and what is missing."""

    answers: int = 0
    written: Written = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def client_of(study: Study, tries: int = TRIES) -> Client:
    """A client for the study's host that sends a request so many times; `StudyError` if the study names none."""
    if study.proxmox is None:
        where = study.folder / "study.yaml"
        raise StudyError(f"{where}: no proxmox (host, and ca_file or fingerprint); add it, or use virtio-study files")
    return Client(study.proxmox, tries=tries)


def places_of(study: Study, nodes: Mapping[int, str]) -> dict[str, str]:
    """Path of every server of the study that the host shows."""
    return {
        name: f"/nodes/{nodes[server.vmid]}/qemu/{server.vmid}"
        for name, server in study.servers.items()
        if server.vmid in nodes
    }


def _hidden(study: Study, nodes: Mapping[int, str], token: str) -> list[Missing]:
    who = f"--tokens '{token}'" if "!" in token else f"--users '{token}'"
    return [
        Missing(
            name,
            "/cluster/resources",
            f"the host shows no server {server.vmid}: there is none, or the token may not see it",
            f"compare with qm list on the host; for the permission: pveum acl modify / {who} --roles PVEAuditor",
        )
        for name, server in study.servers.items()
        if server.vmid not in nodes
    ]


def collect(study: Study, client: Client) -> Collected:
    """Ask the host for everything that it can tell of a study's servers, and store every answer.

    With `windows` in the study, recordings are made of the rrddata rows inside them.

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

    with response_log.alone(study.folder):
        paths = dict.fromkeys(["/version", "/cluster/resources"], "")
        first = client.get_all(paths)
        for reply in first:
            keep(reply)
        if all(reply.status == 401 for reply in first):
            return done  # the token is refused, and every further question would be
        nodes = nodes_of(first[1].data)
        done.missing += _hidden(study, nodes, client.secret.token_id) if first[1].good else []
        paths = paths_of(study, first[1].data)
        client.each(paths, keep)
        client.each([f"{agent}/get-osinfo" for agent in sorted(agents)], keep)
        client.each([f"{agent}/{what}" for agent in sorted(answering) for what in AGENT], keep)
        order = {path: number for number, path in enumerate(paths)}
        done.missing.sort(key=lambda item: order.get(item.path, -1))  # not by which came first
        if study.windows:
            done.written, lost = record_rrddata(study)
            done.missing += lost
    return done


def paths_of(study: Study, resources: Any) -> dict[str, str]:
    """What to ask, and of which server of the study it is; empty for the host's own."""
    nodes = nodes_of(resources)
    paths = {"/cluster/tasks": ""}
    for node in sorted({nodes[server.vmid] for server in study.servers.values() if server.vmid in nodes}):
        paths |= {f"/nodes/{node}/{what}": "" for what in ("status", "apt/versions")}
        paths |= {f"/nodes/{node}/rrddata?timeframe={frame}&cf=AVERAGE": "" for frame in TIMEFRAMES}
    # of every node, for a server may have been on another one
    paths |= {f"/nodes/{node}/tasks?limit=500": "" for node in hosts_of(resources)}
    for name, base in places_of(study, nodes).items():
        paths |= {f"{base}/{what}": name for what in ("status/current", "config?current=1", "pending")}
        paths |= {f"{base}/rrddata?timeframe={frame}&cf={cf}": name for frame in TIMEFRAMES for cf in CONSOLIDATIONS}
    return paths


def _missing(server: str, reply: Reply, client: Client) -> Missing:
    status = f"{reply.status}: " if reply.status else ""
    return Missing(server, reply.path, f"{status}{reply.reason}", remedy(reply, client.secret.token_id))


def record_rrddata(study: Study) -> tuple[Written, list[Missing]]:
    """Make recordings of the stored rrddata rows (AVERAGE) that lie in the study's windows, the node's CPU beside them.

    Parameters
    ----------
    study : Study
        With windows.

    Returns
    -------
    written : list of (str, str)
        As in `keeping.Written`.
    missing : list of Missing
        Servers that have a window and no usable rows in it, windows that the host's configuration contradicts, and
        windows in the time of another recording; the others are recorded all the same.
    """
    written: Written = []
    missing = []
    for name, server in study.servers.items():
        if any(window.server == name for window in study.windows):
            own = f"/qemu/{server.vmid}/"
            wanted = lambda path, own=own: "cf=MAX" not in path and ("/qemu/" not in path or own in path)  # noqa: E731
            try:
                answers = read_answers(response_log.stored(study.folder), wanted)
                for place, told in _record(study, name, answers):
                    if place == name:
                        cause = told.removeprefix("not recorded: ")
                        missing.append(Missing(name, "windows", cause, "correct the windows in study.yaml"))
                    else:
                        written.append((place, told))
            except DataError as error:
                remedy = "collect again, or correct the windows in study.yaml"
                missing.append(Missing(name, "rrddata", str(error).removeprefix(f"{name}: "), remedy))
    return written, missing


def _record(study: Study, name: str, answers: Sequence[Answer]) -> Written:
    vmid = study.servers[name].vmid
    around = around_of(study, name, answers)
    base = rf"/nodes/([^/]+)/qemu/{vmid}/rrddata\?.*cf=AVERAGE"
    merged = merge_rrddata(_rrddata(answers, base))
    if not merged:
        raise DataError(f"{name}: no stored rrddata of server {vmid} has a row with values")
    nodes = {re.escape(found[1]) for answer in answers if (found := re.fullmatch(base, answer.path))}
    # of a server that was on several nodes nothing in a row tells on which it then was
    own = nodes.pop() if len(nodes) == 1 else "none"
    beside = merge_rrddata(_rrddata(answers, rf"/nodes/{own}/rrddata\?.*cf=AVERAGE"))
    frames = {}
    versions = [(at, str(data.get("version", ""))) for at, data in of(answers, "/version")]

    def qemu_server(moment: float) -> str | None:
        known = [version for at, version in versions if at <= moment] or [version for _, version in versions[:1]]
        return qemu_server_of(known[-1] if known else "", around, moment)

    for step, listed in merged.items():
        frame = normalising.rrd_frame(listed, step, "AVERAGE", f"rrddata of {name}", qemu_server)
        if step in beside:
            frame = normalising.add_node_cpu(
                frame, normalising.rrd_frame(beside[step], step, "AVERAGE", "rrddata of the node")
            )
        frames[float(step)] = frame
    said: dict[str, Any] = {"source": "rrddata of the API of Proxmox VE, AVERAGE"}
    said |= {"kind": "simulated"} if is_simulated(answers) else {}
    if versions:
        first = pd.Timestamp(versions[0][0], unit="s")
        said["versions"] = {"proxmox-ve": versions[-1][1]}
        said["notes"] = [
            f"The host told its version first at {first:%Y-%m-%d %H:%M} UTC; older rows are taken for its."
        ]
    polls = [*of(answers, rf"/nodes/[^/]+/qemu/{vmid}/status/current")]
    disturbed = [*tasks_of(around.tasks, vmid, 0.0, max(answer.time_s for answer in answers))]
    disturbed += [*starts(around.tasks, polls, vmid), *stops(frames)]
    spans = [(window.start.timestamp(), window.end.timestamp()) for window in study.windows if window.server == name]
    upgrades = [up for statuses in around.statuses.values() for up in host_changes(statuses)[1]]
    upgrades += [up for packages in around.packages.values() for up in new_instruments(packages)]
    # between two windows an upgrade may be part of what the researcher did, and its moment may be days wide
    disturbed += [up for up in upgrades if any(start <= up.start_s and up.end_s <= end for start, end in spans)]
    return write_windows(study, name, frames, "rrddata", said, disturbed, around)


def _rrddata(answers: Sequence[Answer], pattern: str) -> Iterable[tuple[str, Any]]:
    return (
        (f"rrddata of {at:.0f}", data) for at, data in of(answers, pattern, list) if any(len(row) > 1 for row in data)
    )
