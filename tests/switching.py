"""A study with a switchback schedule and made-up recordings of it, for tests; nothing here is a measurement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from virtio_study.analysis.arms import Arm, arm_of
from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.results import compare_server
from virtio_study.analysis.switchback import ScheduledBlock, blocks_of_server
from virtio_study.cleaning.transients import label_periods
from virtio_study.recording import Provenance, Recording, write
from virtio_study.study import Study, load_study

START = datetime(2026, 3, 27, 18, tzinfo=UTC)
STEP_S, BLOCK_H, WASHOUT_S = 60.0, 3.0, 900.0
PROTOCOL: dict[str, Any] = {
    "title": {"en": "a switchback, made up", "es": "una alternancia inventada"},
    "source": "recordings",
    "host": {"name": "h", "cpu_model": "c", "logical_cpus": 4, "memory_bytes": "8 GiB", "hypervisor": "none"},
    "driver_configs": {
        "emulated": {"label": {"en": "emulated", "es": "emulada"}},
        "virtio": {"label": {"en": "VirtIO", "es": "VirtIO"}},
    },
    "comparisons": {
        "total": {
            "before": "emulated",
            "after": "virtio",
            "purpose": "total",
            "question": {"en": "What changed?", "es": "¿Qué cambió?"},
        }
    },
    "metrics": ["cpu", "mem_displayed"],
    "seed": 1,
}

Cpu = Callable[[np.ndarray, str, np.random.Generator], np.ndarray]
"""Hours after the first block's start, the configuration, and chance -> cores."""


@dataclass(frozen=True)
class Run:
    """A life of the server's process: the configuration in force, in hours after the first block's start.

    `started_h` is when its process was started, where that was before its rows.
    """

    driver_config: str
    start_h: float
    end_h: float
    started_h: float | None = None
    contaminated: tuple[tuple[float, float, str], ...] = ()

    def disturbed(self, origin: float) -> list[tuple[float, float, str]]:
        """What disturbed it, in Unix seconds."""
        return [(origin + 3600 * start, origin + 3600 * end, why) for start, end, why in self.contaminated]


def in_order(pairs: Sequence[str]) -> list[str]:
    """Configurations of blocks: `ev` is emulated, then virtio."""
    return [{"e": "emulated", "v": "virtio"}[letter] for pair in pairs for letter in pair]


def followed(configs: Sequence[str], hours: float = BLOCK_H) -> list[Run]:
    """Runs that keep to the plan; neighbours of one configuration are restarted between."""
    return [Run(config, hours * number, hours * (number + 1)) for number, config in enumerate(configs)]


def cpu_of(hour: np.ndarray, config: str, rng: np.random.Generator) -> np.ndarray:
    """A wandering daily load that VirtIO does in seven tenths of the CPU."""
    level = 0.2 + 0.02 * np.sin(2 * np.pi * hour / 24)
    noise = np.exp(0.08 * rng.normal(size=len(hour)))
    return np.asarray(level * noise * (0.7 if config == "virtio" else 1.0))


@dataclass(frozen=True)
class Switched:
    """A study with a schedule, and what was recorded of each server, cleaned, by driver configuration."""

    study: Study
    arms: dict[str, dict[str, Arm]]

    def blocks(self, server: str = "alpha") -> tuple[ScheduledBlock, ...]:
        """What was planned beside what was."""
        return blocks_of_server(self.study, server, self.arms[server])

    def compared(self, server: str = "alpha") -> ServerComparison:
        """The whole change."""
        return compare_server(self.study, self.arms[server])["total"]


