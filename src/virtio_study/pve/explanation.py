"""Whose memory a server shows, what made the figure, and what it would be with another balloon driver: in words.

Sources: qemu-server, `vmstatus` in `src/PVE/QemuServer.pm`, commits d426de6c (`memhost`), c70e4ec3 (free page
reporting); virtio-win, `Balloon/sys/balloon.c` and `Balloon/app/memstat.cpp`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, english, said
from virtio_study.pve.devices import NUMBERED_DISK, Device, balloon_device, devices, models, unclassifiable
from virtio_study.pve.ingredients import UNKNOWN, ReportingOutlook, reporting_by_versions, reporting_outlook
from virtio_study.pve.instruments import MemoryState, host_instrument, memory_state, statistics
from virtio_study.pve.values import Config, Sample, number, part, seconds
from virtio_study.pve.vm_config import allocation

__all__ = ["SHARES", "Explanation", "Note", "Seen", "explanation_of", "notes_on", "plain_row"]

SHARES = N_(
    "A share above 100 % is no fault: the host's figure counts QEMU's own memory and all that the guest has "
    "touched and not given back, so a server whose guest uses 86 % can show 100.6 %."
)
"""What to say once wherever a figure is the host's."""


@dataclass(frozen=True)
class Seen:
    """What answers tell of a server.

    Parameters
    ----------
    power : str
        A code of `i18n.terms.POWER`.
    config : mapping, optional
        Its configuration in force; None where it is not told.
    sample : mapping
        Keys of `status/current`, or of `/cluster/resources`; empty where nothing is told.
    state : MemoryState, optional
        Of the sample; None: by the sample alone.
    qemu_server, release : str, optional
        Versions of qemu-server on the node, and of Proxmox VE.
    error : Said, optional
        Why something is not told.
    """

    vmid: int
    name: str
    node: str
    power: str
    template: bool = False
    container: bool = False
    config: Config | None = None
    sample: Sample = field(default_factory=dict)
    state: MemoryState | None = None
    qemu_server: str | None = None
    release: str | None = None
    error: Said | None = None


@dataclass(frozen=True)
class Explanation:
    """The three memory figures of a server side by side (bytes; None: not told), and what they are.

    `instrument` made the displayed one, `host_instrument` the host's (keys of `instruments.INSTRUMENTS`); `state` is of
    `instruments.MEMORY_STATES`, empty where nothing is displayed; `why` says it in words, and `would` what became of
    the figure if the balloon driver were loaded or unloaded. `other` are the devices that are not VirtIO, `hidden` keys
    that may hide one. `disk` and `card` are the models of these. `reporting` is that of free pages, if a Linux guest is
    5.7 or newer: on, possible (perhaps with a newer machine version),
    impossible, or not known. `requests_per_s` are the disk requests since its start, by QEMU's counters; `qemu_server`
    is the version of its node's, None where it is not told.
    """

    vmid: int
    name: str
    node: str
    power: str
    displayed_bytes: float | None
    host_bytes: float | None
    guest_bytes: float | None
    allocated_bytes: float | None
    instrument: str
    host_instrument: str
    state: str
    why: Said
    would: tuple[Said, ...]
    other: tuple[Device, ...]
    hidden: tuple[str, ...]
    error: Said | None
    disk: str = ""
    card: str = ""
    reporting: ReportingOutlook = "not known"
    requests_per_s: float | None = None
    qemu_server: str | None = None

    @property
    def share(self) -> float | None:
        """Displayed memory over the allocation, as Proxmox VE shows it in percent."""
        if self.displayed_bytes is None or not self.allocated_bytes:
            return None
        return self.displayed_bytes / self.allocated_bytes


def explanation_of(seen: Seen) -> Explanation:
    """Explain what answers tell of a server; what they do not tell stays unknown."""
    sample, config = seen.sample, seen.config or {}
    state = (seen.state or memory_state(sample)) if _runs(seen) else None
    made_host = _host_instrument(seen, state)
    displayed = _bytes(sample.get("mem")) if state else None
    host = _bytes(sample.get("memhost")) if state else None
    guest = statistics(sample) if state and state.sends else None
    if state and state.view == "host" and host is None:
        host = displayed
    if state and state.view == "guest" and guest is None:
        guest = displayed
    view = state.view if state and displayed is not None else "unknown"
    found = devices(config) if seen.config is not None else []
    allocated = _bytes(sample.get("maxmem")) or (float(allocation(config)[1]) if seen.config else None)
    return Explanation(
        vmid=seen.vmid,
        name=seen.name,
        node=seen.node,
        power=seen.power,
        displayed_bytes=displayed,
        host_bytes=host,
        guest_bytes=guest,
        allocated_bytes=allocated,
        instrument={"guest": "guest_stats", "host": made_host, "unknown": "unknown"}[view],
        host_instrument=made_host if host is not None else "unknown",
        state=state.name if state else "",
        why=_why(seen, state, displayed, made_host),
        would=_would(seen, state, made_host),
        other=tuple(item for item in found if item.device_class != "virtio"),
        hidden=tuple(unclassifiable(config)),
        error=seen.error,
        disk=models(found, "disk"),
        card=models(found, "network"),
        reporting=_reporting_state(seen, state),
        requests_per_s=_requests_per_s(sample),
        qemu_server=seen.qemu_server,
    )


