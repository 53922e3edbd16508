"""Rows of `rrddata`, from the simulated truth, by the retention and the reader of each Proxmox VE version.

The reader takes `count` rows of `step` seconds that end now; a row's `time` is the end of its interval and a missing
value is a missing key (pve-cluster `src/PVE/RRD.pm`; round-robin archives from `src/pmxcfs/status.c`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from virtio_study.testing.truth import SAMPLE_S

__all__ = ["RETENTION", "Series", "consolidate", "minutes_of", "perl_number", "rrddata_rows", "timeframes"]

Array = npt.NDArray[np.float64]
MINUTE_S = 60
RETENTION: dict[str, dict[str, tuple[int, int]]] = {
    "8": {
        "hour": (60, 70),
        "day": (1800, 70),
        "week": (10800, 70),
        "month": (43200, 70),
        "year": (604800, 70),
    },
    "9.0": {
        "hour": (60, 60),
        "day": (60, 1440),
        "week": (1800, 336),
        "month": (21600, 121),
        "year": (21600, 1140),
        "decade": (604800, 570),
    },
    "9.1": {
        "hour": (60, 60),
        "day": (60, 1440),
        "week": (1800, 336),
        "month": (1800, 1440),
        "year": (21600, 1440),
        "decade": (604800, 570),
    },
}
"""(step in seconds, rows) of each time frame, by RRD reader."""
NEW_COLUMNS = ("memhost", "memavailable", "arcsize", "pressure")


@dataclass(frozen=True)
class Series:
    """One-minute means of a server or node: `columns(start, end)` has, by column, those of the minutes in (start, end].

    `begin` is when the data begin: nothing is known before.
    """

    columns: Callable[[int, int], dict[str, Array]]
    begin: float


def timeframes(reader: str, *, node: bool) -> list[str]:
    """Return the time frames that a reader offers; `decade` is for nodes alone."""
    return [name for name in RETENTION[reader] if node or name != "decade"]


def minutes_of(samples: Array, known: npt.NDArray[np.bool_]) -> Array:
    """Return one-minute means of ten-second samples, NaN where over half of a minute is unknown."""
    per = MINUTE_S // SAMPLE_S
    values = np.where(known, samples, 0.0).reshape(-1, per)
    count = known.reshape(-1, per).sum(axis=1)
    return np.where(count * 2 >= per, values.sum(axis=1) / np.maximum(count, 1), np.nan)


def consolidate(minutes: Array, size: int, consolidation: str) -> Array:
    """Return means or maxima of `size` one-minute values, NaN where over half of them are unknown."""
    if size == 1:
        return minutes
    cells = minutes.reshape(-1, size)
    known = np.isfinite(cells)
    if consolidation == "MAX":
        values = np.where(known, cells, -np.inf).max(axis=1)
    else:
        values = np.where(known, cells, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.sum(axis=1) * 2 >= size, values, np.nan)


def perl_number(value: float) -> float | int:
    """Return a number as Perl's JSON writes it: 15 significant digits, whole numbers without a point."""
    rounded = float(f"{value:.15g}")
    return int(rounded) if rounded.is_integer() else rounded


def rrddata_rows(
    series: Series, timeframe: str, consolidation: str, *, reader: str, now: float, upgraded_at: float | None = None
) -> list[dict[str, Any]]:
    """Return the rows that a reader gives for a time frame.

    After an upgrade from 8 to 9 (reader `9.1`) the old file's rows come first, with their own step and columns, and
    reach past the seam, so that time goes backwards there.
    """
    step, count = RETENTION[reader][timeframe]
    end = step * int(now // step)
    start, rows, since = end - step * count, list[dict[str, Any]](), 0.0
    if upgraded_at is not None and reader != "8":
        since = upgraded_at
        if reader == "9.1" and start < upgraded_at and timeframe in RETENTION["8"]:
            old_step, old_count = RETENTION["8"][timeframe]
            old_start = old_step * int(now // old_step) - old_step * old_count
            old_end = old_step * int(upgraded_at // old_step) + old_step
            rows += _rows(_old_columns(series), old_start, old_end, old_step, consolidation, until=upgraded_at)
            start = step * int(upgraded_at // step)
    rows += _rows(series, start, end, step, consolidation, since=since)
    if reader == "9.1" and rows and len(rows[-1]) == 1:
        rows.pop()
    return rows


def _old_columns(series: Series) -> Series:
    def columns(start: int, end: int) -> dict[str, Array]:
        return {name: values for name, values in series.columns(start, end).items() if not name.startswith(NEW_COLUMNS)}

    return Series(columns, series.begin)


def _rows(
    series: Series, start: int, end: int, step: int, consolidation: str, *, since: float = 0.0, until: float = np.inf
) -> Iterator[dict[str, Any]]:
    """Rows of one round-robin file whose updates span (since, until]; a row that `until` cuts was never written."""
    first = min(max(start, int(max(series.begin, since) // step) * step), end)
    for stamp in range(start + step, first + step, step):
        yield {"time": stamp}
    if first == end:
        return
    minutes = np.arange(first + MINUTE_S, end + MINUTE_S, MINUTE_S)
    written = (minutes > since) & (minutes <= until)
    columns = {
        name: consolidate(np.where(written, values, np.nan), step // MINUTE_S, consolidation)
        for name, values in series.columns(first, end).items()
    }
    for index, stamp in enumerate(range(first + step, end + step, step)):
        row: dict[str, Any] = {"time": stamp}
        if stamp <= until:
            row |= {name: perl_number(values[index]) for name, values in columns.items() if np.isfinite(values[index])}
        yield row
