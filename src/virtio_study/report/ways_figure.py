"""The figure of every way to calculate an effect: the estimates in order, and under each what was chosen for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from virtio_study.analysis.multiverse import Sensitivity, Specification
from virtio_study.analysis.records import Estimate
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.figures import BLUE, GREY, MIB, ORANGE, localise
from virtio_study.report.svg import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["specification_curve"]

WIDTH_IN = 4.4

CHOICES: Sequence[tuple[str, object, str]] = (
    ("start_up", "found", N_("start-up as found")),
    ("start_up", "first quarter", N_("start-up: a quarter")),
    ("start_up", "none", N_("start-up kept")),
    ("statistic", "mean", N_("mean")),
    ("statistic", "median", N_("median")),
    ("statistic", "peak", N_("peak")),
    ("rows_averaged", 1, N_("every row")),
    ("rows_averaged", 5, N_("five rows averaged")),
    ("daily_cycle", "taken out", N_("daily cycle taken out")),
    ("daily_cycle", "left in", N_("daily cycle left in")),
    ("method", "Welch over boots", N_("boots one by one")),
    ("method", "pairs of boots", N_("boots in pairs")),
    ("method", "series", N_("interval of a series")),
    ("method", "halves", N_("robust bound")),
)
"""Field of a way, its value, and what readers call it."""


def specification_curve(ways: Sensitivity, main: Estimate, metric: str, words: Words = ENGLISH) -> "Figure":
    """Every estimate of one effect that keeps the promise, in order, with intervals; the main one marked.

    Below, one row a choice, with a tick under every way that made it. What all ways share has no row.
    """
    from matplotlib.figure import Figure

    scale, unit = (1.0, N_("CPU (cores)")) if metric == "cpu" else (MIB, N_("RAM (MiB)"))
    found = ways.specifications
    rows = [choice for choice in CHOICES if 0 < len(_made(choice, found)) < len(found)]
    with style():
        figure = Figure(figsize=(WIDTH_IN, 2.2 + 0.16 * len(rows)), layout="constrained")
        heights = [2.0, 0.16 * len(rows) + 0.1]
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        spans = [(item.low, item.high) if item.low is not None and item.high is not None else None for item in found]
        ends = [end / scale if end is not None else np.nan for span in spans for end in (*(span or (None, None)), None)]
        top.plot(np.repeat(np.arange(len(found)), 3), ends, color=GREY, linewidth=1.4)
        top.plot(range(len(found)), [item.estimate / scale for item in found], "o", color=BLUE, markersize=3.2)
        nearest = int(np.argmin([abs(item.estimate - main.estimate) for item in found]))
        top.plot([nearest], [main.estimate / scale], "D", color=ORANGE, markersize=8, fillstyle="none")
        top.axhline(0, color="#222222", linewidth=0.8)
        top.set_ylabel(words.gettext(unit))
        _choices(below, rows, found, words)
        localise(figure, words)
    return figure


def _choices(
    axes: "Axes", rows: Sequence[tuple[str, object, str]], found: Sequence[Specification], words: Words
) -> None:
    for place, choice in enumerate(rows):
        ticks = [(at - 0.3, at + 0.3, np.nan) for at in _made(choice, found)]
        across = [x for tick in ticks for x in tick]
        axes.plot(across, [place] * len(across), color="#222222", linewidth=4, solid_capstyle="butt")
    axes.set_yticks(range(len(rows)), [words.gettext(label) for _, _, label in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.set_xlabel(words.gettext(N_("ways to calculate it, by their result")))


def _made(choice: tuple[str, object, str], found: Sequence[Specification]) -> list[int]:
    """Places of the ways that made a choice."""
    name, value, _ = choice
    return [place for place, item in enumerate(found) if getattr(item, name) == value]
