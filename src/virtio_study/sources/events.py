"""What went on around a server, from the API's answers and the researcher's log: changes, and what disturbs rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import pandas as pd

from virtio_study.pve.instruments import host_instrument, memory_states
from virtio_study.sources.normalising import COUNTED, number

__all__ = [
    "CONTAMINATING",
    "Disturbance",
    "Polls",
    "edits",
    "gaps",
    "host_changes",
    "kernel_at",
    "locks",
    "new_instruments",
    "qemu_server_at",
    "seconds",
    "starts",
    "stops",
    "tasks_of",
    "view_changes",
    "views",
    "waiting",
]

Polls = Sequence[tuple[float, Mapping[str, Any]]]
"""Unix seconds and the data of an answer, in order of time."""

CONTAMINATING: dict[str, str] = {
    "vzdump": "backup",
    "qmigrate": "migration",
    "hamigrate": "migration",
    "qmsnapshot": "snapshot",
    "qmdelsnapshot": "snapshot",
    "qmrollback": "snapshot",
    "qmclone": "clone",
    "qmmove": "disk moved",
    "move_volume": "disk moved",
    "resize": "disk resized",
    "qmpause": "paused",
    "qmsuspend": "suspended",
    "qmresume": "resumed",
    "qmreset": "restart",
}
"""Type of a task -> why rows meanwhile say nothing about drivers; starts and stops are seen in the uptime."""

STARTS = ("qmstart", "qmreboot")
"""Tasks after which a server starts; that of the high availability manager is followed by a `qmstart`."""

LOCKS: dict[str, str] = {
    "backup": "backup",
    "clone": "clone",
    "migrate": "migration",
    "rollback": "snapshot",
    "snapshot": "snapshot",
    "snapshot-delete": "snapshot",
    "suspended": "suspended",
    "suspending": "suspended",
}
"""Lock of a server (qemu-server, `PVE/QemuConfig.pm`) -> why its rows say nothing meanwhile."""

NO_MATTER = {"boot", "description", "digest", "lock", "meta", "name", "onboot", "parent", "protection", "snaptime"}
NO_MATTER |= {"startup", "tags", "template"}
"""Keys of a configuration that change nothing in a server that runs."""

GAP = 2.5
"""A poll that comes later than so many usual steps after the one before it leaves a gap."""

PERSISTS_S = 900.0
"""A view of the memory that lasts as long as this is no passing thing, such as a boot before the driver is loaded."""


@dataclass(frozen=True)
class Disturbance:
    """A stretch (Unix seconds) in which something else went on; `detail` names what, such as keys or versions."""

    start_s: float
    end_s: float
    reason: str
    detail: str = ""


def seconds(value: Any) -> float | None:
    """A positive number of seconds, which may be written as text; None for anything else."""
    try:
        found = number(value)
    except ValueError:
        return None
    return found if 0 < found < 1e10 else None


def views(polls: Polls) -> list[tuple[float, str]]:
    """Whose view the displayed memory of every poll is: guest, host or unknown."""
    states = memory_states({**data, "time": at} for at, data in polls)
    return [(at, state.view) for (at, _), state in zip(polls, states, strict=True)]


def view_changes(seen: Sequence[tuple[float, str]]) -> Iterator[Disturbance]:
    """Changes of the view between two that last: a balloon driver was loaded or ended without a restart."""
    lasting: tuple[float, str] | None = None  # the last moment of a view that lasted, and the view
    for view, group in groupby(seen, key=lambda item: item[1]):
        moments = [at for at, _ in group]
        if moments[-1] - moments[0] >= PERSISTS_S:
            if lasting and lasting[1] != view:
                reason = "balloon statistics began" if view == "guest" else "balloon statistics ended"
                yield Disturbance(lasting[0], moments[0], reason)
            lasting = moments[-1], view


def edits(configs: Polls) -> Iterator[Disturbance]:
    """Changes of the configuration in force, between two answers about it; a CD that is put in or taken out is none."""
    for (before, old), (after, new) in pairwise(configs):
        keys = sorted(key for key in {*old, *new} - NO_MATTER if str(old.get(key)) != str(new.get(key)))
        keys = [key for key in keys if "media=cdrom" not in f"{old.get(key)}{new.get(key)}"]
        if keys:
            yield Disturbance(before, after, "configuration changed", ", ".join(keys))


def waiting(pendings: Sequence[tuple[float, Sequence[Any]]]) -> list[str]:
    """Keys whose change waits for a restart, by the last answer of `pending`."""
    rows = pendings[-1][1] if pendings else []
    changed = (row for row in rows if isinstance(row, Mapping) and ("pending" in row or row.get("delete")))
    return sorted(str(row.get("key")) for row in changed)


def host_changes(statuses: Polls) -> tuple[list[Disturbance], list[Disturbance]]:
    """Reboots of a node, and changes of its Proxmox VE, which may change how things are measured.

    Parameters
    ----------
    statuses : sequence of (time, data)
        Of `/nodes/{node}/status`, of one node.
    """
    reboots, upgrades = [], []
    for (before, old), (after, new) in pairwise(statuses):
        was, now = seconds(old.get("uptime")), seconds(new.get("uptime"))
        if was and now and now < was:
            reboots.append(Disturbance(before, after, "host reboot"))
        versions = [str(item.get("pveversion") or "") for item in (old, new)]
        if all(versions) and versions[0] != versions[1]:
            upgrades.append(Disturbance(before, after, "Proxmox VE upgraded", " -> ".join(versions)))
    return reboots, upgrades


def qemu_server_at(packages: Sequence[tuple[float, Sequence[Any]]], moment: float) -> str | None:
    """Version of qemu-server at a moment: of the last answer before it, else of the first since; None if none tells.

    Parameters
    ----------
    packages : sequence of (time, data)
        Of `/nodes/{node}/apt/versions` (pve-manager, `PVE/API2/APT.pm`: `OldVersion` is what is installed).
    """
    found = None
    for at, listed in packages:
        if found is not None and at > moment:
            break
        rows = (row for row in listed if isinstance(row, Mapping) and row.get("Package") == "qemu-server")
        found = next((str(row["OldVersion"]) for row in rows if row.get("OldVersion")), found)
    return found


def new_instruments(packages: Sequence[tuple[float, Sequence[Any]]]) -> Iterator[Disturbance]:
    """Upgrades of qemu-server, between two answers of `apt/versions`, that changed what makes the host's memory."""
    for (before, old), (after, new) in pairwise(packages):
        was, now = (qemu_server_at([(0.0, listed)], 0.0) for listed in (old, new))
        if was and now and host_instrument(was) != host_instrument(now):
            yield Disturbance(before, after, "Proxmox VE upgraded", f"qemu-server {was} -> {now}")


