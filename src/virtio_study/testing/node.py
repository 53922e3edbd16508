"""The simulated host itself as Proxmox VE's answers show it: state, resources and RRD series.

Keys follow `PVE/API2/Nodes.pm` of pve-manager and the RRD definitions of pve-cluster. Its CPU and RAM are those of
its servers and a little of its own.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from virtio_study.testing.rows import Series, minutes_of, perl_number
from virtio_study.testing.story import GIB
from virtio_study.testing.truth import Truth
from virtio_study.testing.versions import Version

__all__ = ["node_index", "node_resource", "node_series", "node_status", "other_resources", "packages"]

OWN_CPU_CORES, OWN_MEM_BYTES = 0.05, 2 * GIB
ROOT_BYTES, ROOT_USED_BYTES, SWAP_BYTES = 100 * GIB, 12 * GIB, 8 * GIB
Array = npt.NDArray[np.float64]


def _use(truth: Truth, now: float) -> tuple[float, int]:
    """CPU of the host as a fraction, and RAM in bytes, now."""
    samples = [truth.at(server.vmid, now) for server in truth.story.servers if server.configurations]
    cores = OWN_CPU_CORES + float(np.nansum([sample["cpu_cores"] for sample in samples]))
    mem = OWN_MEM_BYTES + float(np.nansum([sample["mem_host"] for sample in samples]))
    return min(cores / truth.story.host_cpus, 1.0), int(mem)


def node_resource(truth: Truth, now: float, *, unknown: bool = False, audited: bool = True) -> dict[str, Any]:
    """Return the row of `cluster/resources`; without the right to audit the node, or from a silent one, no numbers."""
    story = truth.story
    row: dict[str, Any] = {"id": f"node/{story.node}", "type": "node", "node": story.node}
    if unknown:
        return row | {"status": "unknown"}
    row |= {"status": "online", "level": ""}
    if not audited:
        return row
    cpu, mem = _use(truth, now)
    row |= {"cpu": perl_number(cpu), "maxcpu": story.host_cpus, "mem": mem, "maxmem": story.host_mem_bytes}
    return row | {"disk": ROOT_USED_BYTES, "maxdisk": ROOT_BYTES, "uptime": int(now - story.created) + 86400}


def packages(version: Version) -> list[dict[str, Any]]:
    """Return what is told of two packages in the answer of `/nodes/N/apt/versions`."""
    known = {"pve-manager": version.manager.split("/")[1], "qemu-server": version.qemu_server}
    state = {"Origin": "Proxmox", "Arch": "amd64", "CurrentState": "Installed"}
    rows = [{"Package": name, "OldVersion": said, "Version": said, **state} for name, said in known.items()]
    # what could be installed and is not has no OldVersion
    return [*rows, {"Package": "ceph-fuse", "Version": "19.2.0", "Origin": "Proxmox", "CurrentState": "NotInstalled"}]


def node_status(truth: Truth, now: float, version: Version) -> dict[str, Any]:
    """Return the answer of `/nodes/N/status`."""
    story = truth.story
    cpu, mem = _use(truth, now)
    total = story.host_mem_bytes
    load = [f"{cpu * story.host_cpus:.2f}"] * 3
    cpuinfo = {"model": "simulated processor", "cpus": story.host_cpus, "cores": story.host_cpus, "sockets": 1}
    kernel = f"#1 SMP PREEMPT_DYNAMIC PMX {version.kernel} (simulated)"
    free_bytes = ROOT_BYTES - ROOT_USED_BYTES
    status: dict[str, Any] = {
        "cpuinfo": cpuinfo | {"flags": "fpu vmx simulated", "user_hz": 100, "mhz": "3400.000", "hvm": "1"},
        "cpu": perl_number(cpu),
        "wait": 0,
        "idle": 0,
        "loadavg": load,
        "uptime": int(now - story.created) + 86400,
        "kversion": f"Linux {version.kernel} {kernel}",
        "pveversion": version.manager,
        "ksm": {"shared": 0},
        "swap": {"total": SWAP_BYTES, "used": 0, "free": SWAP_BYTES},
        "memory": {"total": total, "used": mem, "free": total - mem},
        "rootfs": {"total": ROOT_BYTES, "used": ROOT_USED_BYTES, "free": free_bytes, "avail": free_bytes - 5 * GIB},
    }
    if version.host_memory:
        status["memory"]["available"] = total - mem
        status["cpuinfo"] |= {"vendor": "simulated", "family": "0"}
    if version.current_kernel:
        status["boot-info"] = {"mode": "legacy-bios"}
        kernel_of = {"sysname": "Linux", "release": version.kernel, "version": kernel, "machine": "x86_64"}
        status["current-kernel"] = kernel_of
    return status


def node_series(truth: Truth, version: Version, seen: float, silent: tuple[float, float] | None) -> Series:
    """Return the one-minute means that pvestatd wrote for the node until `seen`, without the `silent` time."""
    story = truth.story

    def columns(start: int, end: int) -> dict[str, Array]:
        samples = [truth.between(server.vmid, start, end) for server in story.servers if server.configurations]
        size = (end - start) // 10
        stamps = start + 10 * np.arange(1, size + 1, dtype=np.float64)
        written = (stamps > story.created) & (np.ceil(stamps / 60) * 60 <= seen)
        if silent is not None:
            written &= (stamps <= silent[0]) | (stamps > silent[1])
        summed = {
            name: np.sum([np.nan_to_num(one[name]) for one in samples], axis=0) if samples else np.zeros(size)
            for name in ("cpu_cores", "mem_host", "net_in", "net_out")
        }
        cores, mem = OWN_CPU_CORES + summed["cpu_cores"], OWN_MEM_BYTES + summed["mem_host"]
        values = {"cpu": cores / story.host_cpus, "memused": mem, "loadavg": cores}
        values |= {"netin": summed["net_in"], "netout": summed["net_out"]}
        fixed = {"maxcpu": story.host_cpus, "iowait": 0, "memtotal": story.host_mem_bytes, "swaptotal": SWAP_BYTES}
        fixed |= {"swapused": 0, "roottotal": ROOT_BYTES, "rootused": ROOT_USED_BYTES}
        if version.host_memory:
            values["memavailable"] = story.host_mem_bytes - mem
            names = ("cpusome", "iosome", "iofull", "memorysome", "memoryfull")
            fixed |= {"arcsize": 0} | {f"pressure{name}": 0 for name in names}
        values |= {name: np.full(size, float(value)) for name, value in fixed.items()}
        return {name: minutes_of(one, written) for name, one in values.items()}

    return Series(columns, story.created)


def other_resources(truth: Truth) -> list[dict[str, Any]]:
    """Return the rows of `cluster/resources` that are neither server nor node: one storage and one network zone."""
    name = truth.story.node
    storage = {"id": f"storage/{name}/local", "type": "storage", "storage": "local", "node": name, "shared": 0}
    storage |= {"status": "available", "plugintype": "dir", "content": "images,rootdir"}
    storage |= {"disk": ROOT_USED_BYTES, "maxdisk": ROOT_BYTES}
    zone = {"id": f"network/{name}/zone/localnetwork", "type": "network", "network": "localnetwork", "node": name}
    return [storage, zone | {"network-type": "zone", "status": "ok"}]


def node_index(version: Version) -> list[dict[str, str]]:
    """Return what is below `/nodes/N`: the part that the embedded host answers."""
    names = ["lxc", "qemu", "rrddata", "status", "tasks", "time", "version"]
    return [{"name": name} for name in names]
