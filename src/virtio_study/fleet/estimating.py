"""The effect of one natural experiment on one metric, with the functions that a study of two servers uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from virtio_study.errors import DataError
from virtio_study.fleet.controls import neighbours
from virtio_study.fleet.experiments import INSTRUMENT_ONLY, Direction, Experiment, placebo
from virtio_study.fleet.grid import INSTRUMENT, NodeGrid
from virtio_study.fleet.weekends import without_weekend
from virtio_study.i18n.marks import N_
from virtio_study.pve.instruments import comparable
from virtio_study.recording import INSTRUMENTS
from virtio_study.stats import controls as control
from virtio_study.stats.elementary import mean
from virtio_study.stats.hours import DAY_S, EDGE_S, FEWEST_DAYS, same_hours
from virtio_study.stats.interval import Interval
from virtio_study.stats.series import Fit, SeriesDifference, fit, ratios, series_differences, shares_below
from virtio_study.stats.stretch import MOST_MISSING, Stretch
from virtio_study.study import SAME_ALLOCATION, Metric

__all__ = ["REASONS", "ChangeEffect", "FittedChange", "change_effects", "fitted_changes", "placebo_intervals"]

REASONS = {
    "instrument switch": N_("another instrument made the displayed memory afterwards: no effect can be told from that"),
    "not measured": N_("was not measured on both sides of the change"),
    "too short": N_("less than three whole days lie on one side of the change"),
    "gaps": N_("more than half of the rows on one side are missing"),
    "constant": N_("the value never varied: an allocation, or a reading that was stuck"),
    "another allocation": N_("the server's allocation changed too"),
    "emulator": N_("CPU time of a software emulator says nothing of the effect under KVM"),
    "no controls": N_(
        "fewer than three servers of the node changed nothing then: a change of the node would look alike"
    ),
    "the host's figure": N_("what was displayed is the host's figure, which is counted once"),
}
"""Why an effect is not told -> what to say of it."""

OF_SERVER: tuple[Metric, ...] = ("cpu", "mem_displayed", "mem_host", "mem_guest")

ALLOCATION_OF: Mapping[Metric, str] = {
    "cpu": "cpu_allocated_cores",
    "mem_displayed": "mem_allocated_bytes",
    "mem_host": "mem_allocated_bytes",
    "mem_guest": "mem_allocated_bytes",
}


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """What became of a metric by a change: an effect with its interval, or the reason (of `REASONS`) for none.

    `before`, `after` and the difference are in cores or bytes, as the node's other servers say that the server would
    have been before; `relative` is the difference relative to before, None where that is near zero; `unadjusted` the
    relative difference of the server alone, `meanwhile` that of the node's servers that changed nothing. `p` is
    two-sided.
    """

    server: str
    node: str
    at_s: float
    parts: tuple[str, ...]
    direction: Direction
    metric: Metric
    reason: str = ""
    days_before: float = 0.0
    days_after: float = 0.0
    controls: int = 0
    before: float | None = None
    after: float | None = None
    difference: Interval | None = None
    relative: Interval | None = None
    unadjusted: float | None = None
    meanwhile: float | None = None
    p: float | None = None
    robust: bool = False

    @property
    def estimated(self) -> bool:
        """Whether there is an effect."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class FittedChange:
    """An effect without its intervals: what is known of it and, where no reason stands against it, the fit."""

    effect: ChangeEffect
    both: Fit | None = None


def fitted_changes(
    names: tuple[str, str],
    experiment: Experiment,
    grid: NodeGrid,
    free: NDArray[np.bool_],
    known: Mapping[Metric, control.Controls],
    confidence: float,
) -> list[FittedChange]:
    """What an experiment did to every metric, before intervals are made (`told`).

    Parameters
    ----------
    names : tuple of str
        Of the server and its node.
    free : array of bool, shape (servers,)
        Servers of the grid that changed nothing in the time of the experiment.
    known : mapping of metric to Controls
        What the same estimator says of servers that changed nothing; its factor widens the intervals.
    confidence : float
        Such as 0.95.
    """
    change = experiment.change
    found = []
    for metric in OF_SERVER:
        if change.parts != (INSTRUMENT_ONLY,) or metric == "mem_displayed":
            found.append(_fitted_change(names, experiment, metric, grid, free, known.get(metric), confidence))
    return found


