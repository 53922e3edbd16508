"""InfluxDB and Prometheus dumps.

`data/files/influx.lp` is what Proxmox VE's own `PVE::Status::InfluxDB` (pve-manager 9.2.11) made of genuine status
answers around the moment at which server 100's balloon driver was loaded; only the node's numbers were made up.
"""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imports import windowed
from paths import TESTS
from virtio_study import recording
from virtio_study.cli.main import cli
from virtio_study.errors import DataError, StudyError
from virtio_study.sources.files.dumps import Dump
from virtio_study.sources.files.influx import read_influx
from virtio_study.sources.files.prometheus import read_prometheus
from virtio_study.sources.normalising import add_node_cpu, sample_frame
from virtio_study.study import Server, Text

LINES = TESTS / "data" / "files" / "influx.lp"
SERVER = Server(vmid=100, role=Text(en="a", es="a"), vcpus=2, memory_bytes=2**29, disk_bytes=2**30)  # type: ignore[arg-type]
T = 1_795_442_000
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def influx(tmp_path: Path, *lines: str) -> Dump:
    (tmp_path / "a.lp").write_text("\n".join(lines))
    return read_influx([tmp_path / "a.lp"])


def point(fields: str, t: float = T, tags: str = "object=qemu,vmid=100,nodename=pve1") -> str:
    return f"system,{tags} {fields} {int(t * 1000)}000000"


def test_genuine_lines_show_the_switch_of_the_instrument() -> None:
    dump = read_influx([LINES])
    assert {vmid: len(samples) for vmid, samples in dump.servers.items()} == {100: 22, 101: 22}
    frame = sample_frame(dump.servers[100], SERVER, "a", "9.2.6")
    frame = recording.check_frame(add_node_cpu(frame, sample_frame(dump.nodes["pve1"], SERVER, "pve1")), "a")
    before, after = (frame[frame["mem_instrument"] == name] for name in ("host_cgroup", "guest_stats"))
    assert (len(before), len(after)) == (9, 10)  # of two a second apart one is a row
    assert before["time"].max() < after["time"].min()
    # What Proxmox VE displays falls to a tenth; what the host spends does not.
    assert before["mem_displayed_bytes"].mean() > 10 * after["mem_displayed_bytes"].mean()
    assert after["mem_host_bytes"].mean() > 0.5 * before["mem_host_bytes"].mean()
    assert after["mem_guest_bytes"].equals(after["mem_displayed_bytes"])
    assert set(frame["node_cpu_cores"]) == {1.0}
    assert set(frame["cpu_allocated_cores"]) == {2.0}