def kernel_at(statuses: Polls, moment: float) -> str:
    """Release of a node's kernel at a moment: of an answer since, if the node was up all the time, or the last before.

    Empty if no answer tells. Parameters are as in `host_changes`.
    """
    found = ""
    for at, data in statuses:
        kernel = data.get("current-kernel")
        release = kernel.get("release") if isinstance(kernel, Mapping) else None
        release = str(release or str(data.get("kversion") or "").removeprefix("Linux "))
        if at > moment:
            since = at - (seconds(data.get("uptime")) or 0.0)
            return release if since <= moment and release else found
        found = release or found
    return found


def tasks_of(tasks: Sequence[Mapping[str, Any]], vmid: int, first: float, last: float) -> Iterator[Disturbance]:
    """Tasks on a server between two moments during which its rows say nothing."""
    seen = set()
    for task in sorted(tasks, key=lambda item: (seconds(item.get("starttime")) or 0.0, "endtime" not in item)):
        kind, of_server = str(task.get("type")), str(task.get("id"))
        # a backup of several servers has no id, and may be this one's
        mine = of_server == str(vmid) or (kind == "vzdump" and not of_server)
        if not mine or str(task.get("upid")) in seen or kind not in CONTAMINATING:
            continue
        seen.add(str(task.get("upid")))
        start = seconds(task.get("starttime")) or 0.0
        end = seconds(task.get("endtime")) or last
        if start <= last and end >= first:
            yield Disturbance(max(start, first), min(end, last), CONTAMINATING[kind])


def starts(tasks: Sequence[Mapping[str, Any]], polls: Polls, vmid: int) -> Iterator[Disturbance]:
    """Every start of a server that its tasks or its uptime tell, where there are no polls enough to see it.

    A task that failed, as one does on a server that runs already, is none.

    Parameters
    ----------
    tasks, polls
        Of `/nodes/{node}/tasks` and of `status/current`.
    """
    of_server = [task for task in tasks if str(task.get("id")) == str(vmid) and task.get("type") in STARTS]
    told = [task for task in of_server if str(task.get("status", "OK")).startswith(("OK", "WARNINGS", "RUNNING"))]
    moments = {moment for task in told if (moment := seconds(task.get("starttime")))}
    moments |= {round(at - uptime) for at, data in polls if (uptime := seconds(data.get("uptime")))}
    yield from (Disturbance(moment, moment + 1.0, "restart") for moment in sorted(moments))


def stops(frames: Mapping[float, pd.DataFrame]) -> list[Disturbance]:
    """Stretches of rrddata rows in which a server was off or had just been started.

    pvestatd writes of a server that is off nothing but its allocation, and the first row after a start has no rates
    where more than half of it went by without (rrdtool, DERIVE and `xff`); a quicker start is not seen in rows.

    Parameters
    ----------
    frames : mapping of float to DataFrame
        Seconds between rows -> frame of `rows.rrd_frame`; where two have rows of one time, the finer one is asked.
    """
    found: list[Disturbance] = []
    known_from = math.inf
    for step_s, frame in sorted(frames.items()):
        ends = frame["time"].map(pd.Timestamp.timestamp).to_numpy(dtype=float)
        rates = frame[[column for column in COUNTED if column in frame]].notna()
        off = frame["cpu_cores"].isna() & frame["mem_displayed_bytes"].isna()
        begun = ~rates.any(axis=1) if rates.to_numpy().any() else off
        for end in ends[(off | begun).to_numpy() & (ends <= known_from)]:
            start = float(end) - step_s
            if found and found[-1].start_s < start <= found[-1].end_s:
                start = found.pop().start_s
            found.append(Disturbance(start, float(end), "restart"))
        known_from = min(known_from, float(ends.min()) - step_s)
    return sorted(found, key=lambda item: item.start_s)


def locks(polls: Polls) -> Iterator[Disturbance]:
    """Stretches in which polls show a lock, from the poll before to the poll after."""
    reasons = [LOCKS.get(str(data.get("lock") or "")) for _, data in polls]
    for reason, numbers in groupby(range(len(polls)), key=reasons.__getitem__):
        if reason:
            first, *_, last = [*numbers] * 2
            yield Disturbance(polls[max(0, first - 1)][0], polls[min(len(polls) - 1, last + 1)][0], reason)


def gaps(polls: Polls) -> Iterator[Disturbance]:
    """Stretches without polls."""
    steps = sorted(after - before for (before, _), (after, _) in pairwise(polls))
    if not steps:
        return
    usual = steps[len(steps) // 2]
    for (before, _), (after, _) in pairwise(polls):
        if after - before > GAP * usual:
            yield Disturbance(before, after, "gap")
