"""Which design: before/after and switchbacks of several lengths on servers' own rows, and the cheapest that will do."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pandas as pd

from virtio_study.design.power import (
    FALLS,
    FEWEST_GROUPS,
    WANTED,
    Power,
    least_shown,
    power_of_before_after,
    power_of_switchback,
)
from virtio_study.design.scheduling import Design, spans
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.hours import DAY_S
from virtio_study.stats.stretch import Stretch, stretch

__all__ = [
    "BLOCKS_H",
    "DAYS",
    "DEFAULT_BLOCK_H",
    "DEFAULT_DAYS",
    "Choice",
    "Tried",
    "choose_design",
    "history_of_rows",
    "longest",
]

COARSEST_S = 3600.0
"""Rows that are longer say too little of blocks of some hours."""

BLOCKS_H = (3, 4, 6, 8, 12, 24)
DAYS = (2, 3, 4, 6, 8, 10, 14, 21, 28)
SIDES = (3, 7, 14)
"""Days a side of before/after."""

DEFAULT_DAYS, DEFAULT_BLOCK_H = 6, 6
"""Without a history: on production servers 6 days in blocks of 6 h show falls of 30 % about as often as 3 days of 3 h,
and more often than before/after over 28 days (`docs/switchback.md`)."""


@dataclass(frozen=True)
class Tried:
    """What a design costs and would show; `design` is None of a before/after of `days` days in all."""

    design: Design | None
    days: int
    restarts: int
    powers: Mapping[str, Power]

    @property
    def shown(self) -> tuple[float, ...]:
        """How often each of `FALLS` is shown, mean over the servers."""
        return tuple(
            math.fsum(power.shown[place] for power in self.powers.values()) / len(self.powers)
            for place in range(len(FALLS))
        )

    @property
    def least(self) -> float | None:
        """Least fall that four of five studies of these servers show; None where 95 % is not."""
        return least_shown(self.shown)

    def power(self, fall: float) -> float:
        """How often a fall is shown, mean over the servers."""
        return math.fsum(power.of(fall) for power in self.powers.values()) / len(self.powers)

    def enough(self, fall: float) -> bool:
        """Whether every server's study shows a fall in four of five."""
        return all(power.of(fall) >= WANTED for power in self.powers.values())


@dataclass(frozen=True)
class Choice:
    """The designs that were tried, and the one that is recommended for a fall.

    `tried` is empty without a history: the recommendation is then the stated default. `reached` says whether every
    server shows the fall in four of five studies with it; otherwise it is the one that comes nearest.
    """

    fall: float
    recommended: Design
    restarts: int
    reached: bool
    tried: tuple[Tried, ...]

    def best_of_each_length(self) -> list[Tried]:
        """Before/after, and of the switchbacks of as many days the one that shows most, and the recommended one."""
        best: dict[int, Tried] = {}
        for item in self.tried:
            known = best.get(item.days)
            if item.design and (known is None or _worth(item, self.fall) > _worth(known, self.fall)):
                best[item.days] = item
        kept = [*best.values()]
        return [item for item in self.tried if not item.design or item.design == self.recommended or item in kept]

    @property
    def tried_of_recommended(self) -> Tried | None:
        """What the recommended design would show; None without a history."""
        return next((item for item in self.tried if item.design == self.recommended), None)


