"""All that a host, or saved answers, still hold of the past of servers: rows of several steps, the finest first."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.pve.explanation import Explanation
from virtio_study.pve.values import VMID
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.explaining import logs_at
from virtio_study.sources.files.rrddata import merge_rrddata
from virtio_study.sources.normalising import rrd_frame
from virtio_study.sources.responses import Answer, lists, read_answers

__all__ = ["answers_of_servers", "past_of_answers", "past_of_host", "stacked"]

COARSEST_S = 6 * 3600
"""Rows of a longer step say nothing of a day: until Proxmox VE 8 those of a month have twelve hours."""

Past = Mapping[int, pd.DataFrame]
"""Seconds between rows -> rows."""


def past_of_host(client: Client, found: Sequence[Explanation]) -> dict[int, Past]:
    """Rows of servers by their number, those that are there: a month and the year around it, else a week.

    One question a server and time frame; `year` only where rows of a month are fine enough, `week` only where not.
    """
    base = {item.vmid: f"/nodes/{item.node}/qemu/{item.vmid}/rrddata?timeframe=" for item in found}
    month = _asked(client, {vmid: f"{path}month&cf=AVERAGE" for vmid, path in base.items()})
    fine = {vmid for vmid, told in month.items() if min(merged_steps(told), default=COARSEST_S + 1) <= COARSEST_S}
    rest = {vmid: f"{path}{'year' if vmid in fine else 'week'}&cf=AVERAGE" for vmid, path in base.items()}
    other = _asked(client, rest)
    versions = {item.vmid: item.qemu_server for item in found}
    told = {vmid: [*(month.get(vmid, []) if vmid in fine else []), *other.get(vmid, [])] for vmid in base}
    return {vmid: past for vmid, rows in told.items() if (past := _frames(rows, versions[vmid]))}


def merged_steps(told: Sequence[tuple[str, object]]) -> list[int]:
    """Seconds between rows of answers, each that occurs; none of rows that are unreadable."""
    try:
        return list(merge_rrddata(told))
    except DataError:
        return []


def _asked(client: Client, paths: Mapping[int, str]) -> dict[int, list[tuple[str, object]]]:
    replies = client.get_all(paths.values())
    return {
        vmid: [(path, reply.data)] for (vmid, path), reply in zip(paths.items(), replies, strict=True) if reply.good
    }


def answers_of_servers(place: Path, vmids: Collection[int]) -> list[Answer]:
    """Saved answers of servers and of their nodes, in order of time."""
    own = re.compile(rf"/nodes/[^/]+/qemu/({VMID})/")

    def wanted(path: str) -> bool:
        found = own.match(path)
        return int(found[1]) in vmids and "cf=MAX" not in path if found else "/qemu" not in path

    with logs_at(place) as paths:
        return read_answers(paths, wanted)


def past_of_answers(answers: Sequence[Answer], vmid: int, qemu_server: str | None) -> Past:
    """Rows of a server from saved answers of rrddata; none where none was saved."""
    pattern = rf"/nodes/[^/]+/qemu/{vmid}/rrddata\?.*cf=AVERAGE"
    return _frames([(f"rrddata of {at:.0f}", rows) for at, rows in lists(answers, pattern)], qemu_server)


def _frames(told: Sequence[tuple[str, object]], qemu_server: str | None) -> Past:
    try:
        return {
            step: rrd_frame(rows, step, "AVERAGE", told[0][0], qemu_server)
            for step, rows in merge_rrddata(told).items()
            if step <= COARSEST_S and any(len(row) > 1 for row in rows)
        }
    except DataError:
        return {}  # it has not run, or says what is no number: there is nothing to tell of it


def stacked(past: Past, usable: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows) -> pd.DataFrame:
    """The rows of the finest step, and before them those of the next.

    Parameters
    ----------
    usable : callable
        What of a frame may be taken.
    """
    parts: list[pd.DataFrame] = []
    for _, frame in sorted(past.items()):
        rows = usable(frame)
        if parts:
            first = parts[0]["time"].iloc[0] - pd.Timedelta(seconds=float(parts[0]["step_s"].iloc[0]))
            rows = rows[rows["time"] <= first]
        parts = [rows, *parts] if len(rows) else parts
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
