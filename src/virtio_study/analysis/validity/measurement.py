"""Checks of the measurement itself: instrument, values, statistic, allocation, load, replicates, rows, quantum."""

from collections.abc import Sequence

from virtio_study.analysis.evidence import Side
from virtio_study.analysis.load import LoadComparison
from virtio_study.analysis.validity.check import Check, Status, checked
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Filling
from virtio_study.pve.instruments import comparable, instrument
from virtio_study.stats.hours import DAY_S, FEWEST_DAYS
from virtio_study.study import SAME_ALLOCATION

__all__ = [
    "check_accelerator",
    "check_enough_replicates",
    "check_enough_rows",
    "check_possible_values",
    "check_quantum",
    "check_same_allocation",
    "check_same_instrument",
    "check_same_load",
    "check_same_statistic",
    "emulator_only",
]

FEW_REPLICATES = 5
"""Below this number of boots a side an interval exists but is very wide."""
ENOUGH_ROWS = 30
FEWEST_ROWS = 10
COARSE_QUANTA = 10
"""A reading of fewer quanta than this moves in steps of more than a tenth of itself."""


def check_same_instrument(before: Side, after: Side) -> Check:
    """Both sides measured by one known instrument."""
    first, second = before.instrument or "unknown", after.instrument or "unknown"
    numbers = {
        "before": first,
        "after": second,
    }
    if comparable(first, second):
        message = N_("Both sides were measured by the same instrument ({before:instrument}).")
        return checked("same_instrument", "pass", message, numbers)
    if before.overwritten or after.overwritten:
        message = N_(
            "What Proxmox VE displays is not total less free memory of the balloon statistics in the same "
            "answers. Something on the host overwrites it, as proxmox-rmem does, and what measured it is not "
            "known."
        )
        return checked("same_instrument", "not_assessable", message, numbers)
    if "unknown" in (first, second):
        message = N_(
            "What measured the values is not known (before: {before:instrument}; after: {after:instrument}). A "
            "change of drivers can change the instrument, and then the difference is between two instruments, "
            "not between two states of a server."
        )
        return checked("same_instrument", "not_assessable", message, numbers)
    message = N_(
        "The sides were measured by different instruments (before: {before:instrument}; after: "
        "{after:instrument}), so their difference is an instrument switch and not an effect."
    )
    return checked("same_instrument", "fail", message, numbers)


def check_possible_values(before: Side, after: Side) -> Check:
    """No value above what the server was given; an ambiguous unit (GB or GiB) is read in the value's favour first."""
    worst = max((before, after), key=lambda side: _largest(side) / (side.allocated or float("inf")))
    largest, allocated = _largest(worst), worst.allocated
    numbers: dict[str, float | str | None] = {
        "largest": largest,
        "allocated": allocated,
        "driver_config": worst.driver_config,
        "ratio": largest / allocated if allocated else None,
        "unit": worst.shown_unit,
        "scale": worst.shown_scale,
    }
    if allocated is None or before.allocated is None or after.allocated is None:
        return checked("possible_values", "not_assessable", N_("The allocation is not known."), numbers)
    if largest <= allocated:
        message = N_("No value exceeds the allocation: at most {largest:quantity} of {allocated:quantity}.")
        return checked("possible_values", "pass", message, numbers)
    if instrument(worst.instrument or "unknown").exceeds_allocation:
        message = N_(
            "{largest:quantity} is more than the {allocated:quantity} allocated. The instrument counts QEMU's own "
            "work and memory too, so that is possible, but part of it is not the guest's."
        )
        return checked("possible_values", "warn", message, numbers)
    if largest <= allocated * worst.prefix_factor:
        message = N_(
            "{largest:quantity} is more than the {allocated:quantity} allocated, unless one was meant in powers of "
            "ten and the other in powers of two."
        )
        return checked("possible_values", "warn", message, numbers)
    message = N_(
        "{largest:quantity} used is more than the {allocated:quantity} allocated ({ratio:percent}), whichever way the "
        "unit is read; one of the two cannot be right."
    )
    return checked("possible_values", "fail", message, numbers)


def _largest(side: Side) -> float:
    return side.value if side.largest is None else side.largest


