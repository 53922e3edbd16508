"""What a unit of work costs on either side, where the spread of the boots lies, and a mixed model as cross-check."""

from collections.abc import Sequence

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.records import Estimate, Number, Recorded
from virtio_study.errors import DataError
from virtio_study.stats.effects import difference
from virtio_study.stats.elementary import mean
from virtio_study.stats.hierarchical import mixed_model_difference, two_levels
from virtio_study.stats.interval import Interval
from virtio_study.stats.series import work_difference

__all__ = ["UNITS_OF_WORK", "MixedModel", "PerWork", "Spread", "cross_check", "per_work", "spread"]

UNITS_OF_WORK = {"bytes_per_s": "s/byte", "per_s": "s/operation"}
"""How a load column's name ends -> unit of CPU seconds a unit of that work."""


class PerWork(Recorded):
    """CPU seconds a unit of one load column's work, on both sides, and their difference."""

    column: str
    unit: str
    before: Number
    after: Number
    difference: Estimate


class Spread(Recorded):
    """Variance of the boots' levels, and its share that is error within them; see `stats.hierarchical.two_levels`."""

    boots: int
    between: Number
    within: Number
    within_share: Number


class MixedModel(Recorded):
    """The difference by a mixed model; None, and a `reason`, where it has no answer; see `stats.hierarchical`."""

    estimate: Number | None
    standard_error: Number | None
    reason: str


def per_work(before: Arm, after: Arm, columns: Sequence[str], confidence: float) -> tuple[PerWork, ...]:
    """CPU seconds a unit of work, before, after and their difference, for every load column that can tell.

    Parameters
    ----------
    columns : sequence of str
        Load columns, such as `disk_reads_per_s`.

    Returns
    -------
    tuple of PerWork
        The difference is over boots Welch's t on each boot's ratio; with one recording a side as
        `stats.series.work_difference`. A column without values, or with no work in it, is left out.
    """
    found = []
    for column in columns:
        unit = next((unit for end, unit in UNITS_OF_WORK.items() if column.endswith(end)), None)
        if unit is None or not (before.measured(column) and after.measured(column)):
            continue
        first, second = _ratios(before, column), _ratios(after, column)
        try:
            change = Estimate.of(_change(before, after, column, confidence), unit)
        except DataError:
            continue
        found.append(PerWork(column=column, unit=unit, before=mean(first), after=mean(second), difference=change))
    return tuple(found)


def _change(before: Arm, after: Arm, column: str, confidence: float) -> Interval:
    first, second = _ratios(before, column), _ratios(after, column)
    if len(first) == len(second) == 1:
        (one,), (other,) = before.boots, after.boots
        spent, work = (one.stretch(name, name) for name in ("cpu_cores", column))
        paid, done = (other.stretch(name, name) for name in ("cpu_cores", column))
        return work_difference(spent, work, paid, done, confidence).interval
    return difference(first, second, confidence)


def _ratios(arm: Arm, column: str) -> list[float]:
    """CPU seconds a unit of work, boot by boot."""
    levels = [(boot.level("cpu_cores"), boot.level(column)) for boot in arm.boots]
    return [spent.mean / work.mean for spent, work in levels if spent.rows and work.rows and work.mean > 0]


def spread(arm: Arm, column: str) -> Spread | None:
    """Where the variance of the boots' levels lies; None with too few boots or rows."""
    try:
        return Spread.model_validate(two_levels(list(arm.steady_values(column))))
    except DataError:
        return None


def cross_check(before: Arm, after: Arm, column: str) -> MixedModel | None:
    """The difference by a mixed model, to hold beside the answer; None below two boots a side."""
    first, second = list(before.steady_values(column)), list(after.steady_values(column))
    if min(len(first), len(second)) < 2:
        return None
    try:
        found = mixed_model_difference([*first, *second], [False] * len(first) + [True] * len(second))
    except (DataError, ValueError):
        return None
    return MixedModel.model_validate(found)
