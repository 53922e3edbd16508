"""Settings and versions of a virtual machine besides the devices under study: from its configuration or command."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from virtio_study.pve.devices import CDROM, NUMBERED_DISK, agent_enabled
from virtio_study.pve.values import Config
from virtio_study.recording import Provenance

__all__ = ["allocation", "conditions", "in_question", "kernel_version", "proxmox_kernel", "release", "settings"]

COMMAND_OPTIONS = ("-cpu", "-smp", "-m", "-machine", "-accel")
CONFIG_KEYS = (
    "affinity",
    "agent",
    "allow-ksm",
    "args",
    "bios",
    "cores",
    "cpu",
    "cpulimit",
    "cpuunits",
    "hotplug",
    "hugepages",
    "kvm",
    "localtime",
    "machine",
    "memory",
    "numa",
    "ostype",
    "sockets",
    "tablet",
    "vcpus",
    "vga",
)
"""Keys of a Proxmox VE configuration that change what a server costs, other than the devices and their drivers."""

DISK_OPTIONS = ("aio", "cache", "iothread")

IN_QUESTION = re.compile(
    r"(?:ide|sata|scsi|virtio|net|hostpci|usb|serial|parallel|virtiofs|numa)\d+|scsihw|vga|tablet|balloon|agent|audio0|rng0"
    r"|ivshmem|watchdog|args|arch|machine|bios|kvm|acpi|ostype|cpu|cores|sockets|smp|vcpus|cpulimit|affinity|numa|memory"
    r"|hugepages|allow-ksm"
)
"""Keys of the devices of a server, and of what it may spend: a change of one while it runs makes it another server.

