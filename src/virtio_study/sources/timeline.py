"""What a server was at every moment, from the API's answers alone: starts, devices, instrument, disturbances."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, pairwise
from typing import Any

from virtio_study.devices import devices, models, unclassifiable
from virtio_study.study import DriverConfiguration

__all__ = ["CONTAMINATING", "Disturbance", "Span", "match", "timeline"]

Polls = Sequence[tuple[float, Mapping[str, Any]]]
"""Unix seconds and the data of an answer."""

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
}
"""Type of a task -> why rows meanwhile say nothing about drivers; starts and stops are seen in the uptime."""

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

SAME_START_S = 10.0
"""Time less uptime moves by the seconds that an answer takes; a new start moves it by more."""
LONGEST_UPTIME_S = 1e9
GAP = 2.5
"""A poll that comes later than so many usual steps after the one before it leaves a gap."""


@dataclass(frozen=True)
class Disturbance:
    """A stretch (Unix seconds) in which something else went on."""

    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True)
class Span:
    """One run of a server with one set of devices: from its first to its last poll, in Unix seconds.

    `balloon_driver` says whether the guest sent balloon statistics; `instruments` what made the displayed memory, poll
    by poll, as `(first second, guest or host)`. `driver_config` is the study's name for it, empty if it has none;
    `why` says then what was found.
    """

    vmid: int
    start_s: float
    end_s: float
    started_s: float
    devices: dict[str, str]
    balloon_driver: bool
    config: Mapping[str, Any]
    qemu: str = ""
    machine: str = ""
    instruments: tuple[tuple[float, str], ...] = ()
    contaminated: tuple[Disturbance, ...] = ()
    driver_config: str = ""
    why: str = ""
    hidden: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `timeline.json`, without the configuration itself."""
        plain = asdict(self)
        plain.pop("config")
        return plain | {"digest": str(self.config.get("digest", ""))}


def timeline(polls: Polls, configs: Polls, tasks: Sequence[Mapping[str, Any]], vmid: int) -> list[Span]:
    """Runs of one server, in order of time.

    Parameters
    ----------
    polls : sequence of (time, data)
        Of `status/current`.
    configs : sequence of (time, data)
        Of `config?current=1`: what is in force, without pending changes. Where `blockstat` of a poll has another disk
        than the configuration, the poll is right, and the next configuration that agrees is taken.
    tasks : sequence of dict
        Of `/nodes/{node}/tasks`; the same task may come more than once.

    Returns
    -------
    list of Span
        A new one begins where the server was started (its uptime fell, or the process is another one) or its disks
        changed. Stretches in which it was off belong to none.
    """
    running = [(at, data) for at, data in polls if data.get("status") == "running" and _number(data.get("uptime"))]
    found = []
    for group in _runs(running):
        first, last = group[0][0], group[-1][0]
        config = _config(group, configs)
        kinds = devices(config)
        stats = [(at, "guest" if _has_statistics(data) else "host") for at, data in group]
        found.append(
            Span(
                vmid=vmid,
                start_s=first,
                end_s=last,
                started_s=min(at - float(data["uptime"]) for at, data in group),
                devices={kind: models(kinds, kind) for kind in ("disk", "network")},
                balloon_driver=any(view == "guest" for _, view in stats),
                config=config,
                qemu=str(group[-1][1].get("running-qemu") or ""),
                machine=str(group[-1][1].get("running-machine") or ""),
                instruments=tuple(_changes(stats)),
                contaminated=(*_tasks(tasks, vmid, first, last), *_locks(group), *_gaps(group)),
                hidden=unclassifiable(config),
            )
        )
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LONGEST_UPTIME_S


def _disks(data: Mapping[str, Any]) -> set[str]:
    found = data.get("blockstat")
    return set(found) if isinstance(found, Mapping) else set()


def _runs(running: Polls) -> Iterator[list[tuple[float, Mapping[str, Any]]]]:
    group: list[tuple[float, Mapping[str, Any]]] = []
    for at, data in running:
        if group and _new_run(group[-1], (at, data)):
            yield group
            group = []
        group.append((at, data))
    if group:
        yield group


