"""The command `plausible`: an order of magnitude for a CPU change, with its assumptions."""

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _

__all__ = ["plausible"]

PRICES = (
    N_("one exit: {low:g}, {typical:g} or {high:g} µs ({source})"),
    N_("one notification: {low:g}, {typical:g} or {high:g} µs ({source})"),
)


@click.command(
    cls=Command,
    help=N_(
        "Whether a CPU change is possible at all: accesses per operation times a published price of each.\n\n"
        "Forwards from the rates that STUDY recorded, backwards from falls that were published. An order of "
        "magnitude."
    ),
)
@click.argument("study")
def plausible(study: str) -> None:
    from virtio_study.errors import DataError
    from virtio_study.study import load_study
    from virtio_study.workflow.steps import results

    protocol = load_study(study)
    found = results(protocol).plausibility
    if found is None:
        raise DataError(
            N_("{path}: no counts of device accesses; run: virtio-study lab count"),
            path=protocol.folder / "counts.json",
        )
    for kind, counted in found.accesses.items():
        text = _(
            "{kind:kind}: {before:.3g} accesses per operation before, {after:.3g} after",
            kind=kind,
            before=counted.before,
            after=counted.after,
        )
        click.echo(text)
    for server, kinds in found.predicted.items():
        for kind, item in kinds.items():
            click.echo(_("{server}, {kind:kind}: {sentence}", server=server, kind=kind, sentence=item.phrase))
    for server, rates in found.implied.items():
        for implied in (rates.disk, rates.network):
            click.echo(_("{server}, as published: {sentence}", server=server, sentence=implied.phrase))
    click.echo(_("Assumptions:"))
    for text in found.assumptions:
        click.echo(f"  - {_(text)}")
    for form, price in zip(PRICES, (found.prices.exit, found.prices.notification), strict=True):
        low, typical, high = (1e6 * seconds for seconds in (price.low_s, price.typical_s, price.high_s))
        click.echo(f"  - {_(form, low=low, typical=typical, high=high, source=said(price.source))}")
