"""What a design would show of a fall, simulated on a server's own rows: nothing is assumed of how they wander."""

import math
from dataclasses import dataclass, replace

import numpy as np

from virtio_study.design.scheduling import Design, Span, spans
from virtio_study.errors import DataError
from virtio_study.stats.assignments import drawn_assignments
from virtio_study.stats.hours import DAY_S, FEWEST_DAYS, HOUR_S, same_hours
from virtio_study.stats.randomisation import least_ranks
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Array, Stretch

__all__ = [
    "FALLS",
    "FEWEST_GROUPS",
    "FEWEST_HISTORY_DAYS",
    "WANTED",
    "Power",
    "power_of_before_after",
    "power_of_switchback",
]

FALLS = tuple(number / 20 for number in range(1, 20))
"""Falls of the level that are tried: 5, 10, ... 95 %."""

WANTED = 0.8
FEWEST_GROUPS = 6
"""Of 6 pairs there are 64 orders, of which a two-sided test at 5 % needs 40 at least."""

FEWEST_HISTORY_DAYS = 2
STUDIES = 400
"""Studies that are simulated of a design, over all its places in the history together."""

PLACES = 8
"""Places in the history at which a before/after is tried, evenly spread: each is a fit of two series."""


@dataclass(frozen=True)
class Power:
    """How often a design would show each of `FALLS` on one server; `places` in its history where it was simulated.

    `extrapolated`: the history is too short for the design, whose groups of blocks were drawn from it with replacement.
    """

    shown: tuple[float, ...]
    places: int
    extrapolated: bool

    @property
    def least(self) -> float | None:
        """Least fall that is shown in four of five studies, interpolated; None where 95 % is not."""
        return least_shown(self.shown)

    def of(self, fall: float) -> float:
        """How often a fall would be shown, interpolated."""
        return float(np.interp(fall, FALLS, self.shown))


def least_shown(shown: tuple[float, ...]) -> float | None:
    """Least of `FALLS` shown with the wanted power, interpolated; None if none is."""
    for number, power in enumerate(shown):
        if power >= WANTED:
            if number == 0:
                return FALLS[0]
            below = shown[number - 1]
            return FALLS[number - 1] + (FALLS[number] - FALLS[number - 1]) * (WANTED - below) / (power - below)
    return None


