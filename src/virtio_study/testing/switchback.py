"""A simulated switchback: servers that switch to and fro by a drawn schedule, with an effect that is known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from virtio_study.design.scheduling import Design, drawn_schedule
from virtio_study.study import Schedule
from virtio_study.testing.story import Configuration, SimulatedServer, Story, two_servers

__all__ = ["SWITCHED", "switched_story", "true_changes"]

SWITCHED = ("balloon", "virtio")
"""Driver configurations before and after: other devices, one instrument."""

SEED = 1
BLOCK_H = 1
"""One day in blocks of an hour: Proxmox VE 9 keeps rows of a minute for a day, so that one answer holds all of them."""

WASHOUT_S = 600.0
SLACK = timedelta(minutes=5)
"""The last block is still on: rows of a minute are for 24 hours, and asking for them takes a while."""


def switched_story(now: datetime) -> tuple[Story, Schedule]:
    """Return a host on which two servers followed a schedule in the last 24 hours, and that schedule.

    Every block begins with a restart, also where its configuration is the one before.
    """
    start = now.astimezone(UTC).replace(second=0, microsecond=0) - timedelta(days=1) + SLACK
    design = Design("pairs", 1, BLOCK_H, SWITCHED, WASHOUT_S)
    told = two_servers(now.timestamp(), hours=(24 - SLACK / timedelta(hours=1), 0, 0), seed=SEED)
    schedule = drawn_schedule(design, [server.name for server in told.servers], start, "UTC", SEED)
    switched = tuple(_switched(server, schedule) for server in told.servers)
    return replace(told, servers=switched, created=start.timestamp()), schedule


def _switched(server: SimulatedServer, schedule: Schedule) -> SimulatedServer:
    """The server with one life a block; it shuts down where a block begins, and starts again when it is down."""
    known = {one.name: one for one in server.configurations}
    lives: list[Configuration] = []
    for block in schedule.blocks[server.name]:
        since = block.start.timestamp() + (server.downtime_s if lives else 0.0)
        lives.append(replace(known[block.driver_config], since=since))
    return replace(server, configurations=tuple(lives), guest_reboots=(), backups=(), pending_s=30.0)


def true_changes(story: Story) -> Mapping[str, float]:
    """Server -> relative change of its CPU level from before to after, as the story has it."""
    levels = {server.name: {one.name: one.level.cpu_cores for one in server.configurations} for server in story.servers}
    return {name: own[SWITCHED[1]] / own[SWITCHED[0]] - 1 for name, own in levels.items()}