def protocol(
    configs: Sequence[str],
    *,
    law: str = "pairs",
    zone: str = "UTC",
    starts: Sequence[datetime] | None = None,
    others: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """The protocol of a study with blocks of three hours of `alpha`, and of others with configurations of their own."""
    begins = starts or [START + timedelta(hours=BLOCK_H * number) for number in range(len(configs))]
    plans = {"alpha": configs} | dict(others or {})
    own = {"role": {"en": "a", "es": "a"}, "vcpus": 2, "memory_bytes": "1 GiB"}
    blocks = {name: _blocks(begins, plan, law) for name, plan in plans.items()}
    return PROTOCOL | {
        "load": {name: [{"column": "net_in_bytes_per_s", "margin": 0.15}] for name in plans},
        "servers": {name: own | {"vmid": 100 + number} for number, name in enumerate(plans)},
        "schedule": {"law": law, "seed": 3, "washout_s": WASHOUT_S, "zone": zone, "blocks": blocks},
    }


def _blocks(begins: Sequence[datetime], configs: Sequence[str], law: str) -> list[dict[str, Any]]:
    return [
        {
            "start": start.isoformat(),
            "end": datetime.fromtimestamp(start.timestamp() + 3600 * BLOCK_H, start.tzinfo).isoformat(),
            "driver_config": config,
            **({"pair": number // 2 + 1} if law == "pairs" else {}),
        }
        for number, (start, config) in enumerate(zip(begins, configs, strict=True))
    ]


def switched(
    configs: Sequence[str], runs: Sequence[Run] | None = None, cpu: Cpu = cpu_of, **of_protocol: Any
) -> Switched:
    """A study with its recordings, in memory; without `runs` every server kept to its plan."""
    study = Study.model_validate(protocol(configs, **of_protocol))
    assert study.schedule is not None
    arms: dict[str, dict[str, Arm]] = {}
    for number, (server, blocks) in enumerate(study.schedule.blocks.items()):
        origin = blocks[0].start.timestamp()
        frames: dict[str, list[pd.DataFrame]] = {}
        contaminated = {}
        for place, run in enumerate(runs or followed([block.driver_config for block in blocks])):
            name = f"api-{place + 1:02d}"
            frame = rows_of(run, origin, [number, place], cpu).assign(replicate=name)
            frames.setdefault(run.driver_config, []).append(frame)
            contaminated[name] = run.disturbed(origin)
        arms[server] = {
            config: arm_of(
                server,
                config,
                label_periods(
                    pd.concat(own, ignore_index=True),
                    contaminated=contaminated,
                    washouts=study.schedule.washouts(server),
                ),
            )
            for config, own in sorted(frames.items())
        }
    return Switched(study, arms)


def rows_of(run: Run, origin: float, seed: Sequence[int], cpu: Cpu = cpu_of) -> pd.DataFrame:
    """Rows of a run: a start-up of a quarter of an hour, then the level."""
    ends = np.arange(run.start_h * 3600 + STEP_S, run.end_h * 3600 + 1, STEP_S)
    uptime = ends - 3600 * (run.start_h if run.started_h is None else run.started_h)
    rng = np.random.default_rng(list(seed))
    return pd.DataFrame(
        {
            "time": pd.to_datetime(origin + ends, unit="s", utc=True).astype("datetime64[us, UTC]"),
            "step_s": STEP_S,
            "cpu_cores": cpu(ends / 3600, run.driver_config, rng) + np.where(uptime <= 900, 0.6, 0.0),
            "cpu_allocated_cores": 2.0,
            "mem_displayed_bytes": 5e8 + 1e6 * rng.normal(size=len(ends)),
            "mem_instrument": "host_cgroup",
            "mem_allocated_bytes": 2.0**30,
            "uptime_s": uptime,
            "consolidation": "AVERAGE",
            "net_in_bytes_per_s": 1e5
            * (1 + 0.2 * np.sin(2 * np.pi * ends / 86_400 - 1))
            * rng.uniform(0.9, 1.1, len(ends)),
        }
    )


def write_study(folder: Path, configs: Sequence[str], runs: Sequence[Run], **of_protocol: Any) -> Study:
    """The same as files: `data/switching` with one recording a run and server."""
    home = folder / "data" / "switching"
    home.mkdir(parents=True)
    told = protocol(configs, **of_protocol)
    (home / "study.yaml").write_text(yaml.safe_dump(told))
    for server, blocks in told["schedule"]["blocks"].items():
        origin = datetime.fromisoformat(blocks[0]["start"]).timestamp()
        for number, run in enumerate(runs):
            name = f"api-{number + 1:02d}"
            provenance = Provenance(
                study="switching",
                server=server,
                driver_config=run.driver_config,
                replicate=name,
                kind="simulated",
                source="test",
                collector_version="0",
                started_at="2026-03-27T18:00:00Z",
                contaminated=run.disturbed(origin),
            )
            path = home / "recordings" / server / run.driver_config / f"{name}.parquet"
            write(Recording(rows_of(run, origin, [vmid_of(told, server), number]), provenance, path), home)
    return load_study(home)


def vmid_of(told: dict[str, Any], server: str) -> int:
    """Number of a server in a protocol."""
    return int(told["servers"][server]["vmid"])
