"""One comparison of one server: load, effects, checks and verdicts, each a typed part of the results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field, RootModel

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.decomposition import Decomposition
from virtio_study.analysis.draws import draws_of
from virtio_study.analysis.effects import Effect, effect_of, not_estimable
from virtio_study.analysis.evidence import Side, Surroundings, side_of, surroundings_of
from virtio_study.analysis.ingredients import Differing, what_differs
from virtio_study.analysis.load import EqualLoad, LoadComparison, compare_load, equal_load
from virtio_study.analysis.randomised import Randomised, randomised
from virtio_study.analysis.records import Bilingual, Recorded
from virtio_study.analysis.scheduled import schedule_of
from virtio_study.analysis.validity import Check, Verdict, checks, verdict
from virtio_study.analysis.validity.switching import check_adherence, check_carry_over
from virtio_study.analysis.variance import PerWork, per_work
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.study import METRICS, Comparison, Metric, Purpose, Study

__all__ = [
    "Compared",
    "ServerComparison",
    "as_received",
    "checks_of",
    "compare",
    "load_of",
    "sides_of",
    "with_adherence",
]


class ServerComparison(Recorded):
    """One comparison of one server: by metric its effects, checks and verdicts; the load once for all of them.

    `differs` names everything that differs between the sides; `decomposition` takes the whole change apart by metric.
    `received`: by metric what blocks show by the configuration that was in force, where that was not always the
    assigned one; the draws do not protect it.
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
    received: dict[str, Randomised] = Field(default_factory=dict)


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
    load = load_of(study, before, after)
    around = surroundings_of(before, study), surroundings_of(after, study)
    effects: dict[str, Effect] = {}
    judged: dict[str, tuple[Check, ...]] = {}
    for metric in study.metrics:
        try:
            sides = sides_of(before, after, study, metric, around, len(restarts.get(metric, ())))
        except DataError as error:
            effects[metric] = not_estimable(metric, error)
            continue
        try:
            effects[metric] = effect_of(study, metric, sides, (before, after), restarts.get(metric, ()))
        except DataError as error:
            effects[metric] = not_estimable(metric, error)
        done = checks_of(study, comparison, sides, load)
        test = effects[metric].randomised
        carried = check_carry_over(test, study.confidence) if test else None
        judged[metric] = tuple(done if carried is None else [*done, carried])
    return ServerComparison(
        before=comparison.before,
        after=comparison.after,
        purpose=comparison.purpose,
        question=Bilingual.model_validate(comparison.question),
        differs=what_differs(*(side.settings or {} for side in around)),
        effects=effects,
        load=load if judged else (),
        equal_load=equal_load(before, after, load, study.confidence, study.daily_cycle) if "cpu" in judged else (),
        per_work=per_work(before, after, [item.column for item in load], study.confidence) if "cpu" in judged else (),
        checks=judged,
        verdicts={metric: verdict(made) for metric, made in judged.items()},
        decomposition={},
    )


def load_of(study: Study, before: Arm, after: Arm) -> tuple[LoadComparison, ...]:
    """The load of both sides, column by column, as the study declares it for the server."""
    margins = {item.column: item.margin for item in study.load.get(before.server, [])}
    drawn = schedule_of(study, before.server) is not None
    return compare_load(before, after, margins, study.confidence, study.daily_cycle, scheduled=drawn)


def checks_of(
    study: Study, comparison: Comparison, sides: tuple[Side, Side], load: Sequence[LoadComparison]
) -> list[Check]:
    """Every check of one metric, by the study's confidence and margin, and what the comparison declares."""
    declared = comparison.purpose, comparison.with_change
    return checks(*sides, load, study.confidence, study.practical_margin, *declared)


def as_received(study: Study, before: Arm, after: Arm) -> dict[str, Randomised]:
    """By metric what the blocks of a schedule show by the configuration that was in force in them."""
    found: dict[str, Randomised] = {}
    for metric in study.metrics:
        draws = draws_of(study, before, after, METRICS[metric])
        shown = randomised(study, before.server, metric, draws) if draws else None
        if shown is not None:
            found[metric] = shown
    return found


def with_adherence(
    found: ServerComparison, received: dict[str, Randomised], kept: int, blocks: int
) -> ServerComparison:
    """A comparison with what was received beside it, and with the check of how the schedule was kept.

    Parameters
    ----------
    kept, blocks : int
        Blocks that had the assigned configuration alone, of all that were recorded.
    """
    check = check_adherence(kept, blocks)
    judged = {metric: (*done, check) for metric, done in found.checks.items()}
    verdicts = {metric: verdict(done) for metric, done in judged.items()}
    return found.model_copy(update={"received": received, "checks": judged, "verdicts": verdicts})


def sides_of(
    before: Arm, after: Arm, study: Study, metric: Metric, around: tuple[Surroundings, Surroundings], restarts: int
) -> tuple[Side, Side]:
    """Evidence of one metric on both sides, with how many restarts alone were seen.

    Raises
    ------
    DataError
        If it was not measured, or never steady, on one of them.
    """
    if not (before.measured(METRICS[metric]) and after.measured(METRICS[metric])):
        raise DataError(_NOT_MEASURED)
    first, second = side_of(before, study, metric, around[0]), side_of(after, study, metric, around[1])
    return replace(first, restarts=restarts), replace(second, restarts=restarts)


_NOT_MEASURED = N_("Not measured on both sides.")
