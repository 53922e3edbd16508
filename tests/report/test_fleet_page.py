"""The page of a fleet: simulated said first, names that are text, ten thousand changes in one file that stay usable."""

import json
import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from small import needs
from virtio_study.fleet.estimating import REASONS
from virtio_study.fleet.results import FleetResults, of_survey
from virtio_study.fleet.survey import survey
from virtio_study.fleet.telling import said_answers
from virtio_study.fleet.writing import findings_frame
from virtio_study.i18n.language import LANGUAGES, words
from virtio_study.i18n.sentences import english
from virtio_study.report.fleet_page import render_fleet
from virtio_study.testing.fleet import SimulatedFleet

MOST_BYTES = 3_000_000


@cache
def surveyed() -> tuple[FleetResults, pd.DataFrame]:
    found = survey(SimulatedFleet(25, seed=4, without_effect=0.0), 0.95)
    return of_survey(found, "simulated-25-4", True, 0.95), findings_frame(found.findings)


def data(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="rows">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_first_that_nothing_was_measured_and_fetches_nothing(language: str) -> None:
    page = render_fleet(*surveyed(), language)
    said = {"en": "Simulated: nothing of this was measured.", "es": "Simulado: nada de esto se midió."}[language]
    assert page.index(said) < page.index("<main>")
    asked = {link for link in re.findall(r'(?:src|href)="([^"]*)"', page) if not link.startswith("#")}
    assert asked == {f"fleet.{other}.html" for other in LANGUAGES if other != language}
    assert page == render_fleet(*surveyed(), language)


def test_every_change_and_every_reason_is_in_the_table() -> None:
    results, effects = surveyed()
    made = data(render_fleet(results, effects, "en"))
    assert len(made["rows"]) == results.changes > 3
    cells = [cell for row in made["rows"] for cell in row[4]]
    assert len([cell for cell in cells if isinstance(cell, list)]) == results.effects
    assert sum(cell[3] for cell in cells if isinstance(cell, list)) == results.discoveries > 0
    assert len([cell for cell in cells if isinstance(cell, int)]) == sum(item.count for item in results.silences)


def test_why_an_effect_is_not_told_is_said_in_the_language_of_the_page() -> None:
    results, effects = surveyed()
    reasons = {REASONS[item.reason] for item in results.silences}
    assert reasons
    for language in LANGUAGES:
        table = render_fleet(results, effects, language).split('id="silences-c"')[1].split("</table>")[0]
        assert all(words(language).gettext(reason) in unescape(table) for reason in reasons)


def test_the_answer_is_that_of_the_change_that_most_servers_made_and_not_the_largest() -> None:
    results, _ = surveyed()
    few, *others = (item for item in results.pooled if item.metric == "cpu" and item.mean)
    assert few.mean is not None
    many = few.model_copy(update={"servers": few.servers + 5})
    large = few.model_copy(update={"mean": few.mean.model_copy(update={"estimate": -0.9})})
    said = english(said_answers(results.model_copy(update={"pooled": (large, many, *others)}))[0])
    assert f"over the {many.servers} servers with the most frequent change" in said
    assert "-90" not in said


def test_a_name_cannot_end_the_script_or_become_markup() -> None:
    results, effects = surveyed()
    hostile = "</script><script>alert(1)</script>"
    page = render_fleet(results, effects.assign(server=hostile, node="<b>"), "en")
    assert hostile not in page
    assert "<b>" not in page.replace('<p class="note"><b>', "")
    assert data(page)["rows"][0][0] == hostile


def test_every_server_that_did_not_change_has_its_forecast_those_first_that_are_worth_most() -> None:
    results, effects = surveyed()
    page = render_fleet(results, effects, "en")
    ahead = data(page)["ahead"]
    assert len(ahead) == len(results.outlooks) == results.servers - results.changed > 10
    assert [row[0] for row in ahead] == [item.name for item in results.outlooks]
    worth = [row[5][1] for row in ahead if row[5]]
    assert worth == sorted(worth, reverse=True)
    assert worth[0] > 0
    assert f'<th scope="row">{results.outlooks[0].name}</th>' in page
    without = render_fleet(results.model_copy(update={"outlooks": ()}), effects, "en")
    assert 'id="ahead"' not in without


def test_every_node_is_told_with_what_its_others_did_meanwhile() -> None:
    found = survey(SimulatedFleet(20, seed=4, per_node=10, shock=0.5, days=16), 0.95)
    results = of_survey(found, "shocked", True, 0.95)
    assert [item.servers for item in results.by_node] == [10, 10]
    assert sum(item.changed for item in results.by_node) == results.changed
    assert sum(item.shown for item in results.by_node) == results.discoveries
    known = [item.meanwhile for item in results.by_node if item.meanwhile is not None]
    assert known
    assert all(0.2 < value < 0.7 for value in known)
    page = render_fleet(results, findings_frame(found.findings), "es")
    assert "2 nodos, un cuadrado cada uno" in page
    assert [row[:2] for row in data(page)["map"]] == [[0, 10], [1, 10]]


def test_the_first_sentence_is_what_the_changes_did_and_numbers_are_of_the_language() -> None:
    results, effects = surveyed()
    page = render_fleet(results, effects, "es").split("<main>")[1]
    first = re.sub("<[^>]*>", "", page.split("</p>")[0]).strip()
    assert re.match(
        r"(CPU|RAM ocupada en el anfitrión): \N{MINUS SIGN}\d.* con el cambio más frecuente: .* \(a VirtIO\)\.", first
    )
    assert "durante 30 días" in first
    assert "30.0" not in first


def ten_thousand(results: FleetResults) -> FleetResults:
    copies = range(10_000 // len(results.outlooks) + 1)
    rows = [item.model_copy(update={"name": f"{item.name}-{copy}"}) for copy in copies for item in results.outlooks]
    return results.model_copy(update={"outlooks": tuple(rows)})


def many() -> pd.DataFrame:
    _, effects = surveyed()
    copies = 10_000 // effects["server"].nunique() + 1
    return pd.concat(
        [effects.assign(server=effects["server"] + f"-{number}") for number in range(copies)], ignore_index=True
    )


@pytest.mark.slow
def test_ten_thousand_changes_are_searched_sorted_and_paged(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    page = render_fleet(ten_thousand(surveyed()[0]), many(), "en")
    assert len(page.encode()) < MOST_BYTES
    (tmp_path / "fleet.en.html").write_text(page, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs("chromium"), args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1440, "height": 800})
        said: list[str] = []
        view.on("console", lambda message: said.append(message.text))
        view.goto((tmp_path / "fleet.en.html").as_uri())
        rows = view.locator("#changes tbody tr")
        assert rows.count() == 50
        view.click("#changes-tools .on")
        assert view.inner_text("#changes-tools output").startswith("51–100 / 10,0")
        view.fill("#changes-tools [type=search]", "node0000 -7")
        assert all("-7" in text for text in rows.locator("th").all_inner_texts())
        view.locator("#changes tbody button").first.click()
        opened = view.locator("#changes tbody tr table tr")
        assert opened.count() >= 3
        assert view.locator("#changes tbody svg line").count() > 0
        assert view.get_attribute("#changes tbody button", "aria-expanded") == "true"
        view.locator("#changes tbody button").first.click()
        assert opened.count() == 0
        assert view.inner_text("#ahead-tools output").startswith("1–50 / 10,0")
        view.fill("#ahead-tools [type=search]", "-7")
        assert all("-7" in text for text in view.locator("#ahead tbody th").all_inner_texts())
        view.check("#only")
        view.select_option("#metric", label="RAM spent by the host")
        assert set(rows.locator("td:last-child").all_inner_texts()) == {"shown"}
        view.locator("#changes thead button").nth(0).focus()
        view.keyboard.press("Enter")
        assert view.get_attribute("#changes thead th", "aria-sort") == "ascending"
        assert any("\N{MINUS SIGN}" in text for text in rows.locator("td").all_inner_texts())
        assert not any(re.search(r"(^|\[| )-\d", text) for text in rows.locator("td").all_inner_texts())
        view.set_viewport_size({"width": 390, "height": 800})
        assert view.evaluate("document.documentElement.scrollWidth") <= 390
        assert rows.count() == 8
        assert view.evaluate("document.documentElement.scrollHeight") <= 11 * 800
        assert said == []
        browser.close()
