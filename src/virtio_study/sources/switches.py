"""Windows of a server that followed a schedule, by the restarts that its host tells: rows alone show no devices."""

from collections.abc import Sequence
from datetime import UTC, datetime

from virtio_study.sources.events import starts
from virtio_study.sources.history import History
from virtio_study.study import Block, Study, Window

__all__ = ["switched_windows", "watched"]

EARLY_S, LATE_S = 60.0, 3600.0
"""A restart is the switch to a block that begins so much later at most, or so much before; no switch waits longer."""

POLLS_AN_HOUR = 10
"""More come of a watch; each collection makes one."""

BEFORE_S = 60.0
"""A window begins so much before the start that was told: the row of the start is its own, and what follows a start."""


def switched_windows(study: Study, server: str, history: History, until_s: float) -> list[Window]:
    """The stretches between a schedule's switches that were seen, each with the driver configuration of its block.

    A block at whose beginning no restart was seen goes on with the configuration of the one before. What was in force
    before the first switch that was seen is not known.

    Parameters
    ----------
    study : Study
        With a schedule for the server.
    until_s : float
        When the host was asked last, Unix seconds.

    Returns
    -------
    list of Window
        In order of time; none that begins after `until_s`.
    """
    assert study.schedule is not None
    blocks = study.schedule.blocks[server]
    moments = [item.start_s for item in starts(history)]
    seen = [(moment, block) for block in blocks if (moment := _switch(block, moments, until_s)) is not None]
    if not seen:
        return []
    ends = [moment - BEFORE_S for moment, _ in seen[1:]] + [blocks[-1].end.timestamp()]
    return [
        Window(server=server, driver_config=block.driver_config, start=_utc(moment - BEFORE_S), end=_utc(end))
        for (moment, block), end in zip(seen, ends, strict=True)
    ]


def watched(study: Study, server: str, history: History) -> bool:
    """Whether polls of a server show by themselves what was in force while it followed its schedule."""
    assert study.schedule is not None
    blocks = study.schedule.blocks[server]
    begin, end = blocks[0].start.timestamp(), blocks[-1].end.timestamp()
    hours = {int(poll.time_s // 3600) for poll in history.polls if begin <= poll.time_s <= end}
    polls = sum(begin <= poll.time_s <= end for poll in history.polls)
    return polls > POLLS_AN_HOUR * len(hours)


def _switch(block: Block, moments: Sequence[float], until_s: float) -> float | None:
    """The last restart around the beginning of a block, by which its guest was as it stayed; None if none was seen."""
    begin = block.start.timestamp()
    near = [moment for moment in moments if begin - EARLY_S <= moment < begin + LATE_S]
    return near[-1] if near and begin <= until_s else None


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
