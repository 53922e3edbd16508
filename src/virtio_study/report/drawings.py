"""The report's figures: each drawn in a language, with its data as CSV and its numbers as alternative text."""

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from virtio_study.i18n.language import Words
from virtio_study.report import figures
from virtio_study.report.formats import UNITS
from virtio_study.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawn", "Frames", "draw"]

METRIC_NAMES = {
    "cpu": "CPU",
    "mem_displayed": "displayed memory",
    "mem_host": "host memory",
    "mem_guest": "guest memory",
}
FEWEST_WAYS = 3

Frames = Callable[[str, str], pd.DataFrame]
"""Server, driver configuration -> every row with its `replicate`, `period` and `reason`."""


@dataclass(frozen=True)
class Drawn:
    """A figure for the page: SVG, its data (CSV), and what it is of.

    `span` places the time axis of a time series: its left and right end as shares of the width, then seconds there.
    """

    svg: Markup
    csv: bytes
    span: tuple[float, float, float, float] | None = None
    server: str = ""
    comparison: str = ""
    metric: str = ""

    @property
    def csv_base64(self) -> str:
        """The data for a link that holds it."""
        return base64.b64encode(self.csv).decode()


def draw(study: Study, results: dict[str, Any], frame: Frames, words: Words) -> dict[str, Drawn]:
    """Every figure of the report by name."""
    labels = {name: str(getattr(config.label, words.language)) for name, config in study.driver_configs.items()}
    drawn: dict[str, Drawn] = {}

    def keep(name: str, figure: "Figure", title: str, text: str, table: pd.DataFrame, **facts: Any) -> None:
        svg = figures.svg(figure, name, title, text)
        drawn[name] = Drawn(Markup(svg), table.to_csv(index=False, lineterminator="\n").encode(), **facts)

    for server, found in results["servers"].items():
        _of_server(server, found, frame, labels, words, keep)
    if results["timeline"]:
        title = words.gettext("Driver configuration of every server over time")
        text = "; ".join(
            f"{server}: " + ", ".join(labels.get(run["driver_config"], run["why"]) for run in runs)
            for server, runs in results["timeline"].items()
        )
        keep("timeline", figures.timeline(results["timeline"], labels, words), title, text, _run_table(results))
    if results["counts"]:
        rows = results["counts"]["rows"]
        text = "; ".join(f"{r['device']}, {r['operation']}: {words.number(r['boots'][0])}" for r in rows)
        table = pd.DataFrame(
            [(r["device"], r["operation"], boot) for r in rows for boot in r["boots"]],
            columns=["device", "operation", "accesses_per_operation"],
        )
        title = words.gettext("Device-register accesses per operation")
        keep("accesses", figures.accesses(results["counts"], words), title, text, table)
    return drawn


