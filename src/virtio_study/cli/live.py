"""The commands that ask a Proxmox VE host: `new`, `doctor`, `inventory`, `collect` and `watch`."""

import functools
import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, ngettext, spoken, told

if TYPE_CHECKING:
    import pandas as pd

    from virtio_study.sources.api.client import Client
    from virtio_study.study import Endpoint

__all__ = ["collect", "doctor", "inventory", "new", "perhaps_at_endpoint", "say_hidden", "watch"]

PARTIAL, FOUND_FAULTS = 3, 1
CODES = {"status": "power", "template": "truth", "kind": "kind", "device_class": "class", "balloon": "balloon"}
"""Columns of an inventory -> kind of the codes in them."""
STATUSES = {"pass": N_("pass"), "warn": N_("warn"), "fail": N_("fail")}
FILE = click.Path(path_type=Path)
ENDPOINT = (
    click.option(
        "--host", help=N_("Name or address of the host; not needed on the host itself, with --backend local.")
    ),
    click.option("--port", type=click.IntRange(1, 65535), help=N_("Default: 8006, of SSH 22.")),
    click.option("--ca-file", type=FILE, help=N_("Copy of its /etc/pve/pve-root-ca.pem.")),
    click.option("--fingerprint", help=N_("SHA-256 fingerprint of its certificate, as AB:CD:...")),
    click.option(
        "--backend",
        type=click.Choice(["https", "local", "openssh"]),
        help=N_("How to ask: https (default), or pvesh on this machine or over SSH."),
    ),
    click.option("--user", help=N_("User of SSH; default: root.")),
    click.option("--ssh-config", type=FILE, help=N_("Configuration file of SSH, if not the user's own.")),
)


