"""Sampling a running machine as pvestatd does, by Proxmox VE's own formulas, and turning raw samples into rows."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from virtio_study.lab.machine import Machine, Running

__all__ = ["rows_from_samples", "sample_machine"]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
BALLOON = "/machine/peripheral/balloon0"


def sample_machine(machine: Running, guest_answers: bool, offered: int, answered: int) -> dict[str, Any]:
    """One raw sample of everything that Proxmox VE reads of a VM, and of what it could read.

    Parameters
    ----------
    guest_answers : bool
        Whether the guest's command loop is up; before that its own view of memory cannot be asked for.
    offered, answered : int
        Packets sent to the machine and replies received so far.

    Returns
    -------
    dict
        Cumulative counters and momentary values with units in the names; a value that could not be read is absent.

    Notes
    -----
    Process ticks are utime + stime of `/proc/PID/stat` (qemu-server `QemuServer.pm` `vmstatus`, pve-common
    `ProcFSTools.pm`); PSS is the sum of `smaps_rollup` (qemu-server 9.0.11 to 9.1.3); the control group's figure is
    `memory.current - file` (v2) or `usage_in_bytes - total_cache` (v1), pve-common `CGroup.pm` since qemu-server 9.1.4.
    """
    pid = machine.process.pid
    # utime, stime, vsize and rss are fields 14, 15, 23 and 24; the name before them may hold spaces
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    now = time.time()
    node = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    raw: dict[str, Any] = {
        "time_unix_s": now,
        "uptime_s": time.monotonic() - machine.started,
        "process_ticks": int(fields[11]) + int(fields[12]),
        "schedstat_ns": _schedstat_ns(pid),
        "node_busy_ticks": sum(node) - node[3] - node[4],
        "vsize_bytes": int(fields[20]),
        "rss_bytes": int(fields[21]) * PAGE,
        "pss_bytes": _pss_bytes(pid),
        "requests_offered": offered,
        "requests_answered": answered,
    }
    cgroup = _cgroup_bytes(machine.cgroup) if machine.cgroup else None
    if cgroup is not None:
        raw["cgroup_bytes"] = cgroup
    raw["balloon_stats"] = machine.qmp("qom-get", path=BALLOON, property="guest-stats")
    raw["balloon_actual_bytes"] = machine.qmp("query-balloon")["actual"]
    raw["blockstats"] = [device["stats"] for device in machine.qmp("query-blockstats")]
    if guest_answers:
        total, free, available = machine.ask("snap", "SNAP")
        raw["guest_meminfo_kib"] = {"total": int(total), "free": int(free), "available": int(available)}
    return raw


def _schedstat_ns(pid: int) -> int:
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:  # the thread ended meanwhile
            continue
    return total


def _pss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroup_bytes(cgroup: Path) -> int | None:
    stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    if (cgroup / "memory.current").exists():
        return int((cgroup / "memory.current").read_text()) - int(stat["file"])
    return int((cgroup / "memory.usage_in_bytes").read_text()) - int(stat["total_cache"])


def rows_from_samples(samples: list[dict[str, Any]], machine: Machine) -> pd.DataFrame:
    """Rows of a recording from raw samples in order of time; the first sample only opens the first interval.

    Parameters
    ----------
    samples : list of dict, length n
        As `sample` returns them.

    Returns
    -------
    DataFrame, shape (n - 1, columns of the schema)
        `cpu_cores` is the process' ticks a second: Proxmox VE's `cpu` times its vCPUs. The displayed memory follows
        qemu-server 9.1.4 and later: the host's figure, overridden by `total - free` as soon as the balloon driver
        reports.
    """
    raw = pd.DataFrame(samples)
    seconds = raw["time_unix_s"].diff()
    blocks = pd.DataFrame([_block_totals(item) for item in raw["blockstats"]])
    rows = pd.DataFrame({"time": pd.to_datetime(raw["time_unix_s"], unit="s", utc=True)})
    rows["step_s"] = seconds
    rows["cpu_cores"] = raw["process_ticks"].diff() * TICK_S / seconds
    rows["cpu_schedstat_cores"] = (raw["schedstat_ns"].diff() / 1e9 / seconds).clip(lower=0)
    rows["node_cpu_cores"] = raw["node_busy_ticks"].diff() * TICK_S / seconds
    rows["cpu_allocated_cores"] = float(machine.vcpus)
    rows["mem_allocated_bytes"] = float(machine.memory_bytes)
    rows["mem_host_rss_scaled_bytes"] = np.floor(raw["rss_bytes"] / raw["vsize_bytes"] * machine.memory_bytes)
    rows["mem_host_pss_bytes"] = raw["pss_bytes"]
    has_cgroup = "cgroup_bytes" in raw
    rows["mem_host_cgroup_bytes"] = raw["cgroup_bytes"] if has_cgroup else np.nan
    rows["mem_host_bytes"] = rows["mem_host_cgroup_bytes" if has_cgroup else "mem_host_pss_bytes"]
    rows["mem_host_instrument"] = "host_cgroup" if has_cgroup else "host_pss"
    balloon = raw["balloon_stats"].map(_used_by_balloon_stats).astype("float64")
    rows["mem_displayed_bytes"] = balloon.fillna(rows["mem_host_bytes"])
    rows["mem_instrument"] = np.where(balloon.notna(), "guest_stats", rows["mem_host_instrument"])
    if "guest_meminfo_kib" in raw:
        rows["mem_guest_bytes"] = raw["guest_meminfo_kib"].map(_used_by_meminfo).astype("float64")
    rows["mem_guest_instrument"] = "guest_agent"
    for column in blocks:
        rows[column] = blocks[column].diff() / seconds
    for name in ("offered", "answered"):
        rows[f"requests_{name}_per_s"] = raw[f"requests_{name}"].diff() / seconds
    rows["uptime_s"] = raw["uptime_s"]
    rows["consolidation"] = "AVERAGE"
    return rows.iloc[1:].reset_index(drop=True)


def _block_totals(devices: list[dict[str, int]]) -> dict[str, int]:
    names = {
        "disk_read_bytes_per_s": "rd_bytes",
        "disk_write_bytes_per_s": "wr_bytes",
        "disk_reads_per_s": "rd_operations",
        "disk_writes_per_s": "wr_operations",
    }
    return {column: sum(device[name] for device in devices) for column, name in names.items()}


def _used_by_balloon_stats(answer: dict[str, Any]) -> float:
    """`total_mem - free_mem` if the guest's driver ever reported both, else NaN.

    An unsupported statistic is -1, which QEMU 7.2 prints as 2**64 - 1; `last-update` is 0 until a driver answers
    (QEMU `docs/interop/virtio-balloon-stats.rst`).
    """
    total = answer["stats"].get("stat-total-memory", -1)
    free = answer["stats"].get("stat-free-memory", -1)
    known = answer["last-update"] != 0 and all(0 <= value < 2**63 for value in (total, free))
    return float(total - free) if known else float("nan")


def _used_by_meminfo(meminfo: Any) -> float:
    return float(meminfo["total"] - meminfo["free"]) * 1024 if isinstance(meminfo, dict) else float("nan")
