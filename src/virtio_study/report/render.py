"""From `results.json` and the cleaned tables to the published page, its figures and their data."""

import gettext
from functools import partial
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from virtio_study import figures
from virtio_study.report.numbers import interval, published_side, quantity
from virtio_study.results import write_results
from virtio_study.steps import read_clean, read_json
from virtio_study.storage import write_atomically
from virtio_study.study import Study

__all__ = ["conclusions", "draw", "render", "write_report"]

SYMBOLS = {
    "believable": "\N{HEAVY CHECK MARK}",
    "with_reservations": "\N{BLACK UP-POINTING TRIANGLE}",
    "not_believable": "\N{HEAVY MULTIPLICATION X}",
    "not_an_effect": "\N{WHITE DIAMOND}",
    "pass": "\N{HEAVY CHECK MARK}",
    "warn": "\N{BLACK UP-POINTING TRIANGLE}",
    "fail": "\N{HEAVY MULTIPLICATION X}",
    "not_assessable": "?",
}
"""A shape for every verdict and check status, beside its colour and its word."""


def conclusions(results: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """What changed, what did not, and what cannot be known: `(server, metric, effect)` of each total comparison.

    An effect counts as changed if it is an estimate of one instrument, believable, and its interval excludes zero; as
    unchanged if the interval includes zero; everything else cannot be known from this study.
    """
    sorted_out: dict[str, list[tuple[str, str, dict[str, Any]]]] = {"changed": [], "unchanged": [], "unknown": []}
    for name, server in results["servers"].items():
        for comparison in server["comparisons"].values():
            if comparison["purpose"] != "total":
                continue
            for metric, effect in comparison["effects"].items():
                sorted_out[_sort(effect, comparison["verdicts"].get(metric))].append((name, metric, effect))
    return sorted_out


def _sort(effect: dict[str, Any], verdict: dict[str, Any] | None) -> str:
    doubtful = verdict is None or verdict["status"] in {"not_believable", "not_an_effect"}
    if effect["status"] != "estimated" or doubtful:
        return "unknown"
    return "changed" if effect["difference"]["low"] > 0 or effect["difference"]["high"] < 0 else "unchanged"


def draw(study: Study, results: dict[str, Any], language: str) -> dict[str, str]:
    """Every figure of the report as SVG text, by name; also written to `reports/<study>/figures/`, with its data."""
    translate = _catalogue(language).gettext
    labels = {name: getattr(config.label, language) for name, config in study.driver_configs.items()}
    drawn: dict[str, str] = {}
    for server, found in results["servers"].items():
        levels = found["configurations"]
        for config in levels:
            clean = read_clean(study, server, config)
            name = f"{server}-{config}-over-time"
            title = translate("CPU and RAM of {server}, {config}").format(server=server, config=labels[config])
            drawn[name] = figures.svg(figures.over_time(clean, translate), name, title, _alt(levels[config], translate))
            table = figures.time_table(clean).to_csv(index=False, lineterminator="\n")
            write_atomically(study.reports / "figures" / f"{name}.csv", table.encode())
        chosen = {key: levels[key] for key in levels if not key.endswith("again")}
        name = f"{server}-ram"
        title = translate("Displayed, host and guest memory of {server}").format(server=server)
        text = " ".join(f"{labels[key]}: {_alt(levels[key], translate)}" for key in chosen)
        drawn[name] = figures.svg(figures.ram_by_instrument(chosen, labels, translate), name, title, text)
        for metric in ("cpu", "mem_host"):
            name = f"{server}-{metric}-boots"
            title = translate("{metric} of {server}, boot by boot").format(metric=metric, server=server)
            text = " ".join(f"{labels[key]}: {_level_text(levels[key], metric)}." for key in levels)
            drawn[name] = figures.svg(figures.boot_levels(levels, metric, labels, translate), name, title, text)
    if results["counts"]:
        title = translate("Device-register accesses per operation")
        text = "; ".join(f"{r['device']} {r['operation']}: {r['boots'][0]:.3g}" for r in results["counts"]["rows"])
        drawn["accesses"] = figures.svg(figures.accesses(results["counts"], translate), "accesses", title, text)
    for name, text in drawn.items():
        write_atomically(study.reports / "figures" / f"{name}.{language}.svg", text.encode())
    return drawn


def _alt(described: dict[str, Any], translate: Any) -> str:
    words = {"cpu": translate("CPU"), "mem_displayed": translate("displayed memory")}
    words |= {"mem_host": translate("host memory"), "mem_guest": translate("guest memory")}
    parts = [f"{word} {_level_text(described, metric)}" for metric, word in words.items()]
    return str(translate("Sustained levels: {levels}.").format(levels=", ".join(parts)))


def _level_text(described: dict[str, Any], metric: str) -> str:
    level = described["levels"].get(metric, {}).get("sustained")
    if level is None:
        return "–"
    return f"{level['estimate']:.3f} cores" if metric == "cpu" else f"{level['estimate'] / 2**20:.0f} MiB"


def render(results: dict[str, Any], drawn: dict[str, str], language: str = "en") -> str:
    """The page as one text: nothing in it is loaded from anywhere, and every number in it is one of the results.

    Parameters
    ----------
    results : dict
        As `collect_results` makes it.
    drawn : dict
        Figure name -> SVG element.
    """
    results = _in_study_order(results)
    here = files("virtio_study.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(_catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    environment.filters["quantity"] = partial(quantity, language=language)
    environment.filters["interval"] = partial(interval, language=language)
    environment.filters["side"] = partial(published_side, language=language)
    page: str = environment.get_template("report.html.j2").render(
        r=results,
        figures={name: Markup(text) for name, text in drawn.items()},
        sorted_out=conclusions(results),
        symbols=SYMBOLS,
        language=language,
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
    )
    return page


def _in_study_order(value: Any, order: list[str] | None = None) -> Any:
    """Results whose dictionaries follow the study's order of servers, configurations, comparisons and metrics."""
    if order is None:
        order = [name for names in value["order"].values() for name in names]
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (order.index(key) if key in order else len(order), key))
        return {key: _in_study_order(value[key], order) for key in keys}
    return value


def write_report(study: Study, language: str = "en") -> dict[str, Any]:
    """Write `results.json`, the figures with their data, and the page of a study; return the results.

    Raises
    ------
    DataError
        If there is no recording, or a recording or artefact is damaged.
    """
    write_results(study)
    results: dict[str, Any] = read_json(study.reports / "results.json", "5_report")
    page = render(results, draw(study, _in_study_order(results), language), language)
    write_atomically(study.reports / f"index.{language}.html", page.encode())
    return results


def _catalogue(language: str) -> gettext.NullTranslations:
    folder = str(files("virtio_study.report") / "locale")
    return gettext.translation("virtio_study", folder, [language], fallback=language == "en")
