"""What a unit of work costs, where the spread lies, and the cross-check, on made-up rows whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from virtio_study.analysis.arms import Arm, arm_of
from virtio_study.analysis.variance import cross_check, per_work, spread


def side(boots: int, cost: float, seed: int, start: str = "2026-11-01", sd: float = 0.0, rows: int = 240) -> Arm:
    """Steady rows whose CPU is `cost` seconds an operation of a load that varies, with a level of its own a boot."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(boots):
        work = 50 + 5 * rng.standard_normal(rows)
        level = sd * rng.standard_normal()
        parts.append(
            pd.DataFrame(
                {
                    "time": pd.date_range(start, periods=rows, freq="10s", tz="UTC") + pd.Timedelta(days=number),
                    "step_s": 10.0,
                    "period": "steady",
                    "reason": "",
                    "replicate": f"b{number}",
                    "cpu_cores": cost * work + level + 0.002 * rng.standard_normal(rows) + 0.5,
                    "disk_reads_per_s": work,
                    "net_in_bytes_per_s": np.nan,
                }
            )
        )
    return arm_of("versat", "emulated", pd.concat(parts, ignore_index=True))


@pytest.mark.parametrize("boots", [1, 6])
def test_the_cost_of_an_operation_is_found_over_boots_and_within_single_recordings(boots: int) -> None:
    # the CPU has a fixed part too: what is found is all CPU over all work
    before, after = side(boots, 0.004, 1), side(boots, 0.002, 2, start="2026-12-01")
    (found,) = per_work(before, after, ["disk_reads_per_s", "net_in_bytes_per_s", "made_up"], 0.95)
    assert (found.column, found.unit) == ("disk_reads_per_s", "s/operation")
    assert found.before == pytest.approx(0.004 + 0.5 / 50, rel=0.02)
    assert found.difference.low < -0.002 < found.difference.high
    assert found.difference.high < 0


def test_the_spread_is_put_where_it_is() -> None:
    same = spread(side(6, 0.004, 3), "cpu_cores")
    apart = spread(side(6, 0.004, 3, sd=0.2), "cpu_cores")
    assert same is not None
    assert apart is not None
    assert same.within_share > 0.3
    assert apart.within_share < 0.01
    assert apart.between == pytest.approx(0.04, rel=1.0)
    assert spread(side(1, 0.004, 3), "cpu_cores") is None


def test_the_mixed_model_agrees_with_welch_and_says_when_it_cannot() -> None:
    before, after = side(6, 0.004, 4, sd=0.05), side(6, 0.002, 5, sd=0.05)
    found = cross_check(before, after, "cpu_cores")
    assert found is not None
    means = [np.mean([level.mean for level in arm.levels("cpu_cores")]) for arm in (before, after)]
    assert found.estimate == pytest.approx(means[1] - means[0], abs=0.002)
    short = side(6, 0.004, 4, rows=10)
    assert cross_check(short, short, "cpu_cores") is None
