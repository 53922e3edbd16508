"""Negative controls: the same estimator where nothing was changed, and what its false alarms cost the real answer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.hierarchical import restart_half_width
from virtio_study.stats.interval import Interval
from virtio_study.stats.series import Fit
from virtio_study.stats.stretch import Stretch

__all__ = ["FEWEST_TO_WIDEN", "Controls", "controls", "cuts", "held"]

FEWEST_TO_WIDEN = 20


@dataclass(frozen=True)
class Controls:
    """Intervals for differences where nothing was changed: how many excluded zero, and the factor that would mend it.

    `widening` is at least 1; None with fewer than 20 controls, from which no such quantile can be had.
    """

    compared: int
    alarms: int
    share: float
    widening: float | None


def controls(intervals: Iterable[Interval]) -> Controls:
    """Summarise intervals of differences that are known to be zero.

    The factor is the quantile, at the intervals' own confidence, of the distance from zero in half-widths.

    Raises
    ------
    DataError
        If there is none.

    References
    ----------
    Schuemie, M. J. et al. (2018). Empirical confidence interval calibration. PNAS 115, 2571-2577.
    """
    known = list(intervals)
    if not known:
        raise DataError(N_("no negative control: no server and no stretch without a change was recorded"))
    # distance to the end of the interval on zero's side, so that asymmetric intervals count rightly
    distance = [abs(i.estimate) / (i.estimate - i.low if i.estimate > 0 else i.high - i.estimate) for i in known]
    alarms = sum(i.excludes(0.0) for i in known)
    widening = None
    if len(known) >= FEWEST_TO_WIDEN:
        widening = max(1.0, float(np.quantile(distance, known[0].confidence, method="higher")))
    return Controls(len(known), alarms, alarms / len(known), widening)


def held(both: Fit, found: Controls | None, restarts: Sequence[float], confidence: float) -> Fit:
    """A fit whose errors are as great as controls and restarts demand; never smaller than the rows say.

    Parameters
    ----------
    found : Controls, optional
        What the same estimator says where nothing was changed; its factor applies.
    restarts : sequence of float
        Differences between boots of one driver configuration, in the unit of the fit. The interval of the difference is
        not made narrower than that of a difference of their mean square, with as many degrees of freedom as there are.
    confidence : float
        Of the interval that is held against the restarts, such as 0.95.
    """
    factor = (found.widening if found else None) or 1.0
    note = f"; widened {factor:.3g} times by negative controls" if factor > 1 else ""
    df = None
    if len(restarts):
        interval = both.difference(confidence).interval
        half, least = factor * (interval.high - interval.estimate), restart_half_width(restarts, confidence)
        note += f"; not narrower than {len(restarts)} restarts alone"
        if least > half > 0:
            factor, df = factor * least / half, float(len(restarts))
    return replace(both, factor=factor, note=note, df=df)


def cuts(side: Stretch, rows: int) -> Iterator[tuple[Stretch, Stretch]]:
    """Pairs of neighbouring stretches of `rows` rows out of one side, none sharing a row with another pair."""
    for start in range(0, len(side.values) - 2 * rows + 1, 2 * rows):
        middle = start + rows
        yield (
            Stretch(side.values[start:middle], side.start_s + start * side.step_s, side.step_s),
            Stretch(side.values[middle : middle + rows], side.start_s + middle * side.step_s, side.step_s),
        )
