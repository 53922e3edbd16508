"""What went on around a server, from its history and its rows: changes, and what disturbs rows."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from operator import attrgetter

import numpy as np
import pandas as pd

from virtio_study.pve.instruments import MemoryState, host_instrument, memory_states
from virtio_study.pve.values import COUNTED
from virtio_study.pve.vm_config import in_question
from virtio_study.sources.history import Disturbance, History, InForce, Node, Poll, Task
from virtio_study.sources.spread_zeros import RESTARTED
from virtio_study.sources.standstill import awake, not_running

__all__ = [
    "CONTAMINATING",
    "beginnings",
    "counter_spikes",
    "displays_another",
    "disturbances",
    "edits",
    "in_use",
    "memory_seen",
    "restarts_of_pvestatd",
    "starts",
    "statistics_changes",
    "stops",
    "tasks_of",
    "upgrades",
]

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

PAUSED, AT_END = "qmpause", ("qmresume", "qmstart", "qmstop", "qmshutdown", "qmreboot")
"""A pause is a task of no length; it lasts until one of these."""

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

UPGRADED = "Proxmox VE upgraded"

GAP = 2.5
"""A poll that comes later than so many usual steps after the one before it leaves a gap."""

PERSISTS_S = 900.0
"""What lasts as long as this is no passing thing, such as a boot before the driver is loaded."""

SAMPLE_S, HEARTBEAT_S = 10.0, 120.0
"""pvestatd samples every 10 s; what it missed for longer than the heartbeat of RRD is unknown, and no 0."""

FEWEST_BEFORE, NEARLY_ALL = 30, 0.9


def memory_seen(polls: Sequence[Poll]) -> list[tuple[float, MemoryState]]:
    """State of the displayed memory in every poll in which the server ran."""
    polls = awake(polls)
    states = memory_states({**poll.sample, "time": poll.time_s} for poll in polls)
    return [(poll.time_s, state) for poll, state in zip(polls, states, strict=True)]


def displays_another(polls: Sequence[Poll]) -> bool:
    """Whether most polls with statistics display something else: then so do the host's rows, which do not tell it."""
    sent = [state for _, state in memory_seen([poll for poll in polls if poll.running]) if state.sends]
    return 2 * sum(state.view == "unknown" for state in sent) > len(sent)


def statistics_changes(seen: Sequence[tuple[float, MemoryState]]) -> Iterator[Disturbance]:
    """Changes between two times that last: a balloon driver was loaded or ended without a restart."""
    lasting: tuple[float, bool] | None = None  # the last moment of a state that lasted, and whether statistics came
    for sends, group in groupby(seen, key=lambda item: item[1].sends):
        moments = [at for at, _ in group]
        if moments[-1] - moments[0] >= PERSISTS_S:
            if lasting and lasting[1] != sends:
                reason = "balloon statistics began" if sends else "balloon statistics ended"
                yield Disturbance(lasting[0], moments[0], reason)
            lasting = moments[-1], sends


def edits(configs: Sequence[InForce]) -> Iterator[Disturbance]:
    """Changes of what matters in the configuration in force, between two answers about it; see `in_question`."""
    for before, after in pairwise(configs):
        old, new = in_question(before.config), in_question(after.config)
        keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        if keys:
            yield Disturbance(before.time_s, after.time_s, "configuration changed", ", ".join(keys))


def beginnings(boot: Sequence[Poll], history: History) -> list[Disturbance]:
    """Changes at whose end a new run of a boot begins; of the time between two answers nothing is known."""
    first, last, used = boot[0].time_s, boot[-1].time_s, in_use(boot, history.configs)
    in_force = [item for item in history.configs if first <= item.time_s <= last and used <= set(item.config)]
    upgraded = (item for node in history.nodes.values() for item in upgrades(node))
    moments = (item for item in history.logged if item.end_s == item.start_s)
    return [*edits(in_force), *statistics_changes(memory_seen(boot)), *upgraded, *moments]


