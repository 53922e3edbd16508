"""What VirtIO would give on servers that have not changed: memory of the host, display alone, CPU; with intervals.

Everything is taken from the server's own rows and stays within what they can say: where the guest's use is not told,
there is a bound and no prediction.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from virtio_study.analysis.plausibility import Range, predicted_change
from virtio_study.analysis.records import Line, Number, Recorded
from virtio_study.i18n.marks import N_
from virtio_study.pve.explanation import Explanation
from virtio_study.pve.ingredients import ReportingOutlook
from virtio_study.stats.elementary import Array, mean, total, variance
from virtio_study.stats.stretch import FEWEST_ROWS, batch
from virtio_study.stats.student import t_quantile

__all__ = [
    "ACCESSES",
    "COLUMNS",
    "NAMED_ASSUMPTIONS",
    "Outlook",
    "Rows",
    "Unchanged",
    "cpu_saved",
    "outlooks",
    "overheads",
    "ram_returned",
    "unchanged_of",
    "worth_first",
]

HOST, GUEST, SHOWN = "mem_host_bytes", "mem_guest_bytes", "mem_displayed_bytes"
CPU = "cpu_cores"
DISK = ("disk_read_bytes_per_s", "disk_write_bytes_per_s")
REQUESTS = ("disk_reads_per_s", "disk_writes_per_s")
NET = ("net_in_bytes_per_s", "net_out_bytes_per_s")

COLUMNS = (HOST, GUEST, SHOWN, CPU, *DISK, *REQUESTS, *NET)
"""What a forecast reads of a server's rows."""

Rows = pd.DataFrame | Mapping[str, Array]
"""Columns by name."""

ACCESSES: Mapping[str, float] = {"ide": 26.0, "ahci": 7.0, "lsi": 4.0, "e1000": 9.9, "rtl8139": 9.8}
"""Emulated device -> accesses to its registers for each disk request or packet round trip, as the lab counted them.

A VirtIO device needs one notification for the same (`data/lab-qemu/counts.json`).
"""

REQUEST_BYTES = (128 * 1024, 16 * 1024, 4096)
"""Bytes of a disk request where their number is not told: Linux' read-ahead, a database's page, a page of memory."""

PACKET_BYTES = (1500, 500, 64)
"""Bytes of a packet: the largest of an Ethernet without jumbo frames, a middle, and the smallest frame."""

UNKNOWN_OVERHEAD = Range(low=0.0, typical=90 * 2**20, high=190 * 2**20)
"""What QEMU needs beside the guest's memory where no neighbour tells it; high: above all in the lab, which emulates."""

FEWEST_NEIGHBOURS, CONFIDENCE = 2, 0.95

NAMED_ASSUMPTIONS = (
    N_(
        "The guest runs Linux 5.7 or newer, and its use stays between that of its quietest twelfth of the time and its "
        "peak."
    ),
    N_(
        "QEMU needs beside the guest what it needs on neighbours with free page reporting, or 0 to 190 MiB without two."
    ),
    N_("Requests that are not counted have 4 to 128 KiB, packets 64 to 1500 bytes; two packets are a round trip."),
    N_("Accesses per operation are those of the lab's Linux drivers; an exit costs what was published of it."),
    N_("A server of capacity is one that spends what the mean of these servers does."),
)
"""What a forecast supposes, to be said beside it."""

_ON = N_("free page reporting is on: there is nothing left to come back")
_IMPOSSIBLE = N_("free page reporting is not possible: not Linux, or not offered by this version of Proxmox VE")
_NOT_KNOWN = N_("whether the guest can report free pages is not told")
_NO_HOST = N_("the host's memory was not recorded")
_NO_GUEST = N_("the guest's use is not told before its driver is loaded: a bound, and no prediction")


@dataclass(frozen=True)
class Unchanged:
    """A server and its rows before any change.

    Parameters
    ----------
    rows : DataFrame or mapping of array
        Columns of the recordings' schema, those that are known; NaN where a value is not. Steady rows of some days, for
        a peak that is not in them is not foreseen.
    disk, card : str
        Models, as in `pve.devices.CLASSES`.
    reporting : str
        Of free pages: on, possible (Linux, and a machine version that this host offers has it), impossible, not known.
    requests_per_s : float, optional
        Disk requests, where they were counted.
    """

    name: str
    rows: Rows
    disk: str
    card: str
    reporting: ReportingOutlook
    requests_per_s: float | None = None


