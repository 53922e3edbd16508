"""What a server was at every moment, from its history alone: runs, each with its devices, instrument, disturbances."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from operator import attrgetter

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.devices import devices, models, unclassifiable
from virtio_study.pve.values import Config
from virtio_study.sources import events
from virtio_study.sources.history import Disturbance, History, HostAt, InForce, Poll
from virtio_study.study import DriverConfiguration

__all__ = ["Run", "match", "of_present_server", "runs_in"]

SAME_START_S = 10.0
"""Time less uptime moves by the seconds that an answer takes; a new start moves it by more."""
MOVE_S = 60.0
"""A server that is seen until a migration begins, or a little before, is what the migration moved."""
SHORTEST_S = 120.0
"""Until its balloon driver is loaded, a server that starts looks like one without."""


@dataclass(frozen=True)
class Run:
    """A stretch of a boot under one configuration in force: from its first to its last poll, in Unix seconds.

    `started_s` is when the guest was started, which a live migration or a sleep leaves as it was. `polls` are all
    within, `config` is what was in force. `balloon_driver` says whether the guest sent balloon statistics;
    `instruments` what made the displayed memory, poll by poll, as `(first second, guest, host or unknown)`; `waiting`
    which keys of the configuration were changed and not in force; `host` what ran on its host at its end.
    `driver_config` is the study's name for it, empty if it has none; `why` says then what was found.
    """

    vmid: int
    start_s: float
    end_s: float
    started_s: float
    devices: dict[str, str]
    balloon_driver: bool
    config: Config
    polls: Sequence[Poll]
    host: HostAt
    qemu: str = ""
    machine: str = ""
    instruments: tuple[tuple[float, str], ...] = ()
    contaminated: tuple[Disturbance, ...] = ()
    waiting: tuple[str, ...] = ()
    driver_config: str = ""
    why: Said | None = None
    hidden: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Plain values for `timeline.json`, without the polls and the configuration itself."""
        plain = asdict(replace(self, polls=(), config={}))
        del plain["polls"], plain["config"], plain["host"]
        return plain | {
            "why": self.why or "",
            "proxmox": self.host.proxmox,
            "digest": str(self.config.get("digest", "")),
        }


def runs_in(history: History) -> list[Run]:
    """Runs of one server, in order of time.

    Parameters
    ----------
    history : History
        Where a poll shows another device than the configuration, the poll is right, and the next configuration that
        agrees is taken.

    Returns
    -------
    list of Run
        A new one begins where the server was started (its uptime fell, or the process is another one), its devices or
        its configuration in force changed, balloon statistics began or ended for good, Proxmox VE was upgraded, or the
        log says so. Stretches in which it was off belong to none.
    """
    found: list[Run] = []
    for boot in _split([poll for poll in history.polls if poll.running and poll.uptime_s], _restarted):
        started_s = min(poll.started_s for poll in boot)
        if found and (_moved(history, found[-1].end_s, started_s) or _woke(history, found[-1].end_s, boot[0].time_s)):
            started_s = found[-1].started_s
        for piece in _split(boot, _changed):
            begun = events.beginnings(piece, history)
            found += [_run(group, started_s, begun, history) for group in _cut(piece, [item.end_s for item in begun])]
    return found


def _run(group: Sequence[Poll], started_s: float, begun: Sequence[Disturbance], history: History) -> Run:
    first, last = group[0].time_s, group[-1].time_s
    begin = bisect_left(history.polls, first, key=attrgetter("time_s"))
    end = bisect_right(history.polls, last, key=attrgetter("time_s"))
    config = _config(group, history.configs)
    kinds = devices(config)
    seen = events.memory_seen(group)
    pending = [item for item in history.waiting if first <= item.time_s <= last]
    return Run(
        vmid=history.vmid,
        start_s=first,
        end_s=last,
        started_s=started_s,
        devices={kind: models(kinds, kind) for kind in ("disk", "network")},
        balloon_driver=any(state.sends for _, state in seen),
        config=config,
        polls=history.polls[begin:end],
        host=history.host_at(last),
        qemu=_last(poll.qemu for poll in group),
        machine=_last(poll.machine for poll in group),
        instruments=tuple((next(polls)[0], view) for view, polls in groupby(seen, key=lambda item: item[1].view)),
        contaminated=tuple(events.disturbances(group, begun, history)),
        waiting=pending[-1].keys if pending else (),
        hidden=unclassifiable(config),
    )


def _last(told: Iterable[str]) -> str:
    """The last that was told; a QEMU that hangs tells nothing."""
    return next((text for text in reversed([*told]) if text), "")


def _split(polls: Sequence[Poll], begins: Callable[[Sequence[Poll], Poll], bool]) -> Iterator[list[Poll]]:
    """Polls in groups; a new one begins where a poll does not go on with the group before it."""
    group: list[Poll] = []
    for poll in polls:
        if group and begins(group, poll):
            yield group
            group = []
        group.append(poll)
    if group:
        yield group


