"""The command `fleet`: every natural experiment of a whole fleet, and what they say together."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from virtio_study.cli.live import perhaps_at_endpoint, say_hidden
from virtio_study.cli.speaking import Command
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _, ngettext, told

if TYPE_CHECKING:
    from collections.abc import Collection

    from virtio_study.fleet.histories import Fleet
    from virtio_study.fleet.results import FleetResults, PooledChange
    from virtio_study.study import Endpoint

__all__ = ["fleet"]

CONFIDENCE = 0.95
ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d+")
UNUSED = N_("{name}: no recording has a row that can be used; record longer, or see why: virtio-study run {name}")
UNUSED_HOST = N_("{name}: no server has rows of rrddata that can be used; is one running, and may the token see it?")
UNUSED_ANSWERS = N_(
    "{name}: no rrddata among the answers that can be used; polls become rows in a study: virtio-study files answers"
)


@click.command(
    cls=Command,
    help=N_(
        "What changes of drivers did on a whole fleet: every server that changed is held against those of its node "
        "that did not. Of those that changed nothing: what VirtIO would give there.\n\n"
        "STUDY is a study with recordings. Without a study: --host asks a live host, which is not changed by it, "
        "--answers reads saved answers, and --simulated makes up a fleet whose true effects are known. Writes "
        "fleet.json, fleet.parquet and a page in each language."
    ),
)
@click.argument("study", required=False)
@perhaps_at_endpoint
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    metavar="PLACE",
    help=N_("Saved answers instead of a host: a folder (such as a study's), a file of them, or a ZIP file."),
)
@click.option(
    "--qemu-server", metavar="VERSION", help=N_("Version of qemu-server on the host, where the answers do not tell it.")
)
@click.option("--simulated", type=click.IntRange(1, 100_000), help=N_("Make up a fleet of so many servers."))
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help=N_("Of the simulation."))
@click.option("--workers", type=click.IntRange(1), help=N_("Processes (default: as many as the fleet is worth)."))
@click.option(
    "--scheduler", metavar="ADDRESS", help=N_("Dask scheduler whose workers are taken: tcp://host:8786 or tls://...")
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help=N_("Folder that is written (default: fleet/ in the study's reports)."),
)
@click.option("--json", "as_json", is_flag=True, help=N_("Numbers for a program."))
def fleet(
    study: str | None,
    endpoint: "Endpoint | None",
    answers: Path | None,
    qemu_server: str | None,
    simulated: int | None,
    seed: int,
    workers: int | None,
    scheduler: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    from virtio_study.storage import scratch_folder

    if scheduler is not None and (workers or not ADDRESS.fullmatch(scheduler)):
        raise click.UsageError(_("--scheduler is tcp://host:port or tls://host:port, and goes without --workers"))
    if [study, endpoint, answers, simulated].count(None) != 3:
        raise click.UsageError(_("name a study, or one of --host, --answers and --simulated"))
    with scratch_folder() as folder:
        if endpoint is not None:
            asked = _of_host(endpoint, qemu_server, folder)
        elif answers is not None:
            asked = _of_answers(answers, qemu_server)
        else:
            asked = _of_study(study) if study is not None else _simulated(simulated or 1, seed)
        results = _survey(asked, output or asked.folder, workers, scheduler or "")
    if as_json:
        click.echo(results.model_dump_json(indent=1))
    else:
        click.echo(_table(results))
        _echo_ahead(results)
        click.echo(_("written: {folder}", folder=output or asked.folder))


@dataclass(frozen=True)
class _Asked:
    """A fleet, its name, where it is written, its confidence, whether its past configurations are known, and what is
    said where no row of it can be used.
    """

    fleet: "Fleet"
    name: str
    folder: Path
    confidence: float = CONFIDENCE
    past_known: bool = True
    unused: str = UNUSED


def _survey(asked: _Asked, folder: Path, workers: int | None, scheduler: str) -> "FleetResults":
    """Survey a fleet, and write what it says."""
    from virtio_study.fleet.kept import Kept
    from virtio_study.fleet.results import of_survey
    from virtio_study.fleet.survey import survey
    from virtio_study.fleet.walking import processes_for
    from virtio_study.fleet.writing import write_survey
    from virtio_study.i18n.language import LANGUAGES
    from virtio_study.report.fleet_page import render_fleet
    from virtio_study.storage import write_atomically
    from virtio_study.workflow.keys import code_digest

    made, kept = asked.fleet, Kept(folder / ".work", code_digest())
    most = len(made.nodes)
    if workers and workers > most:
        text = ngettext(
            "{workers} workers were asked for, and {count} is what the fleet is worth: a node is done by one of them",
            "{workers} workers were asked for, and {count} are what the fleet is worth: a node is done by one of them",
            most,
            workers=workers,
        )
        click.echo(text, err=True)
    found = survey(made, asked.confidence, workers or processes_for(most), scheduler, kept)
    if made.without:
        _say_without(made.without)
    if not found.servers:
        raise DataError(asked.unused, name=asked.name)
    results = of_survey(found, asked.name, made.simulated, asked.confidence, past_known=asked.past_known)
    effects = write_survey(folder, results, found.findings)
    for language in LANGUAGES:
        write_atomically(folder / f"fleet.{language}.html", render_fleet(results, effects, language).encode())
    kept.remove()
    return results


def _say_without(names: "Collection[str]") -> None:
    """Name servers that gave no rows."""
    from virtio_study.cli.forecasts import named

    text = ngettext(
        "{count} server is left out, for no row shows it an hour after a start and undisturbed: {named}",
        "{count} servers are left out, for no row shows them an hour after a start and undisturbed: {named}",
        len(names),
        named=named(names),
    )
    click.echo(text, err=True)


def _simulated(count: int, seed: int) -> _Asked:
    from virtio_study.testing.fleet import SimulatedFleet

    name = f"simulated-{count}-{seed}"
    return _Asked(SimulatedFleet(count, seed=seed), name, Path("reports") / name / "fleet")


def _of_study(study: str) -> _Asked:
    from virtio_study.fleet.recorded import RecordedFleet
    from virtio_study.study import load_study

    protocol = load_study(study)
    return _Asked(RecordedFleet(protocol), protocol.name, protocol.reports / "fleet", protocol.confidence)


def _of_host(endpoint: "Endpoint", qemu_server: str | None, folder: Path) -> _Asked:
    from virtio_study.fleet.hosted import HostFleet
    from virtio_study.sources.api.client import Client
    from virtio_study.sources.api.explaining import explain_host

    client = Client(endpoint)
    found = explain_host(client, (), qemu_server)
    say_hidden(client, len([item for item in found if item.node]))
    made = HostFleet(found, client, folder)
    return _Asked(made, endpoint.host, _place(endpoint.host), past_known=False, unused=UNUSED_HOST)


def _of_answers(answers: Path, qemu_server: str | None) -> _Asked:
    from virtio_study.fleet.hosted import AnsweredFleet
    from virtio_study.sources.api.explaining import explain_answers

    name = answers.resolve().name
    made = AnsweredFleet(explain_answers(answers, (), qemu_server), answers)
    return _Asked(made, name, _place(name), unused=UNUSED_ANSWERS)


def _place(name: str) -> Path:
    """Folder of a fleet that belongs to no study."""
    return Path("reports") / re.sub(r"[^\w.-]", "-", name) / "fleet"


def _table(results: "FleetResults") -> str:
    from virtio_study.fleet.telling import PAST_UNKNOWN, said_about, said_answers, said_counts

    lines = [
        _("Simulated: nothing of this was measured.") if results.simulated else "",
        *(told(line) for line in said_answers(results)),
        told(said_about(results)),
        "" if results.past_known else _(PAST_UNKNOWN),
    ]
    lines += [_pooled(item) for item in results.pooled]
    if results.effects:
        lines.append(told(said_counts(results)))
    for metric, item in results.placebos.items():
        text = _(
            "{metric:metric}: {alarms} of {compared} changes that never were exclude zero",
            metric=metric,
            alarms=item.alarms,
            compared=item.compared,
        )
        lines.append(text)
    if results.silences:
        lines += [_("What the data cannot say:"), *(_silence(*one) for one in _silences(results))]
    return "\n".join(filter(None, lines))


WORTH_MOST = 5
"""So many forecasts are printed; the page and fleet.json have all."""


def _echo_ahead(results: "FleetResults") -> None:
    """What the forecasts come to, and those that are worth most."""
    from virtio_study.cli.forecasts import echo_forecasts
    from virtio_study.fleet.telling import said_totals

    if results.outlooks:
        click.echo(_("What VirtIO would give on servers that have not changed") + ":")
        click.echo(" ".join(told(line) for line in said_totals(results.foreseen)))
        echo_forecasts(results.outlooks[:WORTH_MOST])


def _pooled(item: "PooledChange") -> str:
    fields = {
        "change": [said("{part:setting}", part=part) for part in item.parts],
        "direction": item.direction,
        "metric": item.metric,
        "servers": item.servers,
        "shown": item.shown,
    }
    if item.mean is None:
        return _("{change} ({direction:direction}), {metric:metric}: one server alone, see the table", **fields)
    return _(
        "{change} ({direction:direction}), {metric:metric}: {mean:+.1%} ({low:+.1%} to {high:+.1%}) over {servers} "
        "servers, {shown} shown one by one",
        **fields,
        mean=item.mean.estimate,
        low=item.mean.low,
        high=item.mean.high,
    )


def _silences(results: "FleetResults") -> list[tuple[str, str, int]]:
    return [(item.metric, item.reason, item.count) for item in results.silences]


def _silence(metric: str, reason: str, count: int) -> str:
    from virtio_study.fleet.estimating import REASONS

    return "  " + told(
        said(N_("{count} x {metric:metric}: {why}"), count=count, metric=metric, why=said(REASONS[reason]))
    )
