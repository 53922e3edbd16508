"""The page of `explain`: both languages in one file, nothing fetched, and texts of a host that change nothing in it."""

import re
from datetime import UTC, datetime

import pandas as pd

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
    assert "<script" not in page
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
    assert "<script" not in page
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
