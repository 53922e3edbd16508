"""Production traces of virtual machines (Grid Workloads Archive, GWA-T-12 "Bitbrains"), to calibrate intervals on.

Nothing was changed in these servers at any known moment, so that a "before and after" cut anywhere in them is a
placebo. The traces are measured, but they are not recordings of a study: they never become one.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from virtio_study.errors import DataError

__all__ = ["COLUMNS", "NEAR_S", "STEP_S", "load_traces", "read_vm"]

STEP_S = 300
"""Nominal seconds between the rows of the published traces."""

NEAR_S = 225
"""A row less than this many seconds after the last one kept says the same interval again."""

COLUMNS: dict[str, str] = {
    "Timestamp [ms]": "time_s",
    "CPU cores": "vcpus",
    "CPU capacity provisioned [MHZ]": "cpu_capacity_mhz",
    "CPU usage [MHZ]": "cpu_mhz",
    "CPU usage [%]": "cpu_percent",
    "Memory capacity provisioned [KB]": "mem_capacity_kb",
    "Memory usage [KB]": "mem_used_kb",
    "Disk read throughput [KB/s]": "disk_read_kb_s",
    "Disk write throughput [KB/s]": "disk_write_kb_s",
    "Network received throughput [KB/s]": "net_in_kb_s",
    "Network transmitted throughput [KB/s]": "net_out_kb_s",
}
"""Published header -> our name. The header says milliseconds, but the values are Unix seconds."""

METRICS = ["cpu_percent", "mem_used_kb", "net_in_kb_s"]


def read_vm(path: Path) -> pd.DataFrame:
    """Read the published CSV of one virtual machine onto its regular grid.

    Parameters
    ----------
    path : Path
        A file such as `rnd/2013-8/1.csv`: fields separated by `;` and a tab, the eleven columns of `COLUMNS`.

    Returns
    -------
    DataFrame, shape (slots, 11)
        `time` (UTC, every 300 s from the first row) and the other names of `COLUMNS`; units are in the names (KB as
        published, percent of the provisioned CPU). A slot without a row is NaN. `attrs` has `duplicates` (rows dropped
        because they repeat an interval) and `missing` (slots without a row).

    Raises
    ------
    DataError
        If the file cannot be read, or has other columns, a value that is no number, or no rows.

    Notes
    -----
    Published rows are 299 to 301 s apart, and drift by some minutes in a month. The grid counts intervals: a row is as
    many slots after the row before it as whole steps fit best, so that drift makes neither a gap nor a repetition.
    Of rows that repeat an interval the first is kept.

    References
    ----------
    Shen S, van Beek V, Iosup A (2015). Statistical characterization of business-critical workloads hosted in cloud
    datacenters. CCGRID 2015, 465-474. doi:10.1109/CCGrid.2015.60. Trace GWA-T-12 of the Grid Workloads Archive.
    """
    try:
        table = pd.read_csv(BytesIO(path.read_bytes().replace(b";\t", b";")), sep=";")
    except (OSError, ValueError) as error:  # pandas' ParserError and EmptyDataError are ValueErrors
        raise DataError(f"{path}: cannot be read as a GWA-T-12 trace: {str(error).splitlines()[0]}") from error
    table.columns = pd.Index([str(name).strip() for name in table.columns])
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}; a GWA-T-12 trace has: {', '.join(COLUMNS)}")
    table = table[list(COLUMNS)].rename(columns=COLUMNS)
    for name, column in table.items():
        numbers = pd.to_numeric(column, errors="coerce")
        wrong = np.flatnonzero(~np.isfinite(numbers.to_numpy(dtype=float)))
        if len(wrong):
            value = str(column.iloc[wrong[0]])
            raise DataError(f"{path}: line {wrong[0] + 2}, {name} is {value!r}; expected a number")
        table[str(name)] = numbers
    times = _seconds(table["time_s"].to_numpy(), str(path))
    order = np.argsort(times, kind="stable")
    frame, duplicates = _on_grid(times[order], table.drop(columns="time_s").iloc[order])
    frame.attrs = {"duplicates": duplicates, "missing": int(frame["vcpus"].isna().sum())}
    return frame


def load_traces(folder: Path) -> pd.DataFrame:
    """Load every trace of a folder: Parquet files, or published CSV files, in it or in one folder a month.

    Parameters
    ----------
    folder : Path
        Parquet files, one a month, with columns vm, time_s (Unix seconds), cpu_percent, mem_used_kb, net_in_kb_s; or
        CSV files as `read_vm` takes them, named by number.

    Returns
    -------
    DataFrame, shape (slots of all servers, 6)
        `month` (category: the file's or folder's name), `vm` (int16), `time` (UTC, on the server's grid of 300 s),
        `cpu_percent`, `mem_used_kb`, `net_in_kb_s` (float32; NaN where there is no row), sorted by month, server, time.
        A series is one (month, vm): nothing says that a number means the same server in two months. `attrs` has
        `duplicates` and `missing`, summed over all series.

    Raises
    ------
    DataError
        If there is no trace, or a file cannot be read.

    References
    ----------
    See `read_vm`.
    """
    parts: list[pd.DataFrame] = []
    numbers: list[int] = []
    months: list[str] = []
    duplicates = missing = 0
    for month, vm, frame in _series(folder):
        duplicates += frame.attrs["duplicates"]
        missing += frame.attrs["missing"]
        frame.attrs = {}
        parts.append(frame)
        numbers.append(vm)
        months.append(month)
    if not parts:
        raise DataError(f"{folder}: no trace; expected Parquet files, or CSV files as GWA-T-12 publishes them")
    tidy = pd.concat(parts, ignore_index=True)
    lengths = [len(part) for part in parts]
    names = list(dict.fromkeys(months))
    codes = np.repeat(np.array([names.index(month) for month in months], dtype=np.int16), lengths)
    tidy.insert(0, "vm", np.repeat(np.array(numbers, dtype=np.int16), lengths))
    tidy.insert(0, "month", pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(names))))
    tidy.attrs = {"duplicates": duplicates, "missing": missing}
    return tidy


def _series(folder: Path) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Month, number and gridded frame of every series, in order."""
    for path in sorted(folder.glob("*.parquet")):
        yield from _of_parquet(path)
    files = [*folder.glob("*.csv"), *folder.glob("*/*.csv")]
    for path in sorted(files, key=lambda path: (path.parent.name, len(path.stem), path.stem)):
        if not path.stem.isdecimal() or int(path.stem) > np.iinfo(np.int16).max:
            raise DataError(f"{path}: expected the number of a virtual machine as the name of the file, such as 1.csv")
        frame = read_vm(path)
        kept = frame[["time", *METRICS]].astype(dict.fromkeys(METRICS, "float32"))
        kept.attrs = frame.attrs
        yield path.parent.name, int(path.stem), kept


def _of_parquet(path: Path) -> Iterator[tuple[str, int, pd.DataFrame]]:
    import pyarrow as pa

    try:
        table = pd.read_parquet(path, columns=["vm", "time_s", *METRICS])
        table = table.astype({"vm": "int16", "time_s": "int64", **dict.fromkeys(METRICS, "float32")})
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as traces: {str(error).splitlines()[0]}") from error
    table = table.sort_values(["vm", "time_s"], kind="stable", ignore_index=True)
    numbers, starts = np.unique(table["vm"].to_numpy(), return_index=True)
    for number, start, end in zip(numbers, starts, [*starts[1:], len(table)], strict=True):
        rows = table.iloc[start:end]
        times = _seconds(rows["time_s"].to_numpy(), f"{path}, vm {number}")
        frame, duplicates = _on_grid(times, rows[METRICS])
        frame.attrs = {"duplicates": duplicates, "missing": len(frame) - len(rows) + duplicates}
        yield path.stem, int(number), frame


def _seconds(times: "np.ndarray[Any, Any]", where: str) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Times as whole Unix seconds; anything outside 2001 to 2100 is refused, so that true milliseconds are seen."""
    if len(times) == 0:
        raise DataError(f"{where}: no rows")
    wrong = times[(times < 10**9) | (times >= 41 * 10**8)]
    if len(wrong):
        raise DataError(f"{where}: time {wrong[0]} is not in Unix seconds of this century; check the unit")
    return times.astype(np.int64)


def _on_grid(times: "np.ndarray[Any, np.dtype[np.int64]]", values: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Values at every step from the first time on, NaN where there is none, and how many rows repeated an interval."""
    kept, last = [], -NEAR_S
    for row, time in enumerate(times.tolist()):
        if time - last >= NEAR_S:
            kept.append(row)
            last = time
    slots = np.concatenate([[0], np.cumsum(np.rint(np.diff(times[kept]) / STEP_S).astype(np.int64))])
    frame = values.iloc[kept].set_axis(slots).reindex(range(int(slots[-1]) + 1)).reset_index(drop=True)
    seconds = times[0] + STEP_S * np.arange(len(frame))
    frame.insert(0, "time", pd.to_datetime(seconds, unit="s", utc=True).astype("datetime64[us, UTC]"))
    return frame, len(times) - len(kept)
