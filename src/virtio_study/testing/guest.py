"""One simulated server as Proxmox VE's answers show it: configuration, pending changes, state, and RRD series.

Keys, types and formulae follow `vmstatus` of qemu-server (src/PVE/QemuServer.pm) at the tags of each release.
"""

import hashlib
import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from virtio_study.testing.rows import Series, minutes_of, perl_number
from virtio_study.testing.story import MIB, Configuration, SimulatedServer
from virtio_study.testing.truth import COUNTED, SAMPLE_S, Samples, Truth, lives_of
from virtio_study.testing.versions import Version

__all__ = [
    "ServerNow",
    "agent_result",
    "configuration",
    "current",
    "pending",
    "resource",
    "resource_row",
    "series",
    "snapshots",
]

PRESSURES = ("cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull")
COUNTERS = {"diskread": "disk_read", "diskwrite": "disk_write", "netin": "net_in", "netout": "net_out"}
BLOCK_COUNTS = (
    "failed_flush_operations",
    "failed_rd_operations",
    "failed_unmap_operations",
    "failed_wr_operations",
    "flush_operations",
    "flush_total_time_ns",
    "idle_time_ns",
    "invalid_flush_operations",
    "invalid_rd_operations",
    "invalid_unmap_operations",
    "invalid_wr_operations",
    "rd_merged",
    "rd_operations",
    "rd_total_time_ns",
    "unmap_bytes",
    "unmap_merged",
    "unmap_operations",
    "unmap_total_time_ns",
    "wr_highest_offset",
    "wr_merged",
    "wr_operations",
    "wr_total_time_ns",
)
ZONE_COUNTS = (
    "failed_zone_append_operations",
    "invalid_zone_append_operations",
    "zone_append_bytes",
    "zone_append_merged",
    "zone_append_operations",
    "zone_append_total_time_ns",
)
SUPPORT = (
    "backup-access-api",
    "backup-fleecing",
    "backup-max-workers",
    "pbs-dirty-bitmap",
    "pbs-dirty-bitmap-migration",
    "pbs-dirty-bitmap-savevm",
    "pbs-masterkey",
    "query-bitmap-info",
)
KERNEL_BYTES = 60 * MIB
Array = npt.NDArray[np.float64]


class ServerNow:
    """A server at a moment of the host's clock: what its configuration file says, and whether it runs."""

    def __init__(self, server: SimulatedServer, now: float) -> None:
        self.server, self.now = server, now
        self.boot = next((boot for boot in lives_of(server) if boot.start <= now < boot.stop), None)
        self.waiting = self._waiting()
        self.config = self._config()

    def _waiting(self) -> Configuration | None:
        """The configuration that waits for a restart, if one does."""
        for following in self.server.configurations[1:]:
            stop = following.since - self.server.downtime_s
            if following.since - self.server.pending_s <= self.now < stop:
                return following
        return None

    def _config(self) -> dict[str, Any]:
        if not self.server.configurations:
            return dict(self.server.config)
        # Proxmox applies what is pending when the server stops.
        applied = [c for c in self.server.configurations[1:] if self.now >= c.since - self.server.downtime_s]
        return dict((applied or self.server.configurations[:1])[-1].config)

    @property
    def locked(self) -> str | None:
        """The lock on the configuration: `backup` while one runs."""
        return "backup" if any(start <= self.now < end for start, end in self.server.backups) else None

    @property
    def digest(self) -> str:
        """A digest that changes with every edit of the configuration file, pending ones too."""
        parts = [self.config, dict(self.waiting.config) if self.waiting else None, self.locked]
        return hashlib.sha1(json.dumps(parts, sort_keys=True).encode(), usedforsecurity=False).hexdigest()

    @property
    def cores(self) -> int:
        """vCPUs."""
        return int(self.config.get("sockets", 1)) * int(self.config.get("cores", 1))

    @property
    def mem_allocated_bytes(self) -> int:
        """RAM that the configuration gives."""
        return int(self.config.get("memory", 512)) * MIB

    @property
    def disk_bytes(self) -> int:
        """Size of the disk that it boots from."""
        order = re.search(r"order=(\w+)", str(self.config.get("boot", "")))
        size = re.search(r"size=(\d+)([MGT])", str(self.config.get(order.group(1), ""))) if order else None
        return int(size.group(1)) * MIB * {"M": 1, "G": 2**10, "T": 2**20}[size.group(2)] if size else 0


