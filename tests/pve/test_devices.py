"""Devices of a configuration, with Proxmox VE's defaults for keys that are absent."""

from pathlib import Path

import pytest

from virtio_study.pve.devices import balloon_device, devices, unclassifiable


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
        ({"net0": "bridge=vmbr0,virtio=BC:24:11:00:00:02,firewall=1"}, [("net0", "network", "virtio-net", "virtio")]),
        ({"net0": "firewall=1,tag=5,e1000e=BC:24:11:00:00:02"}, [("net0", "network", "e1000e", "emulated")]),
        ({"net0": "macaddr=BC:24:11:00:00:02,model=virtio"}, [("net0", "network", "virtio-net", "virtio")]),
        ({"net0": "virtio,bridge=vmbr0"}, [("net0", "network", "virtio-net", "virtio")]),
        ({"net0": "vmxnet3=BC:24:11:00:01:00"}, [("net0", "network", "vmxnet3", "other")]),
        ({"net0": "newcard=BC:24:11:00:01:00"}, [("net0", "network", "newcard", "unknown")]),
        ({"ide2": "local:iso/x.iso,media=cdrom", "efidisk0": "local:a"}, [("ide2", "cdrom", "ide", "emulated")]),
        ({"ide0": "none"}, []),
        ({"scsihw": "virtio-scsi-single", "unused0": "local:a", "tpmstate0": "local:b"}, []),
    ],
)
def test_every_drive_and_card_has_its_model_and_class(config: dict[str, str], found: list[tuple[str, ...]]) -> None:
    drives = [item for item in devices(config) if item.kind in ("disk", "network", "cdrom")]
    assert [(item.key, item.kind, item.model, item.device_class) for item in drives] == found


BARE = {"vga": "none", "tablet": 0, "balloon": 0}
SPICE = {"serial": "virtio-serial"}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        # without a key: a standard display, a tablet and the balloon
        ({}, {"display": "std", "pointer": "usb-tablet", "balloon": "virtio-balloon"}),
        ({"ostype": "w2k3", "balloon": 0}, {"display": "cirrus", "pointer": "usb-tablet"}),
        (BARE | {"vga": "virtio"}, SPICE | {"display": "virtio-vga"}),
        (BARE | {"vga": "type=virtio-gl,memory=64"}, SPICE | {"display": "virtio-vga"}),
        (BARE | {"vga": "memory=32"}, {"display": "std"}),
        ({"vga": "qxl2", "balloon": 0}, SPICE | {"display": "qxl"}),
        ({"vga": "qxl", "tablet": 1, "balloon": 0}, SPICE | {"display": "qxl", "pointer": "usb-tablet"}),
        (BARE | {"vga": "std,clipboard=vnc"}, SPICE | {"display": "std"}),
        # by the architecture, and by the machine before its version 2.9
        (BARE | {"vga": "", "arch": "aarch64"}, SPICE | {"display": "virtio-gpu"}),
        (BARE | {"vga": "virtio", "arch": "aarch64", "machine": "virt"}, SPICE | {"display": "virtio-gpu"}),
        (BARE | {"vga": "std", "arch": "aarch64"}, {"display": "std"}),
        (BARE | {"vga": "", "machine": "pc-i440fx-2.5", "ostype": "l26"}, {"display": "cirrus"}),
        (BARE | {"vga": "", "machine": "pc-q35-2.8"}, {"display": "cirrus"}),
        (BARE | {"vga": "", "machine": "pc-i440fx-2.5", "ostype": "win7"}, {"display": "std"}),
        (BARE | {"vga": "", "machine": "pc-i440fx-2.11", "ostype": "l26"}, {"display": "std"}),
        (BARE | {"vga": "", "machine": "pc-i440fx-9.2+pve1", "ostype": "w2k3"}, {"display": "cirrus"}),
        ({"vga": "serial0", "serial0": "socket", "balloon": 0}, {"serial": "isa-serial"}),
        ({"vga": "none", "balloon": 0}, {"pointer": "usb-tablet"}),
        (BARE | {"agent": "1,fstrim_cloned_disks=1"}, {"agent": "virtio-serial"}),
        (BARE | {"agent": "enabled=1,type=isa"}, {"agent": "isa-serial"}),
        (BARE | {"agent": "0", "rng0": "source=/dev/urandom"}, {"random": "virtio-rng"}),
        (BARE | {"virtiofs0": "share", "audio0": "device=AC97"}, {"files": "virtio-fs", "sound": "AC97"}),
    ],
)
def test_other_devices_are_found_also_where_a_key_is_absent(config: dict[str, str], found: dict[str, str]) -> None:
    assert {item.kind: item.model for item in devices(config)} == found
    assert all(item.device_class != "unknown" for item in devices(config))


def test_the_balloon_device_is_there_unless_it_is_set_to_0() -> None:
    assert balloon_device({})
    assert balloon_device({"balloon": 1024})
    assert not balloon_device({"balloon": 0})
    assert not balloon_device({"balloon": "0"})


@pytest.mark.parametrize(
    ("args", "hides"),
    [
        ("", False),
        ("-kernel x -append 'a -device b' -cpu host,+aes", False),
        ("-device virtio-rng-pci", True),
        ("-virtfs local,path=/srv,mount_tag=x,security_model=none", True),
        ("-readconfig /etc/x.cfg", True),
        ("--device e1000", True),
        ("-append 'never ended", True),
    ],
)
def test_args_that_may_add_a_device_are_named(args: str, hides: bool) -> None:
    assert unclassifiable({"args": args}) == (["args"] if hides else [])


def test_what_is_passed_through_is_named() -> None:
    assert unclassifiable({"args": "-device x", "hostpci0": "01:00", "usb1": "host"}) == ["args", "hostpci0", "usb1"]


@pytest.mark.parametrize("key", ["parallel0", "parallel2", "ivshmem", "usb3", "hostpci0"])
def test_what_is_of_the_host_is_named(key: str) -> None:
    assert unclassifiable({key: "x", "serial0": "socket", "parallels": "x", "ivshmem2": "x"}) == [key]


CONFIGURATIONS = Path(__file__).parent.parent / "data" / "devices"


def configuration(name: str) -> dict[str, str]:
    """Configuration of a file, as a host would answer it."""
    lines = (CONFIGURATIONS / f"{name}.conf").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith("#"))


@pytest.mark.parametrize(
    ("name", "key", "model", "device_class"),
    [
        ("d06_aarch64", "vga", "virtio-gpu", "virtio"),
        ("d06_aarch64", "spice", "virtio-serial", "virtio"),
        ("d06_aarch64", "scsi0", "virtio-scsi", "virtio"),
        ("d08_net_model_first_key_other", "net0", "virtio-net", "virtio"),
        ("d15_vga_cirrus_old", "vga", "cirrus", "emulated"),
    ],
)
def test_public_configurations_have_the_devices_of_their_commands(
    name: str, key: str, model: str, device_class: str
) -> None:
    (found,) = [item for item in devices(configuration(name)) if item.key == key]
    assert (found.model, found.device_class) == (model, device_class)


def test_a_parallel_port_and_shared_memory_of_the_host_are_named() -> None:
    assert unclassifiable(configuration("d10_parallel_ivshmem")) == ["ivshmem", "parallel0"]
