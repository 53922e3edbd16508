"""The command `plan`: how much to record, from what was recorded already."""

from typing import TYPE_CHECKING

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _, told

if TYPE_CHECKING:
    from virtio_study.analysis.planning import Planned

__all__ = ["plan"]

BAR = 20


@click.command(
    cls=Command,
    help=N_(
        "How many boots or days a side a study needs, from a pilot recording.\n\n"
        "Boots if the pilot has three or more of them, else days of the one recording. --drop is the "
        "relative fall of the level that the study should be able to show."
    ),
)
@click.argument("study")
@click.option("--server", required=True, help=N_("The server whose recording is the pilot."))
@click.option(
    "--driver-config", "driver_config", help=N_("Its driver configuration (default: the first of the study).")
)
@click.option("--metric", default="cpu", show_default=True, help=N_("cpu, mem_displayed, mem_host or mem_guest."))
@click.option("--drop", default=0.3, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True))
@click.option("--json", "as_json", is_flag=True, help=N_("Numbers for a program."))
def plan(study: str, server: str, driver_config: str | None, metric: str, drop: float, as_json: bool) -> None:
    from virtio_study.public import load_study

    found = load_study(study).plan(server, driver_config, metric=metric, drop=drop)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    click.echo(_table(found))


def _table(found: "Planned") -> str:
    boots = found.unit == "boots"
    head = _("boots a side") if boots else _("days a side"), _("half-width"), _("shown in 4 of 5"), _("power")
    wide = [max(len(text), least) for text, least in zip(head, (14, 10, 15, 5), strict=True)]
    lines = [
        _(
            "{server} under {config:configuration}, {metric:metric}: power to show a fall of {drop:.0%} at "
            "{confidence:.0%} confidence",
            server=found.server,
            config=found.driver_config,
            metric=found.metric,
            drop=found.drop,
            confidence=found.confidence,
        ),
        "  ".join(f"{text:>{width}}" for text, width in zip(head, wide, strict=True)),
    ]
    for item in found.plans:
        shares = [told(said("{x:.1%}", x=share)) for share in (item.relative_half_width, item.detectable)]
        cells = [str(item.amount), *shares, told(said("{x:.0%}", x=item.power))]
        row = "  ".join(f"{text:>{width}}" for text, width in zip(cells, wide, strict=True))
        lines.append(f"{row}  {'#' * round(BAR * item.power)}")
    return "\n".join([*lines, _conclusion(found.enough, boots)])


def _conclusion(enough: int | None, boots: bool) -> str:
    if enough is not None:
        form = N_("{enough} boots a side are enough (power 80 % or more).")
        return _(form if boots else N_("{enough} days a side are enough (power 80 % or more)."), enough=enough)
    if boots:
        return _("None of these is enough: boots of this server differ too much for a fall of this size.")
    return _(
        "None of these is enough, and more days will not help: the level wanders. Switch back and forth (several boots "
        "of each configuration), or study more servers."
    )
