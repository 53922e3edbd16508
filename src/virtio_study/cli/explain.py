"""The command `explain`: whose memory every server shows, what made the figure, and what would change it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from virtio_study.cli.forecasts import amount, echo_forecasts, echo_table, named
from virtio_study.cli.live import perhaps_at_endpoint, say_hidden
from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _, language, spoken, told

if TYPE_CHECKING:
    import pandas as pd

    from virtio_study.analysis.unchanged import Outlook
    from virtio_study.pve.explanation import Explanation
    from virtio_study.study import Endpoint

__all__ = ["explain"]

FILE = click.Path(path_type=Path)


@click.command(
    cls=Command,
    help=N_(
        "Whose memory every server shows: displayed, host's and guest's figure side by side, what made the displayed "
        "one, and what the balloon driver would change.\n\n"
        "Nothing is changed on the host, and no study is needed. VMIDS are the numbers of servers; default: all."
    ),
)
@click.argument("vmids", type=click.IntRange(min=100), nargs=-1)
@perhaps_at_endpoint
@click.option(
    "--answers",
    type=FILE,
    metavar="PLACE",
    help=N_("Saved answers instead of a host: a folder (such as a study's), a file of them, or a ZIP file."),
)
@click.option(
    "--qemu-server", metavar="VERSION", help=N_("Version of qemu-server on the host, where the answers do not tell it.")
)
@click.option(
    "--forecast",
    is_flag=True,
    help=N_(
        "What VirtIO would give on servers that have not changed: memory, display alone and CPU, from the past week."
    ),
)
@click.option("--json", "as_json", is_flag=True, help=N_("All that was found, as JSON."))
@click.option("--page", type=FILE, metavar="FILE", help=N_("Write it as a page in all languages."))
def explain(
    vmids: tuple[int, ...],
    endpoint: "Endpoint | None",
    answers: Path | None,
    qemu_server: str | None,
    forecast: bool,
    as_json: bool,
    page: Path | None,
) -> None:
    from virtio_study.pve.explanation import plain_row
    from virtio_study.sources.api.client import Client
    from virtio_study.sources.api.explained_rows import rows_of_answers, rows_of_host
    from virtio_study.sources.api.explaining import explain_answers, explain_host
    from virtio_study.sources.history import is_simulated

    if (endpoint is None) == (answers is None):
        raise click.UsageError(_("expected one of --host (or --backend local) and --answers"))
    rows: dict[int, pd.DataFrame] = {}
    if answers is not None:
        found, place = explain_answers(answers, vmids, qemu_server), str(answers)
        rows = rows_of_answers(answers, found, qemu_server) if forecast else rows
    else:
        assert endpoint is not None
        client = Client(endpoint)
        found, place = explain_host(client, vmids, qemu_server), endpoint.host
        say_hidden(client, len([item for item in found if item.node]))
        rows = rows_of_host(client, found, qemu_server) if forecast else rows
    ahead = _ahead(found, rows)
    simulated = any(is_simulated(item.node) for item in found)
    if simulated:
        click.echo(_("Simulated: nothing of this was measured."), err=True)
    if page is not None:
        _write(page, found, place, ahead, simulated=simulated)
    if as_json and forecast:
        plain = {"servers": [plain_row(item) for item in found], "forecast": [item.model_dump() for item in ahead]}
        click.echo(json.dumps(plain, indent=1))
    elif as_json:
        click.echo(json.dumps([plain_row(item) for item in found], indent=1))
    elif page is None:
        _show(found)
    if forecast and not as_json:
        echo_forecasts(ahead)


def _write(page: Path, found: "list[Explanation]", place: str, ahead: "list[Outlook]", *, simulated: bool) -> None:
    from virtio_study.report.explanation_page import render_explanations
    from virtio_study.storage import write_atomically

    write_atomically(page, render_explanations(found, place, language(), ahead=ahead, simulated=simulated).encode())
    click.echo(_("{path}: written", path=page), err=True)


def _show(found: "list[Explanation]") -> None:
    """The table, and below it every note once."""
    from virtio_study.i18n.labels import harmless
    from virtio_study.pve.explanation import SHARES, notes_on

    notes = notes_on(found)
    number = {vmid: place for place, note in enumerate(notes, 1) for vmid in note.vmids}
    rows = [_row(item, number[item.vmid]) for item in found]
    if not rows:
        click.echo(_("no server"))
        return
    heads = [spoken().term("heading", name) for name in rows[0]]
    echo_table([heads, *([harmless(cell) for cell in row.values()] for row in rows)])
    for place, note in enumerate(notes, 1):
        servers = named([str(vmid) for vmid in note.vmids])
        click.echo(f"[{place}] {servers}: {' '.join(told(one) for one in note.says)}")
    if any(item.instrument.startswith("host") for item in found):
        click.echo(_(SHARES))
    if any(item.host_bytes is not None and item.host_instrument == "unknown" for item in found):
        click.echo(
            _("What made the host's figure depends on qemu-server: give --qemu-server (pveversion -v tells it).")
        )


def _row(item: "Explanation", note: int) -> dict[str, str]:
    """A row of the table, by its columns."""
    return {
        "vmid": str(item.vmid),
        "name": item.name,
        "status": spoken().term("power", item.power),
        "displayed": amount(item.displayed_bytes),
        "share": "—" if item.share is None else told(said("{share:.1%}", share=item.share)),
        "host": amount(item.host_bytes),
        "guest": amount(item.guest_bytes),
        "instrument": spoken().term("instrument", item.instrument) if item.displayed_bytes is not None else "—",
        "other": ", ".join(dict.fromkeys([*(device.model for device in item.other), *item.hidden])),
        "note": f"[{note}]",
    }


def _ahead(found: "list[Explanation]", rows: "dict[int, pd.DataFrame]") -> "list[Outlook]":
    """Forecasts of the servers that have rows, held against neighbours that report their free pages."""
    from virtio_study.analysis.unchanged import outlooks, unchanged_of

    known = [item for item in found if item.vmid in rows]
    neighbours = [rows[item.vmid] for item in known if item.reporting == "on"]
    return outlooks([unchanged_of(item, rows[item.vmid]) for item in known], neighbours)
