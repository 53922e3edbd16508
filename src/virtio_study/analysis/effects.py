"""The change of a metric between two sides: over boots, or within one recording a side."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, Literal

from virtio_study.analysis.arms import Arm, Boot, blocks_of
from virtio_study.analysis.evidence import UNITS, Side
from virtio_study.analysis.metric_level import stretch_of
from virtio_study.analysis.multiverse import Sensitivity, agreement, specifications, usual_answers
from virtio_study.analysis.records import Estimate, Number, Recorded, Statement
from virtio_study.analysis.validity import emulator_only
from virtio_study.analysis.variance import MixedModel, cross_check
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers
from virtio_study.pve.instruments import comparable
from virtio_study.stats import controls as control
from virtio_study.stats.blocks import Blocks
from virtio_study.stats.effects import difference, relative_difference
from virtio_study.stats.equivalence import Equivalence, equivalent, equivalent_blocks, equivalent_fit
from virtio_study.stats.hierarchical import restart_interval
from virtio_study.stats.hours import DAY_S, FEWEST_DAYS, same_hours, whole_days
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import Level, level_over_boots
from virtio_study.stats.planning import detectable
from virtio_study.stats.series import Fit, difference_of_series, fit
from virtio_study.stats.stretch import FEWEST_ROWS, Statistic, Stretch
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
Replication = Literal["boots", "batches"]


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

    `replication`: over boots, or within one recording a side (batches). `about`: such recordings tell of these two
    stretches only, unless what a restart alone changes was measured. `difference` is refused across two instruments.
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


def _nearest(before: Sequence[Boot], after: Sequence[Boot]) -> tuple[Boot, Boot]:
    """The boots of both sides with the least time between them."""

    def apart(pair: tuple[Boot, Boot]) -> float:
        one, other = pair
        return max(float(other.ends_s[0] - one.ends_s[-1]), float(one.ends_s[0] - other.ends_s[-1]))

    return min(product(before, after), key=apart)


def restarts_of(arms: Iterable[Arm], metric: Metric) -> list[float]:
    """What a restart alone changed in a server: differences between a configuration's boots that follow each other."""
    found: list[float] = []
    for arm in arms:
        boots = sorted(arm.steady_boots(METRICS[metric]), key=lambda boot: float(boot.ends_s[0]))
        levels = [boot.level(METRICS[metric]).mean for boot in boots]
        found += [after - before for before, after in pairwise(levels)]
    return found


@dataclass(frozen=True)
class _Answer:
    """What either design says of a metric: over boots, or within one recording a side."""

    replication: Replication
    before: Interval
    after: Interval
    difference: Interval
    relative: Interval | None
    median: Interval | None
    peak: Interval | None
    same: Equivalence
    bound: Interval | None
    detectable: float | None
    controls: control.Controls | None
    ready: tuple[Stretch, Stretch] | None = None

    @property
    def robust(self) -> bool | None:
        """Whether interval and robust bound exclude zero on one side; None where boots make a bound needless."""
        if self.bound is None:
            return None
        both = self.difference.excludes(0.0) and self.bound.excludes(0.0)
        return both and (self.difference.low > 0) == (self.bound.low > 0)


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
    (before, after), (first, second) = sides, (arm.levels(column) for arm in arms)
    if min(len(first), len(second)) == 1:
        one, other = _nearest(*(arm.steady_boots(column) for arm in arms))
        answer = _within(study, stretch_of(one, metric), stretch_of(other, metric), restarts)
    else:
        answer = _over_blocks(study, arms, column) or _over_boots(study, first, second)
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
        practical=Practical(margin=same.margin, equivalent=same.equivalent, p=same.p),
        **_estimate(tcg, before, answer, study, restarts),
    )


def _over_boots(study: Study, first: Sequence[Level], second: Sequence[Level]) -> _Answer:
    confidence = study.confidence
    before, after = ([level.mean for level in levels] for levels in (first, second))
    return _Answer(
        "boots",
        level_over_boots(before, confidence),
        level_over_boots(after, confidence),
        difference(before, after, confidence),
        relative_difference(before, after, confidence),
        _safe_difference(first, second, "median", confidence),
        _safe_difference(first, second, "peak", confidence),
        equivalent(before, after, study.practical_margin, confidence),
        None,
        detectable(before, after, confidence),
        None,
    )


