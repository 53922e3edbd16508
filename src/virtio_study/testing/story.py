"""A simulated truth: which servers a host has, how they are configured over time, and their levels of use.

Nothing here was measured. The levels are invented so that the known traps of a before/after measurement are inside: the
memory instrument changes when the balloon driver begins to answer, a configuration change waits as pending until the
server is stopped, start-up costs CPU, and a backup runs in the middle.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Configuration", "SimulatedServer", "Story", "Use", "around_a_change", "many_servers", "two_servers"]

GIB = 2**30
MIB = 2**20


@dataclass(frozen=True)
class Use:
    """Mean use of one server under one driver configuration.

    `cpu_cores` is in core-equivalents, memory in bytes, disk and network in bytes a second.
    """

    cpu_cores: float
    mem_guest_bytes: float
    mem_host_bytes: float
    disk_read_bytes_per_s: float = 40e3
    disk_write_bytes_per_s: float = 60e3
    net_in_bytes_per_s: float = 30e3
    net_out_bytes_per_s: float = 12e3


@dataclass(frozen=True)
class Configuration:
    """A driver configuration in force from `since` (epoch seconds, the moment QEMU starts) until the next one.

    `config` holds the keys of the VM's configuration file that Proxmox would return. `balloon_driver` says whether the
    guest answers the balloon device with statistics, which switches what `mem` means.
    """

    name: str
    since: float
    config: Mapping[str, Any]
    level: Use
    balloon_driver: bool = False


@dataclass(frozen=True)
class SimulatedServer:
    """A simulated VM; without configurations it has never been started, and `config` is its configuration file.

    `guest_reboots` are reboots from inside the guest, which Proxmox does not see; `backups` are (start, end) pairs.
    A new configuration is written `pending_s` seconds before the restart and the restart takes `downtime_s` seconds.
    """

    vmid: int
    name: str
    configurations: tuple[Configuration, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    guest_reboots: tuple[float, ...] = ()
    backups: tuple[tuple[float, float], ...] = ()
    agent_answers: bool = False
    pending_s: float = 600.0
    downtime_s: float = 95.0


@dataclass(frozen=True)
class Story:
    """A simulated host; its data begin at `created`, and at `upgraded_at` it went from Proxmox VE 8 to 9, if it did."""

    servers: tuple[SimulatedServer, ...]
    created: float
    now: float
    node: str = "simulated"
    seed: int = 1
    host_cpus: int = 8
    host_mem_bytes: int = 64 * GIB
    upgraded_at: float | None = None
    kind: str = "simulated"

    def server(self, vmid: int) -> SimulatedServer | None:
        """Return the server with this number, None if there is none."""
        return next((server for server in self.servers if server.vmid == vmid), None)


def two_servers(now: float | None = None, *, hours: tuple[float, float, float] = (8, 8, 8), seed: int = 1) -> Story:
    """Return a story of two servers that go from emulated devices over the balloon driver to VirtIO devices.

    Parameters
    ----------
    now : float, optional
        Epoch seconds of the story's present; by default the present minute.
    hours : tuple of float
        How long each of the three configurations was in force; the last one began `hours[2]` hours before `now`.
    seed : int
        Of every simulated fluctuation: the same seed and the same `now` give the same values.
    """
    present = float(int(time.time()) // 60 * 60) if now is None else float(now)
    created = present - 3600 * sum(hours)
    starts = (created, created + 3600 * hours[0], created + 3600 * (hours[0] + hours[1]))
    versat = (
        Use(0.22, 1.9 * GIB, 3.95 * GIB, 90e3, 120e3, 60e3, 25e3),
        Use(0.22, 1.9 * GIB, 3.95 * GIB, 90e3, 120e3, 60e3, 25e3),
        Use(0.13, 1.8 * GIB, 3.95 * GIB, 90e3, 120e3, 60e3, 25e3),
    )
    dominio = (
        Use(0.07, 0.9 * GIB, 1.95 * GIB),
        Use(0.07, 0.9 * GIB, 1.95 * GIB),
        Use(0.045, 0.9 * GIB, 1.95 * GIB),
    )
    backup = starts[1] + 1800 * hours[1]
    return Story(
        servers=(
            SimulatedServer(
                100,
                "versat",
                _three_configurations(100, "versat", 2, 4096, starts, versat),
                guest_reboots=(starts[2] + 1200,),
                backups=((backup, backup + 900),),
                agent_answers=True,
            ),
            SimulatedServer(101, "dominio", _three_configurations(101, "dominio", 1, 2048, starts, dominio)),
        ),
        created=created,
        now=present,
        seed=seed,
    )


def around_a_change(now: float, change: float, *, history_s: float = 86400.0, seed: int = 1) -> Story:
    """Return a story in which two of three servers are shut down at `change` and come back with VirtIO.

    Parameters
    ----------
    now, change : float
        Epoch seconds of the story's present, and of the shutdown.
    history_s : float
        Seconds before `now` at which the servers started, by default a day.
    seed : int
        As in `two_servers`.
    """
    created, downtime_s = now - history_s, 60.0
    servers = []
    for vmid, name, cores, memory_mib, (before, after) in (
        (100, "versat", 2, 4096, (Use(0.22, 1.9 * GIB, 3.95 * GIB), Use(0.13, 1.8 * GIB, 3.95 * GIB))),
        (101, "dominio", 1, 2048, (Use(0.07, 0.9 * GIB, 1.95 * GIB), Use(0.045, 0.9 * GIB, 1.95 * GIB))),
        (102, "archivos", 1, 2048, (Use(0.05, 0.8 * GIB, 1.95 * GIB), None)),
    ):
        given = _devices(vmid, name, cores, memory_mib)
        lives = [Configuration("emulated", created, given["emulated"], before)]
        if after is not None:
            lives.append(Configuration("virtio", change + downtime_s, given["virtio"], after, balloon_driver=True))
        servers.append(
            SimulatedServer(vmid, name, tuple(lives), pending_s=180.0, agent_answers=True, downtime_s=downtime_s)
        )
    return Story(tuple(servers), created, now, seed=seed)


def many_servers(count: int = 1000, now: float | None = None, *, history_s: float = 7200.0, seed: int = 1) -> Story:
    """Return a story of `count` servers under VirtIO with a short history, for benchmarks of a collector."""
    present = float(int(time.time()) // 60 * 60) if now is None else float(now)
    created = present - history_s
    servers = []
    for number in range(count):
        vmid, name = 1000 + number, f"simulated-{number:04d}"
        level = Use(0.02 + 0.0002 * (number % 500), 0.4 * GIB, 0.9 * GIB)
        config = _devices(vmid, name, 1, 1024)["virtio"]
        servers.append(SimulatedServer(vmid, name, (Configuration("virtio", created, config, level, True),)))
    mem_bytes = max(64, 2 * count) * GIB
    return Story(tuple(servers), created, present, seed=seed, host_cpus=128, host_mem_bytes=mem_bytes)


def _three_configurations(
    vmid: int, name: str, cores: int, memory_mib: int, starts: tuple[float, float, float], levels: tuple[Use, ...]
) -> tuple[Configuration, ...]:
    devices = _devices(vmid, name, cores, memory_mib)
    return tuple(
        Configuration(word, since, devices[word], level, balloon_driver=word != "emulated")
        for word, since, level in zip(("emulated", "balloon", "virtio"), starts, levels, strict=True)
    )


def _devices(vmid: int, name: str, cores: int, memory_mib: int) -> dict[str, dict[str, Any]]:
    mac = f"BC:24:11:{vmid >> 16 & 255:02X}:{vmid >> 8 & 255:02X}:{vmid & 255:02X}"
    disk = f"local:{vmid}/vm-{vmid}-disk-0.qcow2"
    common = {
        "name": name,
        "description": "simulated server: nothing here was measured",
        "ostype": "win10",
        "cores": cores,
        "memory": str(memory_mib),
        "machine": "pc-i440fx-10.0",
        "onboot": 1,
        "smbios1": f"uuid=00000000-0000-4000-8000-{vmid:012d}",
    }
    emulated = common | {"ide0": f"{disk},size=32G", "net0": f"e1000={mac},bridge=vmbr0", "boot": "order=ide0"}
    virtio = common | {
        "scsihw": "virtio-scsi-single",
        "scsi0": f"{disk},iothread=1,size=32G",
        "net0": f"virtio={mac},bridge=vmbr0",
        "boot": "order=scsi0",
        "agent": "1",
    }
    return {"emulated": emulated | {"balloon": 0}, "balloon": emulated, "virtio": virtio}
