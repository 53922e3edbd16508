"""Saved answers of a genuine Proxmox VE 9.2: what they show of themselves, against what was done."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paths import ROOT
from virtio_study import recording, storage
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import english
from virtio_study.sources.api.importers import import_answers, record_rrddata
from virtio_study.sources.events import upgrades
from virtio_study.sources.history import History, Installed, Node, qemu_server_in
from virtio_study.sources.outcomes import Imported, NotRecorded, RecordedFile
from virtio_study.sources.responses import objects, read_answers
from virtio_study.study import LogEntry, Study, load_study

RIG = ROOT / "data" / "pve-rig"
RAW = next((RIG / "raw").glob("*.zst"))
# What the experimenters noted when they did it (Unix seconds); the import has never seen it.
PHASES = {
    "emulated": (1795440868.742629, 1795442070.3791249),
    "balloon": (1795442079.1675336, 1795443280.2778249),
    "virtio": (1795443293.9837186, 1795444500.4143577),
}


def test_the_answers_alone_show_what_was_done_and_when() -> None:
    runs = json.loads((RIG / "timeline.json").read_text())
    assert set(runs) == {"versat", "dominio"}
    for spans in runs.values():
        assert [span["driver_config"] for span in spans] == list(PHASES)
        for span in spans:
            start, end = PHASES[span["driver_config"]]
            assert start - 1 <= span["start_s"] <= start + 15
            assert end - 15 <= span["end_s"] <= end + 1
        views = [[view for _, view in span["instruments"]] for span in spans]
        assert views == [["host"], ["host", "guest"], ["host", "guest"]]
        assert len({span["digest"] for span in spans}) == 3


def test_the_bundled_recordings_come_out_of_the_answers_again(tmp_path: Path) -> None:
    (tmp_path / "data" / "pve-rig").mkdir(parents=True)
    shutil.copy(RIG / "study.yaml", tmp_path / "data" / "pve-rig")
    study = load_study(tmp_path / "data" / "pve-rig")
    assert len(import_answers(study, [RAW])) == 6
    for path in sorted(RIG.glob("recordings/**/*.parquet")):
        again = recording.read(study.folder / path.relative_to(RIG), study.folder)
        kept = recording.read(path, RIG)
        pd.testing.assert_frame_equal(again.frame, kept.frame)
        assert (kept.provenance.kind, kept.provenance.accelerator) == ("emulated", "tcg")
    assert "was recorded already" in next(iter(by_place(import_answers(study, [RAW])).values()))


def test_answers_that_are_in_the_study_already_are_not_kept_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = rig_study(tmp_path)
    (study.folder / "raw").mkdir()
    shutil.copy(RAW, study.folder / "raw" / "rig.zst")
    monkeypatch.chdir(tmp_path)
    import_answers(study, [Path("data/pve-rig/raw/rig.zst")])
    assert [path.name for path in (study.folder / "raw").iterdir()] == ["rig.zst"]


def test_a_run_that_fits_no_configuration_is_named_and_a_stretch_of_time_is_recorded_once(tmp_path: Path) -> None:
    study = rig_study(tmp_path)
    path = study.folder / "study.yaml"
    plain = path.read_text()
    path.write_text(plain.replace("disk: ide", "disk: ahci"))
    lost = [item for item in import_answers(load_study(path), [RAW]) if isinstance(item, NotRecorded)]
    assert len([item for item in lost if str(item).startswith("not recorded: disk ide, network card e1000")]) == 4
    # now the same run has another number: as a second recording it would count as a second boot
    path.write_text(plain)
    again = [item for item in import_answers(load_study(path), [RAW]) if isinstance(item, NotRecorded)]
    assert str(next(item for item in again if item.server == "versat" and item.place.endswith("api-03.parquet"))) == (
        "not recorded as recordings/versat/virtio/api-03.parquet: the same time is in "
        "recordings/versat/virtio/api-01.parquet, and counts once; to record all anew, import into a new folder"
    )
    assert len(list(study.folder.glob("recordings/versat/*/*.parquet"))) == 3
    runs = json.loads((study.folder / "timeline.json").read_text())["versat"]
    assert [run["replicate"] for run in runs] == ["api-01", "api-02", ""]


def test_the_instrument_of_every_row_is_that_of_its_answer() -> None:
    frame = recording.read(RIG / "recordings/versat/balloon/api-02.parquet", RIG).frame
    guest = frame["mem_instrument"].eq("guest_stats")
    assert guest.sum() == len(frame) == 119
    assert (frame.loc[guest, "mem_displayed_bytes"] < 60 * 2**20).all()
    assert frame["mem_host_instrument"].eq("host_cgroup").all()
    assert frame["step_s"].eq(10).all()
    assert frame["time"].diff().dropna().eq(pd.Timedelta(seconds=10)).all()


@pytest.mark.parametrize(
    ("version", "known"), [("9.2.11", "9.1.4"), ("9.1.2", None), ("9.0.3", None), ("8.4.1", "8.0"), ("", None)]
)
def test_the_version_of_proxmox_tells_the_instrument_where_it_can(version: str, known: str | None) -> None:
    assert History(100).qemu_server_at(0.0, version) == known


def test_the_packages_of_the_node_tell_it_before_the_version_does() -> None:
    def installed(at: float, version: str) -> Installed:
        rows = [
            {"Package": "ceph", "Version": "9.9"},
            {"Package": "qemu-server", "OldVersion": version, "Version": "9.9"},
        ]
        return Installed(at, qemu_server_in(rows))

    node = Node(packages=[installed(100.0, "9.1.1"), installed(200.0, "9.1.3"), installed(300.0, "9.1.5")])
    one = History(100, nodes={"a": node})
    told = [one.qemu_server_at(moment, "9.1.2") for moment in (50.0, 250.0, 400.0)]
    assert told == ["9.1.1", "9.1.3", "9.1.5"]
    two = History(100, nodes={"a": node, "b": Node(packages=[installed(100.0, "9.0.11")])})
    assert two.qemu_server_at(400.0, "9.1.2") is None, "a server that was on two nodes was measured by either"
    not_installed = Installed(1.0, qemu_server_in([{"Package": "qemu-server", "Version": "9.9"}]))
    assert History(100, nodes={"a": Node(packages=[not_installed])}).qemu_server_at(2.0, "9.2") == "9.1.4"
    (change,) = upgrades(node)
    assert (change.start_s, change.end_s, change.detail) == (200.0, 300.0, "qemu-server 9.1.3 -> 9.1.5")


def by_place(outcomes: list[Imported]) -> dict[str, str]:
    return {item.place: english(item.told) for item in outcomes if isinstance(item, RecordedFile)}


def rig_study(folder: Path) -> Study:
    (folder / "data" / "pve-rig").mkdir(parents=True)
    shutil.copy(RIG / "study.yaml", folder / "data" / "pve-rig")
    return load_study(folder / "data" / "pve-rig")


def until(moment_s: float, folder: Path) -> Path:
    """The answers of the rig before a moment."""
    lines = zstandard.ZstdDecompressor().stream_reader(RAW.read_bytes()).read().decode().splitlines()
    path = folder / f"until-{moment_s:.0f}.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines if json.loads(line)["t"] < moment_s))
    return path


def test_a_run_that_went_on_is_recorded_again_longer_and_the_others_stay(tmp_path: Path) -> None:
    study = rig_study(tmp_path)
    start, end = PHASES["balloon"]
    first = import_answers(study, [until((start + end) / 2, tmp_path)])
    place = "recordings/versat/balloon/api-02.parquet"
    half = recording.read(study.folder / place, study.folder).frame
    whole = by_place(import_answers(study, [RAW]))
    assert "It had" in whole[place]
    assert "recorded already" in whole["recordings/versat/emulated/api-01.parquet"]
    now = recording.read(study.folder / place, study.folder).frame
    assert len(by_place(first)) == 4
    assert len(half) < len(now) == 119
    pd.testing.assert_frame_equal(now, recording.read(RIG / place, RIG).frame)
    # a shorter import later takes nothing away
    assert "recorded already" in by_place(import_answers(study, [until((start + end) / 2, tmp_path)]))[place]


def test_a_start_too_quick_for_the_rows_is_found_by_uptime_and_tasks(tmp_path: Path) -> None:
    """The rig's servers were off for some 20 s: no row of a minute lacks a value."""
    study = rig_study(tmp_path)
    protocol = study.folder / "study.yaml"
    window = "{server: versat, driver_config: emulated, start: 2026-11-23T13:40:00Z, end: 2026-11-23T14:10:00Z}"
    protocol.write_text(f"{protocol.read_text()}windows:\n  - {window}\n")
    (study.folder / "raw").mkdir()
    shutil.copy(RAW, study.folder / "raw" / "api-20261123.jsonl.zst")
    outcomes, failed = record_rrddata(load_study(protocol))
    assert failed == {}
    (place,) = by_place(outcomes)
    found = recording.read(study.folder / place, study.folder)
    assert len(found.frame) == 30
    assert not found.frame[["cpu_cores", "net_in_bytes_per_s"]].isna().any().any()
    begun = PHASES["balloon"][0]
    told = [item for item in found.provenance.contaminated if item[2] == "restart"]
    assert told
    assert all(begun - 10 < start < end < begun + 10 for start, end, _ in told)
    assert found.provenance.versions["host_kernel"].startswith("6.18")


