"""Samples of virtual servers from dumps of Prometheus and InfluxDB, in the keys of Proxmox VE's own API.

Both carry what `pvestatd` measured: the exporter asks `/cluster/resources`, and Proxmox' own external metric server
sends the whole status of every server. Counters stay counters here; `sources.rows` makes rates of them.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtio_study.errors import DataError

__all__ = ["Dump", "Sample", "read_influx", "read_prometheus"]

Sample = dict[str, Any]
"""What was known of a server or node at a `time` (Unix seconds): the keys and units of `status/current`."""


@dataclass(frozen=True)
class Dump:
    """Samples of a dump in order of time: of servers by vmid, of nodes by name."""

    servers: dict[int, list[Sample]] = field(default_factory=dict)
    nodes: dict[str, list[Sample]] = field(default_factory=dict)


EXPORTED: dict[str, str] = {
    "pve_cpu_usage_ratio": "cpu",
    "pve_cpu_usage_limit": "maxcpu",
    "pve_memory_usage_bytes": "mem",
    "pve_memory_size_bytes": "maxmem",
    "pve_network_receive_bytes": "netin",
    "pve_network_receive_bytes_total": "netin",
    "pve_network_transmit_bytes": "netout",
    "pve_network_transmit_bytes_total": "netout",
    "pve_disk_read_bytes": "diskread",
    "pve_disk_read_bytes_total": "diskread",
    "pve_disk_write_bytes": "diskwrite",
    "pve_disk_written_bytes_total": "diskwrite",
    "pve_uptime_seconds": "uptime",
}
"""Metric of prometheus-pve-exporter -> key of the API (`collector/cluster.py`, the same since its version 1)."""

# A token starts with a character that no other token starts with, so that matching never goes back.
_LINE = re.compile(r'((?:\\.|[^\s\\])+) +((?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\])+)(?: +(-?\d+))? *')
_TAG = re.compile(r",((?:\\.|[^,=\\])+)=((?:\\.|[^,=\\])+)")
_FIELD = re.compile(r'((?:\\.|[^,=\s\\])+)=("(?:\\.|[^"\\])*"|[^,\s"]+)(?:,|$)')
_SAMPLE = re.compile(r'([A-Za-z_:][\w:]*)?(?:\{((?:"(?:\\.|[^"\\])*"|[^"}])*)\})?\s+(\S+)(?:\s+(\S+))?(?:\s+#.*)?')
_LABEL = re.compile(r'\s*([A-Za-z_][\w.]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")

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
        diskread, diskwrite since the server's start) and, as `ballooninfo`, those of that name; of nodes of `cpustat`.

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
    servers: dict[int, dict[int, Sample]] = {}
    nodes: dict[str, dict[int, Sample]] = {}
    for where, line in (item for path in paths for item in _lines(path)):
        if line.startswith(("#", "CREATE ")):  # what influx_inspect writes before the points
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise DataError(f"{where} is not InfluxDB line protocol: {_short(line)}")
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
                f"{where}: time {time or 'is missing'}; expected nanoseconds since 1970, as Proxmox VE writes"
            )
        values = _fields(fields, where)
        if tags["object"] == "nodes":
            sample = nodes.setdefault(tags.get("host", ""), {}).setdefault(stamp, {})
        else:
            sample = servers.setdefault(_vmid(tags.get("vmid", ""), where), {}).setdefault(stamp, {})
        if measurement == "ballooninfo":
            sample.setdefault("ballooninfo", {}).update(values)
        else:
            sample.update(values)
    return _dump(paths, 1e9, servers, nodes, "point of a Proxmox VE server (measurement system, tag object=qemu)")


def read_prometheus(paths: Sequence[Path], match: Mapping[str, str] | None = None) -> Dump:
    """Read a Prometheus dump of metrics of prometheus-pve-exporter.

    Parameters
    ----------
    paths : sequence of Path
        Each the JSON answer of `query_range`, or better of a `query` for a range (`{id="qemu/100"}[30d]`: the samples
        themselves); or text with times, as `promtool tsdb dump` and `dump-openmetrics` write it.
    match : dict, optional
        Labels that a series must have, for dumps in which several exporters say the same (`{"instance": "pve1"}`).

    Returns
    -------
    Dump
        In the API's keys. The exporter knows neither `memhost` nor balloon statistics, so that nothing in such a dump
        says what made `mem`.

    Raises
    ------
    DataError
        If the file cannot be read, a line or series is wrong, a sample has no time, two series tell of the same metric
        of the same server, or no metric of the exporter is in it.

    References
    ----------
    prometheus-pve-exporter, `src/pve_exporter/collector/cluster.py`; Prometheus, HTTP API and exposition formats.
    """
    servers: dict[int, dict[int, Sample]] = {}
    nodes: dict[str, dict[int, Sample]] = {}
    origin: dict[tuple[str, str], dict[str, str]] = {}
    for where, labels, seconds, value in (item for path in paths for item in _series(path)):
        key, thing = EXPORTED.get(labels.get("__name__", "")), labels.get("id", "")
        if key is None or any(labels.get(name) != text for name, text in (match or {}).items()):
            continue
        first = origin.setdefault((labels["__name__"], thing), labels)
        if first != labels:
            other = sorted(name for name in {*first, *labels} if first.get(name) != labels.get(name))
            raise DataError(
                f"{where}: two series of {labels['__name__']} of {thing}, {other[0]} {first.get(other[0])!r} and "
                f"{labels.get(other[0])!r}; choose one with --match {other[0]}={first.get(other[0], '')}"
            )
        kind, _, name = thing.partition("/")
        stamp = round(seconds * 1000)
        if kind == "qemu":
            found = servers.setdefault(_vmid(name, where), {})
        elif kind == "node":
            found = nodes.setdefault(name, {})
        else:
            continue
        sample = found.setdefault(stamp, {})
        if math.isfinite(value):
            sample[key] = value
    return _dump(paths, 1e3, servers, nodes, "metric of prometheus-pve-exporter (such as pve_cpu_usage_ratio)")


def _series(path: Path) -> Iterator[tuple[str, dict[str, str], float, float]]:
    """Where it stands, labels with the name among them, Unix seconds and value of every sample of a dump."""
    first = next((line for _, line in _lines(path)), "")
    if re.match(r"""\[|\{\s*("|$)""", first):
        yield from _of_json(path)
        return
    for where, line in _lines(path):
        if line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None or not (found[1] or found[2]):
            raise DataError(f"{where} is not a Prometheus sample: {_short(line)}")
        labels = {"__name__": found[1]} if found[1] else {}
        pairs, rest = _tokens(_LABEL, found[2] or "")
        if rest.strip():
            raise DataError(f"{where}: labels cannot be read from {_short(rest)}")
        labels |= {name: _ESCAPE.sub(lambda e: {"n": "\n"}.get(e[1], e[1]), text) for name, text in pairs}
        if labels.get("__name__") not in EXPORTED:
            continue
        if found[4] is None:
            raise DataError(f"{where}: the sample has no time; a scrape alone is no series: dump it from Prometheus")
        yield where, labels, _seconds(found[4], where), _number(found[3], where)


def _of_json(path: Path) -> Iterator[tuple[str, dict[str, str], float, float]]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {_short(str(error))}") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, list) or data is None:
        said = answer.get("error", "") if isinstance(answer, dict) else ""
        raise DataError(f"{path}: no answer of Prometheus' query API (data.result is missing){said and f': {said}'}")
    if data.get("resultType") != "matrix":
        raise DataError(f"{path}: resultType is {data.get('resultType')!r}; expected 'matrix': query a range of time")
    for number, series in enumerate(result):
        where = f"{path}: result {number}"
        labels = series.get("metric") if isinstance(series, dict) else None
        values = series.get("values") if isinstance(series, dict) else None
        if not isinstance(labels, dict) or not isinstance(values, list):
            raise DataError(f"{where}: expected metric and values")
        if "__name__" not in labels:
            raise DataError(f"{where}: the metric has no name; query the metric itself, not a function of it")
        for item in values:
            if not isinstance(item, list) or len(item) != 2:
                raise DataError(f"{where}: {_short(str(item))}; expected a time and a value")
            text = {str(name): str(label) for name, label in labels.items()}
            yield where, text, _seconds(item[0], where), _number(item[1], where)


def _dump(
    paths: Sequence[Path],
    scale: float,
    servers: dict[int, dict[int, Sample]],
    nodes: dict[str, dict[int, Sample]],
    expected: str,
) -> Dump:
    if not servers:
        raise DataError(f"{', '.join(map(str, paths))}: no {expected} in it")

    def ordered(rows: dict[int, Sample]) -> list[Sample]:
        return [rows[stamp] | {"time": stamp / scale} for stamp in sorted(rows)]

    return Dump(
        {vmid: ordered(rows) for vmid, rows in sorted(servers.items())},
        {name: ordered(rows) for name, rows in sorted(nodes.items())},
    )


def _open(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where it stands and text of every line that is not empty."""
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}: line {number}", line.strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); is it compressed?") from error


def _fields(text: str, where: str) -> Sample:
    """The fields of a point that are kept and finite."""
    pairs, rest = _tokens(_FIELD, text)
    if rest:
        raise DataError(f"{where}: fields cannot be read from {_short(rest)}")
    kept = {name: _number(value.rstrip("iu"), f"{where}, field {name}") for name, value in pairs if name in FIELDS}
    return {name: number for name, number in kept.items() if math.isfinite(number)}


def _tokens(pattern: re.Pattern[str], text: str) -> tuple[list[tuple[str, str]], str]:
    """Pairs of a list of them, and what follows that is none."""
    pairs, place = [], 0
    while place < len(text) and (match := pattern.match(text, place)):
        pairs.append((match[1], match[2]))
        place = match.end()
    return pairs, text[place:]


def _plain(text: str) -> str:
    """A name or tag without the escapes of line protocol."""
    return re.sub(r"\\([,= ])", r"\1", text) if "\\" in text else text


def _vmid(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{3,9}", text):
        raise DataError(f"{where}: {text!r} is not the number of a server; expected vmid 100 to 999999999")
    return int(text)


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: {_short(str(value))} is not a number") from error


def _seconds(value: Any, where: str) -> float:
    """Unix seconds of a time in seconds (the API, OpenMetrics) or milliseconds (exposition text, promtool)."""
    time = _number(value, where)
    seconds = time / 1000 if time >= 1e11 else time
    if not 1e9 <= seconds < 41e8:
        raise DataError(f"{where}: time {_short(str(value))}; expected seconds or milliseconds since 1970")
    return seconds


def _short(text: str) -> str:
    """The start of a text for a message, on one line."""
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
