"""What VirtIO would give on a node's servers that have not changed, by the same functions as for a host."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from virtio_study.analysis.plausibility import Range
from virtio_study.analysis.records import Line, Number, Recorded
from virtio_study.analysis.unchanged import COLUMNS, Outlook, Rows, Unchanged, outlooks
from virtio_study.fleet.experiments import INSTRUMENT_ONLY, Change
from virtio_study.fleet.grid import long_running
from virtio_study.fleet.histories import ServerHistory
from virtio_study.pve.ingredients import CARD, DISK
from virtio_study.stats.elementary import total

__all__ = ["ServerOutlook", "Totals", "foreseen", "totals"]

LATEST = pd.Timedelta(days=30)
"""Older rows say little of what a server needs now, and a live host does not tell what it had then."""


class ServerOutlook(Outlook):
    """The forecast of a server of a node."""

    node: Line


class Totals(Recorded):
    """Sums over the servers that have a forecast of RAM (bytes) or CPU (cores), or a bound of the RAM alone."""

    servers: int
    returned: Range | None
    of_returned: int
    cpu: Range | None
    of_cpu: int
    at_most: Number
    of_at_most: int


def foreseen(node: str, servers: Sequence[ServerHistory], changed: Sequence[Sequence[Change]]) -> list[ServerOutlook]:
    """Forecasts of the servers of a node that changed nothing, those first that are worth most there.

    Parameters
    ----------
    changed : sequence of sequence of Change
        What each server changed. Where that is the instrument alone, the rows since then are taken.

    Returns
    -------
    list of ServerOutlook
        Of the last 30 days. The first hour after every start is left out; what QEMU itself needs is taken from the
        node's servers on which free page reporting is on.
    """
    neighbours = [_steady(server) for server in servers if server.reporting == "on"]
    waiting = [
        Unchanged(
            server.server,
            _steady(server, found),
            _model(server, DISK),
            _model(server, CARD),
            server.reporting,
            server.requests_per_s,
        )
        for server, found in zip(servers, changed, strict=True)
        if not server.left and {change.parts for change in found} <= {(INSTRUMENT_ONLY,)}
    ]
    return [ServerOutlook(node=node, **dict(found)) for found in outlooks(waiting, neighbours)]


def _steady(server: ServerHistory, found: Sequence[Change] = ()) -> Rows:
    """What a forecast reads of a server's latest steady rows, since the last of its changes."""
    kept, times = long_running(server.rows), server.rows["time"]
    since = times.iloc[-1] - LATEST
    if found:
        since = max(since, pd.Timestamp(found[-1].at_s, unit="s", tz="UTC"))
    if times.iloc[0] <= since:
        kept &= (times > since).to_numpy()
    return {name: server.rows[name].to_numpy(np.float64)[kept] for name in COLUMNS if name in server.rows}


def _model(server: ServerHistory, part: str) -> str:
    """Model of a disk or card that the server has at its end; empty where it is not known."""
    return server.setups[-1].parts.get(part, "") if server.setups else ""


def totals(found: Sequence[ServerOutlook]) -> Totals:
    """What forecasts come to: sums of the lows and of the highs, and of the bounds of servers without a forecast."""
    back = [item.returned for item in found if item.returned]
    cpu = [item.cpu for item in found if item.cpu]
    bounds = [item.at_most for item in found if item.at_most is not None and not item.returned]
    return Totals(
        servers=len(found),
        returned=_sum(back),
        of_returned=len(back),
        cpu=_sum(cpu),
        of_cpu=len(cpu),
        at_most=total(bounds),
        of_at_most=len(bounds),
    )


def _sum(found: Sequence[Range]) -> Range | None:
    if not found:
        return None
    low, typical, high = (total(getattr(item, end) for item in found) for end in ("low", "typical", "high"))
    return Range(low=low, typical=typical, high=high)
