"""Everything that the report prints, as one typed structure, and how it is put together from its parts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from virtio_study import __version__
from virtio_study.analysis.arms import Arm
from virtio_study.analysis.audit import Audit
from virtio_study.analysis.calibration import Calibration, calibration
from virtio_study.analysis.capacity import OVERCOMMIT, Capacity, MeasuredCapacity, fits, fits_measured
from virtio_study.analysis.comparison import ServerComparison, as_received, compare, with_adherence
from virtio_study.analysis.decomposition import decompose
from virtio_study.analysis.description import Description
from virtio_study.analysis.effects import NegativeControls, restarts_of
from virtio_study.analysis.forecast import Forecast, forecasts
from virtio_study.analysis.meta_analysis import Synthesis, pooled
from virtio_study.analysis.plausibility import Counts, Plausibility, plausibility
from virtio_study.analysis.records import Bilingual, Line, Number, Recorded
from virtio_study.analysis.scheduled import assigned_arms, block_rows, received_arms
from virtio_study.analysis.switchback import ScheduledBlock, Switchback, switchback
from virtio_study.analysis.timeline import Timeline, TimelineRun, with_start_up
from virtio_study.cleaning.transients import LATE_GAIN
from virtio_study.errors import DataError
from virtio_study.stats.controls import controls
from virtio_study.stats.elementary import total
from virtio_study.stats.levels import PEAK_QUANTILE
from virtio_study.stats.stretch import BATCHES
from virtio_study.study import Comparison, Study

__all__ = ["SCHEMA_VERSION", "Results", "ServerResults", "compare_server", "gather"]

SCHEMA_VERSION: Literal[2] = 2
"""1 - first version. 2 - typed: numbers of nine digits, in the study's order; no interpreter and no package in it."""

OPERATIONS = {"disk": ("disk_reads_per_s", "disk_writes_per_s"), "network": ("requests_answered_per_s",)}
"""Kind of device -> load columns that count its operations."""


class Allocation(Recorded):
    """What a server was given."""

    vcpus: int
    memory_bytes: int
    disk_bytes: int | None


class ServerResults(Recorded):
    """One server: its description under every driver configuration, its comparisons, in the study's order, and what its
    host can get back.
    """

    role: Bilingual
    allocation: Allocation
    configurations: dict[str, Description]
    comparisons: dict[str, ServerComparison]
    forecasts: tuple[Forecast, ...]


class MeasuredFit(MeasuredCapacity):
    """Servers that fit if each spends the host memory and CPU measured under one driver configuration."""

    host_bytes: Number
    cpu_cores: Number | None


class ServerCapacity(Recorded):
    """Servers like one that fit on the study's host: by allocation, and by driver configuration as measured."""

    allocation: Capacity
    measured: dict[str, MeasuredFit]


class HostCapacity(Recorded):
    """What fits on the study's host, by server."""

    overcommit: Number
    servers: dict[str, ServerCapacity]


class Methods(Recorded):
    """The declared choices of the analysis."""

    confidence: Number
    peak_quantile: Number = PEAK_QUANTILE
    batches: int = BATCHES
    transient: str = "MSER-5 on the CPU series, within an hour of a start"
    transient_late_gain: Number = LATE_GAIN
    difference: str = "Welch t over boots, Satterthwaite df"
    relative: str = "Fieller over boots, Satterthwaite df"
    equivalence: str = "two one-sided Welch t tests over boots on the ratio"
    series: str = f"AR(1) over {BATCHES} batches a side, phi averaged over; robust bound: Welch t over half sides"


class Origin(Recorded):
    """What the results were made of: version of this package, versions in the recordings, checksums, seed."""

    version: str = __version__
    recordings: dict[str, Line]
    inputs: dict[str, str]
    seed: int


class Results(Recorded):
    """`results.json`: every number in the report. Dictionaries are in the study's order."""

    schema_version: Literal[2] = SCHEMA_VERSION
    name: Line
    study: Study
    servers: dict[str, ServerResults]
    counts: Counts | None
    plausibility: Plausibility | None
    published: Audit | None
    timeline: Timeline | None
    switchback: Switchback | None = None
    capacity: HostCapacity
    controls: NegativeControls | None
    synthesis: Synthesis | None
    calibration: Calibration
    methods: Methods
    provenance: Origin


def compare_server(
    study: Study,
    arms: Mapping[str, Arm],
    watched: Callable[[Iterable[tuple[str, Comparison]]], Iterable[tuple[str, Comparison]]] = iter,
) -> dict[str, ServerComparison]:
    """Every comparison of a server, by name, in the study's order.

    Parameters
    ----------
    arms : mapping of driver configuration to Arm
        The boots of the server; where the study has a schedule for it, they are cut at its blocks here.
    watched : callable
        Goes through the comparisons, and may tell somebody how far that is.
    """
    found: dict[str, ServerComparison] = {}
    server = next(iter(arms.values())).server
    recorded_arms, arms = arms, assigned_arms(study, server, arms)
    restarts: dict[str, list[float]] = {metric: restarts_of(arms.values(), metric) for metric in study.metrics}
    # restarts first: single recordings are judged by what a restart alone was seen to change
    in_order = sorted(study.comparisons.items(), key=lambda pair: pair[1].purpose != "restart")
    for name, item in watched(in_order):
        found[name] = compare(study, item, arms[item.before], arms[item.after], restarts)
        if item.purpose == "total":
            found[name] = found[name].model_copy(update={"decomposition": decompose(study, item, arms)})
        for metric, effect in found[name].effects.items():
            if item.purpose == "restart" and effect.difference and effect.replication == "batches":
                restarts[metric].append(effect.difference.estimate)
    recorded = [item for item in block_rows(study, server, recorded_arms) if len(item.rows)]
    if recorded:
        kept = sum(1 for item in recorded if item.kept)
        others = received_arms(study, server, recorded_arms)
        for name, item in study.comparisons.items():
            received = as_received(study, others[item.before], others[item.after]) if kept < len(recorded) else {}
            found[name] = with_adherence(found[name], received, kept, len(recorded))
    return {name: found[name] for name in study.comparisons}


