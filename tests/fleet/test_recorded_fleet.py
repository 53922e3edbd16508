"""Recordings of a study as a fleet: the same effects as from the servers themselves, disturbed rows left out."""

from pathlib import Path

import numpy as np
import pytest

from virtio_study.fleet.histories import ServerHistory
from virtio_study.fleet.recorded import RecordedFleet
from virtio_study.fleet.survey import Survey, survey
from virtio_study.recording import Provenance, Recording, write
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
