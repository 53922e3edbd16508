"""RRD files made by rrdtool with Proxmox VE's own definitions, fed with known values, and read back.

The definitions are those of `src/pmxcfs/status.c` of pve-cluster (stable-bookworm: `pve2-*`, master: `pve-*-9.0`).
Every value that is expected here is computed from the values fed, never by rrdtool.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from imports import windowed
from virtio_study import recording
from virtio_study.cleaning.transients import label_periods
from virtio_study.cli.main import cli
from virtio_study.errors import DataError
from virtio_study.sources.events import counter_spikes, stops
from virtio_study.sources.files.importers import import_rrd
from virtio_study.sources.files.rrd import archives, fetch, find_files, read_rows
from virtio_study.sources.history import Disturbance
from virtio_study.sources.normalising import rrd_frame

START = 1_766_966_400  # 2025-12-29T00:00:00Z, a multiple of every step in use
HOURS = 13
GAUGES = ["maxcpu", "cpu", "maxmem", "mem", "maxdisk", "disk"]
COUNTERS = ["netin", "netout", "diskread", "diskwrite"]
NEW = ["memhost", "pressurecpusome", "pressurecpufull", "pressureiosome", "pressureiofull", "pressurememorysome"]
NODE = ["loadavg", "maxcpu", "cpu", "iowait", "memtotal", "memused", "swaptotal", "swapused", "roottotal", "rootused"]
NODE_NEW = ["pressurecpusome", "pressureiosome", "pressureiofull", "pressurememorysome", "pressurememoryfull"]
VM = {
    "pve2-vm": {**dict.fromkeys(GAUGES, "GAUGE"), **dict.fromkeys(COUNTERS, "DERIVE")},
    "pve-vm-9.0": {
        **dict.fromkeys(GAUGES, "GAUGE"),
        **dict.fromkeys(COUNTERS, "DERIVE"),
        **dict.fromkeys([*NEW, "pressurememoryfull"], "GAUGE"),
    },
}
STEPS = {"pve2": {60: 70, 1800: 70, 10800: 70, 43200: 70, 604800: 70}, "pve": {60: 1440, 1800: 1440, 21600: 1440}}
STEPS["pve"][604800] = 570
WINDOWS = {  # timeframe -> step and rows, `src/PVE/RRD.pm`
    "pve2-vm": {"hour": (60, 70), "day": (1800, 70), "week": (10800, 70), "month": (43200, 70)},
    "pve-vm-9.0": {"hour": (60, 60), "day": (60, 1440), "week": (1800, 336), "year": (21600, 1440)},
}
POSSIBLE = {"cpu": (0.0, 0.01), "mem": (1e8, 1e7), "memhost": (1e8, 1e7)}
"""Least value and what a hundredth adds, so that a server could have it."""
STOPPED = (7 * 3600 + 10, 7 * 3600 + 90)  # seconds from START


def create(path: Path, sources: dict[str, str], start: int = START) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = STEPS[path.parent.name.split("-")[0]]
    words = [f"DS:{name}:{kind}:120:0:U" for name, kind in sources.items()]
    words += [f"RRA:{cf}:0.5:{step // 60}:{rows}" for cf in ("AVERAGE", "MAX") for step, rows in steps.items()]
    subprocess.run(["rrdtool", "create", str(path), "--start", str(start), "--step", "60", *words], check=True)
    return path


def feed(path: Path, rows: list[tuple[int, list[str]]]) -> None:
    lines = "".join(f"update {path} {time}:{':'.join(values)}\n" for time, values in rows)
    done = subprocess.run(["rrdtool", "-"], input=lines + "quit\n", capture_output=True, text=True, check=True)
    assert "ERROR" not in done.stdout


def samples(names: list[str], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and values as pvestatd sends them every 10 s; NaN is U. Counters fall to 0 when the server starts."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(10, HOURS * 3600 + 1, 10)
    values = rng.uniform(0, 100, (len(seconds), len(names)))
    off = (seconds > STOPPED[0]) & (seconds <= STOPPED[1])
    for column, name in enumerate(names):
        if name in POSSIBLE:
            values[:, column] = POSSIBLE[name][0] + POSSIBLE[name][1] * values[:, column]
        if name in COUNTERS:
            counts = np.cumsum(rng.integers(0, 10**6, len(seconds)))
            after = seconds > STOPPED[1]
            values[:, column] = np.where(after, counts - counts[~after][-1], counts)
        if name in {"maxcpu", "maxmem", "maxdisk", "disk"}:
            values[:, column] = {"maxcpu": 4, "maxmem": 2**33, "maxdisk": 2**35, "disk": 0}[name]
        else:
            values[off, column] = np.nan
    return seconds, values


def minutes(names: list[str], seconds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What the primary data points must be: means over what is known of (T - 60, T].

    A minute is unknown if more than half of it is, where rrdtool does not count the sample that ends it (rrd_update.c).
    """
    rates = values.copy()
    counters = [column for column, name in enumerate(names) if name in COUNTERS]
    rates[1:, counters] = np.diff(values[:, counters], axis=0) / 10
    rates[0, counters] = np.nan
    blocks = rates.reshape(-1, 6, len(names))
    known = np.isfinite(blocks).sum(axis=1)
    enough = np.isnan(blocks[:, :5]).sum(axis=1) <= 3
    return np.where(enough & (known > 0), np.nansum(blocks, axis=1) / np.maximum(known, 1), np.nan)


