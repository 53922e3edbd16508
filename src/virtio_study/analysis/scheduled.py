"""Recordings cut at the blocks of a switchback schedule: as the blocks were assigned, and as they were received."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.cleaning.left_out import edges
from virtio_study.stats.elementary import total
from virtio_study.study import Block, Schedule, Study

__all__ = [
    "FEWEST_SHARE",
    "BlockRows",
    "assigned_arms",
    "block_rows",
    "of_blocks",
    "received_arms",
    "schedule_of",
]

FEWEST_SHARE = 0.5
"""A block counts if so much of it was recorded, and so much of that is steady after the wash-out; else its draw is
lost, whatever it was."""

ROUNDED_S = 1.0
"""Times of rows are told to the second."""


def schedule_of(study: Study, server: str) -> Schedule | None:
    """The study's schedule, if it has one for a server."""
    return study.schedule if study.schedule and server in study.schedule.blocks else None


@dataclass(frozen=True, eq=False)
class BlockRows:
    """A block of the schedule, `number` from 1 on, and the cleaned rows inside it with the configuration in force."""

    number: int
    block: Block
    washout_s: float
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        """Name of its draw, by which blocks are found in pairs; in order of time."""
        return f"block-{self.number:03d}" if self.block.pair is None else f"pair-{self.block.pair:03d}"

    @property
    def length_s(self) -> float:
        """Seconds from its start to its end, whatever clocks were changed meanwhile."""
        return self.block.end.timestamp() - self.block.start.timestamp()

    @cached_property
    def in_force(self) -> list[tuple[str, float, float]]:
        """Configurations in order of time, each with the seconds after the block's start in which it was recorded."""
        begins, ends = (side - self.block.start.timestamp() for side in edges(self.rows))
        configs = self.rows["driver_config"].astype("str").to_numpy()
        if not len(configs):
            return []
        first = np.flatnonzero(np.concatenate([[True], configs[1:] != configs[:-1]]))
        last = [*(first[1:] - 1), len(configs) - 1]
        return [(str(configs[a]), float(begins[a]), float(ends[b])) for a, b in zip(first, last, strict=True)]

    @property
    def received(self) -> str | None:
        """The configuration that was in force for the most of the time after the wash-out; None if nothing tells."""
        late = self.rows[edges(self.rows)[1] > self.block.start.timestamp() + self.washout_s]
        if late.empty:
            return None
        seconds = {config: total(own["step_s"]) for config, own in late.groupby("driver_config", sort=True)}
        return str(max(seconds, key=lambda config: seconds[config]))

    @property
    def kept(self) -> bool:
        """Whether nothing else than the assigned configuration was in force after the wash-out."""
        late = edges(self.rows)[1] > self.block.start.timestamp() + self.washout_s
        return set(self.rows.loc[late, "driver_config"]) <= {self.block.driver_config}

    def counts(self, rows: pd.DataFrame) -> bool:
        """Whether rows fill enough of the block, and steady ones enough of what is after the wash-out."""
        recorded_s = total(rows["step_s"])
        started_s = max(total(rows.loc[rows["period"] == "transient", "step_s"]), self.washout_s)
        steady_s = total(rows.loc[rows["period"] == "steady", "step_s"])
        enough = recorded_s >= FEWEST_SHARE * self.length_s and steady_s >= FEWEST_SHARE * (recorded_s - started_s)
        return steady_s > 0 and enough


def block_rows(study: Study, server: str, arms: Mapping[str, Arm]) -> tuple[BlockRows, ...]:
    """Every block of a server's schedule with the rows that were recorded in it; none if there is no schedule.

    Parameters
    ----------
    arms : mapping of driver configuration to Arm
        All that was recorded of the server.
    """
    schedule = schedule_of(study, server)
    if schedule is None or not any(arm.boots for arm in arms.values()):
        return ()
    frames = [boot.rows.assign(driver_config=config) for config, arm in arms.items() for boot in arm.boots]
    rows = pd.concat(frames).sort_values("time", kind="stable", ignore_index=True)
    begins, ends = edges(rows)
    found = []
    for number, block in enumerate(schedule.blocks[server], 1):
        inside = (begins >= block.start.timestamp() - ROUNDED_S) & (ends <= block.end.timestamp() + ROUNDED_S)
        found.append(BlockRows(number, block, schedule.washout_s, rows[inside].reset_index(drop=True)))
    return tuple(found)


def assigned_arms(study: Study, server: str, arms: Mapping[str, Arm]) -> dict[str, Arm]:
    """One boot a block, on the side that the schedule gives it, whatever was in force: what the draw decides."""
    own = [(item, item.block.driver_config, item.rows) for item in block_rows(study, server, arms)]
    return _as_boots(own, arms)


def received_arms(study: Study, server: str, arms: Mapping[str, Arm]) -> dict[str, Arm]:
    """One boot a block, on the side of the configuration that was in force, with its rows alone.

    Of a draw whose blocks received the same configuration nothing is left: it has no two sides.
    """
    own = []
    for item in block_rows(study, server, arms):
        config = item.received
        if config is not None:
            own.append((item, config, item.rows[item.rows["driver_config"] == config]))
    names = [(item.name, config) for item, config, _ in own]
    return _as_boots([entry for entry, name in zip(own, names, strict=True) if names.count(name) == 1], arms)


def _as_boots(own: "list[tuple[BlockRows, str, pd.DataFrame]]", arms: Mapping[str, Arm]) -> dict[str, Arm]:
    scheduled = {item.block.driver_config for item, _, _ in own}
    found = dict(arms)
    for config in scheduled & arms.keys():
        kept = [Boot(item.name, rows) for item, side, rows in own if side == config and item.counts(rows)]
        found[config] = Arm(arms[config].server, config, tuple(kept), arms[config].provenances)
    return found


def of_blocks(study: Study, arm: Arm) -> Arm:
    """An arm with one boot a block that has its rows; as it is where the server has no schedule."""
    cut = [item for item in block_rows(study, arm.server, {arm.driver_config: arm}) if len(item.rows)]
    if not cut:
        return arm
    boots = tuple(Boot(f"block-{item.number:03d}", item.rows) for item in cut)
    return Arm(arm.server, arm.driver_config, boots, arm.provenances)
