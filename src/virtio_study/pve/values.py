"""Values as Proxmox VE's API gives them: numbers that may be written as text, keys that may be missing."""

import math
import re
from collections.abc import Mapping

__all__ = [
    "COUNTED",
    "COUNTERS",
    "RRD_COLUMNS",
    "VMID",
    "Config",
    "Sample",
    "measured",
    "number",
    "part",
    "seconds",
    "vmid_in",
]

Config = Mapping[str, object]
"""A server's configuration: key -> text or number."""

Sample = Mapping[str, object]
"""A row or an answer with measured values, in the API's own keys and as it came; a value that is not known has none."""

RRD_COLUMNS: dict[str, str] = {
    "maxcpu": "cpu_allocated_cores",
    "mem": "mem_displayed_bytes",
    "memhost": "mem_host_bytes",
    "maxmem": "mem_allocated_bytes",
    "diskread": "disk_read_bytes_per_s",
    "diskwrite": "disk_write_bytes_per_s",
    "netin": "net_in_bytes_per_s",
    "netout": "net_out_bytes_per_s",
    "pressurecpusome": "pressure_cpu_some_percent",
    "pressureiosome": "pressure_io_some_percent",
    "pressurememorysome": "pressure_memory_some_percent",
}
"""Key of an rrddata row -> column of the schema in the same unit; `cpu` is a share of `maxcpu` and becomes cores."""

COUNTERS = ("diskread", "diskwrite", "netin", "netout")
COUNTED = tuple(RRD_COLUMNS[key] for key in COUNTERS)

VMID = "[1-9][0-9]{2,8}"
"""Pattern of a server's number, 100 to 999999999, as Proxmox VE writes it."""

LARGEST = 2.0**64
"""No counter of a host goes further."""


def number(value: object) -> float:
    """A finite number that may be written as text (old versions of Proxmox VE do), NaN for nothing.

    Raises
    ------
    ValueError
        If it is anything else, or larger than any counter.
    """
    found = measured(value)
    if abs(found) >= LARGEST:
        raise ValueError(value)
    return found


def measured(value: object) -> float:
    """As `number`; what is larger than any counter becomes the largest, which no bound of a measurement lets pass."""
    if value is None or value == "":
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    if isinstance(value, str) and ("_" in value or not value.isascii()):  # what Python alone takes for digits
        raise ValueError(value)
    try:
        found = float(value)
    except OverflowError:
        found = LARGEST if int(value) > 0 else -LARGEST
    return max(-LARGEST, min(LARGEST, found)) if math.isfinite(found) else math.nan


def seconds(value: object) -> float | None:
    """A positive number of seconds, which may be written as text; None for anything else."""
    try:
        found = number(value)
    except ValueError:
        return None
    return found if 0 < found < 1e10 else None


def vmid_in(value: object) -> int | None:
    """Number of a server, which may be written as text: 100 to 999999999; None for anything else."""
    text = str(value)
    return int(text) if re.fullmatch(VMID, text) else None


def part(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The object that an answer has under a key; empty where it has none."""
    found = data.get(key)
    return found if isinstance(found, dict) else {}
