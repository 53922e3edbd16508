"""The command `plausible`: an order of magnitude for a CPU change, with its assumptions."""

import click

__all__ = ["plausible"]


@click.command()
@click.argument("study")
def plausible(study: str) -> None:
    """Whether a CPU change is possible at all: accesses per operation times a published price of each.

    Forwards from the rates that STUDY recorded, backwards from falls that were published. An order of magnitude.
    """
    from virtio_study.errors import DataError
    from virtio_study.study import load_study
    from virtio_study.workflow.steps import results

    protocol = load_study(study)
    found = results(protocol)["plausibility"]
    if found is None:
        raise DataError(f"{protocol.folder / 'counts.json'}: no counts of device accesses; run: virtio-study lab count")
    for kind, counted in found["accesses"].items():
        click.echo(f"{kind}: {counted['before']:.3g} accesses per operation before, {counted['after']:.3g} after")
    for server, kinds in found["predicted"].items():
        for kind, item in kinds.items():
            click.echo(f"{server}, {kind}: {item['sentence']}")
    for server, item in found["implied"].items():
        for kind in found["accesses"]:
            click.echo(f"{server}, as published: {item[kind]['sentence']}")
    click.echo("Assumptions:")
    for text in found["assumptions"]:
        click.echo(f"  - {text}")
    for name, price in found["prices"].items():
        values = [f"{1e6 * price[key]:g}" for key in ("low_s", "typical_s", "high_s")]
        click.echo(f"  - one {name}: {values[0]}, {values[1]} or {values[2]} µs ({price['source']})")
