"""The page, as a reader gets it: made from results alone, valid, self-contained, right on a telephone."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from urllib.parse import unquote_to_bytes

import html5lib
import pytest

from paths import ROOT
from synthetic import make_study
from virtio_study.analysis.records import Estimate
from virtio_study.analysis.results import Results
from virtio_study.i18n.language import ENGLISH, LANGUAGES, words
from virtio_study.pve.situations import SITUATIONS
from virtio_study.report.answers import answers
from virtio_study.report.formats import interval, quantity
from virtio_study.study import Study
from virtio_study.workflow import steps

both = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of SIMULATED boots, through every step up to the page, with the published study beside it."""
    made = make_study(tmp_path_factory.mktemp("site"))
    (made.folder.parent / "published").symlink_to(ROOT / "data" / "published")
    for server in made.servers:
        for config in made.driver_configs:
            steps.collect(made, server, config)
            steps.clean(made, server, config)
            steps.describe(made, server, config)
        steps.compare(made, server)
    for language in LANGUAGES:
        steps.write_report(made, language)
    return made


@pytest.fixture(scope="module")
def pages(study: Study) -> dict[str, str]:
    return {name: (study.reports / f"index.{name}.html").read_text(encoding="utf-8") for name in LANGUAGES}


@pytest.fixture(scope="module")
def page(pages: dict[str, str]) -> str:
    return pages["en"]


@pytest.fixture(scope="module")
def found(study: Study) -> Any:
    return json.loads((study.reports / "results.json").read_text(encoding="utf-8"))