def _restarted(group: Sequence[Poll], new: Poll) -> bool:
    """Whether a poll shows another start than the ones before it: a new one lies after the server was last seen.

    An answer that comes late moves time less uptime too.
    """
    old = group[-1]
    moved = new.started_s - old.started_s > SAME_START_S and new.started_s > old.time_s - SAME_START_S
    return moved or bool(old.pid and new.pid and old.pid != new.pid)


def _moved(history: History, seen_s: float, started_s: float) -> bool:
    """Whether a process that was started is where a live migration went to: the guest in it runs on.

    `seen_s` is when the process before it was seen last.
    """
    moves = (task for task in history.tasks if task.kind == "qmigrate" and task.server == str(history.vmid))
    return any(
        task.succeeded
        and task.start_s - MOVE_S <= started_s <= (task.end_s or started_s) + SAME_START_S
        and task.start_s - seen_s <= MOVE_S
        for task in moves
    )


def _woke(history: History, seen_s: float, again_s: float) -> bool:
    """Whether a server was on its disk between two moments (`qm suspend --todisk`), and goes on where it was."""
    between = (poll for poll in history.polls if seen_s < poll.time_s < again_s)
    return any(poll.lock == "suspended" and not poll.running for poll in between)


def _changed(group: Sequence[Poll], new: Poll) -> bool:
    """Whether a poll shows other disks or cards than were told last; a QEMU that hangs tells none."""
    disks = next((poll.disks for poll in reversed(group) if poll.disks), new.disks)
    cards = next((poll.cards for poll in reversed(group) if poll.cards), new.cards)
    return bool((new.disks and new.disks != disks) or (new.cards and new.cards != cards))


def _cut(polls: Sequence[Poll], moments: Sequence[float]) -> Iterator[list[Poll]]:
    """Polls before, between and since the moments."""
    ordered = sorted(moments)
    for _, group in groupby(polls, key=lambda poll: bisect_right(ordered, poll.time_s)):
        yield [*group]


def _config(group: Sequence[Poll], configs: Sequence[InForce]) -> Config:
    """The first configuration within a run whose devices are those that are in use; the last before it otherwise."""
    first, last = min(poll.started_s for poll in group), group[-1].time_s
    used = events.in_use(group, configs)
    within = [item.config for item in configs if max(first, 0.0) <= item.time_s <= last]
    agreeing = [item for item in configs if item.time_s <= last and used <= set(item.config)]
    since = [item.config for item in agreeing if item.time_s >= group[0].time_s]
    before = [item.config for item in agreeing if item.time_s < group[0].time_s]
    return next(iter([*since[:1], *before[-1:], *within[:1]]), {})


def _parted(config: Config, key: str) -> dict[str, str]:
    """A value of a configuration that is made of `name=value` pairs."""
    return dict(item.partition("=")[::2] for item in str(config.get(key) or "").split(","))


def of_present_server(runs: Sequence[Run]) -> list[Run]:
    """Runs, those of an earlier server that had the same number without a name and with the reason.

    A server is another one if it was created at another time and has another UUID: a clone or a restored backup keeps
    one of them at least (qemu-server, `meta` and `smbios1`).
    """
    marks = [(_parted(run.config, "meta").get("ctime"), _parted(run.config, "smbios1").get("uuid")) for run in runs]
    last = next((mark for mark in reversed(marks) if all(mark)), (None, None))
    why = said(N_("another server had this number then, which was created at another time and has another UUID"))
    return [
        replace(run, driver_config="", why=why)
        if all(a and b and a != b for a, b in zip(mark, last, strict=True))
        else run
        for run, mark in zip(runs, marks, strict=True)
    ]


def match(run: Run, known: Mapping[str, DriverConfiguration]) -> Run:
    """The run with the study's name for its devices and balloon driver, or with what kept it from having one."""
    if run.end_s - run.start_s < SHORTEST_S:
        return replace(
            run,
            why=said(N_("it ran for {seconds:.0f} s, too short to tell what it is"), seconds=run.end_s - run.start_s),
        )
    fits = [
        name
        for name, config in known.items()
        if config.disk in (None, run.devices["disk"])
        and config.nic in (None, run.devices["network"])
        and config.balloon_driver in (None, run.balloon_driver)
    ]
    if len(fits) == 1:
        return replace(run, driver_config=fits[0])
    with_balloon = N_("disk {disk}, network card {network}, with balloon statistics: {outcome}")
    without = N_("disk {disk}, network card {network}, without balloon statistics: {outcome}")
    none = said(N_("is none of the study's driver configurations"))
    return replace(
        run,
        why=said(
            with_balloon if run.balloon_driver else without,
            disk=run.devices["disk"] or said(N_("none")),
            network=run.devices["network"] or said(N_("none")),
            outcome=said(N_("fits {configs} alike"), configs=fits) if fits else none,
        ),
    )
