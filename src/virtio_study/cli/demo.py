"""The command `virtio-study demo`, and `demo serve`, which keeps the simulated host up."""

import difflib
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from virtio_study.cli.speaking import Command, Group
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, language, told

if TYPE_CHECKING:
    from virtio_study.testing.standing import Moment
    from virtio_study.testing.versions import VersionName

__all__ = ["demo"]

STEPS = {
    "secret": N_("the token; nothing that this host says was measured"),
    "inventory": N_("1. what is not VirtIO?"),
    "new": N_("2. the protocol of a study"),
    "complete": N_("   say what the servers do, and their system"),
    "doctor": N_("3. can the host answer?"),
    "watch": N_("4. record; Ctrl-C and the same command again goes on from there"),
    "record": N_("5. recordings, and the report once both sides are recorded"),
}


class _OrFolder(Group):
    """A group whose argument may be a folder instead of a command: `demo`, `demo FOLDER`, `demo serve`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] == "--help")
        if args and not named and "/" not in args[0] and difflib.get_close_matches(args[0], ["serve"], cutoff=0.75):
            raise click.UsageError(_("is {word!r} demo serve, or a folder? For a folder write ./{word}", word=args[0]))
        return super().parse_args(ctx, args if named else [REPORT, *args])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in super().list_commands(ctx) if name != REPORT]


REPORT = "report"


@click.group(
    cls=_OrFolder,
    help=N_(
        "Try everything with a simulated Proxmox VE host.\n\n"
        "Starts the host on this machine, collects a study of two simulated servers from it, runs the "
        "notebooks, says where the report is and opens it in a browser. FOLDER is made for it; by default a "
        "temporary one, which is kept. Nothing in it was measured. `demo serve` keeps such a host up instead.\n\n"
        "With --design switchback the servers switch to and fro in random order, and the true effect of the simulation "
        "is printed beside what was found."
    ),
    subcommand_metavar="[--design DESIGN] [FOLDER] | serve",
)
def demo() -> None: ...


@demo.command(REPORT, cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--design",
    type=click.Choice(["before-after", "switchback"]),
    default="before-after",
    show_default=True,
    help=N_("How the simulated servers change their drivers."),
)
def _report(folder: Path | None, design: str) -> None:
    from virtio_study.testing.demo import one_after_another, run_demo
    from virtio_study.testing.switchback import switched_story, true_changes

    chosen = Path(tempfile.mkdtemp(prefix="virtio-study-demo-")) if folder is None else folder
    switching = design == "switchback"
    report = run_demo(
        chosen.resolve(),
        lambda line: click.echo(told(line), err=True),
        language(),
        (lambda now: switched_story(datetime.fromtimestamp(now, UTC))) if switching else one_after_another,
    )
    if switching:
        _say_truth(report.parent / "results.json", true_changes(switched_story(datetime.now(UTC))[0]))
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


@demo.command(
    cls=Command,
    help=N_(
        "Keep a simulated Proxmox VE host up, and print commands to try on it.\n\n"
        "It answers on this machine alone until Ctrl-C. Servers 100 and 101 go from emulated to VirtIO devices; 102 "
        "stays as it is."
    ),
)
@click.option(
    "--story",
    "moment",
    type=click.Choice(["before", "during", "after"]),
    default="during",
    show_default=True,
    help=N_("Whether the change to VirtIO is hours away, comes soon, or was hours ago."),
)
@click.option(
    "--change-in",
    "minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help=N_("Minutes of the host's clock until the change of the story `during`."),
)
@click.option(
    "--pve",
    "version",
    type=click.Choice(["4.4", "6.4", "7.4", "8.4", "9.0", "9.2"]),
    default="9.2",
    show_default=True,
    help=N_("Version of Proxmox VE."),
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=1.0,
    show_default=True,
    help=N_("How fast its clock runs; `doctor` rightly names a clock that is not yours."),
)
def serve(moment: "Moment", minutes: float, version: "VersionName", speed: float) -> None:
    from virtio_study.testing.standing import standing, to_paste

    try:
        with standing(moment, version, speed, 60 * minutes) as host:
            address = f"https://{host.host}:{host.port}"
            text = N_(
                "a simulated Proxmox VE {version} answers at {address} until Ctrl-C; paste into another terminal:"
            )
            click.echo(_(text, version=version, address=address))
            for line in to_paste(host, moment, version):
                click.echo(f"\n# {_(STEPS[line.step])}\n{line.command}")
            threading.Event().wait()
    except KeyboardInterrupt:
        click.echo(_("the simulated host has ended"), err=True)