def _of_server(
    server: str, found: dict[str, Any], frame: Frames, labels: dict[str, str], words: Words, keep: Callable[..., None]
) -> None:
    levels = found["configurations"]
    for config in levels:
        clean = frame(server, config)
        title = words.plain("CPU and RAM of {server}, {config}", {"server": server, "config": labels[config]})
        figure, table = figures.over_time(clean, words), figures.time_table(clean)
        box = figure.axes[0].get_position
        figure.draw_without_rendering()
        span = (box().x0, box().x1, 0.0, float(table["uptime_s"].iloc[-1]))
        keep(f"{server}-{config}-over-time", figure, title, _levels_text(levels[config], words), table, span=span)
    chosen = {key: levels[key] for key in levels if not key.endswith("again")}
    title = words.plain("Displayed, host and guest memory of {server}", {"server": server})
    text = " ".join(f"{labels[key]}: {_levels_text(chosen[key], words)}" for key in chosen)
    table = _level_table(chosen, [metric for metric in METRIC_NAMES if metric != "cpu"])
    keep(f"{server}-ram", figures.ram_by_instrument(chosen, labels, words), title, text, table)
    for metric in ("cpu", "mem_host"):
        if all(level["levels"].get(metric, {}).get("sustained") for level in levels.values()):
            named = {"metric": words.gettext(METRIC_NAMES[metric]), "server": server}
            title = words.plain("{metric} of {server}, boot by boot", named)
            text = " ".join(f"{labels[key]}: {_level_text(levels[key], metric, words)}." for key in levels)
            figure = figures.boot_levels(levels, metric, labels, words)
            keep(f"{server}-{metric}-boots", figure, title, text, _boot_table(levels, metric))
    for name, metric, comparison, effect in _estimated(found):
        sides = comparison["before"], comparison["after"]
        facts = {"server": server, "comparison": name, "metric": metric}
        named = {"metric": words.gettext(METRIC_NAMES[metric]), "server": server}
        figure = figures.estimation(levels, metric, effect, sides, labels, words)
        title = words.plain("{metric} of {server}: before, after and difference", named)
        text = " ".join(f"{labels[key]}: {_level_text(levels[key], metric, words)}." for key in sides)
        text += " " + words.plain(effect["messages"], effect["numbers"])
        table = _boot_table({side: levels[side] for side in sides}, metric)
        keep(f"{server}-{name}-{metric}-estimation", figure, title, text, table, **facts)
        ways = effect["sensitivity"] or {"specifications": []}
        if len(ways["specifications"]) >= FEWEST_WAYS and ways["same_conclusion"] is not None:
            title = words.plain("{metric} of {server}: every way to calculate the difference", named)
            text = words.plain(
                "Estimates from {least:quantity} to {most:quantity}; {same_sign:percent} of them have the sign of the "
                "main one.",
                {key: ways[key] for key in ("least", "most", "same_sign")}
                | {key: effect["numbers"].get(key) for key in ("unit", "scale")},
            )
            figure = figures.specification_curve(effect, metric, words)
            keep(f"{server}-{name}-{metric}-ways", figure, title, text, pd.DataFrame(ways["specifications"]), **facts)


def _run_table(results: dict[str, Any]) -> pd.DataFrame:
    keys = ("started_s", "start_s", "end_s", "start_up_s", "driver_config", "balloon_driver", "why", "digest")
    return pd.DataFrame(
        [
            {"server": server, **{key: run[key] for key in keys}}
            for server, runs in results["timeline"].items()
            for run in runs
        ]
    )


def _estimated(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Comparisons of the whole change with their effects that have a difference: name, metric, comparison, effect."""
    for name, comparison in found["comparisons"].items():
        if comparison["purpose"] == "total":
            for metric, effect in comparison["effects"].items():
                if effect["difference"]:
                    yield name, metric, comparison, effect


def _levels_text(described: dict[str, Any], words: Words) -> str:
    parts = [f"{words.gettext(METRIC_NAMES[m])} {_level_text(described, m, words)}" for m in METRIC_NAMES]
    return f"{words.gettext('Sustained levels:')} {', '.join(parts)}."


def _level_text(described: dict[str, Any], metric: str, words: Words) -> str:
    level = described["levels"].get(metric, {}).get("sustained")
    if level is None:
        return "–"
    divisor, unit = UNITS[level["unit"]]
    return f"{words.number(level['estimate'] / divisor)} {words.gettext(unit)}"


def _level_table(levels: dict[str, Any], metrics: Iterable[str]) -> pd.DataFrame:
    rows = [
        (config, metric, level["sustained"]["unit"], *(level["sustained"][key] for key in ("estimate", "low", "high")))
        for config, described in levels.items()
        for metric in metrics
        if (level := described["levels"].get(metric, {})).get("sustained")
    ]
    return pd.DataFrame(rows, columns=["driver_config", "metric", "unit", "sustained", "low", "high"])


def _boot_table(levels: dict[str, Any], metric: str) -> pd.DataFrame:
    rows = [
        (config, boot["replicate"], described["levels"][metric]["unit"], boot["levels"][metric]["mean"])
        for config, described in levels.items()
        for boot in described["boots"]
        if metric in boot["levels"]
    ]
    return pd.DataFrame(rows, columns=["driver_config", "replicate", "unit", "sustained"])
