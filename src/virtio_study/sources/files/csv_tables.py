"""Tables in CSV with a mapping file that says which column is what -> frames of the schema."""

import csv
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from virtio_study.errors import DataError, StudyError
from virtio_study.faults import FaultError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.recording import INSTRUMENTS, SCHEMA
from virtio_study.study import Server

__all__ = ["UNITS", "CsvMapping", "load_mapping", "read_csv"]

InstrumentName = Literal["guest_stats", "guest_agent", "host_rss_scaled", "host_pss", "host_cgroup", "unknown"]

SIZES = {"B": 1.0, "kB": 1e3, "KiB": 2.0**10, "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30}
SHARES = {"percent": 0.01, "fraction": 1.0}
UNITS: dict[str, dict[str, float]] = {
    "_bytes_per_s": {f"{unit}/s": factor for unit, factor in SIZES.items()}
    | {"bit/s": 0.125, "kbit/s": 125.0, "Mbit/s": 125e3, "Gbit/s": 125e6},
    "_bytes": SIZES | SHARES,
    "_cores": {"cores": 1.0, "millicores": 1e-3} | SHARES,
    "_percent": {"percent": 1.0, "fraction": 100.0},
    "_per_s": {"1/s": 1.0, "1/min": 1 / 60},
    "_s": {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
}
"""End of a column's name -> units that it may be given in, and what one of them is in the column's own unit.

A percentage or fraction of memory or cores is of the server's allocation. KB is not among them: it is 1000 or 1024
bytes, and nothing says which.
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeColumn(_Strict):
    """Where the time is: its column, format (`unix`, `unix_ms`, `iso`, or one of strptime), zone, and what it marks."""

    column: str
    format: str
    zone: str | None = None
    marks: Literal["start", "end"] = "end"


class ValueColumn(_Strict):
    """Where a column of the schema comes from, and in which unit it is there."""

    column: str
    unit: str


class CsvMapping(_Strict):
    """How a CSV file becomes a recording. The YAML file has these keys; those after `columns` may be left out::

    time: {column: Fecha, format: "%d/%m/%Y %H:%M", zone: America/Lima, marks: start}
    step_s: 300
    columns:
      cpu_cores: {column: "CPU (%)", unit: percent}
      mem_displayed_bytes: {column: "RAM (GB)", unit: GiB}
    delimiter: ";"
    decimal: ","
    missing: ["", "-"]
    mem_instrument: unknown
    """

    time: TimeColumn
    step_s: float = Field(gt=0)
    columns: dict[str, ValueColumn] = Field(min_length=1)
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    missing: list[str] = Field(default_factory=lambda: ["", "NaN", "nan", "NA", "null", "-"])
    mem_instrument: InstrumentName = "unknown"
    mem_host_instrument: InstrumentName = "unknown"
    mem_guest_instrument: InstrumentName = "unknown"


def load_mapping(path: Path) -> CsvMapping:
    """Read a mapping file (YAML); `StudyError` names the file, the key and what was expected."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        mapping = CsvMapping.model_validate(data)
    except OSError as error:
        raise StudyError(N_("{path}: cannot be read: {reason}"), path=path, reason=error.strerror) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(N_("{path}: not YAML: {error}"), path=path, error=" ".join(str(error).split())) from error
    except ValidationError as error:
        item = error.errors()[0]
        key = ".".join(str(part) for part in item["loc"]) or "the mapping"
        raise StudyError(
            N_("{path}: {key}: {problem}; expected keys: {keys}"),
            path=path,
            key=key,
            problem=item["msg"],
            keys=", ".join(CsvMapping.model_fields),
        ) from error
    for name, source in mapping.columns.items():
        column = SCHEMA.get(name)
        if column is None or column.kind != "number" or name == "step_s":
            names = [n for n, c in SCHEMA.items() if c.kind == "number" and n != "step_s"]
            raise StudyError(
                N_("{path}: columns.{name}: no such column of numbers; there are: {names}"),
                path=path,
                name=name,
                names=", ".join(names),
            )
        if source.unit not in _units(name):
            raise StudyError(
                N_("{path}: columns.{name}.unit is {unit!r}; expected one of {known}"),
                path=path,
                name=name,
                unit=source.unit,
                known=", ".join(_units(name)),
            )
    _check_time(path, mapping.time)
    return mapping


def read_csv(path: Path, mapping: CsvMapping, server: Server) -> pd.DataFrame:
    """Frame of the schema from a CSV file.

    Parameters
    ----------
    path : Path
        Text in UTF-8 with a line of names; a line for each step.
    mapping : CsvMapping
        From `load_mapping`.
    server : Server
        Its allocation is what a percentage is of, and fills columns that the file does not have.

    Returns
    -------
    DataFrame, shape (rows, columns that the file has and those required)
        Times in UTC, END of the interval. An empty cell is NaN; required columns that the file has not are NaN.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a column, or a cell is no time or number: the message names line and column.
        A local time that happened twice or never (clocks put back or forward) is refused too.
    """
    lines, table = _cells(path, mapping)
    frame = pd.DataFrame({"time": _times(path, mapping.time, lines, table[mapping.time.column])})
    if mapping.time.marks == "start":
        frame["time"] += pd.Timedelta(seconds=mapping.step_s)
    for name, source in mapping.columns.items():
        values = [
            _number(text, mapping, (path, line, source.column))
            for line, text in zip(lines, table[source.column], strict=True)
        ]
        factor = _units(name)[source.unit]
        if source.unit in SHARES and not name.endswith("_percent"):
            factor *= server.vcpus if name.endswith("_cores") else int(server.memory_bytes)
        frame[name] = np.asarray(values, dtype="float64") * factor
    frame["step_s"], frame["consolidation"] = mapping.step_s, "AVERAGE"
    given = {"cpu_allocated_cores": server.vcpus, "mem_allocated_bytes": int(server.memory_bytes)}
    for name in ("cpu_cores", "mem_displayed_bytes", *given):
        if name not in frame:
            frame[name] = float(given.get(name, math.nan))
    for view in ("", "host_", "guest_"):
        frame[f"mem_{view}instrument"] = getattr(mapping, f"mem_{view}instrument")
    return frame


def _times(path: Path, column: TimeColumn, lines: Sequence[int], texts: Sequence[str]) -> pd.Series:
    """Times of the rows in UTC; they must increase."""
    times = []
    for line, text in zip(lines, texts, strict=True):
        try:
            times.append(_time(text, column))
        except (ValueError, OverflowError) as error:
            raise DataError(
                N_("{path}: line {line}, column {column!r} is {text!r}: {error}"),
                path=path,
                line=line,
                column=column.column,
                text=text[:40],
                error=error,
            ) from error
    found = pd.Series(times, dtype="datetime64[us, UTC]")
    repeated = np.flatnonzero(found.diff().to_numpy() <= np.timedelta64(0, "us"))
    if len(repeated):
        raise DataError(
            N_("{path}: line {line}, column {column!r} is {text!r}: times must increase"),
            path=path,
            line=lines[repeated[0]],
            column=column.column,
            text=texts[repeated[0]],
        )
    return found


def _units(name: str) -> dict[str, float]:
    return next(units for end, units in UNITS.items() if name.endswith(end))


def _check_time(path: Path, time: TimeColumn) -> None:
    if time.zone is None and time.format not in {"unix", "unix_ms", "iso"} and "%z" not in time.format:
        raise StudyError(
            N_("{path}: time.zone is missing; give the zone of the clock, such as UTC or America/Lima"), path=path
        )
    try:
        ZoneInfo(time.zone or "UTC")
    except (KeyError, ValueError, OSError) as error:
        raise StudyError(
            N_("{path}: time.zone is {zone!r}; expected a name such as UTC or America/Lima"), path=path, zone=time.zone
        ) from error


def _cells(path: Path, mapping: CsvMapping) -> tuple[list[int], dict[str, list[str]]]:
    """Line numbers, and the cells of every mapped column."""
    needed = [mapping.time.column, *(source.column for source in mapping.columns.values())]
    table: dict[str, list[str]] = {name: [] for name in needed}
    lines = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=mapping.delimiter)
            names = [name.strip() for name in next(reader, [])]
            for name in needed:
                if name not in names:
                    raise DataError(
                        N_("{path}: no column {name!r}; its first line names: {names}"),
                        path=path,
                        name=name,
                        names=", ".join(names) or said(N_("nothing")),
                    )
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(names):
                    raise DataError(
                        N_("{path}: line {line} has {found} cells; expected {expected}"),
                        path=path,
                        line=reader.line_num,
                        found=len(row),
                        expected=len(names),
                    )
                lines.append(reader.line_num)
                for name in table:
                    table[name].append(row[names.index(name)].strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            N_("{path}: cannot be read as CSV in UTF-8: {error}"), path=path, error=" ".join(str(error).split())
        ) from error
    if not lines:
        raise DataError(N_("{path}: no rows"), path=path)
    return lines, table


def _time(text: str, time: TimeColumn) -> datetime:
    """A time in UTC; `ValueError` says why there is none."""
    if time.format in {"unix", "unix_ms"}:
        seconds = float(text) / (1000 if time.format == "unix_ms" else 1)
        if not 1e9 <= seconds < 41e8:
            raise FaultError(N_("not within this century; check the unit"))
        return datetime.fromtimestamp(seconds, UTC)
    stamp = datetime.fromisoformat(text) if time.format == "iso" else datetime.strptime(text, time.format)
    if stamp.tzinfo is None:
        if time.zone is None:
            raise FaultError(N_("no offset from UTC; give time.zone in the mapping"))
        stamp = stamp.replace(tzinfo=ZoneInfo(time.zone))
        if stamp.utcoffset() != stamp.replace(fold=1).utcoffset():
            raise FaultError(
                N_("the clocks of {zone} showed it twice or never; export the file in UTC"), zone=str(time.zone)
            )
    return stamp.astimezone(UTC)


def _number(text: str, mapping: CsvMapping, where: tuple[Path, int, str]) -> float:
    if text in mapping.missing:
        return math.nan
    try:
        number = float(text.replace(",", ".") if mapping.decimal == "," else text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise DataError(
            N_("{path}: line {line}, column {column!r} is {text!r}; expected a number with decimal {decimal!r}"),
            path=where[0],
            line=where[1],
            column=where[2],
            text=text[:40],
            decimal=mapping.decimal,
        )
    return number


assert set(INSTRUMENTS) == set(get_args(InstrumentName))
