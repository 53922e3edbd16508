"""Which devices a Proxmox VE server has, by its configuration, and whether each is emulated or paravirtual."""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from virtio_study.pve.values import Config

__all__ = [
    "BALLOON",
    "CDROM",
    "CLASSES",
    "KINDS",
    "NUMBERED_DISK",
    "Device",
    "agent_enabled",
    "balloon_device",
    "device_class",
    "devices",
    "is_template",
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
    "std": "emulated",
    "cirrus": "emulated",
    "qxl": "other",
    "vmware": "other",
    "virtio-vga": "virtio",
    "virtio-gpu": "virtio",
    "usb-tablet": "emulated",
    "virtio-balloon": "virtio",
    "virtio-serial": "virtio",
    "isa-serial": "emulated",
    "virtio-rng": "virtio",
    "virtio-fs": "virtio",
    "ich9-intel-hda": "emulated",
    "intel-hda": "emulated",
    "AC97": "emulated",
}
"""Model -> class; "other" is made for a hypervisor or protocol of its own (VMware's, SPICE) and given by QEMU too."""

BALLOON = "balloon"
CDROM = "media=cdrom"
NUMBERED_DISK = re.compile(r"(ide|sata|scsi|virtio)\d+")
"""Key of a disk or CD; no other name in `blockstat` (`pflash0`, `efidisk0`, a backup's `scsi0-fleecing`) is a disk."""

NIC = re.compile(r"^net(\d+)$")
OF_NO_CARD = {"bridge", "firewall", "host-tunnel", "link_down", "macaddr", "mtu", "queues", "rate", "tag", "trunks"}
"""Options of a network card; any other word in its line is a model (qemu-server, `PVE/QemuServer/Network.pm`)."""
HOST_DEVICE = re.compile(r"(?:hostpci|usb|parallel)\d+|ivshmem")
WITHOUT_DEVICE = {"append", "boot", "cpu", "initrd", "kernel", "name", "no-reboot", "overcommit", "rtc", "sandbox"}
WITHOUT_DEVICE |= {"smbios", "uuid"}
"""Options of QEMU that add no device; any other one in `args` may."""

BEFORE_VISTA = ("wxp", "w2k", "w2k3")
SINCE_VISTA = ("wvista", "w2k8", "win7", "win8", "win10", "win11")

