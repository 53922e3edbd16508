"""A gettext catalogue read without Babel, whose import alone takes longer than the whole command line's."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from gettext import c2py

__all__ = ["Catalogue", "read_po"]

LINE = re.compile(r'(?:(msgid_plural|msgid|msgstr)(?:\[\d+\])? )?"(.*)"$')
ESCAPES = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


@dataclass(frozen=True)
class Catalogue:
    """What a catalogue holds.

    `plurals` has the forms of a message under its English singular and under its English plural; `form` gives the form
    for a count.
    """

    messages: Mapping[str, str]
    plurals: Mapping[str, Sequence[str]]
    form: Callable[[int], int]


def read_po(text: str) -> Catalogue:
    """Read a catalogue as Babel writes it: entries between empty lines, texts in quotes, comments."""
    messages: dict[str, str] = {}
    plurals: dict[str, Sequence[str]] = {}
    for entry in text.split("\n\n"):
        parts: list[tuple[str, str]] = []
        for keyword, piece in (found.groups() for line in entry.splitlines() if (found := LINE.match(line))):
            if keyword:
                parts.append((keyword, piece))
            elif parts:
                parts[-1] = parts[-1][0], parts[-1][1] + piece
        ids = [_unescaped(part) for keyword, part in parts if keyword != "msgstr"]
        forms = [_unescaped(part) for keyword, part in parts if keyword == "msgstr"]
        if len(ids) == 1:
            messages[ids[0]] = forms[0]
        elif ids and all(forms):
            plurals |= dict.fromkeys(ids, forms)
    header = dict(line.split(": ", 1) for line in messages.pop("", "").splitlines() if ": " in line)
    rule = re.search(r"plural=(.*?);", header.get("Plural-Forms", "plural=(n != 1);"))
    return Catalogue(messages, plurals, c2py(rule[1] if rule else "0"))


def _unescaped(text: str) -> str:
    return re.sub(r'\\[nt"\\]', lambda found: ESCAPES[found[0]], text) if "\\" in text else text