def _reporting_state(seen: Seen, state: MemoryState | None) -> ReportingOutlook:
    """Whether free pages are reported, or could be, as far as configuration and versions tell."""
    if state is None:
        return UNKNOWN
    sends = state.sends or state.name == "row, guest"
    silent = state.name in ("no driver", "no balloon", "row, host")
    told = True if sends else False if silent else None
    return reporting_outlook(str((seen.config or {}).get("ostype", "")), _machine(seen), seen.release, told)


def _requests_per_s(sample: Sample) -> float | None:
    """Disk requests a second since the start; None where QEMU's counters are not told."""
    uptime_s = seconds(sample.get("uptime"))
    drives = [counts for key, counts in part(sample, "blockstat").items() if NUMBERED_DISK.fullmatch(key)]
    counted = [
        number(counts[name])
        for counts in drives
        if isinstance(counts, Mapping)
        for name in ("rd_operations", "wr_operations")
        if isinstance(counts.get(name), int | float)
    ]
    return math.fsum(counted) / uptime_s if counted and uptime_s else None


def _machine(seen: Seen) -> str:
    return str(seen.sample.get("running-machine") or (seen.config or {}).get("machine") or "")


def _runs(seen: Seen) -> bool:
    """Whether there is a process whose memory is displayed."""
    return not (seen.container or seen.template) and seen.power != "stopped" and bool(seen.sample)


def _host_instrument(seen: Seen, state: MemoryState | None) -> str:
    """The instrument of the host's figure: by the keys of the answer first, then by the version of qemu-server.

    A running server's answer has `memhost` since qemu-server 9.0.11 (commit d426de6c), which is also when the figure
    ceased to be scaled; services that were not restarted after an upgrade still make the old one.
    """
    if state is None:
        return "unknown"
    by_version = host_instrument(seen.qemu_server)
    if "memhost" in seen.sample:
        return "unknown" if by_version == "host_rss_scaled" else by_version
    return "host_rss_scaled" if "mem" in seen.sample and "qmpstatus" in seen.sample else by_version


_OFF = N_("It is off, and nothing is displayed.")
_SILENT = N_("Nothing tells what it displays.")
_ZERO = N_("Proxmox VE could not read its memory, and says 0.")
_TEMPLATE = N_("A template never runs, and displays nothing.")
_CONTAINER = N_("A container is no virtual machine: it has neither balloon nor drivers, and one memory figure.")

_WHY = {
    "statistics": N_(
        "The guest's balloon driver sends statistics, so the figure is the guest's own: its total less its free memory."
    ),
    "row, guest": N_(
        "The figure is not the host's, so the guest's balloon driver sends statistics: its total less its free memory."
    ),
    "no driver": N_(
        "There is a balloon device and no driver in the guest answers it, so the figure is the host's "
        "({instrument:instrument})."
    ),
    "silent driver": N_(
        "The guest's balloon driver is loaded and sends no usable statistics, so the figure is the host's "
        "({instrument:instrument})."
    ),
    "no balloon": N_("There is no balloon device, so the figure is the host's ({instrument:instrument})."),
    "row, host": N_(
        "Displayed and host's figure are the same, so no statistics arrive and both are the host's "
        "({instrument:instrument})."
    ),
    "stale statistics": N_("The guest sent statistics once and no longer does, so the figure stands still."),
    "not these statistics": N_(
        "The guest sends statistics, and the figure is not theirs: something on the host overwrites it."
    ),
    "not the host's": N_(
        "No statistics arrive, and the displayed figure is not the host's: something on the host overwrites one."
    ),
    "not told": N_("Nothing in these answers tells whose figure it is; the server's status would."),
}
"""State of the displayed memory -> why the figure is what it is."""

_UNANSWERED = N_(
    "QEMU told nothing of its balloon device, so the figure is the host's for now ({instrument:instrument})."
)


def _why(seen: Seen, state: MemoryState | None, displayed: float | None, made_host: str) -> Said:
    if seen.container or seen.template:
        return said(_CONTAINER if seen.container else _TEMPLATE)
    if state is None:
        return said(_OFF if seen.power == "stopped" else _SILENT)
    if displayed is None:
        return said(_ZERO if "mem" in seen.sample else _SILENT)
    unanswered = state.name == "no balloon" and not _without_device(seen)
    return said(_UNANSWERED if unanswered else _WHY[state.name], instrument=made_host)


def _without_device(seen: Seen) -> bool:
    return seen.config is not None and not balloon_device(seen.config)


