"""The paper's numbers as data, turned into the same evidence as recordings, so that they go through the same checks."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from virtio_study.analysis.evidence import TICK_S, UNITS, Side, Surroundings
from virtio_study.analysis.records import Number, Recorded
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.pve.vm_config import proxmox_kernel
from virtio_study.study import Study

__all__ = [
    "CITATION",
    "PVE_CYCLE_S",
    "PublishedValue",
    "TableRow",
    "load_values",
    "same_statistic_pair",
    "sides",
    "table_rows",
]

CITATION: dict[str, str] = {
    "authors": "Pacheco Leyva J, Lugo García R",
    "title": "Beneficios de la instalación de drivers VirtIO en la virtualización de servidores",
    "title_en": "Benefits of Installing VirtIO Drivers in Server Virtualization",
    "institutions": "Universidad de Ciencias Médicas de Camagüey; Hospital Docente Martín Chang (Puga), Nuevitas, Cuba",
    "received": "2024-04-22",
    "accepted": "2024-09-11",
    "year": "2024",
    "language": "es",
}

PVE_CYCLE_S = 10.0
"""Proxmox VE samples a server every 10 s (pvestatd `$updatetime`), so a CPU reading advances by one tick in 10 s."""

COLUMNS = (
    *("id", "server", "metric", "driver_config", "value", "unit", "statistic_text", "statistic", "place", "repeats"),
    *("instrument", "replicates", "rows", "seconds", "caption_server", "note"),
)
BYTES = {"MB": 1e6, "GB": 1e9}
PREFIX_FACTOR = {"MB": 2**20 / 1e6, "GB": 2**30 / 1e9}


class PublishedValue(Recorded):
    """One printed number with its place; `printed` keeps its digits, `repeats` names the value that it prints again.

    `value` is the number in its printed unit.
    """

    id: str
    server: str
    metric: str
    driver_config: str
    printed: str
    value: Number
    unit: str
    statistic_text: str
    statistic: str
    place: str
    repeats: str
    instrument: str
    replicates: int | None
    rows: int | None
    seconds: Number | None
    caption_server: str
    note: str

    @property
    def resolution(self) -> float:
        """Half a unit of the last printed digit: how far rounding can have moved the number."""
        decimals = len(self.printed.partition(".")[2])
        return float(f"0.5e-{decimals}")


@dataclass(frozen=True)
class TableRow:
    """A row of the paper's table: both sides and the difference, as printed and as computed, in the printed unit."""

    server: str
    metric: str
    before: PublishedValue
    after: PublishedValue
    printed_difference: PublishedValue
    difference: float
    relative: float

    @property
    def agrees(self) -> bool:
        """Whether the printed difference (before minus after) is the computed one but for rounding."""
        return abs(-self.difference - self.printed_difference.value) <= self.printed_difference.resolution * (1 + 1e-9)


def load_values(folder: Path) -> dict[str, PublishedValue]:
    """Read `values.csv` of a published study: `{id: value}` in the order of the file.

    Raises
    ------
    DataError
        If the file is missing, a column is missing or unknown, an id is repeated, a number is not one, or `repeats`
        names no row.
    """
    path = folder / "values.csv"
    if not path.exists():
        raise DataError(N_("{path}: missing; a published study needs it; restore it from version control"), path=path)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DataError(
                N_("{path}:1: columns are {found}; expected {columns}"),
                path=path,
                found=reader.fieldnames,
                columns=", ".join(COLUMNS),
            )
        values: dict[str, PublishedValue] = {}
        for row in reader:
            where = f"{path}:{reader.line_num}"
            value = _value(row, where)
            if value.id in values:
                raise DataError(
                    N_("{where}: id {id!r} is there already; every number needs its own"), where=where, id=value.id
                )
            values[value.id] = value
    for value in values.values():
        if value.repeats and value.repeats not in values:
            raise DataError(
                N_("{path}: {id} repeats {repeats!r}, which is not an id of this file"),
                path=path,
                id=value.id,
                repeats=value.repeats,
            )
    return values


def _value(row: dict[str, str], where: str) -> PublishedValue:
    if None in row or None in row.values():
        raise DataError(
            N_("{where}: expected {columns} fields; quote a text that has a comma"), where=where, columns=len(COLUMNS)
        )
    numbers = {name: _number(row[name], name, where) for name in ("value", "replicates", "rows", "seconds")}
    if numbers["value"] is None:
        raise DataError(N_("{where}: value is empty; expected the printed number"), where=where)
    return PublishedValue(
        **{name: row[name] for name in COLUMNS if name not in numbers},
        printed=row["value"],
        value=numbers["value"],
        replicates=None if numbers["replicates"] is None else int(numbers["replicates"]),
        rows=None if numbers["rows"] is None else int(numbers["rows"]),
        seconds=numbers["seconds"],
    )


