"""Boots that took turns are the blocks that they are; boots that did not are two samples."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from synthetic import boot
from virtio_study.analysis.arms import Arm, arm_of, blocks_of
from virtio_study.analysis.comparison import compare
from virtio_study.cleaning.transients import label_periods
from virtio_study.stats.effects import difference
from virtio_study.study import Study

START = datetime(2026, 1, 1, tzinfo=UTC)
PROTOCOL = {
    "title": {"en": "t", "es": "t"},
    "source": "recordings",
    "host": {"name": "h", "cpu_model": "c", "logical_cpus": 2, "memory_bytes": 2**33, "hypervisor": "QEMU"},
    "servers": {
        "versat": {
            "vmid": 100,
            "role": {"en": "a", "es": "a"},
            "vcpus": 1,
            "memory_bytes": 2**29,
            "disk_bytes": 2**30,
        }
    },
    "driver_configs": {name: {"label": {"en": name, "es": name}} for name in ("emulated", "virtio")},
    "comparisons": {
        "total": {"before": "emulated", "after": "virtio", "purpose": "total", "question": {"en": "q", "es": "q"}}
    },
    "metrics": ["mem_host"],
    "daily_cycle": False,
    "seed": 1,
}


def arms(order: str, drift: float = 0.0, named: bool = True) -> tuple[Arm, Arm]:
    """Boots every five minutes in this order (A before, B after), each `drift` MiB above the one before it."""
    rng, frames = np.random.default_rng(1), {"A": [], "B": []}
    for place, side in enumerate(order):
        start = (START + timedelta(minutes=5 * place)).isoformat()
        name = f"boot-{len(frames[side]) + 1:02d}" if named else f"api-{place + 1:02d}"
        host = (400.0 if side == "A" else 395.0) + drift * place
        frames[side].append(boot(rng, host=host, start=start).assign(replicate=name))
    before, after = (label_periods(pd.concat(frames[side], ignore_index=True)) for side in "AB")
    return arm_of("versat", "emulated", before), arm_of("versat", "virtio", after)


@pytest.mark.parametrize(
    ("order", "named", "blocks"),
    [
        ("ABBAABBA", True, 4),
        ("ABBAABBA", False, 4),
        ("AAAABBBB", True, 0),
        ("AAAABBBB", False, 0),
        ("ABAB", True, 0),  # two blocks have no spread to speak of
        ("ABBAABBAA", True, 4),
        ("AABBABAB", False, 0),
    ],
)
def test_blocks_are_boots_that_took_turns(order: str, named: bool, blocks: int) -> None:
    pairs = blocks_of(*arms(order, named=named), "mem_host_bytes")
    assert len(pairs) == blocks
    for one, other in pairs:
        assert abs(one.start_s - other.start_s) == 300


def test_a_drift_of_the_host_costs_boots_in_blocks_no_width() -> None:
    study = Study.model_validate(PROTOCOL)
    found = {}
    for drift in (0.0, 10.0):
        both = arms("ABBA" * 4, drift)
        found[drift] = compare(study, study.comparisons["total"], *both, {}).effects["mem_host"]
    for effect in found.values():
        assert effect.method == "Student t over blocks of boots"
        assert effect.difference is not None
        assert effect.difference.n_before == effect.difference.n_after == 8
        assert effect.before is not None
        assert effect.after is not None
        change = effect.after.estimate - effect.before.estimate
        assert effect.difference.estimate == pytest.approx(change)
    before, after = ([level.mean for level in arm.levels("mem_host_bytes")] for arm in arms("ABBA" * 4, 10.0))
    welch, blocks = difference(before, after, 0.95), found[10.0].difference
    assert blocks is not None
    assert blocks.high - blocks.low < 0.4 * (welch.high - welch.low)