class Reader(HTMLParser):
    """The page's words outside of figures and style, its `<data>` values, headings, names and links."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.sizes: set[int] = set()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"] or "")
        if tag == "a":
            self.links.append(attributes.get("href") or "")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        # references, and prices of exits as their sources print them, are quoted and not computed
        if tag in {"svg", "style", "data", "script", "time"} or (
            tag in {"ul", "li"} and attributes.get("lang") == "en"
        ):
            self._inside.append(tag)
        if tag == "data":
            if attributes.get("class") == "size":  # of a change: its sentence has the sign, and it is rounded
                self.sizes.add(len(self.values))
            self.values.append((attributes["value"] or "", ""))

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside == ["data"]:
            self.values[-1] = (self.values[-1][0], self.values[-1][1] + data)
        elif not self._inside:
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in (key, *leaves(item))]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def lists_of_checks(value: Any) -> list[list[Any]]:
    """Every list of checks that the page may count: those of one metric, and those of a comparison or an audit."""
    if isinstance(value, list):
        return [value] + [item for inner in value for item in lists_of_checks(inner)] if value else []
    if not isinstance(value, dict):
        return []
    own = [[c for items in value["checks"].values() for c in items]] if isinstance(value.get("checks"), dict) else []
    if "servers" in value and "findings" in value:
        own += [[c for metrics in value["servers"].values() for metric in metrics.values() for c in metric["checks"]]]
        own += [value["findings"]]
    return own + [found for item in value.values() for found in lists_of_checks(item)]


def number(text: str, language: str) -> float:
    """Read a number as the page of a language writes it."""
    text = text.replace("\N{MINUS SIGN}", "-").replace("+", "").replace("\N{NO-BREAK SPACE}", "")
    text = text.replace(".", "").replace(",", ".") if language == "es" else text.replace(",", "")
    return float(text)


def quoted(found: Any, language: str) -> set[str]:
    """Numbers in the prices of an exit, as their sources print them and as a language writes them."""
    prices = (found["plausibility"] or {"prices": {}})["prices"].values()
    return {number for price in prices for number in NUMBER.findall(words(language).gettext(price["source"]))}


def every_number_is_a_result(page: str, found: Any, language: str) -> None:
    read_page, all_leaves = read(page), leaves(found)
    numbers = {float(leaf) for leaf in all_leaves if isinstance(leaf, int | float) and not isinstance(leaf, bool)}
    assert len(read_page.values) > 50
    # how many checks passed is counted on the page
    numbers |= {
        sum(isinstance(c, dict) and c.get("status") == "pass" for c in checks) for checks in lists_of_checks(found)
    }
    for place, (value, text) in enumerate(read_page.values):
        assert float(value) in numbers, (value, text)
        shown = number(text, language)
        if place in read_page.sizes:
            assert shown == pytest.approx(abs(100 * float(value)), abs=0.51), (value, text)
            continue
        scales = (1, 2**20, 0.01, 0.03, 1e9, 1e6, 1e-6, 1e-3, 2**-20)  # 0.03: a percentage of 3 vCPUs, in cores
        assert any(shown == pytest.approx(float(value) / scale, rel=6e-3, abs=6e-4) for scale in scales), (value, text)
    texts = " ".join(str(leaf) for leaf in all_leaves)
    known = set(NUMBER.findall(texts)) | quoted(found, language)
    # SHA-256; names of devices, operations and versions, an issue, the paper's table, and the rule's constants
    prose = {
        "256",
        "4",
        "53",
        "895",
        "8139",
        "1000",
        "9",
        "500",
        "1",
        "6.4",
        "899",
        "-0.9",
        "0.9",
        "0.995",
        "899)",
        "168",
    }
    prose |= {"88", "0.95", "0.99", "0.5", "0.2", "0.3", "10", "12", "5", "2"}
    versions = (f"{row.versions} {row.host} {words(language).gettext(row.host)}" for row in SITUATIONS)
    prose |= set(NUMBER.findall(" ".join(versions)))
    for word in read_page.words:
        for token in NUMBER.findall(word):
            plain = token.replace(",", ".")
            assert {token, plain, plain.lstrip("0")} & (known | prose), (token, word.strip())


NUMBER = re.compile(r"\d[\d.,]*\d|\d")


@both
def test_every_number_on_the_page_is_in_the_results(pages: dict[str, str], found: Any, language: str):
    every_number_is_a_result(pages[language], found, language)


@both
@pytest.mark.parametrize("name", ["lab-qemu", "pve-rig"])
def test_every_number_on_a_bundled_page_is_in_its_results(name: str, language: str):
    folder = ROOT / "reports" / name
    results_file = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    every_number_is_a_result((folder / f"index.{language}.html").read_text(encoding="utf-8"), results_file, language)


def test_a_number_that_is_not_a_result_would_be_found(page: str, found: Any):
    with pytest.raises(AssertionError):
        every_number_is_a_result(page.replace("<h2", "<p>77123</p><h2", 1), found, "en")
    with pytest.raises(AssertionError):
        every_number_is_a_result(page.replace("</h1>", '<data value="0.123454321">0.123</data></h1>'), found, "en")


@both
def test_the_page_is_valid_html(pages: dict[str, str], language: str):
    parser = html5lib.HTMLParser(strict=True)
    parser.parse(pages[language])


@both
def test_names_are_unique_and_links_inside_the_page_resolve(pages: dict[str, str], language: str):
    reader = read(pages[language])
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert {f"index.{other}.html" for other in LANGUAGES if other != language} <= set(reader.links)


def test_nothing_is_loaded_and_only_the_named_script_and_style_may_run(page: str):
    for tag, attributes in read(page).tags:
        assert tag not in {"link", "iframe", "object", "embed", "img", "base", "form"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert not (attributes.get("src") or "").strip()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    said = html.unescape(policy[1])
    assert "default-src 'none'" in said
    assert "unsafe" not in said
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in said
    assert not re.search(r"@import|url\((?!#)", page)


def test_headings_are_in_order_and_tables_have_captions_and_scopes(page: str):
    reader = read(page)
    assert reader.headings.count(1) == 1
    assert max(b - a for a, b in pairwise(reader.headings)) <= 1
    assert page.count("<table") == page.count("<caption")
    assert all("scope" in attributes for tag, attributes in reader.tags if tag == "th")


def test_every_figure_has_a_text_alternative_a_caption_and_its_data(page: str, study: Study):
    assert page.count("<figure") == page.count("<figcaption") == page.count("<desc") > 4
    links = re.findall(r'download="([^"]+)" href="data:text/csv;charset=utf-8,([^"]+)"', page)
    assert len(links) == page.count("<figure")
    for name, data in links:
        assert unquote_to_bytes(data) == (study.reports / "figures" / name).read_bytes()


def test_simulated_data_is_labelled(pages: dict[str, str]):
    assert "SIMULATED data" in pages["en"]
    assert "Datos SIMULADOS" in pages["es"]


def test_the_same_results_give_the_same_bytes(study: Study, page: str):
    files = [path for path in study.reports.rglob("*") if path.is_file() and path.suffix != ".lock"]
    before = {path: path.read_bytes() for path in files}
    for language in LANGUAGES:
        steps.write_report(study, language)
    assert {path: path.read_bytes() for path in files} == before


def test_an_instrument_switch_is_never_called_a_fall(found: Any):
    lines = [line for answer in answers(Results.model_validate(found)) for line in answer.lines]
    switched = [line for line in lines if "now measures something else" in line.messages[0]]
    assert switched
    assert all(line.mark == "not_an_effect" for line in switched)


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [(1234.5, False, "1,234"), (0.0799, False, "0.08"), (-197.63, True, "−198"), (2.5, True, "+2.5"), (0.0, True, "0")],
)
def test_numbers_are_short_and_carry_a_true_minus(value: float, sign: bool, text: str):
    assert ENGLISH.number(value, sign) == text


def test_numbers_follow_the_language():
    spanish = words("es")
    assert spanish.number(1234.5) in {"1234", "1.234"}
    assert spanish.number(0.25) == "0,25"
    assert "0,05" in quantity(0.05, words=spanish)
    entry = Estimate(estimate=2**20, low=0, high=2**21, confidence=0.95, n=2, df=1, method="m", unit="bytes")
    assert re.sub(r"<[^>]+>", "", interval(entry, words=ENGLISH)) == "1\N{NO-BREAK SPACE}MiB [0, 2]"
    assert re.sub(r"<[^>]+>", "", interval(entry, words=spanish)) == "1\N{NO-BREAK SPACE}MiB [0; 2]"
