"""The generator of fleets: any server alone, nothing kept, labelled as simulated, its truth as told."""

import tracemalloc

import numpy as np
import pandas as pd

from virtio_study.recording import check_frame
from virtio_study.testing.fleet import SimulatedFleet

FLEET = SimulatedFleet(60, seed=7)


def test_any_server_is_made_alone_as_among_the_others() -> None:
    third = FLEET.server(33)
    pd.testing.assert_frame_equal(third.rows, list(FLEET.histories())[33].rows)
    pd.testing.assert_frame_equal(third.rows, FLEET.servers("node0001")[8].rows)
    assert not third.rows["cpu_cores"].equals(SimulatedFleet(60, seed=8).server(33).rows["cpu_cores"])


def test_rows_keep_the_schema_with_gaps_and_restarts() -> None:
    frames = [server.rows for server in FLEET.histories()]
    for frame in frames[:5]:
        check_frame(frame, "simulated")
    assert FLEET.simulated
    assert min(len(frame) for frame in frames) < 30 * 48
    assert sum((frame["uptime_s"].diff() < 0).any() for frame in frames) > 20


def test_days_weeks_and_autocorrelation_are_in_the_rows() -> None:
    frames = [server.rows.set_index("time")["cpu_cores"] for server in FLEET.histories()]
    ratios = [
        frame[frame.index.day_of_week >= 5].mean() / frame[frame.index.day_of_week < 5].mean() for frame in frames
    ]
    assert np.median(ratios) < 0.9
    assert np.median([frame.resample("h").mean().autocorr(24) for frame in frames]) > 0.3
    assert np.median([frame.autocorr(1) for frame in frames]) > 0.8


def test_the_truth_is_in_the_rows() -> None:
    quiet = SimulatedFleet(40, seed=2, changed=1.0, without_effect=0.0)
    without = SimulatedFleet(40, seed=2, changed=1.0, without_effect=1.0)
    for number in range(5):
        truth = quiet.truth(number)
        assert truth is not None
        rows, base = quiet.server(number).rows, without.server(number).rows
        after = rows["time"] > pd.Timestamp(truth.at_s + 7200, unit="s", tz="UTC")
        ratio = (rows["mem_host_bytes"] / base["mem_host_bytes"])[after].median()
        assert abs(ratio - 1 - truth.effects["mem_host"]) < 1e-9
        assert set(rows["mem_instrument"]) <= {"guest_stats", "host_cgroup"}


def test_ten_times_the_servers_need_no_more_memory() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in SimulatedFleet(count, days=7).histories():
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(5)
    assert peak(100) < 1.5 * peak(10)
