"""The figure of what ran when: every server's runs over time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from virtio_study.analysis.timeline import Timeline
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.figures import BLUE, GREEN, GREY, LONGEST, ORANGE, blank
from virtio_study.report.svg import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["timeline", "utc_axis"]

DATES: Any = (
    None,
    ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"],
    ["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"],
)
"""Dates without names of months, which matplotlib writes in English: zone, forms of ticks and of what they share."""

PALE = (1.0, 1.0, 1.0, 0.7)
"""Laid over what is left out at the start of a run; its colour still shows."""

VIEWS = {
    "host": ("#ffffff", N_("displayed: the host's view")),
    "guest": ("#222222", N_("displayed: the guest's view")),
    "unknown": ("#bbbbbb", N_("displayed: not known whose view")),
}


def timeline(runs: Timeline, labels: Mapping[str, str], words: Words = ENGLISH) -> "Figure":
    """Runs of every server by driver configuration, pale their start-up, and hatched what disturbed them.

    A strip below each run shows whose view the displayed memory was.

    Parameters
    ----------
    runs : mapping
        Server -> its runs, as the results have them.
    """
    colours = dict(zip(labels, (ORANGE, GREY, GREEN, BLUE, "#CC79A7", "#F0E442"), strict=False))
    with style():
        figure, (axes,) = blank(height_in=2.2 + 0.7 * len(runs))
        for place, spans in enumerate(runs.values()):
            for span in spans:
                colour = colours.get(span.driver_config, "#ffffff")
                _bar(axes, span.start_s, span.end_s, (place - 0.3, 0.6), colour)
                if span.start_up_s:
                    _bar(axes, span.start_s, span.start_s + span.start_up_s, (place - 0.3, 0.6), PALE)
                for item in span.contaminated:
                    _bar(axes, item.start_s, item.end_s, (place - 0.3, 0.6), "none", "///")
                begins = [since for since, _ in span.instruments]
                for (since, view), until in zip(span.instruments, [*begins[1:], span.end_s], strict=True):
                    _bar(axes, since, until, (place + 0.32, 0.13), VIEWS[view][0])
        utc_axis(axes, words)
        axes.set_yticks(range(len(runs)), list(runs))
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        shown = {view for spans in runs.values() for span in spans for _, view in span.instruments}
        named = [(colours.get(name, "#ffffff"), label) for name, label in labels.items()]
        named += [(colour, words.gettext(label)) for view, (colour, label) in VIEWS.items() if view in shown]
        for colour, label in named:
            axes.plot([], [], "s", color=colour, markeredgecolor="#222222", label=shortened(label, LONGEST))
        axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), handlelength=1.2)
    return figure


def utc_axis(axes: "Axes", words: Words) -> None:
    """Dates in UTC below axes whose unit is a day since 1970 began."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, *DATES))  # type: ignore[no-untyped-call]
    axes.set_xlabel(words.gettext("time (UTC)"))


def _bar(axes: "Axes", start_s: float, end_s: float, place: tuple[float, float], colour: Any, hatch: str = "") -> None:
    """A stretch of time, in Unix seconds, at a height (lower edge, height)."""
    bar = [(_day(start_s), _day(end_s) - _day(start_s))]
    axes.broken_barh(bar, place, facecolors=colour, edgecolor="#222222", hatch=hatch or None)


def _day(time_s: float) -> float:
    """Matplotlib's date of a moment in Unix seconds: days since 1970 began."""
    return time_s / 86400