def choose_design(
    histories: Mapping[str, Stretch], like: Design, fall: float, confidence: float, zone: str, seed: int
) -> Choice:
    """Try designs like one, with every length of blocks and of the study, on the histories of servers.

    Parameters
    ----------
    histories : mapping
        Server -> rows of the untouched server; may be empty.
    like : Design
        Law, configurations, wash-out and hours without restart; days and hours of a block too where they are not 0.
    fall : float
        Share by which the level is to fall.
    zone : str
        By whose clock days begin.

    Raises
    ------
    DataError
        If no design of that kind can be laid out.
    """
    blocks = (like.block_h,) if like.block_h else BLOCKS_H
    lengths = (like.days,) if like.days else DAYS
    designs = [replace(like, days=days, block_h=hours) for days in lengths for hours in blocks]
    laid = [(design, restarts) for design in designs if (restarts := _restarts(design)) is not None]
    if not laid:
        raise DataError(
            N_(
                "no design of up to {days} days has {groups} groups of blocks that are twice as long as the wash-out: "
                "take more days, shorter blocks or a shorter wash-out"
            ),
            days=designs[-1].days,
            groups=FEWEST_GROUPS,
        )
    looked_at = (_tried(histories, design, restarts, confidence, zone, seed) for design, restarts in laid)
    tried = [found for found in looked_at if found]
    if not tried:
        default = replace(like, days=like.days or DEFAULT_DAYS, block_h=like.block_h or DEFAULT_BLOCK_H)
        chosen, restarts = next((item for item in laid if item[0] == default), laid[-1])
        return Choice(fall, chosen, restarts, False, ())
    reached = [item for item in tried if item.enough(fall)]
    best = (
        min(reached, key=lambda item: (item.days, item.restarts))
        if reached
        else max(tried, key=lambda item: (_worth(item, fall)[0], -item.days, -item.restarts))
    )
    assert best.design is not None
    sides = [found for days in SIDES if (found := _before_after(histories, days, confidence))]
    return Choice(fall, best.design, best.restarts, bool(reached), (*sides, *tried))


def history_of_rows(frames: Mapping[float, pd.DataFrame], column: str) -> Stretch | None:
    """The rows of a server that reach farthest, of several frames of one column; None without any of an hour or less.

    Parameters
    ----------
    frames : mapping
        Seconds between rows -> frame of the schema.
    """
    found = []
    for step, frame in frames.items():
        known = frame[frame[column].notna()] if step <= COARSEST_S and column in frame else frame.iloc[:0]
        if len(known):
            ends = (known["time"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
            found.append(stretch(ends, known[column], known["step_s"]))
    return longest(found)


def longest(histories: Iterable[Stretch | None]) -> Stretch | None:
    """The longest of several histories; the finest of those as long, and None of none."""
    known = [item for item in histories if item is not None]
    return max(known, key=lambda item: (round((item.end_s - item.start_s) / DAY_S), -item.step_s), default=None)


def _worth(item: Tried, fall: float) -> tuple[float, int]:
    """What is better of designs of one length: more power, to a percent, and then fewer restarts."""
    return round(item.power(fall), 2), -item.restarts


def _restarts(design: Design) -> int | None:
    """Restarts of a design, the one that ends it among them; None where it is too small for a test."""
    try:
        laid = spans(design)
    except DataError:
        return None
    groups = len({span.group for span in laid})
    least = FEWEST_GROUPS if design.law == "pairs" else 2 * FEWEST_GROUPS
    long_enough = all((span.end_h - span.start_h) * 3600 >= 2 * design.washout_s for span in laid)
    return len(laid) + 1 if groups >= least and long_enough else None


def _tried(
    histories: Mapping[str, Stretch], design: Design, restarts: int, confidence: float, zone: str, seed: int
) -> Tried | None:
    powers = {}
    for server, history in histories.items():
        try:
            midnight = _midnight(history.start_s, zone)
            powers[server] = power_of_switchback(history, design, midnight, confidence, seed)
        except DataError:
            continue
    return Tried(design, design.days, restarts, powers) if powers else None


def _before_after(histories: Mapping[str, Stretch], days: int, confidence: float) -> Tried | None:
    powers = {
        server: power
        for server, history in histories.items()
        if (power := power_of_before_after(history, days, confidence)) is not None
    }
    return Tried(None, 2 * days, 1, powers) if powers else None


def _midnight(moment_s: float, zone: str) -> float:
    """The midnight before a moment by the clock of a zone, Unix seconds."""
    local = datetime.fromtimestamp(moment_s, ZoneInfo(zone))
    return datetime.combine(local.date(), time(), ZoneInfo(zone)).timestamp()
