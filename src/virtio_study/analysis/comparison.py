"""One comparison of one server: load, effects, checks and verdicts, each a typed part of the results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import RootModel

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.decomposition import Decomposition
from virtio_study.analysis.effects import Effect, effect_of, not_estimable
from virtio_study.analysis.evidence import Side, Surroundings, side_of, surroundings_of
from virtio_study.analysis.ingredients import Differing, what_differs
from virtio_study.analysis.load import EqualLoad, LoadComparison, compare_load, equal_load
from virtio_study.analysis.records import Bilingual, Recorded
from virtio_study.analysis.validity import Check, Verdict, checks, verdict
from virtio_study.analysis.variance import PerWork, per_work
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.study import METRICS, Comparison, Metric, Purpose, Study

__all__ = ["Compared", "ServerComparison", "compare"]


class ServerComparison(Recorded):
    """One comparison of one server: by metric its effects, checks and verdicts; the load once for all of them.

    `differs` names everything that differs between the sides; `decomposition` takes the whole change apart by metric.
    """

    before: str
    after: str
    purpose: Purpose
    question: Bilingual
    differs: tuple[Differing, ...]
    effects: dict[str, Effect]
    load: tuple[LoadComparison, ...]
    equal_load: tuple[EqualLoad, ...]
    per_work: tuple[PerWork, ...]
    checks: dict[str, tuple[Check, ...]]
    verdicts: dict[str, Verdict]
    decomposition: dict[str, Decomposition]


Compared = RootModel[dict[str, ServerComparison]]
"""Every comparison of a server, by name."""


def compare(
    study: Study, comparison: Comparison, before: Arm, after: Arm, restarts: Mapping[str, Sequence[float]]
) -> ServerComparison:
    """Everything about one comparison of one server.

    Parameters
    ----------
    before, after : Arm
        The boots of both sides.
    restarts : mapping of metric to differences
        What a restart alone was seen to change; an interval within single recordings is not made narrower than that.
    """
    margins = {item.column: item.margin for item in study.load.get(before.server, [])}
    load = compare_load(before, after, margins, study.confidence, study.daily_cycle)
    around = surroundings_of(before, study), surroundings_of(after, study)
    effects: dict[str, Effect] = {}
    judged: dict[str, tuple[Check, ...]] = {}
    for metric in study.metrics:
        try:
            sides = _sides(before, after, study, metric, around, len(restarts.get(metric, ())))
        except DataError as error:
            effects[metric] = not_estimable(metric, error)
            continue
        try:
            effects[metric] = effect_of(study, metric, sides, (before, after), restarts.get(metric, ()))
        except DataError as error:
            effects[metric] = not_estimable(metric, error)
        declared = comparison.purpose, comparison.with_change
        judged[metric] = tuple(checks(*sides, load, study.confidence, study.practical_margin, *declared))
    return ServerComparison(
        before=comparison.before,
        after=comparison.after,
        purpose=comparison.purpose,
        question=Bilingual.model_validate(comparison.question),
        differs=what_differs(*(side.settings or {} for side in around)),
        effects=effects,
        load=load if judged else (),
        equal_load=equal_load(before, after, load, study.confidence, study.daily_cycle) if "cpu" in judged else (),
        per_work=per_work(before, after, list(margins), study.confidence) if "cpu" in judged else (),
        checks=judged,
        verdicts={metric: verdict(made) for metric, made in judged.items()},
        decomposition={},
    )


def _sides(
    before: Arm, after: Arm, study: Study, metric: Metric, around: tuple[Surroundings, Surroundings], restarts: int
) -> tuple[Side, Side]:
    if not (before.measured(METRICS[metric]) and after.measured(METRICS[metric])):
        raise DataError(_NOT_MEASURED)
    first, second = side_of(before, study, metric, around[0]), side_of(after, study, metric, around[1])
    return replace(first, restarts=restarts), replace(second, restarts=restarts)


_NOT_MEASURED = N_("Not measured on both sides.")
