"""The page of `explain`: both languages in one file, nothing fetched, and texts of a host that change nothing in it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from small import needs
from virtio_study.analysis.unchanged import Unchanged, outlooks
from virtio_study.pve.explanation import Explanation, Seen, explanation_of
from virtio_study.report.explanation_page import render_explanations

AT = datetime(2026, 3, 2, tzinfo=UTC)
GIB = 2**30


def explained(name: str) -> list[Explanation]:
    sample = {"qmpstatus": "running", "mem": 8.05 * GIB, "memhost": 8.05 * GIB, "maxmem": 8 * GIB}
    config = {"ide0": "local:1,size=1G", "net0": "e1000=AA", "balloon": 0}
    shown = Seen(100, name, "pve1", "running", config=config, sample=sample, qemu_server="9.2.6")
    return [explanation_of(shown), explanation_of(Seen(101, "b", "pve1", "stopped"))]


def test_both_languages_are_in_one_file_that_fetches_nothing() -> None:
    page = render_explanations(explained("a"), "pve1", "es", AT)
    assert page.startswith('<!DOCTYPE html>\n<html lang="es">')
    assert re.findall(r'<div id="(..)" lang=".." class="(tongue[ own]*)">', page) == [
        ("en", "tongue"),
        ("es", "tongue own"),
    ]
    assert "Whose memory is that?" in page
    assert "¿De quién es esa memoria?" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert page.count("<script") == 1
    assert page == render_explanations(explained("a"), "pve1", "es", AT)


def test_every_cell_has_its_heading_and_every_number_its_value() -> None:
    page = render_explanations(explained("a"), "pve1", "en", AT)
    english = page[page.index('id="en"') : page.index('id="es"')]
    assert f'<td data-label="host"><data value="{8.05 * GIB}">8.05</data>' in english
    assert 'data-label="of its allocation"><data value="1.00625">100.6</data>' in english
    assert page.count("can show 100.6 %") == english.count("can show 100.6 %") == 1
    assert page.count("100,6 %") == 1
    assert "disk ide, network e1000" in english


def test_a_name_from_a_host_is_text() -> None:
    page = render_explanations(explained("<script>alert(1)</script>"), "<b>", "en", AT)
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>&" not in page


def test_a_forecast_is_a_table_in_both_languages_with_what_it_supposes() -> None:
    rows = pd.DataFrame({"mem_host_bytes": [4 * GIB] * 3, "mem_guest_bytes": [1 * GIB] * 3})
    known = Unchanged("100 a", rows, "ide", "e1000", "possible")
    ahead = outlooks([known, Unchanged("101 b", rows[["mem_host_bytes"]], "ide", "e1000", "possible")])
    page = render_explanations(explained("a"), "pve1", "en", AT, ahead)
    assert page.count('data-label="RAM for the host"') == page.count('data-label="RAM para el anfitrión"') == 2
    assert "a bound, and no prediction" in page
    assert "hay una cota y no un pronóstico" in page
    assert "The guest runs Linux 5.7 or newer" in page
    assert "Assumptions" not in render_explanations(explained("a"), "pve1", "en", AT)


def several() -> list[Explanation]:
    rows = []
    for vmid, (name, mem) in enumerate({"web-10": 3.0, "web-9": 2.0, "base": 5.0}.items(), 100):
        sample = {"qmpstatus": "running", "mem": mem * GIB, "memhost": mem * GIB, "maxmem": 8 * GIB}
        config = {"ide0": "local:1,size=1G", "net0": "e1000=AA", "balloon": 0}
        shown = Seen(vmid, name, "pve1", "running", config=config, sample=sample, qemu_server="9.2.6")
        rows.append(explanation_of(shown))
    return [*rows, explanation_of(Seen(103, "off", "pve1", "stopped"))]


@pytest.mark.slow
def test_in_a_browser_tables_sort_and_search_in_both_languages_on_a_telephone(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    rows = pd.DataFrame({"mem_host_bytes": [4 * GIB] * 3, "mem_guest_bytes": [1 * GIB] * 3})
    ahead = outlooks([Unchanged(f"{vmid} a", rows, "ide", "e1000", "possible") for vmid in (100, 101)])
    file = tmp_path / "explain.html"
    file.write_text(render_explanations(several(), "pve1", "en", AT, ahead), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 390, "height": 800})
        asked: list[str] = []
        said: list[str] = []
        view.on("request", lambda request: asked.append(request.url))
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        for language, other in (("en", "es"), ("es", "en")):
            view.set_viewport_size({"width": 390, "height": 800})
            view.goto(f"{file.as_uri()}#{language}")
            assert view.is_visible(f"#{language}")
            assert not view.is_visible(f"#{other}")
            assert view.evaluate("document.documentElement.scrollWidth") <= 390
            view.fill(f'[data-table="servers-{language}-c"] input', "WEB")
            listed = view.locator(f"#{language} table").first.locator("tbody th")
            assert listed.all_inner_texts() == ["100 web-10", "101 web-9"]
            assert view.inner_text(f'[data-table="servers-{language}-c"] output') == "2 / 4"
            view.fill(f'[data-table="servers-{language}-c"] input', "")
            view.set_viewport_size({"width": 1440, "height": 800})
            displayed = view.locator(f"#{language} table").first.locator("thead button").nth(2)
            displayed.focus()
            view.keyboard.press("Enter")
            assert [text[4:] for text in listed.all_inner_texts()] == ["web-9", "web-10", "base", "off"]
            view.keyboard.press("Enter")
            assert [text[4:] for text in listed.all_inner_texts()] == ["base", "web-10", "web-9", "off"]
        assert {url.partition("#")[0] for url in asked} == {file.as_uri()}
        assert said == []
        browser.close()
