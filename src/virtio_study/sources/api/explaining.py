"""What every server of a host shows as its memory, from a live host with few questions, or from saved answers."""

import re
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.limits import DUMP_BYTES
from virtio_study.pve.devices import is_template
from virtio_study.pve.explanation import Explanation, Seen, explanation_of
from virtio_study.pve.instruments import MemoryState, memory_state, memory_states
from virtio_study.pve.values import VMID, Config, Sample, part, seconds, vmid_in
from virtio_study.sources.api import health
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.cluster import RESOURCES, Cluster, resources
from virtio_study.sources.api.remedies import cause
from virtio_study.sources.history import qemu_server_in
from virtio_study.sources.responses import Answer, read_answers

__all__ = ["explain_answers", "explain_host", "logs_at"]

FEW = 3
"""Up to so many servers are asked one by one; of more the node is asked for all of its own at once."""

LOGS = re.compile(r".+\.jsonl(?:-[0-9a-f]+)?(?:\.zst)?", re.DOTALL)
"""Names of files of answers: as `watch` writes them, and as the copies that `files answers` keeps."""

PATH = re.compile(rf"/nodes/([^/]+)/qemu/({VMID})/(?:status/current|config\?current=1)")
LISTED = re.compile(r"/nodes/([^/]+)/qemu\?full=1")
PACKAGES = re.compile(r"/nodes/([^/]+)/apt/versions")


@dataclass
class _Told:
    """What was told: rows of the cluster by server, and by server configuration, status, state and what is missing.

    `ahead_s` are seconds by which a node's clock is ahead of this machine's.
    """

    cluster: Cluster = field(default_factory=Cluster)
    rows: dict[int, Sample] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    configs: dict[int, Config] = field(default_factory=dict)
    statuses: dict[int, Sample] = field(default_factory=dict)
    states: dict[int, MemoryState] = field(default_factory=dict)
    errors: dict[int, Said] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    ahead_s: dict[str, float] = field(default_factory=dict)
    release: str | None = None
    qemu_server: str | None = None

    def list_of(self, resources: object) -> None:
        """Take over the rows of `/cluster/resources`."""
        self.cluster = Cluster.of(resources)
        found = [row for row in resources if isinstance(row, dict)] if isinstance(resources, list) else []
        self.rows = {known: row for row in found if (known := vmid_in(row.get("vmid")))}


def explain_host(client: Client, vmids: Collection[int] = (), qemu_server: str | None = None) -> list[Explanation]:
    """Explain the memory of every server that the token may see, or of those that are named, in order of their number.

    One question for the list of the cluster, three for each node, and one for the configuration of every server.

    Parameters
    ----------
    qemu_server : str, optional
        Version of qemu-server on nodes that do not tell it.

    Raises
    ------
    DataError
        If the list of servers cannot be had.
    """
    told = _Told(qemu_server=qemu_server)
    told.list_of(resources(client))
    version = client.get("/version").data
    told.release = str(version.get("version")) if isinstance(version, dict) else None
    wanted = {vmid for vmid in told.cluster.servers if not vmids or vmid in vmids}
    here = {vmid: item.node for vmid, item in told.cluster.servers.items() if item.node not in told.cluster.off}
    asked = {vmid: f"/nodes/{node}/qemu/{vmid}" for vmid, node in sorted(here.items()) if vmid in wanted}
    nodes = sorted({here[vmid] for vmid in asked})
    few = bool(vmids) and len(asked) <= FEW
    _ask_nodes(client, told, nodes, all_at_once=not few)
    replies = client.get_all([f"{base}/config?current=1" for base in asked.values()])
    for vmid, reply in zip(asked, replies, strict=True):
        if reply.good and isinstance(reply.data, dict):
            told.configs[vmid] = reply.data
        else:
            told.errors[vmid] = cause(reply)
    off = {vmid: health.node_off(told.cluster.nodes[vmid])[0] for vmid in wanted - here.keys()}
    told.errors |= off
    left = [vmid for vmid in asked if vmid not in told.statuses and told.cluster.servers[vmid].status != "stopped"]
    for vmid, reply in zip(left, client.get_all([f"{asked[vmid]}/status/current" for vmid in left]), strict=True):
        _take(told, vmid, reply)
    return _explained(told, vmids, _UNSEEN)


