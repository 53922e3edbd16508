"""Fleets whose truth is known: what changed is found, what it did is told, and what cannot be told is not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from virtio_study.fleet.estimating import ChangeEffect
from virtio_study.fleet.experiments import changes
from virtio_study.fleet.grid import node_grid
from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.fleet.results import of_survey, shown_effects
from virtio_study.fleet.survey import Survey, survey
from virtio_study.fleet.writing import findings_frame
from virtio_study.study import Metric
from virtio_study.testing.fleet import SimulatedFleet

SHOCKED = SimulatedFleet(50, seed=3, shock=0.3, without_effect=0.5)
BEGIN = 1_767_225_600.0


@cache
def shocked() -> Survey:
    return survey(SHOCKED, 0.95)


def effects(metric: str, found: Survey) -> list[ChangeEffect]:
    return [item for item in found.findings if item.metric == metric and item.relative is not None]


def true_effect(item: ChangeEffect, fleet: SimulatedFleet) -> float:
    truth = fleet.truth(int(item.server.removeprefix("vm")) - 100)
    assert truth is not None
    return truth.effects[item.metric]


def test_every_change_is_found_at_its_time_and_no_other() -> None:
    found = {(item.server, item.at_s, item.parts) for item in shocked().findings}
    truths = {f"vm{100 + number}": SHOCKED.truth(number) for number in range(SHOCKED.count)}
    assert found == {(name, truth.at_s, truth.parts) for name, truth in truths.items() if truth}
    assert shocked().changed == len(found)
    assert shocked().servers == 50


def test_a_shock_that_hits_the_whole_node_is_not_taken_for_an_effect() -> None:
    cpu = effects("cpu", shocked())
    off = np.array([item.relative.estimate - true_effect(item, SHOCKED) for item in cpu if item.relative])
    alone = np.array([item.unadjusted - true_effect(item, SHOCKED) for item in cpu if item.unadjusted is not None])
    assert abs(off.mean()) < 0.03
    assert alone.mean() > 0.2


@pytest.mark.parametrize("metric", ["cpu", "mem_host"])
def test_intervals_hold_the_truth(metric: str) -> None:
    found = effects(metric, shocked())
    held = [item.relative.low <= true_effect(item, SHOCKED) <= item.relative.high for item in found if item.relative]
    assert len(held) > 15
    assert np.mean(held) > 0.9


def test_what_is_shown_is_seldom_false_and_not_nothing() -> None:
    shown = findings_frame(shocked().findings)["shown"].tolist()
    truths = [
        true_effect(item, SHOCKED) for item, discovery in zip(shocked().findings, shown, strict=True) if discovery
    ]
    assert len(truths) >= 3
    assert truths.count(0.0) <= 1


def test_what_is_shown_of_memory_lets_no_false_effect_of_cpu_through() -> None:
    def told(metric: Metric, p: float) -> ChangeEffect:
        return ChangeEffect("vm", "node", 0.0, ("disk",), "to VirtIO", metric, p=p)

    untouched = [told("cpu", (number + 0.5) / 200) for number in range(200)]
    memory = [told("mem_host", 1e-6)] * 300
    shown = shown_effects([*untouched, *memory, replace(untouched[0], p=None, reason="gaps")])
    assert (sum(shown[:200]), sum(shown[200:500]), shown[500]) == (0, 300, False)


def test_another_instrument_is_never_an_effect() -> None:
    loaded = [item for item in shocked().findings if item.metric == "mem_displayed" and "balloon driver" in item.parts]
    assert loaded
    assert {item.reason for item in loaded} == {"instrument switch"}
    assert all(item.difference is None and item.p is None for item in loaded)


@pytest.mark.slow
def test_the_answer_does_not_depend_on_the_number_of_processes() -> None:
    small = SimulatedFleet(30, seed=5, per_node=10, days=14)
    assert survey(small, 0.95, workers=2) == survey(small, 0.95)


@dataclass(frozen=True)
class Told:
    """A fleet of one node whose servers a test tells."""

    histories: tuple[ServerHistory, ...]
    simulated = True
    portable = False
    nodes = ("one",)

    def servers(self, node: str) -> Sequence[ServerHistory]:
        return self.histories


def history(name: str, number: int, setups: Sequence[Setup], instruments: np.ndarray | None = None) -> ServerHistory:
    rng = np.random.default_rng(number)
    ends = BEGIN + 1800 * np.arange(1, 20 * 48 + 1)
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(ends, unit="s", utc=True),
            "step_s": 1800.0,
            "cpu_cores": rng.uniform(0.4, 0.6, len(ends)),
            "cpu_allocated_cores": 4.0,
            "mem_displayed_bytes": rng.uniform(4e8, 5e8, len(ends)),
            "mem_instrument": "host_pss" if instruments is None else instruments,
            "mem_allocated_bytes": 1e9,
        }
    )
    return ServerHistory(name, "one", frame, tuple(setups))


IDE, SCSI = {"disk": "ide"}, {"disk": "virtio-scsi"}
CHANGE = (Setup(BEGIN, IDE), Setup(BEGIN + 10 * 86_400, SCSI))


def reasons(servers: Sequence[ServerHistory]) -> dict[tuple[str, str], str]:
    return {(item.server, item.metric): item.reason for item in survey(Told(tuple(servers)), 0.95).findings}


def test_without_unchanged_neighbours_nothing_is_told() -> None:
    changed = [history(f"vm{number}", number, CHANGE) for number in range(3)]
    still = [history(f"vm{number}", number, CHANGE[:1]) for number in range(3, 6)]
    assert reasons(changed)["vm0", "cpu"] == "no controls"
    assert reasons([*changed, *still])["vm0", "cpu"] == ""
    assert reasons([*changed, *still[:2]])["vm0", "cpu"] == "no controls"


def test_reasons_say_why_there_is_no_effect() -> None:
    still = [history(f"vm{number}", number, CHANGE[:1]) for number in range(3, 7)]
    soon = history("soon", 0, (Setup(BEGIN, IDE), Setup(BEGIN + 2 * 86_400, SCSI)))
    larger = history("larger", 1, CHANGE)
    larger.rows.loc[480:, "cpu_allocated_cores"] = 8.0
    stuck = history("stuck", 2, CHANGE)
    stuck.rows["cpu_cores"] = 0.5
    found = reasons([soon, larger, stuck, *still])
    assert found["soon", "cpu"] == "too short"
    assert found["larger", "cpu"] == "another allocation"
    assert found["stuck", "cpu"] == "constant"
    assert found["larger", "mem_host"] == "not measured"


def test_an_instrument_that_changes_by_itself_is_a_change_of_the_displayed_memory_alone() -> None:
    codes = np.where(np.arange(960) < 480, "host_pss", "host_cgroup")
    servers = [history(f"vm{number}", number, CHANGE[:1], codes) for number in range(5)]
    grid = node_grid(servers)
    assert [(item.at_s, item.parts) for item in changes(servers[0], grid, 0)] == [(BEGIN + 864_000, ("instrument",))]
    assert reasons(servers)["vm0", "mem_displayed"] == "instrument switch"
    assert ("vm0", "cpu") not in reasons(servers)


def test_a_moment_of_late_statistics_is_no_change() -> None:
    codes = np.full(960, "host_pss", dtype=object)
    codes[300:310] = "host_cgroup"
    server = history("vm0", 0, CHANGE[:1], codes)
    assert changes(server, node_grid([server]), 0) == []


def test_a_way_back_is_not_pooled_with_the_way_there() -> None:
    back = (Setup(BEGIN, SCSI), Setup(BEGIN + 10 * 86_400, IDE))
    servers = [history(f"a{number}", number, CHANGE) for number in range(3)]
    servers += [history(f"b{number}", 10 + number, back) for number in range(3)]
    servers += [history(f"c{number}", 20 + number, CHANGE[:1]) for number in range(4)]
    results = of_survey(survey(Told(tuple(servers)), 0.95), "told", True, 0.95)
    pooled = {(item.direction, item.metric): item.servers for item in results.pooled}
    assert pooled["to VirtIO", "cpu"] == 3
    assert pooled["from VirtIO", "cpu"] == 3


def test_finer_rows_make_the_same_effect() -> None:
    servers = [history(f"vm{number}", number, CHANGE) for number in range(1)]
    servers += [history(f"vm{number}", number, CHANGE[:1]) for number in range(1, 5)]
    finer = [replace(server, rows=in_six(server.rows)) for server in servers]
    one, other = (effects("cpu", survey(Told(tuple(found)), 0.95)) for found in (servers, finer))
    assert one[0].relative
    assert other[0].relative
    assert one[0].relative.estimate == pytest.approx(other[0].relative.estimate, abs=1e-12)
    assert one[0].relative.high == pytest.approx(other[0].relative.high, abs=1e-12)


def in_six(rows: pd.DataFrame) -> pd.DataFrame:
    """Every row as six shorter ones with its mean."""
    fine = rows.loc[rows.index.repeat(6)].reset_index(drop=True)
    part = np.tile(np.arange(6), len(rows))
    fine["time"] -= pd.to_timedelta(300 * (5 - part), unit="s")
    fine["cpu_cores"] *= 1 + np.array([-0.3, 0.2, 0.1, 0.1, -0.3, 0.2])[part]
    return fine.assign(step_s=300.0)
