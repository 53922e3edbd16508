"""Can a difference be believed? One small function a check, and a verdict with its reasons.

Every check takes the evidence of both sides and returns a status with its arithmetic: `pass`, `warn`, `fail`, or
`not_assessable` where the evidence says nothing. No check knows where the evidence comes from, so recordings and
published numbers meet the same ones.
"""

from collections.abc import Callable, Sequence

from virtio_study.analysis.evidence import Side
from virtio_study.analysis.load import LoadComparison
from virtio_study.analysis.validity.check import Check, Status, Verdict, checked, verdict
from virtio_study.analysis.validity.conditions import (
    check_co_interventions,
    check_contention,
    check_drift,
    check_guest_memory,
    check_interruptions,
    check_plausible_floor,
    check_same_hours,
    check_vhost,
)
from virtio_study.analysis.validity.measurement import (
    check_accelerator,
    check_enough_replicates,
    check_enough_rows,
    check_possible_values,
    check_quantum,
    check_same_allocation,
    check_same_instrument,
    check_same_load,
    check_same_statistic,
    emulator_only,
)
from virtio_study.analysis.validity.order import check_order
from virtio_study.plug_ins import CHECKS, PlugIn, plug_ins
from virtio_study.study import Purpose

__all__ = [
    "Check",
    "Status",
    "Verdict",
    "check_accelerator",
    "check_co_interventions",
    "check_contention",
    "check_drift",
    "check_enough_replicates",
    "check_enough_rows",
    "check_guest_memory",
    "check_interruptions",
    "check_order",
    "check_plausible_floor",
    "check_possible_values",
    "check_quantum",
    "check_same_allocation",
    "check_same_hours",
    "check_same_instrument",
    "check_same_load",
    "check_same_statistic",
    "check_vhost",
    "checked",
    "checks",
    "emulator_only",
    "verdict",
]

BOTH: tuple[Callable[[Side, Side], Check], ...] = (
    check_same_instrument,
    check_possible_values,
    check_same_statistic,
    check_same_allocation,
)
OF_CPU: tuple[Callable[[Side, Side], Check], ...] = (check_quantum, check_vhost)
OF_GUEST_MEMORY: tuple[Callable[[Side, Side], Check], ...] = (check_guest_memory, check_plausible_floor)


def checks(
    before: Side,
    after: Side,
    load: Sequence[LoadComparison],
    confidence: float,
    practical_margin: float = 0.05,
    purpose: Purpose = "total",
    with_change: Sequence[str] = (),
) -> list[Check]:
    """Every check that applies to the metric, in the order of the report; those of other packages last.

    Parameters
    ----------
    before, after : Side
        Evidence of both sides.
    load : sequence of LoadComparison
        The load of both sides, column by column.
    confidence : float
        Of the load's tests.
    practical_margin : float
        Share of the level within which a drift does not matter.
    purpose, with_change : str, sequence of str
        What the comparison is about, and what else changed by protocol.

    Raises
    ------
    PlugInError
        If a check of another package fails.
    """
    done = [check(before, after) for check in BOTH]
    done.append(check_same_load(load, confidence))
    done.append(check_same_hours(before, after))
    done += [check_enough_replicates(before, after), check_enough_rows(before, after)]
    done.append(check_drift(before, after, practical_margin))
    if min(before.replicates or 0, after.replicates or 0) > 1:
        done.append(check_order(before, after, confidence))
    done += [check_contention(before, after), check_interruptions(before, after)]
    done.append(check_co_interventions(before, after, purpose, with_change))
    if before.metric == "cpu":
        done += [check(before, after) for check in OF_CPU]
        if before.around.accelerator or after.around.accelerator:
            done.append(check_accelerator(before, after))
    if before.metric in ("mem_displayed", "mem_guest"):
        done += [check(before, after) for check in OF_GUEST_MEMORY]
    return done + [_added(plug_in, before, after) for plug_in in plug_ins(CHECKS).values()]


def _added(plug_in: PlugIn, before: Side, after: Side) -> Check:
    """What the check of another package says; it has the name under which the package adds it."""
    found = plug_in.call(before, after)
    if not isinstance(found, Check) or found.name != plug_in.name:
        raise plug_in.wrong(f"expected a Check with the name {plug_in.name}, found {found!r}")
    return found
