"""Free page reporting, read from what a recording says of device, driver and guest."""

import pytest

from virtio_study.pve.ingredients import free_page_reporting, reporting_offered
from virtio_study.recording import Provenance


def recorded(vm_config=(), **versions):
    return Provenance(
        study="s",
        server="s",
        driver_config="c",
        replicate="1",
        kind="measured",
        source="s",
        collector_version="0",
        started_at="2026-01-01T00:00:00+00:00",
        vm_config=list(vm_config),
        versions={name.replace("_", " "): value for name, value in versions.items()},
    )


@pytest.mark.parametrize(
    ("provenance", "offered"),
    [
        (recorded(["-device", "virtio-balloon-pci,id=balloon0,free-page-reporting=on"]), True),
        (recorded(["-device", "virtio-balloon-pci,id=balloon0"]), False),
        (recorded(["-device", "virtio-balloon-pci,id=balloon0,free-page-reporting=off"]), False),
        (recorded(["-m", "512"]), False),
        (recorded(["balloon: 0"], running_machine="pc-i440fx-10.0+pve1"), False),
        (recorded(["memory: 512"], running_machine="pc-i440fx-10.0+pve1"), True),
        (recorded(["memory: 512"], running_machine="pc-q35-6.2"), True),
        (recorded(["memory: 512"], running_machine="pc-i440fx-6.1"), False),
        (recorded(["machine: pc-i440fx-5.1"]), False),
        (recorded(["machine: q35"]), None),
        (Provenance(**recorded().model_dump() | {"versions": {"proxmox-ve": "4.2"}}), False),
        (Provenance(**recorded().model_dump() | {"versions": {"proxmox-ve": "8.4.1"}}), None),
    ],
)
def test_whether_the_device_offers_it(provenance, offered):
    assert reporting_offered(provenance) is offered


@pytest.mark.parametrize(
    ("facts", "reporting"),
    [
        ((True, True, "linux", "6.1"), "on"),
        ((True, True, "linux", "5.7.0-1"), "on"),
        ((True, True, "linux", "5.4"), "off"),
        ((True, True, "linux", None), "not known"),
        ((True, True, "windows", None), "off"),
        ((True, True, None, None), "not known"),
        ((True, None, "linux", "6.1"), "not known"),
        ((None, True, "linux", "6.1"), "not known"),
        ((True, False, "linux", "6.1"), "off"),
        ((False, True, "linux", "6.1"), "off"),
    ],
)
def test_whether_the_guest_reports(facts, reporting):
    assert free_page_reporting(*facts) == reporting