def check_same_statistic(before: Side, after: Side) -> Check:
    """Like compared with like: the same statistic on both sides."""
    numbers = {"before": before.statistic, "after": after.statistic}
    if not before.statistic or not after.statistic:
        message = N_("At least one side does not say which statistic its value is.")
        return checked("same_statistic", "not_assessable", message, numbers)
    if before.statistic != after.statistic and (
        before.statistic in after.statistic or after.statistic in before.statistic
    ):
        message = N_(
            "The statistics are worded differently ({before:statistic} before, {after:statistic} after); they "
            "may not be the same."
        )
        return checked("same_statistic", "warn", message, numbers)
    if before.statistic != after.statistic:
        message = N_(
            "The sides are different statistics: {before:statistic} before, {after:statistic} after. Such a "
            "difference mixes the change with the distance between the two statistics."
        )
        return checked("same_statistic", "fail", message, numbers)
    if "by eye" in before.statistic:
        message = N_(
            "Both sides are the same statistic ({before:statistic}), but without a rule that another reader "
            "could repeat."
        )
        return checked("same_statistic", "warn", message, numbers)
    return checked("same_statistic", "pass", N_("Both sides are the same statistic ({before:statistic})."), numbers)


def check_same_allocation(before: Side, after: Side) -> Check:
    """The server was given the same on both sides."""
    numbers = {
        "before": before.allocated,
        "after": after.allocated,
        "unit": before.unit if before.unit == "cores" else before.shown_unit,
        "scale": 1.0 if before.unit == "cores" else before.shown_scale,
    }
    if before.allocated is None or after.allocated is None:
        message = N_("The allocation of at least one side is not known.")
        return checked("same_allocation", "not_assessable", message, numbers)
    if not (before.allocation_constant and after.allocation_constant):
        return checked("same_allocation", "fail", N_("The allocation changed inside a side."), numbers)
    for recorded, declared in ((before.allocated, before.declared), (after.allocated, after.declared)):
        if declared is not None and abs(recorded - declared) > SAME_ALLOCATION * declared:
            message = N_("study.yaml says {declared:quantity}, the recordings {recorded:quantity}: correct study.yaml.")
            return checked("same_allocation", "fail", message, numbers | {"declared": declared, "recorded": recorded})
    if before.allocated != after.allocated:
        message = N_("The allocation changed from {before:quantity} to {after:quantity}.")
        return checked("same_allocation", "fail", message, numbers)
    return checked("same_allocation", "pass", N_("The allocation was the same ({before:quantity})."), numbers)


def check_same_load(load: Sequence[LoadComparison], confidence: float) -> Check:
    """The load was recorded and was the same within its margin, column by column: the same, different, or not shown."""
    numbers: dict[str, Filling] = {"columns": tuple(item.column for item in load), "recorded": 0}
    known = [item for item in load if item.recorded]
    if not known:
        message = N_("The load was not recorded, so the server may have had more work to do on one side.")
        if any(item.measured for item in load):
            message = N_("The load was recorded in too few boots to be compared; at least two a side are needed.")
        return checked("same_load", "not_assessable", message, numbers)
    for item in load:
        for key in ("before", "after", "ratio", "low", "high", "margin", "p"):
            numbers[f"{item.column}_{key}"] = getattr(item, key) if item.recorded else None
    different = [item.column for item in known if item.answer == "different"]
    doubtful = [item.column for item in known if item.answer == "not_shown"]
    numbers |= {
        "recorded": len(known),
        "outside": tuple(different),
        "doubtful": tuple(doubtful),
        "missing": tuple(item.column for item in load if not item.recorded),
        "margin": max(item.margin for item in known),
        "confidence": confidence,
    }
    if different:
        message = N_("The load differs by more than its margin: {outside:column}.")
        return checked("same_load", "fail", message, numbers)
    if doubtful:
        message = N_("Whether the load was the same within its margin stays open: {doubtful:column}.")
        return checked("same_load", "warn", message, numbers)
    if len(known) < len(load):
        message = N_("The load that was recorded was the same, but it was not recorded whole: {missing:column}.")
        return checked("same_load", "warn", message, numbers)
    message = N_("The load was the same within {margin:percent} ({columns:column}).")
    return checked("same_load", "pass", message, numbers)


