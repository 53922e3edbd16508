"""Sentences made of a template and numbers, so that a translation replaces the template and never a number."""

import math
import numbers
import string
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from virtio_study.i18n.marks import N_
from virtio_study.i18n.system_errors import REASONS
from virtio_study.i18n.terms import TERMS

__all__ = ["Filling", "Numbers", "Plain", "Said", "clipped", "english", "render", "said", "sayable"]


class Said(TypedDict):
    """A message inside another one, as plain values: its template and what fills it."""

    message: str
    numbers: "dict[str, Filling]"


PlainValue = float | int | str | None
Filling = PlainValue | Said | Sequence[PlainValue | Said]
"""What fills a field: a number, a text that is data and stays as it is, a message that is said in the reader's
language, or several of them."""
Numbers = Mapping[str, Filling]


def clipped(text: str, most: int) -> str:
    """A text, or its beginning where it has more than so many characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def said(message: str, /, **fields: object) -> Said:
    """A message to be put into another message's field; it is rendered in the reader's language there."""
    return {"message": message, "numbers": {key: sayable(value) for key, value in fields.items()}}


def english(message: Any) -> str:
    """An error, a message or a text, in English."""
    return render("{message}", {"message": sayable(message)})


def sayable(value: Any) -> Filling:
    """A value as what a template can be filled with and JSON can hold: what is neither a number nor a message is text.

    An error of this package becomes the message that it carries.
    """
    if isinstance(value, list | tuple) and all(isinstance(item, str | Mapping | Exception) for item in value):
        return [_one(item) for item in value]
    return _one(value)


def _one(value: Any) -> "PlainValue | Said":
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return Said(message=value["message"], numbers=value["numbers"])
    if hasattr(value, "message") and hasattr(value, "numbers"):
        return Said(message=value.message, numbers=dict(value.numbers))
    if isinstance(value, OSError):
        return said(REASONS.get(value.errno or 0, "{error}"), error=value.strerror or clipped(str(value), 200))
    if isinstance(value, numbers.Real):  # of numpy
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return str(value)


class Plain(string.Formatter):
    """English formats of the templates' fields; a reader's language overrides what differs there.

    `{x:quantity}` is in the shown unit (`unit` and `scale` among the numbers), `{x:percent}` a share as a percentage,
    `{x:size}` the same of a change without its sign and rounded for reading,
    `{x:configuration}` a driver configuration in quotation marks, by its label where the study is known,
    `{x:metric}` (or another kind of `TERMS`) the label of a code, `{x}` a plain number of four digits, a text, or
    messages one after the other; anything else is a format of Python's.
    """

    space = " "
    """What stands between a number and its unit."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def translate(self, message: str, numbers: Numbers) -> str:
        """The template of a message in the reader's language."""
        return message

    def text(self, text: str) -> str:
        """A text that is data, as it may stand in the sentence; a page makes it harmless."""
        return text

    def number(self, value: float) -> str:
        """A number with at most four significant digits, without an exponent."""
        if not math.isfinite(value):
            return str(value)
        if value == int(value) and abs(value) < 1e15:
            return f"{int(value)}"
        digits = f"{float(f'{value:.4g}'):f}" if abs(value) >= 0.001 else f"{value:.4g}"
        return digits.rstrip("0").rstrip(".") if "." in digits and "e" not in digits else digits

    def formatted(self, value: Any, form: str) -> str:
        """A number under a format of Python's; what is rounded to zero has no minus."""
        text = format(value, form)
        return text if text.strip("-0.,%") or not text.startswith("-") else format(0.0, form)

    def mark(self, value: float, text: str) -> str:
        """A formatted number as it stands in the sentence; a page adds the value behind it."""
        return text

    def size(self, value: float, text: str) -> str:
        """The rounded size of a change, of which the sentence says whether it is a rise or a fall."""
        return self.mark(value, text)

    def term(self, kind: str, code: str) -> str:
        """The label of a code; a code without one is data of the study, and stays."""
        label = TERMS[kind].get(code)
        return self.text(code) if label is None else self.translate(label, {})

    def configuration(self, key: str) -> str:
        """What the study calls a driver configuration; its key where the study is not known."""
        return key

    def said(self, message: str, numbers: Numbers) -> str:
        """A message with its fields filled in."""
        return type(self)(numbers).vformat(self.translate(message, numbers), (), numbers)

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format one field by its kind."""
        if value is None:
            return "—"
        if isinstance(value, Mapping):
            return self.said(value["message"], value["numbers"])
        if isinstance(value, list | tuple):
            mark = "; " if any(isinstance(item, Mapping) for item in value) else ", "
            return mark.join(self.format_field(item, format_spec) for item in value)
        if isinstance(value, str):
            if format_spec == "configuration":
                return self.said(N_("“{name}”"), {"name": self.configuration(value)})
            return self.term(format_spec, value) if format_spec in TERMS else self.text(format(value, format_spec))
        if format_spec == "quantity":
            scale, unit = self.numbers.get("scale") or 1, str(self.numbers.get("unit") or "")
            assert isinstance(scale, int | float)
            amount = self.number(value / scale)
            shown = self.term("unit", "core" if (amount, unit) == ("1", "cores") else unit)
            return f"{self.mark(value, amount)}{self.space}{shown}".strip()
        if format_spec == "percent":
            return f"{self.mark(value, self.number(value * 100))}{self.space}%"
        if format_spec == "size":
            return f"{self.size(value, f'{abs(value) * 100:.{0 if abs(value) >= 0.1 else 1}f}')}{self.space}%"
        return self.mark(value, self.formatted(value, format_spec) if format_spec else self.number(float(value)))


def render(template: str, numbers: Numbers, formatter: type[Plain] = Plain) -> str:
    """A template in the formatter's language with its numbers filled in."""
    return formatter(numbers).said(template, numbers)
