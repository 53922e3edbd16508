"""What an interval in a figure says, in a sentence that its line carries: read on hover, on a tap, and by keyboard."""

from typing import TYPE_CHECKING

from virtio_study.analysis.records import Estimate
from virtio_study.i18n.language import Words
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Filling
from virtio_study.report.formats import UNITS
from virtio_study.report.svg import says

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ["difference_says", "level_says", "part_says"]

LEVEL = N_(
    "{label}: the level lies between {low:quantity} and {high:quantity}. Of such intervals {confidence:percent} hold "
    "the true level."
)
PART = N_(
    "{label}: the change lies between {low:quantity} and {high:quantity}. Of such intervals {confidence:percent} hold "
    "the true change."
)
DIFFERENCE = N_(
    "The difference lies between {low:quantity} and {high:quantity}. Of such intervals {confidence:percent} hold the "
    "true one."
)
WITHOUT_ZERO = N_("Zero lies outside: there is a change.")
WITH_ZERO = N_("Zero lies inside: no change is shown.")


def level_says(artist: "Artist", label: str, level: Estimate, words: Words) -> None:
    """Let the line of a level's interval say what it means; `label` is whose level it is."""
    says(artist, _told((LEVEL,), level, words, label))


def part_says(artist: "Artist", label: str, change: Estimate, words: Words) -> None:
    """Let the line of a part's interval say what it means; `label` is what changed."""
    says(artist, _told((PART,), change, words, label))


def difference_says(artist: "Artist", difference: Estimate, words: Words) -> None:
    """Let the line of a difference's interval say what it means, and whether zero is in it."""
    says(artist, _told((DIFFERENCE, WITHOUT_ZERO if difference.excludes_zero else WITH_ZERO), difference, words))


def _told(messages: tuple[str, ...], entry: Estimate, words: Words, label: str = "") -> str:
    scale, unit = UNITS[entry.unit]
    ends: dict[str, Filling] = {"low": entry.low, "high": entry.high, "confidence": entry.confidence}
    return words.plain(messages, {**ends, "scale": scale, "unit": unit, "label": label})
