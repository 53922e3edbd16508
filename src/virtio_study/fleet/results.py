"""What a fleet says together, typed: pooled effects, discoveries, and what the data cannot say."""

from collections import Counter
from collections.abc import Sequence

from virtio_study.analysis.meta_analysis import FALSE_DISCOVERY_RATE, standard_error
from virtio_study.analysis.records import Estimate, Number, Recorded
from virtio_study.fleet.estimating import ChangeEffect
from virtio_study.fleet.foreseen import ServerOutlook, Totals, totals
from virtio_study.fleet.nodes import NodeSummary, node_summaries
from virtio_study.fleet.survey import Survey
from virtio_study.stats.synthesis import false_discoveries_within, synthesise_groups
from virtio_study.study import METRICS

__all__ = ["FleetResults", "PlaceboAlarms", "PooledChange", "Silence", "of_survey", "shown_effects"]


class PooledChange(Recorded):
    """The relative effect of one kind of change on a metric over all servers that made it; see `RandomEffects`.

    `shown` counts its effects that hold at the false discovery rate, which is each kind's own; with one server there is
    no mean.
    """

    parts: tuple[str, ...]
    direction: str
    metric: str
    servers: int
    nodes: int
    shown: int
    mean: Estimate | None
    prediction: Estimate | None
    tau: Number | None
    i2: Number | None


class PlaceboAlarms(Recorded):
    """What the estimator says where nothing was changed; see `stats.controls.Controls`."""

    compared: int
    alarms: int
    share: Number
    widening: Number | None


class Silence(Recorded):
    """How many effects on a metric cannot be told, for a reason of `estimating.REASONS`."""

    metric: str
    reason: str
    count: int


class FleetResults(Recorded):
    """A fleet: what was looked at, what it says together, and what it cannot say. `effects` are those estimated.

    `past_known` says whether configurations of the past were told. `outlooks` are forecasts of the servers that changed
    nothing, those first that are worth most on their node, and `foreseen` what they come to.
    """

    fleet: str
    simulated: bool
    past_known: bool
    confidence: Number
    days: Number
    nodes: int
    servers: int
    changed: int
    changes: int
    effects: int
    one_by_one: int
    rate: Number
    discoveries: int
    pooled: tuple[PooledChange, ...]
    placebos: dict[str, PlaceboAlarms]
    silences: tuple[Silence, ...]
    by_node: tuple[NodeSummary, ...]
    foreseen: Totals
    outlooks: tuple[ServerOutlook, ...]


def of_survey(found: Survey, name: str, simulated: bool, confidence: float, *, past_known: bool = True) -> FleetResults:
    """Summarise a survey.

    Parameters
    ----------
    name : str
        Of the study or the simulation.
    confidence : float
        That of the survey.
    past_known : bool
        Whether configurations of the past were told; a live host holds none.
    """
    shown = shown_effects(found.findings)
    estimated = [finding for finding in found.findings if finding.estimated]
    silent = Counter((finding.metric, finding.reason) for finding in found.findings if finding.reason)
    order = {metric: place for place, metric in enumerate(METRICS)}
    return FleetResults(
        fleet=name,
        simulated=simulated,
        past_known=past_known,
        confidence=confidence,
        days=found.days,
        nodes=len(found.nodes),
        servers=found.servers,
        changed=found.changed,
        changes=len({(finding.server, finding.node, finding.at_s) for finding in found.findings}),
        effects=len(estimated),
        one_by_one=len([finding for finding in estimated if finding.p is not None and finding.p < 1 - confidence]),
        rate=FALSE_DISCOVERY_RATE,
        discoveries=shown.count(True),
        pooled=_pooled(found.findings, shown, confidence),
        placebos={metric: PlaceboAlarms.model_validate(item) for metric, item in found.placebos.items()},
        silences=tuple(
            Silence(metric=metric, reason=reason, count=count)
            for (metric, reason), count in sorted(
                silent.items(), key=lambda item: (order[item[0][0]], -item[1], item[0])
            )
        ),
        by_node=node_summaries(found, shown),
        foreseen=totals(found.outlooks),
        outlooks=found.outlooks,
    )


def shown_effects(findings: Sequence[ChangeEffect]) -> list[bool]:
    """Which findings are effects that are shown at the false discovery rate, within each kind of change and metric."""
    tested = [(place, p) for place, finding in enumerate(findings) if (p := finding.p) is not None]
    families = [_kind(findings[place]) for place, _ in tested]
    shown = [False] * len(findings)
    found = false_discoveries_within([p for _, p in tested], families, FALSE_DISCOVERY_RATE)
    for (place, _), discovery in zip(tested, found, strict=True):
        shown[place] = discovery
    return shown


def _kind(finding: ChangeEffect) -> tuple[tuple[str, ...], str, str]:
    """What is pooled: the kind of change, and the metric."""
    return finding.parts, finding.direction, finding.metric


def _pooled(findings: Sequence[ChangeEffect], shown: Sequence[bool], confidence: float) -> tuple[PooledChange, ...]:
    kinds: dict[tuple[tuple[str, ...], str, str], list[tuple[ChangeEffect, bool]]] = {}
    for finding, discovery in zip(findings, shown, strict=True):
        if finding.relative is not None:
            kinds.setdefault(_kind(finding), []).append((finding, discovery))
    found = [_together(kind, members, confidence) for kind, members in kinds.items()]
    order = {metric: place for place, metric in enumerate(METRICS)}
    return tuple(sorted(found, key=lambda item: (item.direction, item.parts, order[item.metric])))


def _together(
    kind: tuple[tuple[str, ...], str, str], members: Sequence[tuple[ChangeEffect, bool]], confidence: float
) -> PooledChange:
    effects = [interval for finding, _ in members if (interval := finding.relative)]
    values, errors = [item.estimate for item in effects], [standard_error(item) for item in effects]
    nodes = [finding.node for finding, _ in members]
    together = synthesise_groups(values, errors, nodes, confidence) if len(members) > 1 else None
    return PooledChange(
        parts=kind[0],
        direction=kind[1],
        metric=kind[2],
        servers=len(members),
        nodes=len(set(nodes)),
        shown=len([discovery for _, discovery in members if discovery]),
        mean=Estimate.of(together.mean, "share") if together else None,
        prediction=Estimate.of_any(together.prediction, "share") if together else None,
        tau=together.tau if together else None,
        i2=together.i2 if together else None,
    )