def change_effects(found: Sequence[FittedChange], confidence: float) -> list[ChangeEffect]:
    """Effects of changes, in their order; intervals are made for all at once, which costs little more than for one."""
    fits = [change.both for change in found if change.both]
    answers = zip(series_differences(fits, confidence), ratios(fits, confidence), shares_below(fits, 1.0), strict=True)
    return [_told(change.effect, *next(answers)) if change.both else change.effect for change in found]


def _told(blank: ChangeEffect, found: SeriesDifference, relative: Interval | None, share: float) -> ChangeEffect:
    return replace(
        blank,
        before=found.before,
        after=found.after,
        difference=found.interval,
        relative=relative,
        p=2 * min(share, 1 - share),
        robust=found.robust,
    )


def _fitted_change(
    names: tuple[str, str],
    experiment: Experiment,
    metric: Metric,
    grid: NodeGrid,
    free: NDArray[np.bool_],
    known: control.Controls | None,
    confidence: float,
) -> FittedChange:
    before, after = _sides(experiment, metric, grid)
    blank = _blank(names, experiment, metric, before, after)
    if reason := _why_not(experiment, metric, grid, before, after):
        return FittedChange(replace(blank, reason=reason))
    beside = neighbours(grid, metric, free, experiment.before, experiment.after)
    if beside is None:
        return FittedChange(replace(blank, reason="no controls"))
    both = _fit(before, after, beside.index)
    if isinstance(both, str):
        return FittedChange(replace(blank, reason=both))
    alone = _mean(after) / _mean(before) - 1 if _mean(before) > 0 else None
    return FittedChange(
        replace(blank, controls=beside.count, unadjusted=alone, meanwhile=_meanwhile(beside.index, experiment)),
        control.held(both, known, (), confidence),
    )


def _meanwhile(index: Stretch, experiment: Experiment) -> float | None:
    """What became of the node's other servers from before to after, relative to their level before."""
    later = index.values[experiment.after.start - experiment.before.start :]
    known = later[~np.isnan(later)]
    return mean(known) - 1 if len(known) else None


def _blank(
    names: tuple[str, str], experiment: Experiment, metric: Metric, before: Stretch, after: Stretch
) -> ChangeEffect:
    """What is known of an effect before it is estimated."""
    change = experiment.change
    return ChangeEffect(
        *names,
        change.at_s,
        change.parts,
        change.direction,
        metric,
        days_before=_days(before),
        days_after=_days(after),
    )


def placebo_intervals(grid: NodeGrid, untouched: NDArray[np.bool_], confidence: float) -> list[tuple[Metric, Interval]]:
    """Intervals of changes that never were: every server that changed nothing, against the others of its node."""
    metrics: list[Metric] = []
    fits: list[Fit] = []
    for place in np.flatnonzero(untouched).tolist():
        experiment = placebo(place, grid)
        others = untouched.copy()
        others[place] = False
        for metric in OF_SERVER:
            before, after = _sides(experiment, metric, grid)
            if _why_not(experiment, metric, grid, before, after):
                continue
            beside = neighbours(grid, metric, others, experiment.before, experiment.after)
            both = _fit(before, after, beside.index) if beside else ""
            if isinstance(both, Fit):
                metrics.append(metric)
                fits.append(both)
    return list(zip(metrics, (one.interval for one in series_differences(fits, confidence)), strict=True))


