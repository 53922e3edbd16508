"""The lab, against real QEMU and a real Linux guest."""

import dataclasses
import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from paths import ROOT
from small import SHORT_LAB, needs
from virtio_study.errors import LabError
from virtio_study.lab.counts import OPERATIONS, count_operation, traced_accesses
from virtio_study.lab.experiment import boot_order, machine_of, open_boots, record
from virtio_study.lab.guest import Guest, build_guest, initramfs, module_closure
from virtio_study.lab.loads import checksum, echo_frame
from virtio_study.lab.machine import Machine, command_line, probe, running
from virtio_study.lab.sampling import rows_from_samples
from virtio_study.recording import recordings
from virtio_study.storage import manifest
from virtio_study.study import load_study


@pytest.fixture(scope="session")
def guest() -> Guest:
    for program in ("qemu-system-x86_64", "setpriv", "apt-get", "dpkg-deb"):
        needs(program)
    return build_guest(ROOT / "data" / "lab-qemu" / "guest")


@pytest.fixture
def short(tmp_path: Path, guest: Guest) -> Path:
    folder = tmp_path / "data" / "short"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(SHORT_LAB)
    (folder / "guest").symlink_to(guest.initramfs.parent)
    return folder


@pytest.fixture
def nothing_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and left_behind():
        time.sleep(0.1)
    assert left_behind() == []


def left_behind() -> list[str]:
    """QEMU processes and folders of this test run's machines (named after the machine)."""
    names = ("probe", "count", "victim")
    processes = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if any(f"-name\0{name},".encode() in read(path) for name in names)
    ]
    folders = [str(path) for name in names for path in Path(tempfile.gettempdir()).glob(f"virtio-study-{name}-*")]
    return processes + folders


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def victim(disk: str | None = None) -> Machine:
    return Machine("victim", 901, 1, 256 * 2**20, disk, 2**26, None, False, False)


def test_the_initramfs_is_the_same_bytes_whatever_the_order():
    one = initramfs({"init": b"1", "bin/busybox": b"22"})
    assert one == initramfs({"bin/busybox": b"22", "init": b"1"})
    assert gzip.decompress(one).startswith(b"070701")


def test_modules_load_after_what_they_need():
    needs = {"sd_mod": ["scsi_mod", "t10"], "scsi_mod": ["scsi_common"], "t10": ["crc"]}
    assert module_closure(["sd_mod", "scsi_mod"], needs) == ["scsi_common", "scsi_mod", "crc", "t10", "sd_mod"]


def test_echo_frames_carry_valid_checksums():
    frame = echo_frame(bytes.fromhex("bc2411000064"), 7)
    assert len(frame) == 98
    assert checksum(frame[14:34]) == 0
    assert checksum(frame[34:]) == 0


def test_the_plan_is_seeded_and_has_every_configuration_once_in_each_block():
    study = load_study(ROOT / "data" / "lab-qemu")
    boots = boot_order(study)
    assert boots == boot_order(study)
    for at in range(0, len(boots), len(study.driver_configs)):
        block = boots[at : at + len(study.driver_configs)]
        assert {boot.driver_config for boot in block} == set(study.driver_configs)
        assert len({boot.replicate for boot in block}) == 1
    orders = {tuple(b.driver_config for b in boots[at : at + 4]) for at in range(0, len(boots), 4)}
    assert len(orders) > 1


