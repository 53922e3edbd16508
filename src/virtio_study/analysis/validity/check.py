"""The result of a check, and the verdict that the checks of a comparison come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from virtio_study.i18n.sentences import Numbers, render

__all__ = ["Check", "Status", "Verdict", "verdict"]

Status = Literal["pass", "warn", "fail", "not_assessable"]


@dataclass(frozen=True)
class Check:
    """The result of one check: `message` is a template with named fields, `numbers` fills it."""

    name: str
    status: Status
    message: str
    numbers: Numbers

    @property
    def sentence(self) -> str:
        """The message with its numbers, in English."""
        return render(self.message, self.numbers)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {
            "name": self.name,
            "status": self.status,
            "sentence": self.sentence,
            "message": self.message,
            "numbers": dict(self.numbers),
        }


@dataclass(frozen=True)
class Verdict:
    """The conclusion from all checks; `reasons` names those that decided it."""

    status: Literal["believable", "with_reservations", "not_believable", "not_an_effect"]
    reasons: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {
            "status": self.status,
            "reasons": [check.as_dict() for check in self.reasons],
        }


def verdict(done: Sequence[Check]) -> Verdict:
    """Conclude from the checks.

    "not_an_effect" if the instrument switched or the emulator was measured; else "not_believable" if any check failed;
    else "with_reservations" if any warned or could not be assessed; else "believable".
    """
    other_thing = [c for c in done if c.status == "fail" and c.name in ("same_instrument", "accelerator")]
    if other_thing:
        return Verdict("not_an_effect", tuple(other_thing))
    failed = [c for c in done if c.status == "fail"]
    if failed:
        return Verdict("not_believable", tuple(failed))
    doubtful = [c for c in done if c.status in ("warn", "not_assessable")]
    return Verdict("with_reservations" if doubtful else "believable", tuple(doubtful))
