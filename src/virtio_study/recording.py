"""The recording: one server under one driver configuration, row by row, with its provenance.

A recording is a Parquet file of the one schema below; its provenance is in the file. Recordings are written once,
atomically, and listed with their SHA-256 in the study's `manifest.json`; reading verifies both.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from virtio_study import limits
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Said, said
from virtio_study.storage import commit, manifest, read_verified

__all__ = [
    "INSTRUMENTS",
    "SCHEMA",
    "START_TAKES_S",
    "Column",
    "Provenance",
    "Recording",
    "boots_of",
    "check_frame",
    "read",
    "read_times",
    "recordings",
    "same_start",
    "share_time",
    "write",
    "write_all",
]

INSTRUMENTS = (
    "guest_stats",
    "guest_agent",
    "host_rss_scaled",
    "host_pss",
    "host_cgroup",
    "unknown",
)
"""What made a memory value: balloon statistics, the guest's own /proc/meminfo, or a host figure.

See docs/explanation/memory.md.
"""


@dataclass(frozen=True)
class Column:
    """A column of the schema: kind, whether every row must have it, and the lowest possible value."""

    kind: Literal["time", "number", "instrument", "text"]
    required: bool
    minimum: float | None = 0.0


SCHEMA: dict[str, Column] = {
    "time": Column("time", True),
    "step_s": Column("number", True),
    "cpu_cores": Column("number", True),
    "cpu_allocated_cores": Column("number", True),
    "mem_displayed_bytes": Column("number", True),
    "mem_instrument": Column("instrument", True),
    "mem_host_bytes": Column("number", False),
    "mem_host_instrument": Column("instrument", False),
    "mem_guest_bytes": Column("number", False),
    "mem_guest_instrument": Column("instrument", False),
    "mem_allocated_bytes": Column("number", True),
    "disk_read_bytes_per_s": Column("number", False),
    "disk_write_bytes_per_s": Column("number", False),
    "net_in_bytes_per_s": Column("number", False),
    "net_out_bytes_per_s": Column("number", False),
    "uptime_s": Column("number", False),
    "consolidation": Column("text", True),
    # beyond what every source has
    "cpu_schedstat_cores": Column("number", False),
    "node_cpu_cores": Column("number", False),
    "mem_host_rss_scaled_bytes": Column("number", False),
    "mem_host_pss_bytes": Column("number", False),
    "mem_host_cgroup_bytes": Column("number", False),
    "disk_reads_per_s": Column("number", False),
    "disk_writes_per_s": Column("number", False),
    "requests_offered_per_s": Column("number", False),
    "requests_answered_per_s": Column("number", False),
    "pressure_cpu_some_percent": Column("number", False),
    "pressure_io_some_percent": Column("number", False),
    "pressure_memory_some_percent": Column("number", False),
}
"""The one schema. `time` is the END of the interval of `step_s` seconds, UTC; a value that was not measured is NaN."""


class Provenance(BaseModel):
    """Where a recording comes from; stored inside its Parquet file.

    `contaminated` are stretches (Unix seconds) in which something else went on, each with a reason. `events` are
    uptimes of the lab, such as `load_started` (at which the protocol's load began), and `started` (Unix seconds at
    which the server was started, where its rows do not tell it: before a live migration or a sleep, and of rows without
    an uptime).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: str
    server: str
    driver_config: str
    replicate: str
    kind: Literal["measured", "emulated", "simulated"]
    source: str
    collector_version: str
    started_at: str
    accelerator: str | None = None
    kernel_module: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    devices: dict[str, str] = Field(default_factory=dict)
    vm_config: list[str] = Field(default_factory=list)
    config_digest: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
    events: dict[str, float] = Field(default_factory=dict)
    contaminated: list[tuple[float, float, str]] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


START_TAKES_S = 60.0
"""A start is told to the second by an uptime and to the minute by rows."""


@dataclass(frozen=True)
class Recording:
    """A frame of the schema (one row a step) and its provenance."""

    frame: pd.DataFrame
    provenance: Provenance
    path: Path


