"""Transients found by measurement; restarts, gaps and windows as labels; nothing dropped."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from virtio_study.cleaning.transients import label_periods, period_table, start_range, steady_start
from virtio_study.errors import DataError

START = datetime(2026, 1, 1, tzinfo=UTC)


def ar1(rng: np.random.Generator, rows: int, phi: float) -> np.ndarray:
    noise = rng.normal(size=rows + 50)
    series = np.zeros(rows + 50)
    for i in range(1, rows + 50):
        series[i] = phi * series[i - 1] + noise[i] * np.sqrt(1 - phi**2)
    return series[50:]


def boot(cpu: np.ndarray, replicate: str = "boot-01") -> pd.DataFrame:
    seconds = 2.0 * np.arange(1, len(cpu) + 1)
    times = pd.to_datetime([START + timedelta(seconds=s) for s in seconds])
    return pd.DataFrame({"time": times, "step_s": 2.0, "cpu_cores": cpu, "uptime_s": seconds, "replicate": replicate})


def lab_boot(seed: int = 1, start_up: int = 8, rows: int = 70) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(np.arange(rows) < start_up, 1.0, 0.3) + rng.normal(0, 0.02, rows)


class TestSteadyStart:
    def test_finds_a_start_up(self):
        cut = steady_start(lab_boot())
        assert cut is not None
        assert 8 <= cut <= 35

    def test_mser_by_its_definition(self):
        values = lab_boot(3)
        means = values.reshape(14, 5).mean(axis=1)
        mser = [((means[d:] - means[d:].mean()) ** 2).sum() / (14 - d) ** 2 for d in range(8)]
        assert steady_start(values) == 5 * int(np.argmin(mser))

    def test_missing_readings_are_left_out_and_the_index_is_the_row(self):
        values = lab_boot()
        whole = steady_start(values)
        padded = np.concatenate([[np.nan, np.nan, np.nan], values])
        assert whole is not None
        assert steady_start(padded) == whole + 3

    def test_constant_series_is_steady_from_the_start(self):
        assert steady_start(np.full(70, 0.25)) == 0

    def test_too_few_rows_cannot_tell(self):
        assert steady_start(np.full(49, 0.25)) is None
        assert steady_start(np.full(100, np.nan)) is None

    def test_a_step_after_the_middle_is_no_steady_state(self):
        values = np.where(np.arange(70) < 45, 1.0, 0.3) + np.random.default_rng(2).normal(0, 0.02, 70)
        assert steady_start(values) is None

    @pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
    def test_noise_alone_is_rarely_without_steady_state(self, phi):
        rng = np.random.default_rng(3)
        none = sum(steady_start(ar1(rng, 65, phi)) is None for _ in range(300))
        assert none / 300 <= 0.06

    @pytest.mark.parametrize("phi", [0.0, 0.9, 0.95])
    def test_published_ladder_of_transients(self, phi):
        """Bias at most 0.05 sd with n = 360: the ladder of transients for which the rule was chosen."""
        rng, rows = np.random.default_rng(4), np.arange(360)
        for transient in (0 * rows, 5 * np.exp(-rows / 8), 15 * np.where(rows < 10, 1, np.exp(-(rows - 10) / 15))):
            bias, lost = [], []
            for _ in range(120):
                noise = ar1(rng, 360, phi)
                cut = steady_start(noise + transient)
                if cut is not None:
                    bias.append((noise + transient)[cut:].mean() - noise.mean())
                    lost.append(cut / 360)
            assert abs(np.mean(bias)) <= 0.05 + 2 * np.std(bias) / np.sqrt(len(bias))
            assert np.mean(lost) <= 0.25


class TestLabels:
    def test_nothing_is_dropped_or_changed(self):
        frame = pd.concat([boot(lab_boot(1)), boot(lab_boot(2), "boot-02")], ignore_index=True)
        before = frame.copy()
        labelled = label_periods(frame)
        pd.testing.assert_frame_equal(frame, before)
        pd.testing.assert_frame_equal(labelled[frame.columns], before)
        assert set(labelled["period"]) == {"transient", "steady"}
        assert set(labelled["reason"]) == {"start-up", ""}

    def test_labelling_twice_is_labelling_once(self):
        once = label_periods(boot(lab_boot()))
        pd.testing.assert_frame_equal(label_periods(once), once)

    def test_no_steady_state(self):
        labelled = label_periods(boot(np.where(np.arange(70) < 45, 1.0, 0.3)))
        assert set(labelled["reason"]) == {"no steady state"}
        table = period_table(labelled)
        assert table[0].status == "no steady state"
        assert table[0].steady_rows == 0

    def test_restart_inside_is_a_second_start_up(self):
        frame = boot(np.concatenate([lab_boot(1), lab_boot(2)]))
        frame.loc[70:, "uptime_s"] = 2.0 * np.arange(1, 71)
        labelled = label_periods(frame)
        assert (labelled.loc[70:77, "reason"] == "restart").all()
        assert (labelled.loc[120:, "period"] == "steady").all()

    def test_row_after_a_gap_is_excluded(self):
        frame = boot(lab_boot())
        frame.loc[60:, "time"] += pd.Timedelta(seconds=6)
        labelled = label_periods(frame)
        assert labelled.index[labelled["reason"] == "gap"].to_list() == [60]
        assert labelled.loc[60, "period"] == "excluded"

    def test_rows_before_the_load_are_not_steady(self):
        frame = boot(lab_boot())
        labelled = label_periods(frame, load_started={"boot-01": 100.0})
        late = labelled["reason"] == "before the load"
        assert late.any()
        assert labelled.loc[late, "period"].eq("transient").all()
        assert labelled.loc[labelled["period"] == "steady", "uptime_s"].min() == 102
        early = label_periods(frame, load_started={"boot-01": 1.0, "boot-99": 100.0})
        pd.testing.assert_frame_equal(early, label_periods(frame))

    def test_a_row_of_a_longer_step_is_excluded(self):
        frame = boot(lab_boot())
        frame.loc[60:, "time"] += pd.Timedelta(seconds=6)
        frame.loc[60, "step_s"] = 8.0
        assert label_periods(frame).loc[60, "reason"] == "gap"

    def test_windows(self):
        frame = boot(lab_boot(rows=90))
        window = (START + timedelta(seconds=20), START + timedelta(seconds=160))
        labelled = label_periods(frame, windows=[window])
        outside = labelled["reason"] == "outside the window"
        assert outside.to_list() == [not 20 < s <= 160 for s in frame["uptime_s"]]
        assert (labelled.loc[outside, "period"] == "excluded").all()

    def test_table_counts_every_row_once(self):
        table = period_table(label_periods(boot(lab_boot())))[0]
        assert table.rows == table.steady_rows + table.transient_rows + table.excluded_rows == 70
        assert table.transient_s == 2 * table.transient_rows
        assert table.reasons == {"start-up": table.transient_rows}

    def test_mistakes_get_a_sentence(self):
        frame = boot(lab_boot())
        with pytest.raises(DataError, match="column 'replicate' is missing"):
            label_periods(frame.drop(columns="replicate"))
        with pytest.raises(DataError, match="replicate boot-01: times must increase"):
            label_periods(frame.iloc[::-1])


def test_the_range_of_the_cut_is_wider_for_a_doubtful_start_up_than_for_a_clear_one():
    widths, first = {"clear": [], "doubtful": []}, []
    place = np.arange(240)
    for seed in range(40):
        noise = 0.02 * np.random.default_rng(seed).standard_normal(240)
        clear = start_range(np.where(place < 30, 1.0, 0.1) + noise)
        assert clear is not None
        first.append(clear[0])
        doubtful = start_range(0.1 + 0.04 * np.exp(-place / 40) + noise)
        assert doubtful is not None
        widths["clear"].append(clear[1] - clear[0])
        widths["doubtful"].append(doubtful[1] - doubtful[0])
    assert np.median(first) == 30
    assert np.mean(widths["doubtful"]) > 1.5 * np.mean(widths["clear"])
    assert start_range(np.linspace(0.0, 1.0, 240))[1] == 240
    assert start_range(np.ones(5)) is None


def test_a_disturbance_excludes_the_rows_that_it_touches_with_its_reason():
    frame = recording_frame()
    start = frame["time"].iloc[0].timestamp()
    step = float(frame["step_s"].iloc[0])
    labelled = label_periods(frame, contaminated={"b": [(start + 50.5 * step, start + 52.5 * step, "backup")]})
    hit = labelled.index[labelled["reason"] == "backup"].tolist()
    assert hit == [51, 52, 53]
    assert (labelled.loc[hit, "period"] == "excluded").all()


def test_after_a_restart_that_the_source_tells_the_start_up_is_looked_for_anew():
    frame = pd.concat([recording_frame(), recording_frame()], ignore_index=True)
    frame["time"] = pd.date_range("2026-11-01", periods=len(frame), freq="10s", tz="UTC")
    frame.loc[120:134, "cpu_cores"] += 0.5
    assert "restart" not in set(label_periods(frame)["reason"]), "nothing in these rows tells it"
    at = frame["time"].iloc[120].timestamp() - 5
    labelled = label_periods(frame, contaminated={"b": [(at, at + 1, "restart")]})
    assert labelled.index[labelled["reason"] == "restart"].tolist() == list(range(120, 136))
    assert set(labelled.loc[120:135, "period"]) == {"transient"}


def test_rows_for_which_the_instrument_fell_back_are_excluded_and_a_mixture_is_left_to_be_seen():
    frame = recording_frame().assign(mem_instrument="guest_stats")
    frame.loc[[60, 90], "mem_instrument"] = "host_cgroup"
    labelled = label_periods(frame)
    assert labelled.index[labelled["reason"] == "another instrument"].tolist() == [60, 90]
    frame.loc[60:90, "mem_instrument"] = "host_cgroup"
    assert not (label_periods(frame)["reason"] == "another instrument").any()


def recording_frame() -> pd.DataFrame:
    rows = 120
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "time": pd.date_range("2026-11-01", periods=rows, freq="10s", tz="UTC"),
            "step_s": 10.0,
            "cpu_cores": 0.1 + 0.01 * rng.standard_normal(rows),
            "replicate": "b",
        }
    )


def weeks(uptime_s: float | None, days: float = 14, step_s: float = 300.0, seed: int = 1) -> pd.DataFrame:
    """A server whose level wanders for weeks, and climbs: MSER over all of it cuts, or finds no steady state."""
    rows = int(days * 86_400 / step_s)
    rng = np.random.default_rng(seed)
    seconds = step_s * np.arange(1, rows + 1)
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2026-03-02T00:05Z", periods=rows, freq=f"{step_s:.0f}s"),
            "step_s": step_s,
            "cpu_cores": 0.5 + 0.05 * ar1(rng, rows, 0.999) + np.linspace(0, 0.5, rows),
            "replicate": "b",
        }
    )
    return frame if uptime_s is None else frame.assign(uptime_s=uptime_s + seconds)


@pytest.mark.parametrize("uptime_s", [200 * 86_400.0, 2 * 3600.0, None])
def test_weeks_of_a_server_that_was_up_long_before_have_no_start_up(uptime_s: float | None):
    assert set(label_periods(weeks(uptime_s))["period"]) == {"steady"}
    assert period_table(label_periods(weeks(uptime_s)))[0].start_up_range_s is None


@pytest.mark.parametrize("step_s", [60.0, 300.0, 1800.0])
def test_a_start_costs_an_hour_of_weeks_at_most(step_s: float):
    frame = weeks(0.0, step_s=step_s)
    half_hour = frame["uptime_s"] <= 1800
    frame.loc[half_hour, "cpu_cores"] += 1.0
    labelled = label_periods(frame)
    assert labelled.loc[half_hour, "reason"].eq("start-up").all()
    assert labelled.loc[frame["uptime_s"] > 3600 + step_s, "period"].eq("steady").all()


def test_a_restart_inside_weeks_costs_an_hour_at_most():
    frame = weeks(200 * 86_400.0)
    restart = len(frame) // 3
    frame.loc[restart:, "uptime_s"] = 300.0 * np.arange(1, len(frame) - restart + 1)
    reasons = label_periods(frame)["reason"]
    assert reasons.index[reasons == "restart"].tolist() == list(range(restart, restart + 12))
    assert reasons.drop(range(restart, restart + 12)).eq("").all()


@pytest.mark.parametrize(("minutes", "least", "most"), [(1, 15, 40), (5, 15, 40), (10, 20, 40), (30, 60, 60)])
def test_of_coarse_rows_the_start_up_alone_is_left_out_not_an_hour(minutes: int, least: int, most: int) -> None:
    rng = np.random.default_rng(5)
    seconds = 60.0 * minutes * np.arange(1, 6 * 60 // minutes + 1)
    started = seconds - 60.0 * minutes < 900
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime([START + timedelta(seconds=s) for s in seconds]),
            "step_s": 60.0 * minutes,
            "cpu_cores": np.where(started, 1.2, 0.3) * np.exp(0.1 * rng.normal(size=len(seconds))),
            "uptime_s": seconds,
            "replicate": "block-01",
        }
    )
    labelled = label_periods(frame)
    left_out = minutes * int((labelled["period"] == "transient").sum())
    assert least <= left_out <= most
    assert (labelled["period"].iloc[-60 // minutes :] == "steady").all()