def configuration(moment: ServerNow, version: Version, *, current: bool) -> dict[str, Any]:
    """Return the answer of `config`: with pending changes applied, unless `current` is asked for."""
    values = moment.config if current or moment.waiting is None else dict(moment.waiting.config)
    answer = dict(values) | {"digest": moment.digest}
    if "memory" in answer:
        answer["memory"] = str(answer["memory"]) if version.memory_as_string else int(answer["memory"])
    if moment.locked:
        answer["lock"] = moment.locked
    return answer


def pending(moment: ServerNow, version: Version) -> list[dict[str, Any]]:
    """Return the answer of `pending`: every key with its value, and with what would replace or delete it."""
    now, later = (configuration(moment, version, current=flag) for flag in (True, False))
    rows = []
    for key in now | later:
        row: dict[str, Any] = {"key": key} | ({"value": now[key]} if key in now else {})
        if key not in later:
            row["delete"] = 1
        elif later[key] != now.get(key):
            row["pending"] = later[key]
        rows.append(row)
    return rows


def snapshots(moment: ServerNow) -> list[dict[str, Any]]:
    """Return the answer of `snapshot`: there are none but the present state."""
    here = {"name": "current", "description": "You are here!", "digest": moment.digest}
    return [here | {"running": 1 if moment.boot else 0}]


def resource_row(
    truth: Truth, moment: ServerNow, version: Version, *, full: bool = False, hung: bool = False
) -> dict[str, Any]:
    """Return the row of the list of servers; with `full` also what QEMU itself is asked for.

    A hung QEMU still gives what the host knows: the answers of QEMU are missing, and `mem` is the host's view.
    """
    server, boot = moment.server, moment.boot
    row: dict[str, Any] = {"vmid": server.vmid, "name": server.name, "status": "running" if boot else "stopped"}
    row |= {"cpus": moment.cores, "maxmem": moment.mem_allocated_bytes, "maxdisk": moment.disk_bytes, "disk": 0}
    row |= {"cpu": 0, "mem": 0, "uptime": 0, "netin": 0, "netout": 0}
    if version.host_memory:
        row["memhost"] = 0
    if version.number <= (9, 0):
        row |= {"diskread": 0, "diskwrite": 0}
    row |= {key: 1 for key in ("template",) if moment.config.get("template")}
    row |= {"serial": 1} if "serial0" in moment.config else {}
    row |= {"tags": moment.config["tags"]} if "tags" in moment.config else {}
    row |= {"lock": moment.locked} if moment.locked else {}
    if full:
        row["qmpstatus"] = row["status"]
    if boot is None:
        return _older(row, version)
    sample = truth.at(server.vmid, moment.now)
    counted = truth.counted(server.vmid, boot.start, moment.now)
    _running(row, moment, sample, counted, version, ballooned=full and not hung)
    if full and not hung:
        _asked_of_qemu(row, moment, sample, counted, version)
    return _older(row, version)


def current(truth: Truth, moment: ServerNow, version: Version, *, hung: bool = False) -> dict[str, Any]:
    """Return the answer of `status/current`."""
    row = resource_row(truth, moment, version, full=True, hung=hung) | {"ha": {"managed": 0}}
    if version.number < (5, 0):
        row.pop("vmid")
    if str(moment.config.get("agent", "0")).split(",")[0] in ("1", "enabled=1") and moment.boot:
        row["agent"] = 1
    if "vga" in moment.config and version.number >= (8, 1):
        row["clipboard"] = None
    return row


def resource(truth: Truth, moment: ServerNow, version: Version, node: str, *, unknown: bool = False) -> dict[str, Any]:
    """Return the row of `cluster/resources`; `unknown` when pvestatd has been silent for five minutes."""
    vmid = moment.server.vmid
    row: dict[str, Any] = {"id": f"qemu/{vmid}", "type": "qemu", "vmid": vmid, "node": node}
    row |= {"tags": moment.config["tags"]} if "tags" in moment.config and version.number >= (7, 3) else {}
    if unknown:
        return row | {"status": "unknown"}
    full = resource_row(truth, moment, version, full=True)
    names = ("name", "status", "cpu", "mem", "maxmem", "maxdisk", "disk", "uptime", "netin", "netout", "memhost")
    row |= {name: full[name] for name in names if name in full}
    row |= {name: int(full.get(name, 0)) for name in COUNTERS}
    return row | {"maxcpu": full["cpus"], "template": int(full.get("template") or 0)}


