"""The change of a metric between two sides, with all that is asked of it, and the sentences that say it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.draws import draws_of
from virtio_study.analysis.estimators import DesignAnswer, Replication, answer_of_design
from virtio_study.analysis.evidence import UNITS, Side
from virtio_study.analysis.multiverse import Sensitivity, agreement, specifications, usual_answers
from virtio_study.analysis.randomised import Randomised, randomised
from virtio_study.analysis.records import Estimate, Number, Recorded, Statement
from virtio_study.analysis.validity import emulator_only
from virtio_study.analysis.variance import MixedModel, cross_check
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers
from virtio_study.pve.instruments import comparable
from virtio_study.study import METRICS, Metric, Study

__all__ = [
    "Effect",
    "EffectStatus",
    "NegativeControls",
    "Practical",
    "effect_of",
    "not_estimable",
    "restarts_of",
]

EffectStatus = Literal["estimated", "emulator_only", "instrument_switch", "not_estimable"]


class NegativeControls(Recorded):
    """Negative controls; see `stats.controls.Controls`."""

    compared: int
    alarms: int
    share: Number
    widening: Number | None


class Practical(Recorded):
    """Whether both sides are the same within the study's practical margin (two one-sided tests)."""

    margin: Number
    equivalent: bool
    p: Number


class Effect(Statement):
    """The change of one metric, after minus before, in `unit`; what cannot be had is None.

    `replication`: over blocks whose configuration was drawn, over boots, or within one recording a side (batches).
    `randomised` is Fisher's test of what was drawn: the answer itself over blocks, a cross-check over boots. `about`:
    single recordings tell of these two stretches only, unless what a restart alone changes was measured. `difference`
    is refused across two instruments.
    """

    status: EffectStatus
    unit: str
    replication: Replication | None = None
    about: Literal["change", "stretches"] | None = None
    method: str | None = None
    before: Estimate | None = None
    after: Estimate | None = None
    difference: Estimate | None = None
    relative: Estimate | None = None
    median: Estimate | None = None
    peak: Estimate | None = None
    practical: Practical | None = None
    bound: Estimate | None = None
    robust: bool | None = None
    detectable: Number | None = None
    controls: NegativeControls | None = None
    sensitivity: Sensitivity | None = None
    mixed_model: MixedModel | None = None
    randomised: Randomised | None = None


def restarts_of(arms: Iterable[Arm], metric: Metric) -> list[float]:
    """What a restart alone changed in a server: differences between a configuration's boots that follow each other."""
    found: list[float] = []
    for arm in arms:
        boots = sorted(arm.steady_boots(METRICS[metric]), key=lambda boot: float(boot.ends_s[0]))
        levels = [boot.level(METRICS[metric]).mean for boot in boots]
        found += [after - before for before, after in pairwise(levels)]
    return found


def not_estimable(metric: Metric, error: DataError) -> Effect:
    """The effect that could not be had, and why."""
    return Effect(status="not_estimable", unit=UNITS[metric], **Effect.said(error.message, error.numbers))


def effect_of(
    study: Study, metric: Metric, sides: tuple[Side, Side], arms: tuple[Arm, Arm], restarts: Sequence[float] = ()
) -> Effect:
    """The change of a metric between two arms, after minus before, with all that is asked of it.

    Parameters
    ----------
    sides : tuple of Side
        Evidence before and after: instruments and accelerator.
    arms : tuple of Arm
        The boots of both sides.
    restarts : sequence of float
        What a restart alone was seen to change; an interval within single recordings is not made narrower than that.

    Raises
    ------
    DataError
        If there are not enough data for an interval.
    """
    unit, column = UNITS[metric], METRICS[metric]
    before, after = sides
    draws = draws_of(study, *arms, column)
    answer = answer_of_design(study, metric, arms, draws if draws and draws.scheduled else None, restarts)
    levels: dict[str, Any] = {
        "unit": unit,
        "replication": answer.replication,
        "about": "stretches" if answer.replication == "batches" and not restarts else "change",
        "before": Estimate.of(answer.before, unit),
        "after": Estimate.of(answer.after, unit),
    }
    if not comparable(before.instrument or "unknown", after.instrument or "unknown"):
        return Effect(status="instrument_switch", method="none", **levels, **_switch(before, after))
    tcg = emulator_only(metric, before.around.accelerator, after.around.accelerator)
    same = answer.same
    ways = specifications(*arms, column, study.confidence, study.daily_cycle)
    usual = usual_answers(answer.ready, study.confidence) if answer.ready else ()
    return Effect(
        status="emulator_only" if tcg else "estimated",
        method=answer.difference.method,
        **levels,
        difference=Estimate.of(answer.difference, unit),
        relative=Estimate.of_any(answer.relative, "share"),
        median=Estimate.of_any(answer.median, unit),
        peak=Estimate.of_any(answer.peak, unit),
        bound=Estimate.of_any(answer.bound, unit),
        robust=answer.robust,
        detectable=answer.detectable,
        controls=None if answer.controls is None else NegativeControls.model_validate(answer.controls),
        sensitivity=agreement(ways, answer.difference, usual),
        mixed_model=cross_check(*arms, column),
        randomised=None if draws is None else randomised(study, before.server, metric, draws),
        practical=Practical(margin=same.margin, equivalent=same.equivalent, p=same.p),
        **_estimate(tcg, before, answer, study, restarts),
    )


