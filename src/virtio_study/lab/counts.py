"""Device-register accesses per operation: exact, and each a VM exit under KVM, so they carry over to real hosts."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.lab.experiment import qemu_version
from virtio_study.lab.guest import Guest, build_guest
from virtio_study.lab.loads import requests
from virtio_study.lab.machine import BOOT_DEADLINE_S, Machine, Running, running
from virtio_study.storage import commit
from virtio_study.study import load_study

__all__ = ["OPERATIONS", "Operation", "count", "count_operation", "traced_accesses"]

TRACES = ("memory_region_ops_read", "memory_region_ops_write")
ROUND_TRIPS_PER_S = 500
ROUND_TRIPS_S = 4.0
REGIONS = re.compile(r"ide|piix-bmdma|bmdma|ahci|lsi-mmio|rtl8139|e1000-mmio|e1000-io|e1000e-mmio|virtio-pci.*")
MODEL_REGIONS = re.compile(r"lsi-ram")
"""The LSI model reads its own SCRIPTS memory through the bus: work for the host, but no exit of the guest."""
METHOD = (
    "QEMU trace events memory_region_ops_read and memory_region_ops_write between two QMP commands; ioeventfd=off on "
    "VirtIO devices so that notifications are seen; only regions of the device itself (no interrupt controller, timer, "
    "serial line); accesses that a device model makes by itself are counted apart"
)
LINE = re.compile(rb"memory_region_ops_(read|write) cpu (-?\d+) .*?name '([^']*)'")


@dataclass(frozen=True)
class Operation:
    """A device and what is done with it while accesses are counted."""

    device: str
    name: str
    disk: str | None
    nic: str | None
    command: str = ""
    operations: int = 0


OPERATIONS: tuple[Operation, ...] = (
    *(
        Operation(disk, f"{verb}_4k", disk, None, f"{verb} 200 4k", 200)
        for disk in ("ide", "ahci", "lsi", "virtio-scsi", "virtio-scsi-single", "virtio-blk")
        for verb in ("read", "write")
    ),
    *(
        Operation(nic, f"icmp_round_trip_{ROUND_TRIPS_PER_S}pps", None, nic)
        for nic in ("rtl8139", "e1000", "virtio-net")
    ),
)


def traced_accesses(log: bytes) -> tuple[Counter[str], Counter[str]]:
    """Accesses by region in a trace log: those of the guest's CPUs, and those that device models make themselves.

    QEMU writes the index of the CPU that makes an access, -1 outside of any (`system/trace-events`).
    """
    guest: Counter[str] = Counter()
    model: Counter[str] = Counter()
    for kind, cpu, name in LINE.findall(log):
        region = f"{name.decode()} {kind.decode()}"
        if MODEL_REGIONS.fullmatch(name.decode()):
            model[region] += 1
        elif REGIONS.fullmatch(name.decode()):
            (model if int(cpu) < 0 else guest)[region] += 1
    return guest, model


def count_operation(operation: Operation, guest: Guest) -> dict[str, Any]:
    """Boot a machine with the device, do the operations, and return accesses per operation.

    Returns
    -------
    dict
        `per_operation`, `internal_per_operation` (float), `operations` (int), `by_region` (per operation).
    """
    machine = Machine(
        "count", 900, 1, 256 * 2**20, operation.disk, 2**26, operation.nic, False, False, count_kicks=True
    )
    with running(machine, guest, "tcg", trace=True) as up:
        up.wait_for("READY", BOOT_DEADLINE_S)
        done = _disk_operations(up, operation) if operation.command else _round_trips(up, machine)
        guest_accesses, internal = traced_accesses((up.folder / "trace.log").read_bytes())
    return {
        "per_operation": sum(guest_accesses.values()) / done,
        "internal_per_operation": sum(internal.values()) / done,
        "operations": done,
        "by_region": {region: number / done for region, number in sorted(guest_accesses.items())},
    }


def _disk_operations(up: Running, operation: Operation) -> int:
    verb, _, size = operation.command.split()
    up.ask(f"{verb} 8 {size}", verb.upper())  # the first use of a disk reads its partition table and geometry
    _trace(up, True)
    up.ask(operation.command, verb.upper(), 60)
    _trace(up, False)
    return operation.operations


def _round_trips(up: Running, machine: Machine) -> int:
    with requests(up.folder, machine.mac) as net:
        net.per_s = ROUND_TRIPS_PER_S
        time.sleep(1.0)
        _trace(up, True)
        before = net.answered
        time.sleep(ROUND_TRIPS_S)
        after = net.answered
        _trace(up, False)
    if after == before:
        raise up.failure(said(N_("the guest answered no packet")))
    return after - before


def _trace(up: Running, enable: bool) -> None:
    for name in TRACES:
        up.qmp("trace-event-set-state", name=name, enable=enable)


def count(
    study_path: str | Path,
    boots: int = 3,
    progress: Callable[[list[Operation]], Iterable[Operation]] = iter,
) -> dict[str, Any]:
    """Count every operation of `OPERATIONS` over several boots and write `counts.json` into the study's folder."""
    study = load_study(study_path)
    guest = build_guest(study.folder / "guest")
    rows = []
    for operation in progress(list(OPERATIONS)):
        counted = [count_operation(operation, guest) for _ in range(boots)]
        rows.append(
            {
                "device": operation.device,
                "operation": operation.name,
                "boots": [item["per_operation"] for item in counted],
                "internal_per_operation": [item["internal_per_operation"] for item in counted],
                "operations_per_boot": [item["operations"] for item in counted],
                "by_region": counted[0]["by_region"],
            }
        )
    result = {
        "method": METHOD,
        "qemu": qemu_version(),
        "guest": {"release": guest.kernel_release, **guest.digests()},
        "rows": rows,
    }
    content = (json.dumps(result, indent=1) + "\n").encode()
    commit(study.folder, {"counts.json": content}, instead_of=["counts.json"])
    return result
