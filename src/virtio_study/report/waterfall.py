"""The waterfall: from the level before to the level after, one bar an ingredient.

>>> apart = vs.waterfall.taken_apart(vs.load_study("lab-qemu").compare("versat", "total"))
>>> [bar.names for bar in vs.waterfall.drops(apart["mem_host"])][:2]
[('before',), ('balloon driver',)]
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.decomposition import Decomposition
from virtio_study.analysis.records import Estimate
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.figures import BLUE, GREEN, GREY, LONGEST, MIB, ORANGE, localise
from virtio_study.report.spoken_intervals import level_says, part_says
from virtio_study.report.svg import show, style
from virtio_study.stats.elementary import total

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["drops", "show_waterfalls", "taken_apart", "waterfall"]

WIDTH_IN = 4.4


class Drop(NamedTuple):
    """A bar: what it stands for, where it begins and ends, and the interval of its level or change; `kind` colours it.

    `low` and `high` are where that interval is drawn: of a change, from where the bar begins.
    """

    kind: str
    names: tuple[str, ...]
    start: float
    end: float
    low: float
    high: float
    interval: Estimate


def drops(found: Decomposition) -> list[Drop]:
    """The bars of a decomposition, in its unit: both sides from zero, every part from where the last one ended."""
    if found.before is None or found.after is None or not found.parts:
        return []
    at = found.before.estimate
    bars = [Drop("side", ("before",), 0.0, at, found.before.low, found.before.high, found.before)]
    changes: list[tuple[str, tuple[str, ...], Estimate]] = [
        ("switch" if part.instrument_switch else "part", part.names, part.change) for part in found.parts
    ]
    if found.rest is not None:
        changes.append(("rest", ("rest",), found.rest))
    for kind, names, change in changes:
        bars.append(Drop(kind, names, at, at + change.estimate, at + change.low, at + change.high, change))
        at = bars[-1].end
    after = found.after
    return [*bars, Drop("side", ("after",), 0.0, after.estimate, after.low, after.high, after)]


def taken_apart(comparison: ServerComparison) -> dict[str, Decomposition]:
    """Displayed and host RAM of a comparison, where they were taken apart."""
    found = comparison.decomposition
    return {name: found[name] for name in ("mem_displayed", "mem_host") if name in found and found[name].parts}


def show_waterfalls(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> Any:
    """For a notebook: the waterfall of the first comparison that was taken apart; nothing where none was."""
    for comparison in compared.values():
        if found := taken_apart(comparison):
            text = " ".join(words.plain(item.messages, item.fields) for item in found.values())
            return show(waterfall(found, words)[0], text)
    return None


def waterfall(found: Mapping[str, Decomposition], words: Words = ENGLISH) -> tuple["Figure", pd.DataFrame]:
    """Displayed and host RAM from before to after, ingredient by ingredient, and the bars as a table.

    Parameters
    ----------
    found : mapping of metric to Decomposition
        `mem_displayed` and `mem_host`, each with parts.
    """
    from matplotlib.figure import Figure

    colours = {"side": GREY, "part": ORANGE, "switch": BLUE, "rest": GREEN}
    bars = {metric: drops(of_metric) for metric, of_metric in found.items()}
    labels = {metric: [_label(bar, words) for bar in of_metric] for metric, of_metric in bars.items()}
    heights = [total(max(2, label.count("\n") + 1) for label in labels[metric]) for metric in bars]
    with style():
        figure = Figure(figsize=(WIDTH_IN, 0.17 * total(heights) + 0.5 * len(bars)), layout="constrained")
        rows = figure.subplots(len(bars), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (metric, of_metric) in zip(rows, bars.items(), strict=True):
            for place, bar in enumerate(of_metric):
                left, width = min(bar.start, bar.end) / MIB, abs(bar.end - bar.start) / MIB
                hatch = "///" if bar.kind == "switch" else None
                axes.barh(place, width, left=left, color=colours[bar.kind], height=0.6, hatch=hatch, edgecolor="white")
                ends = bar.low / MIB, bar.high / MIB
                (line,) = axes.plot(ends, [place, place], color="#222222", linewidth=1.6)
                tell = level_says if bar.kind == "side" else part_says
                tell(line, labels[metric][place].replace("\n", " "), bar.interval, words)
                axes.plot([bar.end / MIB], [place], "|", color="#222222", markersize=9)
            axes.set_yticks(range(len(of_metric)), labels[metric])
            axes.set_ylim(len(of_metric) - 0.4, -0.6)
            axes.set_xlim(left=0)
            axes.grid(axis="y", visible=False)
            axes.set_title(words.term("metric", metric), loc="left", fontsize=9.5)
        rows[-1].set_xlabel(words.gettext("RAM (MiB)"))
        localise(figure, words)
    return figure, pd.DataFrame(_table(bars), columns=["metric", "part", "start", "end", "low", "high"])


ENDS = {"before": N_("before"), "after": N_("after"), "rest": N_("rest")}


def _label(bar: Drop, words: Words) -> str:
    names = (words.gettext(ENDS[name]) if name in ENDS else words.term("setting", name) for name in bar.names)
    return "\n+ ".join(shortened(name, LONGEST) for name in names)


def _table(bars: Mapping[str, list[Drop]]) -> Iterator[tuple[str, str, float, float, float, float]]:
    for metric, of_metric in bars.items():
        for bar in of_metric:
            yield metric, " + ".join(bar.names), bar.start, bar.end, bar.low, bar.high
