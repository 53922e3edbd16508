"""Every server of a cluster, device by device, and a first protocol written from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from virtio_study.errors import DataError
from virtio_study.i18n.labels import shortened
from virtio_study.pve.devices import balloon_device, devices, models, unclassifiable
from virtio_study.pve.instruments import memory_state
from virtio_study.sources.api.client import Client, good, nodes_of, servers_of
from virtio_study.study import Endpoint

__all__ = ["draft", "inventory", "overview"]

GIB = 2**30


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
    resources = good(client.get("/cluster/resources"), "the list of servers")
    nodes = nodes_of(resources)
    known = servers_of(resources)
    bases = {vmid: f"/nodes/{node}/qemu/{vmid}" for vmid, node in sorted(nodes.items())}
    replies = client.get_all([f"{base}/config?current=1" for base in bases.values()])
    running = [vmid for vmid in bases if known[vmid].get("status") == "running"]
    current = dict(zip(running, client.get_all([f"{bases[vmid]}/status/current" for vmid in running]), strict=True))
    table = []
    for (vmid, node), reply in zip(sorted(nodes.items()), replies, strict=True):
        row = known[vmid]
        about = {
            "vmid": vmid,
            "name": str(row.get("name", "")),
            "node": node,
            "status": str(row.get("status", "")),
            "template": bool(row.get("template")),
        }
        if not reply.good:
            table.append({**about, "error": f"{reply.status or ''} {reply.reason}".strip()})
            continue
        told = current[vmid] if vmid in current and current[vmid].good else None
        status = {"time": told.time_s, **told.data} if told and isinstance(told.data, dict) else None
        about |= {"balloon": _balloon(reply.data, status), "hidden": ", ".join(unclassifiable(reply.data)), "error": ""}
        table += [
            {**about, "kind": item.kind, "key": item.key, "model": item.model, "device_class": item.device_class}
            for item in devices(reply.data)
        ] or [about]
    columns = [
        "vmid",
        "name",
        "node",
        "status",
        "template",
        "kind",
        "key",
        "model",
        "device_class",
        "balloon",
        "hidden",
    ]
    return pd.DataFrame(table, columns=[*columns, "error"]).fillna("")


def _balloon(config: Mapping[str, Any], status: Mapping[str, Any] | None) -> str:
    if not balloon_device(config):
        return "off"
    if not status:
        return "device"
    info = status.get("ballooninfo")
    updated = info.get("last_update") if isinstance(info, Mapping) else None
    return memory_state(status, status["time"] - updated if isinstance(updated, int | float) else 0.0).name


def overview(table: pd.DataFrame) -> pd.DataFrame:
    """One row a server of an `inventory`: number, name, status, its disks and cards with their classes, and balloon."""
    rows = []
    for vmid, group in table.groupby("vmid", sort=True):
        first = group.iloc[0]
        row = {"vmid": vmid, "name": first["name"], "status": first["status"]}
        for kind in ("disk", "network"):
            seen = group[group["kind"].eq(kind)].drop_duplicates(["model", "device_class"])
            row[kind] = ", ".join(
                f"{model} ({of})" for model, of in zip(seen["model"], seen["device_class"], strict=True)
            )
        rows.append({**row, "balloon": first["balloon"], "error": first["error"]})
    return pd.DataFrame(rows)


def draft(client: Client, endpoint: Endpoint, vmids: Sequence[int]) -> str:
    """Text of a commented `study.yaml` for servers of a host, their present devices as the configuration `before`.

    Parameters
    ----------
    vmids : sequence of int
        Servers of the study.

    Raises
    ------
    DataError
        If a server or its node cannot be read, two have other devices than each other, or all are VirtIO already.
    """
    resources = good(client.get("/cluster/resources"), "the list of servers")
    nodes = nodes_of(resources)
    rows = servers_of(resources)
    lost = [str(vmid) for vmid in vmids if vmid not in nodes]
    if lost:
        raise DataError(f"no server {', '.join(lost)}; the host shows: {', '.join(map(str, sorted(nodes))) or 'none'}")
    node = good(client.get(f"/nodes/{nodes[vmids[0]]}/status"), "the node")
    kinds, states = {}, set()
    for vmid in vmids:
        base = f"/nodes/{nodes[vmid]}/qemu/{vmid}"
        kinds[vmid] = devices(good(client.get(f"{base}/config?current=1"), f"server {vmid}"))
        status = client.get(f"{base}/status/current")
        running = isinstance(status.data, dict) and status.data.get("status") == "running"
        states |= {memory_state(status.data).view == "guest"} if running else set()
    shapes = {(models(found, "disk"), models(found, "network")) for found in kinds.values()}
    if len(shapes) > 1:
        seen = "; ".join(f"{vmid}: {models(f, 'disk')}, {models(f, 'network')}" for vmid, f in kinds.items())
        raise DataError(f"these servers have other devices than each other ({seen}); make a study for each kind")
    done = all(item.device_class == "virtio" for f in kinds.values() for item in f if item.kind in ("disk", "network"))
    if done and states != {False}:
        listed = ", ".join(map(str, vmids))
        raise DataError(
            f"servers {listed}: disks and network cards are VirtIO already, so there is no before to record; choose "
            "others (virtio-study inventory shows them), or write the protocol by hand"
        )
    version = str(good(client.get("/version"), "the version").get("version", ""))
    protocol = _protocol([rows[vmid] for vmid in vmids], node, version, *shapes.pop())
    protocol["host"]["name"] = nodes[vmids[0]]
    if len(states) == 1:  # what the balloon driver alone changes must not be taken for what the devices do
        protocol["driver_configs"]["before"]["balloon_driver"] = states.pop()
    if done:
        protocol["driver_configs"]["virtio"]["balloon_driver"] = True
    protocol["proxmox"] = {"host": endpoint.host, **endpoint.model_dump(mode="json", exclude_defaults=True)}
    return HEAD + yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False, width=110) + TAIL


def _protocol(
    rows: Sequence[Mapping[str, Any]], node: Mapping[str, Any], version: str, disk: str, network: str
) -> dict[str, Any]:
    cpu = node.get("cpuinfo") or {}
    load = [
        {"column": "disk_read_bytes_per_s", "margin": 0.1},
        {"column": "net_in_bytes_per_s", "margin": 0.1},
    ]
    return {
        "title": {"en": "Before and after VirtIO drivers", "es": "Antes y después de los controladores VirtIO"},
        "source": "recordings",
        "host": {
            "name": "",
            "cpu_model": str(cpu.get("model", "unknown")),
            "logical_cpus": int(cpu.get("cpus") or 1),
            "memory_bytes": int((node.get("memory") or {}).get("total") or 1),
            "hypervisor": f"Proxmox VE {version}",
        },
        "servers": {_name(row): _server(row) for row in rows},
        "driver_configs": {
            "before": {"label": {"en": "before", "es": "antes"}, "disk": disk or None, "nic": network or None},
            "virtio": {"label": {"en": "VirtIO", "es": "VirtIO"}, "disk": "virtio-scsi", "nic": "virtio-net"},
        },
        "comparisons": {
            "total": {
                "before": "before",
                "after": "virtio",
                "purpose": "total",
                "question": {"en": "What does the whole change do?", "es": "¿Qué hace el cambio completo?"},
            }
        },
        "metrics": ["cpu", "mem_displayed", "mem_host"],
        "load": {_name(row): [dict(item) for item in load] for row in rows},
        "seed": 1,
    }


def _name(row: Mapping[str, Any]) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in str(row.get("name", "")).lower())
    name = name.strip("-_")[:50]
    return name or f"server-{row['vmid']}"


def _server(row: Mapping[str, Any]) -> dict[str, Any]:
    said = shortened(str(row.get("name", "")), 60) or str(row["vmid"])
    return {
        "vmid": int(row["vmid"]),
        "role": {"en": f"{said} (say what it does)", "es": f"{said} (diga qué hace)"},
        "vcpus": int(row.get("maxcpu") or 1),
        "memory_bytes": int(row.get("maxmem") or GIB),
        "disk_bytes": max(1, int(row.get("maxdisk") or 1)),
        "guest_os": None,
    }


HEAD = """\
# A protocol made from what the host showed. Read it, say what each server does, and set guest_os to linux or windows:
# the meaning of free memory depends on it. The token is never written here.
"""
TAIL = """\
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
"""
