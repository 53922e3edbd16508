"""Numbers for readers: every number on the page is a `<data>` element whose value is the number in `results.json`."""

from datetime import UTC, datetime

from babel.numbers import format_decimal
from markupsafe import Markup

from virtio_study.analysis.records import Estimate
from virtio_study.i18n.language import Words

__all__ = ["UNITS", "interval", "moment", "printed", "quantity"]

UNITS: dict[str, tuple[float, str]] = {
    "bytes": (2**20, "MiB"),
    "gib": (2**30, "GiB"),
    "cores": (1.0, "cores"),
    "share": (0.01, "%"),
    "percent": (0.01, ""),
    "us": (1e-6, ""),
    "s/operation": (1e-3, "ms"),
    "s/byte": (2.0**-20, "s/MiB"),
    "": (1.0, ""),
    "s": (1.0, "s"),
}
"""Unit in `results.json` -> divisor and the unit that readers see (none where the text around has it)."""


def quantity(value: float | None, unit: str = "", sign: bool = False, *, words: Words) -> Markup:
    """A number of `results.json` for the page, in the unit that readers see; a dash for None."""
    if value is None:
        return Markup("–")
    divisor, shown = UNITS.get(unit, (1.0, unit))
    return Markup('<data value="{}">{}</data>{}').format(
        repr(value),
        words.number(value / divisor, sign),
        f"\N{NO-BREAK SPACE}{words.term('unit', shown)}" if shown else "",
    )


def interval(entry: Estimate | None, sign: bool = False, *, words: Words) -> Markup:
    """An estimate with its interval: `−198 MiB [−237, −158]`, with semicolons where the comma is decimal."""
    if entry is None:
        return Markup("–")
    unit = entry.unit
    middle = quantity(entry.estimate, unit, sign, words=words)
    divisor, _ = UNITS.get(unit, (1.0, unit))
    low, high = (
        Markup('<data value="{}">{}</data>').format(repr(end), words.number(end / divisor, sign))
        for end in (entry.low, entry.high)
    )
    between = ", " if words.language == "en" else "; "
    return Markup('<span class="nobreak">{}</span> <span class="ci">[{}{}{}]</span>').format(middle, low, between, high)


def moment(time_s: float) -> Markup:
    """Unix seconds as a time in UTC, in the form that every reader reads alike: `2026-11-23 13:34:28`."""
    at = datetime.fromtimestamp(time_s, UTC)
    form = '<time datetime="{}"><span class="nobreak">{}</span> {}</time>'
    return Markup(form).format(at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}")


def printed(value: float, unit: str, scale: float = 1.0, *, words: Words) -> Markup:
    """A published value in the unit that the paper prints (`scale` of the value's own), with its decimals."""
    text = format_decimal(value / scale, format="#,##0.##", locale=words.language)
    return Markup('<data value="{}">{}</data>\N{NO-BREAK SPACE}{}').format(repr(value), text, unit)
