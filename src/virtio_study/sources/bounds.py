"""What rows say against the protocol: another allocation, and values that no server of it can have."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Said, english, said
from virtio_study.pve.instruments import INSTRUMENTS
from virtio_study.recording import SCHEMA, Provenance
from virtio_study.sources.history import Disturbance
from virtio_study.study import SAME_ALLOCATION, Host, Server, Study

__all__ = ["Held", "held_against", "hold", "measured_rows"]

MIB = 2.0**20

OVER_VCPUS = 2.0
"""QEMU's own threads (disks, network cards) work beside the virtual CPUs, but not as much as these together."""

OVER_HOST = 1.1
"""Ticks and the time between two looks do not agree to the last, so that a full host may read a little more."""

OVER_MEMORY, OVER_MEMORY_BYTES = 1.5, 2.0**30
"""A host's figure has QEMU's own memory in it: share of the allocation, and bytes beyond."""

LEAST_MEMORY_BYTES = 4 * MIB
"""No guest of today works in less, and neither does QEMU."""

FASTEST_BYTES_PER_S = 1e11
"""More than any disk or network card moves."""

MOST_PERCENT = 100.5
LONGEST_UPTIME_S = 1e9
MOST_TIMES = 1e4
"""What rows say that a server has is taken for true up to so many times what study.yaml says."""


MOST = 0.5
"""Where a larger share of a column is impossible, its unit or the server is another one."""

MEASURED = re.compile(r"cpu_.*|mem_(displayed|host|guest)_.*|(disk|net|requests)_.*")

