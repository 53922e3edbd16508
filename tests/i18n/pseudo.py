"""A language in which every message that is marked wears marks, ⟦so⟧: whatever else reaches a reader shows itself.

Only what stands between the fields of a message is marked, so that a code put into a field shows itself too.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.pofile import write_po

from virtio_study.i18n import language
from virtio_study.i18n.catalogue import messages

__all__ = ["PSEUDO", "outside_of_svg", "register", "sentences_of_page", "startup_code", "unmarked", "withdraw", "write"]

PSEUDO = "eo"
"""Babel knows the numbers of this language, and no study speaks it."""

FIELD = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|%\(\w+\)s)")
MARKED = re.compile("⟦[^⟦⟧]*⟧?")
"""A table of commands may cut a text before its closing mark."""


def marked(message: str) -> str:
    """A message whose words are between marks and whose fields are not."""
    parts = FIELD.split(message)
    return "".join(f"⟦{part}⟧" if number % 2 == 0 and part.strip() else part for number, part in enumerate(parts))


def write(folder: Path) -> Path:
    """Write the catalogue of the pseudo-language below a folder of catalogues."""
    found = messages()
    for message in found:
        if isinstance(message.id, tuple):
            message.string = tuple(marked(form) for form in message.id)
        elif message.id:
            message.string = marked(message.id)
    path = folder / PSEUDO / "LC_MESSAGES" / "virtio_study.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as sink:
        write_po(sink, found, width=None)
    return folder


def register(folder: Path) -> None:
    """Let the package speak the pseudo-language."""
    language.LANGUAGES[PSEUDO] = "⟦pseudo⟧"
    language.LOCALES.append(folder)


def withdraw(folder: Path) -> None:
    """Undo `register`."""
    del language.LANGUAGES[PSEUDO]
    language.LOCALES.remove(folder)
    language.words.cache_clear()


def startup_code(folder: Path) -> str:
    """A `sitecustomize` with which another process speaks the pseudo-language too."""
    return (
        "from pathlib import Path\n"
        "from virtio_study.i18n import language\n"
        f"language.LANGUAGES[{PSEUDO!r}] = '⟦pseudo⟧'\n"
        f"language.LOCALES.append(Path({str(folder)!r}))\n"
    )


def unmarked(text: str, data: Iterable[str]) -> set[str]:
    """Words outside marks that are not data: each must come from a marked message, or be data of the study."""
    rest = MARKED.sub(" ", text)
    for known in sorted(filter(None, data), key=len, reverse=True):
        if known in rest:
            rest = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", " ", rest)
    return set(re.findall(r"[^\W\d_]{2,}", rest))


class _Texts(HTMLParser):
    """Texts of a page that are read, seen or heard, but for code, programs and what says that it is of a language."""

    READ = ("title", "alt", "aria-label", "placeholder", "data-label")
    SILENT = ("script", "style", "code")
    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[bool] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        silent = tag in self.SILENT or ("lang" in named and tag != "html") or (bool(self.open) and self.open[-1])
        if tag not in self.VOID:
            self.open.append(silent)
        if not silent:
            self.found += [str(named[name]) for name in self.READ if named.get(name)]
            if tag == "meta" and named.get("name") == "description":
                self.found.append(str(named["content"]))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self.open:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not (self.open and self.open[-1]):
            self.found.append(data.strip())


def sentences_of_page(page: str) -> Iterator[str]:
    """Every text of a page that reaches a reader."""
    reader = _Texts()
    reader.feed(page)
    yield from reader.found


def outside_of_svg(svg: str) -> Iterator[str]:
    """Every text of a figure: what is drawn, its title and its description."""
    for element in ET.fromstring(svg).iter():
        if element.text and element.tag.split("}")[-1] in ("text", "tspan", "title", "desc"):
            yield element.text.strip()
