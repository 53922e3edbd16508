"""What makes a memory or CPU value, and which values may be set against each other.

Proxmox VE shows one number as "memory usage" that was made in four ways over its life. Sources: qemu-server,
`vmstatus` in `src/PVE/QemuServer.pm`, and the commits named below.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.pve.values import Sample, number

__all__ = [
    "INSTRUMENTS",
    "MEMORY_STATES",
    "Instrument",
    "MemoryState",
    "comparable",
    "host_instrument",
    "instrument",
    "memory_state",
    "memory_states",
    "statistics",
]

STALE_S = 60
"""Balloon statistics older than this are of a guest that no longer sends them; Proxmox VE asks for them every 2 s."""


@dataclass(frozen=True)
class Instrument:
    """How a value is made: a sentence on it, whose view it is, and where that is known from.

    Its label is in `i18n.terms`.
    """

    name: str
    sentence: str
    view: Literal["guest", "host", "unknown"]
    source: str
    exceeds_allocation: bool = False


INSTRUMENTS: dict[str, Instrument] = {
    item.name: item
    for item in (
        Instrument(
            "guest_stats",
            "Total minus free memory as the guest's balloon driver reports it; in Linux the page cache counts as used, "
            "in Windows the standby cache counts as free.",
            "guest",
            "Proxmox VE `mem` whenever balloon statistics arrive, in every version (pve-qemu query-balloon)",
        ),
        Instrument(
            "guest_agent",
            "Memory in use as the guest itself says over a channel that does not need the balloon driver.",
            "guest",
            "Linux /proc/meminfo read inside the guest",
        ),
        Instrument(
            "host_rss_scaled",
            "The QEMU process' resident memory over its address space, times the allocation; it changes with the "
            "address space.",
            "host",
            "Proxmox VE `mem` without balloon statistics until qemu-server 9.0.10 (2011-09 to 2025-07)",
        ),
        Instrument(
            "host_pss",
            "Proportional set size of the server's processes on the host, QEMU's own memory included.",
            "host",
            "Proxmox VE `mem` without balloon statistics, qemu-server 9.0.11 to 9.1.3 (commits d426de6c, b14ae0d9)",
            exceeds_allocation=True,
        ),
        Instrument(
            "host_cgroup",
            "The server's control group on the host: memory.current less its file pages, QEMU's own memory included.",
            "host",
            "Proxmox VE `mem` without balloon statistics since qemu-server 9.1.4 (commit 551c0078, 2026-01)",
            exceeds_allocation=True,
        ),
        Instrument(
            "process_ticks",
            "User and system time of the QEMU process, in ticks of 10 ms; before kernel 6.4 the work of vhost-net is "
            "outside it.",
            "host",
            "Proxmox VE `cpu`, the same formula since 2013-12 (commit 4623ea34)",
            exceeds_allocation=True,
        ),
        Instrument(
            "mixed",
            "Rows of one side were made by different instruments.",
            "unknown",
            "the recording's own column",
        ),
        Instrument(
            "unknown",
            "Nothing says which of the possible ways made this value.",
            "unknown",
            "no source",
        ),
    )
}
"""Name -> instrument; the memory names are those of `recording.INSTRUMENTS`."""


@dataclass(frozen=True)
class MemoryState:
    """What an answer shows, and whose view its displayed memory then is.

    `sends` says whether the guest's balloon driver sends statistics, whatever is displayed.
    """

    name: str
    shows: frozenset[str]
    view: Literal["guest", "host", "unknown"]
    sentence: str
    sends: bool = False


MEMORY_STATES: tuple[MemoryState, ...] = (
    MemoryState(
        "stale statistics",
        frozenset({"total_mem", "free_mem", "old last_update"}),
        "unknown",
        "The guest sent statistics once and no longer does; the displayed memory stands still.",
    ),
    MemoryState(
        "not these statistics",
        frozenset({"total_mem", "free_mem", "mem is not theirs"}),
        "unknown",
        "The guest sends statistics, and the displayed memory is not total less free: something overwrites it.",
        sends=True,
    ),
    MemoryState(
        "statistics",
        frozenset({"total_mem", "free_mem"}),
        "guest",
        "The guest's balloon driver sends statistics.",
        sends=True,
    ),
    MemoryState(
        "not the host's",
        frozenset({"status/current", "mem is not memhost"}),
        "unknown",
        "Without statistics both memory figures are the host's, and these differ: something overwrites one.",
    ),
    MemoryState(
        "silent driver",
        frozenset({"last_update"}),
        "host",
        "The balloon driver is loaded and sends no usable statistics; in Windows its service is stopped.",
    ),
    MemoryState("no driver", frozenset({"actual"}), "host", "There is a balloon device, and no driver answers."),
    MemoryState(
        "no balloon",
        frozenset({"status/current"}),
        "host",
        "There is no balloon device, or QEMU did not answer in time.",
    ),
    MemoryState("row, host", frozenset({"mem is memhost"}), "host", "The row's two memory figures are the same."),
    MemoryState("row, guest", frozenset({"mem is not memhost"}), "guest", "The row's two memory figures differ."),
    MemoryState("not told", frozenset(), "unknown", "Until Proxmox VE 8 nothing in a row tells."),
)
"""Every state that an answer can show; the first whose signs are all there is it.

