"""Every server of a cluster, device by device, and a first protocol written from it."""

from collections.abc import Mapping, Sequence

import pandas as pd
import yaml

from virtio_study.errors import DataError
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.pve.devices import balloon_device, devices, models, unclassifiable
from virtio_study.pve.instruments import memory_state
from virtio_study.pve.values import Config, Sample, number, part
from virtio_study.sources.api.client import Client, good
from virtio_study.sources.api.cluster import RESOURCES, Cluster, Resource
from virtio_study.study import Endpoint

__all__ = ["draft", "inventory", "overview"]

GIB = 2**30
SHOWN = ("vmid", "name", "node", "status", "template")


def inventory(client: Client) -> pd.DataFrame:
    """One row a device of every server that the token may see.

    Returns
    -------
    DataFrame
        `vmid`, `name`, `node`, `status`, `template`, `kind` (of `devices.KINDS`), `key`, `model`, `device_class`,
        `balloon` ("off"; "device" while the server is off; or the name of its state in `instruments.MEMORY_STATES`),
        `hidden` (keys that may hide a device), `error` (why a server's configuration could not be read; then the
        device's columns are empty).

    Raises
    ------
    DataError
        If the list of servers cannot be had.
    """
    known = _cluster(client).servers
    bases = {vmid: f"/nodes/{known[vmid].node}/qemu/{vmid}" for vmid in sorted(known)}
    replies = client.get_all([f"{base}/config?current=1" for base in bases.values()])
    running = [vmid for vmid in bases if known[vmid].status == "running"]
    current = dict(zip(running, client.get_all([f"{bases[vmid]}/status/current" for vmid in running]), strict=True))
    table = []
    for vmid, reply in zip(bases, replies, strict=True):
        about: dict[str, object] = {key: getattr(known[vmid], key) for key in SHOWN}
        if not reply.good:
            table.append({**about, "error": f"{reply.status or ''} {reply.reason}".strip()})
            continue
        config = _object(reply.data)
        told = current[vmid] if vmid in current and current[vmid].good else None
        status = {"time": told.time_s, **told.data} if told and isinstance(told.data, dict) else {}
        about |= {"balloon": _balloon(config, status), "hidden": ", ".join(unclassifiable(config)), "error": ""}
        table += [
            {**about, "kind": item.kind, "key": item.key, "model": item.model, "device_class": item.device_class}
            for item in devices(config)
        ] or [about]
    columns = [*SHOWN, "kind", "key", "model", "device_class", "balloon", "hidden", "error"]
    return pd.DataFrame(table, columns=columns).fillna("")


def _cluster(client: Client) -> Cluster:
    return Cluster.of(good(client.get(RESOURCES), said(N_("the list of servers"))))


def _object(data: object) -> Mapping[str, object]:
    return data if isinstance(data, dict) else {}


def _balloon(config: Config, status: Sample) -> str:
    if not balloon_device(config):
        return "off"
    if not status:
        return "device"
    updated = part(status, "ballooninfo").get("last_update")
    age_s = number(status["time"]) - updated if isinstance(updated, int | float) else 0.0
    return memory_state(status, age_s).name


def overview(table: pd.DataFrame, words: Words = ENGLISH) -> pd.DataFrame:
    """One row a server of an `inventory`: number, name, status, its disks and cards with their classes, and balloon."""
    rows = []
    for vmid, group in table.groupby("vmid", sort=True):
        first = group.iloc[0]
        row = {"vmid": vmid, "name": first["name"], "status": first["status"]}
        for kind in ("disk", "network"):
            seen = group[group["kind"].eq(kind)].drop_duplicates(["model", "device_class"])
            row[kind] = ", ".join(
                f"{model} ({words.term('class', of)})"
                for model, of in zip(seen["model"], seen["device_class"], strict=True)
            )
        rows.append({**row, "balloon": first["balloon"], "error": first["error"]})
    return pd.DataFrame(rows)


