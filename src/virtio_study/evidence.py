"""The evidence about one server, driver configuration and metric: one shape for recordings and published numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.stats.levels import boot_levels
from virtio_study.study import METRICS, Metric, Study

__all__ = ["INSTRUMENT_COLUMNS", "TICK_S", "UNITS", "Side", "load_levels", "side_from_clean"]

TICK_S = 0.01
"""CPU time of a process advances in ticks of 10 ms (USER_HZ = 100 on every Linux that Proxmox VE runs on)."""

INSTRUMENT_COLUMNS: dict[str, str] = {
    "mem_displayed": "mem_instrument",
    "mem_host": "mem_host_instrument",
    "mem_guest": "mem_guest_instrument",
}
ALLOCATION_COLUMNS = {"cpu": "cpu_allocated_cores"}
UNITS: dict[str, str] = {"cpu": "cores", "mem_displayed": "bytes", "mem_host": "bytes", "mem_guest": "bytes"}
"""Unit in which a metric is stored and calculated."""


@dataclass(frozen=True)
class Side:
    """What is known of one side of a comparison; None is "not known", never a guess.

    `value`, `largest`, `allocated` and `quantum` are in `unit` ("cores" or "bytes"); `shown_unit` and `shown_scale`
    (units in one shown unit) say how readers see them. `replicates` counts boots; `rows` and `seconds` are the fewest
    that any of them has. `load` holds levels a boot by column, None for a column that was not recorded. `prefix_factor`
    is how much greater a number would be if its unit's prefix were read as binary (1.0: no ambiguity).
    """

    server: str
    driver_config: str
    metric: str
    value: float
    unit: str
    statistic: str
    instrument: str | None = None
    largest: float | None = None
    allocated: float | None = None
    allocation_constant: bool = True
    load: Mapping[str, tuple[float, ...] | None] = field(default_factory=dict)
    replicates: int | None = None
    rows: int | None = None
    seconds: float | None = None
    quantum: float | None = None
    accelerator: str | None = None
    place: str = ""
    shown_unit: str = ""
    shown_scale: float = 1.0
    prefix_factor: float = 1.0


def side_from_clean(
    clean: pd.DataFrame,
    study: Study,
    server: str,
    driver_config: str,
    metric: Metric,
    accelerator: str | None = None,
) -> Side:
    """Evidence of a server under a driver configuration, from its cleaned rows.

    Parameters
    ----------
    clean : DataFrame, shape (rows, columns)
        From `cleaning.label_periods`.
    accelerator : str, optional
        "tcg" or "kvm", from the recordings' provenance.

    Raises
    ------
    DataError
        If the metric was not measured, or no boot reached a steady state.
    """
    column = METRICS[metric]
    levels = boot_levels(clean, column)
    levels = levels[levels["rows"] > 0]
    if levels.empty:
        raise DataError(f"{server} under {driver_config}: no boot reached a steady state; record longer boots")
    rows = clean[(clean["period"] == "steady") & clean[column].notna()]
    allocated = rows[ALLOCATION_COLUMNS.get(metric, "mem_allocated_bytes")].dropna().unique()
    bytes_shown = UNITS[metric] == "bytes"
    return Side(
        server=server,
        driver_config=driver_config,
        metric=metric,
        value=float(levels["mean"].mean()),
        unit=UNITS[metric],
        statistic="sustained mean",
        instrument=_one_of(rows, INSTRUMENT_COLUMNS[metric]) if metric in INSTRUMENT_COLUMNS else "process_ticks",
        largest=float(rows[column].max()),
        allocated=float(allocated[0]) if len(allocated) else None,
        allocation_constant=len(allocated) <= 1,
        load=load_levels(clean, study, server),
        replicates=len(levels),
        rows=int(levels["rows"].min()),
        seconds=float(rows.groupby("replicate")["step_s"].sum().min()),
        quantum=TICK_S / float(rows["step_s"].median()) if metric == "cpu" else None,
        accelerator=accelerator,
        place=f"recordings/{server}/{driver_config}",
        shown_unit="MiB" if bytes_shown else "cores",
        shown_scale=2.0**20 if bytes_shown else 1.0,
    )


def load_levels(clean: pd.DataFrame, study: Study, server: str) -> dict[str, tuple[float, ...] | None]:
    """Steady level of each of the server's load columns, boot by boot; None for a column without values."""
    load: dict[str, tuple[float, ...] | None] = {}
    for item in study.load.get(server, []):
        if item.column not in clean.columns or clean[item.column].isna().all():
            load[item.column] = None
            continue
        levels = boot_levels(clean, item.column)
        means = levels.loc[levels["rows"] > 0, "mean"]
        load[item.column] = tuple(float(value) for value in means) or None
    return load


def _one_of(rows: pd.DataFrame, column: str) -> str:
    """The rows' instrument; "mixed" if they disagree: a level over two instruments is one of neither."""
    names = set(rows[column]) if column in rows.columns else {"unknown"}
    return str(names.pop()) if len(names) == 1 else "mixed"