def _ask_nodes(client: Client, told: _Told, nodes: Sequence[str], *, all_at_once: bool) -> None:
    """Ask every node for its clock and its packages, and for the status of all of its servers where that is wanted."""
    places = ["apt/versions", "time", *(["qemu?full=1"] if all_at_once else [])]
    replies = client.get_all([f"/nodes/{node}/{place}" for node in nodes for place in places])
    for node, start in zip(nodes, range(0, len(replies), len(places)), strict=True):
        packages, clock, *listed = replies[start : start + len(places)]
        if version := qemu_server_in(_rows(packages.data)):
            told.packages[node] = version
        if now := seconds(clock.data.get("time") if isinstance(clock.data, dict) else None):
            told.ahead_s[node] = now - clock.time_s
        for reply in listed:
            for row in _rows(reply.data):
                if known := vmid_in(row.get("vmid")):
                    _status(told, known, row, node, reply.time_s)


def _take(told: _Told, vmid: int, reply: Reply) -> None:
    """Take the status of one server over, or why there is none."""
    if reply.good and isinstance(reply.data, dict):
        _status(told, vmid, reply.data, told.cluster.nodes[vmid], reply.time_s)
    elif vmid not in told.errors:
        told.errors[vmid] = cause(reply)


def _status(told: _Told, vmid: int, status: Sample, node: str, asked_s: float) -> None:
    """Take a status over; statistics are old by the node's own clock, and of no age where that is not told."""
    updated = seconds(part(status, "ballooninfo").get("last_update"))
    known = updated is not None and node in told.ahead_s
    told.statuses[vmid] = status
    told.states[vmid] = memory_state(status, asked_s + told.ahead_s[node] - updated if known and updated else 0.0)


def _rows(data: object) -> list[Mapping[str, object]]:
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


_UNSEEN = N_("the host shows no server {vmid}: there is none, or the token may not see it")
_UNSAID = N_("the saved answers tell of no server {vmid}; without a number every server that they tell of is shown")


def _explained(told: _Told, vmids: Collection[int], unknown: str) -> list[Explanation]:
    """Explanations of what is wanted; `unknown` says that there is nothing of a server."""
    known = {*told.cluster.servers, *told.cluster.containers, *told.configs, *told.statuses}
    wanted = sorted(set(vmids) or known)
    return [explanation_of(_seen(told, vmid)) if vmid in known else _unknown(vmid, unknown) for vmid in wanted]


def _unknown(vmid: int, form: str) -> Explanation:
    return explanation_of(Seen(vmid, "", "", "unknown", error=said(form, vmid=vmid)))


def _seen(told: _Told, vmid: int) -> Seen:
    """What is known of a server: its status, and where that is not told its row in the list of the cluster."""
    row = told.rows.get(vmid, {})
    item, config = told.cluster.servers.get(vmid), told.configs.get(vmid)
    status = told.statuses.get(vmid)
    node = str(row.get("node") or (item.node if item else ""))
    measured = status if status is not None else {key: value for key, value in row.items() if key != "status"}
    power = health.state_of(status) if status is not None else str(row.get("status") or "unknown")
    return Seen(
        vmid=vmid,
        name=str(row.get("name") or (config or {}).get("name") or (status or {}).get("name") or ""),
        node=node,
        power=power,
        template=bool(item and item.template) or bool(config and is_template(config)),
        container=vmid in told.cluster.containers,
        config=config,
        sample=measured,
        state=told.states.get(vmid),
        qemu_server=told.packages.get(node, told.qemu_server),
        release=told.release,
        error=told.errors.get(vmid),
    )


