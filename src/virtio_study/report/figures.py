"""Figures of the study: legible on a telephone, the same bytes for the same data, words translated by the caller.

>>> study = vs.load_study("lab-qemu")
>>> figure = vs.figures.over_time(study.clean("versat", "virtio"))
>>> [axes.get_ylabel() for axes in figure.axes]
['CPU (cores)', 'RAM (MiB)']
"""

import textwrap
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from virtio_study.analysis.description import Description
from virtio_study.analysis.effects import Effect
from virtio_study.analysis.plausibility import Counts
from virtio_study.analysis.records import Estimate
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.spoken_intervals import difference_says, level_says
from virtio_study.report.svg import show, style, svg
from virtio_study.stats.elementary import mean
from virtio_study.stats.rounding import DIGITS, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "LONGEST",
    "MIB",
    "MOST_POINTS",
    "ORANGE",
    "RAM",
    "accesses",
    "blank",
    "boot_levels",
    "dots",
    "estimation",
    "localise",
    "over_time",
    "ram_by_instrument",
    "show",
    "start_up_end",
    "svg",
    "time_table",
    "time_unit",
    "wrapped",
]

MIB = 2**20
WIDTH_IN, HEIGHT_IN = 4.4, 3.1
MOST_ROWS, MOST_POINTS = 256, 128
"""Rows of data over time, and points of a drawn line: weeks of two servers have to fit into a page; the band keeps
what lies between."""

DIGITS_OF_MEANS = 4
"""Significant digits of a row that stands for several."""

LONGEST, LINE = 32, 16
"""Characters of a label in a figure, and of a line of it; the tables beside it have the whole."""
MOST_SIDE_BY_SIDE = 4
"""So many driver configurations have room for their labels below an axis."""

# Okabe and Ito's colours, told apart with every form of colour blindness
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
RAM = {
    "mem_displayed": (N_("displayed"), BLUE, "-", "o"),
    "mem_host": (N_("host"), ORANGE, "--", "s"),
    "mem_guest": (N_("guest"), GREEN, ":", "^"),
}


SINCE_START = (
    (86400, N_("days since start")),
    (3600, N_("hours since start")),
    (1, N_("seconds since start")),
)
FEWEST_UNITS = 3


def blank(rows: int = 1, height_in: float = HEIGHT_IN) -> tuple["Figure", Any]:
    """A figure of the report's width with rows of axes above one another, and these."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]


def time_table(clean: pd.DataFrame) -> pd.DataFrame:
    """Median over boots of CPU and the three memory values, by row since the start of QEMU.

    Returns
    -------
    DataFrame
        `uptime_s`, `cpu_cores` (with `cpu_low`, `cpu_high`: least and greatest of the boots), `mem_displayed_bytes`,
        `mem_host_bytes`, `mem_guest_bytes`, `steady_boots` (boots that are in their steady stretch). Of a long
        recording a row stands for several, by their mean, and the band for the least and greatest of them; its
        `uptime_s` is that of the last.
    """
    rows = clean.assign(
        row=clean.groupby("replicate").cumcount(), steady=clean["period"].eq("steady"), uptime_s=_elapsed(clean)
    )
    by_row = rows.groupby("row")
    columns = ["uptime_s", "cpu_cores", "mem_displayed_bytes", "mem_host_bytes", "mem_guest_bytes"]
    table = by_row[columns].median()
    table["cpu_low"], table["cpu_high"] = by_row.cpu_cores.min(), by_row.cpu_cores.max()
    table["steady_boots"] = by_row.steady.sum()
    complete = by_row.replicate.nunique() == rows["replicate"].nunique()
    whole = table[complete].reset_index(drop=True)
    thinned = _thinned(whole, MOST_ROWS)
    digits = DIGITS if len(thinned) == len(whole) else DIGITS_OF_MEANS
    for column in thinned.columns.difference(["uptime_s", "steady_boots"]):
        thinned[column] = thinned[column].map(partial(significant, digits=digits))
    thinned["uptime_s"] = thinned["uptime_s"].map(significant)
    return thinned


def _thinned(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """A table of at most so many rows: weeks of rows are more than a page can hold or an eye can see."""
    each = -(-len(table) // most)
    if each <= 1:
        return table
    how = dict.fromkeys(table.columns, "mean")
    how |= {"uptime_s": "last", "cpu_low": "min", "cpu_high": "max", "steady_boots": "min"}
    return table.groupby(np.arange(len(table)) // each).agg(how)


def _elapsed(clean: pd.DataFrame) -> pd.Series:
    """Seconds since start: the uptime where the source has it, else since the recording's first row."""
    since_first = clean["time"] - clean.groupby("replicate")["time"].transform("min")
    if clean["uptime_s"].isna().any():
        return since_first.dt.total_seconds()
    return clean["uptime_s"]


