"""The page of a fleet: one file, thousands of rows that a reader sorts and searches, a forest and a funnel."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from markupsafe import Markup

from virtio_study.analysis.plausibility import Range
from virtio_study.analysis.unchanged import NAMED_ASSUMPTIONS
from virtio_study.fleet.estimating import REASONS
from virtio_study.fleet.results import FleetResults
from virtio_study.fleet.telling import PAST_UNKNOWN, said_about, said_answers, said_counts, said_totals
from virtio_study.i18n.language import LANGUAGES, Words
from virtio_study.i18n.marks import N_
from virtio_study.report.fleet_figures import fleet_figures, node_map
from virtio_study.report.formats import UNITS
from virtio_study.report.page import dress, template_environment, words_of
from virtio_study.stats.rounding import significant
from virtio_study.study import METRICS

__all__ = ["render_fleet"]

DIGITS = 4
"""Significant digits of the numbers in the table: ten thousand changes are one page."""

_few = partial(significant, digits=DIGITS)

LISTED = 25
"""Rows that the page has without its script."""

UNIT_OF = {metric: "cores" if metric == "cpu" else "bytes" for metric in METRICS}

HEADS = (
    N_("server"),
    N_("node"),
    N_("when (UTC)"),
    N_("change"),
    N_("relative change"),
    N_("amount"),
    N_("what can be said"),
)


def render_fleet(results: FleetResults, effects: pd.DataFrame, language: str) -> str:
    """The page as one text that fetches nothing.

    Parameters
    ----------
    effects : DataFrame, shape (findings, 22)
        As `fleet.writing.findings_frame` makes it.

    Raises
    ------
    StudyError
        If there is no such language.
    """
    words = words_of(language)
    page: str = (
        template_environment(words)
        .get_template("fleet.html.j2")
        .render(
            r=results,
            answers=said_answers(results),
            about=said_about(results),
            counted=said_counts(results),
            say=lambda message: words.sentence("{why}", {"why": message}),
            figures=fleet_figures(effects, words),
            heads=[words.gettext(head) for head in HEADS],
            first=_first(effects, words),
            rows=Markup(_data(results, effects, words)),
            foreseen=said_totals(results.foreseen),
            assumptions=NAMED_ASSUMPTIONS,
            listed=LISTED,
            past_unknown=PAST_UNKNOWN,
            map=node_map(results.by_node, words),
            metrics=list(METRICS),
            reasons=REASONS,
            language=language,
            languages=LANGUAGES,
            **dress("sorting.js", "fleet.js"),
        )
    )
    return page


def _change(words: Words, change: str, direction: str) -> str:
    """What changed, as readers call it."""
    parts = ", ".join(words.term("setting", part) for part in change.split(", "))
    return f"{parts} ({words.term('direction', direction)})"


def _first(effects: pd.DataFrame, words: Words) -> list[dict[str, Any]]:
    """The largest effects that are shown, for whoever runs no script."""
    shown = effects[effects["shown"] & effects["relative"].notna()]
    order = shown["relative"].abs().sort_values(ascending=False, kind="stable").index[:LISTED]
    return [
        {
            "server": row["server"],
            "node": row["node"],
            "at": format(row["at"], "%Y-%m-%d %H:%M"),
            "change": f"{_change(words, row['change'], row['direction'])}, {words.term('metric', row['metric'])}",
            "relative": row["relative"],
            "difference": row["difference"],
            "unit": UNIT_OF[row["metric"]],
        }
        for row in shown.loc[order].to_dict("records")
    ]


def _data(results: FleetResults, effects: pd.DataFrame, words: Words) -> str:
    """Every change and every forecast as compact JSON that cannot end the element it stands in."""
    reasons = list(REASONS)
    nodes = list(dict.fromkeys([*(item.node for item in results.by_node), *effects["node"]]))
    kinds = list(dict.fromkeys(zip(effects["change"], effects["direction"], strict=True)))
    why = list(dict.fromkeys(item.reason for item in results.outlooks if item.reason))
    node_at, kind_at = ({name: place for place, name in enumerate(names)} for names in (nodes, kinds))
    places: Mapping[str, int] = {metric: place for place, metric in enumerate(METRICS)}
    rows: dict[tuple[str, str, pd.Timestamp], list[Any]] = {}
    for row in effects.to_dict("records"):
        made = rows.setdefault(
            (row["server"], row["node"], row["at"]),
            [
                row["server"],
                node_at[row["node"]],
                round(row["at"].timestamp()),
                kind_at[row["change"], row["direction"]],
                [None] * len(places),
            ],
        )
        made[4][places[row["metric"]]] = reasons.index(row["reason"]) if row["reason"] else _cell(row)
    labels = {
        "nodes": nodes,
        "kinds": [_change(words, *kind) for kind in kinds],
        "reasons": [words.gettext(REASONS[reason]) for reason in reasons],
        "units": [[UNITS[unit][0], words.term("unit", UNITS[unit][1])] for unit in UNIT_OF.values()],
        "rows": list(rows.values()),
        "why": [words.gettext(text) for text in why],
        "ahead": [
            [
                item.name,
                node_at[item.node],
                *(_span(item.returned) or (item.at_most and _few(item.at_most)), _span(item.shown_less)),
                *(_span(item.cpu), _span(item.servers)),
                why.index(item.reason) if item.reason else -1,
            ]
            for item in results.outlooks
        ],
        "map": [
            [
                *(place, item.servers, item.changed, item.changes, item.shown),
                None if item.meanwhile is None else _few(item.meanwhile),
                _span(item.foreseen.returned) or (item.foreseen.at_most and _few(item.foreseen.at_most)) or None,
                _span(item.foreseen.cpu),
            ]
            for place, item in enumerate(results.by_node)
        ],
    }
    return json.dumps(labels, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _span(found: Range | None) -> list[float] | None:
    """Low, typical and high of a forecast."""
    return None if found is None else [_few(found.low), _few(found.typical), _few(found.high)]


def _cell(row: Any) -> list[float | int | None]:
    """Relative change and its limits, whether it is shown, and the change in its unit."""
    ends = [row["relative"], row["relative_low"], row["relative_high"]]
    return [*(None if pd.isna(end) else _few(end) for end in ends), int(row["shown"]), _few(row["difference"])]