def _over_blocks(study: Study, arms: tuple[Arm, Arm], column: str) -> _Answer | None:
    """Boots that took turns, as the pairs that they are; None where they did not, or their differences never vary."""
    pairs, confidence = blocks_of(*arms, column), study.confidence
    first, second = ([pair[side].level(column) for pair in pairs] for side in (0, 1))
    means, medians, peaks = (_blocks(first, second, name) for name in ("mean", "median", "peak"))
    if means is None:
        return None
    return _Answer(
        "boots",
        level_over_boots(means.before, confidence),
        level_over_boots(means.after, confidence),
        means.difference(confidence),
        means.ratio(confidence),
        medians.difference(confidence) if medians else None,
        peaks.difference(confidence) if peaks else None,
        equivalent_blocks(means, study.practical_margin, confidence),
        None,
        means.detectable(confidence),
        None,
    )


def _blocks(first: Sequence[Level], second: Sequence[Level], statistic: Statistic) -> Blocks | None:
    try:
        return Blocks.of(*([getattr(level, statistic) for level in levels] for levels in (first, second)))
    except DataError:
        return None


def _within(study: Study, before: Stretch, after: Stretch, restarts: Sequence[float]) -> _Answer:
    """One recording a side: the series' own autocorrelation is all there is to judge by."""
    confidence = study.confidence
    # the cycle stays in for quantiles, which it belongs to; the hours are the same on both sides
    raw = whole_days(before, after) if study.daily_cycle else (before, after)
    before, after = same_hours(before, after, study.daily_cycle)
    unchanged = _controls(raw, study)
    both = control.held(fit(before, after), unchanged, restarts, confidence)
    found = both.difference(confidence)
    return _Answer(
        "batches",
        both.before.level(confidence),
        both.after.level(confidence),
        found.interval,
        both.ratio(confidence),
        _safe_series(*raw, "median", both, confidence),
        _safe_series(*raw, "peak", both, confidence),
        equivalent_fit(both, study.practical_margin, confidence),
        restart_interval(found.bound, restarts) if restarts else found.bound,
        None,
        unchanged,
        (before, after),
    )


def _controls(sides: tuple[Stretch, Stretch], study: Study) -> control.Controls | None:
    """The same estimator inside each side, where no driver changed; None if a side is too short to be cut."""
    found = []
    for side in sides:
        rows = round(FEWEST_DAYS * DAY_S / side.step_s) if study.daily_cycle else FEWEST_ROWS
        for pair in control.cuts(side, max(rows, FEWEST_ROWS)):
            with suppress(DataError):
                ready = same_hours(*pair, study.daily_cycle)
                found.append(difference_of_series(*ready, study.confidence).interval)
    return control.controls(found) if found else None


def _safe_difference(
    first: Sequence[Level], second: Sequence[Level], statistic: Statistic, confidence: float
) -> Interval | None:
    """Difference of another statistic; None where it is constant on both sides (a peak can be)."""
    before, after = ([getattr(level, statistic) for level in levels] for levels in (first, second))
    try:
        return difference(before, after, confidence)
    except DataError:
        return None


def _safe_series(
    before: Stretch, after: Stretch, statistic: Statistic, mean_of: Fit, confidence: float
) -> Interval | None:
    """As `_safe_difference`, with errors as much greater as those of the mean; None also for peaks of other steps."""
    try:
        own = fit(before, after, statistic)
        return replace(own, factor=mean_of.factor, note=mean_of.note, df=mean_of.df).difference(confidence).interval
    except DataError:
        return None


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


def _estimate(tcg: bool, before: Side, answer: _Answer, study: Study, restarts: Sequence[float]) -> dict[str, Any]:
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
    if bound is None:
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


_EMULATOR = N_("This is CPU time of the software emulator, neither for nor against the published effect.")
_CHANGED = N_(
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_UNCHANGED = N_(
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_SERIES_ROBUST = N_(
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side, {restarts} restarts alone counted), and the robust bound excludes zero too "
    "({bound_low:quantity} to {bound_high:quantity})."
)
_SERIES_CHANGED = N_(
    "The sustained level differs by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side, {restarts} restarts alone counted), but that is not robust: the bound that "
    "trusts no model includes zero ({bound_low:quantity} to {bound_high:quantity})."
)
_SERIES_UNCHANGED = N_(
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side, {restarts} restarts alone counted)."
)
_STRETCHES_ROBUST = N_(
    "These two stretches differ by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side), and the bound that trusts no model excludes zero too "
    "({bound_low:quantity} to {bound_high:quantity})."
)
_STRETCHES_DIFFER = N_(
    "These two stretches differ by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side), but the bound that trusts no model includes zero ({bound_low:quantity} to "
    "{bound_high:quantity})."
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