def time_unit(longest_s: float) -> tuple[float, str]:
    """Seconds of the unit in which a recording of such a length is shown, and what its axis is called."""
    return next(unit for unit in SINCE_START if longest_s >= FEWEST_UNITS * unit[0] or unit[0] == 1)


def over_time(clean: pd.DataFrame, words: Words = ENGLISH) -> "Figure":
    """CPU and RAM of one server under one driver configuration since start, the start-up transient shaded.

    Parameters
    ----------
    clean : DataFrame
        Rows with `period` and `replicate`. Lines are medians over boots; the band holds all boots.
    """
    table = _thinned(time_table(clean), MOST_POINTS)
    longest_s = float(table["uptime_s"].iloc[-1])
    unit_s, since = time_unit(longest_s)
    elapsed = table["uptime_s"] / unit_s
    with style():
        figure, (cpu, ram) = blank(2, 4.0)
        cpu.fill_between(elapsed, table["cpu_low"], table["cpu_high"], color=GREY, alpha=0.3, linewidth=0)
        cpu.plot(elapsed, table["cpu_cores"], color="#222222", linewidth=1.2)
        cpu.set_ylabel(words.gettext("CPU (cores)"))
        for metric, (name, colour, line, _) in RAM.items():
            if table[f"{metric}_bytes"].isna().all():
                continue
            ram.plot(
                elapsed,
                table[f"{metric}_bytes"] / MIB,
                color=colour,
                linestyle=line,
                label=words.gettext(name),
            )
        ram.set_ylabel(words.gettext("RAM (MiB)"))
        ram.set_xlabel(words.gettext(since))
        ram.set_ylim(0, float(clean["mem_allocated_bytes"].max()) / MIB)
        ram.legend(ncols=3, loc="upper center", handlelength=2.2, columnspacing=1.2)
        for axes in (cpu, ram):
            _shade(axes, clean, unit_s, words if axes is cpu else None)
            axes.set_xlim(0, longest_s / unit_s)
        cpu.set_ylim(bottom=0)
        localise(figure, words)
    return figure


