"""Whether a host can answer a study's question: version, token, permissions, clock, retention, TLS and servers."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.devices import agent_enabled
from virtio_study.pve.instruments import host_instrument
from virtio_study.pve.vm_config import allocation, release
from virtio_study.sources.api import health
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.cluster import RESOURCES, Cluster
from virtio_study.sources.api.remedies import cause, is_permission, permission, remedy, unseen
from virtio_study.sources.api.rights import Rights, rights_of
from virtio_study.sources.history import qemu_server_in
from virtio_study.study import Endpoint, Server

__all__ = ["Finding", "examine"]

MOST_CLOCK_DIFFERENCE_S = 5.0


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do."""

    what: str
    status: Literal["pass", "warn", "fail"]
    says: Said
    remedy: Said | None = None


def examine(client: Client, servers: Mapping[str, Server]) -> Iterator[Finding]:
    """Look at one thing after another; ends early where nothing further can be asked.

    Parameters
    ----------
    client : Client
    servers : mapping of name to Server
        Of the study; may be empty.
    """
    token = client.secret.token_id
    try:
        version = client.get("/version")
    except StudyError as error:
        yield Finding("TLS", "fail", said(error.message, **error.numbers))
        return
    if version.status == 0:
        yield Finding(N_("connection"), "fail", cause(version), remedy(version, client))
        return
    yield _way(client.endpoint)
    login = N_("token") if client.secret.name else N_("login")
    if not version.good:
        what = login if version.status == 401 else N_("answers")
        yield Finding(what, "fail", cause(version), remedy(version, client))
        return
    yield Finding(login, "pass", said(N_("{token} is accepted"), token=token))
    yield from _version(version.data if isinstance(version.data, dict) else {})
    resources = client.get(RESOURCES)
    if not resources.good:
        yield Finding(N_("servers"), "fail", cause(resources), remedy(resources, client))
        return
    cluster, rights = Cluster.of(resources.data), rights_of(client)
    yield _servers(cluster.nodes, servers, rights, token)
    yield from _unseen(rights, sorted({*cluster.nodes.values()} - cluster.off))
    wanted = _wanted(cluster.nodes, servers)
    names = {server.vmid: name for name, server in servers.items()}
    for node in sorted({cluster.nodes[vmid] for vmid in wanted}):
        if off := _unreachable(client, cluster, node):
            yield off
            continue
        yield _instrument(client, node)
        yield from _node(client, node, silent=node in cluster.silent)
        for vmid in (vmid for vmid in wanted if cluster.nodes[vmid] == node):
            yield from _vm(client, vmid, node, servers.get(names.get(vmid, "")))


def _wanted(nodes: Mapping[int, str], servers: Mapping[str, Server]) -> list[int]:
    """Servers to look at: those of the study that are shown; without a study all."""
    of_study = {server.vmid for server in servers.values()}
    return sorted(vmid for vmid in nodes if not servers or vmid in of_study)


def _unreachable(client: Client, cluster: Cluster, node: str) -> Finding | None:
    """What keeps a node from being asked: it is off, or what answers there is stopped; None if nothing does."""
    if node in cluster.off:
        return Finding(N_("node"), "fail", *health.node_off(node))
    clock = client.get(f"/nodes/{node}/time")  # goes the whole way, to the node and through its pvedaemon
    if clock.status in (595, 596, 0):
        says = said("{node}: {cause}", node=node, cause=cause(clock))
        return Finding(N_("node"), "fail", says, remedy(clock, client))
    return None


def _way(endpoint: Endpoint) -> Finding:
    if endpoint.backend != "https":
        return Finding(
            N_("way"),
            "warn",
            said(N_("pvesh tells no CPU of the moment, so it is for collect and not for watch")),
            said(N_("for watch, set proxmox.backend: https, and a token")),
        )
    if endpoint.fingerprint:
        how = N_("the certificate is verified with its fingerprint")
    else:
        how = N_("the certificate is verified with the CA file")
        how = how if endpoint.ca_file else N_("the certificate is verified with the system")
    return Finding("TLS", "pass", said(how))


def _version(data: Mapping[str, object]) -> Iterator[Finding]:
    text = str(data.get("version", "?"))
    if (release(text) or (0, 0)) < (9, 0):
        yield Finding(
            N_("version"),
            "warn",
            said(
                N_("Proxmox VE {version} shows one memory figure, and nothing in its rrddata tells what made it"),
                version=text,
            ),
            said(N_("run virtio-study watch, whose answers do tell, or add a stretch with the balloon driver alone")),
        )
        yield Finding(
            N_("retention"),
            "warn",
            said(N_("rows of a minute are kept for 70 minutes, of half an hour for 35 hours")),
            said(N_("run virtio-study watch for as long as the study lasts")),
        )
        return
    yield Finding(
        N_("version"),
        "pass",
        said(N_("Proxmox VE {version} shows the host's memory beside the displayed one"), version=text),
    )
    yield Finding(N_("retention"), "pass", said(N_("rows of a minute are kept for a day, of half an hour for 30 days")))


