"""The evidence about one server, driver configuration and metric: one shape for recordings and published numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from virtio_study.analysis.arms import Arm, not_steady
from virtio_study.analysis.ingredients import settings_of
from virtio_study.analysis.scheduled import schedule_of
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import said
from virtio_study.pve.vm_config import kernel_version
from virtio_study.stats.elementary import mean, total
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import mean_change
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch
from virtio_study.study import METRICS, Metric, Study

__all__ = ["FULL", "INSTRUMENT_COLUMNS", "TICK_S", "UNITS", "Side", "Surroundings", "side_of", "surroundings_of"]

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
class Surroundings:
    """What went on around a side, whatever the metric; None is "not known", never a guess.

    `hours` are the hours of the week (UTC, 0 to 167) that its rows cover; `randomised` says that boots ran in random
    order, `scheduled` that they are blocks whose configuration was drawn; `follows_day` that the work does. `host_busy`
    is the mean share of the host's CPU in use, by all its guests, `host_full` the share of rows with more than nine
    tenths in use. `interruptions` counts rows left out, by reason.
    `settings` are the ingredients, settings and versions that are known.
    """

    hours: frozenset[int] | None = None
    randomised: bool = False
    scheduled: bool = False
    follows_day: bool = True
    host_busy: float | None = None
    host_full: float | None = None
    interruptions: Mapping[str, int] | None = None
    settings: Mapping[str, str] | None = None
    accelerator: str | None = None
    host_kernel: tuple[int, int] | None = None
    guest_os: str | None = None


@dataclass(frozen=True)
class Side:
    """What is known of one side of a comparison; None is "not known", never a guess.

    `value`, `largest`, `allocated`, `declared` (by the protocol) and `quantum` are in `unit` ("cores" or "bytes");
    `shown_unit` and `shown_scale` (units in one shown unit) say how readers see them. `replicates` counts boots; `rows`
    and `seconds` are the fewest that any of them has. `prefix_factor` is how much greater a number would be if its
    unit's prefix were read as binary (1.0: no ambiguity). `drift` is second half less first half; `boots`
    are the start, Unix seconds, and the level of each boot. `overwritten`: the displayed memory is not what Proxmox VE
    makes of the balloon statistics in the same answers.
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
    declared: float | None = None
    replicates: int | None = None
    rows: int | None = None
    seconds: float | None = None
    quantum: float | None = None
    place: str = ""
    shown_unit: str = ""
    shown_scale: float = 1.0
    prefix_factor: float = 1.0
    drift: Interval | None = None
    boots: tuple[tuple[float, float], ...] | None = None
    overwritten: bool = False
    restarts: int = 0
    around: Surroundings = field(default_factory=Surroundings)


def surroundings_of(arm: Arm, study: Study) -> Surroundings:
    """What the rows and the provenance of a side say of what went on around it."""
    rows = arm.steady
    busy, full = _host(rows, study)
    return Surroundings(
        hours=_hours(rows),
        randomised=study.source == "lab",
        scheduled=schedule_of(study, arm.server) is not None,
        follows_day=study.daily_cycle,
        host_busy=busy,
        host_full=full,
        interruptions=_interruptions(arm),
        settings=settings_of(arm, study),
        accelerator=", ".join(sorted({p.accelerator for p in arm.provenances if p.accelerator})) or None,
        host_kernel=kernel_version(arm.provenances),
        guest_os=study.server(arm.server).guest_os,
    )