def explain_answers(place: Path, vmids: Collection[int] = (), qemu_server: str | None = None) -> list[Explanation]:
    """Explain the memory of every server of saved answers, at the last moment that they tell.

    Parameters
    ----------
    place : Path
        A file of answers (`.jsonl`, plain or `.zst`), a folder that holds some at any depth, or a ZIP file of such.
    qemu_server : str, optional
        Version of qemu-server on nodes that do not tell it.

    Raises
    ------
    DataError
        If there are none, or they cannot be read.
    """
    with logs_at(place) as paths:
        answers = [answer for answer in read_answers(paths, _wanted) if answer.status == 200]
    if not answers:
        raise DataError(
            N_(
                "{path}: no answers of the API about servers; expected files ending in .jsonl or .jsonl.zst, as "
                "collect and watch leave them in a study's raw/ folder"
            ),
            path=place,
        )
    return _explained(_from(answers, qemu_server), vmids, _UNSAID)


def _wanted(path: str) -> bool:
    return path in (RESOURCES, "/version") or any(one.fullmatch(path) for one in (PATH, LISTED, PACKAGES))


def _from(answers: Sequence[Answer], qemu_server: str | None) -> _Told:
    """The latest of everything; a server that is no longer listed is left as its own answers show it."""
    told, polls = _Told(qemu_server=qemu_server), dict[int, list[Sample]]()
    for answer in answers:  # in order of time
        data = answer.data
        if answer.path == RESOURCES:
            told.list_of(data)
        elif answer.path == "/version" and isinstance(data, dict):
            told.release = str(data.get("version"))
        elif (found := PACKAGES.fullmatch(answer.path)) and (version := qemu_server_in(_rows(data))):
            told.packages[found[1]] = version
        elif LISTED.fullmatch(answer.path):
            for row in _rows(data):
                if known := vmid_in(row.get("vmid")):
                    polls.setdefault(known, []).append({**row, "time": answer.time_s})
        elif (found := PATH.fullmatch(answer.path)) and isinstance(data, dict):
            vmid = int(found[2])
            told.rows.setdefault(vmid, {"node": found[1]})
            if "/config" in answer.path:
                told.configs[vmid] = data
            else:
                polls.setdefault(vmid, []).append({**data, "time": answer.time_s})
    for vmid, samples in polls.items():
        told.statuses[vmid] = samples[-1]
        told.states[vmid] = list(memory_states(samples))[-1]
    return told


@contextmanager
def logs_at(place: Path) -> Iterator[list[Path]]:
    """Files of answers at a place, while the block runs; those of a ZIP file are unpacked, each to a bounded size."""
    if not place.exists():
        raise DataError(N_("{path}: not there; give a folder or file of saved answers"), path=place)
    if place.is_dir():
        yield sorted(path for path in place.rglob("*") if LOGS.fullmatch(path.name))
    elif not zipfile.is_zipfile(place):
        yield [place]
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield list(_unpacked(place, Path(folder)))


DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)


def _unpacked(place: Path, folder: Path) -> Iterator[Path]:
    """Unpack the files of answers of a ZIP file one after another, under names of our own."""
    try:
        with zipfile.ZipFile(place) as archive:
            entries = [entry for entry in archive.infolist() if LOGS.fullmatch(entry.filename)]
            if sum(entry.file_size for entry in entries) > DUMP_BYTES:
                raise DataError(N_("{path}: unpacks to more than {most} MiB"), path=place, most=DUMP_BYTES >> 20)
            for place_in, entry in enumerate(entries):
                suffix = ".jsonl.zst" if entry.filename.endswith(".zst") else ".jsonl"
                target = folder / f"{place_in}{suffix}"
                with archive.open(entry) as source, target.open("wb") as sink:
                    left = entry.file_size  # zipfile never gives more than an entry declares
                    while left > 0 and (block := source.read(min(left, 1 << 20))):
                        left -= len(block)
                        sink.write(block)
                yield target
    except DAMAGED as error:
        raise DataError(N_("{path}: cannot be unpacked: {error}"), path=place, error=error) from error
