"""Switchbacks from recordings to results: what was planned beside what was, and the effect by what was drawn."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from switching import BLOCK_H, Run, followed, in_order, switched, write_study
from virtio_study.analysis.switchback import switchback
from virtio_study.workflow.steps import results

OF_DESIGN = dict.fromkeys(("same_hours", "enough_replicates", "order", "adherence", "carry_over"), "pass")
PLAN = in_order(["ev", "ve", "ve", "ev", "ev", "ve", "ev", "ve"])


def test_a_schedule_that_was_kept_shows_the_effect_by_its_own_randomisation() -> None:
    study = switched(PLAN)
    found = study.compared()
    effect = found.effects["cpu"]
    assert effect.replication == "blocks"
    assert effect.randomised is not None
    assert (effect.randomised.draws, effect.randomised.p) == (8, 2 / 2**8)
    assert effect.relative is not None
    assert effect.relative.low < -0.3 < effect.relative.high
    assert effect.relative.high - effect.relative.low < 0.1
    assert effect.difference is not None
    assert effect.difference.interval == effect.randomised.difference.interval  # type: ignore[union-attr]
    assert effect.randomised.cross_check is not None
    assert effect.randomised.cross_check.method == "Student t over blocks of boots"
    assert "Switching at random changed the sustained level" in effect.sentence
    assert "8 random draws" in effect.sentence
    assert found.received == {}
    assert {item.name: item.status for item in found.checks["cpu"] if item.name in OF_DESIGN} == OF_DESIGN
    # the load follows the day, and the blocks of a pair share the hour
    (load,) = found.load
    assert (load.answer, load.method) == ("same", "two one-sided t tests over blocks of boots")
    (at_equal_load,) = effect.randomised.at_equal_load
    assert at_equal_load.p <= 0.05
    memory = found.effects["mem_displayed"]
    assert memory.practical is not None
    assert memory.practical.equivalent
    assert "shows no change" in memory.sentence
    rows = study.blocks()
    assert [row.status for row in rows] == ["followed"] * 16
    assert rows[0].sentence == "“emulated” was in force as planned."
    assert all(row.counted for row in rows)


def test_the_wash_out_is_the_start_up_that_was_found_and_the_stated_minimum_at_least() -> None:
    # emulated runs on over two blocks: the second has no start, and leaves out its first minutes all the same
    runs = [Run("emulated", 0, 6), *followed(PLAN)[2:]]
    study = switched(["emulated", "emulated", *PLAN[2:]], runs, law="bojinov")
    first = study.arms["alpha"]["emulated"].boots[0].rows
    left_out = first[first["reason"] == "wash-out"]
    since_h = (left_out["time"] - first["time"].iloc[0]).dt.total_seconds() / 3600
    assert len(left_out) == 15
    assert since_h.between(BLOCK_H - 0.01, BLOCK_H + 0.25).all()
    assert (first["reason"].iloc[:15] == "start-up").all()


def test_single_draws_are_judged_by_their_own_law() -> None:
    plan = in_order(["ee", "vv", "ve", "ev", "ev", "ve", "vv", "ev"])
    found = switched(plan, followed(plan), law="bojinov").compared().effects["cpu"]
    assert found.randomised is not None
    assert (found.randomised.law, found.randomised.draws) == ("bojinov", 16)
    assert found.relative is not None
    assert found.relative.low < -0.3 < found.relative.high < 0


def test_a_refused_restart_is_an_answer_and_both_analyses_are_there() -> None:
    # the fourth block should be emulated, and virtio stays
    runs = followed(PLAN)
    runs[2:4] = [Run(PLAN[2], 6, 12)]
    study = switched(PLAN, runs)
    rows = study.blocks()
    assert (PLAN[2], PLAN[3]) == ("virtio", "emulated")
    assert [row.status for row in rows if row.status != "followed"] == ["missed"]
    assert rows[3].received == "virtio"
    assert "“emulated” was due, but “virtio” stayed in force: the switch did not happen." in rows[3].sentence
    assert rows[3].counted
    found = study.compared()
    assigned, received = found.effects["cpu"].randomised, found.received["cpu"]
    assert assigned is not None
    # as assigned all draws count, and the missed one dilutes; as received its pair has no two sides
    assert (assigned.draws, received.draws) == (8, 7)
    assert received.p == 2 / 2**7
    adherence = next(item for item in found.checks["cpu"] if item.name == "adherence")
    assert adherence.status == "warn"
    assert "1 of 16 blocks had another configuration" in adherence.sentence
    assert assigned.difference is not None
    assert received.difference is not None
    assert received.difference.estimate < assigned.difference.estimate < 0


def test_a_late_switch_is_seen_and_its_rows_are_kept_apart_as_received() -> None:
    runs = followed(PLAN)
    runs[0:2] = [Run("emulated", 0, 4), Run("virtio", 4, 6)]
    study = switched(PLAN, runs)
    late = study.blocks()[1]
    assert late.status == "late"
    assert "“virtio” came 60 min late; until then “emulated” stayed in force." in late.sentence
    assert late.switched_s == late.start_s + 3600
    received = study.compared().received["cpu"]
    assert received.draws == 8


def test_a_power_cut_of_six_hours_loses_its_blocks_and_nothing_else() -> None:
    runs = followed(PLAN)
    runs[2:5] = [Run(PLAN[2], 6, 8), Run(PLAN[4], 14, 15)]
    study = switched(PLAN, runs)
    rows = study.blocks()
    assert [row.status for row in rows[2:5]] == ["followed", "nothing", "interrupted"]
    assert rows[3].sentence.startswith("Nothing was recorded: the server or its host was off")
    assert "Only 60 of 180 min were recorded" in rows[4].sentence
    assert rows[4].sentence.endswith("The block does not count, nor does its draw.")
    assert [row.counted for row in rows[2:5]] == [True, False, False]
    found = study.compared().effects["cpu"]
    assert found.randomised is not None
    assert found.randomised.draws == 6


def test_a_migration_in_the_middle_is_named_and_its_rows_are_left_out() -> None:
    runs = followed(PLAN)
    runs[5] = Run(PLAN[5], 15, 18, contaminated=((16, 16.5, "migration"),))
    row = switched(PLAN, runs).blocks()[5]
    assert (row.status, row.counted) == ("followed", True)
    assert row.left_out == {"migration": 1800.0}
    assert "Left out: migration 30 min." in row.sentence


def test_blocks_are_right_across_a_change_of_the_clock() -> None:
    # in Madrid the clock went from 2 to 3 on 29 March 2026, in the eleventh block
    zone = ZoneInfo("Europe/Madrid")
    first = datetime(2026, 3, 27, 19, tzinfo=zone)
    origin = first.timestamp()
    starts = [datetime.fromtimestamp(origin + 3600 * BLOCK_H * n, zone) for n in range(len(PLAN))]
    study = switched(PLAN, followed(PLAN), zone="Europe/Madrid", starts=[s.astimezone() for s in starts])
    rows = study.blocks()
    assert {row.end_s - row.start_s for row in rows} == {3600 * BLOCK_H}
    assert [row.status for row in rows] == ["followed"] * 16
    assert starts[11].utcoffset() != starts[10].utcoffset()


def test_a_server_that_was_not_restarted_where_rows_say_another_configuration_is_doubtful() -> None:
    runs = followed(PLAN)
    runs[1] = Run("virtio", 3, 6, started_h=0)
    row = switched(PLAN, runs).blocks()[1]
    assert row.status == "doubtful"
    assert "no restart was seen" in row.sentence


def test_a_carry_over_into_the_next_block_is_found() -> None:
    plan = PLAN * 2

    def slow(hour: np.ndarray, config: str, rng: np.random.Generator) -> np.ndarray:
        # what VirtIO saves comes over the first hours of a block
        inside = hour % BLOCK_H
        saved = 0.5 * np.clip(inside / BLOCK_H, 0, 1) if config == "virtio" else 0.0
        return np.asarray(0.2 * np.exp(0.02 * rng.normal(size=len(hour))) * (1 - saved))

    study = switched(plan, followed(plan), cpu=slow)
    compared = study.compared()
    found = compared.effects["cpu"].randomised
    assert found is not None
    halves = next(item for item in found.carry_over if item.kind == "halves")
    assert halves.p <= 0.01
    check = next(item for item in compared.checks["cpu"] if item.name == "carry_over")
    assert check.status == "warn"
    assert "something of the switch itself lasts" in check.sentence
    other = switched(plan).compared().effects["cpu"].randomised
    assert other is not None
    assert {item.kind for item in other.carry_over} == {"halves", "previous"}
    assert min(item.p for item in other.carry_over) > 0.05


def test_too_few_draws_are_refused_by_name_and_servers_together_have_enough() -> None:
    plan = PLAN[:8]
    study = switched(plan, others={"beta": plan[2:] + plan[:2], "gamma": plan})
    effect = study.compared().effects["cpu"]
    assert effect.status == "not_estimable"
    assert "4 random draws" in effect.sentence
    found = switchback(study.study, {server: study.blocks(server) for server in study.arms})
    assert found is not None
    together = next(item for item in found.together if item.metric == "cpu")
    # gamma has the order of alpha, so it was not drawn by itself
    assert (together.servers, together.draws, together.p) == (("alpha", "beta"), 8, 2 / 2**8)
    assert together.relative is not None
    assert together.relative.low < -0.3 < together.relative.high


def test_results_of_files_have_each_block_with_the_level_that_the_effect_is_made_of(tmp_path: Path) -> None:
    found = results(write_study(tmp_path, PLAN[:12], followed(PLAN[:12])))
    assert found.switchback is not None
    rows = found.switchback.servers["alpha"]
    before = [row.levels["cpu"] for row in rows if row.assigned == "emulated"]
    effect = found.servers["alpha"].comparisons["total"].effects["cpu"]
    assert effect.before is not None
    assert effect.before.estimate == pytest.approx(np.mean(before))
    assert [len(found.servers["alpha"].configurations[side].boots) for side in ("emulated", "virtio")] == [6, 6]
