"""Devices of a configuration, with Proxmox VE's defaults for keys that are absent."""

import pytest

from virtio_study.devices import balloon_device, devices, unclassifiable


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"ide0": "local:100/a.qcow2,size=1G"}, [("ide0", "disk", "ide", "emulated")]),
        ({"sata1": "local:a"}, [("sata1", "disk", "ahci", "emulated")]),
        ({"scsi0": "local:a"}, [("scsi0", "disk", "lsi", "emulated")]),
        ({"scsi0": "local:a", "scsihw": "virtio-scsi-single"}, [("scsi0", "disk", "virtio-scsi", "virtio")]),
        ({"scsi0": "local:a", "scsihw": "virtio-scsi-pci"}, [("scsi0", "disk", "virtio-scsi", "virtio")]),
        ({"scsi0": "local:a", "scsihw": "pvscsi"}, [("scsi0", "disk", "pvscsi", "other")]),
        ({"virtio0": "local:a,iothread=1"}, [("virtio0", "disk", "virtio-blk", "virtio")]),
        ({"net0": "e1000=BC:24:11:00:01:00,bridge=vmbr0"}, [("net0", "network", "e1000", "emulated")]),
        ({"net0": "virtio=BC:24:11:00:01:00,bridge=vmbr0"}, [("net0", "network", "virtio-net", "virtio")]),
        ({"net1": "bridge=vmbr0,model=rtl8139"}, [("net1", "network", "rtl8139", "emulated")]),
        ({"net0": "vmxnet3=BC:24:11:00:01:00"}, [("net0", "network", "vmxnet3", "other")]),
        ({"net0": "newcard=BC:24:11:00:01:00"}, [("net0", "network", "newcard", "unknown")]),
        ({"ide2": "local:iso/x.iso,media=cdrom", "ide3": "none,media=cdrom", "efidisk0": "local:a"}, []),
        ({"scsihw": "virtio-scsi-single", "unused0": "local:a", "tpmstate0": "local:b"}, []),
    ],
)
def test_every_device_has_its_model_and_class(config: dict[str, str], found: list[tuple[str, ...]]) -> None:
    assert [(item.key, item.kind, item.model, item.device_class) for item in devices(config)] == found


def test_the_balloon_device_is_there_unless_it_is_set_to_0() -> None:
    assert balloon_device({})
    assert balloon_device({"balloon": 1024})
    assert not balloon_device({"balloon": 0})
    assert not balloon_device({"balloon": "0"})


def test_what_may_hide_a_device_is_named() -> None:
    assert unclassifiable({"args": "-kernel x -append 'a b'"}) == []
    assert unclassifiable({"args": "-device virtio-rng-pci", "hostpci0": "01:00", "usb1": "host"}) == [
        "args",
        "hostpci0",
        "usb1",
    ]