def check_enough_replicates(before: Side, after: Side) -> Check:
    """At least two independent boots a side, better five or more."""
    numbers = {"before": before.replicates, "after": after.replicates, "wanted": FEW_REPLICATES}
    numbers["restarts"] = min(before.restarts, after.restarts)
    if before.replicates is None or after.replicates is None:
        return checked("enough_replicates", "not_assessable", N_("The number of repetitions is not stated."), numbers)
    fewest = min(before.replicates, after.replicates)
    if before.around.scheduled and after.around.scheduled and fewest >= FEW_REPLICATES:
        message = N_("{before} blocks before and {after} after count, each with a configuration that was drawn.")
        return checked("enough_replicates", "pass", message, numbers)
    alone = fewest == 1 and _long_enough(before) and _long_enough(after)
    if alone and numbers["restarts"]:
        message = N_("A side has one recording; what a restart alone changes was measured {restarts} times and counts.")
        return checked("enough_replicates", "pass", message, numbers)
    if alone:
        message = N_(
            "There is one recording a side. The interval counts the scatter within the recordings, but not what a "
            "restart by itself changes. Repeat the change, or record a restart without a change beside it."
        )
        return checked("enough_replicates", "warn", message, numbers)
    if fewest < 2:
        message = N_(
            "There is no replicate ({before} before, {after} after), so no interval can be made. A restart or "
            "another hour of the day may have changed as much as the drivers."
        )
        return checked("enough_replicates", "fail", message, numbers)
    if fewest < FEW_REPLICATES:
        message = N_("There are few boots ({before} before, {after} after); the interval is wide for that reason.")
        return checked("enough_replicates", "warn", message, numbers)
    return checked("enough_replicates", "pass", N_("{before} boots before and {after} after."), numbers)


def _long_enough(side: Side) -> bool:
    """Whether one recording alone can have an interval: rows, and whole days where the work follows the day."""
    return bool(side.rows) and (not side.around.follows_day or (side.seconds or 0.0) >= FEWEST_DAYS * DAY_S)


def check_enough_rows(before: Side, after: Side) -> Check:
    """Enough steady rows and a known duration in every boot."""
    rows = [side.rows for side in (before, after)]
    numbers: dict[str, float | int | str | None] = {
        "before": before.rows,
        "after": after.rows,
        "before_seconds": before.seconds,
        "after_seconds": after.seconds,
        "wanted": ENOUGH_ROWS,
    }
    if None in rows or before.seconds is None or after.seconds is None:
        message = N_("The number of readings and the duration behind each value are not stated.")
        return checked("enough_rows", "not_assessable", message, numbers)
    fewest = min(row for row in rows if row is not None)
    message = N_("Every boot has at least {before} steady readings before and {after} after.")
    if fewest < ENOUGH_ROWS:
        message = N_("A boot has only {before} steady readings before and {after} after; {wanted} are wanted.")
    status: Status = "pass" if fewest >= ENOUGH_ROWS else "warn" if fewest >= FEWEST_ROWS else "fail"
    return checked("enough_rows", status, message, numbers)


def check_quantum(before: Side, after: Side) -> Check:
    """The values are many of the instrument's smallest steps (one tick of 10 ms in a sampling cycle for CPU)."""
    lesser = min((before, after), key=lambda side: side.value / side.quantum if side.quantum else float("inf"))
    quantum = lesser.quantum
    numbers: dict[str, float | str | None] = {
        "value": lesser.value,
        "quantum": quantum,
        "quanta": lesser.value / quantum if quantum else None,
        "driver_config": lesser.driver_config,
        "unit": lesser.shown_unit,
        "scale": lesser.shown_scale,
    }
    if quantum is None:
        return checked("quantum", "not_assessable", N_("The instrument's smallest step is not known."), numbers)
    quanta = lesser.value / quantum
    if quanta >= COARSE_QUANTA:
        message = N_(
            "The lesser value, {value:quantity}, is {quanta} times the smallest step of a reading ({quantum:quantity})."
        )
        return checked("quantum", "pass", message, numbers)
    message = N_(
        "The lesser value, {value:quantity}, is only {quanta} times the smallest step of a reading "
        "({quantum:quantity}, one tick of 10 ms a cycle). A ratio made with it is coarse."
    )
    return checked("quantum", "warn" if quanta >= 1 else "fail", message, numbers)


def emulator_only(metric: str, *accelerators: str | None) -> bool:
    """Whether a metric's effect is the software emulator's own: CPU time under TCG says nothing about KVM."""
    return metric == "cpu" and "tcg" in accelerators


def check_accelerator(before: Side, after: Side) -> Check:
    """CPU time was spent under hardware virtualisation, and the same on both sides."""
    numbers = {"before": before.around.accelerator, "after": after.around.accelerator}
    if emulator_only(before.metric, before.around.accelerator, after.around.accelerator):
        message = N_(
            "Without hardware virtualisation (accelerator {before} before, {after} after) CPU time is the "
            "software emulator's own. A device access is a function call there and a costly exit under KVM. It "
            "says nothing for or against."
        )
        return checked("accelerator", "fail", message, numbers)
    if before.around.accelerator != after.around.accelerator:
        message = N_("The accelerator changed from {before} to {after}.")
        return checked("accelerator", "fail", message, numbers)
    if before.around.accelerator is None:
        return checked("accelerator", "not_assessable", N_("What ran the guest is not known."), numbers)
    return checked("accelerator", "pass", N_("Both sides ran under {before}."), numbers)
