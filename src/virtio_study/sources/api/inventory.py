"""Every server of a cluster, device by device."""

from collections.abc import Mapping

import pandas as pd

from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.sentences import english
from virtio_study.pve.devices import balloon_device, devices, is_template, unclassifiable
from virtio_study.pve.instruments import memory_state
from virtio_study.pve.values import Config, Sample, number, part
from virtio_study.sources.api import health
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.cluster import Cluster, Resource, resources

__all__ = ["inventory", "overview"]

SHOWN = ("vmid", "name", "node", "status", "template")


def inventory(client: Client) -> pd.DataFrame:
    """One row a device of every server that the token may see.

    Returns
    -------
    DataFrame
        `vmid`, `name`, `node`, `status` (as `health.state_of`, so also paused or hung), `template`, `kind` (of
        `devices.KINDS`), `key`, `model`, `device_class`, `balloon` ("off"; "device" while the server is off; or the
        name of its state in `instruments.MEMORY_STATES`; empty where it does not answer), `hidden` (keys that may hide
        a device), `error` (why its configuration or its status could not be read; without the configuration the
        device's columns are empty).

    Raises
    ------
    DataError
        If the list of servers cannot be had.
    """
    cluster = Cluster.of(resources(client))
    known = {vmid: cluster.servers[vmid] for vmid in sorted(cluster.servers)}
    bases = {vmid: f"/nodes/{item.node}/qemu/{vmid}" for vmid, item in known.items() if item.node not in cluster.off}
    replies = dict(zip(bases, client.get_all([f"{base}/config?current=1" for base in bases.values()]), strict=True))
    asked = [vmid for vmid in bases if known[vmid].status != "stopped"]
    current = dict(zip(asked, client.get_all([f"{bases[vmid]}/status/current" for vmid in asked]), strict=True))
    table = []
    for vmid, item in known.items():
        table += _rows(item, replies.get(vmid), current.get(vmid))
    columns = [*SHOWN, "kind", "key", "model", "device_class", "balloon", "hidden", "error"]
    return pd.DataFrame(table, columns=columns, dtype=object).fillna("")


def _rows(item: Resource, reply: Reply | None, told: Reply | None) -> list[dict[str, object]]:
    """Rows of a server: what the list of the cluster does not tell, as while pvestatd is silent, it tells itself."""
    about: dict[str, object] = {key: getattr(item, key) for key in SHOWN}
    if reply is None:
        return [{**about, "error": english(health.node_off(item.node)[0])}]
    if not reply.good:
        return [{**about, "error": f"{reply.status or ''} {reply.reason}".strip()}]
    config = _object(reply.data)
    status: Sample = {"time": told.time_s, **_object(told.data)} if told and told.good else {}
    about["name"] = item.name or str(config.get("name", ""))
    about["template"] = item.template or is_template(config)
    about["status"] = health.state_of(status) if status else item.status
    unheard = told is not None and not told.good
    silent = unheard or about["status"] == health.HUNG
    balloon = "" if silent and balloon_device(config) else _balloon(config, status if status.get("uptime") else {})
    why = f"{told.status or ''} {told.reason}".strip() if told and unheard else ""
    about |= {"balloon": balloon, "hidden": ", ".join(unclassifiable(config)), "error": why}
    return [
        {**about, "kind": item.kind, "key": item.key, "model": item.model, "device_class": item.device_class}
        for item in devices(config)
    ] or [about]


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
