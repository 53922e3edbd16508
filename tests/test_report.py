"""The page, as a reader gets it: made from results alone, valid, self-contained, right on a telephone."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import html5lib
import pytest

from conftest import needs
from synthetic import make_study
from virtio_study import results, steps
from virtio_study.report.numbers import interval, number_text, quantity
from virtio_study.report.render import conclusions, write_report
from virtio_study.study import Study

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "reports" / "lab-qemu"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of SIMULATED boots, through every step up to the page, with the published study beside it."""
    made = make_study(tmp_path_factory.mktemp("site"))
    (made.folder.parent / "published").symlink_to(ROOT / "data" / "published")
    for server in made.servers:
        for config in made.driver_configs:
            steps.collect(made, server, config)
            steps.clean(made, server, config)
            results.describe(made, server, config)
        results.compare(made, server)
    write_report(made)
    return made


@pytest.fixture(scope="module")
def page(study: Study) -> str:
    return (study.reports / "index.en.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(study: Study) -> Any:
    return json.loads((study.reports / "results.json").read_text(encoding="utf-8"))


class Words(HTMLParser):
    """The page's words outside of figures and style, its `<data>` values, headings, names and links."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.values: list[tuple[str, str]] = []
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
        if tag in {"svg", "style", "data"}:
            self._inside.append(tag)
        if tag == "data":
            self.values.append((attributes["value"] or "", ""))

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside == ["data"]:
            self.values[-1] = (self.values[-1][0], self.values[-1][1] + data)
        elif not self._inside:
            self.words.append(data)


def read(page: str) -> Words:
    words = Words()
    words.feed(page)
    return words


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in (key, *leaves(item))]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def every_number_is_a_result(page: str, found: Any) -> None:
    words, all_leaves = read(page), leaves(found)
    numbers = {float(leaf) for leaf in all_leaves if isinstance(leaf, int | float) and not isinstance(leaf, bool)}
    assert len(words.values) > 50
    for value, text in words.values:
        assert float(value) in numbers, (value, text)
        shown = float(text.replace("\N{MINUS SIGN}", "-").replace("+", "").replace(",", ""))
        scales = (1, 2**20, 0.01, 0.03, 1e9, 1e6)  # 0.03: a percentage of 3 vCPUs, in cores
        assert any(shown == pytest.approx(float(value) / scale, rel=6e-3, abs=6e-4) for scale in scales), (value, text)
    texts = " ".join(str(leaf) for leaf in all_leaves)
    known = set(re.findall(r"\d[\d.,]*\d|\d", texts)) | {"256"}  # SHA-256
    # names of devices, operations and versions, an issue, and the paper's table
    prose = {"4", "53", "895", "8139", "1000", "9", "500", "1", "6.4", "899"}
    for word in words.words:
        for token in re.findall(r"\d[\d.,]*\d|\d", word):
            assert token in known or token in prose, (token, word.strip())


def test_every_number_on_the_page_is_in_the_results(page: str, found: Any):
    every_number_is_a_result(page, found)


def test_every_number_on_the_bundled_page_is_in_its_results():
    every_number_is_a_result(
        (BUNDLED / "index.en.html").read_text(encoding="utf-8"),
        json.loads((BUNDLED / "results.json").read_text(encoding="utf-8")),
    )


def test_a_number_that_is_not_a_result_would_be_found(page: str, found: Any):
    with pytest.raises(AssertionError):
        every_number_is_a_result(page.replace("<h2", "<p>77123</p><h2", 1), found)
    with pytest.raises(AssertionError):
        every_number_is_a_result(page.replace("</h1>", '<data value="0.123454321">0.123</data></h1>'), found)


def test_the_page_is_valid_html(page: str):
    parser = html5lib.HTMLParser(strict=True)
    parser.parse(page)


def test_names_are_unique_and_links_inside_the_page_resolve(page: str):
    words = read(page)
    assert len(words.ids) == len(set(words.ids))
    assert {link[1:] for link in words.links if link.startswith("#")} <= set(words.ids)


def test_nothing_is_loaded_and_nothing_runs(page: str):
    for tag, attributes in read(page).tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "img"}
        assert not any(name.startswith("on") for name in attributes)
        assert not (attributes.get("src") or "").strip()
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\((?!#)", page)


def test_headings_are_in_order_and_tables_have_captions_and_scopes(page: str):
    words = read(page)
    assert words.headings.count(1) == 1
    steps_down = [b - a for a, b in zip(words.headings, words.headings[1:], strict=False)]
    assert max(steps_down) <= 1
    assert page.count("<table") == page.count("<caption")
    assert all("scope" in attributes for tag, attributes in words.tags if tag == "th")


def test_every_figure_has_a_text_alternative_and_a_caption(page: str):
    assert page.count("<figure") == page.count("<figcaption") == page.count("<desc") > 4


def test_simulated_data_is_labelled(page: str):
    assert "SIMULATED data" in page


def test_figures_come_with_their_data(study: Study):
    tables = sorted((study.reports / "figures").glob("*.csv"))
    assert len(tables) == len(study.servers) * len(study.driver_configs)
    rows = list(csv.DictReader(io.StringIO(tables[0].read_text())))
    assert {"uptime_s", "cpu_cores", "mem_host_bytes"} <= set(rows[0])


def test_the_same_results_give_the_same_bytes(study: Study, page: str):
    files = [path for path in study.reports.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    write_report(study)
    assert {path: path.read_bytes() for path in files} == before


def test_an_instrument_switch_is_never_among_the_changes(found: Any):
    sorted_out = conclusions(found)
    assert sorted_out["changed"]
    assert all(effect["status"] == "estimated" for _, _, effect in sorted_out["changed"])
    assert any(effect["status"] == "instrument_switch" for _, _, effect in sorted_out["unknown"])


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [(1234.5, False, "1,234"), (0.0799, False, "0.08"), (-197.63, True, "−198"), (2.5, True, "+2.5"), (0.0, True, "0")],
)
def test_numbers_are_short_and_carry_a_true_minus(value: float, sign: bool, text: str):
    assert number_text(value, "en", sign) == text


def test_numbers_follow_the_language():
    assert number_text(1234.5, "es") in {"1234", "1.234"}
    assert number_text(0.25, "es") == "0,25"
    assert "0,05" in quantity(0.05, "", "es")
    entry = {"estimate": 2**20, "low": 0.0, "high": 2**21, "unit": "bytes"}
    assert re.sub(r"<[^>]+>", "", interval(entry)) == "1\N{NO-BREAK SPACE}MiB [0, 2]"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_nothing_is_requested_and_nothing_scrolls_sideways(scheme: str):
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=options)
        for width in (320, 390, 1440):
            view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            asked: list[str] = []
            said: list[str] = []
            view.on("request", lambda request, asked=asked: asked.append(request.url))
            view.on("console", lambda message, said=said: said.append(message.text))
            address = (BUNDLED / "index.en.html").as_uri()
            view.goto(address)
            assert asked == [address]
            assert said == []
            assert view.evaluate("document.documentElement.scrollWidth") <= width
            view.close()
        browser.close()
