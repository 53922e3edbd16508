"""Tables of the command line, and the forecasts of servers as one: shared by `explain` and `fleet`."""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import click

from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _, told

if TYPE_CHECKING:
    from virtio_study.analysis.plausibility import Range
    from virtio_study.analysis.unchanged import Outlook

__all__ = ["amount", "echo_forecasts", "echo_table", "named"]

NAMED = 12
"""So many servers are named beside a note; of more it is said how many."""


def amount(value: float | None) -> str:
    """Memory (bytes) in the unit that is read most easily; a dash for None."""
    if value is None:
        return "—"
    if value < 2**30:
        return told(said("{amount:.0f} MiB", amount=value / 2**20))
    return told(said("{amount:.2f} GiB", amount=value / 2**30))


def echo_table(table: list[list[str]]) -> None:
    """Rows of cells, each column as wide as its widest cell, and an empty line."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo()


def echo_forecasts(ahead: "Sequence[Outlook]") -> None:
    """The forecasts as a table, those first that are worth most, and what they suppose."""
    from virtio_study.analysis.unchanged import NAMED_ASSUMPTIONS
    from virtio_study.i18n.labels import harmless

    click.echo()
    if not ahead:
        click.echo(_("no forecast: no rows of the past week"))
        return
    heads = [_("server"), _("RAM for the host"), _("display alone"), _("CPU, cores"), _("worth, servers")]
    table = [heads]
    for item in ahead:
        bound = item.returned is None and item.at_most is not None
        back = _("at most {most}", most=amount(item.at_most)) if bound else _memory(item.returned)
        table.append(
            [
                harmless(item.name),
                back,
                _memory(item.shown_less),
                _between(item.cpu, ".3f"),
                _between(item.servers, ".2f"),
            ]
        )
    echo_table(table)
    reasons = dict.fromkeys(item.reason for item in ahead if item.reason)
    for reason in reasons:
        click.echo(f"{named([item.name for item in ahead if item.reason == reason])}: {_(reason)}")
    click.echo(_("Assumptions:"))
    for text in NAMED_ASSUMPTIONS:
        click.echo(f"  - {_(text)}")


def named(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    from virtio_study.i18n.labels import harmless

    text = ", ".join(harmless(name) for name in islice(names, NAMED))
    more = len(names) - NAMED
    return _("{named} and {more} more", named=text, more=more) if more > 0 else text


def _memory(span: "Range | None") -> str:
    if span is None:
        return "—"
    return f"{amount(span.typical)} [{amount(span.low)}; {amount(span.high)}]"


def _between(span: "Range | None", form: str) -> str:
    if span is None:
        return "—"
    text = f"{{typical:{form}}} [{{low:{form}}}; {{high:{form}}}]"
    return told(said(text, typical=span.typical, low=span.low, high=span.high))