def draft(client: Client, endpoint: Endpoint, vmids: Sequence[int], words: Words = ENGLISH) -> str:
    """Text of a commented `study.yaml` for servers of a host, their present devices as the configuration `before`.

    Parameters
    ----------
    vmids : sequence of int
        Servers of the study.
    words : Words
        Language of the comments.

    Raises
    ------
    DataError
        If a server or its node cannot be read, two have other devices than each other, or all are VirtIO already.
    """
    cluster = _cluster(client)
    lost = [str(vmid) for vmid in vmids if vmid not in cluster.servers]
    if lost:
        shown = ", ".join(map(str, sorted(cluster.servers))) or said(N_("none"))
        raise DataError(N_("no server {missing}; the host shows: {shown}"), missing=", ".join(lost), shown=shown)
    node = _object(good(client.get(f"/nodes/{cluster.nodes[vmids[0]]}/status"), said(N_("the node"))))
    kinds, views = {}, set()
    for vmid in vmids:
        base = f"/nodes/{cluster.nodes[vmid]}/qemu/{vmid}"
        kinds[vmid] = devices(
            _object(good(client.get(f"{base}/config?current=1"), said(N_("server {vmid}"), vmid=vmid)))
        )
        status = _object(client.get(f"{base}/status/current").data)
        views |= {memory_state(status).view} if status.get("status") == "running" else set()
    shapes = {(models(found, "disk"), models(found, "network")) for found in kinds.values()}
    if len(shapes) > 1:
        seen = "; ".join(f"{vmid}: {models(f, 'disk')}, {models(f, 'network')}" for vmid, f in kinds.items())
        raise DataError(
            N_("these servers have other devices than each other ({seen}); make a study for each kind"), seen=seen
        )
    done = all(item.device_class == "virtio" for f in kinds.values() for item in f if item.kind in ("disk", "network"))
    drivers = {view == "guest" for view in views}
    if done and drivers != {False}:
        listed = ", ".join(map(str, vmids))
        raise DataError(
            N_(
                "servers {listed}: disks and network cards are VirtIO already, so there is no before to "
                "record; choose others (virtio-study inventory shows them), or write the protocol by hand"
            ),
            listed=listed,
        )
    version = _object(good(client.get("/version"), said(N_("the version")))).get("version", "")
    protocol = {
        **_start(f"Proxmox VE {version}", cluster.nodes[vmids[0]], node),
        "servers": {_name(cluster.servers[vmid]): _server(cluster.servers[vmid]) for vmid in vmids},
        "driver_configs": _configs(*shapes.pop(), drivers.pop() if len(drivers) == 1 else None, done),
        **_questions([_name(cluster.servers[vmid]) for vmid in vmids]),
        "proxmox": {"host": endpoint.host, **endpoint.model_dump(mode="json", exclude_defaults=True)},
    }
    text = yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False, width=110)
    return words.gettext(HEAD) + text + words.gettext(TAIL)


def _start(hypervisor: str, name: str, node: Mapping[str, object]) -> dict[str, object]:
    """Title of a protocol, and its host."""
    cpu, memory = part(node, "cpuinfo"), part(node, "memory")
    return {
        "title": {"en": "Before and after VirtIO drivers", "es": "Antes y después de los controladores VirtIO"},
        "source": "recordings",
        "host": {
            "name": name,
            "cpu_model": str(cpu.get("model", "unknown")),
            "logical_cpus": int(number(cpu.get("cpus") or 1)),
            "memory_bytes": int(number(memory.get("total") or 1)),
            "hypervisor": hypervisor,
        },
    }


def _configs(disk: str, network: str, driver: bool | None, done: bool) -> dict[str, object]:
    """Driver configurations: what there is, and VirtIO.

    What the balloon driver alone changes must not be taken for what the devices do, so it is told where known.
    """
    before: dict[str, object] = {"label": {"en": "before", "es": "antes"}, "disk": disk or None, "nic": network or None}
    after: dict[str, object] = {"label": {"en": "VirtIO", "es": "VirtIO"}, "disk": "virtio-scsi", "nic": "virtio-net"}
    return {
        "before": before | ({} if driver is None else {"balloon_driver": driver}),
        "virtio": after | ({"balloon_driver": True} if done else {}),
    }


def _questions(names: Sequence[str]) -> dict[str, object]:
    """What is compared, and by which load."""
    return {
        "comparisons": {
            "total": {
                "before": "before",
                "after": "virtio",
                "purpose": "total",
                "question": {"en": "What does the whole change do?", "es": "¿Qué hace el cambio completo?"},
            }
        },
        "metrics": ["cpu", "mem_displayed", "mem_host"],
        "load": {
            name: [{"column": column, "margin": 0.1} for column in ("disk_read_bytes_per_s", "net_in_bytes_per_s")]
            for name in names
        },
        "seed": 1,
    }


def _name(server: Resource) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in server.name.lower())
    return name.strip("-_")[:50] or f"server-{server.vmid}"


def _server(server: Resource) -> dict[str, object]:
    said = shortened(server.name, 60) or str(server.vmid)
    return {
        "vmid": server.vmid,
        "role": {"en": f"{said} (say what it does)", "es": f"{said} (diga qué hace)"},
        "vcpus": server.vcpus or 1,
        "memory_bytes": server.memory_bytes or GIB,
        "disk_bytes": server.disk_bytes or 1,
        "guest_os": None,
    }


HEAD = N_("""\
# A protocol made from what the host showed. Read it, say what each server does, and set guest_os to linux or windows:
# the meaning of free memory depends on it. The token is never written here.
""")
TAIL = N_("""\
# When the change is done, say when each configuration was in force (or let virtio-study watch find it):
# windows:
#   - {server: NAME, driver_config: before, start: 2026-11-01T00:00:00+01:00, end: 2026-11-15T00:00:00+01:00}
#   - {server: NAME, driver_config: virtio, start: 2026-11-16T00:00:00+01:00, end: 2026-11-30T00:00:00+01:00}
# What you change together with the devices on purpose goes into the comparison, or the report does not believe it:
#   total: {..., with_change: [agent, disk 0 iothread]}
# What Proxmox VE cannot show: a moment begins a new run, and a stretch (with an end) is left out:
# log:
#   - {server: NAME, start: 2026-11-15T10:00:00+01:00, what: balloon driver installed}
#   - {start: 2026-11-20T08:00:00+01:00, end: 2026-11-20T10:00:00+01:00, what: inventory of the warehouse}
""")
