"""The command `design`: which switchback to run, from the servers' own rows, and its schedule."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _, told

if TYPE_CHECKING:
    from virtio_study.design.choosing import Choice, Tried
    from virtio_study.study import Study

__all__ = ["design"]

BAR = 20
SHOWN_FALLS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@click.command(
    cls=Command,
    help=N_(
        "Which switchback to run: blocks of hours under one driver configuration or another, in random order.\n\n"
        "Simulates before/after and switchbacks on the servers' own rows, says what fall of the level each would show "
        "in four of five studies and what it costs, and recommends one. With --write the schedule is drawn, written "
        "into study.yaml, and as a table, a calendar and a script for the Proxmox VE host into the study's folder "
        "schedule/. A schedule that is there is never drawn again: its files alone are written."
    ),
)
@click.argument("study")
@click.option(
    "--server", "servers", multiple=True, help=N_("A server of the schedule (may be repeated; default: all).")
)
@click.option("--metric", default="cpu", show_default=True, help=N_("cpu, mem_displayed, mem_host or mem_guest."))
@click.option(
    "--driver-config",
    "configs",
    multiple=True,
    help=N_("A driver configuration to switch between (repeated; default: the two of the study's first comparison)."),
)
@click.option(
    "--drop", default=0.3, show_default=True, type=click.FloatRange(0.05, 0.95), help=N_("The fall to be shown.")
)
@click.option("--law", default="pairs", show_default=True, type=click.Choice(["pairs", "bojinov"]))
@click.option("--days", type=click.IntRange(1, 366), help=N_("Days in all (default: as few as will do)."))
@click.option("--block", "block_h", type=click.IntRange(1, 24 * 7), help=N_("Hours of a block (default: of several)."))
@click.option("--washout", default=30, show_default=True, help=N_("Minutes left out after each restart, at least."))
@click.option(
    "--start", type=click.DateTime(["%Y-%m-%d"]), help=N_("First day (default: the first that is a day away).")
)
@click.option("--zone", help=N_("Time zone such as America/Lima (default: that of this machine)."))
@click.option("--no-restart", default="08:00-18:00", show_default=True, help=N_("Hours in which no server restarts."))
@click.option("--any-hour", is_flag=True, help=N_("Restart at any hour."))
@click.option("--seed", type=click.IntRange(0), help=N_("Of the draw (default: a new one)."))
@click.option("--write", is_flag=True, help=N_("Draw the schedule and write it."))
@click.option("--json", "as_json", is_flag=True, help=N_("Numbers for a program."))
def design(
    study: str,
    servers: tuple[str, ...],
    metric: str,
    configs: tuple[str, ...],
    drop: float,
    law: str,
    days: int | None,
    block_h: int | None,
    washout: int,
    start: datetime | None,
    zone: str | None,
    no_restart: str,
    any_hour: bool,
    seed: int | None,
    write: bool,
    as_json: bool,
) -> None:
    from virtio_study.cli.design_figure import draw_power
    from virtio_study.design.following import FOLDER
    from virtio_study.design.recommending import draw_schedule, recommend
    from virtio_study.public.designing import history
    from virtio_study.study import load_study

    opened = load_study(study)
    if write and opened.schedule is not None:
        click.echo(_("study.yaml has a schedule already; no other is drawn, and its files are written anew:"))
        _write_files(opened)
        return
    found = recommend(
        opened,
        {server: history(opened, server, metric) for server in servers or opened.servers},
        driver_configs=configs,
        drop=drop,
        law="bojinov" if law == "bojinov" else "pairs",
        days=days,
        block_h=block_h,
        washout_s=60.0 * washout,
        zone=zone,
        no_restart=None if any_hour else no_restart,
    )
    click.echo(json.dumps(_numbers(found), indent=1) if as_json else _told(found))
    if write:
        chosen = servers or list(opened.servers)
        drawn = draw_schedule(opened, found.recommended, chosen, start=start, zone=zone, seed=seed)
        figures = draw_power(found, drawn.folder / FOLDER)
        if not as_json:
            _write_files(drawn)
            for path in figures:
                click.echo(str(path))


def _write_files(study: "Study") -> None:
    from virtio_study.design.following import never_recorded, write_schedule_files

    assert study.schedule is not None
    first = min(block.start for blocks in study.schedule.blocks.values() for block in blocks)
    last = max(block.end for blocks in study.schedule.blocks.values() for block in blocks)
    for path in write_schedule_files(study):
        click.echo(str(path))
    click.echo(
        _(
            "From {first} to {last} ({zone}). Read switch.sh; copied to the Proxmox VE host and run without an option, "
            "it shows what it would do and changes nothing.",
            first=first.isoformat(" ", "minutes"),
            last=last.isoformat(" ", "minutes"),
            zone=study.schedule.zone,
        )
    )
    for server, config in never_recorded(study):
        form = N_(
            "{server} was never recorded under {config:configuration}: start it so once by hand, with a backup, before "
            "the first block; docs/switchback.md has what its guest needs"
        )
        click.echo(_(form, server=server, config=config))


def _told(found: "Choice") -> str:
    lines = []
    if found.tried:
        servers = sorted({server for item in found.tried for server in item.powers})
        lines += [_("Simulated on the rows of {servers}:", servers=", ".join(servers)), *_table(found)]
    else:
        lines.append(
            _(
                "No server has two whole days of rows to simulate on (virtio-study collect gets some): a default is "
                "taken."
            )
        )
    chosen = found.recommended
    sentence = N_("Recommended: {days} days in blocks of {hours} h ({law}), {restarts} restarts of each server.")
    lines.append(_(sentence, days=chosen.days, hours=str(chosen.block_h), law=chosen.law, restarts=found.restarts))
    if found.tried and not found.reached:
        form = N_(
            "No design that was tried shows a fall of {fall:.0%} on every server in four of five studies; this comes "
            "nearest."
        )
        lines.append(_(form, fall=found.fall))
    if (item := found.tried_of_recommended) is not None:
        lines += [_("How often it would show a fall of"), *_curve(item)]
    return "\n".join(lines)


def _table(found: "Choice") -> list[str]:
    head = (_("design"), _("days"), _("restarts"), _("shown in 4 of 5"), _("shows {fall:.0%}", fall=found.fall))
    rows = [head]
    for item in found.best_of_each_length():
        least = told(said("{x:.0%}", x=item.least)) if item.least is not None else "-"
        power = item.power(found.fall)
        mark = " *" if any(power.extrapolated for power in item.powers.values()) else ""
        cells = (_name(item) + mark, str(item.days), str(item.restarts), least, told(said("{x:.0%}", x=power)))
        rows.append(cells)
    wide = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        first, *others = (
            f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, wide, strict=True))
        )
        lines.append("  ".join([first, *others]))
    if any(cells[0].endswith(" *") for cells in rows):
        lines.append(_("* the rows are shorter than the study: its blocks were drawn from them"))
    return lines


def _name(item: "Tried") -> str:
    if item.design is None:
        return _("before/after, {days} + {days} days", days=item.days // 2)
    return _("{law}, blocks of {hours} h", law=item.design.law, hours=str(item.design.block_h))


def _curve(item: "Tried") -> list[str]:
    lines = []
    for fall in SHOWN_FALLS:
        power = item.power(fall)
        lines.append(
            f"{told(said('{x:.0%}', x=fall)):>6} {told(said('{x:.0%}', x=power)):>6}  {'#' * round(BAR * power)}"
        )
    return lines


def _numbers(found: "Choice") -> dict[str, object]:
    tried = [
        {
            "law": item.design.law if item.design else "before_after",
            "block_h": item.design.block_h if item.design else None,
            "days": item.days,
            "restarts": item.restarts,
            "least": item.least,
            "power": {
                server: {"shown": power.shown, "places": power.places, "extrapolated": power.extrapolated}
                for server, power in item.powers.items()
            },
        }
        for item in found.tried
    ]
    chosen = found.recommended
    recommended = {"law": chosen.law, "days": chosen.days, "block_h": chosen.block_h, "restarts": found.restarts}
    return {"fall": found.fall, "reached": found.reached, "recommended": recommended, "tried": tried}