Kind = Literal[
    "disk", "network", "cdrom", "display", "pointer", "balloon", "agent", "random", "files", "sound", "serial"
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Device:
    """A device: key of the configuration, kind, model and class."""

    key: str
    kind: Kind
    model: str
    device_class: Class


def devices(config: Config) -> list[Device]:
    """Devices of a configuration by kind and key, also those that are there because a key is absent.

    Controllers count as their disks do; what is passed through from the host is in `unclassifiable`.

    Parameters
    ----------
    config : mapping
        The answer of `/nodes/{node}/qemu/{vmid}/config?current=1` (pending changes are not in it) or a parsed
        `/etc/pve/qemu-server/{vmid}.conf`.

    References
    ----------
    qemu-server, `PVE/QemuServer.pm` (`config_to_command`), `PVE/QemuServer/Drive.pm` and `PVE/QemuServer/Network.pm`; a
    controller that `scsihw` does not name is an LSI 53C895A, and a display that `vga` does not name a standard one.
    """
    found = [(key, kind, model) for key, value in config.items() for kind, model in _of_key(key, str(value), config)]
    display = _display(config)
    if display not in ("none", "serial"):
        found.append(("vga", "display", display))
    if str(config.get("tablet", 0 if display in ("qxl", "serial") else 1)) != "0":
        found.append(("tablet", "pointer", "usb-tablet"))
    if display.startswith(("qxl", "virtio")) or "clipboard=vnc" in str(config.get("vga")):
        found.append(("spice", "serial", "virtio-serial"))  # the channel of its clipboard
    if balloon_device(config):
        found.append((BALLOON, "balloon", "virtio-balloon"))
    if agent_enabled(config):
        isa = "type=isa" in str(config.get("agent"))
        found.append(("agent", "agent", "isa-serial" if isa else "virtio-serial"))
    ordered = sorted(found, key=lambda item: (KINDS.index(item[1]), item[0]))
    return [Device(key, kind, model, device_class(model)) for key, kind, model in ordered]


def _of_key(key: str, text: str, config: Config) -> Iterator[tuple[Kind, str]]:
    """Kind and model of the device that a key of the configuration stands for; nothing if it stands for none."""
    if (drive := NUMBERED_DISK.fullmatch(key)) and text != "none":
        kind: Kind = "cdrom" if CDROM in text else "disk"
        yield kind, _disk_model(drive[1], str(config.get("scsihw") or "lsi"))
    elif NIC.match(key):
        model = _card_model(text)
        yield "network", "virtio-net" if model == "virtio" else model
    elif key == "rng0":
        yield "random", "virtio-rng"
    elif re.match(r"^virtiofs\d+$", key):
        yield "files", "virtio-fs"
    elif key == "audio0":
        named = re.search(r"(?:^|,)device=([\w-]+)", text)
        yield "sound", named[1] if named else text.split(",", 1)[0]
    elif re.match(r"^serial\d+$", key):
        yield "serial", "isa-serial"


def _card_model(text: str) -> str:
    """Model of a network card, whose options may come in any order."""
    named = re.search(r"(?:^|,)model=([\w-]+)", text)
    words = [part.partition("=")[0] for part in text.split(",")]
    return named[1] if named else next((word for word in words if word not in OF_NO_CARD), words[0])


def _display(config: Config) -> str:
    """Model of the display; none or serial where there is none (qemu-server, `get_vga_properties`)."""
    text = str(config.get("vga") or "")
    named = re.search(r"(?:^|,)type=([\w-]+)", text)
    name = named[1] if named else text.split(",", 1)[0]
    arm = config.get("arch") == "aarch64"
    if not name or "=" in name:  # such as vga: memory=32
        version = re.match(r"pc-(?:i440fx|q35)-(\d{1,9})\.(\d{1,9})", str(config.get("machine") or ""))
        old = version is not None and (int(version[1]), int(version[2])) < (2, 9)
        vista = str(config.get("ostype") or "") in SINCE_VISTA
        cirrus = config.get("ostype") in BEFORE_VISTA or (old and not vista)
        name = "virtio" if arm else "cirrus" if cirrus else "std"
    if name.startswith("virtio"):
        return "virtio-gpu" if arm else "virtio-vga"
    return re.sub(r"^(qxl|serial)\d$", r"\1", name)


def _disk_model(bus: str, controller: str) -> str:
    if bus == "scsi":
        return "virtio-scsi" if controller.startswith("virtio-scsi") else controller
    return {"ide": "ide", "sata": "ahci", "virtio": "virtio-blk"}[bus]


def device_class(model: str) -> Class:
    """Class of a model; unknown for one that is not listed."""
    return CLASSES.get(model, "unknown")


def agent_enabled(config: Config) -> bool:
    """Whether a configuration has the channel of the guest agent on; it is off where the key is absent."""
    said = dict(part.partition("=")[::2] for part in f"enabled={config.get('agent', 0)}".split(","))
    return said["enabled"].removeprefix("enabled=") in ("1", "on", "yes", "true")


def balloon_device(config: Config) -> bool:
    """Whether the server has the balloon device: always, unless `balloon` is 0 (qemu-server, `config_to_command`)."""
    return str(config.get(BALLOON, "")) != "0"


def is_template(config: Config) -> bool:
    """Whether a configuration is a template, which never runs."""
    return str(config.get("template") or "0") != "0"


def unclassifiable(config: Config) -> list[str]:
    """Keys of a configuration that may hide a device: `args` (QEMU's own options), and devices passed through."""
    try:
        words = shlex.split(str(config.get("args") or ""))
    except ValueError:  # a quotation that does not end
        words = ["-?"]
    options = {word.lstrip("-") for word in words if word.startswith("-")}
    hidden = ["args"] if options - WITHOUT_DEVICE else []
    return [*hidden, *sorted(key for key in config if HOST_DEVICE.fullmatch(key))]


def models(found: Iterable[Device], kind: str) -> str:
    """Models of a kind, each once, joined; empty if there is none."""
    return ", ".join(dict.fromkeys(device.model for device in found if device.kind == kind))
