"""Words and numbers in a reader's language: gettext catalogues of this package, numbers by CLDR."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from markupsafe import Markup, escape

from virtio_study.i18n.labels import harmless
from virtio_study.i18n.po import read_po
from virtio_study.i18n.sentences import Numbers, Plain, render
from virtio_study.i18n.terms import TERMS

__all__ = ["ENGLISH", "LANGUAGES", "LOCALES", "UnknownLanguageError", "Words", "words"]

LANGUAGES = {"en": "English", "es": "Español"}
"""Languages of the report, each by its own name. The code's messages are English; every other one has a catalogue."""

LOCALES: list[Traversable] = [files("virtio_study.i18n") / "locale"]
"""Folders of catalogues: `<language>/LC_MESSAGES/virtio_study.po`."""


class UnknownLanguageError(LookupError):
    """A language that this package does not speak; the message says which it does."""


def _germanic(count: int) -> int:
    return int(count != 1)


@dataclass(frozen=True, eq=False)
class Words:
    """A language's messages, plural forms and number formats."""

    language: str
    messages: Mapping[str, str] = field(default_factory=dict)
    plurals: Mapping[str, Sequence[str]] = field(default_factory=dict)
    form: Callable[[int], int] = _germanic
    configurations: Mapping[str, str] = field(default_factory=dict)
    """Driver configurations of a study by key, as the study calls them in this language."""

    def gettext(self, message: str) -> str:
        """A message in this language; itself where the catalogue has none."""
        return self.messages.get(message) or message

    def ngettext(self, one: str, many: str, count: float) -> str:
        """The form of a message for a count in this language."""
        forms = self.plurals.get(one)
        return forms[self.form(int(count))] if forms else one if count == 1 else many

    def template(self, message: str, numbers: Numbers) -> str:
        """A template in this language; of one with plural forms, that for its field `count`."""
        forms = self.plurals.get(message)
        if not forms:
            return self.gettext(message)
        count = numbers.get("count")
        return forms[self.form(count)] if isinstance(count, int) else forms[-1]

    def term(self, kind: str, code: str) -> str:
        """What readers call a code of the results or the recordings; see `terms.TERMS`."""
        label = TERMS[kind].get(code)
        return code if label is None else self.gettext(label)

    def own(self, text: Any) -> str:
        """A text of a study in this language, or in English where the study has none."""
        return str(getattr(text, self.language, text.en))

    def naming(self, driver_configs: Mapping[str, Any]) -> "Words":
        """These words, with the driver configurations of a study (their `label`) called what the study calls them."""
        return replace(self, configurations={key: self.own(config.label) for key, config in driver_configs.items()})

    def number(self, value: float, sign: bool = False) -> str:
        """A number with about three significant digits; a true minus sign, a plus if wanted."""
        size = abs(value)
        digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
        if 0 < size < 0.0995:
            digits = 3 if size >= 0.00995 else 4 if size >= 0.000995 else 5
        text = self.decimal(value, "#,##0" + ("." + "#" * digits if digits else ""))
        text = text.replace("-", "\N{MINUS SIGN}")
        return f"+{text}" if sign and value > 0 and text.strip("0.,") else text

    def decimal(self, value: float, pattern: str) -> str:
        """A number under a pattern of CLDR's, such as `#,##0.##`."""
        from babel.numbers import format_decimal

        return str(format_decimal(value, format=pattern, locale=self.language))

    def sentence(self, messages: str | Sequence[str], numbers: Numbers) -> Markup:
        """Messages with their numbers for the page, each number marked with its value in the results."""
        texts = [messages] if isinstance(messages, str) else messages
        return Markup(" ".join(render(text, numbers, self._on_page) for text in texts))

    def plain(self, messages: str | Sequence[str], numbers: Numbers) -> str:
        """Messages with their numbers as text, for alternative texts and tables of notebooks."""
        texts = [messages] if isinstance(messages, str) else messages
        return " ".join(render(text, numbers, self._in_text) for text in texts)

    @cached_property
    def _on_page(self) -> type[Plain]:
        return _page(self)

    @cached_property
    def _in_text(self) -> type[Plain]:
        return _localised(self)

    def line(self, message: str, numbers: Numbers) -> str:
        """A message of the command line: numbers have the digits that the English message has.

        What a host or a file put into it cannot move the cursor or give a terminal orders.
        """
        text = render(message, numbers, Plain if self.language == "en" else _console(self))
        return "\n".join(harmless(one) for one in text.split("\n"))


@cache
def _console(spoken: Words) -> type[Plain]:
    class Console(Plain):
        def translate(self, message: str, numbers: Numbers) -> str:
            return spoken.template(message, numbers)

        def number(self, value: float) -> str:
            return _marks(super().number(value), spoken)

        def formatted(self, value: Any, form: str) -> str:
            return _marks(super().formatted(value, form), spoken)

    return Console


def _marks(text: str, spoken: Words) -> str:
    """A number as Python writes it, with a language's marks."""
    from babel.numbers import get_decimal_symbol, get_group_symbol

    swapped = {".": get_decimal_symbol(spoken.language), ",": get_group_symbol(spoken.language)}
    swapped["%"] = "\N{NO-BREAK SPACE}%"
    return "".join(swapped.get(sign, sign) for sign in text)


def _localised(spoken: Words) -> type[Plain]:
    class Localised(Plain):
        space = "\N{NO-BREAK SPACE}"

        def translate(self, message: str, numbers: Numbers) -> str:
            return spoken.template(message, numbers)

        def configuration(self, key: str) -> str:
            return spoken.configurations.get(key, key)

        def number(self, value: float) -> str:
            return spoken.number(value)

        def size(self, value: float, text: str) -> str:
            return super().size(value, _marks(text, spoken))

    return Localised


def _page(spoken: Words) -> type[Plain]:
    class OnPage(_localised(spoken)):  # type: ignore[misc]
        def translate(self, message: str, numbers: Numbers) -> str:
            return str(escape(super().translate(message, numbers)))

        def text(self, text: str) -> str:
            return str(escape(super().text(text)))

        def mark(self, value: float, text: str) -> str:
            return f'<data value="{value!r}">{text}</data>'

        def size(self, value: float, text: str) -> str:
            return f'<data class="size" value="{value!r}">{_marks(text, spoken)}</data>'

    return OnPage


ENGLISH = Words("en")


@cache
def words(language: str) -> Words:
    """Messages and formats of a language.

    Raises
    ------
    UnknownLanguageError
        If the package does not speak it.

    Examples
    --------
    >>> vs.words("es").number(0.5)
    '0,5'
    """
    if language not in LANGUAGES:
        raise UnknownLanguageError(f"language is {language!r}; expected one of {', '.join(LANGUAGES)}")
    if language == "en":
        return ENGLISH
    paths = (folder / language / "LC_MESSAGES" / "virtio_study.po" for folder in LOCALES)
    found = read_po(next(path for path in paths if path.is_file()).read_text(encoding="utf-8"))
    return Words(language, found.messages, found.plurals, found.form)
