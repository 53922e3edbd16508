"""Messages said at once, in the language of whoever sits at the command line."""

import os
import re
from typing import Any

from virtio_study.i18n.language import LANGUAGES, Words, words
from virtio_study.i18n.sentences import sayable

__all__ = ["_", "language", "ngettext", "spoken", "tell", "told"]

SETTINGS = ("VIRTIO_STUDY_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def language() -> str:
    """The reader's language: `VIRTIO_STUDY_LANGUAGE`, else that of the system's locale, else English."""
    setting = next((os.environ[name] for name in SETTINGS if os.environ.get(name)), "")
    named = re.split(r"[_.@-]", setting)[0].lower()
    return named if named in LANGUAGES else "en"


def spoken() -> Words:
    """Messages and formats of the reader's language."""
    return words(language())


def _(message: str, /, **fields: object) -> str:
    """A message in the reader's language with its fields filled in."""
    if not fields:
        return spoken().gettext(message)
    return spoken().line(message, {name: sayable(value) for name, value in fields.items()})


def ngettext(one: str, many: str, count: int, /, **fields: object) -> str:
    """The form of a message for a count, which is its field `count`."""
    return _(one if count == 1 else many, count=count, **fields)


def told(message: Any) -> str:
    """What a library function says (a message that carries its numbers, an error, or plain text) for the reader."""
    return spoken().line("{message}", {"message": sayable(message)})


def tell(message: Any) -> None:
    """Print what a library function says, for the reader."""
    print(told(message))
