"""The mapping file of a CSV table: which column is what, in which unit, and what the time means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.recording import INSTRUMENTS, SCHEMA
from virtio_study.study.faults import fault, read_yaml

__all__ = ["SHARES", "UNITS", "CsvMapping", "TimeColumn", "ValueColumn", "load_mapping", "units"]

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
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _listed(value: object) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])]


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
    only: {vmid: "100"}
    mem_instrument: unknown

    `only` takes the rows of this server from a table of several: a column and its value, or a list of its values.
    """

    time: TimeColumn
    step_s: float = Field(gt=0)
    columns: dict[str, ValueColumn] = Field(min_length=1)
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    missing: list[str] = Field(default_factory=lambda: ["", "NaN", "nan", "NA", "null", "-"])
    only: dict[str, Annotated[list[str], BeforeValidator(_listed)]] = Field(default_factory=dict)
    mem_instrument: InstrumentName = "unknown"
    mem_host_instrument: InstrumentName = "unknown"
    mem_guest_instrument: InstrumentName = "unknown"


def load_mapping(path: Path) -> CsvMapping:
    """Read a mapping file (YAML); `StudyError` names the file, the key and what was expected."""
    node, data = read_yaml(path)
    try:
        mapping = CsvMapping.model_validate(data)
    except ValidationError as error:
        faults = [fault(path, node, item, _fields) for item in error.errors()[:3]]
        raise StudyError("{faults}", faults=faults) from error
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
        if source.unit not in units(name):
            raise StudyError(
                N_("{path}: columns.{name}.unit is {unit!r}; expected one of {known}"),
                path=path,
                name=name,
                unit=source.unit,
                known=", ".join(units(name)),
            )
    _check_time(path, mapping.time)
    return mapping


def units(name: str) -> dict[str, float]:
    """Units that a column of the schema may be given in, by the end of its name, and the factor of each."""
    return next(found for end, found in UNITS.items() if name.endswith(end))


def _fields(location: Sequence[Any]) -> list[str]:
    """Valid keys of the model at a location of the file."""
    model: type[BaseModel] = CsvMapping
    if location:
        model = TimeColumn if location[0] == "time" else ValueColumn
    return [*model.model_fields]


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


assert set(INSTRUMENTS) == set(get_args(InstrumentName))