def at_endpoint(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the host is; it gets them as `endpoint`."""

    @functools.wraps(command)
    def called(endpoint: "Endpoint | None", **given: object) -> None:
        if endpoint is None:
            raise click.UsageError(_("Missing option '--host'."))
        command(endpoint=endpoint, **given)

    return perhaps_at_endpoint(called)


def perhaps_at_endpoint(command: Callable[..., None]) -> Callable[..., None]:
    """As `at_endpoint`, for a command that may do without a host: `endpoint` is None where none is named."""

    @functools.wraps(command)
    def called(**given: object) -> None:
        names = ("host", "port", "ca_file", "fingerprint", "backend", "user", "ssh_config")
        named = {name: _absolute(value) for name in names if (value := given.pop(name)) is not None}
        command(endpoint=_endpoint(named) if named else None, **given)

    for option in reversed(ENDPOINT):
        called = option(called)
    return called


def _endpoint(named: dict[str, object]) -> "Endpoint":
    from pydantic import ValidationError

    from virtio_study.study import Endpoint
    from virtio_study.study.faults import message_of

    if "host" not in named and named.get("backend") != "local":
        raise click.UsageError(_("Missing option '--host'."))
    try:
        return Endpoint.model_validate(named)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0]).replace("_", "-")
        raise click.UsageError(f"--{name}: {told(message_of(wrong))}") from None


def _absolute(value: object) -> object:
    return value.resolve() if isinstance(value, Path) else value


@click.command(
    cls=Command,
    help=N_(
        "Write the study.yaml of a new study from a live host.\n\n"
        "FOLDER is that of the study, such as data/mine; VMIDS are the numbers of its servers. Without VMIDS "
        "the servers of the host are listed, with the classes of their devices."
    ),
)
@click.argument("folder", type=FILE)
@click.argument("vmids", type=click.IntRange(min=100), nargs=-1)
@at_endpoint
def new(folder: Path, vmids: tuple[int, ...], endpoint: "Endpoint") -> None:
    from virtio_study.errors import DataError
    from virtio_study.sources.api.client import Client
    from virtio_study.sources.api.drafting import draft
    from virtio_study.sources.api.inventory import inventory as take
    from virtio_study.sources.api.inventory import overview
    from virtio_study.storage import write_atomically
    from virtio_study.study import load_study

    path, quoted = folder / "study.yaml", shlex.quote(str(folder))
    if path.exists():
        raise DataError(N_("{path}: there already; give another folder"), path=path)
    client = Client(endpoint)
    if not vmids:
        listed = overview(take(client), spoken())
        say_hidden(client, len(listed))
        click.echo(_table(listed))
        click.echo(
            _("choose the servers to study, and give their numbers: virtio-study new {folder} VMID ...", folder=quoted),
            err=True,
        )
        return
    made = draft(client, endpoint, vmids, spoken())
    write_atomically(path, made.text.encode())
    load_study(path)
    for note in made.notes:
        click.echo(told(note), err=True)
    click.echo(_("{path}: read it, complete it, then: virtio-study doctor {folder}", path=path, folder=quoted))


def say_hidden(client: "Client", shown: int) -> None:
    """Say that servers may be hidden from the token; an error where it may see none, for then there is no answer."""
    from virtio_study.errors import DataError
    from virtio_study.sources.api.rights import rights_of

    rights = rights_of(client)
    hidden = rights.blind_spot(shown) if rights else None
    if hidden and not shown:
        raise DataError("{says}; {remedy}", says=hidden[0], remedy=hidden[1])
    if hidden:
        click.echo(f"{told(hidden[0])}\n  {told(hidden[1])}", err=True)


def _table(found: "pd.DataFrame") -> str:
    from virtio_study.i18n.labels import harmless

    if not len(found):
        return _("no server")
    shown = found.map(lambda value: harmless(str(value)))
    for column, kind in CODES.items():
        if column in shown:
            shown[column] = shown[column].map(partial(spoken().term, kind))
    return str(shown.rename(columns=partial(spoken().term, "heading")).to_string(index=False))


@click.command(cls=Command, help=N_("Every server of a cluster, and which of its devices are not VirtIO."))
@at_endpoint
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help=N_("VirtIO devices too, not only what is not VirtIO."))
def inventory(endpoint: "Endpoint", form: str, everything: bool) -> None:
    from virtio_study.sources.api.client import Client
    from virtio_study.sources.api.inventory import inventory as take

    client = Client(endpoint)
    found = take(client)
    say_hidden(client, found["vmid"].nunique())
    shown = found if everything else found[found["device_class"].ne("virtio")]
    if form == "csv":
        click.echo(shown.to_csv(index=False, lineterminator="\n"), nl=False)
    elif form == "json":
        click.echo(json.dumps(shown.to_dict("records"), indent=1, default=str))
    else:
        if len(shown):
            click.echo(_table(shown))
        servers = found["vmid"].nunique()
        work = shown[shown["kind"].isin(["disk", "network"])]
        other = work[work["device_class"].ne("virtio")]["vmid"].nunique()
        text = ngettext(
            "{count} server, {other} with a disk or network card that is not VirtIO",
            "{count} servers, {other} with a disk or network card that is not VirtIO",
            servers,
            other=other,
        )
        click.echo(text, err=True)


@click.command(
    cls=Command,
    help=N_(
        "Whether the study's host can answer: version, token, permissions, clock, retention, TLS, servers.\n\n"
        "Exit code 1 if something has to be mended first."
    ),
)
@click.argument("study")
def doctor(study: str) -> None:
    from virtio_study.sources.api.collecting import client_of
    from virtio_study.sources.api.doctor import examine
    from virtio_study.study import load_study

    protocol = load_study(study)
    failed = 0
    for item in examine(client_of(protocol), protocol.servers):
        failed += item.status == "fail"
        click.echo(f"{_(STATUSES[item.status]):5} {_(item.what)}: {told(item.says)}")
        if item.remedy:
            click.echo(f"      {told(item.remedy)}")
    if failed:
        raise click.exceptions.Exit(FOUND_FAULTS)


@click.command(
    cls=Command,
    help=N_(
        "Ask the host once for everything, store it, and record the study's windows.\n\n"
        "Exit code 3 if something could not be had; what came is kept."
    ),
)
@click.argument("study")
def collect(study: str) -> None:
    from virtio_study.sources.api.collecting import client_of
    from virtio_study.sources.api.collecting import collect as collect_once
    from virtio_study.study import load_study

    protocol = load_study(study)
    done = collect_once(protocol, client_of(protocol))
    click.echo(_("{answers} answers stored in {folder}", answers=done.answers, folder=protocol.folder / "raw"))
    for item in done.written:
        click.echo(f"{item.place}: {told(item.told)}")
    if not protocol.windows:
        text = _("no windows in study.yaml, so nothing was recorded: add them, or see virtio-study files answers")
        click.echo(text)
    for state in done.troubled:
        click.echo(told(state), err=True)
    for lost in done.missing:
        text = _(
            "missing: {server}: {path}: {cause}",
            server=lost.server or _("host"),
            path=lost.path,
            cause=lost.cause,
        )
        click.echo(f"{text}\n  {told(lost.remedy)}", err=True)
    if done.missing:
        raise click.exceptions.Exit(PARTIAL)


@click.command(
    cls=Command,
    help=N_(
        "Poll the host every 10 s until ended, through reboots and lost networks; start it again and it goes "
        "on.\n\n"
        "Then: virtio-study files answers STUDY"
    ),
)
@click.argument("study")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help=N_("End after so many hours."))
def watch(study: str, hours: float | None) -> None:
    import sys
    import time

    from virtio_study.cli.watching import WatchLines, declared_span
    from virtio_study.sources.api.collecting import client_of
    from virtio_study.sources.api.watching import watch as poll
    from virtio_study.study import load_study

    protocol = load_study(study)
    end = time.monotonic() + hours * 3600 if hours else float("inf")
    terminal = sys.stderr.isatty()
    lines = WatchLines(terminal, hours, declared_span(protocol))
    try:
        client = client_of(protocol, tries=1)
        polls = poll(protocol, client, lines.state, lambda: time.monotonic() >= end, changed=lines.change)
    finally:
        click.echo(err=True, nl=terminal)  # what follows begins a line of its own
    click.echo(_("{polls} polls stored in {folder}", polls=polls, folder=protocol.folder / "raw"))