def test_values_and_rates_of_a_genuine_line_are_those_written() -> None:
    text = [line for line in LINES.read_text().splitlines() if line.startswith("system,object=qemu,vmid=100")]
    written = [{k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)[, ]", line)} for line in text[:2]]
    row = sample_frame(read_influx([LINES]).servers[100], SERVER, "a").iloc[0]
    seconds = (int(text[1].split()[-1]) - int(text[0].split()[-1])) / 1e9
    assert row["step_s"] == seconds
    assert row["cpu_cores"] == pytest.approx(written[1]["cpu"] * 2)
    assert row["mem_host_bytes"] == written[1]["memhost"]
    assert row["mem_host_instrument"] == "unknown"
    for key, name in {"diskread": "disk_read", "netin": "net_in", "netout": "net_out"}.items():
        rate = (written[1][key] - written[0][key]) / seconds
        assert row[f"{name}_bytes_per_s"] == pytest.approx(rate)


def test_the_order_of_lines_and_one_field_a_line_change_nothing(tmp_path: Path) -> None:
    """`influx_inspect export -lponly` gives back one field a line, series after series, under comments."""
    single = []
    for line in LINES.read_text().splitlines():
        head, fields, time = re.fullmatch(r"(\S+) (.*) (\d+)", line).groups()  # type: ignore[union-attr]
        names = re.findall(r'([\w-]+)=("(?:\\.|[^"\\])*"|[^,]+)', fields)
        single += [f"{head} {name}={value} {time}" for name, value in names]
    header = ["# DDL", "CREATE DATABASE proxmox WITH NAME autogen", "# DML", "# CONTEXT-DATABASE:proxmox"]
    assert influx(tmp_path, *header, *sorted(single)) == read_influx([LINES])


def test_escapes_and_texts_that_look_like_fields_are_no_fields(tmp_path: Path) -> None:
    tags = r"object=qemu,host=my\ web\,vmid\=7,vmid=100,nodename=pve1"
    dump = influx(
        tmp_path, point(r'name="a \"b\", mem=1 \\",cpu=0.5,mem=5i,uptime=7u,agent=true,lock="cpu=1, x"', tags=tags)
    )
    assert dump.servers == {100: [{"cpu": 0.5, "mem": 5.0, "uptime": 7.0, "time": T}]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("system", "line 1 is not InfluxDB line protocol: 'system'"),
        (point('name="open'), "line 1 is not InfluxDB line protocol"),
        (point("cpu=much"), "line 1, field cpu: 'much' is not a number"),
        (point("cpu=0.5,,mem=1"), "line 1: fields cannot be read from ',mem=1'"),
        (point("cpu=0.5").rsplit(" ", 1)[0], "line 1: time is missing; expected nanoseconds"),
        (point("cpu=0.5")[:-6], "line 1: time '1795442000000'; expected nanoseconds"),
        (point("cpu=0.5", tags="object=qemu,vmid=web"), "line 1: 'web' is not the number of a server"),
        (point("cpu=0.5", tags="object=lxc,vmid=100"), "no point of a Proxmox VE server"),
        ("", "no point of a Proxmox VE server"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        influx(tmp_path, line)


def samples(**series: list[float | None]) -> list[dict[str, Any]]:
    """Samples every 10 s of a running server; `t` moves them."""
    length = len(next(iter(series.values())))
    every = {"uptime": [100.0 + 10 * i for i in range(length)], "t": [10.0 * i for i in range(length)]}
    rows = [{key: values[i] for key, values in (every | series).items()} for i in range(length)]
    return [{"cpus": 2, "cpu": 0.25, "time": T + (row.pop("t") or 0), **row} for row in rows]


def test_a_counter_that_fell_and_came_back_leaves_no_spike() -> None:
    frame = sample_frame(samples(diskread=[1e9, 1e9 + 50, 0, 1e9 + 150, 1e9 + 200]), SERVER, "a")
    np.testing.assert_array_equal(frame["disk_read_bytes_per_s"], [5, np.nan, np.nan, 5])


def test_counters_become_rates_and_a_restart_is_no_negative_rate() -> None:
    frame = sample_frame(samples(netin=[0, 50, 150, 20, 40], uptime=[100, 110, 120, 9, 19]), SERVER, "a")
    np.testing.assert_array_equal(frame["net_in_bytes_per_s"], [5, 10, np.nan, 2])
    np.testing.assert_array_equal(frame["cpu_cores"], [0.5] * 4)
    recording.check_frame(frame, "a")


def test_the_first_cpu_value_of_a_process_is_zero_by_definition_and_left_out() -> None:
    rows = samples(uptime=[100, 110, 9, 19, 29])
    for row, cpu in zip(rows, [0.25, 0, 0, 0, 0.25], strict=True):
        row["cpu"] = cpu
    np.testing.assert_array_equal(sample_frame(rows, SERVER, "a")["cpu_cores"], [0, np.nan, 0, 0.5])


def test_a_stopped_server_uses_nothing_that_could_be_averaged() -> None:
    rows = samples(mem=[5, 5, 0, 0, 0], netin=[10, 20, 0, 0, 0], uptime=[100, 110, 0, 0, 0])
    frame = sample_frame(rows, SERVER, "a")
    assert frame.loc[1:, ["cpu_cores", "mem_displayed_bytes", "net_in_bytes_per_s"]].isna().all(axis=None)


def test_a_sample_read_twice_counts_once_and_a_gap_begins_anew() -> None:
    rows = samples(
        t=[0, 10, 15, 20, 30, 130, 140], uptime=[100, 110, 110, 120, 130, 230, 240], netin=[0, 1, 1, 2, 3, 50, 51]
    )
    frame = sample_frame(rows, SERVER, "a")
    assert (frame["time"] - pd.Timestamp(T, unit="s", tz="UTC")).dt.total_seconds().tolist() == [10, 20, 30, 140]
    assert frame["net_in_bytes_per_s"].tolist() == [0.1] * 4
    assert frame["step_s"].tolist() == [10.0] * 4


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({"actual": 1, "max_mem": 1}, "host_pss"),
        ({"actual": 1, "max_mem": 1, "last_update": T}, "host_pss"),
        ({"total_mem": 9, "free_mem": 1}, "guest_stats"),
        ({"total_mem": 9, "free_mem": 1, "last_update": T - 600}, "unknown"),
        (None, "unknown"),
    ],
)
def test_the_instrument_follows_from_the_balloon_s_answer(info: dict[str, float] | None, name: str) -> None:
    rows = [{**row, **({"ballooninfo": info} if info else {})} for row in samples(mem=[8] * 13)]
    assert set(sample_frame(rows, SERVER, "a", "9.1.0")["mem_instrument"]) == {name}


METRICS = {
    "pve_cpu_usage_ratio": "0.25",
    "pve_cpu_usage_limit": "2",
    "pve_memory_usage_bytes": "4e8",
    "pve_memory_size_bytes": "5e8",
    "pve_network_receive_bytes_total": "{n}00",
    "pve_network_transmit_bytes": "{n}000",
    "pve_disk_read_bytes_total": "{n}1",
    "pve_disk_written_bytes_total": "{n}2",
    "pve_uptime_seconds": "{n}",
    "up": "1",
}


def exported(form: str) -> str:
    """The same samples, of server 100 and its node, every 30 s, in each format that Prometheus gives."""
    found, text = [], []
    for metric, value in METRICS.items():
        for thing in ("qemu/100", "lxc/101", "node/pve1", "storage/pve1/local"):
            labels = {"__name__": metric, "id": thing, "instance": 'a "b"\\c'}
            values = [(T + 0.5 + 30 * i, value.replace("{n}", str(30 * i + 30))) for i in range(4)]
            found.append({"metric": labels, "values": [[time, number] for time, number in values]})
            quoted = {k: v.replace("\\", "\\\\").replace('"', '\\"') for k, v in labels.items()}
            inner = ",".join(f'{k}="{v}"' for k, v in quoted.items() if k != "__name__")
            for time, number in values:
                text.append(
                    {
                        "tsdb": f'{{__name__="{metric}", {inner.replace(",", ", ")}}} {number} {int(time * 1000)}',
                        "exposition": f"{metric}{{{inner}}} {number} {int(time * 1000)}",
                        "openmetrics": f"{metric}{{{inner}}} {number} {time}",
                    }.get(form, "")
                )
    if form == "json":
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}}, indent=1)
    return "# HELP pve_up Node/VM/CT-Status\n" + "\n".join(text) + "\n# EOF\n"


