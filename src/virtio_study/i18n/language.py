"""Words and numbers in a reader's language: gettext catalogues read by Babel, numbers by CLDR."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from markupsafe import Markup, escape

from virtio_study.errors import StudyError
from virtio_study.i18n.sentences import Numbers, Plain, render

__all__ = ["ENGLISH", "LANGUAGES", "Words", "catalogue", "words"]

LANGUAGES = {"en": "English", "es": "Español"}
"""Languages of the report, each by its own name. The code's messages are English; every other one has a catalogue."""


@dataclass(frozen=True)
class Words:
    """A language's messages and number formats."""

    language: str
    messages: dict[str, str] = field(default_factory=dict)

    def gettext(self, message: str) -> str:
        """A message in this language; itself where the catalogue has none."""
        return self.messages.get(message) or message

    def number(self, value: float, sign: bool = False) -> str:
        """A number with about three significant digits; a true minus sign, a plus if wanted."""
        size = abs(value)
        digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
        if 0 < size < 0.0995:
            digits = 3 if size >= 0.00995 else 4 if size >= 0.000995 else 5
        pattern = "#,##0" + ("." + "#" * digits if digits else "")
        text = str(format_decimal(value, format=pattern, locale=self.language)).replace("-", "\N{MINUS SIGN}")
        return f"+{text}" if sign and value > 0 and text.strip("0.,") else text

    def sentence(self, messages: str | Sequence[str], numbers: Numbers) -> Markup:
        """Messages with their numbers for the page, each number marked with its value in the results."""
        texts = [messages] if isinstance(messages, str) else messages
        made = [render(text, numbers, lambda t: str(escape(self.gettext(t))), self._formatter()) for text in texts]
        return Markup(" ".join(made))

    def plain(self, messages: str | Sequence[str], numbers: Numbers) -> str:
        """Messages with their numbers as text, for alternative texts and tables of notebooks."""
        texts = [messages] if isinstance(messages, str) else messages
        return " ".join(render(text, numbers, self.gettext, self._formatter(marked=False)) for text in texts)

    def _formatter(self, marked: bool = True) -> type[Plain]:
        found = self

        class Localised(Plain):
            space = "\N{NO-BREAK SPACE}"

            def number(self, value: float) -> str:
                return found.number(value)

            def unit(self, name: str) -> str:
                return found.gettext(name)

            def mark(self, value: float, text: str) -> str:
                return f'<data value="{value!r}">{text}</data>' if marked else text

        return Localised


ENGLISH = Words("en")


@cache
def catalogue(language: str) -> Catalog:
    """The gettext catalogue of a language, with its translators' notes."""
    path = files("virtio_study.i18n") / "locale" / language / "LC_MESSAGES" / "virtio_study.po"
    with path.open("rb") as source:
        return read_po(source, locale=language, domain="virtio_study")


def words(language: str) -> Words:
    """Messages and formats of a language; `StudyError` if the report does not speak it."""
    if language not in LANGUAGES:
        raise StudyError(f"language is {language!r}; expected one of {', '.join(LANGUAGES)}")
    if language == "en":
        return ENGLISH
    found = {str(message.id): str(message.string) for message in catalogue(language) if message.id and message.string}
    return Words(language, found)
