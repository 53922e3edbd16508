"""Checks of a switchback: whether the schedule was kept, and whether a block still shows the one before it."""

from virtio_study.analysis.randomised import Randomised
from virtio_study.analysis.validity.check import Check, checked
from virtio_study.i18n.marks import N_

__all__ = ["check_adherence", "check_carry_over"]


def check_adherence(kept: int, blocks: int) -> Check:
    """Every block had the configuration that it was assigned.

    Parameters
    ----------
    kept, blocks : int
        Blocks with nothing else in force after the wash-out, of all that were recorded.
    """
    numbers = {"kept": kept, "blocks": blocks, "other": blocks - kept}
    if kept == blocks:
        message = N_("The schedule was kept: every block that was recorded had the configuration that it was assigned.")
        return checked("adherence", "pass", message, numbers)
    message = N_(
        "{other} of {blocks} blocks had another configuration than the assigned one, or had it late. The effect is "
        "that of the assignment, which is exact and rather too small; what was received stands beside it."
    )
    return checked("adherence", "warn", message, numbers)


def check_carry_over(found: Randomised, confidence: float) -> Check | None:
    """No block still shows the configuration before it; None where nothing can tell."""
    if not found.carry_over:
        return None
    worst = min(found.carry_over, key=lambda item: item.p)
    # two tests: each at half the level
    numbers = {"p": worst.p, "confidence": confidence}
    if len(found.carry_over) * worst.p > 1 - confidence:
        message = N_("No carry-over from block to block is shown (least p value {p:.2g}).")
        return checked("carry_over", "pass", message, numbers)
    if worst.kind == "halves":
        message = N_(
            "The change is another in the first half of the blocks than in the second (p = {p:.2g}): something of the "
            "switch itself lasts. Make the wash-out longer."
        )
    else:
        message = N_(
            "A block's level depends on the configuration of the block before it (p = {p:.2g}): something carries "
            "over. Make blocks and wash-out longer."
        )
    return checked("carry_over", "warn", message, numbers)
