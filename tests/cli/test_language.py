"""The command line in the language of whoever sits at it."""

import subprocess
import sys

import pytest

from virtio_study.cli import main
from virtio_study.i18n.spoken import language


@pytest.fixture
def spanish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_LANGUAGE", "es")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"LANG": "es_CU.UTF-8"}, "es"),
        ({"LANG": "es_ES", "LC_MESSAGES": "en_GB"}, "en"),
        ({"LANG": "en_GB", "LC_ALL": "es"}, "es"),
        ({"LC_ALL": "C", "VIRTIO_STUDY_LANGUAGE": "es"}, "es"),
        ({"LANG": "fr_FR"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_settings_first_word(monkeypatch: pytest.MonkeyPatch, settings, expected):
    for name in ("VIRTIO_STUDY_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


@pytest.mark.usefixtures("spanish")
def test_help_and_what_click_says_are_spanish(capsys: pytest.CaptureFixture[str]):
    assert run("plan", "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Uso: ")
    assert "cuántos arranques o días por lado" in shown
    assert "[obligatorio]" in shown
    assert run("run", "lab-qemu", "--workers", "0") == 2
    assert "Valor no válido para '--workers': 0 no está en el intervalo x>=1." in capsys.readouterr().err


def test_help_follows_the_language_of_each_call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    for name, expected in (("es", "Muestra esta ayuda"), ("en", "Show this message"), ("es", "Muestra esta ayuda")):
        monkeypatch.setenv("VIRTIO_STUDY_LANGUAGE", name)
        assert run("run", "--help") == 0
        assert expected in capsys.readouterr().out


@pytest.mark.usefixtures("spanish")
def test_a_table_has_the_marks_of_the_language(capsys: pytest.CaptureFixture[str]):
    from virtio_study.analysis.planning import Planned
    from virtio_study.cli.planning import _table

    amount = {"amount": 3, "half_width": 1.0, "relative_half_width": 0.1234, "detectable": 0.2, "power": 0.9}
    numbers = {"drop": 0.3, "confidence": 0.95, "plans": [amount], "enough": 3}
    names = {"server": "alpha", "driver_config": "ide", "metric": "mem_host", "unit": "boots"}
    text = _table(Planned.model_validate(names | numbers))
    assert "alpha con «ide», RAM ocupada en el anfitrión: potencia" in text
    assert "12,3\N{NO-BREAK SPACE}%" in text
    assert text.endswith("Bastan 3 arranques por lado (potencia del 80 % o más).")


def test_help_in_english_needs_no_babel():
    lines = "try: main(['--help'])", "finally:", " import sys", " assert 'babel' not in sys.modules"
    code = "\n".join(("from virtio_study.cli import main", *lines))
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
