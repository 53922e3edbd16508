"""The protocol of a new study from a live host: what the host tells of its servers, and nothing that it does not."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from virtio_study.errors import DataError
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.devices import Device, devices, is_template, models, unclassifiable
from virtio_study.pve.instruments import memory_state
from virtio_study.pve.values import Config, Sample, number, part
from virtio_study.pve.vm_config import allocation
from virtio_study.sources.api import health
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.cluster import Cluster, resources
from virtio_study.sources.api.remedies import good
from virtio_study.sources.api.rights import rights_of
from virtio_study.study import Endpoint

__all__ = ["TAIL", "TITLE", "Draft", "configs_of", "draft", "questions_of"]

TITLE = {"en": "Before and after VirtIO drivers", "es": "Antes y después de los controladores VirtIO"}

BOOTED_S = 300.0
"""Until its balloon driver is loaded, a server that has just started looks like one without."""

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "": 1}


@dataclass(frozen=True)
class Draft:
    """Text of a `study.yaml`, and what has to be known about it before it is used."""

    text: str
    notes: tuple[Said, ...]


@dataclass(frozen=True)
class _Found:
    """A server as its own configuration and status show it; `driver` whether its balloon driver answers, if known."""

    vmid: int
    node: str
    name: str
    config: Config
    devices: Sequence[Device]
    driver: bool | None

    @property
    def shape(self) -> tuple[str, str]:
        """Models of its disks and of its cards."""
        return models(self.devices, "disk"), models(self.devices, "network")


def draft(client: Client, endpoint: Endpoint, vmids: Sequence[int], words: Words = ENGLISH) -> Draft:
    """Commented `study.yaml` for servers of a host, their present devices as the configuration `before`.

    Names and allocations are those of the configurations: what pvestatd tells of a server is missing while it is down.

    Parameters
    ----------
    vmids : sequence of int
        Servers of the study.
    words : Words
        Language of the comments.

    Raises
    ------
    DataError
        If a server or its node cannot be read, one is a template, a container or has no disk, two have other devices
        than each other, or all are VirtIO already.
    """
    cluster = Cluster.of(resources(client))
    _refuse_missing(client, cluster, vmids)
    found = [_found(client, cluster, vmid) for vmid in dict.fromkeys(vmids)]
    shapes = {item.shape for item in found}
    if len(shapes) > 1:
        seen = "; ".join(f"{item.vmid}: {', '.join(item.shape)}" for item in found)
        raise DataError(
            N_("these servers have other devices than each other ({seen}); make a study for each kind"), seen=seen
        )
    work = [device for item in found for device in item.devices if device.kind in ("disk", "network")]
    done = all(device.device_class == "virtio" for device in work)
    drivers = {item.driver for item in found}
    if done and drivers != {False}:
        raise DataError(
            N_(
                "servers {listed}: disks and network cards are VirtIO already, so there is no before to "
                "record; choose others (virtio-study inventory shows them), or write the protocol by hand"
            ),
            listed=", ".join(str(item.vmid) for item in found),
        )
    names = _names(found)
    protocol = {
        **_start(client, found[0].node),
        "servers": {names[item.vmid]: _server(item, cluster.servers[item.vmid].disk_bytes) for item in found},
        "driver_configs": configs_of(*shapes.pop(), drivers.pop() if len(drivers) == 1 else None, done),
        **questions_of([*names.values()]),
        "proxmox": {"host": endpoint.host, **endpoint.model_dump(mode="json", exclude_defaults=True)},
    }
    notes = tuple(note for item in found for note in _notes(item, names[item.vmid]))
    comments = "".join(f"# {words.plain(note['message'], note['numbers'])}\n" for note in notes)
    text = yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False, width=110)
    return Draft(words.gettext(HEAD) + comments + text + words.gettext(TAIL), notes)


def _refuse_missing(client: Client, cluster: Cluster, vmids: Sequence[int]) -> None:
    """`DataError` if a number is not that of a server which is shown."""
    if containers := sorted({*vmids} & cluster.containers):
        raise DataError(
            N_("{listed}: a container has no devices of its own, so there are no drivers to change"),
            listed=", ".join(map(str, containers)),
        )
    lost = [str(vmid) for vmid in vmids if vmid not in cluster.servers]
    if lost:
        shown = ", ".join(map(str, sorted(cluster.servers))) or said(N_("none"))
        rights = rights_of(client)
        if rights and (hidden := rights.blind_spot(len(cluster.servers))):
            raise DataError(
                N_("no server {missing}; the host shows: {shown}; {hidden}; {remedy}"),
                missing=", ".join(lost),
                shown=shown,
                hidden=hidden[0],
                remedy=hidden[1],
            )
        raise DataError(N_("no server {missing}; the host shows: {shown}"), missing=", ".join(lost), shown=shown)


def _found(client: Client, cluster: Cluster, vmid: int) -> _Found:
    node = cluster.nodes[vmid]
    base = f"/nodes/{node}/qemu/{vmid}"
    config = _object(good(client.get(f"{base}/config?current=1"), said(N_("server {vmid}"), vmid=vmid), client))
    if is_template(config):
        raise DataError(N_("{vmid}: is a template, which never runs; give the number of a server"), vmid=vmid)
    kinds = devices(config)
    if not models(kinds, "disk"):
        raise DataError(N_("{vmid}: has no disk, so there is no disk driver to change"), vmid=vmid)
    name = str(config.get("name") or "")
    return _Found(vmid, node, name, config, kinds, _driver(_object(client.get(f"{base}/status/current").data)))


def _driver(status: Sample) -> bool | None:
    """Whether the balloon driver answers; None where it cannot be known, as of a server that is off, hung or new."""
    if health.state_of(status) != "running" or not number(status.get("uptime")) >= BOOTED_S:
        return None
    return memory_state(status).view == "guest"


def _object(data: object) -> Mapping[str, object]:
    return data if isinstance(data, dict) else {}


def _start(client: Client, name: str) -> dict[str, object]:
    """Title of a protocol, and its host."""
    node = _object(good(client.get(f"/nodes/{name}/status"), said(N_("the node")), client))
    version = _object(good(client.get("/version"), said(N_("the version")), client)).get("version", "")
    cpu, memory = part(node, "cpuinfo"), part(node, "memory")
    cpus, memory_bytes = number(cpu.get("cpus")), number(memory.get("total"))
    if not cpus > 0 or not memory_bytes > 0:
        raise DataError(N_("node {node}: its status tells no CPUs or no memory; run new again"), node=name)
    return {
        "title": TITLE,
        "source": "recordings",
        "host": {
            "name": name,
            "cpu_model": str(cpu.get("model", "unknown")),
            "logical_cpus": int(cpus),
            "memory_bytes": int(memory_bytes),
            "hypervisor": f"Proxmox VE {version}",
        },
    }


def configs_of(disk: str, network: str, driver: bool | None = None, done: bool = False) -> dict[str, object]:
    """Driver configurations: what there is, and VirtIO.

    What the balloon driver alone changes must not be taken for what the devices do, so it is told where known.
    """
    before: dict[str, object] = {"label": {"en": "before", "es": "antes"}, "disk": disk or None, "nic": network or None}
    after: dict[str, object] = {"label": {"en": "VirtIO", "es": "VirtIO"}, "disk": "virtio-scsi", "nic": "virtio-net"}
    return {
        "before": before | ({} if driver is None else {"balloon_driver": driver}),
        "virtio": after | ({"balloon_driver": True} if done else {}),
    }


def questions_of(names: Sequence[str]) -> dict[str, object]:
    """What is compared, and by which load."""
    return {
        "comparisons": {
            "total": {
                "before": "before",
                "after": "virtio",
                "purpose": "total",
                "with_change": ["balloon driver", "free page reporting"],
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


def _names(found: Sequence[_Found]) -> dict[int, str]:
    """Number of a server -> its name in the study; two of one name have their numbers in it."""
    plain = {item.vmid: _plain(item) for item in found}
    often = [*plain.values()]
    return {vmid: f"{name}-{vmid}" if often.count(name) > 1 else name for vmid, name in plain.items()}


def _plain(server: _Found) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in server.name.lower())
    return name.strip("-_")[:50] or f"server-{server.vmid}"


def _server(server: _Found, disk_bytes: int) -> dict[str, object]:
    name = shortened(server.name, 60) or str(server.vmid)
    vcpus, memory_bytes = allocation(server.config)
    size = _disk_bytes(server) or disk_bytes
    return {
        "vmid": server.vmid,
        "role": {"en": f"{name} (say what it does)", "es": f"{name} (diga qué hace)"},
        "vcpus": vcpus,
        "memory_bytes": memory_bytes,
        **({"disk_bytes": size} if size else {}),
        "guest_os": None,
    }


def _disk_bytes(server: _Found) -> int:
    """Size of all disks; 0 if one does not tell it."""
    disks = [str(server.config[item.key]) for item in server.devices if item.kind == "disk"]
    sizes = [re.search(r"(?:^|,)size=(\d{1,15})([KMGT]?)(?!\d)", disk) for disk in disks]
    return sum(int(size[1]) * UNITS[size[2]] for size in sizes if size) if all(sizes) else 0


def _notes(server: _Found, name: str) -> list[Said]:
    """What has to be known about a server before it is studied."""
    notes = []
    if hidden := unclassifiable(server.config):
        form = N_("{name}: {keys} in its configuration may hide a device that cannot be classified")
        notes.append(said(form, name=name, keys=hidden))
    if not _disk_bytes(server):
        notes.append(said(N_("{name}: the host does not tell the size of every disk"), name=name))
    return notes


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
#   total: {..., with_change: [balloon driver, free page reporting, agent, disk 0 iothread]}
# What Proxmox VE cannot show: a moment begins a new run, and a stretch (with an end) is left out:
# log:
#   - {server: NAME, start: 2026-11-15T10:00:00+01:00, what: balloon driver installed}
#   - {start: 2026-11-20T08:00:00+01:00, end: 2026-11-20T10:00:00+01:00, what: inventory of the warehouse}
""")
