"""From `results.json` and the cleaned tables to the published page, one self-contained file a language."""

import base64
import hashlib
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from virtio_study.i18n.labels import harmless
from virtio_study.i18n.language import LANGUAGES, Words, words
from virtio_study.report.drawings import Drawn, Frames, draw
from virtio_study.report.formats import interval, moment, published_side, quantity
from virtio_study.report.references import REFERENCES
from virtio_study.study import Study

__all__ = ["Page", "conclusions", "environment", "make_page", "render"]

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


@dataclass(frozen=True)
class Page:
    """A page of a report as text, and the figures in it by name."""

    html: str
    figures: dict[str, Drawn]


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


def environment(language: Words) -> jinja2.Environment:
    """Jinja's environment for the page's templates in a language; everything that is put in is escaped."""
    here = files("virtio_study.report") / "templates"
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        language.gettext, lambda one, many, n: language.gettext(one if n == 1 else many), newstyle=True
    )
    made.filters["quantity"] = partial(quantity, words=language)
    made.filters["interval"] = partial(interval, words=language)
    made.filters["side"] = partial(published_side, words=language)
    made.filters["moment"] = moment
    made.globals["sentence"] = language.sentence
    return made


def render(results: dict[str, Any], drawn: dict[str, Drawn], language: str = "en") -> str:
    """The page as one text: nothing in it is loaded from anywhere, and every number in it is one of the results.

    Parameters
    ----------
    results : dict
        As `gather` makes it.
    drawn : dict
        Figure name -> figure, as `draw` makes them.

    Raises
    ------
    StudyError
        If the report does not speak the language.
    """
    results = _in_study_order(_harmless(results))
    spoken = words(language)
    here = files("virtio_study.report") / "templates"
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    page: str = (
        environment(spoken)
        .get_template("report.html.j2")
        .render(
            r=results,
            figures=drawn,
            sorted_out=conclusions(results),
            configurations=[c for s in results["servers"].values() for c in s["configurations"].values()],
            disk_reads=_disk_reads(results["counts"]),
            boots=_boots,
            extent=_extent,
            cut_range=_cut_range,
            total=partial(_total, results),
            symbols=SYMBOLS,
            references=REFERENCES,
            language=language,
            languages=LANGUAGES,
            list_mark=", " if language == "en" else "; ",
            results_link=Markup('<a href="results.json">results.json</a>'),
            notebooks_link=Markup('<a href="notebooks/">notebooks/</a>'),
            style=Markup(style),
            script=Markup(script),
            policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
            "form-action 'none'",
        )
    )
    return page


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _harmless(value: Any) -> Any:
    """Results whose texts, which may come from a host, hold no controls and no marks of direction."""
    if isinstance(value, dict):
        return {key: _harmless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    return harmless(value) if isinstance(value, str) else value


def _in_study_order(value: Any, order: list[str] | None = None) -> Any:
    """Results whose dictionaries follow the study's order of servers, configurations, comparisons and metrics."""
    if order is None:
        order = [name for names in value["order"].values() for name in names]
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (order.index(key) if key in order else len(order), key))
        return {key: _in_study_order(value[key], order) for key in keys}
    return value


def _disk_reads(counts: dict[str, Any] | None) -> tuple[float, float] | None:
    """Accesses for one disk request with IDE and with VirtIO Block."""
    rows = {row["device"]: row["boots"][0] for row in (counts or {"rows": []})["rows"] if row["operation"] == "read_4k"}
    return (rows["ide"], rows["virtio-blk"]) if {"ide", "virtio-blk"} <= set(rows) else None


def _boots(described: dict[str, Any]) -> int:
    """Number of boots with a steady state."""
    return sum(boot["steady_rows"] > 0 for boot in described["boots"])


def _extent(server: dict[str, Any], metric: str) -> tuple[float, float]:
    """Least and greatest sustained level of any boot of a server."""
    means = [
        boot["levels"][metric]["mean"]
        for described in server["configurations"].values()
        for boot in described["boots"]
        if boot["levels"].get(metric, {}).get("mean") is not None
    ]
    return min(means), max(means)


def _cut_range(described: dict[str, Any]) -> tuple[float, float] | None:
    """Earliest and latest start of the steady stretch of any boot, under other lengths of the rule's batches."""
    found = [boot["start_up_range_s"] for boot in described["boots"] if boot.get("start_up_range_s")]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _total(results: dict[str, Any], server: str) -> dict[str, Any]:
    """Effects of a server's whole change, by metric; empty where the study has no such server or comparison."""
    comparisons = results["servers"].get(server, {"comparisons": {}})["comparisons"].values()
    return next((dict(item["effects"]) for item in comparisons if item["purpose"] == "total"), {})


def make_page(study: Study, results: dict[str, Any], frame: Frames, language: str = "en") -> Page:
    """The page of a study with its figures.

    Parameters
    ----------
    study : Study
    results : dict
        As read from `results.json`.
    frame : callable
        Gives the rows of a server under a driver configuration.

    Raises
    ------
    StudyError
        If the report does not speak the language.
    """
    drawn = draw(study, _in_study_order(_harmless(results)), frame, words(language))
    return Page(render(results, drawn, language), drawn)
