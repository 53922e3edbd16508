"""Whether both sides had the same work to do: their load, compared once, column by column."""

from collections.abc import Mapping, Sequence
from typing import Literal

from virtio_study.analysis.arms import Arm, Boot, named_alike
from virtio_study.analysis.records import Estimate, Number, Recorded
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import said
from virtio_study.stats.blocks import Blocks
from virtio_study.stats.equal_load import difference_at_equal_load
from virtio_study.stats.equivalence import Equivalence, equivalent, equivalent_blocks, equivalent_series
from virtio_study.stats.hours import same_hours

__all__ = ["EqualLoad", "LoadComparison", "answer_of", "compare_load", "equal_load", "no_load"]


Answer = Literal["same", "different", "not_shown"]


class LoadComparison(Recorded):
    """One load column on both sides, and whether it is shown to be the same within its margin, or to differ by more.

    `measured`: both sides have values of it. `recorded`: enough of them for a test, whose answers follow (two one-sided
    tests, `stats.equivalence`); else they are None. `answer`: "same" if the ratio's interval lies within the margin,
    "different" if it lies outside, else "not_shown", whatever the ratio itself.
    """

    column: str
    margin: Number
    measured: bool = False
    recorded: bool = False
    answer: Answer | None = None
    equivalent: bool | None = None
    p: Number | None = None
    before: Number | None = None
    after: Number | None = None
    ratio: Number | None = None
    low: Number | None = None
    high: Number | None = None
    confidence: Number | None = None
    n_before: int | None = None
    n_after: int | None = None
    method: str | None = None


class EqualLoad(Recorded):
    """The change of the CPU had both sides had the same load by one column; see `stats.equal_load`.

    `of_twice` is what twice the load adds to the CPU.
    """

    column: str
    difference: Estimate
    bound: Estimate
    of_twice: Number


def equal_load(
    before: Arm, after: Arm, load: Sequence[LoadComparison], confidence: float, daily_cycle: bool
) -> tuple[EqualLoad, ...]:
    """The change of the CPU at equal load, for every column that is not shown to be the same, of one recording a side.

    Parameters
    ----------
    load : sequence of LoadComparison
        The load of both sides.
    daily_cycle : bool
        Whether the work follows the day.
    """
    found = []
    for column in (item.column for item in load if item.recorded and item.answer != "same"):
        boots = [arm.steady_boots("cpu_cores") for arm in (before, after)]
        if [len(side) for side in boots] != [1, 1]:
            break
        sides = [
            tuple(side[0].stretch(name, said("{column:column}", column=name)) for name in ("cpu_cores", column))
            for side in boots
        ]
        try:
            answer = difference_at_equal_load(
                (sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]), confidence, daily_cycle
            )
        except DataError:
            continue
        difference, bound = (Estimate.of(interval, "cores") for interval in (answer.interval, answer.bound))
        found.append(EqualLoad(column=column, difference=difference, bound=bound, of_twice=answer.of_twice))
    return tuple(found)


def compare_load(
    before: Arm,
    after: Arm,
    margins: Mapping[str, float],
    confidence: float,
    daily_cycle: bool,
    *,
    scheduled: bool = False,
) -> tuple[LoadComparison, ...]:
    """Equivalence of every load column: over pairs of blocks, over boots, or within one recording a side.

    Parameters
    ----------
    margins : mapping of load column to relative margin
        Within which the load counts as equal.
    daily_cycle : bool
        Whether the work follows the day, so that single recordings are compared over the same hours.
    scheduled : bool
        Whether boots of the same name are a pair of a schedule's blocks, which share the hour.
    """
    found = []
    for column, margin in margins.items():
        pairs = named_alike(before, after, column) if scheduled else []
        answer = _over_pairs(pairs, column, margin, confidence)
        found.append(_column(before, after, column, margin, confidence, daily_cycle) if answer is None else answer)
    return tuple(found)


def _over_pairs(
    pairs: Sequence[tuple[Boot, Boot]], column: str, margin: float, confidence: float
) -> LoadComparison | None:
    levels = [[pair[side].level(column).mean for pair in pairs] for side in (0, 1)]
    try:
        found = equivalent_blocks(Blocks.of(*levels), margin, confidence)
    except DataError:
        return None
    return LoadComparison(column=column, measured=True, recorded=True, answer=answer_of(found), **vars(found))


def no_load(margins: Mapping[str, float]) -> tuple[LoadComparison, ...]:
    """The load of sides that recorded none."""
    return tuple(LoadComparison(column=column, margin=margin) for column, margin in margins.items())


def _column(
    before: Arm, after: Arm, column: str, margin: float, confidence: float, daily_cycle: bool
) -> LoadComparison:
    measured = bool(before.levels(column)) and bool(after.levels(column))
    answer = _equivalence(before, after, column, margin, confidence, daily_cycle) if measured else None
    if answer is None:
        return LoadComparison(column=column, margin=margin, measured=measured)
    return LoadComparison(column=column, measured=True, recorded=True, answer=answer_of(answer), **vars(answer))


def answer_of(found: Equivalence) -> Answer:
    """Whether a test of equivalence shows the same, a difference beyond its margin, or neither."""
    if found.equivalent:
        return "same"
    if found.low is None or found.high is None:
        # without an interval only sides that never vary can be told apart
        return "different" if found.ratio is not None and "directly" in found.method else "not_shown"
    return "different" if found.low > 1 + found.margin or found.high < 1 - found.margin else "not_shown"


def _equivalence(
    before: Arm, after: Arm, column: str, margin: float, confidence: float, daily_cycle: bool
) -> Equivalence | None:
    first, second = ([level.mean for level in side.levels(column)] for side in (before, after))
    try:
        if len(first) == len(second) == 1:
            one, other = (
                side.steady_boots(column)[0].stretch(column, said("{column:column}", column=column))
                for side in (before, after)
            )
            return equivalent_series(*same_hours(one, other, daily_cycle), margin, confidence)
        return equivalent(first, second, margin, confidence)
    except DataError:
        return None
