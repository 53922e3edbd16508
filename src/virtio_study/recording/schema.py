"""The one schema of a recording's rows, and its provenance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Said, said

__all__ = ["INSTRUMENTS", "SCHEMA", "Column", "Provenance", "Recording", "check_frame"]

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

LONGEST_STEP_S = 366 * 86400.0
"""A row's interval: Proxmox VE's coarsest rows are of a week, and what claims centuries is on no grid."""

SHORTEST_STEP_S = 1e-6
"""Times are kept to the microsecond: a shorter row would have no middle of its own."""


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
    steps = checked["step_s"].to_numpy()
    no_step = ~((steps >= SHORTEST_STEP_S) & (steps <= LONGEST_STEP_S))
    expected = said(N_("expected a microsecond at least, and a year at most"))
    _refuse(no_step, checked["step_s"], "step_s", where, expected)
    return checked


def _check_column(name: str, column: Column, values: pd.Series | None, rows: int, where: str) -> pd.Series:
    if values is None:
        return pd.Series("unknown" if column.kind == "instrument" else np.nan, index=range(rows))
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
