"""Which disks and network cards a Proxmox VE server has, and whether each is emulated or paravirtual."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "BALLOON",
    "CLASSES",
    "Device",
    "agent_enabled",
    "balloon_device",
    "device_class",
    "devices",
    "models",
    "unclassifiable",
]

Class = Literal["emulated", "virtio", "other", "unknown"]

CLASSES: dict[str, Class] = {
    "ide": "emulated",
    "ahci": "emulated",
    "lsi": "emulated",
    "lsi53c810": "emulated",
    "megasas": "emulated",
    "pvscsi": "other",
    "virtio-scsi": "virtio",
    "virtio-blk": "virtio",
    "e1000": "emulated",
    "e1000e": "emulated",
    "e1000-82540em": "emulated",
    "e1000-82544gc": "emulated",
    "e1000-82545em": "emulated",
    "i82551": "emulated",
    "i82557b": "emulated",
    "i82559er": "emulated",
    "ne2k_isa": "emulated",
    "ne2k_pci": "emulated",
    "pcnet": "emulated",
    "rtl8139": "emulated",
    "vmxnet3": "other",
    "virtio-net": "virtio",
}
"""Model -> class; "other" is paravirtual for another hypervisor (VMware's), which QEMU emulates."""

BALLOON = "balloon"
DISK = re.compile(r"^(ide|sata|scsi|virtio)(\d+)$")
NIC = re.compile(r"^net(\d+)$")
HOST_DEVICE = re.compile(r"^(hostpci|usb)\d+$")


@dataclass(frozen=True)
class Device:
    """A disk or network card: key of the configuration, kind, model and class."""

    key: str
    kind: Literal["disk", "network"]
    model: str
    device_class: Class


def devices(config: Mapping[str, Any]) -> list[Device]:
    """Disks and network cards of a configuration, in the order of their keys; CD drives are no disks.

    Parameters
    ----------
    config : mapping
        The answer of `/nodes/{node}/qemu/{vmid}/config?current=1` (pending changes are not in it) or a parsed
        `/etc/pve/qemu-server/{vmid}.conf`.

    References
    ----------
    qemu-server, `PVE/QemuServer/Drive.pm` and `PVE/QemuServer/Network.pm`; a controller that `scsihw` does not name is
    an LSI 53C895A.
    """
    found = []
    for key, value in sorted(config.items()):
        text = str(value)
        if (disk := DISK.match(key)) and "media=cdrom" not in text and text != "none":
            model = _disk_model(disk[1], str(config.get("scsihw") or "lsi"))
            found.append(Device(key, "disk", model, device_class(model)))
        elif NIC.match(key):
            first = text.split(",", 1)[0].partition("=")
            named = re.search(r"(?:^|,)model=([\w-]+)", text)
            model = named[1] if named else first[0]
            model = "virtio-net" if model == "virtio" else model
            found.append(Device(key, "network", model, device_class(model)))
    return found


def _disk_model(bus: str, controller: str) -> str:
    if bus == "scsi":
        return "virtio-scsi" if controller.startswith("virtio-scsi") else controller
    return {"ide": "ide", "sata": "ahci", "virtio": "virtio-blk"}[bus]


def device_class(model: str) -> Class:
    """Class of a model; unknown for one that is not listed."""
    return CLASSES.get(model, "unknown")


def agent_enabled(config: Mapping[str, Any]) -> bool:
    """Whether a configuration has the channel of the guest agent on; it is off where the key is absent."""
    said = dict(part.partition("=")[::2] for part in f"enabled={config.get('agent', 0)}".split(","))
    return said["enabled"].removeprefix("enabled=") in ("1", "on", "yes", "true")


def balloon_device(config: Mapping[str, Any]) -> bool:
    """Whether the server has the balloon device: always, unless `balloon` is 0 (qemu-server, `config_to_command`)."""
    return str(config.get(BALLOON, "")) != "0"


def unclassifiable(config: Mapping[str, Any]) -> list[str]:
    """Keys of a configuration that may hide a device: `args` with devices of its own, and devices passed through."""
    hidden = ["args"] if re.search(r"-(?:device|drive|netdev|nic)\b", str(config.get("args") or "")) else []
    return [*hidden, *sorted(key for key in config if HOST_DEVICE.match(key))]


def models(found: Iterable[Device], kind: str) -> str:
    """Models of a kind, each once, joined; empty if there is none."""
    return ", ".join(dict.fromkeys(device.model for device in found if device.kind == kind))