def disturbances(polls: Sequence[Poll], begun: Sequence[Disturbance], history: History) -> Iterator[Disturbance]:
    """What disturbed a run, cut at its ends.

    Parameters
    ----------
    polls : sequence of Poll
        Of the run.
    begun : sequence of Disturbance
        `beginnings` of its boot.
    """
    first, last = polls[0].time_s, polls[-1].time_s
    yield from tasks_of(history, first, last)
    yield from not_running(polls)
    yield from locks(polls)
    yield from gaps(polls)
    rebooted = (item for node in history.nodes.values() for item in reboots(node))
    stretches = (item for item in history.logged if item.end_s != item.start_s)
    for item in (*begun, *rebooted, *stretches):
        if item.start_s <= last and item.end_s >= first:
            yield replace(item, start_s=max(item.start_s, first), end_s=min(item.end_s, last))


def in_use(polls: Iterable[Poll], configs: Sequence[InForce]) -> set[str]:
    """Keys of the disks and of the network cards that polls show, as far as any configuration knows them."""
    known = {key for item in configs for key in item.config}
    return {key for keys in {poll.disks | poll.cards for poll in polls} for key in keys & known}


def reboots(node: Node) -> Iterator[Disturbance]:
    """Reboots of a node, between two answers."""
    for old, new in pairwise(node.statuses):
        if old.uptime_s and new.uptime_s and new.uptime_s < old.uptime_s:
            yield Disturbance(old.time_s, new.time_s, "host reboot")


def upgrades(node: Node) -> Iterator[Disturbance]:
    """Changes of a node that may change how things are measured, each between two answers.

    They are those of Proxmox VE, and those of qemu-server that changed what makes the host's memory.
    """
    for old, new in pairwise(node.statuses):
        if old.proxmox and new.proxmox and old.proxmox != new.proxmox:
            yield Disturbance(old.time_s, new.time_s, UPGRADED, f"{old.proxmox} -> {new.proxmox}")
    for before, after in pairwise(node.packages):
        was, now = before.qemu_server, after.qemu_server
        if was and now and host_instrument(was) != host_instrument(now):
            yield Disturbance(before.time_s, after.time_s, UPGRADED, f"qemu-server {was} -> {now}")


def tasks_of(history: History, first: float, last: float) -> Iterator[Disturbance]:
    """Tasks on a server between two moments during which its rows say nothing."""
    seen = set()
    # a backup of several servers has no id, and may be this one's
    mine = (task for task in history.tasks if task.server == str(history.vmid) or _of_several(task))
    ordered = sorted(mine, key=lambda item: (item.start_s, not item.ended))
    for task in ordered:
        if task.upid in seen or task.kind not in CONTAMINATING:
            continue
        seen.add(task.upid)
        end = task.end_s or last
        if task.kind == PAUSED and task.succeeded:
            end = _resumed(history, ordered, end, last)
        if task.start_s <= last and end >= first:
            yield Disturbance(max(task.start_s, first), min(end, last), CONTAMINATING[task.kind])


def _of_several(task: Task) -> bool:
    return task.kind == "vzdump" and not task.server


def _resumed(history: History, ordered: Sequence[Task], paused_s: float, last: float) -> float:
    """When a pause ended: by a task, or by a poll that shows the server running; the last moment if nothing tells."""
    told = [task.end_s or task.start_s for task in ordered if task.kind in AT_END and task.start_s >= paused_s]
    seen = (
        poll.time_s for poll in history.polls if poll.time_s > paused_s and poll.sample.get("qmpstatus") == "running"
    )
    return min([*told[:1], next(seen, last), last])


def restarts_of_pvestatd(history: History) -> Iterator[Disturbance]:
    """Restarts that tasks of the node tell: until its first sample, rows hold the CPU of 0 that it begins with."""
    stopped_s = -math.inf
    for task in sorted(history.tasks, key=attrgetter("start_s")):
        if task.server != "pvestatd" or not task.start_s:
            continue
        if task.kind == "srvstop":
            stopped_s = task.start_s
        elif task.kind in {"srvstart", "srvrestart", "srvreload"}:
            since = stopped_s if task.start_s - stopped_s <= HEARTBEAT_S else task.start_s
            yield Disturbance(since - SAMPLE_S, (task.end_s or task.start_s) + 2 * SAMPLE_S, RESTARTED)


