"""Figures of a fleet: the largest effects with their intervals, and every effect beside how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from virtio_study.fleet.nodes import NodeSummary
from virtio_study.i18n.language import Words
from virtio_study.i18n.marks import N_
from virtio_study.report.svg import style, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FleetFigure", "fleet_figures", "node_map"]

TOP = 20
MOST_POINTS = 1200
"""More points than these are one cloud, and a large file: evenly chosen ones stand for all."""

INK, SHOWN, ZERO = "#57606a", "#0b57a4", "#a40e26"


@dataclass(frozen=True)
class FleetFigure:
    """A figure and what it says in words."""

    svg: Markup
    caption: str


_FOREST = N_(
    "{metric:metric}: the {top} largest relative changes that are shown, of {shown}, with their intervals; from "
    "{least:percent} to {most:percent}."
)
_FUNNEL = N_(
    "{metric:metric}: {drawn} of {effects} effects by how wide their interval is; what is shown is blue. Without "
    "effects they would lie evenly about zero, wider below."
)


def fleet_figures(effects: pd.DataFrame, words: Words) -> list[FleetFigure]:
    """A forest of the largest shown effects and a funnel of all, for every metric that has any."""
    known = effects[effects["relative"].notna()]
    found = []
    for metric in dict.fromkeys(known["metric"]):
        of_metric = known[known["metric"] == metric]
        shown = of_metric[of_metric["shown"]]
        order = shown["relative"].abs().sort_values(ascending=False, kind="stable").index[:TOP]
        if len(order):
            found.append(_forest(shown.loc[order], len(shown), metric, words))
        found.append(_funnel(of_metric, metric, words))
    return found


_MAP = N_(
    "{nodes} nodes, a square each, in order of name: larger with more servers, darker the more of them changed. Blue: "
    "its unchanged servers used less CPU meanwhile; red: more; from {least:percent} to {most:percent}."
)
_PLAIN_MAP = N_(
    "{nodes} nodes, a square each, in order of name: larger with more servers, darker the more of them changed."
)
LESS, MORE, NOTHING = "#0b57a4", "#a40e26", "#57606a"


def node_map(nodes: Sequence[NodeSummary], words: Words) -> FleetFigure | None:
    """A square for every node; None of fewer than two, which are no map."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    if len(nodes) < 2:
        return None
    columns = max(12, math.isqrt(3 * len(nodes)))
    rows = -(-len(nodes) // columns)
    most = max(max(node.servers for node in nodes), 1)
    cell = 5.2 / columns
    with style():
        figure = Figure(figsize=(5.2, 0.2 + cell * rows), layout="constrained")
        axes = figure.add_subplot()
        for place, node in enumerate(nodes):
            x, y, half = place % columns, -(place // columns), 0.45 * math.sqrt(node.servers / most)
            share = node.changed / node.servers if node.servers else 0.0
            moved = node.meanwhile
            colour = NOTHING if moved is None else LESS if moved < 0 else MORE
            axes.add_patch(
                Rectangle((x - half, y - half), 2 * half, 2 * half, facecolor=colour, alpha=0.2 + 0.8 * share)
            )
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(0.5 - rows, 0.5)
        axes.set_aspect("equal")
        axes.set_axis_off()
    known = [node.meanwhile for node in nodes if node.meanwhile is not None]
    numbers = {"nodes": len(nodes), **({"least": min(known), "most": max(known)} if known else {})}
    caption = words.plain(_MAP if known else _PLAIN_MAP, numbers)
    return FleetFigure(Markup(svg(figure, "nodes", caption, caption)), caption)


def _forest(top: pd.DataFrame, shown: int, metric: str, words: Words) -> FleetFigure:
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(5.2, 0.9 + 0.19 * len(top)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(top))[::-1]
        axes.hlines(places, 100 * top["relative_low"], 100 * top["relative_high"], color=INK, linewidth=1)
        axes.plot(100 * top["relative"], places, "o", color=SHOWN, markersize=4)
        axes.set_yticks(places, [str(name) for name in top["server"]], fontsize=7)
        _finish(axes, words, metric)
    caption = words.plain(
        _FOREST,
        {
            "metric": metric,
            "top": len(top),
            "shown": shown,
            "least": float(top["relative"].min()),
            "most": float(top["relative"].max()),
        },
    )
    return FleetFigure(Markup(svg(figure, f"forest-{metric}", caption, caption)), caption)


def _funnel(effects: pd.DataFrame, metric: str, words: Words) -> FleetFigure:
    from matplotlib.figure import Figure

    chosen = np.unique(np.linspace(0, len(effects) - 1, min(len(effects), MOST_POINTS)).astype(int))
    drawn = effects.iloc[chosen]
    width = 100 * (drawn["relative_high"] - drawn["relative_low"])
    with style():
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for among, colour in ((~drawn["shown"], INK), (drawn["shown"], SHOWN)):
            axes.plot(100 * drawn["relative"][among], width[among], "o", color=colour, markersize=3, alpha=0.6)
        axes.invert_yaxis()
        axes.set_ylabel(words.gettext(N_("width of the interval (points)")))
        _finish(axes, words, metric)
    caption = words.plain(_FUNNEL, {"metric": metric, "drawn": len(drawn), "effects": len(effects)})
    return FleetFigure(Markup(svg(figure, f"funnel-{metric}", caption, caption)), caption)


def _finish(axes: "Axes", words: Words, metric: str) -> None:
    axes.axvline(0, color=ZERO, linewidth=1)
    axes.set_xlabel(words.gettext(N_("relative change (%)")))
    axes.set_title(words.term("metric", metric), fontsize=10)