def test_rows_follow_proxmox_formulas():
    stats = {"stat-total-memory": 400 * 2**20, "stat-free-memory": 360 * 2**20}
    none = {"stat-total-memory": 2**64 - 1, "stat-free-memory": 2**64 - 1}
    blocks = {"rd_bytes": 0, "wr_bytes": 0, "rd_operations": 0, "wr_operations": 0}
    sample = {
        "time_unix_s": 1000.0,
        "uptime_s": 0.0,
        "process_ticks": 100,
        "schedstat_ns": 1_000_000_000,
        "node_busy_ticks": 0,
        "vsize_bytes": 2**31,
        "rss_bytes": 2**28,
        "pss_bytes": 2**28,
        "cgroup_bytes": 2**27,
        "requests_offered": 0,
        "requests_answered": 0,
        "balloon_stats": {"last-update": 0, "stats": none},
        "blockstats": [blocks],
    }
    busy = {**blocks, "rd_operations": 100, "rd_bytes": 409600}
    second = {**sample, "time_unix_s": 1002.0, "process_ticks": 150, "blockstats": [busy], "requests_offered": 20}
    third = {**second, "time_unix_s": 1004.0, "balloon_stats": {"last-update": 5, "stats": stats}}
    rows = rows_from_samples([sample, second, third], victim())
    assert rows["cpu_cores"].tolist() == [0.25, 0.0]
    assert rows["disk_reads_per_s"].tolist() == [50.0, 0.0]
    assert rows["requests_offered_per_s"].tolist() == [10.0, 0.0]
    assert rows["mem_host_rss_scaled_bytes"][0] == 2**28 // 8  # rss / vsize * maxmem
    assert rows["mem_instrument"].tolist() == ["host_cgroup", "guest_stats"]
    assert rows["mem_displayed_bytes"].tolist() == [2**27, 40 * 2**20]
    assert rows["time"][0] == pd.Timestamp(1002, unit="s", tz="UTC")


def test_accesses_of_the_model_itself_are_counted_apart():
    log = b"""memory_region_ops_write cpu 0 mr 0x1 addr 0x1f0 value 0x0 size 1 name 'ide'
memory_region_ops_read cpu 0 mr 0x1 addr 0x0 value 0x0 size 4 name 'lsi-ram'
memory_region_ops_write cpu 0 mr 0x1 addr 0xfee000b0 value 0x0 size 4 name 'apic-msi'
memory_region_ops_write cpu -1 mr 0x1 addr 0x0 value 0x0 size 4 name 'lsi-mmio'
"""
    guest_accesses, internal = traced_accesses(log)
    assert dict(guest_accesses) == {"ide write": 1}
    assert dict(internal) == {"lsi-ram read": 1, "lsi-mmio write": 1}


@pytest.mark.slow
@pytest.mark.lab
def test_only_devices_and_modules_differ_between_configurations(guest: Guest, tmp_path: Path):
    study = load_study(ROOT / "data" / "lab-qemu")
    lines = {
        name: set(command_line(machine_of(study, "versat", name), guest, "tcg", tmp_path))
        for name in study.driver_configs
    }
    assert lines["emulated"] == lines["emulated-again"]
    assert all("lab.modules=" in word for word in lines["emulated"] ^ lines["balloon"])
    allowed = ("lab.modules=", "ide-hd", "virtio-blk-pci", "e1000", "virtio-net-pci", "virtio-balloon-pci")
    assert all(any(part in word for part in allowed) for word in lines["emulated"] ^ lines["virtio"])


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.parametrize(
    ("device", "expected"), [("ide", 26), ("ahci", 7), ("lsi", 4), ("virtio-scsi", 1), ("virtio-blk", 1)]
)
def test_disk_accesses_per_request_are_exact(guest: Guest, nothing_left: None, device: str, expected: int):
    operations = [item for item in OPERATIONS if item.device == device]
    assert [item.name for item in operations] == ["read_4k", "write_4k"]
    for operation in operations:
        counted = count_operation(operation, guest)
        assert counted["per_operation"] == expected, (operation.name, counted)
        assert (counted["internal_per_operation"] > 100) == (device == "lsi")


@pytest.mark.slow
@pytest.mark.lab
def test_network_accesses_per_round_trip(guest: Guest, nothing_left: None):
    by_nic = {item.nic: count_operation(item, guest)["per_operation"] for item in OPERATIONS if item.nic}
    # a busy host batches packets and lowers the count, so the lower bounds are wide; the driver's watchdog reads the
    # card's statistics every 2 s whatever the traffic, which adds up to a tenth of an access to the 12 of a round trip
    assert 5 < by_nic["e1000"] < 12.5
    assert 0.5 < by_nic["virtio-net"] <= 1.05


