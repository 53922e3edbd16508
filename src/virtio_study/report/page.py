"""From the results and the cleaned tables to the published page, one self-contained file a language."""

import base64
import hashlib
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from virtio_study.analysis.description import Description
from virtio_study.analysis.effects import Effect
from virtio_study.analysis.results import Results, ServerResults
from virtio_study.analysis.validity import Check
from virtio_study.errors import StudyError
from virtio_study.i18n.language import LANGUAGES, UnknownLanguageError, Words, words
from virtio_study.i18n.marks import N_
from virtio_study.pve.situations import DEVICES, SITUATIONS
from virtio_study.report.answers import MARKS, answers, disk_reads, finding, none_passes, worst
from virtio_study.report.checklists import labelled, passed, shared
from virtio_study.report.drawings import Drawn, Frames, draw
from virtio_study.report.formats import interval, moment, printed, quantity
from virtio_study.report.headings import capacity_found, methods_found, plausibility_found, sensitivity_found
from virtio_study.report.names import overview_name
from virtio_study.report.references import REFERENCES
from virtio_study.study import METRICS

__all__ = ["Page", "audited", "dress", "make_page", "render_page", "template_environment", "words_of"]

SYMBOLS = {
    "believable": "\N{HEAVY CHECK MARK}",
    "with_reservations": "\N{BLACK UP-POINTING TRIANGLE}",
    "not_believable": "\N{HEAVY MULTIPLICATION X}",
    "not_an_effect": "\N{WHITE DIAMOND}",
    "counted": "#",
    "pass": "\N{HEAVY CHECK MARK}",
    "warn": "\N{BLACK UP-POINTING TRIANGLE}",
    "fail": "\N{HEAVY MULTIPLICATION X}",
    "not_assessable": "?",
}
"""A shape for every verdict and check status, beside its colour and its word."""


FOUND = {
    "capacity": capacity_found,
    "plausibility": plausibility_found,
    "sensitivity": sensitivity_found,
    "methods": methods_found,
}
"""Section -> what its heading says."""


@dataclass(frozen=True)
class Page:
    """A page of a report as text, and the figures in it by name."""

    html: str
    figures: dict[str, Drawn]


def template_environment(language: Words) -> jinja2.Environment:
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
        language.gettext, language.ngettext, newstyle=True
    )
    made.filters["quantity"] = partial(quantity, words=language)
    made.filters["interval"] = partial(interval, words=language)
    made.filters["printed"] = partial(printed, words=language)
    made.filters["moment"] = moment
    made.filters["setting"] = partial(language.term, "setting")
    made.filters["own"] = language.own
    made.filters |= {"labelled": labelled, "passed": passed, "shared": shared}
    made.filters["extract"] = lambda key, names: names[key]
    made.globals["term"] = language.term
    made.globals["list_mark"] = ", " if language.language == "en" else "; "
    made.globals["told"] = lambda why: language.sentence("{why}", {"why": why if isinstance(why, str) else why.said})
    made.globals["sentence"] = lambda said: language.sentence(said.messages, said.fields)
    return made


def words_of(language: str) -> Words:
    """The words of a language that a report can be in.

    Raises
    ------
    StudyError
        If the report does not speak it.
    """
    try:
        return words(language)
    except UnknownLanguageError as error:
        raise StudyError(
            N_("language is {language!r}; expected one of {known}"), language=language, known=", ".join(LANGUAGES)
        ) from error


def render_page(results: Results, drawn: dict[str, Drawn], language: str = "en") -> str:
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
    words = words_of(language).naming(results.study.driver_configs)
    page: str = (
        template_environment(words)
        .get_template("report.html.j2")
        .render(
            r=results,
            figures=drawn,
            answers=answers(results),
            finding=partial(finding, results),
            worst=partial(worst, results),
            founds={name: find(results) for name, find in FOUND.items()},
            disturbed=any(run.contaminated for runs in (results.timeline or {}).values() for run in runs),
            none_passes=none_passes(results),
            audited=audited(results, words),
            overview=overview_name(language),
            metric_names={metric: words.term("metric", metric) for metric in METRICS},
            configurations=[c for s in results.servers.values() for c in s.configurations.values()],
            disk_reads=disk_reads(results.counts),
            extent=_extent,
            cut_range=_cut_range,
            total=partial(_total, results),
            references=REFERENCES,
            situations=SITUATIONS,
            situation_devices=DEVICES,
            language=language,
            languages=LANGUAGES,
            results_link=Markup('<a href="results.json"><code>results.json</code></a>'),
            notebooks_link=Markup('<a href="notebooks/"><code>notebooks/</code></a>'),
            **dress(),
        )
    )
    return page


def dress(*scripts: str) -> dict[str, Any]:
    """What every page wears: style, script, the policy that lets these two run and nothing else, and the marks.

    A page that has scripts of its own names them; the others have the report's.
    """
    here = files("virtio_study.report") / "templates"
    style = (here / "style.css").read_text(encoding="utf-8")
    script = "".join(
        (here / name).read_text(encoding="utf-8") for name in scripts or ("sorting.js", "script.js", "chart.js")
    )
    return {
        "style": Markup(style),
        "script": Markup(script),
        "policy": f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'",
        "symbols": SYMBOLS,
        "meanings": MARKS,
    }


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _extent(server: ServerResults, metric: str) -> tuple[float, float]:
    """Least and greatest sustained level of any boot of a server."""
    means = [mean for described in server.configurations.values() for mean in described.means(metric)]
    return min(means), max(means)


def _cut_range(described: Description) -> tuple[float, float] | None:
    """Earliest and latest start of the steady stretch of any boot, under other lengths of the rule's batches."""
    found = [boot.start_up_range_s for boot in described.boots if boot.start_up_range_s]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def audited(results: Results, words: Words) -> tuple[dict[str, tuple[Check, ...]], dict[str, str]]:
    """Checks of the published figures by server and metric, and what readers call these."""
    audits = {
        f"{server}, {words.term('metric', metric)}": audit.checks
        for server, metrics in (results.published.servers if results.published else {}).items()
        for metric, audit in metrics.items()
    }
    return audits, {name: name for name in audits}


def _total(results: Results, server: str) -> dict[str, Effect]:
    """Effects of a server's whole change, by metric; empty where the study has no such server or comparison."""
    comparisons = results.servers[server].comparisons.values() if server in results.servers else ()
    return next((item.effects for item in comparisons if item.purpose == "total"), {})


def make_page(results: Results, frame: Frames, language: str = "en") -> Page:
    """The page of a study with its figures.

    Parameters
    ----------
    frame : callable
        Gives the rows of a server under a driver configuration.

    Raises
    ------
    StudyError
        If the report does not speak the language.
    """
    drawn = draw(results, frame, words_of(language).naming(results.study.driver_configs))
    return Page(render_page(results, drawn, language), drawn)
