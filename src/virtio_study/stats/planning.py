"""How much to record: boots or days a side for a wanted precision, and what a finished study could have detected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.effects import satterthwaite
from virtio_study.stats.elementary import exp, log, mean
from virtio_study.stats.hours import DAY_S, FEWEST_DAYS, same_hours
from virtio_study.stats.interval import Moments, moments
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import BATCHES, Stretch
from virtio_study.stats.student import t_quantile

__all__ = ["FEWEST_PILOT_DAYS", "Plan", "detectable", "enough", "plan_boots", "plan_days"]

FEWEST_PILOT_DAYS = 2 * FEWEST_DAYS
GROWTH = 0.2
"""Half-widths on 430 real servers: 0.28, 0.32, 0.41 and 0.47 of the CPU level at 1, 3.5, 7 and 14 days a side."""


@dataclass(frozen=True)
class Plan:
    """What `amount` boots or days a side would give.

    `half_width` is in the pilot's unit, `relative_half_width` its share of the pilot's level; `power` is the chance
    that the interval excludes zero if the level falls by the wanted share; `detectable` the share that it would show in
    four of five studies.
    """

    amount: int
    half_width: float
    relative_half_width: float
    power: float
    detectable: float


def detectable(before: ArrayLike, after: ArrayLike, confidence: float, power: float = 0.8) -> float:
    """Least difference that a study of these boots would show with the given power, in the boots' unit.

    Parameters
    ----------
    before, after : array-like of float64, shape (boots,)
        One value a boot; their spread and number count, not their difference.
    confidence, power : float
        Such as 0.95 and 0.8.

    Raises
    ------
    DataError
        If a side has fewer than two boots, or both are constant.

    References
    ----------
    Cohen, J. (1988). Statistical power analysis for the behavioral sciences, ch. 2, with Welch's t and Satterthwaite's
    df. It is a property of the design and says nothing of the result: Hoenig & Heisey (2001). Am. Stat. 55, 19-24.
    """
    first, second = moments(before, said(N_("before"))), moments(after, said(N_("after")))
    if first.constant and second.constant:
        raise DataError(N_("both sides are constant over boots: any difference would be shown"))
    return _detectable(first, second, confidence, power)


def _detectable(before: Moments, after: Moments, confidence: float, power: float) -> float:
    df = satterthwaite(before, after)
    error = math.sqrt(before.variance_of_mean + after.variance_of_mean)
    return (t_quantile(df, confidence) + t_quantile(df, 2 * power - 1)) * error


def plan_boots(pilot: ArrayLike, boots: Sequence[int], drop: float, confidence: float) -> list[Plan]:
    """What `boots` boots a side would give, from the spread between the boots of a pilot.

    Parameters
    ----------
    pilot : array-like of float64, shape (boots,)
        Levels of the boots of one driver configuration, at least three.
    boots : sequence of int
        Numbers of boots a side to try, each at least 2.
    drop : float
        Relative fall of the level to be detected, between 0 and 1. The spread after is taken to be that of the pilot.
    confidence : float
        Such as 0.95.

    Raises
    ------
    DataError
        With fewer than three boots in the pilot, a constant pilot, or a drop outside 0 to 1.
    """
    side = moments(pilot, said(N_("the pilot")), minimum=3)
    if side.constant:
        raise DataError(N_("the pilot's boots are all equal: nothing to plan with; was the metric measured?"))
    _check_drop(drop)
    found = []
    for number in boots:
        if number < 2:
            raise DataError(N_("{number} boots a side: at least two are needed for an interval"), number=number)
        later = Moments(side.mean, side.variance, number)
        error = math.sqrt(2 * later.variance_of_mean)
        df = 2.0 * (number - 1)
        half = t_quantile(df, confidence) * error
        found.append(
            Plan(
                number,
                half,
                half / side.mean,
                _power_of_t(drop * side.mean / error, df, confidence),
                _detectable(later, later, confidence, 0.8) / side.mean,
            )
        )
    return found


def _power_of_t(noncentrality: float, df: float, confidence: float) -> float:
    from scipy.special import nctdtr

    critical = t_quantile(df, confidence)
    # far from zero scipy gives NaN for probabilities that are 0
    below, far_below = np.nan_to_num([nctdtr(df, noncentrality, x) for x in (critical, -critical)])
    return float(1 - below + far_below)


def plan_days(pilot: Stretch, days: Sequence[int], drop: float, confidence: float) -> list[Plan]:
    """What `days` whole days a side would give, from the half-widths that a pilot recording shows at its own scales.

    Parameters
    ----------
    pilot : Stretch
        Rows of one server under one driver configuration, at least six whole days.
    days : sequence of int
        Numbers of whole days a side to try, each at least 3.
    drop : float
        Relative fall of the level to be detected, between 0 and 1.
    confidence : float
        Such as 0.95.

    Raises
    ------
    DataError
        "not enough data" with fewer than six whole days or many gaps, or a drop outside 0 to 1.

    Notes
    -----
    Up to half of the pilot's days, the half-width is the median over every place in the pilot where two such sides fit.
    Beyond, it is carried on from there with the power `GROWTH` of the number of days: the level of a real server
    wanders, so that more days do not narrow the interval of one before and after, they widen it. What narrows it is
    switching back and forth, more servers, or more boots. `docs/planning.md` has how well plans came true.
    """
    _check_drop(drop)
    rows = round(DAY_S / pilot.step_s)
    whole = len(pilot.values) // rows
    if whole < FEWEST_PILOT_DAYS:
        raise DataError(
            N_("not enough data: the pilot has {whole} whole days; at least {fewest} are needed to plan with"),
            whole=whole,
            fewest=FEWEST_PILOT_DAYS,
        )
    covered = pilot.values[: whole * rows]
    level = mean(covered[~np.isnan(covered)])
    if not level > 0:
        raise DataError(N_("the pilot is zero throughout: nothing to plan with"))
    found = []
    for number in days:
        if number < FEWEST_DAYS:
            raise DataError(
                N_("{number} days a side: at least {fewest} whole days a side are needed"),
                number=number,
                fewest=FEWEST_DAYS,
            )
        scale = min(number, whole // 2)
        half = _half_width(pilot, scale, whole, confidence) * exp(GROWTH * log(number / scale))
        found.append(_plan(number, half, level, drop, confidence))
    return found


def _half_width(pilot: Stretch, days: int, whole: int, confidence: float) -> float:
    """Median half-width over every place in the pilot where two sides of `days` days fit."""
    rows = round(DAY_S / pilot.step_s)
    halves = []
    for first in range(whole - 2 * days + 1):
        start, length = first * rows, days * rows
        before = Stretch(pilot.values[start : start + length], pilot.start_s + start * pilot.step_s, pilot.step_s)
        after = Stretch(pilot.values[start + length : start + 2 * length], before.end_s, pilot.step_s)
        interval = difference_of_series(*same_hours(before, after, True), confidence).interval
        halves.append((interval.high - interval.low) / 2)
    return float(np.median(halves))


def _plan(number: int, half: float, level: float, drop: float, confidence: float) -> Plan:
    """Power by Student's t with the df of two sides of 12 batches, whose quantile the half-width is taken to be."""
    df = 2.0 * (BATCHES - 1)
    error = half / t_quantile(df, confidence)
    least = (t_quantile(df, confidence) + t_quantile(df, 0.6)) * error / level
    return Plan(number, half, half / level, _power_of_t(drop * level / error, df, confidence), least)


def enough(plans: Sequence[Plan], power: float = 0.8) -> Plan | None:
    """The least of the plans with the wanted power; None if none has it."""
    return min((plan for plan in plans if plan.power >= power), key=lambda plan: plan.amount, default=None)


def _check_drop(drop: float) -> None:
    if not 0 < drop < 1:
        raise DataError(
            N_("the fall to be detected is {drop:g}; expected a share between 0 and 1, such as 0.3"), drop=drop
        )