def _servers(nodes: Mapping[int, str], servers: Mapping[str, Server], rights: Rights | None, token: str) -> Finding:
    hidden = rights.blind_spot(len(nodes)) if rights else None
    lost = [f"{name} ({server.vmid})" for name, server in servers.items() if server.vmid not in nodes]
    if lost and nodes and not hidden:
        return Finding(N_("servers"), "fail", said(N_("not shown: {servers}"), servers=lost), unseen(token))
    if not nodes and not hidden:
        return Finding(N_("servers"), "fail", said(N_("the cluster has no virtual server")), permission(token))
    if hidden and lost and nodes:
        says = said(N_("not shown: {servers}; {hidden}"), servers=lost, hidden=hidden[0])
        return Finding(N_("servers"), "fail", says, hidden[1])
    if hidden:
        return Finding(N_("servers"), "warn" if nodes and servers else "fail", *hidden)
    return Finding(
        N_("servers"),
        "pass",
        said(
            plural(
                len(nodes),
                "{count} server is shown, all {wanted} of the study among them",
                "{count} servers are shown, all {wanted} of the study among them",
            ),
            count=len(nodes),
            wanted=len(servers),
        ),
    )


def _instrument(client: Client, node: str) -> Finding:
    """Whether it is known what makes the host's memory figure on a node."""
    packages = client.get(f"/nodes/{node}/apt/versions")
    rows = packages.data if isinstance(packages.data, list) else []
    found = qemu_server_in(row for row in rows if isinstance(row, dict))
    if found:
        says = said(
            N_("{node}: qemu-server {version} shows as the host's memory: {instrument:instrument}"),
            node=node,
            version=found,
            instrument=host_instrument(found),
        )
        return Finding(N_("instrument"), "pass", says)
    return Finding(
        N_("instrument"),
        "warn",
        said(N_("{node}: its version of qemu-server is not told ({cause})"), node=node, cause=cause(packages)),
        said(
            N_(
                "from Proxmox VE 9.0 to 9.1 the host's figure changed; pveversion -v on the host tells it; give it to "
                "virtio-study files answers as --qemu-server"
            )
        ),
    )


def _unseen(rights: Rights | None, nodes: list[str]) -> Iterator[Finding]:
    """Nodes whose tasks are not all shown: without Sys.Audit the list is shorter, and nothing says so."""
    if rights and (lost := rights.unaudited(nodes)):
        says = said(
            N_("{token} has no Sys.Audit on {nodes}, and is shown its own tasks alone"), token=rights.who, nodes=lost
        )
        yield Finding(N_("privileges"), "fail", says, permission(rights.who))


def _node(client: Client, node: str, *, silent: bool) -> Iterator[Finding]:
    before = time.time()
    clock = client.get(f"/nodes/{node}/time")
    if clock.good and isinstance(clock.data, dict) and isinstance(clock.data.get("time"), int | float):
        difference = float(clock.data["time"]) - (before + time.time()) / 2
        far = abs(difference) > MOST_CLOCK_DIFFERENCE_S
        says = said(
            N_("{node}: the clock is {difference:+.0f} s from this machine's"), node=node, difference=difference
        )
        cure = said(N_("run on the host: timedatectl (chrony keeps it right)")) if far else None
        yield Finding(N_("clock"), "warn" if far else "pass", says, cure)
    for path in ("status", "rrddata?timeframe=hour&cf=AVERAGE", "tasks?limit=1"):
        what = said(N_("{path} of node {node}"), path=path.split("?")[0], node=node)
        reply = client.get(f"/nodes/{node}/{path}")
        yield _asked(client, reply, what)
        if path.startswith("rrddata") and ((late := health.silent_s(reply.data)) or silent):
            yield Finding(N_("rows"), "fail", *health.not_measured(node, late))


def _vm(client: Client, vmid: int, node: str, server: Server | None) -> Iterator[Finding]:
    base = f"/nodes/{node}/qemu/{vmid}"
    for path in ("status/current", "config?current=1", "pending", "rrddata?timeframe=hour&cf=AVERAGE"):
        reply = client.get(f"{base}/{path}")
        yield _asked(client, reply, said(N_("{path} of {vmid}"), path=path.split("?")[0], vmid=vmid))
        data = reply.data if reply.good and isinstance(reply.data, dict) else {}
        if path.startswith("status") and (cure := health.remedy_of(state := health.state_of(data), vmid)):
            says = said(N_("{vmid} {state:power}: its rows are left out meanwhile"), vmid=vmid, state=state)
            yield Finding(N_("server"), "warn", says, cure)
        if path.startswith("config"):
            yield from _as_declared(vmid, data, server)
        if path.startswith("config") and agent_enabled(data):
            agent = client.get(f"{base}/agent/get-osinfo")
            form = N_("guest agent of {vmid}") if agent.good else N_("guest agent of {vmid}: {cause}; optional")
            says = said(form, vmid=vmid, cause=cause(agent))
            yield Finding(N_("agent"), "pass" if agent.good else "warn", says)


def _as_declared(vmid: int, config: Mapping[str, object], server: Server | None) -> Iterator[Finding]:
    """Whether a server has the allocation that the study says."""
    if not config or server is None:
        return
    vcpus, memory_bytes = allocation(config)
    if (vcpus, memory_bytes) != (server.vcpus, server.memory_bytes):
        says = said(
            N_("{vmid}: study.yaml says vcpus {declared}, {bytes:,.0f} MiB; the host has {vcpus}, {memory:,.0f} MiB"),
            vmid=vmid,
            vcpus=vcpus,
            memory=memory_bytes / 2**20,
            declared=server.vcpus,
            bytes=server.memory_bytes / 2**20,
        )
        yield Finding(N_("allocation"), "fail", says, said(N_("correct vcpus and memory_bytes in study.yaml")))


def _asked(client: Client, reply: Reply, what: Said) -> Finding:
    if reply.good:
        return Finding(N_("permission"), "pass", what)
    label = N_("permission") if is_permission(reply) else N_("answers")
    return Finding(label, "fail", said("{what}: {cause}", what=what, cause=cause(reply)), remedy(reply, client))
