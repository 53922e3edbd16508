"""What the API's answers and the log say about when each configuration was in force, and what disturbed its rows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from virtio_study.errors import StudyError
from virtio_study.i18n.sentences import english
from virtio_study.pve.values import seconds
from virtio_study.sources.events import CONTAMINATING, starts
from virtio_study.sources.history import Disturbance, History, InForce, Node, NodeStatus, Poll, Task, Waiting
from virtio_study.sources.runs import Run, match, of_present_server, runs_in
from virtio_study.study import DriverConfiguration, load_study


def poll(at: float, started: float = 0.0, **more: Any) -> Poll:
    data = {"status": "running", "uptime": at - started, "pid": 1, "blockstat": {"ide0": {}}, "nics": {"tap100i0": {}}}
    return Poll.of(at, data | more)


CONFIG = InForce(5.0, {"ide0": "local:a", "net0": "e1000=AA", "net1": "e1000=BB", "digest": "d"})


def runs_of(polls: list[Poll], configs: Sequence[InForce] = (CONFIG,), **more: Any) -> list[Run]:
    return runs_in(History(100, polls=polls, configs=configs, **more))


def bounds(runs: list[Run]) -> list[tuple[float, float]]:
    return [(run.start_s, run.end_s) for run in runs]


def disturbances(run: Run) -> list[tuple[float, float, str]]:
    return [(item.start_s, item.end_s, item.reason) for item in run.contaminated]


def test_a_new_start_and_other_disks_begin_a_new_run() -> None:
    polls = [poll(t) for t in range(10, 60, 10)]
    polls += [poll(t, started=60.0) for t in range(70, 100, 10)]
    polls += [poll(t, started=60.0, blockstat={"scsi0": {}}) for t in range(100, 130, 10)]
    after = InForce(101.0, {"scsi0": "local:a", "scsihw": "virtio-scsi-single", "net0": "e1000=AA"})
    runs = runs_of(polls, [CONFIG, after])
    assert bounds(runs) == [(10, 50), (70, 90), (100, 120)]
    assert [run.devices["disk"] for run in runs] == ["ide", "ide", "virtio-scsi"]


def test_another_network_card_begins_a_new_run() -> None:
    polls = [poll(t) for t in (10, 20, 30)] + [poll(t, nics={"tap100i0": {}, "tap100i1": {}}) for t in (40, 50)]
    assert bounds(runs_of(polls)) == [(10, 30), (40, 50)]


def test_another_process_and_uptimes_written_as_text_are_understood() -> None:
    polls = [poll(t) for t in (10, 20)] + [poll(t, pid="2") for t in (30, 40)]
    polls += [poll(t, pid=2, uptime=str(t)) for t in (50, 60)]
    assert bounds(runs_of(polls)) == [(10, 20), (30, 60)]


def test_a_server_that_is_off_is_in_no_run() -> None:
    off = Poll.of(30.0, {"status": "stopped", "uptime": 0})
    polls = [poll(10), poll(20), off, poll(50, started=45.0), poll(60, started=45.0)]
    assert bounds(runs_of(polls)) == [(10, 20), (50, 60)]


def test_tasks_and_gaps_disturb_a_run_and_tasks_of_others_do_not() -> None:
    polls = [poll(t) for t in (10, 20, 30, 40, 90, 100)]
    tasks = [
        {"upid": "a", "type": "vzdump", "id": "100", "starttime": 15},
        {"upid": "a", "type": "vzdump", "id": "100", "starttime": 15, "endtime": 25},
        {"upid": "b", "type": "vzdump", "id": "101", "starttime": 15, "endtime": 25},
        {"upid": "c", "type": "qmconfig", "id": "100", "starttime": 15, "endtime": 25},
        {"upid": "d", "type": "qmigrate", "id": "100", "starttime": 95},
        {"upid": "e", "type": "qmsnapshot", "id": "100", "starttime": 200, "endtime": 210},
    ]
    (run,) = runs_of(polls, tasks=[Task.of(task) for task in tasks])
    assert disturbances(run) == [(15, 25, "backup"), (95, 100, "migration"), (40, 90, "gap")]
    assert set(CONTAMINATING.values()) >= {"backup", "migration", "snapshot", "disk resized"}


def test_backups_of_several_servers_and_locks_disturb_a_run_too() -> None:
    polls = [poll(t, **({"lock": "backup"} if t in (60, 70) else {})) for t in range(10, 110, 10)]
    tasks = [{"upid": "a", "type": "vzdump", "id": "", "starttime": 15, "endtime": 25}]
    (run,) = runs_of(polls, tasks=[Task.of(task) for task in tasks])
    assert disturbances(run) == [(15, 25, "backup"), (50, 80, "backup")]


def test_a_change_of_the_configuration_in_force_begins_a_new_run_and_the_time_between_two_looks_is_left_out() -> None:
    polls = [poll(t) for t in range(10, 700, 10)]
    configs = [InForce(at, CONFIG.config) for at in (10.0, 310.0)]
    configs.append(InForce(610.0, {**CONFIG.config, "net0": "virtio=AA"}))
    first, second = runs_of(polls, configs)
    assert bounds([first, second]) == [(10, 600), (610, 690)]
    assert (310.0, 600.0, "configuration changed") in disturbances(first)
    assert [item.detail for item in first.contaminated] == ["net0"]
    assert (first.devices["network"], second.devices["network"]) == ("e1000", "virtio-net, e1000")


@pytest.mark.parametrize(
    "change", [{"description": "x"}, {"digest": "e"}, {"tags": "a"}, {"ide2": "local:iso/a.iso,media=cdrom"}]
)
def test_what_changes_nothing_in_a_server_that_runs_is_no_change(change: dict[str, str]) -> None:
    polls = [poll(t) for t in range(10, 700, 10)]
    (run,) = runs_of(polls, [InForce(10.0, CONFIG.config), InForce(310.0, {**CONFIG.config, **change})])
    assert not run.contaminated


def test_changes_that_wait_for_a_restart_are_named_and_do_not_count() -> None:
    pending = [{"key": "scsihw", "value": "lsi", "pending": "virtio-scsi-single"}, {"key": "net0", "value": "e1000=AA"}]
    pending += [{"key": "balloon", "value": 0, "delete": 1}]
    (run,) = runs_of([poll(t) for t in (10, 20, 30)], waiting=[Waiting.of(20.0, pending)])
    assert run.waiting == ("balloon", "scsihw")
    assert run.devices == {"disk": "ide", "network": "e1000"}


def test_a_new_proxmox_begins_a_new_run_and_a_reboot_of_the_host_disturbs() -> None:
    polls = [poll(t) for t in range(10, 100, 10)]
    statuses = [
        (10.0, {"uptime": 1000, "pveversion": "pve-manager/9.1.2/abc"}),
        (50.0, {"uptime": 1040, "pveversion": "pve-manager/9.2.11/def"}),
        (90.0, {"uptime": "20", "pveversion": "pve-manager/9.2.11/def"}),
    ]
    first, second = runs_of(polls, nodes={"pve1": Node([NodeStatus.of(at, data) for at, data in statuses])})
    assert bounds([first, second]) == [(10, 40), (50, 90)]
    assert (first.host.proxmox, second.host.proxmox) == ("pve-manager/9.1.2/abc", "pve-manager/9.2.11/def")
    assert (10.0, 40.0, "Proxmox VE upgraded") in disturbances(first)
    assert (50.0, 90.0, "host reboot") in disturbances(second)


def balloon(at: float, guest: bool) -> Poll:
    info = {"actual": 1, "total_mem": 1, "free_mem": 1, "last_update": at} if guest else {"actual": 1}
    return poll(at, ballooninfo=info, qmpstatus="running")


def test_statistics_that_begin_for_good_begin_a_new_run_and_a_boot_or_a_blip_does_not() -> None:
    def seen(guest: Any) -> list[Poll]:
        return [balloon(t, guest(t)) for t in range(10, 4000, 10)]

    first, second = runs_of(seen(lambda t: t > 2000))
    assert bounds([first, second]) == [(10, 2000), (2010, 3990)]
    assert (2000.0, 2000.0, "balloon statistics began") in disturbances(first)
    assert (first.balloon_driver, second.balloon_driver) == (False, True)
    assert "balloon statistics ended" in [item[2] for item in disturbances(runs_of(seen(lambda t: t < 2000))[0])]
    assert len(runs_of(seen(lambda t: t > 300))) == 1
    assert len(runs_of(seen(lambda t: t % 1000 != 0))) == 1


def test_the_log_cuts_runs_at_moments_and_leaves_stretches_out() -> None:
    log = [Disturbance(40.0, 40.0, "drivers installed"), Disturbance(60.0, 80.0, "inventory of the pharmacy")]
    first, second = runs_of([poll(t) for t in range(10, 100, 10)], logged=log)
    assert bounds([first, second]) == [(10, 30), (40, 90)]
    assert disturbances(second)[-1] == (60.0, 80.0, "inventory of the pharmacy")


LOGGED = """
log:
  - {server: versat, start: 2026-11-23T14:00:00+01:00, what: drivers installed}
  - {start: 2026-11-23T15:00:00+01:00, end: 2026-11-23T15:30:00+01:00, what: power cut}
