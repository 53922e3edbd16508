"""Recordings of a study as a fleet: the same effects as from the servers themselves, disturbed rows left out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from virtio_study.cli.main import cli
from virtio_study.fleet.histories import ServerHistory
from virtio_study.fleet.recorded import RecordedFleet
from virtio_study.fleet.results import of_survey
from virtio_study.fleet.survey import Survey, survey
from virtio_study.recording import Provenance, Recording, read, write
from virtio_study.study import load_study
from virtio_study.testing.fleet import SimulatedFleet

FLEET = SimulatedFleet(9, seed=6, changed=0.5, days=16, without_effect=0.0)
HEAD = """
title: {en: made up, es: inventado}
source: recordings
host: {name: node0000, cpu_model: none, logical_cpus: 2, memory_bytes: 8 GiB, hypervisor: QEMU}
driver_configs:
  before: {label: {en: before, es: antes}}
  after: {label: {en: after, es: después}}
comparisons:
  total: {before: before, after: after, purpose: total, question: {en: what, es: qué}}
metrics: [cpu, mem_displayed, mem_host, mem_guest]
seed: 1
servers:
"""


def write_servers(folder: Path, servers: list[ServerHistory], busy: str) -> None:
    """Every setup of every server as a recording; the one named `busy` has a backup of five cores in its rows."""
    folder.mkdir()
    one = "  {name}: {{vmid: {vmid}, role: {{en: a, es: a}}, vcpus: 4, memory_bytes: 8 GiB}}\n"
    lines = [one.format(name=item.server, vmid=item.server.removeprefix("vm")) for item in servers]
    (folder / "study.yaml").write_text(HEAD + "".join(lines), encoding="utf-8")
    for item in servers:
        ends = item.rows["time"].map(lambda time: time.timestamp())
        for setup, name in zip(item.setups, ("before", "after"), strict=False):
            after = ends > item.setups[-1].since_s
            rows = item.rows[after if name == "after" else ~after | (len(item.setups) == 1)].reset_index(drop=True)
            times = rows["time"].map(lambda time: time.timestamp())
            stretch = (times.iloc[100], times.iloc[140])
            disturbed = [(*stretch, "backup")] if item.server == busy else []
            if disturbed:
                rows.loc[101:140, "cpu_cores"] += 5.0
            provenance = Provenance(
                study=folder.name,
                server=item.server,
                driver_config=name,
                replicate="rrd-01",
                kind="simulated",
                source="simulated",
                collector_version="0",
                started_at="2026-01-01",
                devices={
                    "disk": setup.parts["disk"],
                    "network": setup.parts["card"],
                    "balloon_driver": setup.parts["balloon driver"],
                },
                contaminated=disturbed,
            )
            path = folder / "recordings" / item.server / name / "rrd-01.parquet"
            write(Recording(rows, provenance, path), folder)


def cpu(found: Survey) -> dict[str, float]:
    return {item.server: item.relative.estimate for item in found.findings if item.metric == "cpu" and item.relative}


def answered(folder: Path, servers: list[ServerHistory], moving: str, at_s: float) -> None:
    """Answers that tell a node of every server, and of one that it migrated at a moment."""
    first, last = (servers[0].rows["time"].iloc[row].timestamp() for row in (0, -1))
    lines = []
    for item in servers:
        there = [(first, "a"), (last, "b" if item.server == moving else "a")]
        path = f"qemu/{item.server.removeprefix('vm')}/config?current=1"
        lines += [{"t": at, "path": f"/nodes/{node}/{path}", "status": 200, "body": {"data": {}}} for at, node in there]
    upid = f"UPID:a:0:0:0:qmigrate:{moving.removeprefix('vm')}:root@pam:"
    task = {"type": "qmigrate", "id": moving.removeprefix("vm"), "starttime": at_s, "endtime": at_s + 60, "upid": upid}
    lines.append({"t": last, "path": "/nodes/a/tasks?limit=500", "status": 200, "body": {"data": [task]}})
    (folder / "raw").mkdir()
    (folder / "raw" / "api-20260101.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_server_that_migrated_is_one_of_each_node_and_is_forecast_where_it_is(tmp_path: Path) -> None:
    servers = FLEET.servers("node0000")
    moving = next(item for item in servers if len(item.setups) == 1)
    write_servers(tmp_path / "made", servers, "none")
    at_s = moving.rows["time"].iloc[300].timestamp()
    answered(tmp_path / "made", servers, moving.server, at_s)
    fleet = RecordedFleet(load_study(tmp_path / "made"))
    assert fleet.nodes == ["a", "b"]
    (there,) = fleet.servers("b")
    here = next(item for item in fleet.servers("a") if item.server == moving.server)
    assert here.left
    assert not there.left
    assert here.rows["time"].iloc[-1].timestamp() <= at_s < there.rows["time"].iloc[0].timestamp() - 60
    assert len(here.rows) + len(there.rows) >= len(moving.rows) - 2
    found = survey(fleet, 0.95)
    assert found.servers == len(servers)
    assert [item.node for item in found.outlooks if item.name == moving.server] == ["b"]
    nodes = of_survey(found, "made", simulated=True, confidence=0.95).by_node
    assert [(item.node, item.servers) for item in nodes] == [("a", len(servers)), ("b", 1)]
    assert nodes[0].changed == found.changed > 0
    assert nodes[1].changed == 0


def test_recordings_say_what_the_servers_said_and_a_backup_is_left_out(tmp_path: Path) -> None:
    servers = FLEET.servers("node0000")
    told = survey(FLEET, 0.95)
    busy = next(iter(cpu(told)))
    write_servers(tmp_path / "made", servers, busy)
    fleet = RecordedFleet(load_study(tmp_path / "made"))
    assert fleet.simulated
    found = survey(fleet, 0.95)
    assert {(item.server, item.parts, item.direction) for item in found.findings} == {
        (item.server, item.parts, item.direction) for item in told.findings
    }
    assert cpu(found).keys() == cpu(told).keys()
    off = {name: abs(value - cpu(told)[name]) for name, value in cpu(found).items()}
    assert max(value for name, value in off.items() if name != busy) == pytest.approx(0, abs=1e-9)
    assert off[busy] < 0.1
    assert np.isfinite(off[busy])


def test_a_server_of_which_no_row_can_be_used_is_named(tmp_path: Path) -> None:
    servers = FLEET.servers("node0000")
    write_servers(tmp_path / "made", servers[:-1], "none")
    unused = servers[-1].server
    known = tmp_path / "made" / "study.yaml"
    text = f"  {unused}: {{vmid: 999, role: {{en: a, es: a}}, vcpus: 4, memory_bytes: 8 GiB}}\n"
    known.write_text(known.read_text() + text)
    fleet = RecordedFleet(load_study(tmp_path / "made"))
    assert {item.server for item in fleet.servers("node0000")} == {item.server for item in servers[:-1]}
    assert list(fleet.without) == [unused]
    shown = CliRunner().invoke(cli, ["fleet", str(tmp_path / "made"), "--output", str(tmp_path / "out")])
    assert shown.exit_code == 0
    assert f"1 server is left out, for no row shows it an hour after a start and undisturbed: {unused}" in shown.stderr


def test_a_study_without_a_row_that_can_be_used_is_told_of_its_recordings(tmp_path: Path) -> None:
    made = tmp_path / "made"
    write_servers(made, FLEET.servers("node0000")[:1], "none")
    recordings = [read(path, made) for path in sorted(made.rglob("*.parquet"))]
    shutil.rmtree(made / "recordings")
    (made / "manifest.json").unlink()
    for one in recordings:
        provenance = one.provenance.model_copy(update={"contaminated": [(0.0, 4e9, "backup")]})
        write(Recording(one.frame, provenance, one.path), made)
    shown = CliRunner().invoke(cli, ["fleet", str(made), "--output", str(tmp_path / "out")])
    assert shown.exit_code != 0
    assert str(shown.exception).startswith("made: no recording has a row that can be used")
