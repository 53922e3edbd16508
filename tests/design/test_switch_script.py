"""`switch.sh` against a stand-in for `qm` that knows its options: afterwards a VM is as before or as declared."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from small import needs
from virtio_study.design.switch_script import switch_script
from virtio_study.errors import StudyError
from virtio_study.study import Block, DriverConfiguration, Schedule, Server, Text

QM = Path(__file__).with_name("qm.sh")
START = datetime(2026, 12, 1, tzinfo=UTC)
TEXT = Text(en="t", es="t")
CONFIGS = {
    "emulated": DriverConfiguration(label=TEXT, disk="ide", nic="e1000", balloon_driver=False),
    "virtio": DriverConfiguration(label=TEXT, disk="virtio-scsi", nic="virtio-net", balloon_driver=True, iothread=True),
}
ORIGINAL = {
    "agent": "1",
    "boot": "order=ide0;ide2;net0",
    "cores": "2",
    "ide0": "local-lvm:vm-100-disk-0,cache=writeback,size=32G",
    "ide2": "local:iso/debian.iso,media=cdrom,size=600M",
    "memory": "4096",
    "name": "versat",
    "net0": "e1000=BC:24:11:00:00:64,bridge=vmbr0,firewall=1",
    "sata1": "local-lvm:vm-100-disk-1,size=8G",
}
"""Two disks on two buses, a CD, and the balloon device by default."""
AS_VIRTIO = {
    "boot": "order=scsi0;ide2;net0",
    "ide2": ORIGINAL["ide2"],
    "net0": "virtio=BC:24:11:00:00:64,bridge=vmbr0,firewall=1",
    "scsi0": "local-lvm:vm-100-disk-0,cache=writeback,iothread=1",
    "scsi1": "local-lvm:vm-100-disk-1,iothread=1",
    "scsihw": "virtio-scsi-single",
}
AS_EMULATED = {
    "balloon": "0",
    "boot": "order=ide0;ide2;net0",
    "ide0": "local-lvm:vm-100-disk-0,cache=writeback",
    "ide1": "local-lvm:vm-100-disk-1",
    "ide2": ORIGINAL["ide2"],
    "net0": ORIGINAL["net0"],
}
OTHER = {"name": "dominio", "ide0": "local-lvm:vm-101-disk-0,size=32G", "net0": "e1000=BC:24:11:00:00:65,bridge=vmbr0"}


def conf_text(config: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in config.items())


class Host:
    """A host with two VMs, of which a script switches the first."""

    def __init__(self, folder: Path) -> None:
        self.fake, self.state, self.programs = folder / "fake", folder / "state", folder / "bin"
        self.fake.mkdir()
        self.programs.mkdir()
        for name in ("qm", "pvesh"):
            shutil.copy(QM, self.programs / name)
            (self.programs / name).chmod(0o755)
        date = 'case "$*" in "+%s") cat "$FAKE/now" ;; *) exec /bin/date "$@" ;; esac'
        for name, body in (("date", date), ("sleep", ":"), ("sync", ":")):
            (self.programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (self.programs / name).chmod(0o755)
        (self.fake / "volumes").write_text(
            "local-lvm:vm-100-disk-0\nlocal-lvm:vm-100-disk-1\nlocal-lvm:vm-101-disk-0\n"
        )
        self.write(100, ORIGINAL)
        self.write(101, OTHER)
        for name, content in (("100.running", ""), ("101.running", ""), ("ha", "[]"), ("replication", "[]")):
            (self.fake / name).write_text(content)
        configs = ("virtio", "emulated")
        blocks = tuple(
            Block(
                start=START + timedelta(hours=6 * n),
                end=START + timedelta(hours=6 * n + 6),
                driver_config=configs[n],
                pair=1,
            )
            for n in range(2)
        )
        schedule = Schedule(law="pairs", seed=1, washout_s=1800, blocks={"versat": blocks})
        server = Server(vmid=100, role=TEXT, vcpus=2, memory_bytes=4 * 2**30)
        self.script = folder / "switch.sh"
        self.script.write_text(switch_script("small", schedule, {"versat": server}, CONFIGS))

    def write(self, vmid: int, config: Mapping[str, str]) -> None:
        (self.fake / f"{vmid}.conf").write_text(conf_text(config))

    def run(self, hours: float, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.fake / "now").write_text(f"{(START + timedelta(hours=hours)).timestamp():.0f}\n")
        (self.fake / "calls").unlink(missing_ok=True)
        path = f"{self.programs}:{os.environ['PATH']}"
        paths = {"PATH": path, "FAKE": str(self.fake), "STATE": str(self.state)}
        given = {**os.environ, **paths, "PATIENCE": "10", **environment}
        started = 'echo $$ > "$FAKE/caller"; exec bash "$@"'
        return subprocess.run(
            ["bash", "-c", started, "bash", str(self.script), *words], env=given, capture_output=True, text=True
        )

    def config(self, vmid: int = 100) -> dict[str, str]:
        """What a study changes, without the sizes of disks."""
        lines = (line.split(": ", 1) for line in (self.fake / f"{vmid}.conf").read_text().splitlines())
        found = {line[0]: line[-1] for line in lines}
        kept = {key: value for key, value in found.items() if key not in ("agent", "cores", "memory", "name")}
        return {
            key: value if "cdrom" in value else ",".join(p for p in value.split(",") if not p.startswith("size="))
            for key, value in kept.items()
        }

    @property
    def running(self) -> bool:
        return (self.fake / "100.running").exists()

    @property
    def asked(self) -> list[str]:
        path = self.fake / "asked"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def log(self) -> str:
        path = self.state / "log"
        return path.read_text() if path.exists() else ""


BEFORE = {
    key: value.replace(",size=32G", "").replace(",size=8G", "")
    for key, value in ORIGINAL.items()
    if key not in ("agent", "cores", "memory", "name")
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_without_an_option_nothing_is_changed_and_all_is_shown(host: Host) -> None:
    shown = host.run(0.1)
    assert shown.returncode == 0, shown.stderr
    assert "VM 100: versat" in shown.stdout
    assert "block 1: virtio" in shown.stdout
    assert "virtio: qm set 100 --boot order=scsi0;ide2;net0 --net0 virtio=BC:24:11:00:00:64" in shown.stdout
    assert "--delete ide0,sata1" in shown.stdout
    assert host.config() == BEFORE
    assert not host.state.exists()
    assert not [call for call in host.asked if call.split()[2] not in ("config", "pending", "listsnapshot", "get")]


def test_it_follows_the_schedule_once_and_puts_everything_back_at_the_end(host: Host) -> None:
    assert host.run(-1, "--run").returncode == 0
    assert host.config() == BEFORE
    done = host.run(0.1, "--run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.config() == AS_VIRTIO
    assert host.running
    asked = len(host.asked)
    assert host.run(0.3, "--run").returncode == 0
    assert len(host.asked) == asked, "nothing is asked twice of a block that is done"
    assert host.run(6.1, "--run").returncode == 0
    assert host.config() == AS_EMULATED
    assert host.run(12.1, "--run").returncode == 0
    assert host.config() == BEFORE
    assert host.running
    assert host.run(13, "--run").returncode == 0
    assert host.log.count(" done: ") == 3
    assert host.config(101) == {k: v.replace(",size=32G", "") for k, v in OTHER.items() if k != "name"}


def test_restore_gives_back_what_was_before_the_study(host: Host) -> None:
    host.run(0.1, "--run")
    assert host.run(0.2, "--restore").returncode == 0
    assert host.config() == BEFORE
    assert host.running
    asked = len(host.asked)
    assert host.run(6.1, "--run").returncode == 0
    assert len(host.asked) == asked, "a study that was ended does not go on"


def test_what_cannot_be_restored_is_tried_again_when_a_person_asks(host: Host) -> None:
    host.run(0.1, "--run")
    assert host.run(12.1, "--run", ALWAYS="guest cmd").returncode == 1
    assert host.config() == AS_VIRTIO
    asked = len(host.asked)
    host.run(12.2, "--run")
    assert len(host.asked) == asked
    assert host.run(12.3, "--restore").returncode == 0
    assert host.config() == BEFORE


def test_the_same_refusal_is_told_once(host: Host) -> None:
    (host.fake / "ha").write_text('[{"sid":"vm:100"}]')
    assert "refused: it is under HA" in host.run(0.1, "--run").stdout
    again = host.run(0.2, "--run")
    assert (again.returncode, again.stdout) == (1, "")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("100.conf", conf_text(ORIGINAL | {"lock": "backup"}), "it is locked: lock: backup"),
        ("100.conf", conf_text(ORIGINAL) + "[PENDING]\nmemory: 8192\n", "it has pending changes"),
        ("100.conf", conf_text(ORIGINAL | {"protection": "1"}), "it is protected"),
        ("100.conf", conf_text(ORIGINAL | {"scsi3": "/dev/sdb"}), "unknown disk scsi3: /dev/sdb"),
        ("100.conf", conf_text(ORIGINAL | {"net1": "model=e1000,macaddr=00:00:00:00:00:01"}), "unknown card net1"),
        ("100.snapshots", "`-> before-update 2026-01-01 00:00:00 no-description\n", "it has snapshots"),
        ("ha", '[{"sid":"vm:100","state":"started","type":"vm"}]', "it is under HA"),
        ("replication", '[{"guest":"100","id":"100-0","target":"pve2"}]', "it is replicated"),
        ("100.running", None, "it does not run"),
        ("100.conf", None, "it is not on this host"),
    ],
)
def test_what_it_may_not_touch_is_refused_and_left(host: Host, name: str, content: str | None, said: str) -> None:
    path = host.fake / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    before = (host.fake / "100.conf").read_bytes() if (host.fake / "100.conf").exists() else None
    refused = host.run(0.1, "--run")
    assert refused.returncode == 1
    assert f"block=1 refused: {said}" in refused.stdout
    assert before is None or (host.fake / "100.conf").read_bytes() == before
    assert not [call for call in host.asked if call.split()[2] in ("set", "shutdown", "stop", "start")]


def test_a_lock_that_goes_in_time_delays_a_switch_and_a_late_one_is_missed(host: Host) -> None:
    host.write(100, ORIGINAL | {"lock": "backup"})
    assert host.run(0.1, "--run").returncode == 1
    host.write(100, ORIGINAL)
    assert host.run(0.5, "--run").returncode == 0
    assert host.config() == AS_VIRTIO
    late = host.run(7.5, "--run")
    assert "block=2 missed: it is too late for a restart" in late.stdout
    assert host.config() == AS_VIRTIO


def test_a_cd_that_is_ejected_or_changed_is_nobody_s_change_and_stays(host: Host) -> None:
    host.write(100, ORIGINAL | {"sata4": "local-lvm:vm-100-cloudinit,media=cdrom,size=4M"})
    host.run(0.1, "--run")
    text = (host.fake / "100.conf").read_text()
    ejected = "none,media=cdrom"
    (host.fake / "100.conf").write_text(text.replace(ORIGINAL["ide2"], ejected))
    assert "block=2 done: emulated" in host.run(6.1, "--run").stdout
    assert host.config()["ide2"] == ejected
    assert "block=end done" in host.run(12.1, "--run").stdout
    assert (host.config()["ide0"], host.config()["ide2"]) == (BEFORE["ide0"], ejected)
    assert host.config()["sata4"].startswith("local-lvm:vm-100-cloudinit")


def test_a_read_only_disk_is_never_made_writable(host: Host) -> None:
    without = {key: value for key, value in ORIGINAL.items() if key != "sata1"}
    host.write(100, without | {"scsi1": "local-lvm:vm-100-disk-1,ro=1"})
    refused = host.run(6.1, "--run")
    assert "block=2 refused: read-only disk scsi1" in refused.stdout
    assert "scsi1: local-lvm:vm-100-disk-1,ro=1" in (host.fake / "100.conf").read_text()


def test_the_name_that_an_ide_disk_shows_goes_with_the_bus_and_comes_back(host: Host) -> None:
    host.write(100, ORIGINAL | {"ide0": ORIGINAL["ide0"] + ",model=Disk"})
    assert "block=1 done: virtio" in host.run(0.1, "--run").stdout
    assert host.config()["scsi0"] == AS_VIRTIO["scsi0"]
    host.run(6.1, "--run")
    assert host.config()["ide0"].endswith(",model=Disk")


def test_what_somebody_changed_is_not_changed_back(host: Host) -> None:
    host.run(0.1, "--run")
    text = (host.fake / "100.conf").read_text()
    (host.fake / "100.conf").write_text(text + "net1: virtio=BC:24:11:00:00:66,bridge=vmbr1\n")
    assert "somebody changed its devices" in host.run(6.1, "--run").stdout


def test_a_guest_that_does_not_answer_gets_its_configuration_back(host: Host) -> None:
    (host.fake / "100.needs-ide").write_text("")
    failed = host.run(0.1, "--run")
    assert failed.returncode == 1
    assert "its guest does not answer" in failed.stdout
    assert host.config() == BEFORE
    assert host.running
    assert host.run(0.2, "--run").returncode == 0, "a block that failed is not tried again"


def test_a_guest_that_shuts_down_too_late_is_started_again(host: Host) -> None:
    (host.fake / "100.deaf").write_text("")
    assert "did not shut down" in host.run(0.1, "--run").stdout
    assert host.running
    (host.fake / "100.running").unlink()
    assert "is started again" in host.run(0.2, "--run").stdout
    assert host.running
    assert host.config() == BEFORE


CHANGING = ("set", "shutdown", "stop", "start")


def steps_of(folder: Path, how: str) -> list[int]:
    """Calls of a switch that may fail in a way: all, those that change something, or those and what follows."""
    folder.mkdir()
    host = Host(folder)
    assert host.run(0.1, "--run").returncode == 0
    asked = [line.split()[2] for line in host.asked]
    changing = [number for number, word in enumerate(asked, start=1) if word in CHANGING]
    steps = {
        "before": range(1, len(asked) + 1),
        "after": changing,
        "half": [number for number in changing if asked[number - 1] == "set"],
        "cut": [*changing, *(number + 1 for number in changing)],
    }
    return list(steps[how])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "after", "half", "cut"])
def test_whatever_step_fails_the_vm_is_as_before_or_as_declared_and_runs(tmp_path: Path, how: str) -> None:
    for step in steps_of(tmp_path / "whole", how):
        folder = tmp_path / str(step)
        folder.mkdir()
        host = Host(folder)
        host.run(0.1, "--run", FAIL_AT=str(step), HOW=how)
        if how == "cut":
            host.run(0.2, "--run")
        failed = (step, host.asked[step - 1])
        assert host.config() in (BEFORE, AS_VIRTIO), failed
        assert host.running, failed


@pytest.mark.slow
@pytest.mark.parametrize("always", ["qm set", "qm start", "qm shutdown", "qm status", "qm pending", "guest cmd"])
def test_what_fails_for_long_is_put_back_as_soon_as_it_works_again(host: Host, always: str) -> None:
    host.run(0.1, "--run", ALWAYS=always)
    host.run(0.2, "--run")
    assert host.config() in (BEFORE, AS_VIRTIO)
    assert host.running


def test_a_later_failure_keeps_the_configuration_of_the_block_before(host: Host) -> None:
    host.run(0.1, "--run")
    host.run(6.1, "--run", ALWAYS="guest cmd")
    assert host.config() == AS_VIRTIO
    assert host.running


def test_shellcheck_has_nothing_to_say(host: Host) -> None:
    checked = subprocess.run([needs("shellcheck"), str(host.script)], capture_output=True, text=True)
    assert checked.stdout == ""


def test_no_program_is_read_by_one_that_leaves_early(host: Host) -> None:
    """With pipefail `qm status | grep -q` fails now and then, although the words are there."""
    assert not re.search(r"\|\s*(grep -\w*q|head)", host.script.read_text())


def test_a_device_that_proxmox_does_not_give_is_named() -> None:
    blocks = tuple(
        Block(start=START + timedelta(hours=n), end=START + timedelta(hours=n + 1), driver_config=("a", "b")[n], pair=1)
        for n in range(2)
    )
    schedule = Schedule(law="pairs", seed=1, washout_s=0, blocks={"versat": blocks})
    server = Server(vmid=100, role=TEXT, vcpus=2, memory_bytes=4 * 2**30)
    configs = {"a": DriverConfiguration(label=TEXT, disk="ide, ahci"), "b": DriverConfiguration(label=TEXT)}
    with pytest.raises(StudyError, match=r"driver_configs\.a\.disk is 'ide, ahci': no switch to it can be written"):
        switch_script("small", schedule, {"versat": server}, configs)
