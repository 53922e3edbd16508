"""The `virtio-study demo` command."""

import os
import sys
import tempfile
import webbrowser
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
        "temporary one, which is kept. Nothing in it was measured."
    ),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
def demo(folder: Path | None) -> None:
    from virtio_study.testing.demo import run_demo

    chosen = Path(tempfile.mkdtemp(prefix="virtio-study-demo-")) if folder is None else folder
    report = run_demo(chosen.resolve(), lambda line: click.echo(told(line), err=True), language())
    click.echo(_("the report of simulated data: {report}", report=report))
    # without a screen a browser of texts would take the terminal
    screen = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if screen and sys.stdout.isatty():
        webbrowser.open(report.as_uri())
