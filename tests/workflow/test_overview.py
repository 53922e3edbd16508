"""The page of all studies: made of their results, anew only when these changed, and readable without any of them."""

import json
import re
from pathlib import Path

import html5lib
import pytest

from paths import ROOT
from virtio_study.i18n.language import LANGUAGES
from virtio_study.report.names import overview_name
from virtio_study.workflow.overview import write_overview

RESULTS = (ROOT / "reports" / "pve-rig" / "results.json").read_text(encoding="utf-8")


def reports(folder: Path, **studies: str) -> Path:
    for name, content in studies.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "results.json").write_text(content, encoding="utf-8")
    return folder


def less_host_memory(size: float) -> str:
    """The bundled results with another size of the host's change, for every server alike."""
    found = json.loads(RESULTS)
    for server in found["servers"].values():
        effect = server["comparisons"]["total"]["effects"]["mem_host"]
        effect["relative"] |= {"estimate": -size}
    return json.dumps(found)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", page.partition("<main>")[2])).replace("\u00a0", " ")


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_names_every_study_says_what_they_say_together_and_leads_to_each(tmp_path: Path, language: str) -> None:
    folder = reports(tmp_path, first=less_host_memory(0.2), second=less_host_memory(0.3), old="{}")
    write_overview(folder)
    page = (folder / overview_name(language)).read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(page)
    assert re.findall(r'href="(\w+)/index\.(\w+)\.html"', page) == [("first", language), ("second", language)]
    told = text_of(page)
    sizes = {
        "en": ("20 % to 30 %", "spends 20 % less", "spends 30 % less"),
        "es": ("un 20 % y un 30 %", "gasta un 20 % menos", "gasta un 30 % menos"),
    }
    together, first, second = (told.index(size) for size in sizes[language])
    assert together < first < second
    assert "virtio-study run old" in told
    paper = {"en": "none of the paper&#39;s figures passes", "es": "ninguna cifra del artículo supera"}
    assert told.count(paper[language]) == 1, "what is said of the paper is said once, for all studies"
    assert page.count('id="audit"') == 1
    assert "5.1 GB" in told or "5,1 GB" in told, "every published number has its place"


def test_it_is_made_anew_when_results_change_and_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = reports(tmp_path, one=RESULTS)
    write_overview(folder)
    before = (folder / "index.html").read_bytes()
    (folder / "index.es.html").unlink()
    write_overview(folder)
    assert (folder / "index.es.html").is_file()
    monkeypatch.setattr("virtio_study.report.overview_page.render_overview", None)
    write_overview(folder)
    monkeypatch.undo()
    assert (folder / "index.html").read_bytes() == before
    reports(folder, one=less_host_memory(0.123))
    write_overview(folder)
    assert "12 %" in text_of((folder / "index.html").read_text(encoding="utf-8"))


def test_without_any_study_it_says_so(tmp_path: Path) -> None:
    write_overview(tmp_path)
    assert "No study has a report yet." in (tmp_path / "index.html").read_text(encoding="utf-8")
