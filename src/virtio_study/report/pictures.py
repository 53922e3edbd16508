"""The picture that each notebook leads with: drawn from what a step returns, at the size of the text around it.

>>> picture = vs.pictures.recordings(vs.load_study("lab-qemu").collect("versat", "virtio"))
>>> "recordings: 8" in picture._repr_svg_()
True
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.description import Description
from virtio_study.analysis.effects import Effect
from virtio_study.analysis.records import Estimate
from virtio_study.analysis.results import Results
from virtio_study.cleaning.left_out import edges
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.drawn_once import over_time_written
from virtio_study.report.figures import BLUE, GREEN, GREY, LONGEST, ORANGE, RAM, dots, localise, wrapped
from virtio_study.report.formats import UNITS
from virtio_study.report.svg import show, style
from virtio_study.report.timeline_figure import utc_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["effects", "levels", "recordings", "since_start", "verdicts"]

WIDTH_IN = 6.4
INK = "#222222"
DAY_S = 86400
MOST_LABELLED = 16
"""So many recordings have room for their names on an axis."""

LOOKS = {
    "believable": (GREEN, "o", "full"),
    "with_reservations": (BLUE, "^", "full"),
    "not_believable": (ORANGE, "X", "full"),
    "not_an_effect": (GREY, "D", "none"),
}
"""Verdict -> colour, mark and filling of an effect."""


def recordings(collected: pd.DataFrame, words: Words = ENGLISH) -> Any:
    """When each recording of a server ran, one line a boot; a line is broken where no row was recorded."""
    of_boots = list(collected.groupby("replicate", sort=True))
    with style():
        figure, axes = _sheet(0.9 + 0.2 * min(max(len(of_boots), 2), MOST_LABELLED))
        for place, (_, rows) in enumerate(of_boots):
            for start, end in _stretches(rows):
                axes.plot([start / DAY_S, end / DAY_S], [place] * 2, color=BLUE, linewidth=6, solid_capstyle="butt")
        named = range(len(of_boots)) if len(of_boots) <= MOST_LABELLED else ()
        axes.set_yticks(list(named), [shortened(str(of_boots[place][0]), LONGEST) for place in named])
        axes.set_ylim(len(of_boots) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        utc_axis(axes, words)
    begin, end = (float(side) for side in (edges(collected)[0].min(), edges(collected)[1].max()))
    told = N_("From {start} to {end} UTC; recordings: {recordings}, rows: {rows}.")
    at = {name: f"{pd.Timestamp(value, unit='s'):%Y-%m-%d %H:%M}" for name, value in (("start", begin), ("end", end))}
    return show(figure, words.plain(told, {"recordings": len(of_boots), "rows": len(collected), **at}))


def _stretches(rows: pd.DataFrame) -> Iterator[tuple[float, float]]:
    """Beginning and end, Unix seconds, of rows that follow one another."""
    begins, ends = edges(rows)
    first = 0
    for at in range(1, len(rows) + 1):
        # what is missing is missing for more than one row's rounding
        if at == len(rows) or begins[at] - ends[at - 1] > 0.5 * (ends[at - 1] - begins[at - 1]):
            yield float(begins[first]), float(ends[at - 1])
            first = at


def since_start(clean: pd.DataFrame, words: Words = ENGLISH) -> Any:
    """CPU and RAM since start, the start-up that was found shaded, with how many rows it is in words."""
    counts = {name: int(clean["period"].eq(name).to_numpy().sum()) for name in ("steady", "transient", "excluded")}
    told = N_(
        "CPU and RAM since start: {steady} rows may be analysed; {transient} are of the start-up, and {excluded} are "
        "left out."
    )
    return show(over_time_written(clean, words), words.plain(told, counts))


def levels(described: Description, words: Words = ENGLISH) -> Any:
    """Where CPU and the three memory values settle: a dot a boot, their mean with its interval."""
    memory = [metric for metric in RAM if metric in described.levels and described.levels[metric].sustained]
    with style():
        figure, (cpu, ram) = _sheets([1, max(len(memory), 1)], 1.9 + 0.35 * len(memory))
        cpu.set_xlabel(words.gettext("CPU (cores)"))
        ram.set_xlabel(words.gettext("RAM (MiB)"))
        _level(cpu, described, "cpu", 0, GREY)
        cpu.set_yticks([0], [words.term("metric", "cpu")])
        for place, metric in enumerate(memory):
            _level(ram, described, metric, place, RAM[metric][1])
        ram.set_yticks(range(len(memory)), [words.gettext(RAM[metric][0]) for metric in memory])
        for axes, count in ((cpu, 1), (ram, len(memory))):
            axes.set_ylim(max(count, 1) - 0.4, -0.5)
            axes.set_xlim(left=0)
            axes.grid(axis="y", visible=False)
        localise(figure, words)
    found = described.levels.items()
    told = (f"{words.term('metric', metric)}: {_said(level.sustained, words)}" for metric, level in found)
    return show(figure, f"{words.own(described.label)}. {'; '.join(told)}.")


def _level(axes: "Axes", described: Description, metric: str, place: int, colour: str) -> None:
    level = described.levels[metric].sustained if metric in described.levels else None
    if level is None:
        return
    scale = UNITS[level.unit][0]
    dots(axes, [value / scale for value in described.means(metric)], place, colour)
    axes.plot([level.low / scale, level.high / scale], [place + 0.3] * 2, color=INK, linewidth=2)
    axes.plot([level.estimate / scale], [place + 0.3], "D", color=INK, markersize=4)


def effects(
    described: Mapping[str, Description], compared: Mapping[str, ServerComparison], words: Words = ENGLISH
) -> Any:
    """Before, after, and the difference with its interval, of every metric of the whole change.

    A dot is a boot. The band is the study's margin, within which both sides are the same in practice. Where no
    difference may be given it is said why.

    Parameters
    ----------
    described : mapping
        Driver configuration -> its levels; see `OpenStudy.levels`.
    compared : mapping
        The comparisons of a server; that of the whole change is drawn, or the first one if there is none.
    """
    whole = next((item for item in compared.values() if item.purpose == "total"), next(iter(compared.values()), None))
    if whole is None:
        return None
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH_IN, 0.5 + 1.15 * len(whole.effects)), layout="constrained")
        grid = figure.subplots(len(whole.effects), 2, squeeze=False, width_ratios=[3, 2])
        for (left, right), (metric, effect) in zip(grid, whole.effects.items(), strict=True):
            _sides(left, described, whole, metric, words)
            _difference(right, effect, words)
        grid[0][1].set_title(words.gettext("after − before"), loc="left", fontsize=9.5)
        localise(figure, words)
    told = (
        f"{words.term('metric', metric)}: {words.plain(effect.messages, effect.fields)}"
        for metric, effect in whole.effects.items()
    )
    return show(figure, f"{words.own(whole.question)} {' '.join(told)}")


def _sides(
    axes: "Axes", described: Mapping[str, Description], whole: ServerComparison, metric: str, words: Words
) -> None:
    looks = zip((whole.before, whole.after), (ORANGE, GREEN), strict=True)
    for place, (config, colour) in enumerate(looks):
        _level(axes, described[config], metric, place, colour)
    names = [wrapped(words.own(described[config].label)) for config in (whole.before, whole.after)]
    axes.set_yticks([0, 1], names)
    axes.set_ylim(1.6, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.set_title(_of_metric(metric, words), loc="left", fontsize=9.5)


def _of_metric(metric: str, words: Words) -> str:
    return f"{words.term('metric', metric)} ({words.term('unit', 'cores' if metric == 'cpu' else 'MiB')})"


def _difference(axes: "Axes", effect: Effect, words: Words) -> None:
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    found, before, practical = effect.difference, effect.before, effect.practical
    if found is None:
        axes.set_axis_off()
        axes.text(0.0, 0.5, words.term("effect", effect.status), transform=axes.transAxes, va="center", color=INK)
        return
    scale = UNITS[found.unit][0]
    axes.axvline(0, color=INK, linewidth=0.8)
    if before and practical:
        margin = practical.margin * before.estimate / scale
        axes.axvspan(-margin, margin, color=GREY, alpha=0.18, linewidth=0)
    axes.plot([found.low / scale, found.high / scale], [0, 0], color=BLUE, linewidth=3)
    axes.plot([found.estimate / scale], [0], "D", color=BLUE, markersize=6)
    axes.locator_params(axis="x", nbins=4)


def verdicts(results: Results, words: Words = ENGLISH) -> Any:
    """Every effect of the whole change, relative to before, with its interval; colour and mark are its verdict.

    Where no difference may be given, its state stands in its place. None if the study has no server of its own.
    """
    rows = [
        (f"{server}, {words.term('metric', metric)}", effect, comparison.verdicts.get(metric))
        for server, found in results.servers.items()
        for comparison in found.comparisons.values()
        if comparison.purpose == "total"
        for metric, effect in comparison.effects.items()
    ]
    if not rows:
        return None
    with style():
        figure, axes = _sheet(1.0 + 0.24 * len(rows))
        axes.axvline(0, color=INK, linewidth=0.8)
        used = dict.fromkeys(judged.status for _, _, judged in rows if judged)
        for place, (_, effect, judged) in enumerate(rows):
            colour, mark, filled = LOOKS[judged.status] if judged else LOOKS["not_an_effect"]
            if effect.relative is None:
                axes.text(0, place, f"  {words.term('effect', effect.status)}", va="center", color=GREY, fontsize=8.5)
                continue
            low, middle, high = (100 * getattr(effect.relative, name) for name in ("low", "estimate", "high"))
            axes.plot([low, high], [place] * 2, color=colour, linewidth=2)
            axes.plot([middle], [place], mark, color=colour, markersize=7, fillstyle=filled)
        axes.set_yticks(range(len(rows)), [shortened(label, 2 * LONGEST) for label, _, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(words.gettext("change relative to before (%)"))
        for status in used:
            colour, mark, filled = LOOKS[status]
            label = words.term("verdict", status)
            axes.plot([], [], mark, color=colour, fillstyle=filled, label=label)
        if used:
            axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.3, 1.0), handlelength=1.2)
        localise(figure, words)
    told = (
        f"{label}: {_said(effect.relative, words) if effect.relative else words.term('effect', effect.status)}"
        + (f" ({words.term('verdict', judged.status)})" if judged else "")
        for label, effect, judged in rows
    )
    return show(figure, f"{'; '.join(told)}.")


def _said(entry: Estimate | None, words: Words) -> str:
    if entry is None:
        return "–"
    divisor, unit = UNITS[entry.unit]
    return f"{words.number(entry.estimate / divisor)} {words.term('unit', unit)}"


def _sheet(height_in: float) -> tuple["Figure", "Axes"]:
    figure, (axes,) = _sheets([1], height_in)
    return figure, axes


def _sheets(heights: list[int], height_in: float) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, list(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