def test_rows_of_a_host_whose_polls_display_another_figure_are_of_no_known_instrument(tmp_path: Path) -> None:
    study = rig_study(tmp_path)
    protocol = study.folder / "study.yaml"
    window = "{server: versat, driver_config: virtio, start: 2026-11-23T14:20:00Z, end: 2026-11-23T14:34:00Z}"
    protocol.write_text(f"{protocol.read_text()}windows:\n  - {window}\n")
    (study.folder / "raw").mkdir()
    lines = [json.loads(line) for line in until(2e9, tmp_path).read_text().splitlines()]
    for line in lines:
        if line["path"].endswith("/100/status/current"):
            line["body"]["data"]["mem"] += 4096
    raw = study.folder / "raw" / "api-20261123.jsonl"
    raw.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    outcomes, failed = record_rrddata(load_study(protocol))
    (place,) = by_place(outcomes)
    assert not failed
    assert set(recording.read(study.folder / place, study.folder).frame["mem_instrument"]) == {"unknown"}


def test_a_recording_that_was_killed_between_two_files_is_made_anew(tmp_path: Path) -> None:
    study = rig_study(tmp_path)
    import_answers(study, [RAW])
    name = "recordings/versat/balloon/api-02.parquet"
    place, listed = study.folder / name, storage.manifest(study.folder)
    del listed[name]
    (study.folder / "manifest.json").write_bytes(storage.manifest_bytes(listed))
    place.write_bytes(b"half")
    import_answers(study, [RAW])
    assert len(recording.read(place, study.folder).frame) == 119


