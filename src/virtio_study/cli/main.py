"""The command line: every command is one call of the library, imported when it is called."""

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from virtio_study.cli.speaking import Group, translate_click
from virtio_study.cli.unforeseen import scrubbed, unforeseen
from virtio_study.errors import ClusterError, LabError, PipelineError, VirtioStudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import clipped, said
from virtio_study.i18n.spoken import _, told

__all__ = ["cli", "main"]

LONGEST_LINE = 2000
BAD_INPUT, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143


class _LazyGroup(Group):
    """A group that imports a group of commands only when one of them is called."""

    lazy = {  # noqa: RUF012
        "collect": ("virtio_study.cli.live", N_("Ask a Proxmox VE host once for everything.")),
        "demo": ("virtio_study.cli.demo", N_("Try everything with a simulated Proxmox VE host.")),
        "design": ("virtio_study.cli.design", N_("Which switchback to run, and its schedule.")),
        "diff": (
            "virtio_study.cli.archive",
            N_("Which values differ between two results, and what is known about it."),
        ),
        "doctor": ("virtio_study.cli.live", N_("Whether a Proxmox VE host can answer the question.")),
        "explain": ("virtio_study.cli.explain", N_("Whose memory every server shows, and what made the figure.")),
        "export": ("virtio_study.cli.archive", N_("Pack a study with all that its numbers were made from.")),
        "files": ("virtio_study.cli.files", N_("Record servers from files, without the API.")),
        "fleet": ("virtio_study.cli.fleet", N_("What changes of drivers did on a whole fleet.")),
        "init": ("virtio_study.cli.compendium", N_("Lay out a folder for a study of your own.")),
        "inventory": ("virtio_study.cli.live", N_("Every server of a cluster, and what is not VirtIO.")),
        "lab": ("virtio_study.cli.lab", N_("Record real QEMU guests.")),
        "new": ("virtio_study.cli.live", N_("Write the protocol of a study from a live host.")),
        "plausible": ("virtio_study.cli.plausibility", N_("Whether a CPU change is possible at all.")),
        "plan": ("virtio_study.cli.planning", N_("How many boots or days a side a study needs.")),
        "watch": ("virtio_study.cli.live", N_("Poll a Proxmox VE host for as long as a study lasts.")),
        "verify": (
            "virtio_study.cli.archive",
            N_("Whether an archive is whole, and all of it comes out the same."),
        ),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *self.lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(self.lazy[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = {name: command.get_short_help_str() for name, command in self.commands.items()}
        rows |= {name: _(text) for name, (_module, text) in self.lazy.items()}
        with formatter.section(_("Commands")):
            formatter.write_dl(sorted(rows.items()))


@click.group(
    cls=_LazyGroup,
    help=N_(
        "What do VirtIO drivers change in the CPU and RAM of virtual servers, and can it be believed?\n\n"
        "STUDY is a folder with a study.yaml, or the name of a folder in data/."
    ),
)
@click.version_option(package_name="virtio-study")
@click.option(
    "--debug", is_flag=True, expose_value=False, help=N_("Show the traceback of an error (anywhere in the line).")
)
def cli() -> None:
    """What do VirtIO drivers change in the CPU and RAM of virtual servers, and can it be believed?"""


@cli.command(help=N_("Run every notebook that is not up to date."))
@click.argument("study")
@click.option(
    "--workers", type=click.IntRange(min=1), help=N_("Notebooks at the same time (default: one for each CPU).")
)
@click.option("--server", "servers", multiple=True, help=N_("Only this server, without the report (may be repeated)."))
def run(study: str, workers: int | None, servers: tuple[str, ...]) -> None:
    from virtio_study.study import load_study
    from virtio_study.workflow.graph import pages
    from virtio_study.workflow.runner import run as run_study

    protocol = load_study(study)
    outcome = run_study(protocol, workers=workers, servers=list(servers), say=_say)
    for name, reason in outcome.error.items():
        _say(_("error: {name}: {reason}", name=name, reason=reason))
    for name, reason in outcome.skipped.items():
        _say(_("skipped: {name}: {reason}", name=name, reason=reason))
    text = _(
        "{study}: {ran} ran, {current} up to date, {failed} failed, {skipped} skipped",
        study=protocol.name,
        ran=len(outcome.ran),
        current=len(outcome.current),
        failed=len(outcome.error),
        skipped=len(outcome.skipped),
    )
    click.echo(text)
    if not outcome.ok:
        raise click.exceptions.Exit(FAILED)
    if not servers:
        click.echo(_("Report: {pages}", pages=[str(page) for page in pages(protocol).values()]))


@cli.command(help=N_("Check the protocol, every recording, and whether the report is whole and up to date."))
@click.argument("study")
def check(study: str) -> None:
    from virtio_study.study import load_study
    from virtio_study.workflow.check import check_study

    protocol = load_study(study)
    found = check_study(protocol)
    for problem in found.problems:
        _say(problem)
    if found.problems:
        raise click.exceptions.Exit(BAD_INPUT)
    text = _(
        "{study}: the protocol, {recorded} recorded files and {made} files of the report are as they should be",
        study=protocol.name,
        recorded=found.recorded,
        made=found.made,
    )
    click.echo(text)


@cli.command(help=N_("Fold what was listed since into the manifest of a study of very many files."))
@click.argument("study")
def compact(study: str) -> None:
    from virtio_study import storage
    from virtio_study.study import load_study

    protocol = load_study(study)
    changes = storage.compact(protocol.folder)
    files = len(storage.manifest(protocol.folder))
    click.echo(
        _(
            "{study}: the manifest lists all {files} files (changes folded into it: {changes})",
            study=protocol.name,
            changes=changes,
            files=files,
        )
    )


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 a notebook or program failed, 2 bad input, 130 interrupted."""
    if arguments is None:
        _speak_utf8()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    signal.signal(signal.SIGTERM, _terminate)
    translate_click()
    try:
        code: Any = cli.main([word for word in words if word != "--debug"], "virtio-study", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        _say(_("interrupted; what is complete is kept, and the same command goes on from there"))
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (VirtioStudyError, OSError) as error:
        if debug:
            click.echo(scrubbed(traceback.format_exc()), err=True)
        where = {"path": error.filename} if isinstance(error, OSError) and error.filename else {}
        _fail(told(said("{path}: {error}", error=error, **where) if where else error))
        sys.exit(FAILED if isinstance(error, (PipelineError, LabError, ClusterError)) else BAD_INPUT)
    except Exception as error:  # the boundary: nothing that nobody foresaw is a traceback for the user
        if debug:
            click.echo(scrubbed(traceback.format_exc()), err=True)
        _fail(told(unforeseen(error, words)))
        sys.exit(FAILED)


def _fail(line: str) -> None:
    _say(clipped(_("error: {error}", error=" ".join(line.split())), LONGEST_LINE))


def _speak_utf8() -> None:
    """Begin again where the locale has no accents: names of files in it would be in no text of this package."""
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        again = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONUTF8": "1"})


def _terminate(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the tidying up of the first in a traceback
    sys.exit(TERMINATED)


def _say(line: Any) -> None:
    click.echo(told(line), err=True)
