"""Assignments of a law: all of them, each once; draws of it with the law's shares; the same from the same seed."""

from collections import Counter

import pytest

from virtio_study.errors import DataError
from virtio_study.stats.assignments import MOST_ENUMERATED, assignments, drawn_assignments, number_of_assignments


def test_of_pairs_each_order_of_each_pair_is_there_once() -> None:
    found = assignments([1, 1, 2, 2], 2, draws=5, seed=1)
    assert found.complete
    assert sorted(map(tuple, found.each.tolist())) == [(0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0)]


def test_of_three_configurations_a_group_has_each_once_also_where_its_blocks_are_apart() -> None:
    found = assignments([1, 2, 1, 2, 1, 2], 3, draws=5, seed=1)
    assert len(found.each) == len({tuple(row) for row in found.each.tolist()}) == 36
    for row in found.each.tolist():
        assert sorted(row[::2]) == sorted(row[1::2]) == [0, 1, 2]


def test_blocks_alone_are_drawn_independently() -> None:
    found = assignments([0, 1, 2], 2, draws=5, seed=1)
    assert len({tuple(row) for row in found.each.tolist()}) == 8
    drawn = drawn_assignments(range(3), 2, 8000, seed=3)
    counts = Counter(map(tuple, drawn.tolist()))
    assert len(counts) == 8
    assert all(abs(count - 1000) < 120 for count in counts.values())


def test_more_than_can_be_looked_at_are_drawn_the_same_from_the_same_seed() -> None:
    pairs = [number // 2 for number in range(30)]
    assert number_of_assignments(pairs, 2) == 2**15 > MOST_ENUMERATED
    found = assignments(pairs, 2, draws=400, seed=7)
    assert not found.complete
    assert found.each.shape == (400, 30)
    assert (found.each[:, ::2] + found.each[:, 1::2] == 1).all()
    assert (found.each == drawn_assignments(pairs, 2, 400, seed=7)).all()
    assert (found.each != drawn_assignments(pairs, 2, 400, seed=8)).any()


@pytest.mark.parametrize(("groups", "configurations"), [([], 2), ([1, 1, 2], 3), ([1, 1, 1], 2), ([1, 2], 1)])
def test_a_group_of_another_size_is_refused(groups: list[int], configurations: int) -> None:
    with pytest.raises(DataError, match="a group has one block, or one for each of two or more configurations"):
        number_of_assignments(groups, configurations)
