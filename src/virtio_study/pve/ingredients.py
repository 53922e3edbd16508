"""Ingredients of a change to VirtIO: disk, network card, balloon driver, free page reporting; which of them a side has.

Free page reporting gives memory that a Linux guest frees back to the host. It comes with the balloon driver (Linux 5.7,
commit b0c504f1, "virtio-balloon: add support for providing free page reports to host") where the device offers it, as
Proxmox VE's does from machine version 6.2 on (qemu-server 7.2-1, commit c70e4ec3). Windows guests have none (virtio-win
issue 899).
"""

import re
from collections.abc import Sequence
from typing import Literal

from virtio_study.pve.vm_config import release
from virtio_study.recording import Provenance

__all__ = [
    "BALLOON_DRIVER",
    "CARD",
    "DISK",
    "INGREDIENTS",
    "LEAST_PROXMOX_VE",
    "REPORTING",
    "UNKNOWN",
    "Reporting",
    "ReportingOutlook",
    "free_page_reporting",
    "models_of",
    "reporting_by_versions",
    "reporting_offered",
    "reporting_outlook",
]

DISK, CARD, BALLOON_DRIVER, REPORTING = "disk", "card", "balloon driver", "free page reporting"
INGREDIENTS = (BALLOON_DRIVER, REPORTING, DISK, CARD)
"""In the order in which a report tells them."""

UNKNOWN: Literal["not known"] = "not known"
Reporting = Literal["on", "off", "not known"]
ReportingOutlook = Literal["on", "possible", "impossible", "not known"]

LEAST_MACHINE = (6, 2)
LEAST_PROXMOX_VE = (7, 2)
"""The first version whose balloon device offers free page reporting, to machines since `LEAST_MACHINE`."""

LEAST_GUEST_KERNEL = (5, 7)
MACHINE = re.compile(r"\bpc-(?:i440fx|q35)-(\d{1,9})\.(\d{1,9})")
OPTION = "virtio-balloon-pci"
KEYS = {DISK: ("disk",), CARD: ("nic", "network")}


def models_of(provenances: Sequence[Provenance], ingredient: str, declared: str | None) -> str | None:
    """Models of the disk or the card that the recordings say, joined; as declared where they say none."""
    found = {item.devices[key] for item in provenances for key in KEYS[ingredient] if key in item.devices}
    return ", ".join(sorted(found)) or declared


def reporting_offered(provenance: Provenance) -> bool | None:
    """Whether the balloon device offers free page reporting to the guest; None where nothing tells.

    Told by QEMU's command line; else by a configuration without the device, the running machine's version, and the
    version of Proxmox VE.
    """
    words = provenance.vm_config
    devices = [word for word in words if word.startswith(OPTION)]
    if any(word.startswith("-") for word in words):
        return any("free-page-reporting=on" in word for word in devices)
    if "balloon: 0" in words:
        return False
    machine = " ".join([provenance.versions.get("running machine", ""), *words])
    return reporting_by_versions(machine, provenance.versions.get("proxmox-ve"))


def reporting_by_versions(machine: str, proxmox_ve: str | None) -> bool | None:
    """Whether a machine's balloon device offers free page reporting; by Proxmox VE's version where no machine is told.

    Parameters
    ----------
    machine : str
        A text with its version, such as `pc-i440fx-10.0+pve1`; the first version in it counts.
    proxmox_ve : str, optional
        Such as `8.4.1`.
    """
    found = MACHINE.search(machine)
    if found:
        return (int(found[1]), int(found[2])) >= LEAST_MACHINE
    host = release(proxmox_ve)
    return False if host is not None and host < LEAST_PROXMOX_VE else None


def reporting_outlook(ostype: str, machine: str, proxmox_ve: str | None, sends: bool | None) -> ReportingOutlook:
    """Whether a guest reports its free pages, or could, if it is a Linux of 5.7 or newer.

    Parameters
    ----------
    ostype : str
        Of the server's configuration, such as `l26` or `win10`.
    machine, proxmox_ve : str
        As in `reporting_by_versions`.
    sends : bool, optional
        Whether its balloon driver sends statistics; None where that is not told.

    Returns
    -------
    str
        On, possible (perhaps with a newer machine version), impossible, or not known.
    """
    if not ostype.startswith(("w", "l2")):
        return UNKNOWN
    host = release(proxmox_ve)
    if ostype.startswith("w") or (host is not None and host < LEAST_PROXMOX_VE):
        return "impossible"
    offered = reporting_by_versions(machine, proxmox_ve)
    if sends:
        return "on" if offered else "possible" if offered is False and host else UNKNOWN
    return "possible" if host and sends is False else UNKNOWN


def free_page_reporting(
    offered: bool | None, driver_loaded: bool | None, guest_os: str | None, guest_kernel: str | None
) -> Reporting:
    """Whether a guest gives freed memory back to its host by free page reporting.

    Parameters
    ----------
    offered : bool, optional
        By the balloon device; see `reporting_offered`.
    driver_loaded : bool, optional
        Of the balloon.
    guest_os, guest_kernel : str, optional
        Such as `linux` and `6.1`.
    """
    kernel = release(guest_kernel)
    if driver_loaded is False or offered is False or guest_os == "windows":
        return "off"
    if kernel is not None and kernel < LEAST_GUEST_KERNEL:
        return "off"
    if offered and driver_loaded and guest_os == "linux" and kernel is not None:
        return "on"
    return UNKNOWN
