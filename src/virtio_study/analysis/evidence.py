"""The evidence about one server, driver configuration and metric: one shape for recordings and published numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.pve.vm_config import conditions, kernel_version
from virtio_study.recording import Provenance
from virtio_study.stats.elementary import mean, total
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import boot_levels, mean_change, steady_stretch
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch
from virtio_study.study import METRICS, Metric, Study

__all__ = ["FULL", "INSTRUMENT_COLUMNS", "TICK_S", "UNITS", "Side", "load_levels", "side_from_clean"]

TICK_S = 0.01
"""CPU time of a process advances in ticks of 10 ms (USER_HZ = 100 on every Linux that Proxmox VE runs on)."""

FULL = 0.9
"""Share of the host's CPU in use from which on its guests wait."""

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

    `load_series` holds the load of the one recording of a side without replicates. `hours` are the hours of the week
    (UTC, 0 to 167) that the rows cover; `randomised` says that boots ran in random order; `follows_day` that the work
    does. `host_busy` is the mean share of the host's CPU in use, by all its guests, `host_full` the share of rows with
    more than nine tenths in use. `drift` is second half less first half. `interruptions` counts rows left out, by
    reason. `conditions` are settings and versions besides the devices.
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
    load_series: Mapping[str, Stretch] = field(default_factory=dict)
    hours: frozenset[int] | None = None
    randomised: bool = False
    follows_day: bool = True
    host_busy: float | None = None
    host_full: float | None = None
    drift: Interval | None = None
    interruptions: Mapping[str, int] | None = None
    conditions: Mapping[str, str] | None = None
    host_kernel: tuple[int, int] | None = None
    guest_os: str | None = None


def side_from_clean(
    clean: pd.DataFrame,
    study: Study,
    server: str,
    driver_config: str,
    metric: Metric,
    provenances: Sequence[Provenance] = (),
) -> Side:
    """Evidence of a server under a driver configuration, from its cleaned rows.

    Parameters
    ----------
    clean : DataFrame, shape (rows, columns)
        From `cleaning.label_periods`.
    provenances : sequence of Provenance
        Of the recordings: accelerator, settings and versions.

    Raises
    ------
    DataError
        If the metric was not measured, or no boot reached a steady state.
    """
    column = METRICS[metric]
    levels = boot_levels(clean, column)
    levels = levels[levels["rows"] > 0]
    if levels.empty:
        raise DataError(
            "{server} under {driver_config}: no boot reached a steady state; record longer boots",
            server=server,
            driver_config=driver_config,
        )
    rows = clean[(clean["period"] == "steady") & clean[column].notna()]
    allocated = rows[ALLOCATION_COLUMNS.get(metric, "mem_allocated_bytes")].dropna().unique()
    bytes_shown = UNITS[metric] == "bytes"
    return Side(
        server=server,
        driver_config=driver_config,
        metric=metric,
        value=mean(levels["mean"]),
        unit=UNITS[metric],
        statistic="sustained mean",
        instrument=_one_of(rows, INSTRUMENT_COLUMNS[metric]) if metric in INSTRUMENT_COLUMNS else "process_ticks",
        largest=float(rows[column].max()),
        allocated=float(allocated[0]) if len(allocated) else None,
        allocation_constant=len(allocated) <= 1,
        load=load_levels(clean, study, server),
        replicates=len(levels),
        rows=int(levels["rows"].min()),
        seconds=min(total(boot["step_s"]) for _, boot in rows.groupby("replicate")),
        quantum=TICK_S / float(rows["step_s"].median()) if metric == "cpu" else None,
        accelerator=", ".join(sorted({p.accelerator for p in provenances if p.accelerator})) or None,
        place=f"recordings/{server}/{driver_config}",
        shown_unit="MiB" if bytes_shown else "cores",
        shown_scale=2.0**20 if bytes_shown else 1.0,
        load_series=_load_series(clean, study, server) if len(levels) == 1 else {},
        drift=_drift(rows, column, study.confidence),
        **_around(clean, rows, study, server, provenances),
    )


def _around(
    clean: pd.DataFrame, rows: pd.DataFrame, study: Study, server: str, provenances: Sequence[Provenance]
) -> dict[str, Any]:
    """What went on around the measurement; see `Side`."""
    return {
        "hours": _hours(rows),
        "randomised": study.source == "lab",
        "follows_day": study.daily_cycle,
        "interruptions": _interruptions(clean),
        "conditions": conditions(provenances) or None,
        "host_kernel": kernel_version(provenances),
        "guest_os": study.server(server).guest_os,
        **_host(rows, study),
    }


def _load_series(clean: pd.DataFrame, study: Study, server: str) -> dict[str, Stretch]:
    found = {}
    for item in study.load.get(server, []):
        if item.column in clean.columns and clean[item.column].notna().any():
            found[item.column] = steady_stretch(clean, item.column, item.column)
    return found


def _hours(rows: pd.DataFrame) -> frozenset[int]:
    middle = (rows["time"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds() - rows["step_s"] / 2
    # the first of January 1970 was a Thursday
    return frozenset(((middle // 3600 + 3 * 24) % 168).astype("int64").tolist())


def _host(rows: pd.DataFrame, study: Study) -> dict[str, Any]:
    """Mean share of the host's CPU in use and share of rows in which it was full; nothing if it was not recorded."""
    if "node_cpu_cores" not in rows.columns or rows["node_cpu_cores"].isna().all():
        return {}
    share = rows["node_cpu_cores"].dropna() / study.host.logical_cpus
    return {"host_busy": mean(share), "host_full": mean(share > FULL)}


def _drift(rows: pd.DataFrame, column: str, confidence: float) -> Interval | None:
    """Second half less first half: over boots, or within the one recording; None where neither can be had."""
    halves = []
    for _, boot in rows.groupby("replicate", sort=True):
        values = boot[column].to_numpy(dtype=float)
        middle = len(values) // 2
        if middle:
            halves.append((mean(values[:middle]), mean(values[middle:])))
    try:
        if len(halves) == 1:
            series = steady_stretch(rows, column, column)
            middle = len(series.values) // 2
            first = Stretch(series.values[:middle], series.start_s, series.step_s)
            second = Stretch(series.values[middle:], first.end_s, series.step_s)
            return difference_of_series(first, second, confidence).interval
        changes = [second - first for first, second in halves]
        return mean_change(changes, confidence)
    except DataError:
        return None


def _interruptions(clean: pd.DataFrame) -> dict[str, int]:
    """Rows left out, by reason; a start-up, a boot that never settled and what lies outside the windows are none."""
    usual = {"", "start-up", "before the load", "no steady state", "outside the window"}
    reasons = clean["reason"].astype("str")
    return {
        str(reason): int(count) for reason, count in reasons[~reasons.isin(usual)].value_counts().sort_index().items()
    }


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