def gather(
    study: Study,
    described: Mapping[str, Mapping[str, Description]],
    compared: Mapping[str, Mapping[str, ServerComparison]],
    *,
    runs: Mapping[str, Sequence[TimelineRun]] | None,
    blocks: Mapping[str, Sequence[ScheduledBlock]],
    counts: Counts | None,
    audit: Audit | None,
    inputs: Mapping[str, str],
) -> Results:
    """Everything that the report prints, as one structure.

    Parameters
    ----------
    described : mapping
        Server -> driver configuration -> description; empty for a published study.
    compared : mapping
        Server -> its comparisons.
    runs : mapping, optional
        Server -> its runs.
    blocks : mapping
        Server -> the blocks of its schedule.
    counts : Counts, optional
        The lab's counts of device accesses.
    audit : Audit, optional
        Of a published study.
    inputs : mapping
        Name of a file of the study -> its SHA-256.
    """
    forecast = forecasts(study, described)
    servers = {name: _server(study, name, described[name], compared[name], forecast[name]) for name in described}
    return Results(
        name=study.name,
        study=study,
        servers=servers,
        counts=counts,
        plausibility=_plausibility(study, servers, audit, counts),
        published=audit,
        timeline=None if runs is None else with_start_up(runs, described),
        switchback=switchback(study, blocks),
        capacity=_capacity(study, servers),
        controls=_controls(study, servers),
        synthesis=pooled([server.comparisons for server in servers.values()], study.confidence),
        calibration=calibration(),
        methods=Methods(confidence=study.confidence),
        provenance=_origin(study, servers, inputs),
    )


def _server(
    study: Study,
    name: str,
    described: Mapping[str, Description],
    compared: Mapping[str, ServerComparison],
    forecast: tuple[Forecast, ...],
) -> ServerResults:
    server = study.server(name)
    return ServerResults(
        role=Bilingual.model_validate(server.role),
        allocation=Allocation(
            vcpus=server.vcpus,
            memory_bytes=int(server.memory_bytes),
            disk_bytes=None if server.disk_bytes is None else int(server.disk_bytes),
        ),
        configurations=dict(described),
        comparisons={key: compared[key] for key in study.comparisons if key in compared},
        forecasts=forecast,
    )


def _capacity(study: Study, servers: Mapping[str, ServerResults]) -> HostCapacity:
    """What fits on the study's host by allocation, and by the host memory measured under each configuration."""
    found = {}
    for name, server in study.servers.items():
        described = servers[name].configurations if name in servers else {}
        fitting = {config: _fit(study, item) for config, item in described.items()}
        found[name] = ServerCapacity(
            allocation=fits(study.host, server.vcpus, int(server.memory_bytes)),
            measured={config: fit for config, fit in fitting.items() if fit is not None},
        )
    return HostCapacity(overcommit=OVERCOMMIT, servers=found)


def _fit(study: Study, described: Description) -> MeasuredFit | None:
    memory, cpu = (described.levels[m].sustained if m in described.levels else None for m in ("mem_host", "cpu"))
    if memory is None:
        return None
    cores = cpu.estimate if cpu and described.accelerator == "kvm" else None
    fit = fits_measured(study.host, memory.estimate, cores)
    return MeasuredFit(**dict(fit), host_bytes=memory.estimate, cpu_cores=cores)


def _plausibility(
    study: Study, servers: Mapping[str, ServerResults], audit: Audit | None, counts: Counts | None
) -> Plausibility | None:
    """The bridge from counted accesses to CPU: forwards with the recorded rates, backwards with the published falls."""
    if counts is None:
        return None
    whole = next(name for name, item in study.comparisons.items() if item.purpose == "total")
    rates: dict[str, dict[str, float]] = {}
    for name, server in servers.items():
        load = {item.column: item.before or 0.0 for item in server.comparisons[whole].load if item.recorded}
        kinds = {
            kind: total(load[column] for column in columns if column in load) for kind, columns in OPERATIONS.items()
        }
        rates[name] = {kind: rate for kind, rate in kinds.items() if rate > 0}
    published = {} if audit is None else audit.servers
    falls = {
        name: metrics["cpu"].before.value - metrics["cpu"].after.value
        for name, metrics in published.items()
        if "cpu" in metrics
    }
    try:
        return plausibility(counts, falls, rates)
    except DataError:
        return None


def _controls(study: Study, servers: Mapping[str, ServerResults]) -> NegativeControls | None:
    """The comparisons of a restart alone, in which no driver changed: how many of them show a change."""
    intervals = [
        effect.difference.interval
        for server in servers.values()
        for name, comparison in study.comparisons.items()
        if comparison.purpose == "restart"
        for effect in server.comparisons[name].effects.values()
        if effect.difference
    ]
    return NegativeControls.model_validate(controls(intervals)) if intervals else None


def _origin(study: Study, servers: Mapping[str, ServerResults], inputs: Mapping[str, str]) -> Origin:
    recorded: dict[str, set[str]] = {}
    for server in servers.values():
        for described in server.configurations.values():
            for key, value in described.versions.items():
                recorded.setdefault(key, set()).add(value)
    return Origin(
        recordings={key: ", ".join(sorted(values)) for key, values in sorted(recorded.items())},
        inputs=dict(inputs),
        seed=study.seed,
    )
