"""On which node a server was when, by the paths of stored answers and by tasks of migrations."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from virtio_study.pve.values import VMID, vmid_in
from virtio_study.sources.history import Task
from virtio_study.sources.responses import Answer, lists, read_answers

__all__ = ["Stay", "stays"]

CONFIGURED = re.compile(rf"/nodes/([^/]+)/qemu/({VMID})/config\?current=1")
POLLED = re.compile(rf"/nodes/([^/]+)/qemu/({VMID})/status/current")
"""What only the node answers on which a server is: a watch asks the one every few minutes, the other every 10 s."""

TASKS = re.compile(r"/nodes/[^/]+/tasks(?:\?.*)?")


@dataclass(frozen=True)
class Stay:
    """A stretch (Unix seconds) of a server on a node; the first begins, and the last ends, at no known time."""

    node: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A server on a node between two moments; `gone_s` is the end of the migration that it left by, if one is told.

    `answered` says that an answer tells it, not tasks alone.
    """

    vmid: int
    first_s: float
    last_s: float
    node: str
    gone_s: float | None
    answered: bool


def stays(paths: Sequence[Path], vmids: Collection[int]) -> dict[int, list[Stay]]:
    """Where servers were, by number, each one's stays in order of time; a server that no answer names has none.

    Between two stays lies the migration: by its task where one is told, else from the last answer of the one node to
    the first of the other.

    Parameters
    ----------
    paths : sequence of Path
        Files of answers; see `read_answers`.
    """
    seen = _evidence(paths, vmids, CONFIGURED)
    left = set(vmids) - seen.keys()
    seen |= _evidence(paths, left, POLLED) if left else {}
    return {vmid: _stays_of(sorted(found, key=lambda item: item.first_s)) for vmid, found in seen.items()}


def _evidence(paths: Sequence[Path], vmids: Collection[int], asked: re.Pattern[str]) -> dict[int, list[_Seen]]:
    """What was seen of servers by one kind of answer, and by tasks; nothing of a server that no such answer names."""
    seen: dict[int, list[_Seen]] = {}
    for path in paths:  # one after the other, so that of a file only what is kept of it is in memory
        for item in _seen_in(read_answers([path], lambda told: _tells(told, vmids, asked)), vmids, asked):
            seen.setdefault(item.vmid, []).append(item)
    # a task says what a server left, not where it went
    return {vmid: found for vmid, found in seen.items() if any(item.answered for item in found)}


def _tells(path: str, vmids: Collection[int], asked: re.Pattern[str]) -> bool:
    found = asked.fullmatch(path)
    return int(found[2]) in vmids if found else TASKS.fullmatch(path) is not None


def _seen_in(answers: Sequence[Answer], vmids: Collection[int], asked: re.Pattern[str]) -> list[_Seen]:
    """Runs of one node in answers, server by server: a migration tells where a server was until it began."""
    told: list[tuple[int, float, str, float | None]] = [
        (int(found[2]), answer.time_s, found[1], None)
        for answer in answers
        if answer.status == 200 and (found := asked.fullmatch(answer.path))
    ]
    for task in {Task.of(row) for _, rows in lists(answers, TASKS.pattern) for row in rows}:
        moved = task.kind == "qmigrate" and task.succeeded and task.end_s is not None and task.upid.count(":") > 1
        if moved and (known := vmid_in(task.server)) in vmids and known:
            told.append((known, task.start_s, task.upid.split(":")[1], task.end_s))
    runs = []
    for (vmid, node), together in groupby(sorted(told, key=itemgetter(0, 1)), key=itemgetter(0, 2)):
        run = list(together)
        runs.append(_Seen(vmid, run[0][1], run[-1][1], node, run[-1][3], any(item[3] is None for item in run)))
    return runs


def _stays_of(seen: Sequence[_Seen]) -> list[Stay]:
    """Stays of a server from what was seen of it, in order of time."""
    found: list[Stay] = []
    gone_s: float | None = None
    for item in seen:
        if found and found[-1].node == item.node:
            found[-1] = Stay(item.node, found[-1].start_s, max(found[-1].end_s, item.last_s))
        else:
            begun = item.first_s if gone_s is None else min(item.first_s, gone_s)
            found.append(Stay(item.node, begun if found else float("-inf"), item.last_s))
        gone_s = item.gone_s
    return [*found[:-1], *(Stay(last.node, last.start_s, float("inf")) for last in found[-1:])]
