"""What makes a memory or CPU value, and which values may be set against each other.

Proxmox VE shows one number as "memory usage" that was made in four ways over its life. Sources: qemu-server,
`vmstatus` in `src/PVE/QemuServer.pm`, and the commits named below.
"""

from dataclasses import dataclass
from typing import Literal

from virtio_study.errors import DataError

__all__ = ["INSTRUMENTS", "Instrument", "comparable", "instrument", "why_not_comparable"]


@dataclass(frozen=True)
class Instrument:
    """How a value is made: a short label, a sentence for readers, and where that is known from."""

    name: str
    label: str
    sentence: str
    view: Literal["guest", "host", "unknown"]
    source: str
    exceeds_allocation: bool = False


INSTRUMENTS: dict[str, Instrument] = {
    item.name: item
    for item in (
        Instrument(
            "guest_stats",
            "guest, by balloon statistics",
            "Total minus free memory as the guest's balloon driver reports it; in Linux the page cache counts as used, "
            "in Windows the standby cache counts as free.",
            "guest",
            "Proxmox VE `mem` whenever balloon statistics arrive, in every version (pve-qemu query-balloon)",
        ),
        Instrument(
            "guest_agent",
            "guest, by its own /proc/meminfo",
            "Memory in use as the guest itself says over a channel that does not need the balloon driver.",
            "guest",
            "Linux /proc/meminfo read inside the guest",
        ),
        Instrument(
            "host_rss_scaled",
            "host, RSS scaled by address space",
            "The QEMU process' resident memory over its address space, times the allocation; it changes with the "
            "address space.",
            "host",
            "Proxmox VE `mem` without balloon statistics until qemu-server 9.0.10 (2011-09 to 2025-07)",
        ),
        Instrument(
            "host_pss",
            "host, PSS",
            "Proportional set size of the server's processes on the host, QEMU's own memory included.",
            "host",
            "Proxmox VE `mem` without balloon statistics, qemu-server 9.0.11 to 9.1.3 (commits d426de6c, b14ae0d9)",
            exceeds_allocation=True,
        ),
        Instrument(
            "host_cgroup",
            "host, cgroup",
            "The server's control group on the host: memory.current less its file pages, QEMU's own memory included.",
            "host",
            "Proxmox VE `mem` without balloon statistics since qemu-server 9.1.4 (commit 551c0078, 2026-01)",
            exceeds_allocation=True,
        ),
        Instrument(
            "process_ticks",
            "CPU ticks of the QEMU process",
            "User and system time of the QEMU process, in ticks of 10 ms; before kernel 6.4 the work of vhost-net is "
            "outside it.",
            "host",
            "Proxmox VE `cpu`, the same formula since 2013-12 (commit 4623ea34)",
            exceeds_allocation=True,
        ),
        Instrument(
            "mixed",
            "more than one",
            "Rows of one side were made by different instruments.",
            "unknown",
            "the recording's own column",
        ),
        Instrument(
            "unknown",
            "not known",
            "Nothing says which of the possible ways made this value.",
            "unknown",
            "no source",
        ),
    )
}
"""Name -> instrument; the memory names are those of `recording.INSTRUMENTS`."""


def instrument(name: str) -> Instrument:
    """Return an instrument by name; `DataError` names the known ones."""
    if name not in INSTRUMENTS:
        raise DataError(f"unknown instrument {name!r}; known: {', '.join(INSTRUMENTS)}")
    return INSTRUMENTS[name]


def comparable(before: str, after: str) -> bool:
    """Whether values of two instruments may be differenced: only if both are known and the same."""
    return why_not_comparable(before, after) is None


def why_not_comparable(before: str, after: str) -> str | None:
    """Reason why two instruments' values may not be differenced, as a sentence; None if they may."""
    first, second = instrument(before), instrument(after)
    unknown = [side for side, item in (("before", first), ("after", second)) if item.view == "unknown"]
    if unknown:
        return f"The instrument {' and '.join(unknown)} is {first.label if first.view == 'unknown' else second.label}."
    if first == second:
        return None
    if first.view != second.view:
        return f"One side is the {first.view}'s view, the other the {second.view}'s: {first.label}; {second.label}."
    return f"Both are the {first.view}'s view, but made differently: {first.label}; {second.label}."
