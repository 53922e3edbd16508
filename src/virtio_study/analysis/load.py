"""Whether both sides had the same work to do: their load, compared once, column by column."""

from collections.abc import Mapping

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.records import Number, Recorded
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import said
from virtio_study.stats.equivalence import Equivalence, equivalent, equivalent_series
from virtio_study.stats.hours import same_hours

__all__ = ["LoadComparison", "compare_load", "no_load"]


class LoadComparison(Recorded):
    """One load column on both sides, and whether it is shown to be the same within its margin.

    `measured`: both sides have values of it. `recorded`: enough of them for a test, whose answers follow (two one-sided
    tests, `stats.equivalence`); else they are None.
    """

    column: str
    margin: Number
    measured: bool = False
    recorded: bool = False
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


def compare_load(
    before: Arm, after: Arm, margins: Mapping[str, float], confidence: float, daily_cycle: bool
) -> tuple[LoadComparison, ...]:
    """Equivalence of every load column: over boots, or within one recording a side.

    Parameters
    ----------
    margins : mapping of load column to relative margin
        Within which the load counts as equal.
    daily_cycle : bool
        Whether the work follows the day, so that single recordings are compared over the same hours.
    """
    return tuple(_column(before, after, column, margin, confidence, daily_cycle) for column, margin in margins.items())


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
    return LoadComparison(column=column, measured=True, recorded=True, **vars(answer))


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
