"""The command `init`: a folder for a study of one's own, with what is known of its servers."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from virtio_study.cli.live import perhaps_at_endpoint
from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, spoken, told

if TYPE_CHECKING:
    from virtio_study.compendium.protocol import Known
    from virtio_study.study import Endpoint

__all__ = ["init"]

SYSTEMS = ("linux", "windows", "other")


@click.command(
    cls=Command,
    help=N_(
        "Lay out a folder for a study of your own.\n\n"
        "FOLDER gets the protocol, the notebooks, the environment with pinned versions, README, Makefile and "
        ".gitignore; the study has its name. The protocol is made from a live host (--host, and the VMIDS of its "
        "servers), from answers at a terminal, or is a template to complete. Nothing that is there is overwritten."
    ),
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("vmids", type=click.IntRange(min=100), nargs=-1)
@perhaps_at_endpoint
def init(folder: Path, vmids: tuple[int, ...], endpoint: "Endpoint | None") -> None:
    from virtio_study.compendium.layout import lay_out, name_of, refuse_present

    if endpoint is None and vmids:
        raise click.UsageError(_("Missing option '--host'."))
    if endpoint is not None and not vmids:
        raise click.UsageError(
            _("Missing argument: numbers of servers; virtio-study inventory shows those of the host")
        )
    refuse_present(folder)  # before anything is asked
    for path in lay_out(folder, _protocol(endpoint, vmids)):
        click.echo(_("wrote {path}", path=path))
    click.echo(
        _(
            "go to {folder} and complete data/{name}/study.yaml, then: virtio-study check {name}; "
            "README.md has the next steps",
            folder=shlex.quote(str(folder)),
            name=name_of(folder),
        ),
        err=True,
    )


def _protocol(endpoint: "Endpoint | None", vmids: tuple[int, ...]) -> str:
    from virtio_study.compendium.protocol import EXAMPLE, written

    if endpoint is None:
        return written(_asked() if sys.stdin.isatty() and sys.stdout.isatty() else EXAMPLE, spoken())
    from virtio_study.sources.api.client import Client
    from virtio_study.sources.api.drafting import draft

    made = draft(Client(endpoint), endpoint, vmids, spoken())
    for note in made.notes:
        click.echo(told(note), err=True)
    return made.text


def _asked() -> "Known":
    """What a person at the terminal knows."""
    from virtio_study.compendium.protocol import Known, KnownServer

    click.echo(_("Enter takes what stands in brackets; everything can be changed in study.yaml afterwards."))
    host = _line(_("Name of the host"), "pve1")
    version = _line(_("Its version of Proxmox VE"), "9")
    processor = _line(_("Model of its processor"), "unknown")
    cpus = click.prompt(_("Its logical CPUs (threads)"), type=click.IntRange(min=1), default=8)
    memory = _size(_("Its memory"), "64 GiB")
    servers: dict[str, KnownServer] = {}
    while not servers or click.confirm(_("Another server?"), default=False):
        name = click.prompt(_("Name of a server, such as mail"), value_proc=lambda text: _name(text, [*servers]))
        role = _line(_("What does it do?"))
        servers[name] = KnownServer(
            click.prompt(_("Its number (VMID)"), type=click.IntRange(min=100), default=100 + len(servers)),
            (role, role),
            click.prompt(_("Its virtual CPUs"), type=click.IntRange(min=1), default=2),
            _size(_("Its memory"), "4 GiB"),
            click.prompt(_("Its system"), type=click.Choice(SYSTEMS), default="linux"),
        )
    disk = click.prompt(_("Its disk before the change"), type=click.Choice(DISKS), default="ide")
    card = click.prompt(_("Its network card before the change"), type=click.Choice(CARDS), default="e1000")
    return Known(host, processor, cpus, memory, f"Proxmox VE {version}", servers, disk, card)


DISKS, CARDS = ("ide", "ahci", "lsi"), ("e1000", "e1000e", "rtl8139", "vmxnet3")
"""Models that Proxmox VE offers and that are not VirtIO, as protocols name them."""


def _line(question: str, default: str | None = None) -> str:
    return str(click.prompt(question, default=default, type=click.STRING)).strip()


def _size(question: str, default: str) -> str:
    from virtio_study.study.values import Size

    return str(click.prompt(question, default=default, value_proc=lambda text: _valid(Size, text)))


def _name(text: str, taken: list[str]) -> str:
    from virtio_study.study.values import Name

    if text in taken:
        raise click.BadParameter(_("{name!r} is taken; give another", name=text))
    return _valid(Name, text)


def _valid(kind: Any, text: str) -> str:
    """A text that a protocol takes for a kind of value; else the question is asked again, with the reason."""
    from pydantic import TypeAdapter, ValidationError

    from virtio_study.study.faults import message_of

    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        raise click.BadParameter(told(message_of(error.errors()[0]))) from None
    return text