def test_a_run_too_short_to_record_is_named_and_costs_no_other(tmp_path: Path) -> None:
    study = rig_study(tmp_path)
    written = import_answers(study, [until(PHASES["balloon"][0] + 8, tmp_path)])
    assert [*by_place(written)] == [
        "recordings/versat/emulated/api-01.parquet",
        "recordings/dominio/emulated/api-01.parquet",
    ]
    assert [str(item) for item in written if isinstance(item, NotRecorded) and item.server == "versat"] == [
        "not recorded: it ran for 1 s, too short to tell what it is"
    ]


def test_the_log_leaves_a_stretch_out_and_cuts_a_run(tmp_path: Path) -> None:
    study = rig_study(tmp_path)
    middle = datetime.fromtimestamp(sum(PHASES["emulated"]) / 2, UTC)
    entries = [
        LogEntry(server="versat", start=middle, what="a driver was changed"),
        LogEntry(start=middle + timedelta(minutes=2), end=middle + timedelta(minutes=3), what="an inventory"),
    ]
    import_answers(study.model_copy(update={"log": entries}), [RAW])
    assert len(list(study.folder.glob("recordings/versat/emulated/*"))) == 2
    (found,) = recording.recordings(study.folder, "dominio", "emulated")
    assert [reason for _, _, reason in found.provenance.contaminated] == ["an inventory"]


def test_false_zeros_of_the_cpu_are_no_readings() -> None:
    for server in ("versat", "dominio"):
        found = recording.read(RIG / f"recordings/{server}/emulated/api-01.parquet", RIG)
        assert not found.frame["cpu_cores"].eq(0).any()
        assert found.frame["cpu_cores"].isna().sum() == 2
        assert any("rows are without CPU" in note for note in found.provenance.notes)


WRONG_SHAPES = [
    ("/nodes/pve1/qemu/100/status/current", [1]),
    ("/nodes/pve1/qemu/100/config?current=1", ["x"]),
    ("/nodes/pve1/qemu/100/config?current=1", "x"),
    ("/nodes/pve1/tasks?limit=500", "x"),
    ("/nodes/pve1/tasks?limit=500", [1, None]),
    ("/nodes/pve1/tasks?limit=500", [{"upid": [1], "type": "vzdump", "id": "100", "starttime": "soon"}]),
    ("/version", ["9.2"]),
    ("/nodes/pve1/status", []),
    ("/nodes/pve1/status", {"cpuinfo": "x", "current-kernel": "y", "kversion": 6}),
]