Signs are keys of `ballooninfo`, and: `old last_update` (the same for more than `STALE_S`), `mem is not theirs` (nor
total less free of the same answer), `status/current` (it would have `ballooninfo` if there were any), `mem is memhost`
and `mem is not memhost`. Memory of 0 is no measurement (qemu-server since 9.1.5, commit 61d76518) and no sign.

References
----------
pve-qemu, `debian/patches/pve/0013-PVE-virtio-balloon-improve-query-balloon.patch` (which keys are there when);
qemu-server, `vmstatus` in `src/PVE/QemuServer.pm`.
"""


def memory_state(sample: Sample, age_s: float = 0.0) -> MemoryState:
    """State of the displayed memory in one answer.

    Parameters
    ----------
    sample : mapping
        Keys of `status/current`, of `/cluster/resources` or of an rrddata row.
    age_s : float
        Seconds for which the guest has sent no new statistics.
    """
    signs = set()
    info = sample.get("ballooninfo")
    if isinstance(info, Mapping):
        signs |= {str(key) for key, value in info.items() if value is not None}
        if age_s > STALE_S:
            signs.add("old last_update")
        if (theirs := statistics(sample)) is not None and _known(sample.get("mem")) not in (None, theirs):
            signs.add("mem is not theirs")
    if "qmpstatus" in sample or "ballooninfo" in sample:
        signs.add("status/current")
    mem, host = _known(sample.get("mem")), _known(sample.get("memhost"))
    if mem is not None and host is not None:
        signs.add("mem is memhost" if mem == host else "mem is not memhost")
    return next(state for state in MEMORY_STATES if state.shows <= signs)


def statistics(sample: Sample) -> float | None:
    """Total less free memory in bytes, by the balloon statistics of an answer; None where it has none."""
    info = sample.get("ballooninfo")
    if not isinstance(info, Mapping):
        return None
    total, free = _known(info.get("total_mem")), _known(info.get("free_mem"))
    return None if total is None or free is None else total - free


def _known(value: object) -> float | None:
    """A number of bytes; None for nothing, for what is no number, and for 0."""
    try:
        found = number(value)
    except ValueError:
        return None
    return None if math.isnan(found) or not found else found


def memory_states(samples: Iterable[Sample]) -> Iterator[MemoryState]:
    """State of the displayed memory in every answer about a server, which come in order of their `time` (Unix seconds).

    The age of statistics is the time since their `last_update` was seen first, so that a clock that goes wrong does not
    make them old. Those that stand still from the first answer on may be of any age, and are all old.
    """
    known = list(samples)
    for update, group in groupby(range(len(known)), key=lambda place: _last_update(known[place])):
        places = [*group]
        ages = [_seconds(known[place]) - _seconds(known[places[0]]) for place in places]
        always = places[0] == 0 and ages[-1] > STALE_S
        for place, age_s in zip(places, ages, strict=True):
            yield memory_state(known[place], 0.0 if update is None else math.inf if always else age_s)


def _last_update(sample: Sample) -> object:
    info = sample.get("ballooninfo")
    return info.get("last_update") if isinstance(info, Mapping) else None


def _seconds(sample: Sample) -> float:
    now = sample.get("time")
    return float(now) if isinstance(now, int | float) else 0.0


def host_instrument(qemu_server: str | None) -> str:
    """Name of the instrument that a version of qemu-server uses for the host's view of memory.

    Parameters
    ----------
    qemu_server : str or None
        A version such as 9.0.23; None or anything else gives `unknown`.

    References
    ----------
    qemu-server, `vmstatus` in `src/PVE/QemuServer.pm`: commits b14ae0d9 (9.0.11, PSS) and 551c0078 (9.1.4, cgroup).
    """
    try:
        parts = tuple(int(part) for part in (qemu_server or "").split("-")[0].split("."))
    except ValueError:
        parts = ()
    if len(parts) < 2:
        return "unknown"
    return "host_rss_scaled" if parts < (9, 0, 11) else "host_pss" if parts < (9, 1, 4) else "host_cgroup"


def instrument(name: str) -> Instrument:
    """Return an instrument by name; `DataError` names the known ones."""
    if name not in INSTRUMENTS:
        raise DataError(N_("unknown instrument {name!r}; known: {known}"), name=name, known=", ".join(INSTRUMENTS))
    return INSTRUMENTS[name]


def comparable(before: str, after: str) -> bool:
    """Whether values of two instruments may be differenced: only if both are known and the same."""
    return before == after and instrument(before).view != "unknown"
