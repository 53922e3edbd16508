"""Samples of virtual servers from InfluxDB dumps of what Proxmox VE's external metric server wrote."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.sources.files.dumps import Dump, RawSample, dump_of, lines, number_of, read_pairs, short, vmid_of

__all__ = ["read_influx"]

# A token starts with a character that no other token starts with, so that matching never goes back.
_LINE = re.compile(r'((?:\\.|[^\s\\])+) +((?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\])+)(?: +(-?\d+))? *')
_TAG = re.compile(r",((?:\\.|[^,=\\])+)=((?:\\.|[^,=\\])+)")
_FIELD = re.compile(r'((?:\\.|[^,=\s\\])+)=("(?:\\.|[^"\\])*"|[^,\s"]+)(?:,|$)')

KEPT = {"system": {"qemu"}, "ballooninfo": {"qemu"}, "cpustat": {"nodes"}}
"""Measurement -> tag `object` of the points that say something of a server's or a node's CPU and memory."""

FIELDS = {
    *("cpu", "cpus", "mem", "maxmem", "memhost", "netin", "netout", "diskread", "diskwrite", "uptime"),
    *("pressurecpusome", "pressureiosome", "pressurememorysome"),
    *("actual", "max_mem", "last_update", "total_mem", "free_mem"),
}
"""Fields that are kept; a month of a server has a quarter of a million points with forty fields."""

NANOSECONDS = (10**18, 41 * 10**17)
"""Unix times from 2001 to 2099 in nanoseconds, the precision in which Proxmox VE writes."""


def read_influx(paths: Sequence[Path]) -> Dump:
    """Read an InfluxDB line-protocol dump of what Proxmox VE's external metric server wrote.

    Parameters
    ----------
    paths : sequence of Path
        Lines as sent, or as `influx_inspect export -lponly` and `influxd inspect export-lp` give them back (one field a
        line). Times are in nanoseconds. Containers, storages and other measurements are passed over.

    Returns
    -------
    Dump
        The numbers among `FIELDS`: of servers those of measurement `system` (cpu as a share of `cpus`; netin, netout,
        diskread, diskwrite since the server's start), its `qmpstatus`, and, as `ballooninfo`, those of that name; of
        nodes of `cpustat`.

    Raises
    ------
    DataError
        If the file cannot be read, a line is not line protocol, its time is not in nanoseconds, or nothing in it is of
        Proxmox VE. The message names the line.

    References
    ----------
    pve-manager, `PVE/Status/InfluxDB.pm` and `PVE/Service/pvestatd.pm`: `system,object=qemu,vmid=...`; InfluxDB, line
    protocol reference (escapes).
    """
    servers: dict[int, dict[int, RawSample]] = {}
    balloons: dict[int, dict[int, RawSample]] = {}
    nodes: dict[str, dict[int, RawSample]] = {}
    for where, line in (item for path in paths for item in lines(path)):
        if line.startswith(("#", "CREATE ")):  # what influx_inspect writes before the points
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DataError(N_("{where} is not InfluxDB line protocol: {line}"), where=where, line=short(line))
        head, fields, time = match.groups()
        measurement = head.partition(",")[0]
        if measurement not in KEPT:
            continue
        tags = {_plain(key): _plain(value) for key, value in _TAG.findall(head)}
        if tags.get("object") not in KEPT[measurement]:
            continue
        stamp = int(time or 0)
        if not NANOSECONDS[0] <= stamp < NANOSECONDS[1]:
            raise DataError(
                N_("{where}: time {time}; expected nanoseconds since 1970, as Proxmox VE writes"),
                where=where,
                time=time or said(N_("is missing")),
            )
        if tags["object"] == "nodes":
            samples = nodes.setdefault(tags.get("host", ""), {})
        else:
            of_kind = balloons if measurement == "ballooninfo" else servers
            samples = of_kind.setdefault(vmid_of(tags.get("vmid", ""), where), {})
        samples.setdefault(stamp, {}).update(_fields(fields, where))
    for vmid, found in balloons.items():
        for stamp, info in found.items():
            servers.setdefault(vmid, {}).setdefault(stamp, {})["ballooninfo"] = info
    return dump_of(paths, 1e9, servers, nodes, "point of a Proxmox VE server (measurement system, tag object=qemu)")


def _fields(text: str, where: str) -> RawSample:
    """The fields of a point that are kept and finite, and `qmpstatus`, a text."""
    pairs, rest = read_pairs(_FIELD, text)
    if rest:
        raise DataError(N_("{where}: fields cannot be read from {text}"), where=where, text=short(rest))
    state = {name: value.strip('"') for name, value in pairs if name == "qmpstatus"}
    kept = {name: number_of(value.rstrip("iu"), f"{where}, field {name}") for name, value in pairs if name in FIELDS}
    return state | {name: number for name, number in kept.items() if math.isfinite(number)}


def _plain(text: str) -> str:
    """A name or tag without the escapes of line protocol."""
    return re.sub(r"\\([,= ])", r"\1", text) if "\\" in text else text