def localise(figure: "Figure", words: Words) -> None:
    """Numbers on the axes in the reader's language; axes of names keep theirs."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    if words.language == "en":
        return
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), ScalarFormatter):
                axis.set_major_formatter(FuncFormatter(lambda value, _: words.number(float(value))))


def start_up_end(clean: pd.DataFrame) -> float | None:
    """Median over boots of the seconds from the start to the end of the start-up; None where there is none."""
    elapsed = clean.assign(elapsed=_elapsed(clean))
    ends = elapsed[clean["period"] == "transient"].groupby("replicate")["elapsed"].max()
    return None if ends.empty else float(ends.median())


def _shade(axes: "Axes", clean: pd.DataFrame, unit_s: float, words: Words | None) -> None:
    """Shade the start-up, on an axis of so many seconds a unit."""
    end_s = start_up_end(clean)
    if end_s is None:
        return
    end = end_s / unit_s
    label = None if words is None else words.gettext("start-up, left out")
    axes.axvspan(0, end, color="#f3d9b1", alpha=0.6, linewidth=0, label=label)
    if label:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.98), handlelength=1.2, borderpad=0)


def boot_levels(
    levels: Mapping[str, Description], metric: str, labels: Mapping[str, str], words: Words = ENGLISH
) -> "Figure":
    """Sustained level of every boot (dots) and its mean with interval, by driver configuration.

    Parameters
    ----------
    levels : mapping
        Driver configuration -> its description.
    metric : str
        Such as `mem_host`.
    labels : mapping
        Driver configuration -> its label.
    """
    scale = 1 if metric == "cpu" else MIB
    with style():
        names = [wrapped(labels[config]) for config in levels]
        figure, (axes,) = blank(height_in=_room(names))
        axes.set_yticks(range(len(levels)), names)
        axes.set_xlabel(words.gettext("CPU (cores)") if metric == "cpu" else words.gettext("RAM (MiB)"))
        for place, (config, described) in enumerate(levels.items()):
            dots(axes, [mean / scale for mean in described.means(metric)], place, BLUE)
            level = described.levels[metric].sustained
            if level is None:
                continue
            low, mid, high = level.low / scale, level.estimate / scale, level.high / scale
            (line,) = axes.plot([low, high], [place + 0.32] * 2, color="#222222", linewidth=2)
            level_says(line, labels[config], level, words)
            axes.plot([mid], [place + 0.32], "D", color="#222222", markersize=4)
        axes.set_ylim(len(levels) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(left=0)
        localise(figure, words)
    return figure


def _room(names: list[str]) -> float:
    """Height in inches of a figure with such labels one above the other."""
    lines = max(2, *(name.count("\n") + 1 for name in names)) if names else 2
    return max(2.6, 0.7 + 0.155 * lines * len(names))


def dots(axes: "Axes", values: list[float], place: int, colour: str, marker: str = "o") -> None:
    """One dot a boot, the first uppermost: apart by a rule, since a swarm that dodges goes with the last bits.

    Cheaper where the axes have their label already, for which seaborn looks at the ticks.
    """
    import seaborn as sns

    spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(len(values))
    drawn = {"marker": marker, "color": colour, "alpha": 0.75, "s": 18, "linewidth": 0, "clip_on": False}
    sns.scatterplot(x=values, y=place + spread, ax=axes, legend=False, **drawn)


def estimation(
    levels: Mapping[str, Description],
    metric: str,
    effect: Effect,
    sides: tuple[str, str],
    labels: Mapping[str, str],
    words: Words = ENGLISH,
) -> "Figure":
    """Before, after and their difference with its interval: boots as dots, the difference on an axis of its own.

    Parameters
    ----------
    levels : mapping
        Driver configuration -> its description.
    effect : dict
        The effect of the comparison, with `difference` and `practical`.
    sides : tuple of str
        Driver configurations before and after.
    """
    scale, unit = (1.0, N_("CPU (cores)")) if metric == "cpu" else (MIB, N_("RAM (MiB)"))
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH_IN, 3.3), layout="constrained")
        top, bottom = figure.subplots(2, 1, height_ratios=[2, 1])
        top.set_xlabel(words.gettext(unit))
        for place, (config, colour, marker) in enumerate(zip(sides, (ORANGE, GREEN), ("o", "s"), strict=True)):
            dots(top, [mean / scale for mean in levels[config].means(metric)], place, colour, marker)
            level = levels[config].levels[metric].sustained
            if level:
                ends = level.low / scale, level.high / scale
                (line,) = top.plot(ends, [place + 0.34] * 2, color="#222222", linewidth=2)
                level_says(line, labels[config], level, words)
                top.plot([level.estimate / scale], [place + 0.34], "D", color="#222222", markersize=4)
        top.set_yticks([0, 1], [wrapped(labels[config]) for config in sides])
        top.set_ylim(1.6, -0.5)
        top.set_xlim(left=0)
        found, before, practical = effect.difference, effect.before, effect.practical
        bottom.axvline(0, color="#222222", linewidth=0.8)
        if found and before and practical:
            margin = practical.margin * before.estimate / scale
            bottom.axvspan(-margin, margin, color=GREY, alpha=0.18, linewidth=0)
            (line,) = bottom.plot([found.low / scale, found.high / scale], [0, 0], color=BLUE, linewidth=3)
            difference_says(line, found, words)
            bottom.plot([found.estimate / scale], [0], "D", color=BLUE, markersize=6)
        bottom.locator_params(axis="x", nbins=5)
        bottom.set_yticks([0], [words.gettext("after − before")])
        bottom.set_ylim(-0.6, 0.6)
        bottom.set_xlabel(words.gettext(unit))
        localise(figure, words)
    return figure


def ram_by_instrument(
    levels: Mapping[str, Description],
    labels: Mapping[str, str],
    words: Words = ENGLISH,
    height_in: float = HEIGHT_IN,
) -> "Figure":
    """Displayed, host and guest memory through the driver configurations: side by side, many one above the other."""
    names = [wrapped(labels[config]) for config in levels]
    upright = len(names) > MOST_SIDE_BY_SIDE
    with style():
        figure, (axes,) = blank(height_in=_room(names) if upright else height_in)
        places = np.arange(len(levels))
        for metric, (name, colour, line, marker) in RAM.items():
            found = [_sustained(described, metric) for described in levels.values()]
            values = [level.estimate / MIB if level else np.nan for level in found]
            if np.isnan(values).all():
                continue
            drawn = {"color": colour, "linestyle": line, "marker": marker, "markersize": 7, "clip_on": False}
            at = (values, places) if upright else (places, values)
            axes.plot(*at, label=words.gettext(name), **drawn)
        if upright:
            axes.set_yticks(places, names)
            axes.set_ylim(len(levels) - 0.5, -0.5)
            axes.set_xlim(left=0)
            axes.set_xlabel(words.gettext("RAM (MiB)"))
        else:
            axes.set_xticks(places, names)
            axes.set_xlim(-0.3, len(levels) - 0.7)
            axes.set_ylim(bottom=0)
            axes.set_ylabel(words.gettext("RAM (MiB)"))
        axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=2.4)
        localise(figure, words)
    return figure


def _sustained(described: Description, metric: str) -> Estimate | None:
    return described.levels[metric].sustained if metric in described.levels else None


def wrapped(label: str) -> str:
    """A label for an axis: short, over several lines."""
    lines = shortened(label, LONGEST).replace(" (", "\n(").replace(" + ", "\n+ ").split("\n")
    return "\n".join(textwrap.fill(line, LINE) for line in lines)


def accesses(counts: Counts, words: Words = ENGLISH) -> "Figure":
    """Device-register accesses per operation, device by device, on a logarithmic axis; mean over boots."""
    rows = [row for row in counts.rows if row.operation != "write_4k"]
    paravirtual = {"virtio-blk", "virtio-scsi", "virtio-scsi-single", "virtio-net"}
    with style():
        figure, (axes,) = blank(height_in=3.2)
        for place, row in enumerate(rows):
            value = mean(row.boots)
            new = row.device in paravirtual
            axes.plot([0.5, value], [place, place], color=GREY, linewidth=1)
            axes.plot([value], [place], "s" if new else "o", color=GREEN if new else ORANGE, markersize=8)
            axes.text(value * 1.25, place, words.number(value), va="center")
        axes.set_xscale("log")
        axes.set_xlim(0.5, 90)
        axes.set_xticks([1, 10], ["1", "10"])
        axes.minorticks_off()
        kinds = {"read_4k": words.gettext("4 KiB read")}
        packet = words.gettext("packet")
        names = [f"{shortened(row.device, 12)}, {kinds.get(row.operation, packet)}" for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.set_xlabel(words.gettext("device-register accesses per operation"))
    return figure
