"""What cuts a run and what does not, and that a start that was cut is one boot: answers after public reports."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
import zstandard

from paths import ROOT
from virtio_study import recording
from virtio_study.pve.vm_config import in_question
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.collecting import collect as collect_from_host
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.importers import import_answers
from virtio_study.sources.history import History, InForce, Poll, Task
from virtio_study.sources.runs import Run, runs_in
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.workflow.steps import collect, read_arm

NOW = 1_772_409_600.0
ANSWERS = Path(__file__).parent.parent / "data" / "answers"
CONFIG: dict[str, object] = {"ide0": "local:a,size=1G", "net0": "e1000=BC:24:11:00:00:01,bridge=vmbr0", "cores": 2}
HALF_AN_HOUR = range(10, 1810, 10)


def study(folder: Path, name: str) -> Study:
    made = folder / "data" / "pve-rig"
    made.mkdir(parents=True)
    protocol = yaml.safe_load((ROOT / "data" / "pve-rig" / "study.yaml").read_text())
    protocol["servers"].pop("dominio")
    protocol["load"].pop("dominio", None)
    configs = protocol["driver_configs"]
    protocol["driver_configs"] = {side: configs[side] | {"balloon_driver": None} for side in ("emulated", "virtio")}
    protocol["comparisons"] = {"total": protocol["comparisons"]["total"]}
    (made / "study.yaml").write_text(yaml.safe_dump(protocol, allow_unicode=True))
    (folder / "answers.jsonl").write_bytes(zstandard.decompress((ANSWERS / f"{name}.jsonl.zst").read_bytes(), 10**8))
    return load_study(made)


def recorded(folder: Path, name: str) -> list[str]:
    """Recordings of the answers of a case, in order of their start."""
    of = study(folder, name)
    import_answers(of, [folder / "answers.jsonl"])
    return sorted(path.relative_to(of.folder).as_posix() for path in of.folder.glob("recordings/**/*.parquet"))


def poll(at: float, **more: Any) -> Poll:
    data = {"status": "running", "uptime": at, "pid": 1, "blockstat": {"ide0": {}}, "nics": {"tap100i0": {}}}
    return Poll.of(at, data | more)


def runs_of(polls: list[Poll], *configs: tuple[float, dict[str, object]]) -> list[Run]:
    return runs_in(History(100, polls=polls, configs=[InForce(at, config) for at, config in configs or [(11, CONFIG)]]))


@pytest.mark.parametrize("name", ["fleecing_backup", "cloudinit_edit"])
def test_a_backup_and_an_edit_of_cloud_init_leave_one_recording_of_one_start(tmp_path: Path, name: str) -> None:
    assert len(recorded(tmp_path, name)) == 1


def test_a_start_a_side_with_six_backups_in_each_is_one_boot_a_side(tmp_path: Path) -> None:
    names = recorded(tmp_path, "fl")
    assert [name.split("/")[2] for name in names] == ["emulated", "virtio"]


def test_a_card_that_is_swapped_while_a_uefi_server_runs_cuts_the_run(tmp_path: Path) -> None:
    of = study(tmp_path, "ovmf_nic_hotswap_with_pflash0")
    import_answers(of, [tmp_path / "answers.jsonl"])
    (first, second) = json.loads((of.folder / "timeline.json").read_text())["versat"]
    assert (first["devices"]["network"], second["devices"]["network"]) == ("e1000", "virtio-net")
    assert (first["driver_config"], second["driver_config"]) == ("emulated", "")


def test_an_edit_of_cores_while_a_uefi_server_runs_cuts_the_run_and_the_start_stays_one_boot(tmp_path: Path) -> None:
    names = recorded(tmp_path, "ovmf_edit_with_pflash0")
    assert len(names) == 2
    of = load_study(tmp_path / "data" / "pve-rig")
    server = names[0].split("/")[1]
    assert collect(of, server, "emulated")["replicate"].unique().tolist() == ["api-01"]
    arm = read_arm(of, server, "emulated")
    assert len(arm.boots) == 1
    assert sum(len(recording.read(of.folder / name, of.folder).frame) for name in names) == len(arm.boots[0].rows)
    assert "configuration changed" in set(arm.boots[0].rows["reason"])


@pytest.mark.parametrize(
    "name",
    ["ide0-fleecing", "drive-ide0-fleecing", "tpmstate0-backup", "pflash0", "efidisk0", "floppy0", "#block123"],
)
def test_blockstat_names_that_are_no_disk_neither_cut_nor_hide(name: str) -> None:
    def at(moment: float) -> Poll:
        return poll(moment, blockstat={"ide0": {}} | ({name: {}} if 600 <= moment < 900 else {}))

    (run,) = runs_of([at(moment) for moment in HALF_AN_HOUR])
    assert (run.start_s, run.end_s, run.devices["disk"]) == (10, 1800, "ide")

    def always(moment: float) -> Poll:
        return poll(moment, blockstat={"ide0": {}, name: {}})

    after = CONFIG | {"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}
    runs = runs_of([always(moment) for moment in HALF_AN_HOUR], (11, CONFIG), (901, after))
    assert [run.devices["network"] for run in runs] == ["e1000", "virtio-net"]


def test_a_disk_that_no_configuration_knows_hides_no_change() -> None:
    polls = [poll(moment, blockstat={"ide0": {}, "scsi7": {}}) for moment in HALF_AN_HOUR]
    after = CONFIG | {"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}
    assert len(runs_of(polls, (11, CONFIG), (901, after))) == 2


def test_a_disk_that_is_swapped_while_qemu_does_not_answer_cuts_the_run() -> None:
    seen: dict[bool, dict[str, object]] = {False: {"ide0": {}}, True: {"scsi0": {}}}
    polls = [poll(t, blockstat={} if 600 <= t < 660 else seen[t >= 660]) for t in HALF_AN_HOUR]
    after: dict[str, object] = {"scsi0": "local:a", "scsihw": "virtio-scsi-pci", "net0": CONFIG["net0"]}
    runs = runs_of(polls, (11, CONFIG), (901, after))
    assert [run.devices["disk"] for run in runs] == ["ide", "virtio-scsi"]
    assert runs[0].started_s == runs[1].started_s == 0


@pytest.mark.parametrize(
    "change",
    [
        {"ciuser": "b"},
        {"cipassword": "**********"},
        {"ipconfig0": "ip=dhcp"},
        {"sshkeys": "ssh-ed25519%20A"},
        {"cpuunits": 200},
        {"shares": 500},
        {"tags": "a;b"},
        {"hookscript": "local:snippets/x"},
        {"smbios1": "uuid=1"},
        {"vmgenid": "1"},
        {"unused0": "local:b"},
        {"a-key-of-tomorrow": 1},
        {"efidisk0": "local:c,size=4M"},
        {"ide0": "local:a,backup=0,size=1G"},
        {"ide0": "local:a,size=2G"},
        {"scsi3": "local:cloudinit,media=cdrom"},
        {"agent": "0,fstrim_cloned_disks=1"},
        {"sockets": 1, "memory": "512", "kvm": 1, "numa": "0", "bios": "seabios"},
        {"scsihw": "virtio-scsi-pci"},
        {"net0": "bridge=vmbr0,e1000=BC:24:11:00:00:01"},
        {"lock": "backup", "runningmachine": "pc", "vmstate": "local:x"},
    ],
)
def test_what_changes_nothing_of_devices_or_allocation_does_not_cut(change: dict[str, object]) -> None:
    config = CONFIG | {"agent": "0"}
    (run,) = runs_of([poll(t) for t in HALF_AN_HOUR], (11, config), (901, config | change))
    assert not run.contaminated


@pytest.mark.parametrize(
    "change",
    [
        {"cores": 4},
        {"vcpus": 1},
        {"memory": "1024"},
        {"balloon": 256},
        {"cpulimit": "0.5"},
        {"ide0": "local:a,size=1G,cache=writeback"},
        {"ide0": "other:a,size=1G"},
        {"net0": "e1000=BC:24:11:00:00:01,bridge=vmbr0,link_down=1"},
        {"usb0": "host=1234:5678"},
        {"args": "-device virtio-rng-pci"},
        {"agent": 1},
        {"virtio1": "local:b"},
    ],
)
def test_what_changes_devices_or_allocation_cuts_and_is_named(change: dict[str, object]) -> None:
    first, second = runs_of([poll(t) for t in HALF_AN_HOUR], (11, CONFIG), (901, CONFIG | change))
    assert first.contaminated[0].detail == next(iter(change))
    assert first.started_s == second.started_s


def test_order_of_options_and_numbers_written_as_text_are_no_change() -> None:
    assert in_question({"ide0": "a,x=1,y=2", "cores": 2}) == in_question({"ide0": "a,y=2,x=1", "cores": "2"})


def moved(task: dict[str, Any]) -> list[Run]:
    """Runs of a server whose process is another one since second 850, with a task of a minute around that."""
    polls = [poll(t) for t in range(10, 900, 10)] + [poll(t, uptime=t - 850, pid=2) for t in range(900, 1810, 10)]
    told = {"upid": "a", "id": "100", "starttime": 845, "endtime": 905, "status": "OK"} | task
    return runs_in(History(100, polls=polls, configs=[InForce(11, CONFIG)], tasks=[Task.of(told)]))


def test_a_live_migration_leaves_the_guest_running_and_a_restart_does_not() -> None:
    assert [run.started_s for run in moved({"type": "qmigrate"})] == [0, 0]
    for other in ({"type": "qmstart"}, {"type": "qmigrate", "id": "101"}, {"type": "qmigrate", "status": "aborted"}):
        assert [run.started_s for run in moved(other)] == [0, 850]
    assert [run.started_s for run in moved({"type": "qmigrate", "starttime": 100, "endtime": 160})] == [0, 850]


def test_a_server_that_slept_on_its_disk_goes_on_and_one_that_was_off_does_not() -> None:
    for lock, started in (("suspended", 0), ("", 850)):
        off = [Poll.of(float(t), {"status": "stopped", "lock": lock}) for t in range(600, 850, 10)]
        polls = [poll(t) for t in range(10, 600, 10)] + off
        polls += [poll(t, uptime=t - 850, pid=2) for t in range(860, 1810, 10)]
        assert [run.started_s for run in runs_of(polls)] == [0, started]


def test_a_server_that_was_migrated_is_one_boot(tmp_path: Path) -> None:
    of = study(tmp_path, "cloudinit_edit")
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    first = min(answer["t"] for answer in answers if answer["path"].endswith("100/status/current"))
    task = {
        "type": "qmigrate",
        "id": "100",
        "upid": "m",
        "starttime": first + 600,
        "endtime": first + 640,
        "status": "OK",
    }
    answers.append({"t": first + 2000, "path": "/nodes/pve1/tasks?limit=500", "status": 200, "body": {"data": [task]}})
    for answer in answers:
        if answer["path"].endswith("100/status/current") and answer["t"] > first + 640:
            answer["body"]["data"] |= {"pid": 77, "uptime": answer["t"] - first - 602}
    (tmp_path / "moved.jsonl").write_text("".join(f"{json.dumps(answer)}\n" for answer in answers))
    import_answers(of, [tmp_path / "moved.jsonl"])
    assert len(list(of.folder.glob("recordings/versat/emulated/*.parquet"))) == 2
    assert len(read_arm(of, "versat", "emulated").boots) == 1


def test_two_windows_of_one_start_are_one_boot(tmp_path: Path) -> None:
    story = two_servers(now=NOW, hours=(2, 2, 4))
    made = make_study(tmp_path, story)
    *others, last = (window for window in made.windows if window.server == "versat")
    half = last.start + (last.end - last.start) / 2
    windows = [
        *others,
        last.model_copy(update={"end": half}),
        last.model_copy(update={"start": half + timedelta(minutes=5)}),
    ]
    of = made.model_copy(update={"windows": windows})
    with serve(story, clock=Clock(NOW)) as host:
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        collect_from_host(
            of, Client(endpoint, Credential(*host.token_id.split("!"), host.token_secret), clock=lambda: NOW)
        )
    names = sorted(path.stem for path in of.folder.glob("recordings/versat/virtio/*.parquet"))
    assert len(names) == 2
    assert collect(of, "versat", "virtio")["replicate"].unique().tolist() == names[:1]


def test_backups_with_fleecing_and_a_flash_leave_every_row_of_the_genuine_rig(tmp_path: Path) -> None:
    rig = ROOT / "data" / "pve-rig"
    of = tmp_path / "data" / "pve-rig"
    of.mkdir(parents=True)
    (of / "study.yaml").write_text((rig / "study.yaml").read_text())
    raw = zstandard.ZstdDecompressor().stream_reader(next((rig / "raw").glob("*.zst")).read_bytes()).read().decode()
    lines, backups = [], ((1795441500, 1795441700), (1795442600, 1795442800), (1795443900, 1795444100))
    for answer in map(json.loads, raw.splitlines()):
        found = answer["body"].get("data")
        if answer["path"].endswith("/status/current") and isinstance(found, dict) and "blockstat" in found:
            found["blockstat"] |= {"pflash0": {}, "efidisk0": {}}
            if any(start <= answer["t"] < end for start, end in backups):
                found["lock"] = "backup"
                found["blockstat"] |= {f"{key}-fleecing": {} for key in [*found["blockstat"]]} | {
                    "tpmstate0-backup": {}
                }
        lines.append(json.dumps(answer))
    (tmp_path / "disturbed.jsonl").write_text("\n".join(lines))
    assert len(import_answers(load_study(of), [tmp_path / "disturbed.jsonl"])) == 6
    for path in rig.glob("recordings/**/*.parquet"):
        kept, again = recording.read(path, rig), recording.read(of / path.relative_to(rig), of)
        pd.testing.assert_frame_equal(again.frame, kept.frame)
        assert "backup" in {reason for _, _, reason in again.provenance.contaminated}