def series(
    truth: Truth, server: SimulatedServer, version: Version, seen: float, silent: tuple[float, float] | None
) -> Series:
    """Return the one-minute means that pvestatd wrote for a server until `seen`, without the `silent` time."""

    def columns(start: int, end: int) -> dict[str, Array]:
        samples = truth.between(server.vmid, start, end)
        lives = np.isfinite(samples["age"])
        written = (samples["time"] > truth.story.created) & (np.ceil(samples["time"] / 60) * 60 <= seen)
        if silent is not None:
            written &= (samples["time"] <= silent[0]) | (samples["time"] > silent[1])
        values = _columns(server, samples, version)
        fixed = {"maxcpu", "maxmem", "maxdisk", "disk"}
        counts = lives & (samples["age"] >= SAMPLE_S)
        known = {name: written & (counts if name in COUNTERS else lives) for name in values if name not in fixed}
        return {name: minutes_of(one, known.get(name, written)) for name, one in values.items()}

    return Series(columns, truth.story.created)


def _columns(server: SimulatedServer, samples: Samples, version: Version) -> dict[str, Array]:
    size = samples["time"].size
    changes = [following.since - server.downtime_s for following in server.configurations[1:]]
    values = {name: np.zeros(size) for name in ("maxcpu", "maxmem", "maxdisk", "disk")}
    for change in (0.0, *changes):
        moment, after = ServerNow(server, change), samples["time"] >= change
        allocation = {"maxcpu": moment.cores, "maxmem": moment.mem_allocated_bytes, "maxdisk": moment.disk_bytes}
        for name, value in allocation.items():
            values[name][after] = value
    host = _host_view(samples["mem_host"], values["maxmem"], version)
    values["cpu"] = samples["cpu_cores"] / values["maxcpu"]
    values["mem"] = np.where(samples["stats"] == 1, samples["mem_guest"], host)
    values |= {name: samples[key] for name, key in COUNTERS.items()}
    if version.host_memory:
        values |= {"memhost": host} | {f"pressure{name}": _pressure(name, values["cpu"]) for name in PRESSURES}
    return values


def _host_view(mem_host_bytes: Array, mem_allocated_bytes: Array, version: Version) -> Array:
    if version.memory_of_host == "rss_scaled":
        return np.floor(mem_host_bytes / (mem_allocated_bytes + 1200 * MIB) * mem_allocated_bytes)
    return mem_host_bytes if version.memory_of_host == "pss" else np.floor(mem_host_bytes * 0.99 / 4096) * 4096


def _pressure(name: str, cpu: Array) -> Array:
    return np.round({"cpusome": 4.0, "cpufull": 2.0}.get(name, 0.0) * cpu, 2)


def _running(
    row: dict[str, Any],
    moment: ServerNow,
    sample: dict[str, float],
    counted: dict[str, int],
    version: Version,
    *,
    ballooned: bool,
) -> None:
    assert moment.boot is not None
    allocated = np.array([float(row["maxmem"])])
    host = int(_host_view(np.array([sample["mem_host"]]), allocated, version)[0])
    cpu = sample["cpu_cores"] / moment.cores
    row |= {"pid": 1000 + moment.server.vmid, "uptime": int(moment.now - moment.boot.start), "cpu": perl_number(cpu)}
    row |= {"mem": int(sample["mem_guest"]) if ballooned and sample["stats"] == 1 else host}
    row |= {name: counted[COUNTERS[name]] for name in ("netin", "netout")}
    if version.host_memory:
        row["memhost"] = host
        row |= {f"pressure{name}": perl_number(float(_pressure(name, np.array([cpu]))[0])) for name in PRESSURES}
    if moment.config.get("balloon"):
        row |= {"balloon_min": int(moment.config["balloon"]) * MIB, "shares": int(moment.config.get("shares", 1000))}


