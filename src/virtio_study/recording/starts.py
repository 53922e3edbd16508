"""Whether recordings share time, and which are of the same start of a server."""

from collections.abc import Sequence

import pandas as pd

from virtio_study.recording.schema import Recording

__all__ = ["START_TAKES_S", "boots_of", "same_start", "share_time"]

START_TAKES_S = 60.0
"""A start is told to the second by an uptime and to the minute by rows."""


def share_time(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames, each in order of time, hold more than a row of the same time."""
    steps = [pd.Timedelta(seconds=float(frame["step_s"].median())) for frame in (one, other)]
    starts = [frame["time"].iloc[0] - step for frame, step in zip((one, other), steps, strict=True)]
    return bool(min(one["time"].iloc[-1], other["time"].iloc[-1]) - max(starts) > max(steps))


def same_start(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether a server ran through from one frame to another that is later, by the uptime; False where none is told.

    Across a start the uptime at the later frame is less than the time between them; within one it is greater by the
    uptime that the earlier frame ended with. Half of that is far from both, however the clocks went.
    """
    last, first = (frame.dropna(subset="uptime_s") if "uptime_s" in frame else frame[:0] for frame in (one, other))
    if last.empty or first.empty:
        return False
    passed_s = (first["time"].iloc[0] - last["time"].iloc[-1]).total_seconds()
    return bool(first["uptime_s"].iloc[0] - passed_s > last["uptime_s"].iloc[-1] / 2)


def _ran_already(one: Recording, other: Recording) -> bool:
    """Whether the start of a later recording, where it is told beside its rows, lies before the earlier's end."""
    started_s = other.provenance.events.get("started")
    return started_s is not None and started_s < one.frame["time"].iloc[-1].timestamp() - START_TAKES_S


def boots_of(found: Sequence[Recording]) -> dict[str, str]:
    """Name of every recording of a server under a driver configuration -> name of the first one of the same start.

    A start that was cut, such as at a change that was taken back, is one boot and no replicate of itself.
    """
    ordered = sorted(found, key=lambda item: item.frame["time"].iloc[0])
    boots: dict[str, str] = {}
    before: Recording | None = None
    for item in ordered:
        name = item.provenance.replicate
        goes_on = before is not None and (same_start(before.frame, item.frame) or _ran_already(before, item))
        boots[name] = boots[before.provenance.replicate] if before is not None and goes_on else name
        before = item
    return boots
