"""The `virtio-study lab` commands."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from virtio_study.cli.speaking import Group
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, ngettext

__all__ = ["lab"]

Item = TypeVar("Item")


@click.group(cls=Group, help=N_("Record real QEMU guests (needs Debian's qemu-system-x86; no root, no hypervisor)."))
def lab() -> None:
    """Record real QEMU guests (needs Debian's qemu-system-x86; no root, no hypervisor)."""


@lab.command(
    help=N_(
        "Run and record every boot of the study that is not recorded yet.\n\n"
        "It can be ended at any moment: finished boots are kept and never run again."
    )
)
@click.argument("study")
def record(study: str) -> None:
    from virtio_study.lab.experiment import record as record_study

    boots = record_study(study, progress=lambda slots: _bar(slots, _("slot")))
    text = ngettext(
        "{count} boot of {study} run; next: virtio-study run {study}",
        "{count} boots of {study} run; next: virtio-study run {study}",
        boots,
        study=study,
    )
    click.echo(text)


@lab.command(help=N_("Count device-register accesses per operation, device by device, into the study's counts.json."))
@click.argument("study")
def count(study: str) -> None:
    from virtio_study.lab.counts import count as count_study

    result = count_study(study, progress=lambda operations: _bar(operations, _("operation")))
    for row in result["rows"]:
        values = ", ".join(f"{value:.2f}" for value in row["boots"])
        click.echo(f"{row['device']:12} {row['operation']:24} {values}")


@lab.command(help=N_("Find out by booting which accelerator works here."))
@click.argument("study")
def probe(study: str) -> None:
    from virtio_study.lab.guest import build_guest
    from virtio_study.lab.machine import probe as probe_accelerator
    from virtio_study.study import load_study

    found = probe_accelerator(build_guest(load_study(study).folder / "guest"))
    click.echo(
        _(
            "{name} (kernel module {module}): {reason}",
            name=found.name,
            module=found.kernel_module or _("none"),
            reason=found.reason,
        )
    )


def _bar(items: list[Item], unit: str) -> Iterator[Item]:
    from tqdm import tqdm

    shown: Iterable[Item] = tqdm(items, unit=unit, smoothing=0.1, dynamic_ncols=True)
    yield from shown
