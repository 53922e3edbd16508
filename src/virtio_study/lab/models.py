"""Disks and network cards of the lab, with the options that Proxmox VE writes."""

from dataclasses import dataclass

__all__ = ["DISKS", "NICS", "DeviceModel"]


@dataclass(frozen=True)
class DeviceModel:
    """A device model: QEMU options, guest modules, and the guest's name for a disk.

    `{mac}`, `{kicks}` and `{iothread}` in the options are filled in.
    """

    options: tuple[str, ...]
    modules: tuple[str, ...]
    guest_disk: str = ""


DISKS: dict[str, DeviceModel] = {
    "ide": DeviceModel(
        ("ide-hd,bus=ide.0,unit=0,drive=drive0,id=disk0,bootindex=100,write-cache=on",), ("ata_piix", "sd_mod"), "sda"
    ),
    "ahci": DeviceModel(
        (
            "ahci,id=ahci0,multifunction=on,bus=pci.0,addr=0x7",
            "ide-hd,bus=ahci0.0,drive=drive0,id=disk0,write-cache=on",
        ),
        ("ahci", "sd_mod"),
        "sda",
    ),
    "lsi": DeviceModel(
        ("lsi,id=scsihw0,bus=pci.0,addr=0x5", "scsi-hd,bus=scsihw0.0,scsi-id=0,drive=drive0,id=disk0,write-cache=on"),
        ("sym53c8xx", "sd_mod"),
        "sda",
    ),
    "virtio-scsi": DeviceModel(
        (
            "virtio-scsi-pci,id=scsihw0,bus=pci.0,addr=0x5{kicks}",
            "scsi-hd,bus=scsihw0.0,channel=0,scsi-id=0,lun=0,drive=drive0,id=disk0,write-cache=on",
        ),
        ("virtio_pci", "virtio_scsi", "sd_mod"),
        "sda",
    ),
    "virtio-scsi-single": DeviceModel(
        (
            "pci-bridge,id=pci.3,chassis_nr=3,bus=pci.0,addr=0x5",
            "virtio-scsi-pci,id=virtioscsi0,bus=pci.3,addr=0x1{iothread}{kicks}",
            "scsi-hd,bus=virtioscsi0.0,channel=0,scsi-id=0,lun=0,drive=drive0,id=disk0,bootindex=100,write-cache=on",
        ),
        ("virtio_pci", "virtio_scsi", "sd_mod"),
        "sda",
    ),
    "virtio-blk": DeviceModel(
        ("virtio-blk-pci,drive=drive0,id=disk0,bus=pci.0,addr=0xa,bootindex=100,write-cache=on{kicks}",),
        ("virtio_pci", "virtio_blk"),
        "vda",
    ),
}
"""Disk buses, with the options that Proxmox VE writes (qemu-server `DriveDevice.pm`, `cfg2cmd` tests).

`virtio-scsi-single` is a controller of the disk's own, behind the bridge that Proxmox VE puts it on.
"""

NICS: dict[str, DeviceModel] = {
    "e1000": DeviceModel(("e1000,mac={mac},netdev=net0,bus=pci.0,addr=0x12,id=net0,bootindex=300",), ("e1000",)),
    "rtl8139": DeviceModel(("rtl8139,mac={mac},netdev=net0,bus=pci.0,addr=0x12,id=net0,bootindex=300",), ("8139cp",)),
    "e1000e": DeviceModel(("e1000e,mac={mac},netdev=net0,bus=pci.0,addr=0x12,id=net0,bootindex=300",), ("e1000e",)),
    "virtio-net": DeviceModel(
        (
            "virtio-net-pci,mac={mac},netdev=net0,bus=pci.0,addr=0x12,id=net0,"
            "rx_queue_size=1024,tx_queue_size=256,bootindex=300{kicks}",
        ),
        ("virtio_pci", "virtio_net"),
    ),
}
"""Network models (qemu-server `QemuServer/Network.pm`)."""
