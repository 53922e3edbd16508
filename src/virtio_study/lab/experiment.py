"""The experiment: boots as replicates, arms interleaved in a seeded random order, resumable at any moment."""

import contextlib
import hashlib
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from virtio_study import __version__
from virtio_study.errors import LabError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import render, said
from virtio_study.lab.guest import Guest, build_guest
from virtio_study.lab.loads import Requests, requests
from virtio_study.lab.machine import BOOT_DEADLINE_S, Accelerator, Machine, Running, probe, running
from virtio_study.lab.sampling import rows_from_samples, sample_machine
from virtio_study.recording import Provenance, Recording, write_all
from virtio_study.storage import locked, manifest
from virtio_study.study import LabPlan, Study, load_study

__all__ = ["PlannedBoot", "boot_order", "open_boots", "qemu_version", "record"]

SETTLE_S = 12.0
"""Seconds beyond the steady stretch, so that it keeps its length when the start-up transient is cut off."""


@dataclass(frozen=True)
class PlannedBoot:
    """One boot of every server at the same time, under one driver configuration."""

    driver_config: str
    replicate: str


@dataclass
class BootedServer:
    """One server's machine during a boot: its channels, what was sampled, and when it got ready."""

    boot: PlannedBoot
    server: str
    machine: Machine
    events: dict[str, float] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    up: Running = field(init=False)
    net: Requests = field(init=False)


def boot_order(study: Study) -> list[PlannedBoot]:
    """All boots of the study in the order in which they are to be run.

    Randomised blocks: each replicate has every driver configuration once, in an order drawn with the study's seed,
    so that a drift of the host falls on all of them alike.
    """
    lab = _lab(study)
    order = random.Random(study.seed)
    boots = []
    for number in range(1, lab.boots + 1):
        block = list(study.driver_configs)
        order.shuffle(block)
        boots += [PlannedBoot(name, f"boot-{number:02d}") for name in block]
    return boots


def open_boots(study: Study) -> list[PlannedBoot]:
    """Boots that are not yet recorded for every server."""
    done = set(manifest(study.folder))
    return [boot for boot in boot_order(study) if any(_name(server, boot) not in done for server in study.servers)]


def record(
    study_path: str | Path, progress: Callable[[list[list[PlannedBoot]]], Iterable[list[PlannedBoot]]] = iter
) -> int:
    """Run every boot that is not recorded yet, and record it.

    Parameters
    ----------
    study_path : str or Path
        A study with `source: lab`.
    progress : callable
        Wraps the list of slots that are left, to show how far the run is. A slot is the boots that run side by side.

    Returns
    -------
    int
        The number of boots run.

    Raises
    ------
    StudyError, LabError
        If the study is not a lab study, or QEMU or the guest fail. What was recorded before stays.
    """
    study = load_study(study_path)
    form = N_("{folder}: another lab record of this study is at work ({who}); wait for it, or end it")
    with locked(study.folder / "guest" / ".lock", lambda who: LabError(form, folder=study.folder, who=who)):
        return _record_open(study, progress)


def _record_open(study: Study, progress: Callable[[list[list[PlannedBoot]]], Iterable[list[PlannedBoot]]]) -> int:
    left = open_boots(study)
    if not left:
        return 0
    guest = build_guest(study.folder / "guest")
    accelerator = probe(guest)
    wide = _lab(study).side_by_side
    for slot in progress([left[at : at + wide] for at in range(0, len(left), wide)]):
        run_slot(study, slot, guest, accelerator)
    return len(left)


def run_slot(study: Study, slot: list[PlannedBoot], guest: Guest, accelerator: Accelerator) -> None:
    """Boot every server under each configuration of a slot, load it, sample it, and write one recording of each."""
    lab = _lab(study)
    runs = [
        BootedServer(boot, server, machine_of(study, server, boot.driver_config))
        for boot in slot
        for server in study.servers
    ]
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    with contextlib.ExitStack() as stack:
        for run in runs:
            run.up = stack.enter_context(running(run.machine, guest, accelerator.name))
            run.net = stack.enter_context(requests(run.up.folder, run.machine.mac))
        until = float("inf")
        due = time.monotonic()
        while due < until:
            for run in runs:
                loaded = "load_started" in run.events
                run.samples.append(sample_machine(run.up, loaded, run.net.offered, run.net.answered))
                if not loaded:
                    _advance(run, lab)
            if until == float("inf") and all("load_started" in run.events for run in runs):
                until = time.monotonic() + lab.steady_s + SETTLE_S
            due += lab.step_s
            time.sleep(max(0.0, due - time.monotonic()))
    for run in runs:
        _store(study, run, _provenance(study, run, guest, accelerator, started_at))