def side_of(arm: Arm, study: Study, metric: Metric, around: Surroundings) -> Side:
    """Evidence of one metric of an arm.

    Parameters
    ----------
    arm : Arm
        The boots of a server under a driver configuration.
    around : Surroundings
        Of the same arm.

    Raises
    ------
    DataError
        If no boot reached a steady state.
    """
    column = METRICS[metric]
    boots, levels = arm.steady_boots(column), arm.levels(column)
    if not levels:
        raise not_steady(arm)
    rows = arm.steady[arm.steady[column].notna()]
    allocated = rows[ALLOCATION_COLUMNS.get(metric, "mem_allocated_bytes")].dropna().unique()
    bytes_shown = UNITS[metric] == "bytes"
    given = study.server(arm.server)
    return Side(
        server=arm.server,
        driver_config=arm.driver_config,
        metric=metric,
        value=mean(level.mean for level in levels),
        unit=UNITS[metric],
        statistic="sustained mean",
        instrument=_one_of(rows, INSTRUMENT_COLUMNS[metric]) if metric in INSTRUMENT_COLUMNS else "process_ticks",
        largest=float(rows[column].max()),
        allocated=float(allocated[0]) if len(allocated) else None,
        allocation_constant=len(allocated) <= 1,
        declared=float(given.vcpus if metric == "cpu" else given.memory_bytes),
        replicates=len(levels),
        rows=min(level.rows for level in levels),
        seconds=min(total(boot.steady.loc[boot.steady[column].notna(), "step_s"]) for boot in boots),
        quantum=TICK_S / float(rows["step_s"].median()) if metric == "cpu" else None,
        place=f"recordings/{arm.server}/{arm.driver_config}",
        shown_unit="MiB" if bytes_shown else "cores",
        shown_scale=2.0**20 if bytes_shown else 1.0,
        drift=_drift(arm, column, study.confidence),
        boots=tuple((boot.start_s, boot.level(column).mean) for boot in boots),
        overwritten=metric == "mem_displayed" and _overwritten(rows),
        around=around,
    )


def _overwritten(rows: pd.DataFrame) -> bool:
    """Whether rows with balloon statistics display something else."""
    if "mem_guest_instrument" not in rows.columns:
        return False
    return bool((rows["mem_instrument"].eq("unknown") & rows["mem_guest_instrument"].eq("guest_stats")).any())


def _hours(rows: pd.DataFrame) -> frozenset[int]:
    middle = (rows["time"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds() - rows["step_s"] / 2
    # the first of January 1970 was a Thursday
    return frozenset(((middle // 3600 + 3 * 24) % 168).astype("int64").tolist())


def _host(rows: pd.DataFrame, study: Study) -> tuple[float | None, float | None]:
    """Mean share of the host's CPU in use and share of rows in which it was full; None if it was not recorded."""
    if "node_cpu_cores" not in rows.columns or rows["node_cpu_cores"].isna().all():
        return None, None
    share = rows["node_cpu_cores"].dropna() / study.host.logical_cpus
    return mean(share), mean(share > FULL)


def _drift(arm: Arm, column: str, confidence: float) -> Interval | None:
    """Second half less first half: over boots, or within the one recording; None where neither can be had."""
    boots = arm.steady_boots(column)
    try:
        if len(boots) == 1:
            series = boots[0].stretch(column, said("{column:column}", column=column))
            middle = len(series.values) // 2
            first = Stretch(series.values[:middle], series.start_s, series.step_s)
            second = Stretch(series.values[middle:], first.end_s, series.step_s)
            return difference_of_series(first, second, confidence).interval
        halves = [(values, len(values) // 2) for values in arm.steady_values(column) if len(values) > 1]
        return mean_change([mean(values[at:]) - mean(values[:at]) for values, at in halves], confidence)
    except DataError:
        return None


def _interruptions(arm: Arm) -> dict[str, int]:
    """Rows left out, by reason; a start-up, a boot that never settled and what lies outside the windows are none."""
    usual = {"", "start-up", "before the load", "wash-out", "no steady state", "outside the window"}
    reasons = pd.concat([boot.rows["reason"] for boot in arm.boots]).astype("str")
    return {
        str(reason): int(count) for reason, count in reasons[~reasons.isin(usual)].value_counts().sort_index().items()
    }


def _one_of(rows: pd.DataFrame, column: str) -> str:
    """The rows' instrument; "mixed" if they disagree: a level over two instruments is one of neither."""
    names = set(rows[column]) if column in rows.columns else {"unknown"}
    return str(names.pop()) if len(names) == 1 else "mixed"
