"""The times of a switchback's blocks, in the hours in which a server may restart, and the draw of its law."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.assignments import drawn_assignments
from virtio_study.study import Block, Law, Schedule, hours_of, within

__all__ = ["Design", "Span", "drawn_schedule", "spans"]

APART_MIN = 5
"""Minutes between the restarts of two servers: as often as cron runs `switch.sh`."""


@dataclass(frozen=True)
class Design:
    """How a switchback is laid out.

    `block_h` is the wanted length of a block; where no restart is allowed at its end, it goes on to the next time that
    is one. `configurations` are assigned; `washout_s` is left out after each start; `no_restart` are hours of a day.
    """

    law: Law
    days: int
    block_h: int
    configurations: tuple[str, ...]
    washout_s: float
    no_restart: str | None = None

    @property
    def told(self) -> str:
        """The design in short, as in a table."""
        return f"{self.law}, {self.days} d, {self.block_h} h"


@dataclass(frozen=True)
class Span:
    """A block before the draw: hours by the clock since the first midnight, and the group within which it is drawn."""

    start_h: int
    end_h: int
    group: int


def spans(design: Design) -> list[Span]:
    """Blocks of a design by the clock, which all have a group.

    Of the law `pairs`, groups are neighbours; where hours without restart make the blocks of a day unequal, they are
    those of the same hours on neighbouring days. What is left over makes no group and is no block. Of `bojinov`, the
    first and the last two blocks are one each (Bojinov, Simchi-Levi & Zhao 2023, theorem 2: the optimal design).

    Raises
    ------
    DataError
        If the days have fewer than two groups, or the hours of a day no restart.
    """
    forbidden = hours_of(design.no_restart) if design.no_restart else None
    hours = range(0, 24 * design.days, design.block_h)
    starts = [hour for hour in hours if not (forbidden and within(time(hour % 24), forbidden))]
    if not starts:
        raise DataError(
            N_("blocks of {hours} h have no start outside {forbidden}; choose other hours"),
            hours=str(design.block_h),
            forbidden=str(design.no_restart),
        )
    ends = [*starts[1:], 24 * design.days]
    of_day = [(start % 24, end - start) for start, end in zip(starts, ends, strict=True)]
    number = len(design.configurations)
    if design.law == "bojinov":
        found = _merged_at_both_ends(starts, ends)
    elif design.block_h < 24 and len({length for _hour, length in of_day}) > 1:
        slots = {slot: place for place, slot in enumerate(dict.fromkeys(hour for hour, _length in of_day))}
        found = [
            Span(start, end, start // 24 // number * len(slots) + slots[start % 24])
            for start, end in zip(starts, ends, strict=True)
        ]
    else:
        found = [Span(start, end, place // number) for place, (start, end) in enumerate(zip(starts, ends, strict=True))]
    sizes = {span.group: 0 for span in found}
    for span in found:
        sizes[span.group] += 1
    whole = 1 if design.law == "bojinov" else number
    kept = [span for span in found if sizes[span.group] == whole]
    if len({span.group for span in kept}) < 2:
        raise DataError(
            N_("{days} days in blocks of {hours} h are too few for {configurations} configurations; take more days"),
            days=design.days,
            hours=str(design.block_h),
            configurations=number,
        )
    return kept


def _merged_at_both_ends(starts: Sequence[int], ends: Sequence[int]) -> list[Span]:
    if len(starts) < 4:
        return [Span(start, end, place) for place, (start, end) in enumerate(zip(starts, ends, strict=True))]
    starts, ends = [starts[0], *starts[2:-1]], [*ends[1:-2], ends[-1]]
    return [Span(start, end, place) for place, (start, end) in enumerate(zip(starts, ends, strict=True))]


def drawn_schedule(design: Design, servers: Sequence[str], start: datetime, zone: str, seed: int) -> Schedule:
    """Draw a schedule: each server has its own draw, and its own minutes, so that not all restart at once.

    Parameters
    ----------
    start : datetime
        When it begins by the clock of `zone`: a midnight, of which hours without restart are told. Changes of the clock
        are followed: blocks begin at the same hours before and after, and the one in which a change falls is an hour
        shorter or longer.
    seed : int
        Of the first server's draw, the next number of the next one's.

    Raises
    ------
    DataError
        As `spans`.
    """
    laid = spans(design)
    groups = list(dict.fromkeys(span.group for span in laid))
    minutes = _minutes_apart(design, laid)
    blocks = {}
    for place, server in enumerate(servers):
        first = start + timedelta(minutes=minutes[place % len(minutes)])
        drawn = drawn_assignments([span.group for span in laid], len(design.configurations), 1, seed + place)[0]
        blocks[server] = tuple(
            Block(
                start=_at(first, span.start_h, zone),
                end=_at(first, span.end_h, zone),
                driver_config=design.configurations[number],
                pair=None if design.law == "bojinov" else groups.index(span.group) + 1,
            )
            for span, number in zip(laid, drawn.tolist(), strict=True)
        )
    return Schedule(
        law=design.law,
        seed=seed,
        washout_s=design.washout_s,
        zone=zone,
        no_restart=design.no_restart,
        blocks=blocks,
    )


def _minutes_apart(design: Design, laid: Sequence[Span]) -> list[int]:
    """Minutes after the hour at which a server may restart at every block, a run of cron apart."""
    forbidden = hours_of(design.no_restart) if design.no_restart else None
    return [
        minute
        for minute in range(0, 60, APART_MIN)
        if not forbidden or not any(within(time(span.start_h % 24, minute), forbidden) for span in laid)
    ]


def _at(start: datetime, hours: int, zone: str) -> datetime:
    """A time so many hours by the clock after another; one that a change leaves out is that much later."""
    by_clock = start.replace(tzinfo=None) + timedelta(hours=hours)
    local = by_clock.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
    # between two times of one zone Python subtracts the clocks, also where they were changed in between
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta()))