@pytest.mark.parametrize("form", ["json", "tsdb", "exposition", "openmetrics"])
def test_prometheus_tells_the_same_in_every_format(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").write_text(
        exported(form).removeprefix("# HELP pve_up Node/VM/CT-Status\n" if form == "tsdb" else "")
    )
    dump = read_prometheus([tmp_path / "a"])
    assert (list(dump.servers), list(dump.nodes)) == ([100], ["pve1"])
    assert dump.servers[100][1] == {
        "time": T + 30.5, "cpu": 0.25, "maxcpu": 2, "mem": 4e8, "maxmem": 5e8, "netin": 6000, "netout": 60000,
        "diskread": 601, "diskwrite": 602, "uptime": 60,
    }  # fmt: skip
    frame = recording.check_frame(sample_frame(dump.servers[100], SERVER, "a"), "a")
    assert frame["net_in_bytes_per_s"].tolist() == [100, 100, 100]
    assert set(frame["mem_instrument"]) == {"unknown"}
    assert frame["cpu_cores"].tolist() == [0.5] * 3


def test_metrics_may_come_in_files_of_their_own(tmp_path: Path) -> None:
    whole = json.loads(exported("json"))
    paths = []
    for number, series in enumerate(whole["data"]["result"]):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps({"data": {"resultType": "matrix", "result": [series]}}))
    (tmp_path / "a").write_text(json.dumps(whole))
    assert read_prometheus(paths) == read_prometheus([tmp_path / "a"])


