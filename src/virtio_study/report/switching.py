"""A switchback for readers: its blocks over time, the distribution of its test, and how the schedule was kept.

>>> vs.switching.kept(vs.load_study("lab-qemu").blocks("versat"))
0
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.randomised import Randomised
from virtio_study.analysis.switchback import ScheduledBlock
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.figures import BLUE, GREEN, GREY, LONGEST, ORANGE, blank, localise
from virtio_study.report.formats import UNITS
from virtio_study.report.svg import show, style
from virtio_study.report.tables import whole
from virtio_study.report.timeline_figure import utc_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "KEPT",
    "block_table",
    "blocks_over_time",
    "distribution_table",
    "draws_distribution",
    "kept",
    "show_adherence",
    "show_blocks",
    "show_draws",
]

LOOKS = ((ORANGE, "o"), (BLUE, "s"), (GREEN, "^"), (GREY, "D"), ("#CC79A7", "v"), ("#F0E442", "P"))
"""Colour and mark of each configuration, in the study's order."""

DAY_S = 86400

KEPT = N_("{kept} of {blocks} blocks followed the schedule.")


def kept(rows: Sequence[ScheduledBlock]) -> int:
    """Blocks that followed the schedule."""
    return sum(1 for row in rows if row.status == "followed")


def blocks_over_time(
    rows: Sequence[ScheduledBlock], metric: str, unit: str, labels: Mapping[str, str], words: Words = ENGLISH
) -> "Figure":
    """Level of each block as a bar from its start to its end, coloured and marked by the configuration in force.

    A hollow mark is a block that was assigned another configuration than it received; a dotted bar does not count.

    Parameters
    ----------
    metric, unit : str
        Which level, and the unit in which it is stored.
    labels : mapping
        Driver configuration -> what readers call it, in the study's order.
    """
    looks = dict(zip(labels, LOOKS, strict=False))
    divisor, shown_unit = UNITS[unit]
    with style():
        figure, (axes,) = blank()
        for row in rows:
            if metric not in row.levels or row.received not in looks:
                continue
            colour, mark = looks[row.received]
            days, level = (row.start_s / DAY_S, row.end_s / DAY_S), row.levels[metric] / divisor
            axes.plot(days, (level, level), "-" if row.counted else ":", color=colour, linewidth=2)
            inside = colour if row.received == row.assigned else "white"
            axes.plot([(days[0] + days[1]) / 2], [level], mark, color=colour, markerfacecolor=inside, markersize=5)
        utc_axis(axes, words)
        axes.set_ylabel(f"{words.term('metric', metric)} ({words.term('unit', shown_unit)})")
        axes.set_ylim(bottom=0)
        seen = {row.received for row in rows} | {row.assigned for row in rows}
        for config in (name for name in looks if name in seen):
            colour, mark = looks[config]
            axes.plot([], [], mark, color=colour, label=shortened(labels[config], LONGEST))
        axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), handlelength=1.2)
    return figure


def block_table(rows: Sequence[ScheduledBlock]) -> pd.DataFrame:
    """Data of the figure: one row a block, levels in the units in which they are stored."""
    keys = ("number", "pair", "start_s", "end_s", "assigned", "received", "status", "switched_s", "steady_s", "counted")
    return pd.DataFrame([{**{key: getattr(row, key) for key in keys}, **row.levels} for row in rows])


def draws_distribution(found: Randomised, words: Words = ENGLISH) -> "Figure":
    """Bars: how likely each rank sum is over all draws if the drivers change nothing. The line is what was seen."""
    middles, likely = zip(*found.distribution, strict=True)
    with style():
        figure, (axes,) = blank(height_in=2.3)
        width = 0.9 / max(len(middles) - 1, 1)
        axes.bar(middles, [100 * share for share in likely], width=width, color=GREY)
        axes.axvline(found.observed, color=ORANGE, linewidth=2.5)
        axes.set_xlim(-0.05, 1.05)
        axes.set_xticks([0, 0.5, 1], [words.gettext(name) for name in (_FELL, _NEITHER, _ROSE)])
        axes.set_ylabel(words.gettext("share of all draws (%)"))
        axes.grid(axis="x", visible=False)
        localise(figure, words)
    return figure


def distribution_table(found: Randomised) -> pd.DataFrame:
    """Data of the figure, with the bin in which the observed value lies."""
    table = pd.DataFrame(found.distribution, columns=["share_of_rises", "probability"])
    nearest = (table["share_of_rises"] - found.observed).abs().idxmin()
    return table.assign(observed=table.index == nearest)


_FELL, _NEITHER, _ROSE = N_("every pair fell"), N_("as many fell as rose"), N_("every pair rose")


def show_blocks(rows: Sequence[ScheduledBlock], words: Words = ENGLISH) -> Any:
    """For a notebook: the CPU of each block over time; nothing without a schedule."""
    if not rows:
        return None
    labels = {config: config for config in sorted({row.assigned for row in rows})}
    text = words.plain(KEPT, {"kept": kept(rows), "blocks": len(rows)})
    return show(blocks_over_time(rows, "cpu", "cores", labels, words), text)


def show_draws(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> Any:
    """For a notebook: the randomisation distribution of the first comparison of CPU whose blocks were drawn."""
    for comparison in compared.values():
        effect = comparison.effects.get("cpu")
        if effect and effect.randomised and effect.randomised.distribution:
            text = words.plain(effect.messages, effect.fields)
            return show(draws_distribution(effect.randomised, words), text)
    return None


def show_adherence(rows: Sequence[ScheduledBlock], words: Words = ENGLISH) -> Any:
    """For a notebook: what was planned beside what was, one row a block; nothing without a schedule."""
    if not rows:
        return None
    headings = [N_("block"), N_("from (UTC)"), N_("assigned"), N_("in force"), N_("what happened")]
    table = pd.DataFrame(
        [
            (
                words.number(row.number),
                f"{pd.Timestamp(row.start_s, unit='s'):%Y-%m-%d %H:%M}",
                row.assigned,
                row.received or "–",
                words.plain(row.messages, row.fields),
            )
            for row in rows
        ],
        columns=[words.gettext(heading) for heading in headings],
    )
    return whole(table.set_index(words.gettext(headings[0])))