def _new_run(before: tuple[float, Mapping[str, Any]], now: tuple[float, Mapping[str, Any]]) -> bool:
    (at, data), (then, old) = now, before
    moved = (at - float(data["uptime"])) - (then - float(old["uptime"]))
    other_process = data.get("pid") and old.get("pid") and data["pid"] != old["pid"]
    disks = [_disks(item) for item in (old, data)]
    return moved > SAME_START_S or bool(other_process) or bool(all(disks) and disks[0] != disks[1])


def _config(group: Polls, configs: Polls) -> Mapping[str, Any]:
    """The first configuration within a run whose disks are those that are in use; the last one before it otherwise."""
    first, last = min(at - float(data["uptime"]) for at, data in group), group[-1][0]
    in_use = set().union(*(_disks(data) for _, data in group))
    within = [data for at, data in configs if first <= at <= last]
    for config in within:
        if in_use <= set(config):
            return config
    earlier = [data for at, data in configs if at < first and in_use <= set(data)]
    return within[0] if within else earlier[-1] if earlier else {}


def _has_statistics(data: Mapping[str, Any]) -> bool:
    info = data.get("ballooninfo")
    return isinstance(info, Mapping) and "total_mem" in info and "free_mem" in info


def _changes(views: Sequence[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    previous = None
    for at, view in views:
        if view != previous:
            yield at, view
        previous = view


def _tasks(tasks: Sequence[Mapping[str, Any]], vmid: int, first: float, last: float) -> Iterator[Disturbance]:
    seen = set()
    for task in sorted(tasks, key=lambda item: _seconds(item.get("starttime"), 0.0)):
        kind, of_server = str(task.get("type")), str(task.get("id"))
        # a backup of several servers has no id, and may be this one's
        mine = of_server == str(vmid) or (kind == "vzdump" and not of_server)
        if not mine or str(task.get("upid")) in seen or kind not in CONTAMINATING:
            continue
        seen.add(str(task.get("upid")))
        start = _seconds(task.get("starttime"), 0.0)
        end = _seconds(task.get("endtime"), last)
        if start <= last and end >= first:
            yield Disturbance(max(start, first), min(end, last), CONTAMINATING[kind])


def _seconds(value: Any, otherwise: float) -> float:
    return float(value) if _number(value) or (isinstance(value, int | float) and 1e9 <= value < 41e8) else otherwise


def _locks(group: Polls) -> Iterator[Disturbance]:
    """Stretches in which polls show a lock, from the poll before to the poll after."""
    reasons = [LOCKS.get(str(data.get("lock") or "")) for _, data in group]
    for reason, numbers in groupby(range(len(group)), key=reasons.__getitem__):
        if reason:
            first, *_, last = [*numbers] * 2
            yield Disturbance(group[max(0, first - 1)][0], group[min(len(group) - 1, last + 1)][0], reason)


def _gaps(group: Polls) -> Iterator[Disturbance]:
    steps = sorted(after - before for (before, _), (after, _) in pairwise(group))
    if not steps:
        return
    usual = steps[len(steps) // 2]
    for (before, _), (after, _) in pairwise(group):
        if after - before > GAP * usual:
            yield Disturbance(before, after, "gap")


def match(span: Span, known: Mapping[str, DriverConfiguration]) -> Span:
    """The span with the study's name for its devices and balloon driver, or with what kept it from having one."""
    fits = [
        name
        for name, config in known.items()
        if config.disk in (None, span.devices["disk"])
        and config.nic in (None, span.devices["network"])
        and config.balloon_driver in (None, span.balloon_driver)
    ]
    if len(fits) == 1:
        return replace(span, driver_config=fits[0])
    seen = f"disk {span.devices['disk'] or 'none'}, network card {span.devices['network'] or 'none'}"
    balloon = "with" if span.balloon_driver else "without"
    many = f"fits {', '.join(fits)} alike" if fits else "is none of the study's driver configurations"
    return replace(span, why=f"{seen}, {balloon} balloon statistics: {many}")
