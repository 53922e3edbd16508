"""Sentences made of a template and numbers, so that a translation replaces the template and never a number."""

import string
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Number", "Numbers", "Plain", "render"]

Number = float | int | str | None
Numbers = Mapping[str, Number]


class Plain(string.Formatter):
    """English formats of the templates' fields; a report overrides `number` for another language.

    `{x:quantity}` is in the shown unit (`unit` and `scale` among the numbers), `{x:percent}` is a share as a
    percentage, `{x}` a plain number of four digits or a text.
    """

    space = " "
    """What stands between a number and its unit."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def number(self, value: float) -> str:
        """A number with at most four significant digits, without an exponent."""
        if value == int(value) and abs(value) < 1e15:
            return f"{int(value)}"
        digits = f"{float(f'{value:.4g}'):f}" if abs(value) >= 0.001 else f"{value:.4g}"
        return digits.rstrip("0").rstrip(".") if "." in digits and "e" not in digits else digits

    def unit(self, name: str) -> str:
        """A unit's name, such as cores."""
        return name

    def mark(self, value: float, text: str) -> str:
        """A formatted number as it stands in the sentence; a page adds the value behind it."""
        return text

    def format_field(self, value: Any, format_spec: str) -> str:
        """Format one field by its kind."""
        if value is None:
            return "—"
        if isinstance(value, str):
            return value
        if format_spec == "quantity":
            scale, unit = float(self.numbers.get("scale") or 1), str(self.numbers.get("unit") or "")
            amount = self.number(value / scale)
            shown = self.unit("core" if (amount, unit) == ("1", "cores") else unit)
            return f"{self.mark(value, amount)}{self.space}{shown}".strip()
        if format_spec == "percent":
            return f"{self.mark(value, self.number(value * 100))}{self.space}%"
        return self.mark(value, self.number(float(value)))


def render(
    template: str,
    numbers: Numbers,
    translate: Callable[[str], str] = str,
    formatter: type[Plain] = Plain,
) -> str:
    """Translate a template and fill in its numbers; texts among them (an instrument's label) are translated too."""
    words = {
        key: translate(value) if isinstance(value, str) and value and key != "unit" else value
        for key, value in numbers.items()
    }
    return formatter(words).vformat(translate(template), (), words)
