"""The result of a check, and the verdict that the checks of a comparison come to."""

from collections.abc import Sequence
from typing import Literal

from virtio_study.analysis.records import Recorded, Statement
from virtio_study.i18n.sentences import Numbers

__all__ = ["Check", "Status", "Verdict", "VerdictStatus", "checked", "verdict"]

Status = Literal["pass", "warn", "fail", "not_assessable"]
VerdictStatus = Literal["believable", "with_reservations", "not_believable", "not_an_effect"]


class Check(Statement):
    """The result of one check, with its arithmetic."""

    name: str
    status: Status


class Verdict(Recorded):
    """The conclusion from all checks; `reasons` are those that decided it."""

    status: VerdictStatus
    reasons: tuple[Check, ...]


def checked(name: str, status: Status, message: str, numbers: Numbers) -> Check:
    """The result of a check: `message` is a template with named fields, `numbers` fills it."""
    return Check(name=name, status=status, **Check.said(message, numbers))


def verdict(done: Sequence[Check]) -> Verdict:
    """Conclude from the checks.

    "not_an_effect" if the instrument switched or the emulator was measured; else "not_believable" if any check failed;
    else "with_reservations" if any warned or could not be assessed; else "believable".
    """
    other_thing = [c for c in done if c.status == "fail" and c.name in ("same_instrument", "accelerator")]
    if other_thing:
        return Verdict(status="not_an_effect", reasons=tuple(other_thing))
    failed = [c for c in done if c.status == "fail"]
    if failed:
        return Verdict(status="not_believable", reasons=tuple(failed))
    doubtful = [c for c in done if c.status in ("warn", "not_assessable")]
    return Verdict(status="with_reservations" if doubtful else "believable", reasons=tuple(doubtful))
