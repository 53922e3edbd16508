"""Commands whose help, and click's own words around it, are in the reader's language."""

import copy
import difflib
import importlib
from typing import TypeVar

import click

from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.spoken import _, spoken

__all__ = ["Command", "Group", "translate_click"]

CLICK = (
    N_("Usage:"),
    N_("Options"),
    N_("Commands"),
    N_("Show this message and exit."),
    N_("Show the version and exit."),
    N_("%(prog)s, version %(version)s"),
    N_("required"),
    N_("default: {default}"),
    N_("Error: {message}"),
    N_("Try '{command} {option}' for help."),
    N_("Invalid value: {message}"),
    N_("Invalid value for {param_hint}: {message}"),
    N_("Missing command."),
    N_("Missing argument"),
    N_("Missing option"),
    N_("Missing parameter"),
    N_("No such option {name!r}."),
    N_("No such option: {name}"),  # before click 8.4
    N_("No such command {name!r}."),
    N_("Option {name!r} does not take a value."),
    N_("Choose from:\n\t{choices}"),
    N_("{value!r} is not a valid {number_type}."),
    N_("{value} is not in the range {range}."),
    N_("{name} {filename!r} does not exist."),
    N_("{name} {filename!r} is a file."),
    N_("{name} {filename!r} is a directory."),
    N_("file"),
    N_("directory"),
    N_("path"),
    N_("Could not open file {filename!r}: {message}"),
    N_("unknown error"),
)
CLICK_COUNTED = (
    plural(1, "Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    plural(1, "Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    plural(1, "Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    plural(1, "{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)
"""What click says to users; it asks gettext for it and has no catalogues of its own."""

MODULES = ("core", "decorators", "exceptions", "formatting", "parser", "types")

TYPES = {
    click.types.StringParamType: N_("text"),
    click.types.IntParamType: N_("integer"),
    click.IntRange: N_("integer range"),
    click.FloatRange: N_("float range"),
}
"""Names of types, which click writes in capitals beside an option."""

Shown = TypeVar("Shown", click.Command, click.Option)


def translate_click() -> None:
    """Let click take its own words from this package's catalogues."""
    for name in MODULES:
        module = importlib.import_module(f"click.{name}")
        for function, ours in (("_", _), ("ngettext", lambda one, many, count: spoken().ngettext(one, many, count))):
            if hasattr(module, function):
                setattr(module, function, ours)
    for kind, name in TYPES.items():
        kind.name = _(name)


def _with_help(shown: Shown) -> Shown:
    """A copy whose help is in the reader's language."""
    if not shown.help:
        return shown
    said = copy.copy(shown)
    said.help = _(shown.help)
    return said


class Command(click.Command):
    """A command that translates its help when it shows it."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [_with_help(param) if isinstance(param, click.Option) else param for param in super().get_params(ctx)]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            # click keeps the option, in the language of whoever asked first.
            option.help = N_("Show this message and exit.")
        return option

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_help_text(_with_help(self), ctx, formatter)

    def get_short_help_str(self, limit: int = 45) -> str:
        return click.Command.get_short_help_str(_with_help(self), limit)


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            known = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not known or getattr(error, "possibilities", None):
                raise
            form = spoken().ngettext("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)", 1)
            text = f"{error.message} {form.format(possibility=repr(known[0]))}"
            raise click.UsageError(text, ctx=error.ctx) from None