def starts(history: History) -> Iterator[Disturbance]:
    """Every start of a server that its tasks or its uptime tell, where there are no polls enough to see it.

    A task that failed, as one does on a server that runs already, is none.
    """
    told = (task for task in history.tasks if task.server == str(history.vmid) and task.kind in STARTS)
    moments = {task.start_s for task in told if task.succeeded and task.start_s}
    moments |= {round(poll.started_s) for poll in history.polls if poll.uptime_s}
    yield from (Disturbance(moment, moment + 1.0, "restart") for moment in sorted(moments))


def stops(frames: Mapping[float, pd.DataFrame] | Mapping[int, pd.DataFrame]) -> list[Disturbance]:
    """Stretches of rrddata rows in which a server was off or had just been started.

    pvestatd writes of a server that is off nothing but its allocation, and the first row after a start has no rates
    where more than half of it went by without (rrdtool, DERIVE and `xff`); a quicker start is not seen in rows. The
    first row of all has no rates either where the file is new, which is no start.

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
        begun = (~rates.any(axis=1) if rates.to_numpy().any() else off) & (frame.index > 0)
        for end in ends[(off | begun).to_numpy() & (ends <= known_from)]:
            start = float(end) - step_s
            if found and found[-1].start_s < start <= found[-1].end_s:
                start = found.pop().start_s
            found.append(Disturbance(start, float(end), "restart"))
        known_from = min(known_from, float(ends.min()) - step_s)
    return sorted(found, key=lambda item: item.start_s)


def counter_spikes(frame: pd.DataFrame) -> list[Disturbance]:
    """Rows whose disk rates are the whole past: the counters fell to 0 and came back.

    Where QEMU did not answer in time, qemu-server before 8.4.4 and 9.0.23 said that nothing was ever read or written
    (commit 528df523, fix #6207), so that the next sample counts everything since the start again. A row is such a one
    if both its reads and its writes are nearly all that the rows before it have together, or more.

    Parameters
    ----------
    frame : DataFrame
        Of `rrd_frame`.
    """
    disk = frame.reindex(columns=["disk_read_bytes_per_s", "disk_write_bytes_per_s"]).to_numpy(dtype=float)
    moved = np.nan_to_num(disk) * frame[["step_s"]].to_numpy(dtype=float)
    spikes = []
    before = np.zeros(2)
    for place, amounts in enumerate(moved):
        if place >= FEWEST_BEFORE and (before > 0).all() and (amounts >= NEARLY_ALL * before).all():
            end = frame["time"].iloc[place].timestamp()
            spikes.append(Disturbance(end - float(frame["step_s"].iloc[place]), end, "disk counter fell back"))
        else:
            before += amounts
    return spikes


def locks(polls: Sequence[Poll]) -> Iterator[Disturbance]:
    """Stretches in which polls show a lock, from the poll before to the poll after."""
    reasons = [LOCKS.get(poll.lock) for poll in polls]
    for reason, numbers in groupby(range(len(polls)), key=reasons.__getitem__):
        if reason:
            first, *_, last = [*numbers] * 2
            before, after = polls[max(0, first - 1)], polls[min(len(polls) - 1, last + 1)]
            yield Disturbance(before.time_s, after.time_s, reason)


def gaps(polls: Sequence[Poll]) -> Iterator[Disturbance]:
    """Stretches without polls."""
    steps = sorted(after.time_s - before.time_s for before, after in pairwise(polls))
    if not steps:
        return
    usual = steps[len(steps) // 2]
    for before, after in pairwise(polls):
        if after.time_s - before.time_s > GAP * usual:
            yield Disturbance(before.time_s, after.time_s, "gap")
