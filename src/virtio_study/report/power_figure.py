"""What designs would show: power against the fall of the level, one line a design."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said
from virtio_study.report.figures import BLUE, GREEN, GREY, ORANGE, blank, localise
from virtio_study.report.svg import says, style, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curve", "power_curves", "power_svg"]

SWITCHED = ((BLUE, "s"), (GREEN, "^"), ("#CC79A7", "v"), ("#E69F00", "D"), ("#56B4E9", "P"))
APART = ("--", ":", "-.")
HEIGHT_IN = 4.2
TITLE = N_("How often each design would show a fall of the level")


@dataclass(frozen=True)
class Curve:
    """A design by name, and how often it would show each fall; `switched` of a switchback, `recommended` the one."""

    name: Said
    shown: tuple[float, ...]
    switched: bool
    recommended: bool = False


def power_curves(falls: Sequence[float], curves: Sequence[Curve], wanted: float, words: Words = ENGLISH) -> "Figure":
    """Draw power against fall: the recommended design bold, before/after dashed and grey, the wanted power a line.

    Parameters
    ----------
    falls : sequence of float
        Shares of the level.
    wanted : float
        The power that is asked for, such as 0.8.
    """
    with style():
        figure, (axes,) = blank(height_in=HEIGHT_IN)
        places = {True: 0, False: 0}
        for curve in curves:
            place = places[curve.switched]
            places[curve.switched] += not curve.recommended
            colour, mark = SWITCHED[place % len(SWITCHED)] if curve.switched else (GREY, "")
            line = "-" if curve.switched else APART[place % len(APART)]
            if curve.recommended:
                colour, mark = ORANGE, "o"
            (drawn,) = axes.plot(
                [100 * fall for fall in falls],
                [100 * share for share in curve.shown],
                line,
                color=colour,
                marker=mark,
                markersize=4,
                linewidth=2.5 if curve.recommended else 1.2,
                zorder=3 if curve.recommended else 2,
                label=words.plain(curve.name["message"], curve.name["numbers"]),
            )
            says(drawn, words.plain(curve.name["message"], curve.name["numbers"]))
        axes.axhline(100 * wanted, color=GREY, linewidth=0.8)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 102)
        axes.set_xlabel(words.gettext("fall of the level (%)"))
        axes.set_ylabel(words.gettext("studies that show it (%)"))
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.12, 1.0), ncols=2, handlelength=1.6, columnspacing=0.9, fontsize=6.5
        )
        localise(figure, words)
    return figure


def power_svg(
    falls: Sequence[float], curves: Sequence[Curve], wanted: float, description: Said, words: Words = ENGLISH
) -> str:
    """The figure as a file of its own."""
    figure = power_curves(falls, curves, wanted, words)
    text = svg(figure, "power", words.gettext(TITLE), words.plain(description["message"], description["numbers"]))
    return f"{text}\n"
