"""What each design says of a metric's change: drawn blocks, boots in blocks, boots, or one recording a side."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from virtio_study.analysis.arms import Arm, Boot, blocks_of
from virtio_study.analysis.draws import Draws
from virtio_study.analysis.metric_level import stretch_of
from virtio_study.errors import DataError
from virtio_study.stats import controls as control
from virtio_study.stats.blocks import Blocks
from virtio_study.stats.effects import difference, relative_difference
from virtio_study.stats.equivalence import (
    Equivalence,
    equivalent,
    equivalent_blocks,
    equivalent_draws,
    equivalent_fit,
)
from virtio_study.stats.hierarchical import restart_interval
from virtio_study.stats.hours import DAY_S, FEWEST_DAYS, same_hours, whole_days
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import Level, level_over_boots
from virtio_study.stats.planning import detectable
from virtio_study.stats.series import Fit, difference_of_series, fit
from virtio_study.stats.stretch import FEWEST_ROWS, Statistic, Stretch
from virtio_study.study import METRICS, Metric, Study

__all__ = ["DesignAnswer", "Replication", "answer_of_design"]

Replication = Literal["blocks", "boots", "batches"]


@dataclass(frozen=True)
class DesignAnswer:
    """What a design says of a metric: over drawn blocks, over boots, or within one recording a side."""

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


def answer_of_design(
    study: Study, metric: Metric, arms: tuple[Arm, Arm], draws: Draws | None, restarts: Sequence[float]
) -> DesignAnswer:
    """The change of a metric between two arms by the design that their boots have.

    Parameters
    ----------
    draws : Draws, optional
        The blocks of a switchback schedule, whose randomisation then is what the answer rests on.
    restarts : sequence of float
        What a restart alone was seen to change.

    Raises
    ------
    DataError
        If there are not enough data for an interval.
    """
    column = METRICS[metric]
    if draws is not None:
        return _over_draws(study, draws, column)
    first, second = (arm.levels(column) for arm in arms)
    if min(len(first), len(second)) == 1:
        one, other = _nearest(*(arm.steady_boots(column) for arm in arms))
        return _within(study, stretch_of(one, metric), stretch_of(other, metric), restarts)
    return _over_blocks(study, arms, column) or _over_boots(study, first, second)


def _over_draws(study: Study, draws: Draws, column: str) -> DesignAnswer:
    """Blocks of a switchback: everything by inverting the test of what was drawn."""
    confidence = study.confidence
    means = draws.contrasts(lambda boot: boot.level(column).mean)
    before, after = ([boot.level(column).mean for boot in side] for side in draws.sides)
    found = means.difference(confidence)
    return DesignAnswer(
        "blocks",
        level_over_boots(before, confidence),
        level_over_boots(after, confidence),
        found,
        means.relative(confidence),
        _safe_contrast(draws, column, "median", confidence),
        _safe_contrast(draws, column, "peak", confidence),
        equivalent_draws(means, before, after, study.practical_margin, confidence),
        None,
        means.detectable(confidence),
        None,
    )


def _safe_contrast(draws: Draws, column: str, statistic: Statistic, confidence: float) -> Interval | None:
    """Change of another statistic; None where it has no limits."""
    try:
        return draws.contrasts(lambda boot: float(getattr(boot.level(column), statistic))).difference(confidence)
    except DataError:
        return None


def _nearest(before: Sequence[Boot], after: Sequence[Boot]) -> tuple[Boot, Boot]:
    """The boots of both sides with the least time between them."""

    def apart(pair: tuple[Boot, Boot]) -> float:
        one, other = pair
        return max(float(other.ends_s[0] - one.ends_s[-1]), float(one.ends_s[0] - other.ends_s[-1]))

    return min(product(before, after), key=apart)


def _over_boots(study: Study, first: Sequence[Level], second: Sequence[Level]) -> DesignAnswer:
    confidence = study.confidence
    before, after = ([level.mean for level in levels] for levels in (first, second))
    return DesignAnswer(
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


def _over_blocks(study: Study, arms: tuple[Arm, Arm], column: str) -> DesignAnswer | None:
    """Boots that took turns, as the pairs that they are; None where they did not, or their differences never vary."""
    pairs, confidence = blocks_of(*arms, column), study.confidence
    first, second = ([pair[side].level(column) for pair in pairs] for side in (0, 1))
    means, medians, peaks = (_blocks(first, second, name) for name in ("mean", "median", "peak"))
    if means is None:
        return None
    return DesignAnswer(
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


def _within(study: Study, before: Stretch, after: Stretch, restarts: Sequence[float]) -> DesignAnswer:
    """One recording a side: the series' own autocorrelation is all there is to judge by."""
    confidence = study.confidence
    # the cycle stays in for quantiles, which it belongs to; the hours are the same on both sides
    raw = whole_days(before, after) if study.daily_cycle else (before, after)
    before, after = same_hours(before, after, study.daily_cycle)
    unchanged = _controls(raw, study)
    both = control.held(fit(before, after), unchanged, restarts, confidence)
    found = both.difference(confidence)
    return DesignAnswer(
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