def test_two_exporters_of_one_server_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    both = exported("exposition") + exported("exposition").replace('instance="a', 'instance="z').replace(
        " 0.25 ", " 0.75 "
    )
    (tmp_path / "a").write_text(both)
    with pytest.raises(
        DataError, match=r"two series of pve_cpu_usage_ratio of qemu/100, instance .*; choose one with --match"
    ):
        read_prometheus([tmp_path / "a"])
    dump = read_prometheus([tmp_path / "a"], {"instance": ['z "b"\\c']})
    assert {sample["cpu"] for sample in dump.servers[100]} == {0.75}


def answer(*result: Any, kind: str = "matrix") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(result)}})


SERIES = {"__name__": "pve_cpu_usage_ratio", "id": "qemu/100"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (answer({"metric": SERIES, "value": [T, "1"]}, kind="vector"), "resultType is 'vector'; expected 'matrix'"),
        (answer({"metric": {"id": "qemu/100"}, "values": [[T, "1"]]}), "no name; query the metric itself"),
        (answer({"metric": SERIES, "values": [[T, "much"]]}), "result 0: 'much' is not a number"),
        (answer({"metric": SERIES, "values": [[5, "1"]]}), "result 0: time '5'; expected seconds or milliseconds"),
        (answer({"metric": SERIES, "values": [7]}), "result 0: '7'; expected a time and a value"),
        (answer({"metric": SERIES}), "result 0: expected metric and values"),
        (answer({"metric": SERIES | {"id": "qemu/x"}, "values": [[T, "1"]]}), "'x' is not the number of a server"),
        (json.dumps({"status": "error", "error": "query timed out"}), "data.result is missing.: query timed out"),
        ("{", "JSON that cannot be read to its end"),
        ("up 1", "no metric of prometheus-pve-exporter"),
        ('pve_cpu_usage_ratio{id="qemu/100"} 0.5', "line 1: the sample has no time; a scrape alone is no series"),
        (f'pve_cpu_usage_ratio{{id=qemu/100}} 0.5 {T}', "line 1: labels cannot be read from 'id=qemu/100'"),
        ("<html>", "line 1 is not a Prometheus sample: '<html>'"),
        ("", "no metric of prometheus-pve-exporter"),
    ],
)  # fmt: skip
def test_a_wrong_dump_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(DataError, match=message):
        read_prometheus([tmp_path / "a"])