def _asked_of_qemu(
    row: dict[str, Any], moment: ServerNow, sample: dict[str, float], counted: dict[str, int], version: Version
) -> None:
    config, vmid = moment.config, moment.server.vmid
    row |= {name: counted[COUNTERS[name]] for name in ("diskread", "diskwrite")}
    tap = {"netin": counted["net_in"], "netout": counted["net_out"]}
    row["nics"] = {f"tap{vmid}i{key[3:]}": dict(tap) for key in config if re.fullmatch(r"net\d+", key)}
    if version.number >= (5, 0):
        row["running-machine"] = str(config.get("machine", "pc-i440fx-10.0")).removesuffix("+pve1") + "+pve1"
        row["running-qemu"] = version.qemu
    if version.number >= (6, 2):
        row["proxmox-support"] = dict.fromkeys(SUPPORT, True) | {"pbs-library-version": "simulated"}
    drives = [key for key in config if re.fullmatch(r"(ide|sata|scsi|virtio)\d+", key)]
    row["blockstat"] = {drive: _drive(counted if drive == drives[0] else {}, version) for drive in drives}
    if config.get("balloon") == 0:
        return
    allocated = int(row["maxmem"])
    info = {"actual": allocated, "max_mem": allocated}
    row["balloon"] = allocated
    if sample["stats"] == 1:
        total = allocated - KERNEL_BYTES
        info |= {"total_mem": total, "free_mem": total - int(sample["mem_guest"]), "last_update": int(moment.now) - 1}
        info |= dict.fromkeys(("mem_swapped_in", "mem_swapped_out", "major_page_faults"), 0)
        info["minor_page_faults"] = int(100 * sample["age"])
        row["freemem"] = info["free_mem"]
    row["ballooninfo"] = info


def _drive(counted: dict[str, int], version: Version) -> dict[str, Any]:
    names = [*BLOCK_COUNTS, *(ZONE_COUNTS if version.number >= (9, 0) else [])]
    read, written = (counted.get(name, 0) for name in COUNTED[:2])
    counts: dict[str, Any] = dict.fromkeys(names, 0)
    counts |= {"rd_bytes": read, "wr_bytes": written, "rd_operations": read // 16384, "wr_operations": written // 8192}
    return counts | {"account_failed": True, "account_invalid": True, "timed_stats": []}


def _older(row: dict[str, Any], version: Version) -> dict[str, Any]:
    """Up to 6 some numbers were strings, because Perl had last used them as text."""
    if not version.numbers_as_strings:
        return row
    row["template"] = row.get("template", "")
    row |= {name: str(row[name]) for name in ("vmid", "pid") if name in row}
    for tap in row.get("nics", {}).values():
        tap.update({name: str(value) for name, value in tap.items()})
    return row


def agent_result(command: str, moment: ServerNow) -> Any:
    """What the guest agent says to a command."""
    drives = {"scsi": "scsi", "virtio": "virtio", "sata": "sata", "ide": "ide"}
    disk = next(key for key in ("scsi0", "virtio0", "sata0", "ide0") if key in moment.config)
    results: dict[str, Any] = {
        "get-osinfo": {
            "id": "mswindows",
            "name": "Microsoft Windows",
            "pretty-name": "Windows Server 2019 Standard (simulated)",
            "version": "Microsoft Windows Server 2019",
            "version-id": "2019",
            "kernel-release": "17763",
            "kernel-version": "10.0",
            "machine": "x86_64",
            "variant": "server",
            "variant-id": "server",
        },
        "get-host-name": {"host-name": moment.server.name},
        "get-time": int(moment.now * 1e9),
        "get-timezone": {"offset": 0, "zone": "UTC"},
        "get-users": [],
        "get-vcpus": [{"logical-id": n, "online": True, "can-offline": n > 0} for n in range(moment.cores)],
        "info": {"version": "107.0.0", "supported_commands": [{"name": "guest-get-osinfo", "enabled": True}]},
        "network-get-interfaces": [
            {
                "name": "Ethernet",
                "hardware-address": str(moment.config["net0"]).split(",")[0].partition("=")[2].lower(),
                "ip-addresses": [],
            }
        ],
        "get-fsinfo": [
            {
                "name": "C:",
                "mountpoint": "C:\\",
                "type": "NTFS",
                "total-bytes": moment.disk_bytes,
                "disk": [{"bus-type": drives[disk.rstrip("0123456789")], "serial": f"drive-{disk}", "bus": 0}],
            }
        ],
    }
    return results[command]
