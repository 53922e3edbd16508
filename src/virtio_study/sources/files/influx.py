"""Samples of virtual servers from InfluxDB dumps of what Proxmox VE's external metric server wrote."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.sources.files.dumps import (
    Dump,
    RawSample,
    chosen,
    dump_of,
    lines,
    number_of,
    put,
    read_pairs,
    short,
    vmid_of,
)

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

NODE = "nodename"
OF_THE_POINT = {"object", "vmid", "instance"}
"""Tags that do not tell one server from another of the same number."""

MOVES_NS, FEW_MOVES = 300 * 10**9, 2
"""No server is moved to another node and back within so long, more often than so."""

Tags = tuple[tuple[str, str], ...]

NANOSECONDS = (10**18, 41 * 10**17)
DIGITS = 20
"""Unix times from 2001 to 2099 in nanoseconds, the precision in which Proxmox VE writes."""


def read_influx(
    paths: Sequence[Path],
    match: Mapping[str, Collection[str]] | None = None,
    wanted: Collection[int] | None = None,
) -> Dump:
    """Read an InfluxDB line-protocol dump of what Proxmox VE's external metric server wrote.

    Parameters
    ----------
    paths : sequence of Path
        Lines as sent, or as `influx_inspect export -lponly` and `influxd inspect export-lp` give them back (one field a
        line). Times are in nanoseconds. Containers, storages and other measurements are passed over.
    match : mapping, optional
        Tag -> the values of which a server's points must have one, for buckets into which several hosts or clusters
        write (`{"nodename": ["pve1"]}`).
    wanted : collection of int, optional
        Numbers of the servers that are asked for; of others points of two servers under one number do not matter.

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
        Proxmox VE; the message names the line. If points of one number have other names, or come from two nodes by
        turns: several hosts write into the bucket, or the number was given to another server. A server that moves from
        node to node is one.

    References
    ----------
    pve-manager, `PVE/Status/InfluxDB.pm` and `PVE/Service/pvestatd.pm`: `system,object=qemu,vmid=...`; InfluxDB, line
    protocol reference (escapes).
    """
    series, nodes, containers = _read(paths, match or {})
    listed = {name for name, values in (match or {}).items() if len(values) > 1}
    servers = {
        vmid: _as_one(vmid, of_names, listed, wanted is None or vmid in wanted) for vmid, of_names in series.items()
    }
    expected = "point of a Proxmox VE server (measurement system, tag object=qemu)"
    return dump_of(paths, 1e9, servers, nodes, expected, containers)


def _read(
    paths: Sequence[Path], match: Mapping[str, Collection[str]]
) -> tuple[dict[int, dict[Tags, dict[int, RawSample]]], dict[str, dict[int, RawSample]], set[int]]:
    """Samples of servers by number, names and moment; of nodes by name and moment; and the numbers of containers."""
    series: dict[int, dict[Tags, dict[int, RawSample]]] = {}
    nodes: dict[str, dict[int, RawSample]] = {}
    containers: set[int] = set()
    for where, line in (item for path in paths for item in lines(path)):
        if line.startswith(("#", "CREATE ")):  # what influx_inspect writes before the points
            continue
        head, fields, time = _parts(line, where)
        measurement, tags, named = _names(head)
        if measurement == "system" and tags.get("object") == "lxc":
            containers.add(vmid_of(tags.get("vmid", ""), where))
        if tags.get("object") not in KEPT.get(measurement, ()):
            continue
        stamp = _stamp(time, where)
        values = _fields(fields, where)
        if tags["object"] == "nodes":
            put(nodes.setdefault(tags.get("host", ""), {}).setdefault(stamp, {}), values, where)
        elif chosen(tags, match):
            of_names = series.setdefault(vmid_of(tags.get("vmid", ""), where), {})
            sample = of_names.setdefault(named, {}).setdefault(stamp, {})
            put(sample.setdefault("ballooninfo", {}) if measurement == "ballooninfo" else sample, values, where)
    return series, nodes, containers


def _parts(line: str, where: str) -> tuple[str, str, str | None]:
    """Measurement with tags, fields and time of a line, as texts."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise DataError(N_("{where} is not InfluxDB line protocol: {line}"), where=where, line=short(line))
    return match[1], match[2], match[3]


def _stamp(time: str | None, where: str) -> int:
    stamp = int(time) if time and len(time) < DIGITS else 0
    if not NANOSECONDS[0] <= stamp < NANOSECONDS[1]:
        raise DataError(
            N_("{where}: time {time}; expected nanoseconds since 1970, as Proxmox VE writes"),
            where=where,
            time=short(time) if time else said(N_("is missing")),
        )
    return stamp


@cache
def _names(head: str) -> tuple[str, dict[str, str], Tags]:
    """Measurement and tags of a point, and those that tell one server from another."""
    measurement = head.partition(",")[0]
    if measurement not in KEPT:
        return measurement, {}, ()
    tags = {_plain(key): _plain(value) for key, value in _TAG.findall(head)}
    return measurement, tags, tuple(sorted((name, text) for name, text in tags.items() if name not in OF_THE_POINT))


def _as_one(
    vmid: int, of_names: Mapping[Tags, Mapping[int, RawSample]], listed: Collection[str], asked: bool
) -> dict[int, RawSample]:
    """Samples of one number under several names, put together if they may be of one server.

    `listed` are tags of which several values were asked for.
    """
    found = [(dict(names), samples) for names, samples in of_names.items()]
    for place, (names, samples) in enumerate(found if asked else []):
        for others, earlier in found[:place]:
            differing = sorted(name for name in {*names, *others} if names.get(name) != others.get(name))
            apart = [name for name in differing if name not in {*listed, NODE}]
            if apart or (NODE not in listed and _by_turns(earlier, samples)):
                raise _two_servers(vmid, (apart or differing)[0], others, names)
    joined: dict[int, RawSample] = {}
    for samples in of_names.values():
        joined |= samples
    return joined


def _by_turns(one: Collection[int], other: Collection[int]) -> bool:
    """Whether moments of two are mixed as no server moves between nodes: there and back in minutes, again and again."""
    moments = sorted([(stamp, False) for stamp in one] + [(stamp, True) for stamp in other])
    turns = [stamp for (_, before), (stamp, after) in pairwise(moments) if before != after]
    return sum(later - earlier < MOVES_NS for earlier, later in pairwise(turns)) > FEW_MOVES


def _two_servers(vmid: int, tag: str, first: Mapping[str, str], second: Mapping[str, str]) -> DataError:
    return DataError(
        N_(
            "points of two servers have the number {vmid}, {tag} {first!r} and {second!r}; choose one with --match "
            "{tag}={value} (or list all names of a server that was renamed)"
        ),
        vmid=str(vmid),
        tag=tag,
        first=first.get(tag),
        second=second.get(tag),
        value=first.get(tag, ""),
    )


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