def test_a_compressed_file_is_not_taken_for_text(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    for read in (read_influx, read_prometheus):
        with pytest.raises(DataError, match=r"a\.gz: not UTF-8 text .*is it compressed\?"):
            read([tmp_path / "a.gz"])


PIECES = [
    "system",
    ",",
    "=",
    " ",
    "\\",
    '"',
    "\n",
    "object=qemu",
    "vmid=100",
    "cpu=0.5",
    str(T * 10**9),
    "1e999",
    "é",
    "i",
    "t",
]
PIECES += [
    "pve_cpu_usage_ratio",
    '{id="qemu/100"}',
    "{",
    "}",
    "[",
    "]",
    "#",
    "NaN",
    "1795442000",
    "-",
    "ballooninfo",
    '"data":',
]


@FUZZ
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=25), start=st.sampled_from(["", point("cpu=0.5") + "\n", "{"]))
def test_any_text_is_read_or_refused(tmp_path: Path, pieces: list[str], start: str) -> None:
    (tmp_path / "a").write_text(start + "".join(pieces))
    for read in (read_influx, read_prometheus):
        with contextlib.suppress(DataError):
            assert read([tmp_path / "a"]).servers


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4) | st.just(str(T)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["time", "cpu", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@FUZZ
@given(part=JSON, place=st.sampled_from(["answer", "data", "result", "metric", "values", "value"]))
def test_any_json_in_place_of_a_part_is_read_or_refused(tmp_path: Path, part: Any, place: str) -> None:
    values = part if place == "values" else [[T, part if place == "value" else "1"], [T + 30, "2"]]
    result = part if place == "result" else [{"metric": part if place == "metric" else SERIES, "values": values}]
    data = part if place == "data" else {"resultType": "matrix", "result": result}
    (tmp_path / "a").write_text(json.dumps(part if place == "answer" else {"data": data}))
    with contextlib.suppress(DataError):
        assert read_prometheus([tmp_path / "a"]).servers


@FUZZ
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["cpu", "mem", "uptime", "netin", "ballooninfo"]), JSON)
    )
)
def test_mutated_samples_are_read_or_refused(changes: list[tuple[int, str, Any]]) -> None:
    rows = samples(netin=[0, 1, 2, 3], mem=[5, 5, 5, 5])
    for row, key, value in changes:
        rows[row][key] = value
    with contextlib.suppress(DataError):
        assert len(recording.check_frame(sample_frame(rows, SERVER, "a"), "a")) <= 3


def test_an_influx_dump_becomes_recordings_of_every_server_with_a_window(tmp_path: Path) -> None:
    hours = {"emulated": ("13:50", "13:55"), "balloon": ("13:55", "14:00")}
    windows = [
        (server, config, f"2026-11-23T{start}:00Z", f"2026-11-23T{end}:00Z")
        for server in ("alpha", "beta")
        for config, (start, end) in {"emulated": hours["emulated"], "virtio": hours["balloon"]}.items()
    ]
    study = windowed(tmp_path, *windows, given="vcpus: 2, memory_bytes: 512 MiB")
    line = ["files", "influx", str(study.folder), str(LINES), "--qemu-server", "9.2.6"]
    done = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert len(done.output.splitlines()) == 4
    (after,) = recording.recordings(study.folder, "alpha", "virtio")
    assert set(after.frame["mem_instrument"]) == {"guest_stats"}
    assert after.frame["node_cpu_cores"].tolist() == [1.0] * len(after.frame)
    assert after.provenance.source == "influx dump influx.lp"
    assert CliRunner().invoke(cli, ["check", str(study.folder)]).exit_code == 0
    with pytest.raises(DataError, match="no node 'pve2' in the dump; it has: pve1"):
        CliRunner().invoke(cli, [*line, "--node", "pve2"], catch_exceptions=False)


def test_a_prometheus_dump_becomes_a_recording_and_a_missing_server_is_named(tmp_path: Path) -> None:
    study = windowed(tmp_path, ("alpha", "virtio", "2026-11-23T13:00:00Z", "2026-11-23T15:00:00Z"))
    (tmp_path / "dump.json").write_text(exported("json"))
    line = ["files", "prometheus", str(study.folder), str(tmp_path / "dump.json"), "--match", 'instance=a "b"\\c']
    done = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert "prometheus-01.parquet: 3 rows of 30 s" in done.output
    with pytest.raises(DataError, match="no metric of prometheus-pve-exporter"):
        CliRunner().invoke(cli, [*line[:-1], "instance=b"], catch_exceptions=False)
    assert "expected LABEL=VALUE" in CliRunner().invoke(cli, [*line[:-1], "instance"]).output
    other = windowed(tmp_path / "other", ("beta", "virtio", "2026-11-23T13:00:00Z", "2026-11-23T15:00:00Z"))
    line[2] = str(other.folder)
    with pytest.raises(
        DataError, match="beta: not recorded: 101 is a container in the dump; it has these servers: 100"
    ):
        CliRunner().invoke(cli, line, catch_exceptions=False)
    line[2] = str(windowed(tmp_path / "none").folder)
    with pytest.raises(StudyError, match="no windows; files do not say"):
        CliRunner().invoke(cli, line, catch_exceptions=False)