def _switch(before: Side, after: Side) -> dict[str, Any]:
    numbers: Numbers = {
        "before": before.value,
        "after": after.value,
        "before_instrument": before.instrument or "unknown",
        "after_instrument": after.instrument or "unknown",
        "unit": before.shown_unit,
        "scale": before.shown_scale,
    }
    return Effect.said(_SWITCH, numbers)


def _estimate(tcg: bool, before: Side, answer: DesignAnswer, study: Study, restarts: Sequence[float]) -> dict[str, Any]:
    found, relative, bound = answer.difference, answer.relative, answer.bound
    numbers: Numbers = {
        "difference": found.estimate,
        "low": found.low,
        "high": found.high,
        "relative": relative.estimate if relative else None,
        "relative_low": relative.low if relative else None,
        "relative_high": relative.high if relative else None,
        "bound_low": bound.low if bound else None,
        "bound_high": bound.high if bound else None,
        "confidence": found.confidence,
        "margin": study.practical_margin,
        "n_before": found.n_before,
        "n_after": found.n_after,
        "restarts": len(restarts),
        "unit": before.shown_unit,
        "scale": before.shown_scale,
    }
    changed = found.excludes(0.0)
    if answer.replication == "blocks":
        parts = [_BLOCKS_CHANGED if changed else _BLOCKS_UNCHANGED]
    elif bound is None:
        parts = [_CHANGED if changed else _UNCHANGED]
    elif restarts:
        parts = [_SERIES_UNCHANGED if not changed else _SERIES_ROBUST if answer.robust else _SERIES_CHANGED]
    else:
        parts = [_STRETCHES_SAME if not changed else _STRETCHES_ROBUST if answer.robust else _STRETCHES_DIFFER]
    if relative is not None:
        parts.append(_RELATIVE)
    if answer.same.equivalent:
        parts.append(_SAME)
    if bound is not None and not restarts:
        parts.append(_NO_RESTART)
    return Effect.said([_EMULATOR, *parts] if tcg else parts, numbers)


_EMULATOR = N_("This is CPU time of the software emulator: it says nothing for or against the published effect.")
_CHANGED = N_(
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_UNCHANGED = N_(
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_BLOCKS_CHANGED = N_(
    "Switching at random changed the sustained level by {difference:quantity} ({confidence:percent} interval "
    "{low:quantity} to {high:quantity}; {n_before} random draws)."
)
_BLOCKS_UNCHANGED = N_(
    "Switching at random shows no change of the sustained level: {difference:quantity} ({confidence:percent} interval "
    "{low:quantity} to {high:quantity}; {n_before} random draws)."
)
_SERIES_ROBUST = N_(
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side, {restarts} restarts alone counted). The robust bound excludes zero "
    "too ({bound_low:quantity} to {bound_high:quantity})."
)
_SERIES_CHANGED = N_(
    "The sustained level differs by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side, {restarts} restarts alone counted). That is not robust: the bound "
    "that trusts no model includes zero ({bound_low:quantity} to {bound_high:quantity})."
)
_SERIES_UNCHANGED = N_(
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side, {restarts} restarts alone counted)."
)
_STRETCHES_ROBUST = N_(
    "These two stretches differ by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side). The bound that trusts no model excludes zero too "
    "({bound_low:quantity} to {bound_high:quantity})."
)
_STRETCHES_DIFFER = N_(
    "These two stretches differ by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side). But the bound that trusts no model includes zero "
    "({bound_low:quantity} to {bound_high:quantity})."
)
_STRETCHES_SAME = N_(
    "No difference between these two stretches is shown: {difference:quantity} ({confidence:percent} interval "
    "{low:quantity} to {high:quantity}; one recording a side)."
)
_NO_RESTART = N_(
    "What a restart alone changes was not measured, so this is about these two stretches and not yet about the change."
)
_RELATIVE = N_("Relative to before that is {relative:percent} ({relative_low:percent} to {relative_high:percent}).")
_SAME = N_("Both sides are the same within {margin:percent}.")
_SWITCH = N_(
    "{before:quantity} ({before_instrument:instrument}) and {after:quantity} ({after_instrument:instrument}) "
    "were made by different instruments; their difference is an instrument switch and not an effect, so none "
    "is given."
)
