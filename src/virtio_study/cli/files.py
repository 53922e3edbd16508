"""The `virtio-study files` commands: recordings from files, without the API."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from virtio_study.cli.speaking import Command, Group
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, told
from virtio_study.plug_ins import SOURCES, PlugIn, plug_ins

if TYPE_CHECKING:
    from virtio_study.sources.outcomes import Imported

__all__ = ["files"]

FILE = click.Path(path_type=Path)
VERSION = click.option(
    "--qemu-server", metavar="VERSION", help=N_("Version of qemu-server on the host; it tells how memory was measured.")
)
NODE = click.option(
    "--node", help=N_("Node whose CPU is set beside the servers' (not needed where there is only one).")
)

MATCH = click.option(
    "--match",
    multiple=True,
    metavar="LABEL=VALUE",
    help=N_("Only series with this label or tag (may be repeated; of one label, any of its values)."),
)


class _WithPlugIns(Group):
    """The group with a command for each source that another package adds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *plug_ins(SOURCES)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        added = plug_ins(SOURCES).get(cmd_name)
        return own if own or added is None else _added(added)


@click.group(
    cls=_WithPlugIns,
    help=N_(
        "Record servers from files: saved answers of the API, RRD, rrddata, CSV, InfluxDB, Prometheus.\n\n"
        "The windows in study.yaml say which driver configuration was in force when (saved answers show it "
        "themselves). Files are kept, compressed, in the study's raw/ folder. A recording that is there "
        "already is never rewritten."
    ),
)
def files() -> None:
    """Record servers from files: saved answers of the API, RRD, rrddata, CSV, InfluxDB, Prometheus."""


@files.command(help=N_("Record from RRD files (needs rrdtool).\n\nFOLDER is a copy of a host's /var/lib/rrdcached/db."))
@click.argument("study")
@click.argument("folder", type=FILE)
@NODE
@VERSION
def rrd(study: str, folder: Path, node: str | None, qemu_server: str | None) -> None:
    from virtio_study.sources.files.importers import import_rrd
    from virtio_study.study import load_study

    _report(import_rrd(load_study(study), folder, node, qemu_server))


@files.command(
    help=N_(
        "Record from saved rrddata answers.\n\n"
        "ANSWERS are JSON of one SERVER with cf AVERAGE (the default), as from pvesh get "
        "/nodes/NODE/qemu/VMID/rrddata --timeframe day --output-format json, or from the API."
    )
)
@click.argument("study")
@click.argument("server")
@click.argument("answers", type=FILE, nargs=-1, required=True)
@VERSION
def rrddata(study: str, server: str, answers: tuple[Path, ...], qemu_server: str | None) -> None:
    from virtio_study.sources.files.importers import import_rrddata
    from virtio_study.study import load_study

    _report(import_rrddata(load_study(study), server, answers, qemu_server))


@files.command(
    help=N_(
        "Record from saved answers of the API.\n\n"
        "SAVED are JSON lines (plain or .zst) with t, path, status and body; without SAVED, what collect and "
        "watch stored. Which driver configuration was in force when is found in them, and compared with the "
        "disk, nic and balloon_driver of the study's driver_configs."
    )
)
@click.argument("study")
@click.argument("saved", type=FILE, nargs=-1)
@VERSION
def answers(study: str, saved: tuple[Path, ...], qemu_server: str | None) -> None:
    from virtio_study.sources.api.importers import import_answers
    from virtio_study.sources.api.response_log import stored
    from virtio_study.study import load_study

    protocol = load_study(study)
    _report(import_answers(protocol, saved or stored(protocol.folder), qemu_server))


@files.command(help=N_("Record from a CSV file.\n\nTABLE is text in UTF-8 with a line of names, of one SERVER."))
@click.argument("study")
@click.argument("server")
@click.argument("table", type=FILE)
@click.option(
    "--mapping", type=FILE, required=True, help=N_("YAML file: which column is what, in which unit and zone.")
)
def csv(study: str, server: str, table: Path, mapping: Path) -> None:
    from virtio_study.sources.files.importers import import_csv
    from virtio_study.study import load_study

    _report(import_csv(load_study(study), server, table, mapping))


@files.command(
    help=N_(
        "Record from InfluxDB dumps.\n\nDUMPS are in line protocol, as Proxmox VE's external metric server wrote it."
    )
)
@click.argument("study")
@click.argument("dumps", type=FILE, nargs=-1, required=True)
@NODE
@MATCH
@VERSION
def influx(
    study: str, dumps: tuple[Path, ...], node: str | None, match: tuple[str, ...], qemu_server: str | None
) -> None:
    from virtio_study.sources.files.importers import import_dump
    from virtio_study.sources.files.influx import read_influx
    from virtio_study.study import load_study

    protocol = load_study(study)
    wanted = {protocol.server(window.server).vmid for window in protocol.windows}
    _report(import_dump(protocol, read_influx(dumps, _labels(match), wanted), dumps, "influx", node, qemu_server))


@files.command(
    help=N_(
        "Record from Prometheus dumps.\n\n"
        "DUMPS are JSON of the query API over a range, or text of promtool tsdb dump, with the metrics of "
        "prometheus-pve-exporter."
    )
)
@click.argument("study")
@click.argument("dumps", type=FILE, nargs=-1, required=True)
@NODE
@MATCH
def prometheus(study: str, dumps: tuple[Path, ...], node: str | None, match: tuple[str, ...]) -> None:
    from virtio_study.sources.files.importers import import_dump
    from virtio_study.sources.files.prometheus import read_prometheus
    from virtio_study.study import load_study

    protocol = load_study(study)
    _report(import_dump(protocol, read_prometheus(dumps, _labels(match)), dumps, "prometheus", node))


def _added(plug_in: PlugIn) -> click.Command:
    """The command of a source that another package adds."""

    @click.command(
        plug_in.name,
        cls=Command,
        help=_("Record from what the package {package} reads.", package=plug_in.package),
    )
    @click.argument("study")
    @click.argument("server")
    @click.argument("saved", type=FILE, nargs=-1, required=True, metavar="FILES...")
    def record(study: str, server: str, saved: tuple[Path, ...]) -> None:
        from virtio_study.sources.files.importers import import_added
        from virtio_study.study import load_study

        _report(import_added(load_study(study), server, plug_in, saved))

    return record


def _labels(match: tuple[str, ...]) -> dict[str, list[str]]:
    """Label -> the values that were asked for."""
    labels: dict[str, list[str]] = {}
    for text in match:
        name, sign, value = text.partition("=")
        if not sign:
            raise click.BadParameter(
                _("{text!r}: expected LABEL=VALUE, such as instance=pve1", text=text), param_hint="--match"
            )
        labels.setdefault(name, []).append(value)
    return labels


def _report(outcomes: "list[Imported]") -> None:
    from virtio_study.sources.outcomes import RecordedFile

    for item in outcomes:
        click.echo(f"{item.place if isinstance(item, RecordedFile) else item.server}: {told(item.told)}")