Whatever else is edited, such as cloud-init, texts, weights that count only while the host is crowded (`cpuunits`,
`shares`), disks of the firmware, or keys that are not known yet, leaves the process that is measured as it was.
"""

DEFAULTS = {"acpi": "1", "agent": "0", "bios": "seabios", "cores": "1", "kvm": "1", "memory": "512", "numa": "0"}
DEFAULTS |= {"scsihw": "lsi", "sockets": "1"}
"""What an absent key means, so that writing it down is no change (qemu-server, `confdesc`)."""

OF_NO_DISK = {"backup", "replicate", "serial", "shared", "size", "wwn"}
"""Options of a disk that say nothing of how it is read and written."""
NIC_OPTIONS = ("queues",)
NIC_KEY = re.compile(r"^net\d+$")

DIGITS = 16
"""A number of a configuration has fewer of them; what has more is none."""

KERNELS: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = (
    ((4, 0), (4, 2)),
    ((4, 2), (4, 4)),
    ((5, 0), (4, 10)),
    ((5, 2), (4, 15)),
    ((6, 0), (5, 0)),
    ((6, 2), (5, 4)),
    ((7, 0), (5, 11)),
    ((7, 2), (5, 15)),
    ((8, 0), (6, 2)),
    ((8, 1), (6, 5)),
    ((9, 0), (6, 14)),
)
"""Proxmox VE since -> the kernel that it came with (Proxmox VE wiki, "Roadmap")."""


def conditions(provenances: Sequence[Provenance]) -> dict[str, str]:
    """Name -> value of every setting and version that the recordings of a side know; several values are joined."""
    found: dict[str, set[str]] = {}
    for item in provenances:
        for name, value in {**item.versions, **settings(item.vm_config)}.items():
            found.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def in_question(config: Config) -> dict[str, str]:
    """What a configuration says of devices and allocation, as far as a change of it makes another server; no CD.

    References
    ----------
    qemu-server, `PVE/QemuServer.pm` (`confdesc`, `vmconfig_hotplug_pending`) and `PVE/QemuServer/Drive.pm`.
    """
    found = dict(DEFAULTS)
    for key, value in config.items():
        if not IN_QUESTION.fullmatch(key) or (NUMBERED_DISK.fullmatch(key) and CDROM in str(value)):
            continue
        found[key] = _kept(str(value)) if NUMBERED_DISK.fullmatch(key) or key.startswith("net") else str(value)
    found["agent"] = f"{agent_enabled(config)}, {'type=isa' in found['agent']}"
    found["scsihw"] = found["scsihw"] if any(re.fullmatch(r"scsi\d+", key) for key in found) else ""
    return found


def _kept(options: str) -> str:
    """Options of a disk or card that matter, in one order."""
    return ",".join(sorted(part for part in options.split(",") if part.partition("=")[0] not in OF_NO_DISK))


def allocation(config: Config) -> tuple[int, int]:
    """Virtual CPUs that a server starts with, and its memory in bytes, with Proxmox VE's defaults for absent keys.

    References
    ----------
    qemu-server, `PVE/QemuServer.pm` (`config_to_command`) and `PVE/QemuServer/Memory.pm` (`current=`).
    """
    known = {key: _whole(str(config.get(key, ""))) for key in ("sockets", "cores", "smp", "vcpus", "memory")}
    sockets = known.get("sockets") or known.get("smp") or 1
    vcpus = known.get("vcpus") or sockets * (known.get("cores") or 1)
    return vcpus, (known.get("memory") or 512) * 2**20


def _whole(text: str) -> int | None:
    """The first number in a text; None where there is none that a server could have."""
    found = re.search(r"\d+", text)
    return int(found[0]) if found and len(found[0]) < DIGITS else None


def settings(vm_config: Sequence[str]) -> dict[str, str]:
    """Settings of a QEMU command line (a word an item) or of a Proxmox VE configuration (`key: value` items).

    Parameters
    ----------
    vm_config : sequence of str
        As `Provenance.vm_config` keeps it.
    """
    if any(word.startswith("-") for word in vm_config):
        return _of_command(vm_config)
    pairs = dict(item.split(": ", 1) for item in vm_config if ": " in item)
    found = {key: pairs[key] for key in CONFIG_KEYS if key in pairs}
    least, most = (_whole(pairs.get(key, default)) for key, default in (("balloon", "0"), ("memory", "512")))
    if least and most and least < most:  # the host may take memory away (pvestatd, auto_ballooning)
        found["balloon, least MiB"] = str(least)
    disks = [value for key, value in sorted(pairs.items()) if NUMBERED_DISK.fullmatch(key) and CDROM not in value]
    for number, disk in enumerate(disks):
        found |= {f"disk {number} {name}": value for name, value in _options(disk, DISK_OPTIONS).items()}
    for key in sorted(key for key in pairs if NIC_KEY.match(key)):
        found |= {f"{key} {name}": value for name, value in _options(pairs[key], NIC_OPTIONS).items()}
    if pairs.get("balloon") == "0":
        found["balloon device"] = "none"
    return found


def _of_command(words: Sequence[str]) -> dict[str, str]:
    found = {option.removeprefix("-"): value for option, value in pairwise(words) if option in COMMAND_OPTIONS}
    drives = [value for option, value in pairwise(words) if option == "-drive"]
    for number, drive in enumerate(drives):
        found |= {f"disk {number} {name}": value for name, value in _options(drive, DISK_OPTIONS).items()}
    if any(",iothread=" in word for word in words):
        found["disk 0 iothread"] = "1"
    found["tablet"] = "1" if any(word.startswith("usb-tablet") for word in words) else "0"
    return found


def _options(text: str, wanted: Sequence[str]) -> Mapping[str, str]:
    pairs = (part.split("=", 1) for part in text.split(",") if "=" in part)
    return {key: value for key, value in pairs if key in wanted}


def kernel_version(provenances: Sequence[Provenance]) -> tuple[int, int] | None:
    """Least host kernel among the recordings, as (major, minor); None where one does not say."""
    found = [release(item.versions.get("host_kernel", "")) for item in provenances]
    known = [version for version in found if version is not None]
    return min(known) if known and len(known) == len(found) else None


def proxmox_kernel(hypervisor: str) -> tuple[int, int] | None:
    """Kernel that a version of Proxmox VE came with, such as "Proxmox VE 4.2"; None if the text names no version."""
    match = re.search(r"Proxmox VE (\S+)", hypervisor)
    version = release(match[1]) if match else None
    known = [kernel for since, kernel in KERNELS if version and since <= version]
    return known[-1] if known else None


def release(text: str | None) -> tuple[int, int] | None:
    """Major and minor number at the beginning of a version; None where there is none."""
    match = re.match(r"(\d{1,9})\.(\d{1,9})", text or "")
    return (int(match[1]), int(match[2])) if match else None