Numbers = NDArray[np.float64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Held:
    """Rows held against a protocol: the frame, disturbed stretches, and a sentence on each kind of what was found."""

    frame: pd.DataFrame
    disturbed: list[Disturbance]
    remarks: list[Said]


def held_against(server: Server, host: Host, frame: pd.DataFrame) -> Held:
    """Rows of a server held against what the protocol says of it and of its host.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns of the schema)

    Returns
    -------
    Held
        Every impossible value is NaN, and its row disturbed: CPU beyond twice the virtual CPUs or the host's, memory
        beyond the allocation (of the host's view: and QEMU's own) or below 4 MiB, 100 GB/s, a pressure beyond 100 %.
        Rows of another allocation are disturbed where most have the protocol's; else the protocol is said to be wrong.

    Raises
    ------
    DataError
        If more than half of the values of a column are impossible.
    """
    kept, wrong = frame.copy(), np.zeros(len(frame), dtype=bool)
    examples: list[Said] = []
    for name, least, most in _bounds(server, host, frame):
        values = frame[name].to_numpy(dtype=float)
        beyond = (values < least) | (values > most)
        if beyond.any():
            examples.append(_example(frame, name, beyond, least, most))
            known = int(np.isfinite(values).sum())
            if beyond.sum() > MOST * known:
                raise DataError(
                    N_("{count} of {known} values cannot be: {example}; are unit, server and study.yaml right?"),
                    count=int(beyond.sum()),
                    known=known,
                    example=examples[-1],
                )
            kept.loc[beyond, name] = np.nan
            wrong |= beyond
    count = int(wrong.sum())
    out = plural(
        count, "{count} impossible row is left out ({examples})", "{count} impossible rows are left out ({examples})"
    )
    other, told = _other_allocation(server, frame)
    return Held(
        kept,
        [*_stretches(frame, wrong, "impossible value"), *_stretches(frame, other, "another allocation")],
        [*([said(out, count=count, examples=examples)] if count else []), *told],
    )


def hold(study: Study, frame: pd.DataFrame, known: Provenance, told: Said) -> tuple[pd.DataFrame, Provenance, Said]:
    """As `held_against`: rows, their provenance with what was left out, and what to say of them."""
    held = held_against(study.servers[known.server], study.host, frame)
    if not held.remarks:
        return frame, known, told
    stretches = [(item.start_s, item.end_s, item.reason) for item in held.disturbed]
    notes = [*known.notes, *map(english, held.remarks)]
    known = known.model_copy(update={"contaminated": [*known.contaminated, *stretches], "notes": notes})
    return held.frame, known, said("{told} {remarks}.", told=told, remarks=held.remarks)


def measured_rows(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Rows with a measured value; of a server that is off there is an allocation, and nothing else."""
    names = [name for name in map(str, frame) if MEASURED.fullmatch(name) and "allocated" not in name]
    return frame[[name for name in names if SCHEMA[name].kind == "number"]].notna().any(axis=1)


def _bounds(server: Server, host: Host, frame: pd.DataFrame) -> Iterator[tuple[str, float, Numbers]]:
    """Column, and the least and (row by row) the most that it can be."""
    every_row = np.ones(len(frame))
    # a host that gives a server more than study.yaml says that it has is larger than that
    cores = _given(frame["cpu_allocated_cores"], server.vcpus)
    yield "cpu_cores", 0.0, np.minimum(OVER_VCPUS * cores, OVER_HOST * np.maximum(host.logical_cpus, cores))
    given = _given(frame["mem_allocated_bytes"], int(server.memory_bytes))
    beyond = np.minimum(OVER_MEMORY * given + OVER_MEMORY_BYTES, np.maximum(int(host.memory_bytes), given))
    made_by = {f"mem_{view}_bytes": f"mem_{view}_instrument" for view in ("host", "guest")}
    for name, instrument in {"mem_displayed_bytes": "mem_instrument", **made_by}.items():
        if name in frame and instrument in frame:
            guests = frame[instrument].map(lambda made: INSTRUMENTS[made].view == "guest").to_numpy(dtype=bool)
            yield name, LEAST_MEMORY_BYTES, np.where(guests, (1 + SAME_ALLOCATION) * given, beyond)
    for name in map(str, frame):
        if name.endswith("_bytes_per_s"):
            yield name, 0.0, FASTEST_BYTES_PER_S * every_row
        elif name.startswith("pressure_"):
            yield name, 0.0, MOST_PERCENT * every_row
        elif name == "uptime_s":
            yield name, 0.0, LONGEST_UPTIME_S * every_row


def _given(allocated: pd.Series, protocol: int) -> Numbers:
    """What every row had at its disposal: what it says itself, if that may be, or the protocol's."""
    return allocated.where(allocated.between(0, MOST_TIMES * protocol)).fillna(protocol).to_numpy(dtype=float)


def _example(frame: pd.DataFrame, name: str, beyond: Rows, least: float, most: Numbers) -> Said:
    row = int(np.flatnonzero(beyond)[0])
    value = float(frame[name].iloc[row])
    high = value > most[row]
    more, less = N_("more than {bound:.4g}"), N_("less than {bound:.4g}")
    return said(
        N_("{column} {value:.4g} at {at} UTC, {limit}"),
        column=name,
        value=value,
        at=f"{frame['time'].iloc[row]:%Y-%m-%d %H:%M:%S}",
        limit=said(more if high else less, bound=float(most[row]) if high else least),
    )


def _other_allocation(server: Server, frame: pd.DataFrame) -> tuple[Rows, list[Said]]:
    """Rows of another allocation than the protocol's where most have that, and what is to be said of it."""
    other, told = np.zeros(len(frame), dtype=bool), []
    for name, key, protocol, scale in (
        ("cpu_allocated_cores", "vcpus", server.vcpus, 1.0),
        ("mem_allocated_bytes", "memory_bytes", int(server.memory_bytes), MIB),
    ):
        values = frame[name].to_numpy(dtype=float)
        differs = np.abs(values - protocol) > SAME_ALLOCATION * protocol
        if differs.any():
            shown = {"key": key, "protocol": protocol / scale, "found": float(values[differs][0]) / scale}
            shown |= {"unit": " MiB" if key == "memory_bytes" else "", "count": int(differs.sum())}
            most = differs.sum() > MOST * np.isfinite(values).sum()
            all_rows = N_("study.yaml says {key} {protocol}{unit}, the rows {found}{unit}: correct study.yaml")
            some = N_("{count} rows of {key} {found}{unit}, not {protocol}{unit}, are left out")
            told.append(said(all_rows if most else some, **shown))
            other |= differs & ~np.bool_(most)
    return other, told


def _stretches(frame: pd.DataFrame, rows: Rows, reason: str) -> Iterator[Disturbance]:
    """The intervals of some rows; those that follow one another are one."""
    ends = frame["time"].map(pd.Timestamp.timestamp).to_numpy(dtype=float)
    starts = ends - frame["step_s"].to_numpy(dtype=float)
    for chosen, group in groupby(range(len(frame)), key=rows.__getitem__):
        if chosen:
            first, *_, last = [*group] * 2
            yield Disturbance(float(starts[first]), float(ends[last]), reason)