def check_frame(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the frame with the schema's columns in order; `DataError` names the first wrong row and column.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        Optional columns may be absent: they are added as NaN (or `unknown` for an instrument).
    where : str
        What to call the frame in an error, usually its file.
    """
    unknown = [name for name in frame.columns if name not in SCHEMA]
    if unknown:
        raise DataError(
            N_("{where}: unknown column {name!r}; the schema has: {known}"),
            where=where,
            name=unknown[0],
            known=", ".join(SCHEMA),
        )
    missing = [name for name, column in SCHEMA.items() if column.required and name not in frame.columns]
    if missing:
        raise DataError(
            N_("{where}: column {name!r} is missing; it is required in every recording"),
            where=where,
            name=missing[0],
        )
    if frame.empty:
        raise DataError(N_("{where}: no rows; a recording needs at least one"), where=where)
    rows = frame.reset_index(drop=True)
    checked = pd.DataFrame(
        {
            name: _check_column(name, column, rows[name] if name in rows.columns else None, len(rows), where)
            for name, column in SCHEMA.items()
        }
    )
    not_later = (checked["time"].diff() <= pd.Timedelta(0)).to_numpy()
    _refuse(not_later, checked["time"], "time", where, said(N_("times must increase")))
    return checked


def _check_column(name: str, column: Column, values: pd.Series | None, rows: int, where: str) -> pd.Series:
    if values is None:
        return pd.Series(["unknown"] * rows) if column.kind == "instrument" else pd.Series(np.full(rows, np.nan))
    if column.kind == "time":
        if not isinstance(values.dtype, pd.DatetimeTZDtype) or str(values.dt.tz) != "UTC":
            raise DataError(
                N_("{where}: column {name!r} is {dtype}; expected UTC times"),
                where=where,
                name=name,
                dtype=values.dtype,
            )
        _refuse(values.isna().to_numpy(), values, name, where, said(N_("every row needs a time")))
        return values.astype("datetime64[us, UTC]")
    if column.kind == "number":
        try:
            numbers = values.astype("float64")
        except (TypeError, ValueError) as error:
            raise DataError(
                N_("{where}: column {name!r}: expected numbers: {error}"), where=where, name=name, error=error
            ) from error
        found = numbers.to_numpy()
        _refuse(np.isinf(found), numbers, name, where, said(N_("expected a finite number")))
        if column.minimum is not None:
            _refuse(
                found < column.minimum,
                numbers,
                name,
                where,
                said(N_("expected at least {least:g}"), least=column.minimum),
            )
        return numbers
    if column.kind == "instrument":
        _refuse(
            ~values.isin(INSTRUMENTS).to_numpy(),
            values,
            name,
            where,
            said(N_("expected one of {known}"), known=", ".join(INSTRUMENTS)),
        )
    return values.astype("str")


def _refuse(wrong: NDArray[np.bool_], values: pd.Series, name: str, where: str, expected: Said) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        row = int(rows[0])
        raise DataError(
            plural(
                len(rows),
                "{where}: row {row}, column {name!r} is {value}: {expected} ({count} such row)",
                "{where}: row {row}, column {name!r} is {value}: {expected} ({count} such rows)",
            ),
            where=where,
            row=row,
            name=name,
            value=str(values[row]),
            expected=expected,
            count=len(rows),
        )


def write(recording: Recording, folder: Path) -> None:
    """Check a recording, write its Parquet file atomically and list it in the manifest of the study's folder.

    Raises
    ------
    DataError
        If the frame breaks the schema, or the file is in the manifest already.
    """
    write_all([recording], folder)


def write_all(
    made: Sequence[Recording], folder: Path, instead_of: Collection[str] = (), beside: Mapping[str, bytes] | None = None
) -> None:
    """Write recordings in place of others, all of them or none, whenever the program is killed.

    Parameters
    ----------
    made : sequence of Recording
    folder : Path
        Of the study.
    instead_of : collection of str
        Names of recordings, relative to the folder, that go, or that are written anew.
    beside : dict, optional
        Name of a file relative to the folder -> content that is kept with them.

    Raises
    ------
    DataError
        If a frame breaks the schema, or a file is in the manifest already and is not among `instead_of`.
    """
    files = {each.path.relative_to(folder).as_posix(): _parquet(each) for each in made}
    listed = manifest(folder)
    if there := [name for name in files if name in listed and name not in instead_of]:
        raise DataError(N_("{path}: recorded already; recordings are never rewritten"), path=folder / there[0])
    commit(folder, {**files, **(beside or {})}, instead_of)


def _parquet(recording: Recording) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(check_frame(recording.frame, str(recording.path)), preserve_index=False)
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), b"virtio_study": recording.provenance.model_dump_json().encode()}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read(path: Path, folder: Path) -> Recording:
    """Read a recording after verifying its checksum against the study's manifest, and its schema.

    Raises
    ------
    DataError
        If the file is missing, not in the manifest, changed since it was recorded, truncated, or breaks the schema.
    """
    import pyarrow as pa

    content = read_verified(path, folder)
    try:
        table = limits.parquet(pa.BufferReader(content), path)
        provenance = Provenance.model_validate_json((table.schema.metadata or {})[b"virtio_study"])
        frame = table.to_pandas()
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            N_("{path}: not a recording of this package: {error}"), path=path, error=" ".join(str(error).split())[:200]
        ) from error
    return Recording(check_frame(frame, str(path)), provenance, path)


def share_time(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two frames, each in order of time, hold more than a row of the same time."""
    steps = [pd.Timedelta(seconds=float(frame["step_s"].median())) for frame in (one, other)]
    starts = [frame["time"].iloc[0] - step for frame, step in zip((one, other), steps, strict=True)]
    return bool(min(one["time"].iloc[-1], other["time"].iloc[-1]) - max(starts) > max(steps))


def same_start(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether a server ran through from one frame to another that is later, by the uptime; False where none is told.

    Across a start the uptime at the later frame is less than the time between them; within one it is greater by the
    uptime that the earlier frame ended with. Half of that is far from both, however the clocks went.
    """
    last, first = (frame.dropna(subset="uptime_s") if "uptime_s" in frame else frame[:0] for frame in (one, other))
    if last.empty or first.empty:
        return False
    passed_s = (first["time"].iloc[0] - last["time"].iloc[-1]).total_seconds()
    return bool(first["uptime_s"].iloc[0] - passed_s > last["uptime_s"].iloc[-1] / 2)


def _ran_already(one: Recording, other: Recording) -> bool:
    """Whether the start of a later recording, where it is told beside its rows, lies before the earlier's end."""
    started_s = other.provenance.events.get("started")
    return started_s is not None and started_s < one.frame["time"].iloc[-1].timestamp() - START_TAKES_S


def boots_of(found: Sequence[Recording]) -> dict[str, str]:
    """Name of every recording of a server under a driver configuration -> name of the first one of the same start.

    A start that was cut, such as at a change that was taken back, is one boot and no replicate of itself.
    """
    ordered = sorted(found, key=lambda item: item.frame["time"].iloc[0])
    boots: dict[str, str] = {}
    before: Recording | None = None
    for item in ordered:
        name = item.provenance.replicate
        goes_on = before is not None and (same_start(before.frame, item.frame) or _ran_already(before, item))
        boots[name] = boots[before.provenance.replicate] if before is not None and goes_on else name
        before = item
    return boots


def read_times(path: Path) -> pd.DataFrame:
    """`time` and `step_s` of a recording alone, without verifying the rest; `DataError` if it cannot be read."""
    import pyarrow as pa

    try:
        return pd.DataFrame(limits.parquet(path, path, ["time", "step_s"]).to_pandas())
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise DataError(
            N_("{path}: not a recording of this package: {error}"), path=path, error=str(error).splitlines()[0]
        ) from error


def recordings(folder: Path, server: str, driver_config: str) -> Iterator[Recording]:
    """Read every listed recording of a server under a driver configuration, in order of name.

    Raises
    ------
    DataError
        If there is none, or one of them cannot be read.
    """
    prefix = f"recordings/{server}/{driver_config}/"
    names = [name for name in manifest(folder) if name.startswith(prefix) and name.endswith(".parquet")]
    if not names:
        raise DataError(
            N_("{folder}: no recording of server {server!r} under {driver_config!r}; record it first"),
            folder=folder / prefix,
            server=server,
            driver_config=driver_config,
        )
    for name in sorted(names):
        yield read(folder / name, folder)
