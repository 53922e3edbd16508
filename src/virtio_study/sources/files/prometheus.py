"""Samples of virtual servers from Prometheus dumps of metrics of prometheus-pve-exporter."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.sources.files.dumps import (
    Dump,
    RawSample,
    chosen,
    dump_of,
    head,
    lines,
    number_of,
    put,
    read_pairs,
    short,
    vmid_of,
)
from virtio_study.sources.files.saved_json import documents

__all__ = ["read_prometheus"]

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
_SAMPLE = re.compile(r'([A-Za-z_:][\w:]*)?(?:\{((?:"(?:\\.|[^"\\])*"|[^"}])*)\})?\s+(\S+)(?:\s+(\S+))?(?:\s+#.*)?')
_LABEL = re.compile(r'\s*([A-Za-z_][\w.]*)\s*=\s*"((?:\\.|[^"\\])*)"\s*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")


JSON = re.compile(r"""\[|\{\s*("|$)|HTTP/""")
"""How an answer of the query API begins, also with its headers, and no text of samples."""


def read_prometheus(paths: Sequence[Path], match: Mapping[str, Collection[str]] | None = None) -> Dump:
    """Read a Prometheus dump of metrics of prometheus-pve-exporter.

    Parameters
    ----------
    paths : sequence of Path
        Each the JSON answer of `query_range`, or better of a `query` for a range (`{id="qemu/100"}[30d]`: the samples
        themselves); or text with times, as `promtool tsdb dump` and `dump-openmetrics` write it.
    match : mapping, optional
        Label -> the values of which a series must have one, for dumps in which several exporters say the same
        (`{"instance": ["pve1"]}`).

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
    servers: dict[int, dict[int, RawSample]] = {}
    nodes: dict[str, dict[int, RawSample]] = {}
    containers: set[int] = set()
    origin: dict[tuple[str, str], dict[str, str]] = {}
    for where, labels, seconds, value in (item for path in paths for item in _series(path)):
        key, thing = EXPORTED.get(labels.get("__name__", "")), labels.get("id", "")
        if key is None or not chosen(labels, match or {}):
            continue
        named = {name: text for name, text in labels.items() if len((match or {}).get(name, ())) < 2}
        first = origin.setdefault((labels["__name__"], thing), named)
        if first != named:
            raise _two_series(where, first, named)
        kind, _, name = thing.partition("/")
        stamp = round(seconds * 1000)
        if kind == "qemu":
            found = servers.setdefault(vmid_of(name, where), {})
        elif kind == "node":
            found = nodes.setdefault(name, {})
        else:
            if kind == "lxc":
                containers.add(vmid_of(name, where))
            continue
        sample = found.setdefault(stamp, {})
        if math.isfinite(value):
            put(sample, {key: value}, where)
    return dump_of(
        paths, 1e3, servers, nodes, "metric of prometheus-pve-exporter (such as pve_cpu_usage_ratio)", containers
    )


def _two_series(where: str, first: Mapping[str, str], second: Mapping[str, str]) -> DataError:
    other = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
    return DataError(
        N_(
            "{where}: two series of {metric} of {thing}, {label} {first!r} and {second!r}; choose one with --match "
            "{label}={value}"
        ),
        where=where,
        metric=second["__name__"],
        thing=second.get("id", ""),
        label=other[0],
        first=first.get(other[0]),
        second=second.get(other[0]),
        value=first.get(other[0], ""),
    )


def _series(path: Path) -> Iterator[tuple[str, dict[str, str], float, float]]:
    """Where it stands, labels with the name among them, Unix seconds and value of every sample of a dump."""
    if JSON.match(head(path).lstrip()):
        yield from _of_json(path)
        return
    for where, line in lines(path):
        if line.startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None or not (found[1] or found[2]):
            raise DataError(N_("{where} is not a Prometheus sample: {line}"), where=where, line=short(line))
        labels = {"__name__": found[1]} if found[1] else {}
        pairs, rest = read_pairs(_LABEL, found[2] or "")
        if rest.strip():
            raise DataError(N_("{where}: labels cannot be read from {text}"), where=where, text=short(rest))
        labels |= {name: _ESCAPE.sub(lambda e: {"n": "\n"}.get(e[1], e[1]), text) for name, text in pairs}
        if labels.get("__name__") not in EXPORTED:
            continue
        if found[4] is None:
            raise DataError(
                N_("{where}: the sample has no time; a scrape alone is no series: dump it from Prometheus"), where=where
            )
        yield where, labels, _seconds(found[4], where), number_of(found[3], where)


def _of_json(path: Path) -> Iterator[tuple[str, dict[str, str], float, float]]:
    for answer in documents(path):
        yield from _of_answer(path, answer)


def _of_answer(path: Path, answer: object) -> Iterator[tuple[str, dict[str, str], float, float]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, list) or not isinstance(data, dict):
        said = answer.get("error", "") if isinstance(answer, dict) else ""
        raise DataError(
            N_("{path}: no answer of Prometheus' query API (data.result is missing){error}"),
            path=path,
            error=said and f": {said}",
        )
    if data.get("resultType") != "matrix":
        raise DataError(
            N_("{path}: resultType is {kind!r}; expected 'matrix': query a range of time"),
            path=path,
            kind=str(data.get("resultType")),
        )
    for number, series in enumerate(result):
        where = f"{path}: result {number}"
        labels = series.get("metric") if isinstance(series, dict) else None
        values = series.get("values") if isinstance(series, dict) else None
        if not isinstance(labels, dict) or not isinstance(values, list):
            raise DataError(N_("{where}: expected metric and values"), where=where)
        if "__name__" not in labels:
            raise DataError(
                N_("{where}: the metric has no name; query the metric itself, not a function of it"), where=where
            )
        for item in values:
            if not isinstance(item, list) or len(item) != 2:
                raise DataError(
                    N_("{where}: {value}; expected a time and a value"), where=where, value=short(str(item))
                )
            text = {str(name): str(label) for name, label in labels.items()}
            yield where, text, _seconds(item[0], where), number_of(item[1], where)


def _seconds(value: str | float, where: str) -> float:
    """Unix seconds of a time in seconds (the API, OpenMetrics) or milliseconds (exposition text, promtool)."""
    time = number_of(value, where)
    seconds = time / 1000 if time >= 1e11 else time
    if not 1e9 <= seconds < 41e8:
        raise DataError(
            N_("{where}: time {value}; expected seconds or milliseconds since 1970"),
            where=where,
            value=short(str(value)),
        )
    return seconds