@pytest.mark.slow
@pytest.mark.lab
def test_a_recording_shows_the_instrument_switch_and_resumes_without_running_a_boot_again(short: Path):
    assert record(short, progress=lambda slots: slots[:1]) == 4
    assert len(open_boots(load_study(short))) == 3
    done = {name: (short / name).stat().st_mtime_ns for name in manifest(short)}
    record(short)
    assert open_boots(load_study(short)) == []
    assert all((short / name).stat().st_mtime_ns == when for name, when in done.items())
    assert len(manifest(short)) == 8  # Parquet and raw samples of two boots of two configurations
    for config, disk in (("balloon", "ide"), ("virtio", "virtio-blk")):
        for recording in recordings(short, "versat", config):
            assert recording.provenance.devices["disk"] == disk
            assert recording.provenance.accelerator in {"tcg", "kvm"}
            last = recording.frame.iloc[-5:]
            assert set(last["mem_instrument"]) == {"guest_stats"}
            assert (last["mem_displayed_bytes"] < last["mem_host_bytes"] / 2).all()
            assert last["disk_reads_per_s"].mean() == pytest.approx(20, rel=0.25)
            assert last["requests_answered_per_s"].mean() == pytest.approx(50, rel=0.1)
    host = {
        c: next(iter(recordings(short, "versat", c))).frame["mem_host_bytes"].iloc[-1] for c in ("balloon", "virtio")
    }
    assert host["virtio"] < host["balloon"] - 16 * 2**20  # free page reporting gives the start-up memory back


@pytest.mark.slow
@pytest.mark.lab
def test_the_probe_answers_with_an_accelerator_that_boots(guest: Guest, nothing_left: None):
    found = probe(guest)
    assert found.name in {"kvm", "tcg"}
    assert found.reason


@pytest.mark.slow
@pytest.mark.lab
def test_a_qemu_that_dies_gives_one_clear_error_with_its_last_lines(guest: Guest, nothing_left: None):
    broken = dataclasses.replace(guest, kernel=Path("/nonexistent-kernel"))
    with pytest.raises(LabError, match=r"QEMU .*last lines: .*nonexistent-kernel"), running(victim(), broken, "tcg"):
        pass


@pytest.mark.slow
@pytest.mark.lab
def test_a_guest_that_never_answers_gives_one_clear_error(guest: Guest, nothing_left: None):
    with pytest.raises(LabError, match="did not answer in time"), running(victim(), guest, "tcg") as up:
        up.wait_for("READY", 0.2)


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind_after_ctrl_c_or_kill(guest: Guest, nothing_left: None, how: signal.Signals):
    code = (
        "import pickle, signal, sys, time\n"
        "from virtio_study.lab.machine import running\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "machine, guest = pickle.load(sys.stdin.buffer)\n"
        "with running(machine, guest, 'tcg'):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    import pickle

    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(pickle.dumps((victim("ide"), guest)))
        process.stdin.close()
        assert process.stdout.readline() == b"up\n"
        assert left_behind()
        os.kill(process.pid, how)
        process.wait(10)


@pytest.mark.slow
@pytest.mark.lab
def test_an_interrupted_recording_leaves_no_half_recording(short: Path):
    with tempfile.TemporaryDirectory(prefix="vs-") as runs:  # not pytest's: a socket's path holds 107 characters
        interrupt_a_recording(short, Path(runs))
        assert list(Path(runs).iterdir()) == []
    assert manifest(short) == {}
    assert not (short / "recordings").exists()


def interrupt_a_recording(study: Path, runs: Path) -> None:
    command = [sys.executable, "-m", "virtio_study", "lab", "record", str(study)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(runs)})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(runs.glob("virtio-study-versat-*/qmp")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
