"""The catalogues: every marked message has its translation, with the same fields."""

import ast
import io
from pathlib import Path

import pytest
from babel.messages.pofile import read_po as read_with_babel

from paths import ROOT
from virtio_study.i18n import catalogue
from virtio_study.i18n.catalogue import catalogue_file, fields, messages, read_catalogue, untranslated
from virtio_study.i18n.language import LANGUAGES, words
from virtio_study.i18n.po import read_po

translated = pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])


@translated
def test_every_message_is_translated_with_its_fields_and_every_translation_is_used(language: str):
    known = read_catalogue(catalogue_file(language))
    for message in messages():
        if message.id:
            item = known.get(message.id)
            assert item is not None, f"{message.id!r}: run: make messages"
            assert not item.fuzzy, message.id
            ids = message.id if isinstance(message.id, tuple) else (message.id,) * 1
            strings = item.string if isinstance(item.string, tuple) else (item.string,)
            assert all(strings), message.id
            for text in strings:
                assert fields(str(text)) in [fields(one) for one in ids], message.id
    marked = {message.id for message in messages()}
    assert {item.id for item in known} <= marked, "run: make messages"


def test_a_message_inside_an_f_string_stands_elsewhere_too():
    """There it is found from Python 3.12 on alone."""
    found = {message.id for message in messages()}
    hidden = [
        f"{path.name}:{call.lineno}"
        for path in (ROOT / "src").rglob("*.py")
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("_", "N_")
        if call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value not in found
    ]
    assert hidden == []


@translated
def test_a_catalogue_is_as_make_messages_writes_it(language: str):
    lines = catalogue_file(language).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(catalogue.HEADERS_LEFT_OUT)] == []


@translated
def test_a_catalogue_is_read_as_babel_reads_it(language: str):
    text = catalogue_file(language).read_text(encoding="utf-8")
    expected = [item for item in read_with_babel(io.StringIO(text)) if item.id]
    found = read_po(text)
    assert found.messages == {item.id: item.string for item in expected if isinstance(item.id, str)}
    assert found.plurals == {
        one: list(item.string) for item in expected if isinstance(item.id, tuple) for one in item.id
    }


def test_plural_forms_follow_the_header():
    header = 'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n<5 ? 1 : 2);\\n"\n\n'
    entry = 'msgid "{n} \\"boot\\""\nmsgid_plural "{n} boots"\nmsgstr[0] "a"\nmsgstr[1] "b"\nmsgstr[2] "c"\n'
    found = read_po(header + entry)
    assert found.plurals['{n} "boot"'] == found.plurals["{n} boots"] == ["a", "b", "c"]
    assert [found.form(count) for count in (1, 3, 5)] == [0, 1, 2]


@translated
def test_every_term_reads_otherwise_than_its_code(language: str):
    assert words(language).term("column", "disk_read_bytes_per_s") not in ("disk_read_bytes_per_s", "")


def test_a_new_language_begins_with_every_message_untranslated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(catalogue, "catalogue_file", lambda language: tmp_path / language / "virtio_study.po")
    monkeypatch.setitem(LANGUAGES, "fr", "Français")
    made = catalogue.update("fr")
    assert len(untranslated(made)) == len([item for item in made if item.id]) > 1000
    half = next(item for item in made if isinstance(item.id, tuple))
    half.string = ("un", "")
    assert half.id[0] in untranslated(made)
    half.string = ("un", "deux")
    assert half.id[0] not in untranslated(made)