"""


def test_the_log_of_a_study_is_of_one_server_or_of_all(tmp_path: Path) -> None:
    rig = ROOT / "data/pve-rig/study.yaml"
    (tmp_path / "study.yaml").write_text(rig.read_text() + LOGGED)
    study = load_study(tmp_path)
    at = datetime(2026, 11, 23, 13, tzinfo=UTC).timestamp()
    assert study.logged("versat") == [(at, at, "drivers installed"), (at + 3600, at + 5400, "power cut")]
    assert study.logged("dominio") == [(at + 3600, at + 5400, "power cut")]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("{start: 2026-11-23T14:00:00, what: x}", "time zone"),
        ("{start: 2026-11-23T14:00:00Z, end: 2026-11-23T13:00:00Z, what: x}", "end must be after start"),
        ("{server: versatt, start: 2026-11-23T14:00:00Z, what: x}", "versat"),
    ],
)
def test_a_wrong_entry_of_the_log_is_refused_with_its_place(tmp_path: Path, wrong: str, says: str) -> None:
    rig = ROOT / "data/pve-rig/study.yaml"
    (tmp_path / "study.yaml").write_text(f"{rig.read_text()}\nlog:\n  - {wrong}\n")
    with pytest.raises(StudyError, match=says):
        load_study(tmp_path)


def test_a_run_that_is_no_configuration_of_the_study_says_what_it_is() -> None:
    (run,) = runs_of([poll(t) for t in range(10, 200, 10)])
    label = {"en": "x", "es": "x"}
    known = {
        name: DriverConfiguration.model_validate({"label": label, **keys})
        for name, keys in {
            "a": {"disk": "ide", "nic": "e1000"},
            "b": {"disk": "virtio-blk"},
            "c": {"disk": "ide"},
        }.items()
    }
    assert match(run, {"a": known["a"], "b": known["b"]}).driver_config == "a"
    assert "fits a, c alike" in english(match(run, known).why)
    short = match(replace(run, end_s=100.0), {"a": known["a"]})
    assert (short.driver_config, english(short.why)) == ("", "it ran for 90 s, too short to tell what it is")
    lost = match(run, {"b": known["b"]})
    assert lost.driver_config == ""
    assert english(lost.why) == (
        "disk ide, network card e1000, without balloon statistics: is none of the study's driver configurations"
    )


@pytest.mark.parametrize(
    ("value", "known"), [("12", 12.0), (12, 12.0), (-1, None), (1e30, None), ([], None), ("x", None)]
)
def test_seconds_are_a_positive_number_or_nothing(value: Any, known: float | None) -> None:
    assert seconds(value) == known


def test_starts_are_told_by_tasks_that_succeeded_and_by_the_uptime() -> None:
    def task(kind: str, at: float, status: str | None = "OK", vmid: str = "100") -> dict[str, Any]:
        return {"type": kind, "id": vmid, "starttime": at} | ({} if status is None else {"status": status})

    tasks = [
        task("qmstart", 1000),
        task("qmstart", 2000, "VM 100 already running"),
        task("qmstart", 3000, vmid="101"),
        task("qmreboot", 4000, "WARNINGS: 1"),
        task("qmstart", 5000, None),  # it still runs
        task("hastart", 6000),
        task("qmshutdown", 7000),
    ]
    polls = [Poll.of(at, {"uptime": uptime}) for at, uptime in ((9000.0, 1500), (9010.2, "1510"), (9020.0, 0))]
    history = History(100, polls=polls, tasks=[Task.of(task) for task in tasks])
    assert [item.start_s for item in starts(history)] == [1000, 4000, 5000, 7500]


OLDER = {"meta": "creation-qemu=10.0.13,ctime=1795438639", "smbios1": "uuid=81adfa02-746d-4ea9-b8f7-977be6015f48"}
NEWER = {"meta": "creation-qemu=10.0.13,ctime=1795699496", "smbios1": "uuid=9af8b353-5a40-4440-8725-d7595348574b"}


@pytest.mark.parametrize(
    ("earlier", "same"),
    [
        (OLDER, False),
        (NEWER, True),
        (OLDER | {"smbios1": NEWER["smbios1"]}, True),  # restored
        (OLDER | {"meta": NEWER["meta"]}, True),
        ({"meta": "creation-qemu=10.0.13"}, True),  # nothing tells
        ({}, True),
    ],
)
def test_a_number_that_was_another_server_s_is_not_this_one_s_run(earlier: dict[str, str], same: bool) -> None:
    runs = [
        replace(runs_of([poll(t) for t in range(0, 300, 10)])[0], driver_config="emulated", config=config)
        for config in (earlier, NEWER)
    ]
    first, second = of_present_server(runs)
    assert (first.driver_config, second.driver_config) == ("emulated" if same else "", "emulated")
    if not same:
        assert english(first.why).startswith("another server had this number then")
