"""Tables in CSV with a mapping file that says which column is what -> frames of the schema."""

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.limits import TABLE_BYTES, text_lines
from virtio_study.sources.files.csv_mapping import SHARES, CsvMapping, TimeColumn, units
from virtio_study.study import Server
from virtio_study.study.faults import FaultError

__all__ = ["read_csv"]

NUMBER = {
    ".": re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"),
    ",": re.compile(r"[-+]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][-+]?[0-9]+)?"),
}
"""Mark of decimals -> a number without any grouping of thousands."""

OF_MANY = {"vm", "vmid", "id", "uuid", "name", "host", "hostname", "node", "nodename", "instance", "entity", "server"}
OF_MANY |= {
    "series",
    "metric",
    "legend",
    "object",
    "guest",
    "device",
    "sensor",
    "domain",
    "machine",
    "friendly",
    "target",
}
OF_MANY |= {"servidor", "nombre", "equipo", "nodo", "máquina", "maquina", "serie", "entidad"}
"""Words of which alone the name of a column is made that says whose a row is."""

MOST_LABELS = 50
"""A column with more texts than these is prose."""

NEAR, NEARLY_ALL = 0.25, 0.8
"""Distances of rows count as one step within this share, and this share of them must."""

Row = tuple[int, list[str]]
"""Number of a line, and its cells."""


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
        If the file cannot be read, lacks a column or has two of its name, or has rows of several things among which the
        mapping's `only` does not choose; if a cell is no time or number, or a number below 0: the message names line
        and column; or if the rows are not `step_s` apart. A local time that happened twice or never (clocks put back or
        forward) is refused too.
    """
    names, rows = _read(path, mapping)
    _of_one(path, names, rows, mapping)
    lines = [line for line, _ in rows]
    table = {name: [cells[place] for _, cells in rows] for place, name in enumerate(names)}
    frame = pd.DataFrame({"time": _times(path, mapping.time, lines, table[mapping.time.column])})
    _check_step(path, frame["time"], mapping.step_s)
    if mapping.time.marks == "start":
        frame["time"] += pd.Timedelta(seconds=mapping.step_s)
    for name, source in mapping.columns.items():
        values = [
            _number(text, mapping, (path, line, source.column))
            for line, text in zip(lines, table[source.column], strict=True)
        ]
        factor = units(name)[source.unit]
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


def _read(path: Path, mapping: CsvMapping) -> tuple[list[str], list[Row]]:
    """Names of the columns, and the rows that the mapping takes."""
    rows = []
    try:
        reader = csv.reader(text_lines(path, TABLE_BYTES), delimiter=mapping.delimiter)
        names = [name.strip() for name in next(reader, [])]
        _check_names(path, mapping, names)
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
            rows.append((reader.line_num, [cell.strip() for cell in row]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            N_("{path}: cannot be read as CSV in UTF-8: {error}"), path=path, error=" ".join(str(error).split())
        ) from error
    if not rows:
        raise DataError(N_("{path}: no rows"), path=path)
    for name, wanted in mapping.only.items():
        place = names.index(name)
        found = Counter(cells[place] for _, cells in rows)
        rows = [(line, cells) for line, cells in rows if cells[place] in wanted]
        if not rows:
            raise DataError(
                N_("{path}: no row whose {name!r} is {wanted}; there are: {found}"),
                path=path,
                name=name,
                wanted=", ".join(wanted),
                found=", ".join([*found][:10]),
            )
    return names, rows


def _check_names(path: Path, mapping: CsvMapping, names: Sequence[str]) -> None:
    """Nothing if every column that the mapping needs is there, once."""
    for name in (mapping.time.column, *(source.column for source in mapping.columns.values()), *mapping.only):
        if name not in names:
            raise DataError(
                N_("{path}: no column {name!r}; its first line names: {names}"),
                path=path,
                name=name,
                names=", ".join(names) or said(N_("nothing")),
            )
        if names.count(name) > 1:
            raise DataError(
                N_("{path}: {count} columns are named {name!r}; rename the one that is this server's"),
                path=path,
                name=name,
                count=names.count(name),
            )


def _of_one(path: Path, names: Sequence[str], rows: Sequence[Row], mapping: CsvMapping) -> None:
    """Nothing if no column says that rows are of several things.

    It does if its name is of `OF_MANY` and a value of it comes again, or if it has a few texts that all come again.
    """
    mapped = {mapping.time.column, *(source.column for source in mapping.columns.values()), *mapping.only}
    for place, name in enumerate(names):
        values = Counter(cells[place] for _, cells in rows if cells[place] not in mapping.missing)
        if name in mapped or len(values) < 2:
            continue
        words = re.findall(r"[^\W\d_]+", name.lower())
        named = words and OF_MANY.issuperset(words) and len(values) < values.total()
        texts = all(re.search(r"[^\W\d_]", text) for text in values)
        labels = texts and len(values) <= MOST_LABELS and min(values.values()) > 1
        if named or labels:
            first = next(iter(values))
            raise DataError(
                N_(
                    "{path}: rows of {count} things, by column {name!r}: {values}; say in the mapping which are this "
                    "server's, as in only: {example}"
                ),
                path=path,
                count=len(values),
                name=name,
                values=", ".join([*values][:5]),
                example=f'{{"{name}": "{first}"}}',
            )


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


def _check_step(path: Path, times: pd.Series, step_s: float) -> None:
    """Nothing if rows are a step apart, but for gaps; a row says nothing of a time that is not its step's."""
    distances = times.diff().dropna().dt.total_seconds().to_numpy(dtype=float)
    if not len(distances):
        return
    usual = float(np.median(distances))
    regular = float((np.abs(distances - usual) <= NEAR * usual).mean())
    if regular < NEARLY_ALL:
        raise DataError(
            N_(
                "{path}: rows are {least:g} to {most:g} s apart, not every {step:g} s; of a log of changes nothing "
                "says how long each value lasted: export it at even steps"
            ),
            path=path,
            least=float(distances.min()),
            most=float(distances.max()),
            step=step_s,
        )
    if abs(usual - step_s) > NEAR * step_s:
        raise DataError(
            N_("{path}: rows are {usual:g} s apart, but step_s is {step:g}; set step_s to what they are"),
            path=path,
            usual=usual,
            step=step_s,
        )


def _time(text: str, time: TimeColumn) -> datetime:
    """A time in UTC; `ValueError` says why there is none."""
    if time.format in {"unix", "unix_ms"}:
        if not NUMBER["."].fullmatch(text):
            raise FaultError(N_("no number of seconds"))
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
    number = float(text.replace(",", ".")) if NUMBER[mapping.decimal].fullmatch(text) else math.nan
    if number >= 0 and math.isfinite(number):
        return number
    problem = N_(
        "{path}: line {line}, column {column!r} is {text!r}; expected a number with decimal {decimal!r} and no "
        "grouping of thousands, or one of missing in the mapping"
    )
    raise DataError(
        N_("{path}: line {line}, column {column!r} is {text!r}; expected at least 0") if number < 0 else problem,
        path=where[0],
        line=where[1],
        column=where[2],
        text=text[:40],
        decimal=mapping.decimal,
    )
