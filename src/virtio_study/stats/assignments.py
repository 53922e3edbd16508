"""Assignments of configurations to blocks: all that a randomisation law could have given, or draws of it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_

__all__ = ["MOST_ENUMERATED", "Assignments", "assignments", "drawn_assignments", "number_of_assignments"]

MOST_ENUMERATED = 2**14
"""So many assignments are all looked at; of more, draws."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Assignments:
    """Assignments of a law: the number of each block's configuration, shape (assignments, blocks).

    `complete` says that these are all of the law, each once and all as likely; otherwise they are independent draws.
    """

    each: Numbers
    complete: bool


def assignments(groups: Sequence[Hashable], configurations: int, *, draws: int, seed: int) -> Assignments:
    """All assignments of the law where they are at most 2^14, else `draws` of them.

    Parameters
    ----------
    groups : sequence, shape (blocks,)
        What tells each block's group. A group of one block draws its configuration alone (the design of Bojinov,
        Simchi-Levi & Zhao 2023, Management Science 69); a group of as many blocks as there are configurations has each
        of them once, in random order (pairs, of two). All groups are independent.
    configurations : int
        How many there are, two or more.
    draws, seed : int
        Where there are too many to look at all. The same seed gives the same draws on every machine.

    Raises
    ------
    DataError
        If there is no block, or a group has another number of blocks.
    """
    if number_of_assignments(groups, configurations) > MOST_ENUMERATED:
        return Assignments(drawn_assignments(groups, configurations, draws, seed), complete=False)
    found = np.zeros((1, len(groups)), dtype=np.int64)
    for places in _places(groups, configurations):
        orders = _orders(len(places), configurations)
        found = np.repeat(found, len(orders), axis=0)
        found[:, places] = np.tile(orders, (len(found) // len(orders), 1))
    return Assignments(found, complete=True)


def drawn_assignments(groups: Sequence[Hashable], configurations: int, draws: int, seed: int) -> Numbers:
    """Independent draws of the law of `assignments`, shape (draws, blocks)."""
    generator = np.random.default_rng(seed)
    found = np.zeros((draws, len(groups)), dtype=np.int64)
    for places in _places(groups, configurations):
        orders = _orders(len(places), configurations)
        found[:, places] = orders[generator.integers(len(orders), size=draws)]
    return found


def number_of_assignments(groups: Sequence[Hashable], configurations: int) -> int:
    """How many assignments the law of `assignments` has, all as likely."""
    number = 1
    for places in _places(groups, configurations):
        number *= configurations if len(places) == 1 else factorial(configurations)
    return number


def _orders(blocks: int, configurations: int) -> Numbers:
    """What a group may have, shape (possibilities, blocks)."""
    if blocks == 1:
        return np.arange(configurations, dtype=np.int64)[:, None]
    return np.array(list(permutations(range(configurations))), dtype=np.int64)


def _places(groups: Sequence[Hashable], configurations: int) -> list[list[int]]:
    """The blocks of each group, in order of their first block."""
    places: dict[Hashable, list[int]] = {}
    for number, group in enumerate(groups):
        places.setdefault(group, []).append(number)
    wrong = [group for group, blocks in places.items() if len(blocks) not in (1, configurations)]
    if not places or configurations < 2 or wrong:
        raise DataError(
            N_(
                "{blocks} blocks in groups of {sizes}, {configurations} configurations; a group has one block, or one "
                "for each of two or more configurations"
            ),
            blocks=len(groups),
            sizes=", ".join(str(size) for size in sorted({len(blocks) for blocks in places.values()})) or "0",
            configurations=configurations,
        )
    return list(places.values())
