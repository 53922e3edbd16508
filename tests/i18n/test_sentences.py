"""Templates and what fills them, in English and in a reader's language."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from virtio_study.errors import DataError
from virtio_study.i18n.language import ENGLISH, UnknownLanguageError, Words, words
from virtio_study.i18n.sentences import render, said

SPANISH = Words(
    "es",
    {
        "The {what} is {x}.": "El {what} es {x}.",
        "level": "nivel",
        "{place}: {error}": "{place}: {error}",
        "disk reads a second": "lecturas de disco por segundo",
    },
    {form: ["{count} servidor", "{count} servidores"] for form in ("{count} server", "{count} servers")},
)


@pytest.mark.parametrize(("form", "text"), [("+.0f", "+0"), (".1f", "0.0"), (".0%", "0%"), ("+.3f", "-0.004")])
def test_what_is_rounded_to_zero_has_no_minus(form: str, text: str) -> None:
    assert render(f"{{x:{form}}}", {"x": -0.004}) == text


def test_numbers_in_their_unit():
    numbers = {"x": 5.3e9, "unit": "GB", "scale": 1e9, "share": 0.125, "none": None}
    assert render("{x:quantity}, {share:percent}, {none}", numbers) == "5.3 GB, 12.5 %, —"


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0000000000000004, "3"), (0.1, "0.1"), (1234.567, "1235"), (-179.7123, "-179.7"), (0.00012345, "0.0001234")],
)
def test_four_digits(value, text):
    assert render("{x}", {"x": value}) == text


def test_a_translation_replaces_templates_and_the_messages_in_them():
    numbers = {"what": said("level"), "x": 2.5}
    assert render("The {what} is {x}.", numbers) == "The level is 2.5."
    assert SPANISH.plain("The {what} is {x}.", numbers) == "El nivel es 2,5."


def test_codes_have_labels_and_what_has_none_is_data():
    numbers = {"columns": ["disk_reads_per_s", "my_own"]}
    assert render("{columns:column}", numbers) == "disk reads a second, my_own"
    assert SPANISH.plain("{columns:column}", numbers) == "lecturas de disco por segundo, my_own"


@pytest.mark.parametrize(("count", "text"), [(1, "1 servidor"), (3, "3 servidores")])
def test_a_count_chooses_the_form_in_the_language_of_the_reader(count, text):
    for stored in ("{count} server", "{count} servers"):
        assert SPANISH.plain(stored, {"count": count}) == text


def test_an_error_in_an_error_is_said_in_the_language_too():
    error = DataError("{place}: {error}", place=Path("a.csv"), error=DataError("The {what} is {x}.", what="a", x=1))
    assert str(error) == "a.csv: The a is 1."
    assert SPANISH.line(error.message, error.numbers) == "a.csv: El a es 1."


def test_an_error_without_numbers_is_taken_to_the_letter():
    assert str(DataError("not JSON: {")) == "not JSON: {"


@pytest.mark.parametrize(
    ("template", "english", "spanish"),
    [
        ("{x:.1f}", "1234.5", "1234,5"),
        ("{x:,}", "1,234.5", "1.234,5"),
        ("{y}", "12345", "12345"),
        ("{z}", "nan", "nan"),
    ],
)
def test_the_command_line_writes_numbers_as_they_are_in_the_language(template, english, spanish):
    numbers = {"x": 1234.5, "y": 12345, "z": float("nan")}
    assert ENGLISH.line(template, numbers) == english
    assert SPANISH.line(template, numbers) == spanish


def test_markup_in_a_text_is_escaped_and_numbers_carry_their_value():
    shown = ENGLISH.sentence("{server} & {x}", {"server": "<b>", "x": 0.5})
    assert shown == '&lt;b&gt; &amp; <data value="0.5">0.5</data>'


def test_an_unknown_language_names_the_known_ones():
    with pytest.raises(UnknownLanguageError, match="language is 'fr'; expected one of en, es"):
        words("fr")


def test_a_configuration_is_said_by_the_label_of_the_study_in_the_quotation_marks_of_the_language() -> None:
    study = {"emulated": SimpleNamespace(label=SimpleNamespace(en="all <emulated>", es="todo emulado"))}
    message, numbers = "Under {config:configuration}.", {"config": ["emulated", "other"]}
    assert words("en").plain(message, numbers) == "Under “emulated”, “other”."
    assert words("en").naming(study).sentence(message, numbers) == "Under “all &lt;emulated&gt;”, “other”."
    assert words("es").naming(study).plain("{config:configuration}", numbers) == "«todo emulado», «other»"
