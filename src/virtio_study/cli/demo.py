"""The `virtio-study demo` command."""

import os
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, language, told

__all__ = ["demo"]


@click.command(
    cls=Command,
    help=N_(
        "Try everything with a simulated Proxmox VE host.\n\n"
        "Starts the host on this machine, collects a study of two simulated servers from it, runs the "
        "notebooks, says where the report is and opens it in a browser. FOLDER is made for it; by default a "
        "temporary one, which is kept. Nothing in it was measured.\n\n"
        "With --design switchback the servers switch to and fro in random order, and the true effect of the simulation "
        "is printed beside what was found."
    ),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--design",
    type=click.Choice(["before-after", "switchback"]),
    default="before-after",
    show_default=True,
    help=N_("How the simulated servers change their drivers."),
)
def demo(folder: Path | None, design: str) -> None:
    from virtio_study.testing.demo import run_demo
    from virtio_study.testing.switchback import switched_story, true_changes

    chosen = Path(tempfile.mkdtemp(prefix="virtio-study-demo-")) if folder is None else folder
    story = switched_story(datetime.now(UTC)) if design == "switchback" else None
    report = run_demo(chosen.resolve(), lambda line: click.echo(told(line), err=True), language(), story)
    if story is not None:
        _say_truth(report.parent / "results.json", true_changes(story[0]))
    click.echo(_("the report of simulated data: {report}", report=report))
    # without a screen a browser of texts would take the terminal
    screen = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if screen and sys.stdout.isatty():
        webbrowser.open(report.as_uri())


def _say_truth(results: Path, true: Mapping[str, float]) -> None:
    """Print the simulation's own effect beside what was found without knowing it."""
    from virtio_study.public import read_results

    servers = read_results(results).servers
    for name, change in true.items():
        effect = servers[name].comparisons["devices"].effects["cpu"]
        found = effect.relative
        form = N_("{server}, CPU, simulated: {true:+.1%} is true")
        if found is None:
            click.echo(_(form, server=name, true=change))
            continue
        click.echo(
            _(
                "{server}, CPU, simulated: {true:+.1%} is true, {found:+.1%} was found ({low:+.1%} to {high:+.1%})",
                server=name,
                true=change,
                found=found.estimate,
                low=found.low,
                high=found.high,
            )
        )
