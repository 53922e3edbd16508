"""The explorer: its answers are those of the sensitivity table, and it says which check a choice breaks."""

from dataclasses import replace
from typing import Any

import pytest

import virtio_study as vs
from synthetic import make_study
from virtio_study.analysis.exploring import WHOLE, Choices, Explorable
from virtio_study.errors import StudyError
from virtio_study.report import explorer as of_explorer
from virtio_study.report.explorer import Explorer
from virtio_study.workflow import steps


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Explorable:
    study = make_study(tmp_path_factory.mktemp("made"), boots=3)
    return steps.explorable(study, "versat")


@pytest.fixture
def explorer(server: Explorable) -> Explorer:
    return Explorer(lambda name: server, ["versat"], vs.words("en"))


def test_every_row_of_the_sensitivity_table_comes_out_as_it_is_there(server: Explorable):
    seen = 0
    for metric, effect in server.compared["total"].effects.items():
        for way in effect.sensitivity.specifications if effect.sensitivity else ():
            names = ("start_up", "statistic", "rows_averaged", "daily_cycle", "method")
            choice = Choices(**{name: getattr(way, name) for name in names})
            found = server.answer("total", metric, choice).way  # type: ignore[arg-type]
            assert found is not None
            assert (found.estimate, found.low, found.high) == (way.estimate, way.low, way.high)
            seen += 1
    assert seen > 50


def test_the_choice_of_the_study_is_its_answer_and_breaks_nothing(server: Explorable):
    own = server.compared["total"].effects["cpu"].difference
    found = server.answer("total", "cpu", Choices())
    assert own is not None
    assert found.way is not None
    assert (found.way.estimate, found.way.low, found.way.high) == (own.estimate, own.low, own.high)
    assert found.agrees
    assert server.broken("total", "cpu", Choices()) == ()


def test_a_start_up_that_is_kept_breaks_the_check_of_drift(server: Explorable):
    assert "drift" in {check.name for check in server.broken("total", "cpu", Choices(start_up="none"))}


def test_a_window_takes_its_rows_alone_and_too_few_are_said(server: Explorable):
    longest = max(server.longest_s("total"))
    late = (longest * 0.7, longest)
    before, after = server.chosen("total", Choices(windows=(late, WHOLE)))
    for boot in before.boots:
        assert boot.steady["uptime_s"].min() >= late[0]
    assert after is server.sides("total")[1]
    none = server.answer("total", "cpu", Choices(windows=((longest, longest + 1), WHOLE)))
    assert none.way is None
    assert none.why is not None
    assert "too few" in none.why["message"]


def test_no_choice_makes_an_effect_of_two_instruments(server: Explorable):
    assert server.compared["total"].effects["mem_displayed"].status == "instrument_switch"
    found = server.answer("total", "mem_displayed", Choices(start_up="none"))
    assert found.way is None
    assert found.why is not None
    assert "different instruments" in found.why["message"]


def test_where_nobody_looks_a_picture_stands_in(explorer: Explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle.keys() == {"image/svg+xml", "text/plain"}
    assert bundle["text/plain"] == repr(explorer)
    assert (
        'style="max-width:100%;height:auto"' in bundle["image/svg+xml"].partition(">")[0]
    )  # a narrow window cuts nothing
    assert "With these choices the difference is" in repr(explorer)


def test_what_is_moved_is_what_is_shown(explorer: Explorer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(of_explorer, "somebody_looks", lambda: True)
    assert "application/vnd.jupyter.widget-view+json" in explorer._repr_mimebundle_()
    controls: Any = of_explorer._Controls(explorer, ["versat"], vs.words("en"))
    assert {slider.readout_format for slider in controls.windows} <= {".0f", ".1f"}  # 1190, and not 1.19e+3
    controls.metric.value = "cpu"
    own = controls.effect.value
    assert controls.checks.value == "<p>These choices break no check.</p>"
    controls.start_up.value = "none"
    assert controls.effect.value != own
    assert "drift" in controls.checks.value
    controls.start_up.value = "found"
    assert controls.effect.value == own
    controls.windows[0].value = controls.windows[0].max * 0.5, controls.windows[0].max
    assert explorer.choice == replace(
        explorer.choice, windows=((pytest.approx(controls.windows[0].max * 0.5, rel=0.02), WHOLE[1]), WHOLE)
    )
    assert controls.effect.value != own
    controls.metric.value = "mem_displayed"
    assert "different instruments" in controls.effect.value


def test_without_widgets_the_picture_stays(explorer: Explorer, monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setattr(of_explorer, "somebody_looks", lambda: True)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert explorer._repr_mimebundle_().keys() == {"image/svg+xml", "text/plain"}


def test_a_published_study_cannot_be_explored():
    from paths import ROOT

    with pytest.raises(StudyError, match="published has no recordings to compare"):
        vs.explore(ROOT / "data" / "published")
