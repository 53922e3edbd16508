"""Numbers for readers: every number on the page is a `<data>` element whose value is the number in `results.json`."""

from typing import Any

from babel.numbers import format_decimal
from markupsafe import Markup

__all__ = ["UNITS", "interval", "number_text", "published_side", "quantity"]

UNITS: dict[str, tuple[float, str]] = {
    "bytes": (2**20, "MiB"),
    "gib": (2**30, "GiB"),
    "cores": (1.0, "cores"),
    "share": (0.01, "%"),
    "": (1.0, ""),
    "s": (1.0, "s"),
}
"""Unit in `results.json` -> divisor and the unit that readers see."""


def number_text(value: float, language: str, sign: bool = False) -> str:
    """A number with about three significant digits in a language's format; a true minus sign, a plus if wanted."""
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    text = str(format_decimal(value, format="#,##0" + ("." + "#" * digits if digits else ""), locale=language))
    text = text.replace("-", "\N{MINUS SIGN}")
    return f"+{text}" if sign and value > 0 and text.strip("0.,") else text


def quantity(value: float | None, unit: str = "", language: str = "en", sign: bool = False) -> Markup:
    """A number of `results.json` for the page, in the unit that readers see; a dash for None."""
    if value is None:
        return Markup("–")
    divisor, shown = UNITS.get(unit, (1.0, unit))
    text = number_text(value / divisor, language, sign)
    return Markup('<data value="{}">{}</data>{}').format(
        repr(value), text, f"\N{NO-BREAK SPACE}{shown}" if shown else ""
    )


def interval(entry: dict[str, Any] | None, language: str = "en", sign: bool = False) -> Markup:
    """An estimate with its interval: `−198 MiB (−237 to −158)`."""
    if entry is None:
        return Markup("–")
    unit = entry["unit"]
    middle = quantity(entry["estimate"], unit, language, sign)
    divisor, _ = UNITS.get(unit, (1.0, unit))
    low, high = (
        Markup('<data value="{}">{}</data>').format(repr(entry[end]), number_text(entry[end] / divisor, language, sign))
        for end in ("low", "high")
    )
    return Markup('<span class="nobreak">{}</span> <span class="ci">[{}, {}]</span>').format(middle, low, high)


def published_side(side: dict[str, Any], language: str = "en") -> Markup:
    """A published value in the unit that the paper prints, with its decimals."""
    text = format_decimal(side["value"] / side["shown_scale"], format="#,##0.##", locale=language)
    return Markup('<data value="{}">{}</data>\N{NO-BREAK SPACE}{}').format(
        repr(side["value"]), text, side["shown_unit"]
    )
