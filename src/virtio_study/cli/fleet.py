"""The command `fleet`: every natural experiment of a whole fleet, and what they say together."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from virtio_study.cli.speaking import Command
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.i18n.spoken import _, told

if TYPE_CHECKING:
    from virtio_study.fleet.histories import Fleet
    from virtio_study.fleet.results import FleetResults, PooledChange

__all__ = ["fleet"]

CONFIDENCE = 0.95
ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d+")


@click.command(
    cls=Command,
    help=N_(
        "What changes of drivers did on a whole fleet: every server that changed is held against those of its node "
        "that did not.\n\n"
        "STUDY is a study with recordings. With --simulated a fleet is made up instead, whose true effects are known. "
        "Writes fleet.json, fleet.parquet and a page in each language."
    ),
)
@click.argument("study", required=False)
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
    simulated: int | None,
    seed: int,
    workers: int | None,
    scheduler: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    from virtio_study.fleet.kept import Kept
    from virtio_study.fleet.results import of_survey
    from virtio_study.fleet.survey import survey
    from virtio_study.fleet.walking import processes_for
    from virtio_study.fleet.writing import write_survey
    from virtio_study.i18n.language import LANGUAGES
    from virtio_study.report.fleet_page import render_fleet
    from virtio_study.storage import write_atomically
    from virtio_study.workflow.keys import code_digest

    if scheduler is not None and (workers or not ADDRESS.fullmatch(scheduler)):
        raise click.UsageError(_("--scheduler is tcp://host:port or tls://host:port, and goes without --workers"))
    made, name, folder, confidence = _fleet(study, simulated, seed)
    folder = output or folder
    kept = Kept(folder / ".work", code_digest())
    found = survey(made, confidence, workers or processes_for(len(made.nodes)), scheduler or "", kept)
    results = of_survey(found, name, made.simulated, confidence)
    effects = write_survey(folder, results, found.findings)
    for language in LANGUAGES:
        write_atomically(folder / f"fleet.{language}.html", render_fleet(results, effects, language).encode())
    kept.remove()
    if as_json:
        click.echo(results.model_dump_json(indent=1))
        return
    click.echo(_table(results))
    _echo_ahead(results)
    click.echo(_("written: {folder}", folder=folder))


def _fleet(study: str | None, simulated: int | None, seed: int) -> tuple["Fleet", str, Path, float]:
    """The fleet, its name, where it is written, and its confidence."""
    if (study is None) == (simulated is None):
        raise click.UsageError(_("name a study, or --simulated with a number of servers"))
    if study is None:
        from virtio_study.testing.fleet import SimulatedFleet

        assert simulated is not None
        name = f"simulated-{simulated}-{seed}"
        return SimulatedFleet(simulated, seed=seed), name, Path("reports") / name / "fleet", CONFIDENCE
    from virtio_study.fleet.recorded import RecordedFleet
    from virtio_study.study import load_study

    protocol = load_study(study)
    return RecordedFleet(protocol), protocol.name, protocol.reports / "fleet", protocol.confidence


def _table(results: "FleetResults") -> str:
    from virtio_study.fleet.telling import said_about, said_counts

    lines = [
        _("Simulated: nothing of this was measured.") if results.simulated else "",
        told(said_about(results)),
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