def unchanged_of(found: Explanation, rows: pd.DataFrame) -> Unchanged:
    """A server of a host as `outlooks` takes it, from its explanation and rows of it."""
    name = f"{found.vmid} {found.name}".strip()
    return Unchanged(name, rows, found.disk, found.card, found.reporting, found.requests_per_s)


class Outlook(Recorded):
    """The forecast of a server.

    `returned` is memory (bytes) that the host could get back, `at_most` its bound; `shown_less` what the display would
    lose beside it, with nothing gained; `cpu` cores that the host would save. `reason` says what kept one from being
    predicted, `servers` what all is worth in servers of capacity.
    """

    name: Line
    returned: Range | None
    at_most: Number | None
    shown_less: Range | None
    cpu: Range | None
    reason: str
    servers: Range | None


def overheads(neighbours: Iterable[Rows]) -> Range:
    """What QEMU needs beside the guest's memory, for one more server: from servers with free page reporting, in bytes.

    Returns
    -------
    Range
        Student's prediction interval (95 %) of one further server; of fewer than two `UNKNOWN_OVERHEAD`.

    Parameters
    ----------
    neighbours : iterable of DataFrame or mapping of array
        One of each server: the boots of one are no further servers.
    """
    known = (_together(rows, (HOST, GUEST)) for rows in neighbours)
    found = [mean(host) - mean(guest) for host, guest in known if len(host)]
    if len(found) < FEWEST_NEIGHBOURS:
        return UNKNOWN_OVERHEAD
    middle, n = mean(found), len(found)
    away = t_quantile(n - 1, CONFIDENCE) * math.sqrt(variance(found) * (1 + 1 / n))
    return Range(low=max(0.0, middle - away), typical=middle, high=middle + away)


def _together(rows: Rows, columns: Sequence[str]) -> list[Array]:
    """Each column, of the rows in which all are known; of no rows where one is not there."""
    if any(name not in rows for name in columns):
        return [np.empty(0) for _ in columns]
    values = [np.asarray(rows[name], dtype=np.float64) for name in columns]
    missing = np.logical_or.reduce([np.isnan(column) for column in values])
    return [column[~missing] for column in values] if missing.any() else values


def ram_returned(rows: Rows, overhead: Range) -> Range | None:
    """Memory that the host would get back by free page reporting, in bytes; None without the guest's use.

    Reporting gives back what the guest keeps free and has touched before: the host's memory less what the guest uses
    and what QEMU needs. Low: of the peak of the use and the highest need; high: of the lowest need, and of the twelfth
    of the time in which most is spare. With the mean over all of it, more than high came on 13 to 15 % of simulated
    servers: use wanders, and without reporting the host's memory only grows.

    References
    ----------
    Linux, `mm/page_reporting.c`; `analysis.forecast` holds the same against what came back.
    """
    spent, used = _together(rows, (HOST, GUEST))
    if not len(spent):
        return None
    host, peak, spare = mean(spent), float(used.max()), spent - used
    most = float(batch(spare).max()) if len(spare) >= FEWEST_ROWS else mean(spare)
    low = max(0.0, host - peak - overhead.high)
    high = max(low, most - overhead.low)
    return Range(low=low, typical=min(high, max(low, host - peak - overhead.typical)), high=high)


def cpu_saved(server: Unchanged) -> Range | None:
    """Cores that the host would save, by operations a second times accesses saved times the price of each.

    At most what the server uses, for its devices are emulated within its own process. None where neither its disk nor
    its card is an emulated one whose accesses were counted, or no rate is known.
    """
    found = [_fall(rate, ACCESSES[model]) for model, rate in _rates(server) if model in ACCESSES]
    if not found:
        return None
    used = _mean_of(server.rows, (CPU,))
    saved = [total(getattr(item, name) for item in found) for name in ("low", "typical", "high")]
    low, typical, high = saved if used is None else (min(one, used) for one in saved)
    return Range(low=low, typical=typical, high=high)


