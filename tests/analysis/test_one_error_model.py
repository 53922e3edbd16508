"""Every answer about an effect comes from one error model: over random studies, none contradicts another."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from virtio_study.analysis.arms import Arm, arm_of
from virtio_study.analysis.results import compare_server
from virtio_study.study import Study

CONFIGS = ("emulated", "virtio", "again")


def a_study(restart: bool) -> Study:
    config = {"label": {"en": "c", "es": "c"}, "balloon_driver": True}
    question = {"question": {"en": "q", "es": "q"}}
    comparisons = {"total": {"before": "emulated", "after": "virtio", "purpose": "total"} | question}
    if restart:
        comparisons["restart"] = {"before": "emulated", "after": "again", "purpose": "restart"} | question
    return Study.model_validate(
        {
            "title": {"en": "made up", "es": "inventado"},
            "source": "recordings",
            "host": {"name": "h", "cpu_model": "c", "logical_cpus": 2, "memory_bytes": "8 GiB", "hypervisor": "QEMU"},
            "servers": {
                "s": {
                    "vmid": 100,
                    "role": {"en": "a", "es": "a"},
                    "vcpus": 8,
                    "memory_bytes": "512 MiB",
                    "disk_bytes": "1 GiB",
                }
            },
            "driver_configs": dict.fromkeys(CONFIGS if restart else CONFIGS[:2], config),
            "comparisons": comparisons,
            "metrics": ["cpu"],
            "daily_cycle": False,
            "seed": 1,
        }
    )


WITH, WITHOUT = a_study(True), a_study(False)


def an_arm(rng: np.random.Generator, config: str, level: float, spread: float, phi: float, boots: int = 1) -> Arm:
    frames = []
    for boot in range(boots):
        noise = rng.normal(0, spread * np.sqrt(1 - phi * phi), 60)
        for row in range(1, 60):
            noise[row] += phi * noise[row - 1]
        start = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=2 * CONFIGS.index(config) + boot * 12)
        frames.append(
            pd.DataFrame(
                {
                    "time": pd.date_range(start, periods=60, freq="60s"),
                    "step_s": 60.0,
                    "replicate": f"boot-{boot}",
                    "period": "steady",
                    "reason": "",
                    "cpu_cores": np.clip(level + noise, 1e-6, None),
                    "cpu_allocated_cores": 8.0,
                    "mem_allocated_bytes": 5e8,
                }
            )
        )
    return arm_of("s", config, pd.concat(frames, ignore_index=True))


def random_case(seed: int) -> Any:
    """Effect and verdict of one random study: its level, noise, true effect and restarts are all drawn."""
    rng = np.random.default_rng(seed)
    level, phi = float(rng.uniform(0.2, 2)), float(rng.uniform(0, 0.9))
    spread = level * float(10 ** rng.uniform(-3, -0.5))
    moved = 1 + float(rng.choice([0.0, 0.01, 0.04, 0.1, 0.5])) * float(rng.choice([-1, 1]))
    restart, boots = bool(rng.integers(2)), int(rng.integers(1, 4))
    arms = {
        "emulated": an_arm(rng, "emulated", level, spread, phi, boots),
        "virtio": an_arm(rng, "virtio", level * moved, spread, phi),
    }
    study = WITHOUT
    if restart:
        study = WITH
        arms["again"] = an_arm(rng, "again", level * (1 + float(rng.normal(0, 0.03))), spread, phi)
    return compare_server(study, arms)["total"].effects["cpu"]


def test_a_server_that_is_idle_but_for_moments_gets_its_answer() -> None:
    """Its peaks are zero in both halves of both sides; that refused the difference of its means too."""
    arms = {}
    for config, busy in (("emulated", [3, 41]), ("virtio", [21])):
        rows = an_arm(np.random.default_rng(1), config, 0.0, 0.0, 0.0).boots[0].rows.assign(cpu_cores=0.0)
        rows.loc[busy, "cpu_cores"] = 0.02
        arms[config] = arm_of("s", config, rows)
    effect = compare_server(WITHOUT, arms)["total"].effects["cpu"]
    assert effect.difference is not None
    assert effect.difference.estimate == pytest.approx(-0.02 / 60)
    assert effect.peak is not None
    assert effect.peak.low <= effect.peak.estimate == 0 <= effect.peak.high


def contradictions(effect: Any) -> list[str]:
    """What a reader of one effect could hold against it."""
    found, relative, bound = effect.difference, effect.relative, effect.bound
    wrong = []
    if relative is not None:
        if (found.excludes_zero, found.low > 0) != (relative.excludes_zero, relative.low > 0):
            wrong.append("difference and relative difference disagree on zero")
        if effect.practical.equivalent and not -0.05 <= relative.estimate <= 0.05:
            wrong.append("the same within 5 %, but the estimate lies outside")
        if effect.practical.equivalent and (relative.low > 0.05 or relative.high < -0.05):
            wrong.append("the same within 5 %, but the interval lies outside")
    if effect.robust and not (found.excludes_zero and bound.excludes_zero):
        wrong.append("robust, but an interval includes zero")
    shown = ("changed by", "differs by", "stretches differ")
    if any(words in effect.sentence for words in shown) != found.excludes_zero:
        wrong.append("the sentence disagrees with the interval")
    if ("stretches" in effect.sentence) != (effect.about == "stretches"):
        wrong.append("the sentence does not say what it is about")
    for other in (effect.median, effect.peak):
        if other is not None and ("restarts alone" in found.method) != ("restarts alone" in other.method):
            wrong.append("median or peak leave out what restarts change")
    return wrong


def test_no_answer_contradicts_another():
    assert {seed: wrong for seed in range(120) if (wrong := contradictions(random_case(seed)))} == {}


@pytest.mark.slow
def test_no_answer_contradicts_another_in_further_studies():
    """`benchmarks/contradictions.py` has ten thousand."""
    assert {seed: wrong for seed in range(10_000, 10_250) if (wrong := contradictions(random_case(seed)))} == {}


def test_one_recording_a_side_tells_of_two_stretches_until_a_restart_was_measured():
    rng = np.random.default_rng(1)
    arms = {"emulated": an_arm(rng, "emulated", 1.0, 0.01, 0.2), "virtio": an_arm(rng, "virtio", 0.5, 0.01, 0.2)}
    alone = compare_server(WITHOUT, arms)["total"]
    assert alone.effects["cpu"].about == "stretches"
    assert "These two stretches differ" in alone.effects["cpu"].sentence
    assert "not yet about the change" in alone.effects["cpu"].sentence
    (check,) = [item for item in alone.checks["cpu"] if item.name == "enough_replicates"]
    assert check.status == "warn"

    measured = compare_server(WITH, {**arms, "again": an_arm(rng, "again", 1.02, 0.01, 0.2)})["total"]
    assert measured.effects["cpu"].about == "change"
    assert "1 restarts alone counted" in measured.effects["cpu"].sentence
    (check,) = [item for item in measured.checks["cpu"] if item.name == "enough_replicates"]
    assert check.status == "pass"


def test_the_servers_own_other_restarts_count():
    """Three boots before and one after: what the three differ by is what a restart alone changes."""
    rng = np.random.default_rng(2)
    calm = an_arm(rng, "emulated", 1.0, 0.01, 0.2)
    frames = [boot.rows for boot in calm.boots]
    for number, level in ((1, 1.1), (2, 0.95)):
        rows = calm.boots[0].rows
        time = rows["time"] + pd.Timedelta(hours=12 * number)
        frames.append(rows.assign(time=time, cpu_cores=rows["cpu_cores"] * level, replicate=f"boot-{number}"))
    before = arm_of("s", "emulated", pd.concat(frames, ignore_index=True))
    after = an_arm(rng, "virtio", 0.95, 0.01, 0.2)
    alone = compare_server(WITHOUT, {"emulated": calm, "virtio": after})["total"].effects["cpu"]
    counted = compare_server(WITHOUT, {"emulated": before, "virtio": after})["total"].effects["cpu"]
    assert alone.difference.excludes_zero
    assert counted.about == "change"
    assert not counted.difference.excludes_zero
    assert not counted.relative.excludes_zero


def test_a_restart_pools_and_counts_nowhere_and_two_names_of_one_number_count_once():
    from virtio_study.analysis.meta_analysis import pooled

    rng = np.random.default_rng(3)
    servers = []
    for _ in range(2):
        arms = {name: an_arm(rng, name, level, 0.01, 0.2) for name, level in zip(CONFIGS, (1.0, 0.5, 1.0), strict=True)}
        compared = compare_server(WITH, arms)
        total = compared["total"]
        twice = total.model_copy(
            update={
                "effects": {"cpu": total.effects["cpu"], "mem_host": total.effects["cpu"]},
                "verdicts": dict.fromkeys(("cpu", "mem_host"), total.verdicts["cpu"]),
            }
        )
        servers.append({"total": twice, "restart": compared["restart"]})
    found = pooled(servers, 0.95)
    believed = {server["total"].verdicts["cpu"].status for server in servers} <= {"believable", "with_reservations"}
    assert believed
    assert found.discoveries.effects == 2
    assert set(found.effects) == {"total"}


def test_no_server_is_told_to_expect_a_fall_of_more_than_everything():
    from virtio_study.analysis.meta_analysis import pooled

    rng = np.random.default_rng(4)
    servers = []
    for after in (0.9, 0.5, 0.1):
        arms = {
            name: an_arm(rng, name, level, 0.01, 0.02) for name, level in zip(CONFIGS, (1.0, after, 1.0), strict=True)
        }
        servers.append(compare_server(WITH, arms))
    found = pooled(servers, 0.95).effects["total"]["cpu"]
    assert found.prediction.low < -1
    assert "too few to say what a further one may expect" in found.sentence


def test_agreement_beyond_the_errors_makes_no_certainty():
    """Two servers, each with an interval that includes zero: their mean is no surer than their errors say."""
    from virtio_study.stats.synthesis import synthesise

    for one, other in itertools.product((-0.0388, -0.0389), repeat=2):
        found = synthesise([one, other], [0.03, 0.03], 0.95)
        assert found.mean.low < 0 < found.mean.high
