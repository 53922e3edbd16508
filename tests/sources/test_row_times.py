"""Every row stands at its own time, whoever polls twice, late or not at all."""

import numpy as np
import pytest

from virtio_study.sources.grid import grid_of

T = 1_795_440_870.0


def test_polls_on_a_grid_keep_their_times() -> None:
    grid = grid_of(T + 10 * np.arange(100) + 0.004)
    assert grid.step_s == 10
    np.testing.assert_array_equal(grid.ends_s, T + 10 * np.arange(100))


def test_extra_polls_are_no_rows_and_move_none() -> None:
    whole = T + 10.0 * np.arange(300)
    grid = grid_of(np.sort([*whole, *(whole[::6] + 3)]))
    np.testing.assert_array_equal(grid.ends_s, whole)
    assert set(grid.kept) == set(np.flatnonzero(np.isin(np.sort([*whole, *(whole[::6] + 3)]), whole)))


def test_a_watch_that_was_restarted_between_two_places_moves_no_row() -> None:
    first, second = T + 10.0 * np.arange(50), T + 500 + 10.0 * np.arange(400)
    times = np.sort([*first, *(first[7::9] + 4.2), *second, T + 497.5])
    grid = grid_of(times)
    assert grid.ends_s[-1] == second[-1]
    assert np.abs(grid.ends_s - times[grid.kept]).max() <= 5


def test_the_first_poll_of_a_boot_decides_nothing() -> None:
    """The rig's first came 1.3 s before the second, which was on the grid."""
    grid = grid_of(np.array([T - 1.257, *(T + 10.0 * np.arange(120) + 0.003)]))
    assert grid.ends_s[0] == T
    assert grid.kept[0] == 1
    assert grid.step_s == 10


def test_a_row_that_came_late_leaves_its_place_empty() -> None:
    times = T + 10.0 * np.arange(60)
    times[20] += 4
    times[40] += 6  # nearer to the next place, which has its own
    ends = grid_of(times).ends_s
    assert T + 200 in ends
    assert T + 400 not in ends
    assert len(ends) == 59


@pytest.mark.parametrize("step_s", [9.7, 10.3, 2.0, 60.0, 10.01])
def test_a_step_that_is_not_whole_seconds_keeps_up_over_a_day(step_s: float) -> None:
    times = T + step_s * np.arange(int(86400 / step_s))
    grid = grid_of(times)
    assert np.abs(grid.ends_s - times[grid.kept]).max() <= step_s / 2
    assert len(grid.kept) >= 0.998 * len(times)
    assert (np.diff(grid.ends_s) > 0).all()


@pytest.mark.parametrize("times", [[], [T], [T, T]])
def test_what_has_no_step_is_at_most_one_row(times: list[float]) -> None:
    assert len(grid_of(np.array(times)).kept) == min(1, len(times))


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_two_programs_that_poll_by_turns_have_the_step_of_one(share: float) -> None:
    whole = T + 10.0 * np.arange(120)
    extra = whole[: int(share * 120)] + 6.4
    times = np.sort([*whole, *extra])
    grid = grid_of(times)
    assert grid.step_s == 10
    assert len(grid.kept) in {120, 121}
    assert np.median(np.abs(grid.ends_s - times[grid.kept])) < 0.5