def _advance(run: BootedServer, lab: LabPlan) -> None:
    """Give a guest that is up its start-up work and its load, and note when; nothing here waits for the guest."""
    waited = time.monotonic() - run.up.started
    if waited > BOOT_DEADLINE_S:
        raise run.up.failure(
            said(N_("{server} did not get ready within {deadline:g} s"), server=run.server, deadline=BOOT_DEADLINE_S)
        )
    load = lab.loads[run.server]
    with_disk = load.disk_reads_per_s or load.disk_writes_per_s
    last = "@FILES" if load.file_set_bytes else "@LEDGER" if with_disk else "@FILL"
    while (line := run.up.line_if_any()) is not None:
        word = line.split(" ", 1)[0]
        if word == "@READY":
            run.events["ready"] = waited
            run.up.tell(f"fill {lab.start_up_fill_bytes // 2**20}")
            if with_disk:
                run.up.tell(f"ledger {load.disk_reads_per_s} {load.disk_writes_per_s}")
            if load.file_set_bytes:
                run.up.tell(f"files {load.file_set_bytes // 2**20}")
        if word == last:
            run.net.per_s = load.requests_per_s
            run.events["load_started"] = waited


def machine_of(study: Study, server: str, driver_config: str) -> Machine:
    """The machine of a server under a driver configuration of the study."""
    at, config = study.server(server), study.driver_config(driver_config)
    if at.disk_bytes is None:
        raise StudyError(
            N_("servers.{server}.disk_bytes: is missing; the lab makes a disk of that size, such as 256 MiB"),
            server=server,
        )
    return Machine(
        name=server,
        vmid=at.vmid,
        vcpus=at.vcpus,
        memory_bytes=int(at.memory_bytes),
        disk=config.disk,
        disk_bytes=int(at.disk_bytes),
        nic=config.nic,
        balloon_driver=bool(config.balloon_driver),
        free_page_reporting=bool(config.free_page_reporting),
        machine_type=config.machine or "pc",
        iothread=bool(config.iothread),
    )


def _store(study: Study, run: BootedServer, provenance: Provenance) -> None:
    name = _name(run.server, run.boot)
    if name in manifest(study.folder):
        return
    path = study.folder / name
    lines = "".join(json.dumps(item) + "\n" for item in run.samples)
    raw = path.with_suffix(".raw.jsonl.zst").relative_to(study.folder).as_posix()
    samples = zstandard.ZstdCompressor(level=19).compress(lines.encode())
    made = Recording(rows_from_samples(run.samples, run.machine), provenance, path)
    # in one step: a boot whose samples alone are listed could be neither kept nor run again
    write_all([made], study.folder, beside={raw: samples})


def _provenance(study: Study, run: BootedServer, guest: Guest, accelerator: Accelerator, started_at: str) -> Provenance:
    config = [word.replace(str(run.up.folder), "RUN").replace(str(study.folder), "STUDY") for word in run.up.command]
    machine = run.machine
    return Provenance(
        study=study.name,
        server=run.server,
        driver_config=run.boot.driver_config,
        replicate=run.boot.replicate,
        kind="emulated" if accelerator.name == "tcg" else "measured",
        source="lab: real QEMU guests, sampled on the host",
        collector_version=__version__,
        started_at=started_at,
        accelerator=accelerator.name,
        kernel_module=accelerator.kernel_module,
        versions={
            "qemu": qemu_version(),
            "host_kernel": Path("/proc/sys/kernel/osrelease").read_text().strip(),
            **{f"debian:{name}": version for name, version in guest.packages.items()},
        },
        devices={
            "disk": machine.disk or "none",
            "nic": machine.nic or "none",
            "balloon_driver": "loaded" if machine.balloon_driver else "not loaded",
            "free_page_reporting": "on" if machine.free_page_reporting else "off",
            "machine": machine.machine_type,
            "iothread": "on" if machine.iothread else "off",
        },
        vm_config=config,
        config_digest=hashlib.sha256(json.dumps(config).encode()).hexdigest(),
        inputs=guest.digests(),
        events={**run.events, "end": run.samples[-1]["uptime_s"]},
        notes=[render("accelerator {name}: {reason}", {"name": accelerator.name, "reason": accelerator.reason})],
    )


def qemu_version() -> str:
    """QEMU's version as it prints it, with the packager's."""
    shown = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    return shown.splitlines()[0].removeprefix("QEMU emulator version ")


def _name(server: str, boot: PlannedBoot) -> str:
    return f"recordings/{server}/{boot.driver_config}/{boot.replicate}.parquet"


def _lab(study: Study) -> LabPlan:
    if study.lab is None:
        raise StudyError(
            N_("{path}: source is {source!r}; the lab records studies with 'lab'"),
            path=study.folder / "study.yaml",
            source=study.source,
        )
    return study.lab
