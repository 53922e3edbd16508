"""The report's figures: each drawn in a language, with its data as CSV and its numbers as alternative text."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.description import Description
from virtio_study.analysis.effects import Effect
from virtio_study.analysis.results import Results, ServerResults
from virtio_study.analysis.timeline import Timeline
from virtio_study.i18n.language import Words
from virtio_study.i18n.marks import N_
from virtio_study.report import figures
from virtio_study.report.drawn_once import over_time_written
from virtio_study.report.formats import UNITS
from virtio_study.report.switching import (
    KEPT,
    block_table,
    blocks_over_time,
    distribution_table,
    draws_distribution,
    kept,
)
from virtio_study.report.timeline_figure import timeline
from virtio_study.report.waterfall import taken_apart, waterfall
from virtio_study.report.ways_figure import specification_curve
from virtio_study.stats.rounding import significant
from virtio_study.study import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawn", "Frames", "draw"]

FEWEST_WAYS = 3
GLANCE_HEIGHT_IN = 1.75

Frames = Callable[[str, str], pd.DataFrame]
"""Server, driver configuration -> every row with its `replicate`, `period` and `reason`."""


@dataclass(frozen=True)
class Drawn:
    """A figure for the page: SVG, its data (CSV), and what it is of.

    `start_up_s` is of a time series: seconds from its start that are left out.
    """

    svg: Markup
    csv: bytes
    start_up_s: float | None = None
    server: str = ""
    comparison: str = ""
    metric: str = ""

    @property
    def csv_link(self) -> str:
        """A link that holds the data."""
        return f"data:text/csv;charset=utf-8,{quote(self.csv, safe=',')}"


@dataclass(frozen=True)
class _Sketch:
    """A figure before it is written: what it is called and of, what it says in words, and its data."""

    name: str
    figure: "Figure | str"
    title: str
    text: str
    table: pd.DataFrame
    start_up_s: float | None = None
    server: str = ""
    comparison: str = ""
    metric: str = ""

    def drawn(self) -> Drawn:
        svg = figures.svg(self.figure, self.name, self.title, self.text)
        whole = None if self.start_up_s is None else "%.12g"  # bytes without a decimal: the longest tables of the page
        csv = self.table.to_csv(index=False, lineterminator="\n", float_format=whole).encode()
        return Drawn(Markup(svg), csv, self.start_up_s, self.server, self.comparison, self.metric)


def draw(results: Results, frame: Frames, words: Words) -> dict[str, Drawn]:
    """Every figure of the report by name."""
    return {sketch.name: sketch.drawn() for sketch in _sketches(results, frame, words)}


def _sketches(results: Results, frame: Frames, words: Words) -> Iterator[_Sketch]:
    labels = {name: words.own(config.label) for name, config in results.study.driver_configs.items()}
    yield from _at_a_glance(results, words)
    for server, found in results.servers.items():
        yield from _over_time(server, found, frame, labels, words)
        yield from _levels(server, found.configurations, labels, words)
        yield from _waterfalls(server, found, words)
        for name, metric, comparison, effect in _estimated(found):
            facts = name, metric, comparison, effect
            yield _estimation(server, found.configurations, facts, labels, words)
            yield from _ways(server, facts, words)
    if results.switchback:
        yield from _switching(results, labels, words)
    if results.timeline:
        yield _timeline(results.timeline, labels, words)
    if results.counts:
        rows = results.counts.rows
        text = "; ".join(f"{r.device}, {r.operation}: {words.number(r.boots[0])}" for r in rows)
        table = pd.DataFrame(
            [(r.device, r.operation, boot) for r in rows for boot in r.boots],
            columns=["device", "operation", "accesses_per_operation"],
        )
        title = words.gettext("Device-register accesses per operation")
        yield _Sketch("accesses", figures.accesses(results.counts, words), title, text, table)


def _at_a_glance(results: Results, words: Words) -> Iterator[_Sketch]:
    """The picture beside the answers: RAM of the first server that has it, through the whole change."""
    for server, found in results.servers.items():
        labels = {config: words.gettext(label) for config, label in _path(found).items()}
        levels = {config: found.configurations[config] for config in labels}
        table = _level_table(levels, list(figures.RAM))
        if len(table):
            title = words.plain(N_("RAM of {server} before and after: three figures of it"), {"server": server})
            text = " ".join(f"{labels[key]}: {_levels_text(levels[key], words)}" for key in levels)
            figure = figures.ram_by_instrument(levels, labels, words, GLANCE_HEIGHT_IN)
            yield _Sketch("at-a-glance", figure, title, text, table, None, server)
            return


def _path(found: ServerResults) -> dict[str, str]:
    """Driver configurations of a server's whole change, with that of the balloon driver alone between its sides."""
    whole = next((c for c in found.comparisons.values() if c.purpose == "total"), None)
    if whole is None:
        return {}
    between = [c.after for c in found.comparisons.values() if c.purpose == "instrument" and c.before == whole.before]
    driver = {config: N_("with the driver") for config in between[:1] if config != whole.after}
    return {whole.before: N_("before"), **driver, whole.after: N_("after")}


