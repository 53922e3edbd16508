"""Check of the order in which boots ran: what drifts from boot to boot must not look like the change."""

from virtio_study.analysis.evidence import Side
from virtio_study.analysis.validity.check import Check, checked
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers
from virtio_study.stats.blocks import crossover

__all__ = ["check_order"]


def check_order(before: Side, after: Side, confidence: float) -> Check:
    """The boots of both sides took turns, or a drift from boot to boot does not explain the difference."""
    first, second = before.boots, after.boots
    numbers: Numbers = {"unit": before.shown_unit, "scale": before.shown_scale, "confidence": confidence}
    if not first or not second:
        message = N_(
            "The order in which the boots ran is not stated, so a drift from boot to boot may be in the change."
        )
        return checked("order", "not_assessable", message, numbers)
    if before.around.scheduled and after.around.scheduled:
        return checked("order", "pass", N_("The order of the blocks was drawn at random."), numbers)
    starts = [[start for start, _ in side] for side in (first, second)]
    if max(starts[0]) >= min(starts[1]) and max(starts[1]) >= min(starts[0]):
        return checked("order", "pass", N_("The boots of both sides took turns."), numbers)
    ran = sorted([(*boot, False) for boot in first] + [(*boot, True) for boot in second])
    try:
        found = crossover([level for _, level, _ in ran], [late for _, _, late in ran], confidence)
    except DataError:
        message = N_(
            "All boots of one side ran before those of the other. They are too few to tell a drift from the "
            "change; let them take turns."
        )
        return checked("order", "warn", message, numbers)
    numbers = {
        **numbers,
        "drift": found.drift.estimate,
        "drift_low": found.drift.low,
        "drift_high": found.drift.high,
        "effect": found.effect.estimate,
        "low": found.effect.low,
        "high": found.effect.high,
    }
    if found.drift.excludes(0.0):
        message = N_(
            "All boots of one side ran before those of the other, and they drift by {drift:quantity} from one to "
            "the next ({drift_low:quantity} to {drift_high:quantity}). With that drift taken out the difference "
            "is {effect:quantity} ({low:quantity} to {high:quantity}). Let the sides take turns."
        )
        return checked("order", "fail", message, numbers)
    message = N_(
        "All boots of one side ran before those of the other. No drift from one to the next is shown; with one allowed "
        "for, the difference is {effect:quantity} ({low:quantity} to {high:quantity}). Let the sides take turns."
    )
    return checked("order", "warn", message, numbers)