def consolidated(points: np.ndarray, step: int, kind: str) -> np.ndarray:
    """Rows of an archive from minutes; a row is known if at most half of its minutes are not."""
    each = step // 60
    blocks = points[: len(points) // each * each].reshape(-1, each, points.shape[1])
    known = np.isfinite(blocks).sum(axis=1)
    mean = np.nansum(blocks, axis=1) / np.maximum(known, 1)
    highest = np.where(np.isfinite(blocks), blocks, -np.inf).max(axis=1)
    return np.where(known >= each / 2, mean if kind == "AVERAGE" else highest, np.nan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host's folder with server 100 in both generations, each fed with the same values."""
    if shutil.which("rrdtool") is None:
        return Path("absent")
    folder = tmp_path_factory.mktemp("rrdcached") / "db"
    for generation, sources in VM.items():
        path = create(folder / generation / "100", sources)
        seconds, values = samples(list(sources))
        text = [["U" if np.isnan(v) else repr(v.item()) if v % 1 else str(int(v)) for v in row] for row in values]
        feed(path, [(START + int(s), row) for s, row in zip(seconds, text, strict=True)])
    return folder


@pytest.mark.parametrize("generation", list(VM))
@pytest.mark.parametrize("kind", ["AVERAGE", "MAX"])
def test_every_archive_reads_as_computed_from_what_was_fed(
    needs: Callable[[str], str], folder: Path, generation: str, kind: str
) -> None:
    needs("rrdtool")
    names = list(VM[generation])
    points = minutes(names, *samples(names))
    read = read_rows([folder / generation / "100"], kind)
    steps = {step: rows for step, rows in STEPS[generation.split("-")[0]].items() if step <= HOURS * 3600}
    assert list(read) == list(steps)
    for step, kept in steps.items():
        expected = consolidated(points, step, kind)[-kept:]
        last = START + HOURS * 3600 // step * step
        assert [row["time"] for row in read[step]] == list(range(last - step * (len(expected) - 1), last + 1, step))
        for row, values in zip(read[step], expected, strict=True):
            assert set(row) == {"time", *(n for n, v in zip(names, values, strict=True) if np.isfinite(v))}
            for name, value in zip(names, values, strict=True):
                assert row.get(name, np.nan) == pytest.approx(value, rel=1e-9, nan_ok=True), (step, row["time"], name)


def test_around_a_stop_the_keys_are_missing_as_in_the_api(needs: Callable[[str], str], folder: Path) -> None:
    needs("rrdtool")
    first = START + STOPPED[0] // 60 * 60
    rows = fetch(folder / "pve-vm-9.0" / "100", "AVERAGE", 60, first - 60, first + 240)
    still, everything = {"time", "maxcpu", "maxmem", "maxdisk", "disk"}, {"time", *VM["pve-vm-9.0"]}
    assert [set(row) for row in rows] == [everything, still, everything - set(COUNTERS), everything, everything]


@pytest.mark.parametrize(("generation", "timeframe"), [(g, t) for g, windows in WINDOWS.items() for t in windows])
@pytest.mark.parametrize("kind", ["AVERAGE", "MAX"])
def test_the_window_of_every_timeframe_has_the_rows_of_the_api(
    needs: Callable[[str], str], folder: Path, generation: str, timeframe: str, kind: str
) -> None:
    """`now` is 25 s after the last sample: the API asks up to the last whole step, and counts back from there."""
    needs("rrdtool")
    step, count = WINDOWS[generation][timeframe]
    end = (START + HOURS * 3600 + 25) // step * step
    path = folder / generation / "100"
    rows = fetch(path, kind, step, end - step * count, end)
    assert len(rows) == count
    assert [row["time"] for row in rows] == list(range(end - step * (count - 1), end + 1, step))
    known = [row for row in rows if len(row) > 1]
    assert known == read_rows([path], kind)[step][-len(known) :]
    assert {len(row) for row in rows if row["time"] <= START} <= {1}


def test_the_time_of_a_row_is_the_end_of_its_interval(needs: Callable[[str], str], tmp_path: Path) -> None:
    needs("rrdtool")
    path = create(tmp_path / "pve2-vm" / "7", {"cpu": "GAUGE"})
    feed(path, [(START + s, ["0.25" if s <= 300 else "0.75"]) for s in range(10, 601, 10)])
    rows = {row["time"] - START: row["cpu"] for row in read_rows([path], "AVERAGE")[60]}
    assert (rows[300], rows[360]) == (0.25, 0.75)


def test_an_upgraded_host_gives_both_generations_without_a_repeated_row(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    needs("rrdtool")
    old = create(tmp_path / "pve2-vm" / "100.old", {"cpu": "GAUGE"})
    feed(old, [(START + s, ["0.25"]) for s in range(10, 7201, 10)])
    new = create(tmp_path / "pve-vm-9.0" / "100", {"cpu": "GAUGE", "memhost": "GAUGE"}, START + 6600)
    feed(new, [(START + s, ["0.75", "5"]) for s in range(6610, 14401, 10)])
    assert find_files(tmp_path, "vm", "100") == [new, old]
    rows = read_rows(find_files(tmp_path, "vm", "100"), "AVERAGE")
    times = [row["time"] - START for row in rows[60]]
    assert times == list(range(7200 - 69 * 60, 14401, 60))
    assert {row["cpu"] for row in rows[60] if row["time"] <= START + 6600} == {0.25}
    assert {(row["cpu"], row["memhost"]) for row in rows[60] if row["time"] > START + 6600} == {(0.75, 5)}
    assert list(rows) == [60, 1800]


@pytest.mark.parametrize("generation", ["pve2-node", "pve-node-9.0"])
def test_nodes_read_in_both_generations_and_memfree_is_memavailable(
    needs: Callable[[str], str], tmp_path: Path, generation: str
) -> None:
    needs("rrdtool")
    names = [*NODE, *COUNTERS[:2], *(["memfree", "arcsize", *NODE_NEW] if "9" in generation else [])]
    path = create(tmp_path / generation / "pve1", {n: "DERIVE" if n in COUNTERS else "GAUGE" for n in names})
    feed(path, [(START + s, [str(i + (s if n in COUNTERS else 0)) for i, n in enumerate(names)]) for s in (60, 120)])
    rows = read_rows(find_files(tmp_path, "node", "pve1"), "MAX")[60]
    expected = {n: 1 if n in COUNTERS else i for i, n in enumerate(names)}
    if "memfree" in expected:
        expected["memavailable"] = expected.pop("memfree")
    assert rows[-1] == {"time": START + 120, **expected}
    assert "netin" not in rows[0]


def test_archives_are_listed_as_defined(needs: Callable[[str], str], folder: Path) -> None:
    needs("rrdtool")
    listed = archives(folder / "pve-vm-9.0" / "100")
    assert [(a.consolidation, a.step_s, a.rows) for a in listed] == [
        (kind, step, rows) for step, rows in STEPS["pve"].items() for kind in ("AVERAGE", "MAX")
    ]
    assert listed[0].end == START + HOURS * 3600


def test_a_caching_daemon_of_the_environment_and_its_locale_change_nothing(
    needs: Callable[[str], str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("rrdtool")
    before = read_rows([folder / "pve2-vm" / "100"], "AVERAGE")
    monkeypatch.setenv("RRDCACHED_ADDRESS", "unix:/nonexistent/rrdcached.sock")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert read_rows([folder / "pve2-vm" / "100"], "AVERAGE") == before


def test_what_cannot_be_read_is_named(needs: Callable[[str], str], folder: Path, tmp_path: Path) -> None:
    needs("rrdtool")
    with pytest.raises(DataError, match=r"none: no such file"):
        archives(tmp_path / "none")
    text = tmp_path / "text"
    text.write_text("no archive" * 100)
    with pytest.raises(DataError, match=r"text: ERROR: "):
        archives(text)
    cut = tmp_path / "cut"
    cut.write_bytes((folder / "pve2-vm" / "100").read_bytes()[:20_000])
    with pytest.raises(DataError, match=r"cut: ERROR"):
        read_rows([cut], "AVERAGE")
    with pytest.raises(
        DataError, match=r"no rows of 300 s from .*; its archives: AVERAGE 60 s, MAX 60 s, AVERAGE 1800"
    ):
        fetch(folder / "pve2-vm" / "100", "AVERAGE", 300, START, START + 3600)
    with pytest.raises(DataError, match=r"no RRD file of vm 999; looked for pve-vm-9\.0/999, pve2-vm/999"):
        find_files(folder, "vm", "999")


def test_without_rrdtool_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "100").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="rrdtool is not installed; install it"):
        archives(tmp_path / "100")


def test_a_host_s_folder_becomes_recordings_each_of_the_finest_step_that_covers_its_window(
    needs: Callable[[str], str], folder: Path, tmp_path: Path
) -> None:
    """Of `pve2-vm` the minutes of the last 70 are kept, so that earlier windows have half hours alone."""
    needs("rrdtool")
    host = tmp_path / "db"
    shutil.copytree(folder / "pve2-vm", host / "pve2-vm")
    node = create(host / "pve2-node" / "pve1", {"maxcpu": "GAUGE", "cpu": "GAUGE"})
    feed(node, [(START + s, ["8", "0.5"]) for s in range(60, HOURS * 3600 + 1, 60)])
    day = "2025-12-29T"
    windows = [("emulated", "01:00", "04:00"), ("virtio", "12:00", "13:00")]
    named = [("alpha", name, f"{day}{a}:00Z", f"{day}{b}:00Z") for name, a, b in windows]
    study = windowed(tmp_path, *named, given="vcpus: 4, memory_bytes: 8 GiB")
    done = CliRunner().invoke(cli, ["files", "rrd", str(study.folder), str(host)], catch_exceptions=False)
    assert done.output == (
        "recordings/alpha/emulated/rrd-01.parquet: 6 rows of 1800 s cover 3 of the 3 hours of the window.\n"
        "recordings/alpha/virtio/rrd-02.parquet: 60 rows of 60 s cover 1 of the 1 hours of the window.\n"
    )
    (made,) = recording.recordings(study.folder, "alpha", "virtio")
    points = minutes(list(VM["pve2-vm"]), *samples(list(VM["pve2-vm"])))[-60:]
    np.testing.assert_allclose(made.frame["cpu_cores"], points[:, 1] * 4, rtol=1e-9)
    np.testing.assert_allclose(made.frame["disk_write_bytes_per_s"], points[:, 9], rtol=1e-9)
    assert set(made.frame["mem_instrument"]) == {"unknown"}
    assert set(made.frame["node_cpu_cores"]) == {4.0}
    assert made.provenance.source == "RRD files of Proxmox VE, pve2-vm/100, AVERAGE"
    assert CliRunner().invoke(cli, ["check", str(study.folder)]).exit_code == 0
    with pytest.raises(DataError, match="no RRD file of node pve2"):
        CliRunner().invoke(
            cli, ["files", "rrd", str(study.folder), str(host), "--node", "pve2"], catch_exceptions=False
        )


def test_a_disk_counter_that_fell_back_is_found_in_the_rows_of_real_files(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    """QEMU that does not answer once: 0 bytes for a sample, then all of them again."""
    needs("rrdtool")
    path = create(tmp_path / "db" / "pve2-vm" / "100", VM["pve2-vm"])
    names = list(VM["pve2-vm"])
    seconds, values = samples(names)
    kept = seconds <= 2 * 3600
    seconds, values = seconds[kept], values[kept]
    at = int(np.flatnonzero(seconds == 6030)[0])
    for name in ("diskread", "diskwrite"):
        values[at, names.index(name)] = 0
    feed(path, [(START + int(t), [f"{v:.0f}" for v in row]) for t, row in zip(seconds, values, strict=True)])
    frame = rrd_frame(read_rows([path], "AVERAGE")[60], 60, "AVERAGE", "rows")
    assert frame["disk_read_bytes_per_s"].max() > 5 * frame["disk_read_bytes_per_s"].median()
    assert counter_spikes(frame) == [Disturbance(START + 6000, START + 6060, "disk counter fell back")]
    start, end = "2025-12-29T01:00:00Z", "2025-12-29T02:00:00Z"
    study = windowed(tmp_path, ("alpha", "emulated", start, end))
    import_rrd(study, tmp_path / "db")
    (found,) = recording.recordings(study.folder, "alpha", "emulated")
    # within the window alone there are enough rows before it, too
    assert found.provenance.contaminated == [(START + 6000, START + 6060, "disk counter fell back")]


def test_a_stop_inside_a_window_is_found_in_real_files_and_in_half_hours_by_the_minutes(
    tmp_path: Path, needs: Callable[[str], str], folder: Path
) -> None:
    needs("rrdtool")
    host = tmp_path / "db"
    shutil.copytree(folder / "pve-vm-9.0", host / "pve-vm-9.0")
    start, end = "2025-12-29T05:00:00Z", "2025-12-29T10:00:00Z"
    study = windowed(tmp_path, ("alpha", "emulated", start, end))
    import_rrd(study, host)
    (found,) = recording.recordings(study.folder, "alpha", "emulated")
    stop = START + STOPPED[0] // 60 * 60
    # the minute without values and the first one after it, whose counters had begun anew
    assert found.provenance.contaminated == [(stop, stop + 120, "restart")]
    known = read_rows([host / "pve-vm-9.0" / "100"], "AVERAGE")
    frames = {float(step): rrd_frame(known[step], step, "AVERAGE", "rows") for step in (60, 1800)}
    assert stops({1800.0: frames[1800.0]}) == []
    assert [(item.start_s, item.end_s) for item in stops(frames)] == [(stop, stop + 120)]


@pytest.mark.parametrize("offset", [0, 3, 7])
def test_a_minute_with_one_sample_of_the_host_is_told_in_real_files_and_the_guest_s_own_doing_is_not(
    tmp_path: Path, needs: Callable[[str], str], offset: int
) -> None:
    """QEMU that is asked in vain once, at 6000 s; at 9000 s the guest itself takes memory for two minutes."""
    needs("rrdtool")
    path = create(tmp_path / "db" / "pve-vm-9.0" / "100", VM["pve-vm-9.0"])
    names = list(VM["pve-vm-9.0"])
    seconds = np.arange(10, 4 * 3600 + 1, 10) + offset
    rng = np.random.default_rng(5)
    values = {name: np.full(len(seconds), 1.0) for name in names}
    values["maxmem"][:], values["memhost"] = 4e9, 3.5e9 + rng.normal(0, 1e6, len(seconds))
    values["mem"] = 1.5e9 + rng.normal(0, 5e6, len(seconds))
    values["mem"][seconds == 6000 + offset] = values["memhost"][seconds == 6000 + offset]
    values["mem"][(seconds > 9000) & (seconds <= 9120)] += 4e8
    table = np.column_stack([values[name] for name in names])
    feed(path, [(START + int(t), [f"{v:.0f}" for v in row]) for t, row in zip(seconds, table, strict=True)])
    frame = rrd_frame(read_rows([path], "AVERAGE")[60], 60, "AVERAGE", "rows", "9.2.0")
    mixed = frame[frame["mem_instrument"] == "unknown"]
    minutes = {int(at.timestamp()) - START for at in mixed["time"]}
    assert minutes == ({6000} if offset == 0 else {6000, 6060})
    assert mixed["mem_guest_bytes"].isna().all()
    labelled = label_periods(frame.assign(replicate="rrd-01"))
    assert set(labelled.loc[mixed.index, "reason"]) == {"another instrument"}


def test_a_burst_of_reads_alone_is_no_counter_that_fell_back() -> None:
    rows = [{"time": START + 60 * n, "cpu": 0.1, "diskread": 1.0, "diskwrite": 1.0} for n in range(1, 100)]
    rows[70] |= {"diskread": 1e6, "diskwrite": 20.0}
    assert counter_spikes(rrd_frame(rows, 60, "AVERAGE", "rows")) == []