_UNLOADED = N_(
    "Without the driver the figure would be the one of the host's column ({instrument:instrument}), and by that alone "
    "no more memory would be in use."
)
_UNLOADED_UNTOLD = N_(
    "Without the driver the figure would be the host's ({instrument:instrument}), which these answers do not tell."
)
_LOADED = N_(
    "With the driver loaded the figure would be the guest's own, which nothing tells before; by that alone the host "
    "gets nothing back."
)
_DEVICE_FIRST = N_(
    "A driver alone would change nothing; with the device as well (balloon other than 0, then stop and start) the "
    "figure would be the guest's own, and by that alone the host gets nothing back."
)
_SPOKEN = N_(
    "Once the driver sends statistics (in Windows: its service BLNSVR runs) the figure would be the guest's own; if it "
    "were unloaded, the figure would stay."
)
_AGAIN = N_(
    "When statistics come again (the guest's service restarted) the figure is the guest's own; without the driver, "
    "after a stop and start, the host's ({instrument:instrument})."
)
_UNTOLD = N_("What the driver would change is not told either.")
_EITHER = N_("Whether a driver is loaded is not told; with statistics the figure would be the guest's own.")
_RETURNED = N_(
    "In a Linux guest from 5.7 on, free page reporting would also give back to the host what the guest frees: a true "
    "gain, which machine and version offer here."
)
_KEPT = N_("Free page reporting, if the guest's Linux is 5.7 or newer, would end too: the host's memory could grow.")
_WINDOWS = N_("Windows has no free page reporting, so the host gets no memory back.")
_NOT_OFFERED = N_("Free page reporting is not offered by this machine or version, so the host gets no memory back.")
_PERHAPS = N_("Whether free page reporting would give memory back to the host is not told (guest or machine).")
_CROWDED = N_(
    "While the host is crowded it may take memory from a guest with the driver (balloon is less than memory)."
)


def _would(seen: Seen, state: MemoryState | None, made_host: str) -> tuple[Said, ...]:
    """What became of the figure, and of the host's memory, if the driver were loaded or unloaded."""
    if state is None:
        return ()
    first = {
        "statistics": _UNLOADED if _bytes(seen.sample.get("memhost")) is not None else _UNLOADED_UNTOLD,
        "row, guest": _UNLOADED,
        "no driver": _LOADED,
        "silent driver": _SPOKEN,
        "no balloon": _DEVICE_FIRST if _without_device(seen) else _UNTOLD,
        "row, host": _EITHER,
        "stale statistics": _AGAIN,
    }.get(state.name, _UNTOLD)
    if first == _UNTOLD:
        return (said(first),)
    crowded = [said(_CROWDED)] if _may_shrink(seen.config or {}) else []
    return (said(first, instrument=made_host), said(_reporting(seen, state)), *crowded)


def _reporting(seen: Seen, state: MemoryState) -> str:
    """What free page reporting does to the host's memory, as far as configuration and versions tell."""
    system = str((seen.config or {}).get("ostype", ""))
    if system.startswith("w"):
        return _WINDOWS
    offered = reporting_by_versions(_machine(seen), seen.release)
    if offered is False:
        return _NOT_OFFERED
    if offered and system.startswith("l2"):
        return _KEPT if state.sends or state.name in ("row, guest", "silent driver") else _RETURNED
    return _PERHAPS


def _may_shrink(config: Config) -> bool:
    """Whether the host may take memory away while it is crowded (pvestatd, `auto_ballooning`)."""
    least = _bytes(config.get("balloon"))
    return least is not None and 0 < least * 2**20 < allocation(config)[1]


def _bytes(value: object) -> float | None:
    """A number above 0; None for nothing, for what is no number, and for 0, which is no measurement."""
    try:
        found = number(value)
    except ValueError:
        return None
    return found if found > 0 else None


@dataclass(frozen=True)
class Note:
    """What is said alike of several servers, by their numbers."""

    vmids: tuple[int, ...]
    says: tuple[Said, ...]


def notes_on(found: Iterable[Explanation]) -> list[Note]:
    """Why the figures are what they are and what the driver would change, each said once, in order of the servers."""
    same: dict[str, list[Explanation]] = {}
    for item in found:
        same.setdefault(" ".join(english(one) for one in _says(item)), []).append(item)
    return [Note(tuple(item.vmid for item in items), _says(items[0])) for items in same.values()]


def _says(found: Explanation) -> tuple[Said, ...]:
    if found.error is None:
        return (found.why, *found.would)
    about = (found.why, *found.would) if found.state or found.power == "stopped" else ()
    return (said("{error}.", error=found.error), *about)


def plain_row(found: Explanation) -> Mapping[str, object]:
    """An explanation as plain values for JSON, its sentences in English."""
    other = [
        {"key": item.key, "kind": item.kind, "model": item.model, "class": item.device_class} for item in found.other
    ]
    return {
        "vmid": found.vmid,
        "name": found.name,
        "node": found.node,
        "status": found.power,
        "displayed_bytes": found.displayed_bytes,
        "host_bytes": found.host_bytes,
        "guest_bytes": found.guest_bytes,
        "allocated_bytes": found.allocated_bytes,
        "instrument": found.instrument,
        "host_instrument": found.host_instrument,
        "state": found.state,
        "why": english(found.why),
        "would": [english(item) for item in found.would],
        "not_virtio": other,
        "may_hide_devices": list(found.hidden),
        "error": english(found.error) if found.error else "",
    }