def _rates(server: Unchanged) -> list[tuple[str, Range]]:
    """Models with the operations a second of each, at the largest, the middle and the smallest size."""
    rows, found = server.rows, []
    counted = server.requests_per_s if server.requests_per_s is not None else _mean_of(rows, REQUESTS)
    volume, traffic = _mean_of(rows, DISK), _mean_of(rows, NET)
    if counted is not None:
        found.append((server.disk, Range(low=counted, typical=counted, high=counted)))
    elif volume is not None:
        low, typical, high = (volume / size for size in REQUEST_BYTES)
        found.append((server.disk, Range(low=low, typical=typical, high=high)))
    if traffic is not None:
        low, typical, high = (traffic / size / 2 for size in PACKET_BYTES)
        found.append((server.card, Range(low=low, typical=typical, high=high)))
    return found


def _fall(rate: Range, accesses: float) -> Range:
    """Cores less, each at the rate and the price of the same rank; never below none."""
    changes = {name: predicted_change(getattr(rate, name), accesses, 1.0) for name in ("low", "typical", "high")}
    return Range(**{name: max(0.0, -getattr(change, name)) for name, change in changes.items()})


def _mean_of(rows: Rows, columns: Sequence[str]) -> float | None:
    """Mean of the sum of columns over the rows that have all; None where there are none."""
    known = _together(rows, columns)
    return total(map(mean, known)) if len(known[0]) else None


def outlooks(servers: Sequence[Unchanged], neighbours: Sequence[Rows] = ()) -> list[Outlook]:
    """Forecasts of servers, those first that are worth most on the host.

    Parameters
    ----------
    neighbours : sequence of DataFrame or mapping of array
        Rows of servers of the same host or fleet whose free page reporting is on and whose use is known.
    """
    overhead = overheads(neighbours)
    spent = [mean(known) for item in servers if len(known := _together(item.rows, (HOST,))[0])]
    busy = [mean(known) for item in servers if len(known := _together(item.rows, (CPU,))[0])]
    found = [_outlook(item, overhead, mean(spent) if spent else None, mean(busy) if busy else None) for item in servers]
    return sorted(found, key=worth_first)


def worth_first(item: Outlook) -> tuple[float, float, str]:
    """Key by which forecasts are sorted: what one is worth on the host, then its bound, then its name."""
    return (-item.servers.typical if item.servers else 0.0, -(item.at_most or 0.0), item.name)


def _outlook(server: Unchanged, overhead: Range, spent: float | None, busy: float | None) -> Outlook:
    returned, at_most, reason = _ram(server, overhead)
    cpu = cpu_saved(server)
    return Outlook(
        name=server.name,
        returned=returned,
        at_most=at_most,
        shown_less=_shown_less(server.rows, returned, may_return=server.reporting in ("possible", "not known")),
        cpu=cpu,
        reason=reason,
        servers=_worth([(returned, spent), (cpu, busy)]),
    )


def _ram(server: Unchanged, overhead: Range) -> tuple[Range | None, float | None, str]:
    """Memory that would come back, its bound, and why it is not predicted."""
    if server.reporting != "possible":
        return None, None, {"on": _ON, "impossible": _IMPOSSIBLE, "not known": _NOT_KNOWN}[server.reporting]
    host = _together(server.rows, (HOST,))[0]
    if not len(host):
        return None, None, _NO_HOST
    found = ram_returned(server.rows, overhead)
    return (None, mean(host), _NO_GUEST) if found is None else (found, found.high, "")


def _shown_less(rows: Rows, returned: Range | None, *, may_return: bool) -> Range | None:
    """Bytes by which the display would fall with nothing gained: what it shows less guest's use and what comes back."""
    shown, used = _together(rows, (SHOWN, GUEST))
    if not len(shown) or (may_return and returned is None):
        return None
    drop = max(0.0, mean(shown) - mean(used))
    back = returned or Range(low=0.0, typical=0.0, high=0.0)
    low, typical, high = (max(0.0, drop - end) for end in (back.high, back.typical, back.low))
    return Range(low=low, typical=typical, high=high)


def _worth(parts: Sequence[tuple[Range | None, float | None]]) -> Range | None:
    """Servers of mean size that the larger of the gains makes room for; None where none is predicted."""
    found = [(gain, size) for gain, size in parts if gain is not None and size]
    if not found:
        return None
    low, typical, high = (
        max(getattr(gain, name) / size for gain, size in found) for name in ("low", "typical", "high")
    )
    return Range(low=low, typical=typical, high=high)
