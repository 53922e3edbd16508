"""Designs and their schedules: times by the clock, forbidden hours, the draw, power on simulated rows, the files."""

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from icalendar import Calendar

from paths import ROOT
from small import PROTOCOL, make_recording
from virtio_study import recording
from virtio_study.cli.main import cli
from virtio_study.design.choosing import choose_design, history_of_rows
from virtio_study.design.following import write_schedule_files
from virtio_study.design.power import STUDIES, power_of_before_after, power_of_switchback
from virtio_study.design.scheduling import Design, drawn_schedule, spans
from virtio_study.design.writing import add_schedule
from virtio_study.errors import DataError, StudyError
from virtio_study.stats.assignments import drawn_assignments
from virtio_study.stats.randomisation import of_pairs, of_turns
from virtio_study.stats.stretch import Stretch
from virtio_study.study import Law, Study, load_study

CONFIGS = ("emulated", "virtio")
PAIRS = Design("pairs", 3, 6, CONFIGS, 1800.0)


def test_blocks_of_a_pair_are_neighbours() -> None:
    laid = spans(PAIRS)
    assert [(span.start_h, span.end_h) for span in laid[:3]] == [(0, 6), (6, 12), (12, 18)]
    assert [span.group for span in laid] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_hours_without_restart_make_pairs_of_the_same_hours_and_what_is_left_over_is_no_block() -> None:
    laid = spans(Design("pairs", 3, 6, CONFIGS, 1800.0, "08:00-18:00"))
    assert [(span.start_h, span.end_h, span.group) for span in laid] == [
        *((0, 6, 0), (6, 18, 1), (18, 24, 2)),
        *((24, 30, 0), (30, 42, 1), (42, 48, 2)),
    ]


def test_of_the_optimal_design_both_ends_are_twice_as_long() -> None:
    laid = spans(Design("bojinov", 1, 3, CONFIGS, 1800.0))
    assert [span.end_h - span.start_h for span in laid] == [6, 3, 3, 3, 3, 6]
    assert len({span.group for span in laid}) == 6


def test_more_than_two_configurations_stand_once_in_each_group() -> None:
    schedule = drawn_schedule(Design("pairs", 3, 6, ("a", "b", "c"), 1800.0), ["alpha"], datetime(2026, 3, 1), "UTC", 4)
    blocks = schedule.blocks["alpha"]
    assert len(blocks) == 12
    for pair in range(1, 5):
        assert sorted(block.driver_config for block in blocks if block.pair == pair) == ["a", "b", "c"]


@pytest.mark.parametrize(("day", "hours"), [(datetime(2026, 3, 28), 5), (datetime(2026, 10, 24), 7)])
def test_over_a_change_of_the_clock_blocks_begin_at_the_same_hours(day: datetime, hours: int) -> None:
    zone = ZoneInfo("Europe/Madrid")
    blocks = drawn_schedule(PAIRS, ["alpha"], day, "Europe/Madrid", 1).blocks["alpha"]
    assert {block.start.astimezone(zone).hour for block in blocks} == {0, 6, 12, 18}
    lengths = [(block.end - block.start) / timedelta(hours=1) for block in blocks]
    assert sorted({*lengths}) == sorted({6.0, float(hours)})
    assert lengths.count(hours) == 1
    assert all(one.end == other.start for one, other in pairwise(blocks))