def _over_time(
    server: str, found: ServerResults, frame: Frames, labels: Mapping[str, str], words: Words
) -> Iterator[_Sketch]:
    whole = {side for c in found.comparisons.values() if c.purpose == "total" for side in (c.before, c.after)}
    for config, described in found.configurations.items():
        if whole and config not in whole:  # of many configurations a page has room for those of the whole change
            continue
        clean = frame(server, config)
        title = words.plain(N_("CPU and RAM of {server}, {config:configuration}"), {"server": server, "config": config})
        figure, table = over_time_written(clean, words), figures.time_table(clean)
        start_up_s = significant(figures.start_up_end(clean) or 0.0)
        text = _levels_text(described, words)
        yield _Sketch(f"{server}-{config}-over-time", figure, title, text, table, start_up_s)


def _waterfalls(server: str, found: ServerResults, words: Words) -> Iterator[_Sketch]:
    for name, comparison in found.comparisons.items():
        found_apart = taken_apart(comparison)
        if found_apart:
            figure, table = waterfall(found_apart, words)
            title = words.plain(N_("RAM of {server}, from before to after, by ingredient"), {"server": server})
            text = " ".join(words.plain(item.messages, item.fields) for item in found_apart.values())
            yield _Sketch(f"{server}-{name}-waterfall", figure, title, text, table, None, server, name)


def _levels(
    server: str, levels: Mapping[str, Description], labels: Mapping[str, str], words: Words
) -> Iterator[_Sketch]:
    chosen = {key: levels[key] for key in levels if not key.endswith("again")}
    title = words.plain(N_("Displayed, host and guest memory of {server}"), {"server": server})
    text = " ".join(f"{labels[key]}: {_levels_text(chosen[key], words)}" for key in chosen)
    table = _level_table(chosen, [metric for metric in METRICS if metric != "cpu"])
    yield _Sketch(f"{server}-ram", figures.ram_by_instrument(chosen, labels, words), title, text, table)
    for metric in ("cpu", "mem_host"):
        if all(metric in level.levels and level.levels[metric].sustained for level in levels.values()):
            named = {"metric": metric, "server": server}
            title = words.plain(N_("{server}, {metric:metric}, boot by boot"), named)
            text = " ".join(f"{labels[key]}: {_level_text(levels[key], metric, words)}." for key in levels)
            figure = figures.boot_levels(levels, metric, labels, words)
            yield _Sketch(f"{server}-{metric}-boots", figure, title, text, _boot_table(levels, metric))


_Total = tuple[str, str, ServerComparison, Effect]
"""Name, metric, comparison and effect of a whole change."""


def _estimated(found: ServerResults) -> Iterator[_Total]:
    """Comparisons of the whole change with their effects that have a difference."""
    for name, comparison in found.comparisons.items():
        if comparison.purpose == "total":
            for metric, effect in comparison.effects.items():
                if effect.difference:
                    yield name, metric, comparison, effect


def _estimation(
    server: str, levels: Mapping[str, Description], total: _Total, labels: Mapping[str, str], words: Words
) -> _Sketch:
    name, metric, comparison, effect = total
    sides = comparison.before, comparison.after
    figure = figures.estimation(levels, metric, effect, sides, labels, words)
    named = {"metric": metric, "server": server}
    title = words.plain(N_("{server}, {metric:metric}: before, after and difference"), named)
    text = " ".join(f"{labels[key]}: {_level_text(levels[key], metric, words)}." for key in sides)
    text += " " + words.plain(effect.messages, effect.fields)
    table = _boot_table({side: levels[side] for side in sides}, metric)
    return _Sketch(f"{server}-{name}-{metric}-estimation", figure, title, text, table, None, server, name, metric)


