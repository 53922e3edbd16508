"""What else was set: from a QEMU command line, and from a Proxmox VE configuration."""

import pytest

from virtio_study.pve.vm_config import allocation, conditions, kernel_version, proxmox_kernel, release, settings
from virtio_study.recording import Provenance

COMMAND = [
    *("qemu-system-x86_64", "-cpu", "qemu64", "-m", "512", "-machine", "hpet=off,type=pc"),
    *("-drive", "file=RUN/disk.raw,if=none,id=drive0,cache=none,aio=threads", "-device", "usb-tablet,id=tablet"),
    *("-device", "e1000,netdev=net0"),
]
CONFIG = [
    *("cores: 2", "machine: pc-i440fx-10.0", "ostype: l26", "tablet: 0", "net0: virtio=BC:24:11:00:00:64,bridge=vmbr0"),
    *("scsi0: local:100/vm-100-disk-0.raw,iothread=1,size=4G", "ide2: none,media=cdrom,cache=unsafe"),
]


def test_a_command_line_gives_its_settings_and_not_the_devices_under_study():
    found = settings(COMMAND)
    assert found == {
        "cpu": "qemu64",
        "m": "512",
        "machine": "hpet=off,type=pc",
        "disk 0 cache": "none",
        "disk 0 aio": "threads",
        "tablet": "1",
    }
    assert settings([*COMMAND[:-2], "-device", "virtio-net-pci,netdev=net0"]) == found


def test_a_configuration_gives_its_settings_and_ignores_cards_and_cd_drives():
    assert settings(CONFIG) == {
        "cores": "2",
        "machine": "pc-i440fx-10.0",
        "ostype": "l26",
        "tablet": "0",
        "disk 0 iothread": "1",
    }


@pytest.mark.parametrize(
    ("lines", "least"),
    [
        (["memory: 4096"], None),
        (["memory: 4096", "balloon: 0"], None),
        (["memory: 4096", "balloon: 4096"], None),
        (["memory: current=4096", "balloon: 1024"], "1024"),
        (["balloon: 256"], "256"),
    ],
)
def test_memory_that_the_host_may_take_away_is_a_setting(lines, least):
    assert settings(lines).get("balloon, least MiB") == least


def recording(replicate: str, **versions: str) -> Provenance:
    return Provenance(
        study="s",
        server="a",
        driver_config="virtio",
        replicate=replicate,
        kind="simulated",
        source="test",
        collector_version="0",
        started_at="2026-01-01T00:00:00+00:00",
        versions=versions,
        vm_config=CONFIG,
    )


def test_conditions_join_what_changed_inside_a_side_and_the_kernel_is_the_oldest():
    sides = [recording("1", qemu="9.2", host_kernel="6.14.8-2-pve"), recording("2", qemu="10.0", host_kernel="6.2.16")]
    assert conditions(sides)["qemu"] == "10.0, 9.2"
    assert kernel_version(sides) == (6, 2)
    assert kernel_version([*sides, recording("3")]) is None


@pytest.mark.parametrize(
    ("hypervisor", "kernel"),
    [
        ("Proxmox VE 4.2", (4, 4)),
        ("Proxmox VE 8.0.3", (6, 2)),
        ("Proxmox VE 8.1", (6, 5)),
        ("Proxmox VE 9.2.11", (6, 14)),
        ("QEMU", None),
    ],
)
def test_the_kernel_that_a_release_came_with(hypervisor, kernel):
    assert proxmox_kernel(hypervisor) == kernel


LONG = "7" * 5000
"""More digits than Python reads as a number."""


def test_a_number_of_thousands_of_digits_is_none():
    config = {"sockets": LONG, "cores": LONG, "memory": f"current={LONG}"}
    assert allocation(config) == (1, 512 * 2**20), "the defaults of Proxmox VE"
    assert "balloon, least MiB" not in settings([f"balloon: {LONG}", f"memory: {LONG}"])
    assert release(f"{LONG}.{LONG}") is proxmox_kernel(f"Proxmox VE {LONG}.1") is None
