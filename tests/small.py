"""A small study with recordings of known values, and notebooks that do as little as a test needs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from virtio_study import recording
from virtio_study.study import Study, load_study

SHORT_LAB = """
title: {en: short, es: corto}
source: lab
host: {name: test, cpu_model: any, logical_cpus: 2, memory_bytes: 4 GiB, hypervisor: QEMU}
servers:
  versat: {vmid: 100, role: {en: a, es: a}, vcpus: 1, memory_bytes: 256 MiB, disk_bytes: 256 MiB}
driver_configs:
  balloon: {label: {en: b, es: b}, disk: ide, nic: e1000, balloon_driver: true, free_page_reporting: false}
  virtio: {label: {en: v, es: v}, disk: virtio-blk, nic: virtio-net, balloon_driver: true, free_page_reporting: true}
comparisons:
  devices: {before: balloon, after: virtio, purpose: devices, question: {en: q, es: q}}
metrics: [cpu, mem_displayed, mem_host, mem_guest]
lab:
  boots: 2
  steady_s: 10
  step_s: 1
  start_up_fill_bytes: 128 MiB
  loads:
    versat: {disk_reads_per_s: 20, disk_writes_per_s: 10, requests_per_s: 50}
seed: 1
"""
"""Protocol of two configurations whose boots take QEMU seconds."""

PROTOCOL = """\
title: {en: A small study, es: Un estudio pequeño}
source: recordings
host: {name: h, cpu_model: c, logical_cpus: 2, memory_bytes: 4 GiB, hypervisor: none}
servers:
  alpha: {vmid: 100, role: {en: a, es: a}, vcpus: 1, memory_bytes: 512 MiB, disk_bytes: 1 GiB}
  beta: {vmid: 101, role: {en: b, es: b}, vcpus: 1, memory_bytes: 512 MiB, disk_bytes: 1 GiB}
driver_configs:
  emulated: {label: {en: e, es: e}}
  virtio: {label: {en: v, es: v}}
comparisons:
  total: {before: emulated, after: virtio, purpose: total, question: {en: q, es: q}}
metrics: [cpu, mem_displayed]
seed: 1
"""

THREE = 'study: str = "small"\nserver: str = "alpha"\ndriver_config: str = "virtio"'
WRITE = "from pathlib import Path\nwork = Path('data') / study / 'work'\nwork.mkdir(exist_ok=True)\n"
NOTEBOOKS = {
    "1_collect": (
        THREE,
        WRITE + "for end in ('collected.parquet', 'provenance.json'):\n"
        "    files = sorted((work.parent / 'recordings' / server / driver_config).iterdir())\n"
        "    _ = (work / f'{server}-{driver_config}.{end}').write_text(str([f.stat().st_size for f in files]))",
    ),
    "2_clean": (
        THREE,
        WRITE + "for end in ('clean.parquet', 'periods.json'):\n"
        "    _ = (work / f'{server}-{driver_config}.{end}').write_text(end)",
    ),
    "3_describe": (THREE, WRITE + "_ = (work / f'{server}-{driver_config}.levels.json').write_text('{}')"),
    "4_compare": (
        'study: str = "small"\nserver: str = "alpha"',
        WRITE + "_ = (work / f'{server}.effects.json').write_text('{}')",
    ),
    "5_report": (
        'study: str = "small"\nlanguage: str = "en"',
        "from virtio_study.study import load_study\nfrom virtio_study.workflow.keys import Keys\n"
        "from virtio_study.workflow.reports import publish\nprotocol = load_study(study)\n"
        "files = {'results.json': b'{}', 'environment.json': b'{}', f'index.{language}.html': b'<p>'}\n"
        "publish(protocol, Keys(protocol).reported, files)",
    ),
}


def needs(program: str) -> str:
    """Path of a program; without it the test is skipped, or fails where everything must be there (CI)."""
    path = shutil.which(program)
    if path is None:
        reason = f"needs {program}, which is not installed"
        if os.environ.get("VIRTIO_STUDY_REQUIRE_ALL") == "1":
            pytest.fail(f"{reason}, and VIRTIO_STUDY_REQUIRE_ALL=1 forbids a skip")
        pytest.skip(reason)
    return path


def make_frame(rows: int = 10, cpu: float = 0.5) -> pd.DataFrame:
    """A frame of the schema with a constant CPU level, every two seconds."""
    return pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01", periods=rows, freq="2s", tz="UTC"),
            "step_s": 2.0,
            "cpu_cores": np.full(rows, cpu),
            "cpu_allocated_cores": 1.0,
            "mem_displayed_bytes": 1e8,
            "mem_instrument": "host_cgroup",
            "mem_allocated_bytes": 5.12e8,
            "consolidation": "AVERAGE",
        }
    )


def make_recording(folder: Path, server: str, config: str, boot: int, **frame: float) -> recording.Recording:
    replicate = f"boot-{boot:02d}"
    provenance = recording.Provenance(
        study=folder.name,
        server=server,
        driver_config=config,
        replicate=replicate,
        kind="simulated",
        source="test",
        collector_version="0",
        started_at="2026-01-01T00:00:00Z",
    )
    path = folder / "recordings" / server / config / f"{replicate}.parquet"
    made = make_frame(**frame)  # type: ignore[arg-type]
    made["time"] += pd.Timedelta(hours=boot)
    return recording.Recording(made, provenance, path)


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    """A notebook with a parameters cell and code cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "source": source,
            "metadata": {"tags": ["parameters"]} if i == 0 else {},
            "outputs": [],
            "execution_count": None,
        }
        for i, source in enumerate([parameters, *cells])
    ]
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": nodes, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))


def write_small(folder: Path) -> Study:
    """A study of two servers and two driver configurations, two boots each, with notebooks beside `data/`."""
    home = folder / "data" / "small"
    home.mkdir(parents=True)
    (home / "study.yaml").write_text(PROTOCOL)
    for server in ("alpha", "beta"):
        for config in ("emulated", "virtio"):
            for boot in (1, 2):
                recording.write(make_recording(home, server, config, boot), home)
    for name, (parameters, code) in NOTEBOOKS.items():
        write_notebook(folder / "notebooks" / f"{name}.ipynb", parameters, code)
    return load_study(home)
