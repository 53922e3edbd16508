"""The figure of one effect under a choice: the rows that it takes, and its difference beside that of the study."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.exploring import Choices, Explorable, Explored
from virtio_study.analysis.multiverse import Specification
from virtio_study.analysis.records import Estimate
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.figures import BLUE, GREEN, GREY, MIB, MOST_POINTS, ORANGE, localise, time_unit, wrapped
from virtio_study.report.svg import style
from virtio_study.study import METRICS, Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["explored"]


def explored(
    server: Explorable, comparison: str, metric: Metric, choice: Choices, found: Explored, words: Words = ENGLISH
) -> "Figure":
    """Every recording of both sides since its start, the rows that the choice takes in colour; below, the difference.

    The filled diamond is the difference under the choice, the hollow one that of the study.
    """
    from matplotlib.figure import Figure

    scale, label = (1.0, N_("CPU (cores)")) if metric == "cpu" else (MIB, N_("RAM (MiB)"))
    unit_s, since = time_unit(max(server.longest_s(comparison)))
    with style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        grid = figure.subplot_mosaic([["before", "after"], ["change", "change"]], height_ratios=[2, 1])
        sides = zip(("before", "after"), server.chosen(comparison, choice), (ORANGE, GREEN), strict=True)
        for name, arm, colour in sides:
            _rows(grid[name], arm, METRICS[metric], colour, (unit_s, scale))
            title = words.own(server.study.driver_config(arm.driver_config).label)
            grid[name].set_title(wrapped(title), loc="left", fontsize=9.5)
            grid[name].set_xlabel(words.gettext(since))
        grid["after"].sharey(grid["before"])
        grid["before"].set_ylim(bottom=0)
        grid["before"].set_ylabel(words.gettext(label))
        own = server.compared[comparison].effects[metric].difference
        _change(grid["change"], own, found.way, scale, words)
        grid["change"].set_xlabel(f"{words.gettext(N_('after − before'))}, {words.gettext(label)}")
        localise(figure, words)
    return figure


def _rows(axes: "Axes", arm: Arm, column: str, colour: str, units: tuple[float, float]) -> None:
    unit_s, scale = units
    for boot in arm.boots:
        if column not in boot.rows:
            continue
        values = boot.rows[column].to_numpy(dtype=np.float64) / scale
        taken = np.where(boot.rows["period"] == "steady", values, np.nan)
        table = pd.DataFrame({"since": (boot.ends_s - boot.start_s) / unit_s, "values": values, "taken": taken})
        each = -(-len(table) // MOST_POINTS)
        if each > 1:
            table = table.groupby(np.arange(len(table)) // each).median()
        axes.plot(table["since"], table["values"], color=GREY, linewidth=0.6, alpha=0.45)
        axes.plot(table["since"], table["taken"], color=colour, linewidth=1.0, alpha=0.8)
    axes.set_xlim(left=0)
    axes.locator_params(nbins=5)


def _change(axes: "Axes", own: Estimate | None, way: Specification | None, scale: float, words: Words) -> None:
    axes.axvline(0, color="#222222", linewidth=0.8)
    if own is not None:
        axes.plot([own.low / scale, own.high / scale], [1, 1], color=GREY, linewidth=2)
        axes.plot([own.estimate / scale], [1], "D", color=GREY, markersize=6, fillstyle="none")
    if way is not None:
        if way.low is not None and way.high is not None:
            axes.plot([way.low / scale, way.high / scale], [0, 0], color=BLUE, linewidth=3)
        axes.plot([way.estimate / scale], [0], "D", color=BLUE, markersize=7)
    axes.set_yticks([0, 1], [words.gettext(N_("as chosen")), words.gettext(N_("of the study"))])
    axes.set_ylim(-0.8, 1.8)
