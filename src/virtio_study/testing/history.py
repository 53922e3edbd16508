"""The task log of the simulated host: what a Proxmox VE host would have logged of the story.

Rows as `PVE/API2/Tasks.pm` of pve-manager gives them. A reboot inside the guest and a configuration written by PUT
leave no task, there as here.
"""

import re
from dataclasses import dataclass
from typing import Any

from virtio_study.testing.story import Story
from virtio_study.testing.truth import lives_of

__all__ = ["LoggedTask", "cluster_rows", "find_task", "node_rows", "tasks"]

USER = "root@pam"
UPID = re.compile(
    r"UPID:[a-zA-Z0-9][a-zA-Z0-9-]*:[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:[^:\s/]+:[^:\s/]*:[^:\s/]+:"
)


@dataclass(frozen=True)
class LoggedTask:
    """One task: its kind, the server, when it began and ended (epoch seconds), and what its log says."""

    node: str
    kind: str
    vmid: int
    start: int
    end: int
    number: int
    log: tuple[str, ...]

    @property
    def upid(self) -> str:
        """The unique id of the task."""
        numbers = f"{self.number:08X}:{self.number * 100:08X}:{self.start:08X}"
        return f"UPID:{self.node}:{numbers}:{self.kind}:{self.vmid}:{USER}:"

    def row(self, now: float) -> dict[str, Any]:
        """Return the task as a list of tasks shows it at a moment."""
        row: dict[str, Any] = {"upid": self.upid, "node": self.node, "pid": self.number, "pstart": self.number * 100}
        row |= {"starttime": self.start, "type": self.kind, "id": str(self.vmid), "user": USER}
        return row | ({"endtime": self.end, "status": "OK"} if self.end <= now else {"status": "RUNNING"})


def tasks(story: Story, now: float) -> list[LoggedTask]:
    """Return the tasks begun until a moment, newest first."""
    planned: list[tuple[float, float, str, int, tuple[str, ...]]] = []
    for server in story.servers:
        lives = lives_of(server)
        if lives:
            planned.append((story.created, story.created + 1, "qmcreate", server.vmid, ()))
        for before, after in zip([None, *lives], lives, strict=False):
            if before is not None:
                planned.append((before.stop - 8, before.stop, "qmshutdown", server.vmid, ()))
            planned.append((after.start, after.start + 2, "qmstart", server.vmid, ()))
        for start, end in server.backups:
            log = f"INFO: Starting Backup of VM {server.vmid} (qemu)"
            planned.append((start, end, "vzdump", server.vmid, (log,)))
    made = [
        LoggedTask(story.node, kind, vmid, int(start), int(end), 200 + number, (*log, "TASK OK"))
        for number, (start, end, kind, vmid, log) in enumerate(sorted(planned))
        if start <= now
    ]
    return made[::-1]


def node_rows(story: Story, params: dict[str, str], now: float) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of `/nodes/N/tasks` for these parameters, and how many there are without `start` and `limit`."""
    source = params.get("source", "archive")
    chosen = []
    for task in tasks(story, now):
        running = task.end > now
        if (source == "archive" and running) or (source == "active" and not running):
            continue
        if "vmid" in params and task.vmid != int(params["vmid"]):
            continue
        if "typefilter" in params and task.kind != params["typefilter"]:
            continue
        if not int(params.get("since", 0)) <= task.start <= int(params.get("until", 2**40)):
            continue
        if params.get("errors") == "1":
            continue
        chosen.append(task.row(now))
    first = int(params.get("start", 0))
    return chosen[first : first + int(params.get("limit", 50))], len(chosen)


def cluster_rows(story: Story, now: float) -> list[dict[str, Any]]:
    """Return the rows of `/cluster/tasks`: what runs and the newest 25 others, which lose their process numbers."""
    made = tasks(story, now)
    active = [task.row(now) for task in made if task.end > now]
    rows = [{k: v for k, v in row.items() if k != "status"} | {"saved": "0"} for row in active]
    for task in [task for task in made if task.end <= now][:25]:
        rows.append({k: v for k, v in task.row(now).items() if k not in ("pid", "pstart")} | {"saved": "1"})
    return rows


def find_task(story: Story, upid: str, now: float) -> LoggedTask | None:
    """Return the task with this id, None if there is none.

    Raises
    ------
    ValueError
        If the text is no task id.
    """
    if not UPID.fullmatch(upid):
        raise ValueError(upid)
    return next((task for task in tasks(story, now) if task.upid == upid), None)