def _sides(experiment: Experiment, metric: Metric, grid: NodeGrid) -> tuple[Stretch, Stretch]:
    """A metric of the server before and after, without what is missing at the far ends."""
    values, codes = grid.values[metric][experiment.place], grid.instruments[experiment.place]
    found = []
    for side in (experiment.before, experiment.after):
        own = values[side]
        if metric == "mem_displayed":
            # statistics that came too late for a moment
            own = np.where(codes[side] == _usual(codes[side]), own, np.nan)
        known = np.flatnonzero(~np.isnan(own))
        first, last = (int(known[0]), int(known[-1]) + 1) if len(known) else (0, 0)
        start = side.start + first
        found.append(Stretch(own[first:last], grid.start_s + start * grid.slot_s, grid.slot_s))
    return found[0], found[1]


def _why_not(experiment: Experiment, metric: Metric, grid: NodeGrid, before: Stretch, after: Stretch) -> str:
    """Reason for which a metric has no effect of the server's own; empty if it may have one."""
    if metric == "cpu" and grid.emulated[experiment.place]:
        return "emulator"
    slots = min(side.stop - side.start for side in (experiment.before, experiment.after))
    if slots * grid.slot_s < FEWEST_DAYS * DAY_S - EDGE_S:
        return "too short"
    if not len(before.values) or not len(after.values):
        return "not measured"
    if metric == "mem_displayed":
        codes = [_usual(grid.instruments[experiment.place, side]) for side in (experiment.before, experiment.after)]
        if not comparable(*(INSTRUMENTS[code] if code != INSTRUMENT else "unknown" for code in codes)):
            return "instrument switch"
        if _is_the_hosts(experiment, grid):
            return "the host's figure"
    if _allocation(experiment, metric, grid):
        return "another allocation"
    if min(_days(before), _days(after)) < FEWEST_DAYS - EDGE_S / DAY_S:
        return "too short"
    if max(before.missing, after.missing) > MOST_MISSING:
        return "gaps"
    return ""


def _usual(codes: NDArray[np.int8]) -> int:
    """Most frequent instrument of a side."""
    known = codes[codes != INSTRUMENT]
    return int(np.argmax(np.bincount(known))) if len(known) else INSTRUMENT


def _is_the_hosts(experiment: Experiment, grid: NodeGrid) -> bool:
    """Whether the displayed memory is the host's to the last digit."""
    span = slice(experiment.before.start, experiment.after.stop)
    shown, host = (grid.values[name][experiment.place, span] for name in ("mem_displayed", "mem_host"))
    both = ~np.isnan(shown) & ~np.isnan(host)
    return bool(both.any() and (shown[both] == host[both]).all())


def _allocation(experiment: Experiment, metric: Metric, grid: NodeGrid) -> bool:
    """Whether the server had another allocation afterwards."""
    values = grid.values[ALLOCATION_OF[metric]][experiment.place]
    sides = [values[side][~np.isnan(values[side])] for side in (experiment.before, experiment.after)]
    if not all(len(side) for side in sides):
        return False
    old, new = (float(np.median(side)) for side in sides)
    return abs(new - old) > SAME_ALLOCATION * old


def _fit(before: Stretch, after: Stretch, index: Stretch) -> Fit | str:
    """The fit of both sides, each divided by what the neighbours did; or the reason why there is none."""
    if np.nanmin(before.values) == np.nanmax(before.values) and np.nanmin(after.values) == np.nanmax(after.values):
        return "constant"
    try:
        sides = without_weekend(_divided(before, index), _divided(after, index))
        return fit(*same_hours(*sides, daily_cycle=True))
    except DataError:
        return "gaps"  # what the neighbours miss is missing here too


def _divided(side: Stretch, index: Stretch) -> Stretch:
    """A side over the index of the same slots."""
    first = round((side.start_s - index.start_s) / index.step_s)
    return replace(side, values=side.values / index.values[first : first + len(side.values)])


def _days(side: Stretch) -> float:
    return (side.end_s - side.start_s) / DAY_S


def _mean(side: Stretch) -> float:
    return mean(side.values[~np.isnan(side.values)])
