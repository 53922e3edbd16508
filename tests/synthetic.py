"""A small study with made-up recordings, for tests of the analysis; nothing here is a measurement."""

from pathlib import Path

import numpy as np
import pandas as pd

from paths import ROOT
from virtio_study.i18n.language import LANGUAGES
from virtio_study.recording import Provenance, Recording, write
from virtio_study.study import Study, load_study
from virtio_study.workflow.graph import plan
from virtio_study.workflow.keys import Keys
from virtio_study.workflow.reports import list_made
from virtio_study.workflow.steps import write_report

MIB = 2.0**20
STUDY = """
title: {en: made up, es: inventado}
source: recordings
host: {name: lab, cpu_model: none, logical_cpus: 2, memory_bytes: 8 GiB, hypervisor: QEMU}
servers:
  versat: {vmid: 100, role: {en: a, es: a}, vcpus: 1, memory_bytes: 512 MiB, disk_bytes: 1 GiB, guest_os: linux}
driver_configs:
  emulated: {label: {en: emulated, es: emulada}, balloon_driver: true}
  virtio: {label: {en: VirtIO, es: VirtIO}, balloon_driver: true}
comparisons:
  total: {before: emulated, after: virtio, purpose: total, question: {en: what, es: qué}}
metrics: [cpu, mem_displayed, mem_host, mem_guest]
load:
  versat: [{column: disk_reads_per_s, margin: 0.05}]
seed: 1
"""


def boot(
    rng: np.random.Generator,
    cpu: float = 0.3,
    host: float = 400.0,
    displayed: str = "host_pss",
    start: str = "2026-01-01",
) -> pd.DataFrame:
    """One boot: 10 rows of start-up near one core, then 60 steady rows at 2 s; memory in MiB."""
    rows = 70
    level = cpu + rng.normal(0, 0.01)
    series = np.where(np.arange(rows) < 10, 0.95, level) + rng.normal(0, 0.02, rows)
    host_bytes = (host + rng.normal(0, 4) + rng.normal(0, 1, rows)) * MIB
    guest_bytes = (60 + rng.normal(0, 1) + rng.normal(0, 1, rows)) * MIB
    return pd.DataFrame(
        {
            "time": pd.date_range(start, periods=rows, freq="2s", tz="UTC").astype("datetime64[us, UTC]"),
            "step_s": 2.0,
            "cpu_cores": np.clip(series, 0, None),
            "cpu_allocated_cores": 1.0,
            "mem_displayed_bytes": guest_bytes if displayed == "guest_stats" else host_bytes,
            "mem_instrument": displayed,
            "mem_host_bytes": host_bytes,
            "mem_host_instrument": "host_pss",
            "mem_guest_bytes": guest_bytes,
            "mem_guest_instrument": "guest_agent",
            "mem_allocated_bytes": 512 * MIB,
            "node_cpu_cores": 0.8 + rng.normal(0, 0.01, rows),
            "disk_reads_per_s": 20 + rng.normal(0, 0.1, rows),
            "uptime_s": np.arange(rows) * 2.0 + 2,
            "consolidation": "AVERAGE",
        }
    )


def make_study(folder: Path, boots: int = 6, accelerator: str = "tcg", daily_cycle: bool = False) -> Study:
    """Write a study of one server, two driver configurations and `boots` boots each under `folder/data/made-up`."""
    home = folder / "data" / "made-up"
    home.mkdir(parents=True)
    (home / "study.yaml").write_text(STUDY + f"daily_cycle: {str(daily_cycle).lower()}\n")
    rng = np.random.default_rng(7)
    sides = {
        "emulated": (0.30, 400.0, "host_pss", "2026-01-01"),
        "virtio": (0.25, 220.0, "guest_stats", "2026-01-02"),
    }
    for config, (cpu, host, displayed, day) in sides.items():
        for number in range(1, boots + 1):
            name = f"boot-{number:02d}"
            provenance = Provenance(
                study="made-up",
                server="versat",
                driver_config=config,
                replicate=name,
                kind="simulated",
                source="test",
                collector_version="0",
                started_at="2026-01-01T00:00:00+00:00",
                accelerator=accelerator,
                versions={"qemu": "0", "host_kernel": "6.8.12-4-pve"},
                devices={"disk": "ide"},
            )
            path = home / "recordings" / "versat" / config / f"{name}.parquet"
            write(Recording(boot(rng, cpu, host, displayed, f"{day}T00:{5 * number:02d}"), provenance, path), home)
    return load_study(home)


def analyse(study: Study) -> None:
    """The report as a run makes it, without kernels; the executed notebooks are placeholders."""
    for language in LANGUAGES:
        write_report(study, language)
    keys = Keys(study)
    for task in plan(study):
        path = study.reports / task.executed
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{{"cells": "{task.name}"}}')
        list_made(study, keys.executed(ROOT / "notebooks" / f"{task.notebook}.ipynb", task.parameters), task.executed)
