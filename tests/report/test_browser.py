"""The bundled page in Debian's Chromium: on its own, on every width, on paper, by keyboard, and for a screen reader."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from small import needs
from virtio_study.i18n.language import LANGUAGES

pytestmark = pytest.mark.slow
REPORTS = ROOT / "reports"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
both = pytest.mark.parametrize("language", LANGUAGES)
WIDTHS = (320, 390, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=needs("chromium"), args=OPTIONS)
        yield made
        made.close()


def opened(
    browser: Any,
    language: str,
    width: int = 1440,
    study: str = "lab-qemu",
    height: int = 900,
    ask: str = "",
    **how: Any,
) -> Any:
    """The page of a language, in a context without a network; `asked` and `said` gather requests and messages."""
    context = browser.new_context(viewport={"width": width, "height": height}, **how)
    context.set_offline(True)
    view = context.new_page()
    view.asked, view.said = [], []
    view.on("request", lambda request: view.asked.append(request.url))
    view.on("console", lambda message: view.said.append(message.text))
    view.on("pageerror", lambda error: view.said.append(str(error)))
    view.goto((REPORTS / study / f"index.{language}.html").as_uri() + ask)
    return view


@both
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("study", ["lab-qemu", "pve-rig"])
def test_nothing_is_requested_nothing_fails_and_nothing_scrolls_sideways(
    browser: Any, language: str, scheme: str, study: str
):
    for width in WIDTHS:
        view = opened(browser, language, width, study, color_scheme=scheme)
        assert view.asked == [view.url]
        assert view.said == []
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        view.context.close()


@both
@pytest.mark.parametrize(
    ("study", "scheme", "width", "parts"),
    [
        # of the larger page what the other has not; axe takes minutes for all of its evidence
        ("lab-qemu", "light", 1440, ["header", "#short", "nav", "#verdicts", "#accesses", "#plausibility"]),
        ("lab-qemu", "dark", 390, ["header", "#short", "nav", "#verdicts"]),
        ("pve-rig", "dark", 1440, ["html"]),
    ],
)
def test_axe_finds_nothing(browser: Any, language: str, study: str, scheme: str, width: int, parts: list[str]):
    from axe_playwright_python.sync_playwright import Axe

    view = opened(browser, language, width, study, color_scheme=scheme)
    view.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    where = {"include": [[part] for part in parts]}
    found = Axe().run(view, context=where, options={"runOnly": {"type": "tag", "values": rules}})
    view.context.close()
    assert found.response["passes"]
    assert found.response["violations"] == [], found.generate_report()


@both
def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Any, language: str):
    view = opened(browser, language, 390)
    wanted = view.evaluate(
        "[...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]"
        ".filter((item) => item.checkVisibility()).length"
    )
    seen = set()
    for _ in range(wanted + 20):
        view.keyboard.press("Tab")
        place, outline = view.evaluate(
            "(() => { const at = document.activeElement;"
            " return [[...document.querySelectorAll('*')].indexOf(at), getComputedStyle(at).outlineStyle]; })()"
        )
        if place in seen or view.evaluate("document.activeElement === document.body"):
            break
        seen.add(place)
        assert outline != "none", view.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    view.context.close()
    assert len(seen) >= wanted


@both
def test_with_scripts_off_the_page_says_all_that_it_says(browser: Any, language: str):
    texts = []
    for on in (True, False):
        view = opened(browser, language, java_script_enabled=on)
        content = view.content()
        assert view.locator("figure svg:not(.chart, .chart svg)").count() == content.count("<figcaption")
        texts.append(re.sub(r"\s+", " ", view.locator("main").text_content()))
        view.context.close()
    assert len(texts[1]) > 10_000
    # scripts add words of buttons and readings, and take none away
    lost = set(texts[1].split()) - set(texts[0].split())
    assert not {word for word in lost if len(word) > 12 and word.isalpha()}, lost


def test_scripts_sort_tables_tell_intervals_and_enlarge_figures(browser: Any):
    view = opened(browser, "en")
    view.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    column = view.locator("#sensitivity table th button").nth(4)
    for order in ("ascending", "descending"):
        column.click()
        cells = view.locator("#sensitivity table tbody tr td:nth-child(5) data").evaluate_all(
            "(found) => found.map((item) => Number(item.value))"
        )
        assert cells == sorted(cells, reverse=order == "descending")
        assert view.locator("#sensitivity table [aria-sort]").get_attribute("aria-sort") == order
    figure = view.locator("figure:has([data-says])").first
    line = figure.locator("[data-says]").last
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    view.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 4)
    assert figure.locator("output").inner_text() == line.locator("title").text_content()
    figure.get_by_role("button", name="What the intervals mean").press("Enter")
    assert figure.locator("output").inner_text() != line.locator("title").text_content()
    before = figure.locator("svg").bounding_box()["width"]
    figure.get_by_role("button", name="Enlarge").click()
    assert figure.locator("svg").bounding_box()["width"] > 1.5 * before
    assert view.evaluate("document.documentElement.scrollWidth") <= 1440
    view.context.close()


def seen(figure: Any) -> tuple[float, float]:
    """Seconds at both ends of what a zoomed time series shows, in either language."""
    group, point = (",", ".") if figure.page.locator("html").get_attribute("lang") == "en" else (".", ",")
    text = figure.locator(".shown").inner_text().replace(group, "").replace(point, ".")
    left, right = re.findall(r"[\d.]+(?= s)", text)
    return float(left), float(right)


def test_a_time_series_is_zoomed_moved_and_read_by_keyboard(browser: Any):
    view = opened(browser, "en", 390, "pve-rig")
    view.locator("nav a[href='#dominio']").press("Enter")
    figure = view.locator("#dominio figure[data-start-up]").first
    assert [figure.locator("svg.chart").is_visible(), figure.locator("svg.still").is_visible()] == [True, False]
    slider, output = figure.locator("input[type=range]"), figure.locator("output.reading")
    slider.focus()
    for key in ("End", "+", "+"):
        view.keyboard.press(key)
    assert re.fullmatch(r"[\d,]+ s · CPU [\d.]+ · displayed [\d.]+ MiB · host [\d.]+ MiB", output.inner_text())
    assert slider.get_attribute("aria-valuetext") == output.inner_text()
    left, right = seen(figure)
    assert right == float(output.inner_text().split(" s")[0].replace(",", "")), "what was read stays in sight"
    assert 0 < right - left < 0.5 * right
    view.keyboard.press("Home")
    assert seen(figure) == (0, pytest.approx(right - left, abs=1)), "reading beyond the edge moves the view"
    view.keyboard.press("0")
    assert figure.locator(".shown").inner_text() == ""
    view.emulate_media(media="print")
    assert [figure.locator("svg.chart").is_visible(), figure.locator("svg.still").is_visible()] == [False, True]
    view.context.close()


def test_a_time_series_is_zoomed_moved_and_read_by_touch(browser: Any):
    view = opened(browser, "es", 390, "pve-rig", has_touch=True)
    view.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    figure = view.locator("#dominio figure[data-start-up]").first
    figure.scroll_into_view_if_needed()
    box = figure.locator("svg.chart").bounding_box()
    fingers = view.context.new_cdp_session(view)

    def touch(kind: str, *shares: float) -> None:
        at = [{"x": box["x"] + share * box["width"], "y": box["y"] + 80, "id": n} for n, share in enumerate(shares)]
        fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": at})

    readings = []
    for share in (0.3, 0.8):
        touch("Start", share)
        touch("End")
        readings.append(figure.locator("output.reading").inner_text())
        assert re.search(r"CPU 0,\d+ · mostrada", readings[-1])
    assert readings[0] != readings[1]
    touch("Start", 0.5, 0.6)
    for apart in (0.15, 0.2, 0.3):
        touch("Move", 0.55 - apart, 0.55 + apart)
    touch("End")
    left, right = seen(figure)
    assert 0 < right - left < 400, "two fingers moved apart: less of the 1,200 seconds is seen"
    touch("Start", 0.8)
    touch("Move", 0.5)
    touch("End")
    assert seen(figure)[0] > left, "one finger to the left: later rows come into sight"
    view.context.close()


@both
@pytest.mark.parametrize("study", ["lab-qemu", "pve-rig"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_the_first_screen_answers_six_questions_and_has_a_picture(
    browser: Any, language: str, study: str, width: int, height: int
):
    """Whoever reads only the first screen can say: 1. whether CPU use fell, or that this study cannot tell; 2. whether
    the RAM that Proxmox VE shows fell, and whether that is a saving; 3. whether the host gets memory back; 4. from
    which ingredient, and whether VirtIO's disk and card give any; 5. whether the published saving can be believed;
    6. what to do about memory and about CPU. Each with its verdict, in words and a shape.
    """
    view = opened(browser, language, width, study, height)
    answers = view.locator(".answer")
    assert answers.count() == 5
    assert all(item.locator(".mark").count() for item in answers.all())
    lowest = view.evaluate(
        "Math.max(...[...document.querySelectorAll('.answer, .first figure svg')]"
        ".map((item) => item.getBoundingClientRect().bottom))"
    )
    text = view.locator(".answers").inner_text()
    view.context.close()
    assert lowest <= height
    assert not re.search(r"[\[\](){}→±φ]", text)
    assert all(len(part.split()) < 25 for part in re.split(r"[.:?]\s", text))


@both
@pytest.mark.parametrize("study", ["lab-qemu", "pve-rig"])
def test_what_is_open_by_default_is_short_and_no_verdict_is_off_a_telephones_screen(
    browser: Any, language: str, study: str
):
    view = opened(browser, language, 390, study, 844)
    assert view.evaluate("document.documentElement.scrollHeight") <= 12 * 844
    assert len(view.evaluate("document.body.innerText").split()) <= 1500
    view.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    off = view.evaluate(
        "[...document.querySelectorAll('.status, td')].filter((item) => item.getBoundingClientRect().right > 390)"
        ".map((item) => item.outerHTML.slice(0, 200))"
    )
    view.context.close()
    assert off == []


@both
def test_a_mark_tells_its_meaning_and_a_link_opens_its_section(browser: Any, language: str):
    view = opened(browser, language, 390)
    mark = view.locator(".answer .mark").first
    meaning = view.locator(f"#{mark.get_attribute('popovertarget')}")
    assert not meaning.is_visible()
    mark.click()
    assert meaning.is_visible()
    assert len(meaning.inner_text().split()) > 8
    view.keyboard.press("Escape")
    link = view.locator("nav a[href='#methods']")
    link.click()
    assert view.locator("#methods").is_visible()
    view.wait_for_function("document.querySelector('nav a[aria-current]').hash === '#methods'")
    assert link.bounding_box()["y"] < 60, "the contents stay in sight"
    view.context.close()


@both
def test_it_prints_its_summary_on_four_pages_and_on_wish_everything(browser: Any, language: str, tmp_path: Path):
    pages = {}
    for ask in ("", "?print=all"):
        view = opened(browser, language, ask=ask)
        view.emulate_media(media="print")
        view.set_viewport_size({"width": 673, "height": 1000})  # A4 less two margins of 16 mm, at 96 dots an inch
        assert view.evaluate("document.documentElement.scrollWidth") <= 673
        wide = view.evaluate(
            "[...document.querySelectorAll('figure svg, table')]"
            ".filter((item) => item.getBoundingClientRect().right > 674).map((item) => item.outerHTML.slice(0, 120))"
        )
        assert wide == []
        tall = view.locator("figure").evaluate_all("(found) => Math.max(...found.map((item) => item.offsetHeight))")
        assert tall < 1000, "a figure that is taller than a page would be cut"
        made = view.pdf(format="A4", path=tmp_path / "page.pdf")
        view.context.close()
        assert made.startswith(b"%PDF")
        pages[ask] = len(re.findall(rb"/Type /Page\b", made))
    assert pages[""] <= 4
    assert 10 < pages["?print=all"] <= 60


def test_the_pages_are_small():
    for path in REPORTS.glob("*/index.*.html"):
        servers = len(json.loads((path.parent / "results.json").read_text(encoding="utf-8"))["servers"])
        assert path.stat().st_size < (1.5 + 0.15 * max(0, servers - 2)) * 2**20
