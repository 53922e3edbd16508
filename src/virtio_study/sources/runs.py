"""What a server was at every moment, from the API's answers alone: starts, devices, instrument, disturbances."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

from virtio_study.pve.devices import devices, models, unclassifiable
from virtio_study.sources import events
from virtio_study.sources.events import Disturbance, Polls, seconds
from virtio_study.study import DriverConfiguration

__all__ = ["Around", "Span", "match", "timeline"]

SAME_START_S = 10.0
"""Time less uptime moves by the seconds that an answer takes; a new start moves it by more."""
LONGEST_UPTIME_S = 1e9
SHORTEST_S = 120.0
"""Until its balloon driver is loaded, a server that starts looks like one without."""


@dataclass(frozen=True)
class Around:
    """What else is known of a server.

    Attributes
    ----------
    configs, pendings : sequence of (time, data)
        Of `config?current=1` (what is in force) and of `pending`.
    tasks : sequence of dict
        Of `/nodes/{node}/tasks`; the same task may come more than once.
    statuses : mapping of node to sequence of (time, data)
        Of `/nodes/{node}/status`, of every node on which the server was.
    packages : mapping of node to sequence of (time, data)
        Of `/nodes/{node}/apt/versions`, of the same nodes.
    logged : sequence of Disturbance
        Of the researcher's own log; one without length marks a change that the API does not show.
    """

    configs: Polls = ()
    pendings: Sequence[tuple[float, Sequence[Any]]] = ()
    tasks: Sequence[Mapping[str, Any]] = ()
    statuses: Mapping[str, Polls] = field(default_factory=dict)
    packages: Mapping[str, Sequence[tuple[float, Sequence[Any]]]] = field(default_factory=dict)
    logged: Sequence[Disturbance] = ()


@dataclass(frozen=True)
class Span:
    """One run of a server with one set of devices: from its first to its last poll, in Unix seconds.

    `balloon_driver` says whether the guest sent balloon statistics; `instruments` what made the displayed memory, poll
    by poll, as `(first second, guest, host or unknown)`; `waiting` which keys of the configuration were changed and not
    in force; `proxmox` the version of Proxmox VE at its end. `driver_config` is the study's name for it, empty if it
    has none; `why` says then what was found.
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
    proxmox: str = ""
    instruments: tuple[tuple[float, str], ...] = ()
    contaminated: tuple[Disturbance, ...] = ()
    waiting: tuple[str, ...] = ()
    driver_config: str = ""
    why: str = ""
    hidden: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `timeline.json`, without the configuration itself."""
        plain = asdict(self)
        plain.pop("config")
        return plain | {"digest": str(self.config.get("digest", ""))}


def timeline(polls: Polls, around: Around, vmid: int) -> list[Span]:
    """Runs of one server, in order of time.

    Parameters
    ----------
    polls : sequence of (time, data)
        Of `status/current`.
    around : Around
        Where `blockstat` or `nics` of a poll has another device than the configuration, the poll is right, and the next
        configuration that agrees is taken.
    vmid : int
        Number of the server.

    Returns
    -------
    list of Span
        A new one begins where the server was started (its uptime fell, or the process is another one), its devices or
        its configuration in force changed, balloon statistics began or ended for good, Proxmox VE was upgraded, or the
        log says so. Stretches in which it was off belong to none.
    """
    found = []
    running = [(at, data) for at, data in polls if data.get("status") == "running" and _uptime(data)]
    reboots, upgrades = [], []
    for statuses in around.statuses.values():
        kinds = events.host_changes(statuses)
        reboots += kinds[0]
        upgrades += kinds[1]
    for packages in around.packages.values():
        upgrades += events.new_instruments(packages)
    moments = [item for item in around.logged if item.end_s == item.start_s]
    for start in _starts(running):
        first, last, used = start[0][0], start[-1][0], _in_use(start)
        in_force = [(at, data) for at, data in around.configs if first <= at <= last and used <= set(data)]
        inside = [*events.edits(in_force), *events.view_changes(events.views(start)), *upgrades, *moments]
        for group in _cut(start, [item.end_s for item in inside]):
            others = [*inside, *reboots, *(item for item in around.logged if item not in moments)]
            found.append(_span(group, start, others, around, vmid))
    return found


def _span(group: Polls, start: Polls, others: Sequence[Disturbance], around: Around, vmid: int) -> Span:
    first, last = group[0][0], group[-1][0]
    config = _config(group, around.configs)
    kinds = devices(config)
    seen = events.views(group)
    touching = (item for item in others if item.start_s <= last and item.end_s >= first)
    latest = [(at, str(data.get("pveversion") or "")) for polls in around.statuses.values() for at, data in polls]
    return Span(
        vmid=vmid,
        start_s=first,
        end_s=last,
        started_s=min(at - _uptime(data) for at, data in start),
        devices={kind: models(kinds, kind) for kind in ("disk", "network")},
        balloon_driver=any(view == "guest" for _, view in seen),
        config=config,
        qemu=str(group[-1][1].get("running-qemu") or ""),
        machine=str(group[-1][1].get("running-machine") or ""),
        proxmox=max(((at, text) for at, text in latest if at <= last and text), default=(0.0, ""))[1],
        instruments=tuple((next(polls)[0], view) for view, polls in groupby(seen, key=lambda item: item[1])),
        contaminated=(
            *events.tasks_of(around.tasks, vmid, first, last),
            *events.locks(group),
            *events.gaps(group),
            *(replace(item, start_s=max(item.start_s, first), end_s=min(item.end_s, last)) for item in touching),
        ),
        waiting=tuple(events.waiting([item for item in around.pendings if first <= item[0] <= last])),
        hidden=unclassifiable(config),
    )


def _uptime(data: Mapping[str, Any]) -> float:
    found = seconds(data.get("uptime")) or 0.0
    return found if found < LONGEST_UPTIME_S else 0.0


def _devices(data: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Keys of the disks and of the network cards that a poll shows; a card's tap is called `tap100i0`."""
    disks, taps = data.get("blockstat"), data.get("nics")
    cards = [str(name).rpartition("i")[2] for name in taps] if isinstance(taps, Mapping) else []
    return (
        frozenset(map(str, disks)) if isinstance(disks, Mapping) else frozenset(),
        frozenset(f"net{number}" for number in cards if number.isdecimal()),
    )


