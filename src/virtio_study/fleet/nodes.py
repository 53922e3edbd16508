"""Node by node: how many servers, how many changed, what the others did meanwhile, what VirtIO would give there."""

from collections.abc import Iterable, Sequence
from statistics import median

from virtio_study.analysis.records import Line, Number, Recorded
from virtio_study.fleet.estimating import ChangeEffect
from virtio_study.fleet.foreseen import ServerOutlook, Totals, totals
from virtio_study.fleet.survey import Survey

__all__ = ["NodeSummary", "node_summaries"]


class NodeSummary(Recorded):
    """A node. `shown` counts effects on its servers that hold at the false discovery rate, which is each kind's own.

    `meanwhile` is what the servers that changed nothing did to their CPU while others changed, relative to before: the
    median over these changes; None where no effect on CPU was estimated. Every effect is free of it.
    """

    node: Line
    servers: int
    changed: int
    changes: int
    shown: int
    meanwhile: Number | None
    foreseen: Totals


def node_summaries(found: Survey, shown: Sequence[bool]) -> tuple[NodeSummary, ...]:
    """Every node of a survey, in order.

    Parameters
    ----------
    shown : sequence of bool
        Which findings are shown, in their order.
    """
    findings: dict[str, list[tuple[ChangeEffect, bool]]] = {}
    for item, seen in zip(found.findings, shown, strict=True):
        findings.setdefault(item.node, []).append((item, seen))
    ahead: dict[str, list[ServerOutlook]] = {}
    for outlook in found.outlooks:
        ahead.setdefault(outlook.node, []).append(outlook)
    return tuple(
        NodeSummary(
            node=node,
            servers=len(set(names.servers)),
            changed=len(set(names.changed)),
            changes=len({(item.server, item.at_s) for item, _ in findings.get(node, ())}),
            shown=len([seen for _, seen in findings.get(node, ()) if seen]),
            meanwhile=_meanwhile(item for item, _ in findings.get(node, ())),
            foreseen=totals(ahead.get(node, ())),
        )
        for node, names in found.nodes.items()
    )


def _meanwhile(found: Iterable[ChangeEffect]) -> float | None:
    known = [item.meanwhile for item in found if item.metric == "cpu" and item.meanwhile is not None]
    return median(known) if known else None