def power_of_switchback(history: Stretch, design: Design, midnight_s: float, confidence: float, seed: int) -> Power:
    """Draw a design's assignments again and again, at every day of the history where it fits, and analyse each.

    Under the configuration after, rows are multiplied by 1 minus the fall. The analysis is the study's own: the
    randomisation test of the differences within groups (`pairs`), or of each block from its neighbours (`bojinov`).

    Parameters
    ----------
    history : Stretch
        Rows of the untouched server.
    midnight_s : float
        A midnight by its clock, Unix seconds.
    confidence : float
        Such as 0.95.
    seed : int
        Of the draws.

    Raises
    ------
    DataError
        If the history is shorter than two days, or as `spans`.
    """
    starts = whole_days_of(history, midnight_s)
    if len(starts) < FEWEST_HISTORY_DAYS:
        raise DataError("the history has less than two whole days")
    fitting = [start for start in starts if start + design.days * DAY_S <= starts[-1] + DAY_S]
    short = len(fitting) < 2
    laid = spans(design)
    if short:
        within = replace(design, days=max(FEWEST_HISTORY_DAYS, min(design.days, len(starts) - 1)))
        source = spans(within)
        fitting = [start for start in starts if start + within.days * DAY_S <= starts[-1] + DAY_S]
    else:
        source = laid
    means = _block_means(history, source, fitting, design.washout_s)
    if design.law == "bojinov":
        pooled = means.reshape(-1, 1) if short else None
        shown = _shown_alone(means, pooled, len(laid), confidence, seed)
    else:
        number = len(design.configurations)
        by_group = means[:, np.argsort([span.group for span in source], kind="stable")]
        grouped = by_group.reshape(len(fitting), -1, number)
        shown = _shown_in_groups(grouped, short, len(laid) // number, confidence, seed)
    return Power(shown, len(fitting), short)


def whole_days_of(history: Stretch, midnight_s: float) -> list[float]:
    """Beginnings of the whole days of a history, Unix seconds."""
    first = midnight_s + math.ceil((history.start_s - midnight_s) / DAY_S - 1e-9) * DAY_S
    count = int((history.end_s - first) / DAY_S + 1e-9)
    return [first + day * DAY_S for day in range(count)]


def _block_means(history: Stretch, laid: list[Span], starts: list[float], washout_s: float) -> Array:
    """Mean of each block without its wash-out, shape (starts, blocks); NaN where more than half of it is missing."""
    known = np.isfinite(history.values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, history.values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    begin = np.array([[start + span.start_h * HOUR_S + washout_s for span in laid] for start in starts])
    end = np.array([[start + span.end_h * HOUR_S for span in laid] for start in starts])
    first = np.ceil((begin - history.start_s) / history.step_s - 1e-6).astype(np.int64)
    last = np.floor((end - history.start_s) / history.step_s + 1e-6).astype(np.int64)
    last = np.minimum(last, len(history.values))
    rows, present = np.maximum(last - first, 1), counts[np.maximum(last, first)] - counts[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[np.maximum(last, first)] - sums[first]) / present
    return np.where(2 * present > rows, means, np.nan)


def _shown_in_groups(grouped: Array, short: bool, groups: int, confidence: float, seed: int) -> tuple[float, ...]:
    """Power of the test over groups: `grouped` has the blocks' means, shape (places, groups, configurations)."""
    generator = np.random.default_rng(seed)
    number = grouped.shape[2]
    if short:
        pool = grouped.reshape(-1, number)
        grouped = pool[generator.integers(len(pool), size=(STUDIES, groups))]
    else:
        grouped = np.repeat(grouped, math.ceil(STUDIES / len(grouped)), axis=0)
    order = drawn_assignments(np.repeat(np.arange(groups), number).tolist(), number, len(grouped), seed)
    order = order.reshape(-1, groups, number)
    before = np.take_along_axis(grouped, np.argmax(order == 0, axis=2)[:, :, None], axis=2)[:, :, 0]
    after = np.take_along_axis(grouped, np.argmax(order == 1, axis=2)[:, :, None], axis=2)[:, :, 0]
    known = np.isfinite(before) & np.isfinite(after)
    found = np.zeros(len(FALLS))
    for count, rows in _by_count(known):
        early, late = (side[rows][known[rows]].reshape(-1, count) for side in (before, after))
        found += [_shown(late * (1 - fall) - early, confidence) for fall in FALLS]
    return tuple((found / len(grouped)).tolist())


def _shown_alone(means: Array, pooled: Array | None, blocks: int, confidence: float, seed: int) -> tuple[float, ...]:
    """Power of the test over blocks that are drawn one by one: `means` has shape (places, blocks)."""
    generator = np.random.default_rng(seed)
    if pooled is None:
        values = np.repeat(means, math.ceil(STUDIES / len(means)), axis=0)
    else:
        values = pooled[generator.integers(len(pooled), size=(STUDIES, blocks)), 0]
    side = drawn_assignments(range(blocks), 2, len(values), seed)
    known = np.isfinite(values)
    found = np.zeros(len(FALLS))
    for count, rows in _by_count(known):
        if count < FEWEST_GROUPS:
            continue
        levels, after = (each[rows][known[rows]].reshape(-1, count) for each in (values, side))
        sign = np.where(after == 1, 1.0, -1.0)
        with np.errstate(divide="ignore"):
            logs = np.log(levels)
        for place, fall in enumerate(FALLS):
            fallen = logs + np.where(after == 1, math.log(1 - fall), 0.0)
            padded = np.concatenate([fallen[:, 1:2], fallen, fallen[:, -2:-1]], axis=1)
            with np.errstate(invalid="ignore"):
                changes = sign * (fallen - (padded[:, :-2] + padded[:, 2:]) / 2)
            found[place] += _shown(np.where(np.isnan(changes), 0.0, changes), confidence)
    return tuple((found / len(values)).tolist())


def _by_count(known: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Studies by how many of their draws are known: number, and places of the studies."""
    counts = known.sum(axis=1)
    return [(int(count), np.flatnonzero(counts == count)) for count in np.unique(counts) if count]


def _shown(changes: Array, confidence: float) -> int:
    """How many studies, rows of `changes`, show a fall by the signed ranks of `stats.randomisation`."""
    needed = least_ranks(changes.shape[1], confidence)
    if needed is None:
        return 0
    # of equal sizes the falls come first: whatever contradicts them takes its rank from them, as in the test
    order = np.lexsort((changes > 0, np.abs(changes)), axis=1)
    fell = np.take_along_axis(changes < 0, order, axis=1)
    return int(((fell * np.arange(1, changes.shape[1] + 1)).sum(axis=1) >= needed).sum())


def power_of_before_after(history: Stretch, days: int, confidence: float) -> Power | None:
    """How often two neighbouring sides of so many days show a fall; None where the history is too short or refuses.

    The interval of a fall is that of the rows as they are, the side after scaled: each side has half of its square.
    """
    side = round(days * DAY_S / history.step_s)
    room = len(history.values) - 2 * side
    if days < FEWEST_DAYS or room < 0:
        return None
    rows_a_day = round(DAY_S / history.step_s)
    found = []
    for first in sorted({round(place) for place in np.linspace(0, room // rows_a_day, PLACES)}):
        start = first * rows_a_day
        before = Stretch(history.values[start : start + side], history.start_s + start * history.step_s, history.step_s)
        after = Stretch(history.values[start + side : start + 2 * side], before.end_s, history.step_s)
        try:
            interval = difference_of_series(*same_hours(before, after, True), confidence).interval
        except DataError:
            continue
        found.append((interval.estimate, (interval.high - interval.low) / 2, float(np.nanmean(after.values))))
    if not found:
        return None
    shown = []
    for fall in FALLS:
        kept = 1 - fall
        shown.append(
            float(
                np.mean(
                    [est - fall * level + half * math.sqrt((1 + kept * kept) / 2) < 0 for est, half, level in found]
                )
            )
        )
    return Power(tuple(shown), len(found), False)