def test_a_start_that_the_clock_leaves_out_is_an_hour_later() -> None:
    blocks = drawn_schedule(Design("pairs", 2, 2, CONFIGS, 600.0), ["a"], datetime(2026, 3, 28), "Europe/Madrid", 1)
    starts = [block.start.isoformat() for block in blocks.blocks["a"]]
    assert starts[12:15] == ["2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]


def test_each_server_has_its_own_draw_and_the_same_seed_the_same() -> None:
    one = drawn_schedule(Design("pairs", 6, 6, CONFIGS, 1800.0), ["alpha", "beta"], datetime(2026, 3, 1), "UTC", 4)
    assert one == drawn_schedule(
        Design("pairs", 6, 6, CONFIGS, 1800.0), ["alpha", "beta"], datetime(2026, 3, 1), "UTC", 4
    )
    drawn = {server: [block.driver_config for block in blocks] for server, blocks in one.blocks.items()}
    assert drawn["alpha"] != drawn["beta"]


def test_servers_restart_minutes_apart_and_none_in_the_hours_without_restart() -> None:
    design = Design("pairs", 6, 6, CONFIGS, 1800.0, "00:20-05:00")
    names = [f"server-{number}" for number in range(6)]
    schedule = drawn_schedule(design, names, datetime(2026, 3, 1), "UTC", 4)
    assert [schedule.blocks[name][0].start.minute for name in names] == [0, 5, 10, 15, 0, 5]
    for blocks in schedule.blocks.values():
        assert {block.end - block.start for block in blocks} == {timedelta(hours=6)}
    free = drawn_schedule(replace(design, no_restart=None), [*names, *"abcdefg"], datetime(2026, 3, 1), "UTC", 4)
    assert [blocks[0].start.minute for blocks in free.blocks.values()] == [*range(0, 60, 5), 0]


def wandering(days: int, seed: int = 1) -> Stretch:
    """A server whose level wanders from hour to hour, every five minutes."""
    rng = np.random.default_rng(seed)
    level = np.repeat(np.exp(np.cumsum(rng.normal(0, 0.08, 24 * days))), 12)
    return Stretch(level * rng.lognormal(0, 0.2, len(level)), 1_767_225_600.0, 300.0)


def test_a_switchback_shows_what_a_longer_before_after_does_not() -> None:
    history = wandering(20)
    switchback = power_of_switchback(history, PAIRS, 1_767_225_600.0, 0.95, 1)
    sides = power_of_before_after(history, 7, 0.95)
    assert sides is not None
    assert not switchback.extrapolated
    assert switchback.of(0.5) > 0.95 > 0.5 > sides.of(0.5)
    assert switchback.least is not None
    assert 0.1 < switchback.least < 0.4


@pytest.mark.parametrize("law", ["pairs", "bojinov"])
def test_what_is_promised_is_what_the_study_s_own_test_decides_of_the_same_draws(law: Law) -> None:
    history = wandering(4)
    design = Design(law, 3, 3, CONFIGS, 1800.0)
    promised = power_of_switchback(history, design, history.start_s, 0.95, 7)
    assert (promised.extrapolated, promised.places) == (False, 2)
    laid = spans(design)
    drawn = drawn_assignments([span.group for span in laid], 2, STUDIES, 7)
    shown = 0
    for number, after in enumerate(drawn == 1):
        first = 288 * (2 * number // STUDIES)
        levels = [history.values[first + 12 * span.start_h + 6 : first + 12 * span.end_h].mean() for span in laid]
        fallen = np.where(after, 0.9, 1.0) * levels
        found = of_pairs(fallen[~after], fallen[after]) if law == "pairs" else of_turns(fallen, after.tolist())
        shown += found.p <= 1 - 0.95 and found.falls > found.rises
    assert 0.1 < shown / STUDIES < 0.99
    assert promised.of(0.1) == pytest.approx(shown / STUDIES, abs=1e-12)


def test_promises_came_true_within_five_points_on_the_later_days_of_real_servers() -> None:
    lines = (ROOT / "docs/designs.md").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| pairs")]
    assert len(rows) >= 5
    assert max(abs(float(row[-2])) for row in rows) <= 5


def test_nothing_is_shown_where_nothing_falls_but_for_false_alarms() -> None:
    rng = np.random.default_rng(3)
    noise = Stretch(rng.lognormal(0, 1, 288 * 40), 1_767_225_600.0, 300.0)
    for law in ("pairs", "bojinov"):
        shown = power_of_switchback(noise, Design(law, 6, 6, CONFIGS, 1800.0), 1_767_225_600.0, 0.95, 1)  # type: ignore[arg-type]
        assert shown.shown[0] < 0.3
        assert shown.shown[-1] > 0.99


def test_a_short_history_says_so_and_agrees_with_a_long_one() -> None:
    history = wandering(40)
    short = Stretch(history.values[: 288 * 5], history.start_s, 300.0)
    design = Design("pairs", 10, 6, CONFIGS, 1800.0)
    whole = power_of_switchback(history, design, history.start_s, 0.95, 1)
    part = power_of_switchback(short, design, history.start_s, 0.95, 1)
    assert part.extrapolated
    assert part.least == pytest.approx(whole.least, abs=0.1)


def test_rows_that_miss_make_blocks_that_miss() -> None:
    history = wandering(8)
    values = history.values.copy()
    values[: 288 * 4] = np.nan
    assert power_of_switchback(Stretch(values, history.start_s, 300.0), PAIRS, history.start_s, 0.95, 1).of(0.9) < 0.9


def test_the_cheapest_design_that_will_do_is_recommended() -> None:
    like = Design("pairs", 0, 0, CONFIGS, 1800.0)
    steady = Stretch(np.random.default_rng(1).lognormal(0, 0.1, 288 * 30), 1_767_225_600.0, 300.0)
    found = choose_design({"alpha": steady}, like, 0.3, 0.95, "UTC", 1)
    assert found.reached
    assert (found.recommended.days, found.recommended.block_h) == (2, 4)
    assert choose_design({}, like, 0.3, 0.95, "UTC", 1).recommended == Design("pairs", 6, 6, CONFIGS, 1800.0)
    with pytest.raises(DataError, match="no design of up to 1 days has 6 groups of blocks"):
        choose_design({}, Design("pairs", 1, 12, CONFIGS, 1800.0), 0.3, 0.95, "UTC", 1)


def test_a_schedule_is_written_after_what_a_person_wrote_and_only_once(small: Study) -> None:
    path = small.folder / "study.yaml"
    path.write_text(PROTOCOL + "# mine\n")
    study = load_study(path)
    drawn = drawn_schedule(PAIRS, ["alpha"], datetime(2026, 3, 28), "Europe/Madrid", 9)
    written = add_schedule(study, drawn)
    assert path.read_text().startswith(PROTOCOL + "# mine\n")
    assert written.schedule == load_study(path).schedule == drawn
    with pytest.raises(StudyError, match="there is a schedule already, which is not drawn again"):
        add_schedule(written, drawn)


def test_a_file_that_cannot_take_it_stays_as_it_was(small: Study) -> None:
    path = small.folder / "study.yaml"
    flow = json.dumps(json.loads(small.model_dump_json(exclude={"folder"})))
    path.write_text(flow)
    with pytest.raises(StudyError):
        add_schedule(load_study(path), drawn_schedule(PAIRS, ["alpha"], datetime(2026, 3, 1), "UTC", 9))
    assert path.read_text() == flow


def test_the_files_say_the_same_times(small: Study) -> None:
    study = add_schedule(small, drawn_schedule(PAIRS, ["alpha"], datetime(2026, 3, 28), "Europe/Madrid", 9))
    assert study.schedule is not None
    blocks = study.schedule.blocks["alpha"]
    table, calendar, script = write_schedule_files(study)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["driver_config"] for row in rows] == [block.driver_config for block in blocks]
    assert [datetime.fromisoformat(row["start"]) for row in rows] == [block.start for block in blocks]
    assert rows[4]["start"] == "2026-03-29T00:00+01:00"
    events = Calendar.from_ical(calendar.read_bytes()).walk("VEVENT")
    assert [event.start.astimezone(UTC) for event in events] == [
        *(block.start.astimezone(UTC) for block in blocks),
        blocks[-1].end.astimezone(UTC),
    ]
    assert "Europe/Madrid" in calendar.read_text()
    assert f"100 1 {blocks[0].start.timestamp():.0f} " in script.read_text()


def test_the_command_writes_a_schedule_once(small: Study, tmp_path: Path) -> None:
    shutil.rmtree(small.folder / "recordings")
    (small.folder / "manifest.json").unlink()
    words = ["design", str(small.folder), "--days", "6", "--block", "6", "--zone", "America/Lima", "--write"]
    first = CliRunner().invoke(cli, [*words, "--start", "2026-12-01", "--seed", "3"])
    assert first.exit_code == 0, first.output
    assert "No server has two whole days of rows" in first.output
    assert "Recommended: 6 days in blocks of 6 h (pairs)" in first.output
    assert "beta was never recorded under “virtio”: start it so once by hand" in first.output
    schedule = load_study(small.folder).schedule
    assert schedule is not None
    assert (schedule.seed, schedule.zone, schedule.no_restart) == (3, "America/Lima", "08:00-18:00")
    assert {block.start.hour for block in schedule.blocks["beta"]} == {0, 6, 18}
    again = CliRunner().invoke(cli, words)
    assert "no other is drawn" in again.output
    assert load_study(small.folder).schedule == schedule


def test_the_command_shows_what_each_design_would_show(small: Study) -> None:
    made = make_recording(small.folder, "alpha", "emulated", 9)
    history = wandering(9)
    frame = made.frame.iloc[[0]].loc[[made.frame.index[0]] * len(history.values)].reset_index(drop=True)
    frame["time"] = pd.date_range("2026-01-01T00:05:00Z", periods=len(frame), freq="5min").astype("datetime64[us, UTC]")
    frame = frame.assign(step_s=300.0, cpu_cores=history.values / 1e3)
    recording.write(replace(made, frame=frame), small.folder)
    words = ["design", str(small.folder), "--server", "alpha", "--zone", "UTC", "--any-hour", "--drop", "0.5"]
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0, shown.output
    assert "Simulated on the rows of alpha:" in shown.output
    assert "before/after, 3 + 3 days" in shown.output
    assert shown.output.count("\npairs, blocks of ") < 12
    assert "h *    " in shown.output
    assert "Recommended: " in shown.output
    found = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    least = {(item["law"], item["days"], item["block_h"]): item["least"] for item in found["tried"]}
    assert least["pairs", 6, 3] < least["pairs", 2, 4]
    written = CliRunner().invoke(cli, [*words, "--write", "--start", "2026-12-01", "--seed", "3"])
    assert written.exit_code == 0, written.output
    for language, said in (("en", "recommended: "), ("es", "recomendado: ")):
        figure = (small.folder / "schedule" / f"power.{language}.svg").read_text()
        assert figure.startswith("<svg ")
        assert said in figure
        assert f"{found['recommended']['days']} d" in figure
    assert "power.es.svg" in written.output
    assert least["before_after", 6, None] is None or least["before_after", 6, None] > least["pairs", 6, 3]
    assert found["reached"]


def test_the_rows_that_reach_farthest_are_the_history_and_of_as_long_ones_the_finest() -> None:
    def frame(step: int, days: int) -> pd.DataFrame:
        times = pd.date_range("2026-01-01", periods=86400 * days // step, freq=f"{step}s", tz="UTC")
        return pd.DataFrame({"time": times, "step_s": float(step), "cpu_cores": 0.5})

    found = history_of_rows({60.0: frame(60, 1), 1800.0: frame(1800, 30), 21600.0: frame(21600, 300)}, "cpu_cores")
    assert found is not None
    assert (found.step_s, found.end_s - found.start_s) == (1800.0, 30 * 86400.0)
    finer = history_of_rows({60.0: frame(60, 7), 1800.0: frame(1800, 7)}, "cpu_cores")
    assert finer is not None
    assert finer.step_s == 60.0
    assert history_of_rows({21600.0: frame(21600, 300)}, "cpu_cores") is None
    assert history_of_rows({60.0: frame(60, 1)}, "mem_host_bytes") is None