@pytest.mark.parametrize(("path", "data"), WRONG_SHAPES)
def test_an_answer_of_another_shape_is_passed_over(path: str, data: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "pve-rig"
    folder.mkdir(parents=True)
    shutil.copy(RIG / "study.yaml", folder)
    extra = tmp_path / "extra.jsonl"
    extra.write_text(json.dumps({"t": 1795440900.0, "path": path, "status": 200, "body": {"data": data}}) + "\n")
    assert len(import_answers(load_study(folder), [RAW, extra])) == 6


# --- what may come --------------------------------------------------------------------------------------------------


def test_a_line_that_a_killed_writer_left_is_passed_over_and_any_other_is_named(tmp_path: Path) -> None:
    good = json.dumps({"t": 1.8e9, "path": "/version", "status": 200, "body": {"data": {"version": "9.2.11"}}})
    path = tmp_path / "a.jsonl"
    path.write_text(f"{good}\n{good[:30]}")
    assert [data for _, data in objects(read_answers([path]), "/version")] == [{"version": "9.2.11"}]
    path.write_text(f"{good[:30]}\n{good}\n")
    with pytest.raises(DataError, match=r"a\.jsonl: line 1 is no answer with t, path, status and body"):
        read_answers([path])
    with pytest.raises(DataError, match="cannot be read"):
        read_answers([tmp_path / "none.jsonl"])


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2)
)
KEYS = ("cpu", "mem", "memhost", "uptime", "maxmem", "cpus", "status", "ballooninfo", "blockstat", "pid", "diskread")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 19), st.sampled_from(KEYS), VALUES), max_size=6), gone=st.booleans())
def test_a_mutated_answer_is_a_row_less_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str, Any]], gone: bool
) -> None:
    folder = tmp_path_factory.mktemp("mutated") / "data" / "pve-rig"
    folder.mkdir(parents=True)
    shutil.copy(RIG / "study.yaml", folder)
    lines = []
    for vmid in (100, 101):
        for number in range(20):
            data: dict[str, Any] = {"status": "running", "uptime": 100 + 10 * number, "cpu": 0.1, "cpus": 2, "pid": 7}
            data |= {
                "mem": 3e8,
                "memhost": 3e8,
                "maxmem": 536870912,
                "blockstat": {"ide0": {}},
                "diskread": 512 * number,
            }
            for place, key, value in changes if vmid == 100 else []:
                if place == number:
                    data[key] = value
                    if gone:
                        del data[key]
            base = f"/nodes/pve1/qemu/{vmid}"
            lines.append(
                {"t": 1.8e9 + 10 * number, "path": f"{base}/status/current", "status": 200, "body": {"data": data}}
            )
        config = {"ide0": "local:a", "net0": "e1000=AA", "digest": "d", "kvm": 0}
        lines.append({"t": 1.8e9 + 1, "path": f"{base}/config?current=1", "status": 200, "body": {"data": config}})
    path = folder / "a.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    try:
        import_answers(load_study(folder), [path])
    except DataError as refused:
        said = str(refused)
    else:
        said = ""
    assert "\n" not in said
    for found in folder.glob("recordings/**/*.parquet"):
        frame = recording.read(found, folder).frame
        assert (frame["mem_host_bytes"].dropna() <= 1e19).all()


def polled(seconds: int, at: float, cpu: float = 0.2) -> str:
    """Stored answers of a server that was started long before, each 10 s, with its configuration in force."""
    known = {"status": "running", "pid": 7, "cpus": 1, "maxmem": 2**29, "mem": 3e8, "blockstat": {"ide0": {}}}
    data = [(n, known | {"uptime": 9000 + n, "cpu": cpu if n != 100 else 114}) for n in range(0, seconds + 1, 10)]
    base = "/nodes/pve1/qemu/100"
    answers = [(n, f"{base}/status/current", body) for n, body in data]
    answers.insert(1, (1, f"{base}/config?current=1", {"ide0": "local:a", "net0": "e1000=AA", "digest": "d"}))
    lines = ({"t": at + n, "path": path, "status": 200, "body": {"data": body}} for n, path, body in answers)
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def test_an_import_that_recorded_nothing_says_what_a_run_needs_and_what_each_was(small: Study, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(polled(40, 1795440000.0) + polled(90, 1795450000.0))
    says = (
        r"nothing was recorded \(a run is 120 s of one configuration at least\); "
        r"alpha, 2026-11-23 13:20:00 to 2026-11-23 13:20:40 UTC: not recorded: it ran for 40 s, too short.*; "
        r"alpha, 2026-11-23 16:06:40 to 2026-11-23 16:08:10 UTC: not recorded: it ran for 90 s, too short"
    )
    with pytest.raises(DataError, match=says):
        import_answers(small, [tmp_path / "a.jsonl"])


def test_an_impossible_answer_is_left_out_of_a_run(small: Study, tmp_path: Path) -> None:
    path = small.folder / "study.yaml"
    path.write_text(path.read_text().replace("{en: v, es: v}", "{en: v, es: v}, disk: virtio-scsi"))
    (tmp_path / "a.jsonl").write_text(polled(600, 1795440000.0))
    done, _ = import_answers(load_study(small.folder), [tmp_path / "a.jsonl"])
    assert isinstance(done, RecordedFile)
    assert "1 impossible row is left out (cpu_cores 114 at 2026-11-23 13:21:40 UTC, more than 2)" in english(done.told)
    made = recording.read(small.folder / done.place, small.folder)
    assert made.frame["cpu_cores"].max() == 0.2
    assert [reason for *_, reason in made.provenance.contaminated] == ["impossible value"]