def _in_use(polls: Polls) -> set[str]:
    return {key for data in {_devices(data) for _, data in polls} for keys in data for key in keys}


def _starts(running: Polls) -> Iterator[list[tuple[float, Mapping[str, Any]]]]:
    """Polls of one process with the same devices."""
    group: list[tuple[float, Mapping[str, Any]]] = []
    for at, data in running:
        if group and _another(group[-1], (at, data)):
            yield group
            group = []
        group.append((at, data))
    if group:
        yield group


def _another(before: tuple[float, Mapping[str, Any]], now: tuple[float, Mapping[str, Any]]) -> bool:
    (at, data), (then, old) = now, before
    moved = (at - _uptime(data)) - (then - _uptime(old))
    other_process = data.get("pid") and old.get("pid") and str(data["pid"]) != str(old["pid"])
    changed = any(was and has and was != has for was, has in zip(_devices(old), _devices(data), strict=True))
    return moved > SAME_START_S or bool(other_process) or changed


def _cut(polls: Polls, moments: Sequence[float]) -> Iterator[Polls]:
    """Polls before, between and since the moments."""
    ordered = sorted(moments)
    for _, group in groupby(polls, key=lambda poll: bisect_right(ordered, poll[0])):
        yield [*group]


def _config(group: Polls, configs: Polls) -> Mapping[str, Any]:
    """The first configuration within a run whose devices are those that are in use; the last before it otherwise."""
    first, last = min(at - _uptime(data) for at, data in group), group[-1][0]
    in_use = _in_use(group)
    within = [data for at, data in configs if max(first, 0.0) <= at <= last]
    agreeing = [(at, data) for at, data in configs if at <= last and in_use <= set(data)]
    since = [data for at, data in agreeing if at >= group[0][0]]
    before = [data for at, data in agreeing if at < group[0][0]]
    found = [*since[:1], *before[-1:], *within[:1]]
    return found[0] if found else {}


def match(span: Span, known: Mapping[str, DriverConfiguration]) -> Span:
    """The span with the study's name for its devices and balloon driver, or with what kept it from having one."""
    if span.end_s - span.start_s < SHORTEST_S:
        return replace(span, why=f"it ran for {span.end_s - span.start_s:.0f} s, too short to tell what it is")
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
