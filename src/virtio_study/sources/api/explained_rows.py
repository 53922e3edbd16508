"""Rows of the past days of servers that were explained: one answer of rrddata for each, live or saved."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.pve.explanation import Explanation
from virtio_study.pve.values import VMID, Sample, number
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.explaining import logs_at
from virtio_study.sources.normalising import rrd_frame
from virtio_study.sources.responses import read_answers

__all__ = ["rows_of_answers", "rows_of_host"]

LONGEST = ("week", "day", "hour")
SAVED = re.compile(rf"/nodes/[^/]+/qemu/({VMID})/rrddata\?timeframe=(week|day|hour)&cf=AVERAGE")
WEEK = "rrddata?timeframe=week&cf=AVERAGE"


def rows_of_host(
    client: Client, found: Sequence[Explanation], qemu_server: str | None = None
) -> dict[int, pd.DataFrame]:
    """The past week of every running server, by its number; one question each. Without rows a server has none.

    Parameters
    ----------
    qemu_server : str, optional
        Its version, where it is known; the instrument of the host's figure depends on it.
    """
    paths = {item.vmid: f"/nodes/{item.node}/qemu/{item.vmid}/{WEEK}" for item in found if item.state}
    replies = client.get_all(paths.values())
    listed = {vmid: reply.data for vmid, reply in zip(paths, replies, strict=True) if reply.good}
    return _frames(listed, qemu_server)


def rows_of_answers(
    place: Path, found: Sequence[Explanation], qemu_server: str | None = None
) -> dict[int, pd.DataFrame]:
    """The same from saved answers: the longest past that one of them tells, a week at most."""
    with logs_at(place) as paths:
        answers = read_answers(paths, lambda path: SAVED.fullmatch(path) is not None)
    wanted, best = {item.vmid for item in found}, dict[int, tuple[int, object]]()
    for answer in answers:  # in order of time
        named = SAVED.fullmatch(answer.path)
        if named and answer.status == 200 and int(named[1]) in wanted:
            rank = LONGEST.index(named[2])
            if int(named[1]) not in best or rank <= best[int(named[1])][0]:
                best[int(named[1])] = (rank, answer.data)
    return _frames({vmid: data for vmid, (_, data) in best.items()}, qemu_server)


def _frames(listed: Mapping[int, object], qemu_server: str | None) -> dict[int, pd.DataFrame]:
    frames = {}
    for vmid, data in listed.items():
        rows: list[Sample] = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
        # before an upgrade to Proxmox VE 9 rows were of another step, and did not tell the host's memory
        later = [row for row in rows if row.get("memhost") is not None] or rows
        try:
            frames[vmid] = rrd_frame(later, _step_s(later), "AVERAGE", f"rrddata, {vmid}", qemu_server)
        except DataError:
            continue  # it has not run, or says what is no number: there is nothing to forecast from
    return frames


def _step_s(rows: Sequence[Sample]) -> int:
    """The usual seconds between rows."""
    times = pd.Series([number(row.get("time")) for row in rows], dtype="float64").sort_values()
    steps = times.diff().dropna()
    return int(steps.median()) if len(steps) else 60
