"""A switchback schedule: which driver configuration a server is to have when, and by which law that was drawn."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from virtio_study.i18n.marks import N_
from virtio_study.study.faults import FaultError, in_order
from virtio_study.study.values import Name, Real, Strict, Whole

__all__ = ["Block", "Law", "Schedule", "hours_of", "within"]

Law = Literal["pairs", "bojinov"]
"""How configurations were assigned to blocks.

`pairs`: blocks are in groups of as many as there are configurations, and within each group the order is random, so that
each configuration stands once in each; of two configurations these are pairs. `bojinov`: each block is a decision point
with an independent draw, all configurations alike (Bojinov, Simchi-Levi & Zhao 2023, Management Science 69); the first
and the last block are as long as two others.
"""


def _known_zone(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FaultError(N_("expected a name such as UTC or America/Lima")) from error
    return zone


def hours_of(text: str) -> tuple[time, time]:
    """Hours of a day such as `08:00-18:00`, or `22:00-06:00` over midnight: from and to.

    Raises
    ------
    FaultError
        If the text is something else.
    """
    first, _, last = text.partition("-")
    try:
        hours = time.fromisoformat(first.strip()), time.fromisoformat(last.strip())
    except ValueError as error:
        raise FaultError(N_("expected hours of a day such as 08:00-18:00")) from error
    if hours[0] == hours[1] or any(hour.tzinfo for hour in hours):
        raise FaultError(N_("expected hours of a day such as 08:00-18:00"))
    return hours


def within(moment: time, hours: tuple[time, time]) -> bool:
    """Whether a time of the day is within hours, of which the first belongs to them and the last does not."""
    first, last = hours
    return first <= moment < last if first < last else moment >= first or moment < last


class Block(Strict):
    """A stretch for which a server is assigned one driver configuration, from restart to restart.

    `pair` is the number of its group under the law `pairs`; under `bojinov` there is none.
    """

    start: datetime
    end: datetime
    driver_config: Name
    pair: Whole | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _aware_and_ordered(self) -> Self:
        in_order(self.start, self.end)
        return self


class Schedule(Strict):
    """Blocks of each server in order of time, with what the randomisation test needs: the law and the seed.

    `washout_s` is the least time after a block's start that is left out (seconds); a longer start-up that is found
    counts instead. `zone` is the researcher's time zone, in which the schedule is read. `no_restart` are hours of its
    clock, such as 08:00-18:00, in which no block begins.
    """

    law: Law
    seed: Whole = Field(ge=0)
    washout_s: Real = Field(ge=0)
    zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    no_restart: str | None = None
    blocks: dict[Name, tuple[Block, ...]] = Field(min_length=1)

    @field_validator("no_restart")
    @classmethod
    def _hours_of_a_day(cls, given: str | None) -> str | None:
        if given is not None:
            hours_of(given)
        return given

    @model_validator(mode="after")
    def _keeps_its_law(self) -> Self:
        for server, blocks in self.blocks.items():
            if len(blocks) < 2:
                few = N_("schedule.blocks.{server}: {blocks} blocks; two are needed at least")
                raise FaultError(few, server=server, blocks=len(blocks)).at("schedule", "blocks", server)
            self._check_times(server, blocks)
            self._check_groups(server, blocks)
        return self

    def _check_times(self, server: str, blocks: Sequence[Block]) -> None:
        for number, block in enumerate(blocks):
            place = ("schedule", "blocks", server, number)
            before = blocks[number - 1] if number else None
            if before and block.start < before.end:
                twice = N_(
                    "schedule.blocks.{server}: the block from {start} on begins before the one before it ends, {end}; "
                    "give the blocks in order of time"
                )
                start, end = block.start.isoformat(), before.end.isoformat()
                raise FaultError(twice, server=server, start=start, end=end).at(*place)
            local = block.start.astimezone(ZoneInfo(self.zone))
            if self.no_restart and within(local.time(), hours_of(self.no_restart)):
                forbidden = N_(
                    "schedule.blocks.{server}: the block from {start} on begins within {hours}, in which no_restart "
                    "allows none"
                )
                raise FaultError(forbidden, server=server, start=local.isoformat(), hours=self.no_restart).at(*place)
            if (block.end - block.start).total_seconds() <= self.washout_s:
                short = N_(
                    "schedule.blocks.{server}: the block from {start} on is not longer than washout_s, {washout:g} s; "
                    "make blocks longer"
                )
                start = block.start.isoformat()
                raise FaultError(short, server=server, start=start, washout=self.washout_s).at(*place)

    def _check_groups(self, server: str, blocks: Sequence[Block]) -> None:
        whole = self.configurations(server)
        groups: dict[int | None, list[str]] = {}
        for number, block in enumerate(blocks):
            place = ("schedule", "blocks", server, number)
            if self.law == "bojinov" and block.pair is not None:
                none = N_("schedule.blocks.{server}: blocks of the law bojinov are in no pair; leave pair out")
                raise FaultError(none, server=server).at(*place)
            if self.law == "pairs" and block.pair is None:
                missing = N_("schedule.blocks.{server}: blocks of the law pairs need the number of their pair")
                raise FaultError(missing, server=server).at(*place)
            groups.setdefault(block.pair, []).append(block.driver_config)
        for pair, configs in groups.items():
            if self.law == "pairs" and (len(whole) < 2 or sorted(configs) != whole):
                unequal = N_(
                    "schedule.blocks.{server}: pair {pair} has {configs}; expected each of {whole} once, and two or "
                    "more"
                )
                number = next(number for number, block in enumerate(blocks) if block.pair == pair)
                found, wanted = ", ".join(configs), ", ".join(whole)
                raise FaultError(unequal, server=server, pair=str(pair), configs=found, whole=wanted).at(
                    "schedule", "blocks", server, number
                )

    def configurations(self, server: str) -> list[str]:
        """Driver configurations that a server's law draws from, in order of name."""
        return sorted({block.driver_config for block in self.blocks[server]})

    def groups(self, server: str) -> list[int]:
        """What tells each block's group, for `stats.assignments`: the number of its pair, or its own alone."""
        blocks = self.blocks[server]
        return [number if block.pair is None else block.pair for number, block in enumerate(blocks)]

    def washouts(self, server: str) -> list[tuple[float, float]]:
        """The least wash-out of every block of a server, if it has any: first and last second (Unix)."""
        starts = [block.start.timestamp() for block in self.blocks.get(server, ())]
        return [(start, start + self.washout_s) for start in starts]
