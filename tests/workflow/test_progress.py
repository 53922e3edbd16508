"""Progress: seen in a notebook that somebody looks at, gone when all is done, and nothing in what programs run."""

from typing import Any

import pytest

from virtio_study.workflow import progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a cell's output showed, one after another."""
    texts: list[str] = []

    class Handle:
        def update(self, html: Any) -> None:
            texts.append(html.data)

    def display(html: Any, display_id: bool) -> Handle:
        texts.append(html.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    return texts


def test_a_loop_shows_how_far_it_is_and_leaves_nothing(shown: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "somebody_looks", lambda: True)
    assert list(progress.progressing("<b>")(["a", "b"])) == ["a", "b"]
    assert '<progress value="1" max="2"></progress> 1/2 &lt;b&gt;  ' in shown
    assert shown[-1] == ""


def test_a_run_says_what_runs(shown: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "somebody_looks", lambda: True)
    with progress.progress(3, "notebook") as bar:
        bar.set_postfix_str("2_clean-versat-virtio")
    assert shown[0].endswith("0/3 notebook  2_clean-versat-virtio")


def test_where_nobody_looks_a_loop_is_a_loop(shown: list[str], capsys: pytest.CaptureFixture[str]):
    assert list(progress.progressing("x")(iter("ab"))) == ["a", "b"]
    with progress.progress(3, "notebook") as bar:
        bar.set_postfix_str("2_clean")
    assert shown == []
    assert capsys.readouterr().err == ""
