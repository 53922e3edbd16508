"""The pictures that the notebooks lead with: what they show, what they say without pictures, and how large they are."""

import re
from pathlib import Path

import nbformat
import pytest

import virtio_study as vs
from paths import ROOT
from synthetic import make_study
from virtio_study.environment import DRAWN
from virtio_study.i18n.language import words
from virtio_study.public import OpenStudy
from virtio_study.report import drawn_once, pictures


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    return vs.load_study(make_study(tmp_path_factory.mktemp("made"), boots=3).folder)


def test_recordings_are_drawn_one_line_a_boot_and_broken_at_gaps(made: OpenStudy):
    collected = made.collect("versat", "virtio")
    whole = pictures.recordings(collected)
    broken = pictures.recordings(collected.drop(collected.index[10:20]))
    assert repr(whole).endswith(f"recordings: 3, rows: {len(collected)}.")
    lines = [len(re.findall(r'stroke="#0072b2"', shown.data)) for shown in (whole, broken)]
    assert lines == [3, 4]


def test_levels_have_a_dot_a_boot_and_say_the_mean(made: OpenStudy):
    described = made.describe("versat", "virtio")
    shown = pictures.levels(described)
    level = described.levels["mem_host"].sustained
    assert level is not None
    assert f"RAM spent by the host: {words('en').number(level.estimate / 2**20)} MiB" in repr(shown)
    assert repr(pictures.levels(described, words("es"))).startswith(described.label.es)


def test_effects_show_every_metric_and_no_difference_across_instruments(made: OpenStudy):
    compared = made.compare("versat")
    shown = pictures.effects(made.levels("versat"), compared)
    assert shown.data.count(">after − before<") == 1
    effects = compared["total"].effects
    refused = [metric for metric, effect in effects.items() if effect.status == "instrument_switch"]
    assert shown.data.count(">switch of instruments<") == len(refused) > 0
    for effect in effects.values():
        assert words("en").plain(effect.messages, effect.fields) in repr(shown)


def test_verdicts_show_every_server_and_metric_of_the_whole_change(made: OpenStudy):
    results = made.results()
    shown = pictures.verdicts(results)
    for server, found in results.servers.items():
        for metric in found.comparisons["total"].effects:
            assert f"{server}, {words('en').term('metric', metric)}" in shown.data
    assert pictures.verdicts(results.model_copy(update={"servers": {}})) is None


def test_a_picture_has_the_size_of_the_text_around_it(made: OpenStudy):
    shown = pictures.since_start(made.clean("versat", "virtio")).data
    (width,), (box,) = re.findall(r'<svg[^>]* width="(\d+)"', shown), re.findall(r'viewBox="0 0 ([\d.]+) ', shown)
    # 9.5 points of the drawing are 14 pixels, the size of text in JupyterLab
    assert float(width) / float(box) * 9.5 == pytest.approx(14, rel=0.01)


def test_every_notebook_leads_with_a_picture():
    for path in sorted((ROOT / "notebooks").glob("[1-5]_*.ipynb")):
        cells = nbformat.read(path, 4).cells
        shown = [cell.source for cell in cells if cell.cell_type == "code" and "words(language)" in cell.source]
        assert "vs.pictures." in shown[0], path.name


def test_a_run_draws_a_figure_that_several_notebooks_show_once(
    made: OpenStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cleaned = made.clean("versat", "virtio")
    alone = {language: pictures.since_start(cleaned, words(language)).data for language in ("en", "es")}
    monkeypatch.setenv(DRAWN, str(tmp_path))
    assert {language: pictures.since_start(cleaned, words(language)).data for language in ("en", "es")} == alone
    changed = cleaned.assign(cpu_cores=cleaned["cpu_cores"].where(cleaned.index != 40, 0.9))
    assert pictures.since_start(changed).data != alone["en"]
    monkeypatch.setattr(drawn_once, "over_time", None)
    assert pictures.since_start(made.clean("versat", "virtio")).data == alone["en"]