def _number(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        raise DataError(
            N_("{where}: {name} is {text!r}; expected a number such as 21.44, or nothing"),
            where=where,
            name=name,
            text=text,
        ) from None
    if not 0 <= number < float("inf"):
        raise DataError(
            N_("{where}: {name} is {text!r}; expected a finite number of at least 0"), where=where, name=name, text=text
        )
    return number


def table_rows(study: Study, values: dict[str, PublishedValue]) -> list[TableRow]:
    """The paper's table, its differences computed again; a side is a `Table` row with a driver configuration.

    Raises
    ------
    DataError
        If the table lacks a side or a difference for a server and metric of the study.
    """
    comparison = next(iter(study.comparisons.values()))
    table = [value for value in values.values() if value.place.startswith("Table")]
    rows = []
    for server in study.servers:
        for metric in study.metrics:
            cells = {v.driver_config: v for v in table if v.server == server and v.metric == metric}
            missing = [side for side in (comparison.before, comparison.after, "") if side not in cells]
            if missing:
                what = missing[0] or said(N_("the difference"))
                raise DataError(
                    N_("{path}: no table row of {server}, {metric}, {what}"),
                    path=study.folder / "values.csv",
                    server=server,
                    metric=metric,
                    what=what,
                )
            before, after, printed = cells[comparison.before], cells[comparison.after], cells[""]
            difference = _in_unit(after, printed.unit) - _in_unit(before, printed.unit)
            relative = difference / _in_unit(before, printed.unit)
            rows.append(TableRow(server, metric, before, after, printed, difference, relative))
    return rows


def _in_unit(value: PublishedValue, unit: str) -> float:
    return value.value if value.unit == unit else value.value * BYTES[value.unit] / BYTES[unit]


def sides(study: Study, values: dict[str, PublishedValue]) -> dict[tuple[str, str], tuple[Side, Side]]:
    """Evidence of every table row, with what its figures say: `{(server, metric): (before, after)}`."""
    return {
        (row.server, row.metric): (_side(study, values, row.before), _side(study, values, row.after))
        for row in table_rows(study, values)
    }


def _side(study: Study, values: dict[str, PublishedValue], cell: PublishedValue) -> Side:
    """Evidence of a table cell; statistic, instrument and amounts are those of the figure that it repeats."""
    origin = values[cell.repeats] if cell.repeats else cell
    server = study.server(cell.server)
    cpu = cell.metric == "cpu"
    if not cpu and cell.unit not in BYTES:
        raise DataError(
            N_("{path}: {id}: unit is {unit!r}; expected one of {known}"),
            path=study.folder / "values.csv",
            id=cell.id,
            unit=cell.unit,
            known=", ".join(BYTES),
        )
    # Proxmox VE's percentage is of the server's own vCPUs, not of the host
    scale = server.vcpus / 100 if cpu else BYTES[cell.unit]
    return Side(
        server=cell.server,
        driver_config=cell.driver_config,
        metric=cell.metric,
        value=cell.value * scale,
        unit=UNITS[cell.metric],
        statistic=origin.statistic,
        instrument=origin.instrument or None,
        allocated=float(server.vcpus) if cpu else float(server.memory_bytes),
        replicates=origin.replicates,
        rows=origin.rows,
        seconds=origin.seconds,
        quantum=TICK_S / PVE_CYCLE_S if cpu else None,
        place=", ".join(dict.fromkeys((origin.place, cell.place))),
        shown_unit=cell.unit,
        shown_scale=scale,
        prefix_factor=PREFIX_FACTOR.get(cell.unit, 1.0),
        around=Surroundings(host_kernel=proxmox_kernel(study.host.hypervisor), guest_os=server.guest_os),
    )


def same_statistic_pair(
    study: Study, values: Iterable[PublishedValue], row: TableRow
) -> tuple[PublishedValue, PublishedValue] | None:
    """Two figures' values of the row's server and metric, one a side, with one statistic; None if there are none."""
    comparison = next(iter(study.comparisons.values()))
    figures = [v for v in values if v.place.startswith("Figure") and (v.server, v.metric) == (row.server, row.metric)]
    for before in figures:
        for after in figures:
            same = before.statistic == after.statistic
            if same and (before.driver_config, after.driver_config) == (comparison.before, comparison.after):
                return before, after
    return None