def _ways(server: str, total: _Total, words: Words) -> Iterator[_Sketch]:
    name, metric, _, effect = total
    ways = effect.sensitivity
    if ways is None or effect.difference is None or ways.count < FEWEST_WAYS or ways.same_conclusion is None:
        return
    if effect.status == "emulator_only":  # no evidence, however it is calculated
        return
    named = {"metric": metric, "server": server}
    title = words.plain(N_("{server}, {metric:metric}: every way to calculate the difference"), named)
    text = words.plain(
        N_(
            "Estimates from {least:quantity} to {most:quantity}; {same_sign:percent} of them have the sign of the "
            "main one."
        ),
        {"least": ways.least, "most": ways.most, "same_sign": ways.same_sign}
        | {key: effect.fields.get(key) for key in ("unit", "scale")},
    )
    figure = specification_curve(ways, effect.difference, metric, words)
    table = pd.DataFrame([dict(way) for way in ways.specifications])
    yield _Sketch(f"{server}-{name}-{metric}-ways", figure, title, text, table, None, server, name, metric)


def _switching(results: Results, labels: Mapping[str, str], words: Words) -> Iterator[_Sketch]:
    for server, rows in results.switchback.servers.items() if results.switchback else ():
        title = words.plain(N_("CPU of {server}, block by block"), {"server": server})
        other = [words.plain(row.messages, row.fields) for row in rows if row.status != "followed"]
        text = " ".join([words.plain(KEPT, {"kept": kept(rows), "blocks": len(rows)}), *other])
        figure = blocks_over_time(rows, "cpu", "cores", labels, words)
        yield _Sketch(f"{server}-blocks", figure, title, text, block_table(rows), None, server)
        for name, comparison in results.servers[server].comparisons.items():
            effect = comparison.effects.get("cpu")
            if comparison.purpose == "total" and effect and effect.randomised and effect.randomised.distribution:
                found = effect.randomised
                title = words.plain(N_("CPU of {server}: the randomisation test"), {"server": server})
                text = words.plain(effect.messages, effect.fields)
                figure, table = draws_distribution(found, words), distribution_table(found)
                yield _Sketch(f"{server}-{name}-draws", figure, title, text, table, None, server, name, "cpu")


def _timeline(runs: Timeline, labels: Mapping[str, str], words: Words) -> _Sketch:
    text = "; ".join(
        f"{server}: "
        + ", ".join(
            labels.get(
                run.driver_config, words.plain("{why}", {"why": run.why if isinstance(run.why, str) else run.why.said})
            )
            for run in of_server
        )
        for server, of_server in runs.items()
    )
    keys = ("started_s", "start_s", "end_s", "start_up_s", "driver_config", "balloon_driver", "why", "digest")
    table = pd.DataFrame(
        [
            {"server": server, **{key: getattr(run, key) for key in keys}}
            for server, of_server in runs.items()
            for run in of_server
        ]
    )
    title = words.gettext("Driver configuration of every server over time")
    return _Sketch("timeline", timeline(runs, labels, words), title, text, table)


def _levels_text(described: Description, words: Words) -> str:
    parts = [f"{words.term('metric', metric)}: {_level_text(described, metric, words)}" for metric in METRICS]
    heading = words.gettext("Sustained levels:")
    return f"{heading} {'; '.join(parts)}."


def _level_text(described: Description, metric: str, words: Words) -> str:
    level = described.levels[metric].sustained if metric in described.levels else None
    if level is None:
        return "–"
    divisor, unit = UNITS[level.unit]
    return f"{words.number(level.estimate / divisor)} {words.term('unit', unit)}"


def _level_table(levels: Mapping[str, Description], metrics: Iterable[str]) -> pd.DataFrame:
    rows = [
        (config, metric, level.unit, level.estimate, level.low, level.high)
        for config, described in levels.items()
        for metric in metrics
        if metric in described.levels and (level := described.levels[metric].sustained)
    ]
    return pd.DataFrame(rows, columns=["driver_config", "metric", "unit", "sustained", "low", "high"])


def _boot_table(levels: Mapping[str, Description], metric: str) -> pd.DataFrame:
    rows = [
        (config, boot.replicate, described.levels[metric].unit, boot.levels[metric].mean)
        for config, described in levels.items()
        for boot in described.boots
        if metric in boot.levels
    ]
    return pd.DataFrame(rows, columns=["driver_config", "replicate", "unit", "sustained"])
