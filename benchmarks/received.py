"""What a user receives where nothing changed: recordings written, cleaned, compared, the answer read.

Every server of a month of GWA-T-12 is cut at random places into two sides, each side is written as a recording of a
study, and the study's own steps answer, as the notebooks call them. Then the same with a fall put into the side after.
The simulated cells of `coverage.py` go the same way. `coverage.py` writes the tables into docs/calibration.md; alone
this prints those of the servers:

    python benchmarks/received.py FOLDER [--every 3] [--draws 1] [--days 3.5 7 14] [--month 2013-8]

Every third server is cut once, and of those every third has the falls too (a quarter of an hour on two cores).
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.errors import DataError
from virtio_study.recording import Provenance, Recording, write
from virtio_study.stats.hours import EDGE_S, FEWEST_DAYS, same_hours
from virtio_study.stats.methods import hac
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch
from virtio_study.study import load_study
from virtio_study.workflow.steps import compare

CONFIDENCE = 0.95
ROWS_A_DAY = 288
DAYS = (1 / 24, 0.25, 1.0, 3.5, 7.0, 14.0)
EVERY = 3
FALLS = (0.2, 0.3, 0.5, 0.88)
MONDAY_S = 1_372_636_800.0
"""2013-07-01, a Monday, when simulated series begin."""

UP_BEFORE_S = 200 * 86_400
"""The servers had been up for long when the month began."""

METRICS = {"cpu": "cpu_percent", "mem_displayed": "mem_used_kb"}
PROTOCOL = """\
title: {en: untouched, es: intacto}
source: recordings
host: {name: h, cpu_model: unknown, logical_cpus: 64, memory_bytes: 1024 GiB, hypervisor: unknown}
daily_cycle: DAILY
servers:
  server: {vmid: 100, role: {en: unknown, es: desconocido}, vcpus: 1, memory_bytes: 1024 GiB, disk_bytes: 1 GiB}
driver_configs:
  before: {label: {en: before, es: antes}}
  after: {label: {en: after, es: después}}
comparisons:
  total: {before: before, after: after, purpose: total, question: {en: what changed, es: qué cambió}}
metrics: [cpu, mem_displayed]
load:
  server: [{column: net_in_bytes_per_s, margin: 0.1}]
seed: 1
"""


class Job(NamedTuple):
    """One server cut at one place; `rows` are those of both sides on a regular grid, NaN where there is none.

    `before` of them are those of the side before.
    """

    month: str
    vm: int
    draw: int
    days: float
    start_s: float
    rows: dict[str, np.ndarray]
    before: int
    falls: bool
    step_s: float = 300.0
    daily: bool = True


def jobs(traces: pd.DataFrame, days: Iterable[float], draws: int, every: int = 1) -> Iterator[Job]:
    """Every `every`-th server at every length and draw, where two sides fit and both have rows; gaps stay."""
    for (month, vm), rows in traces.groupby(["month", "vm"], observed=True, sort=True):
        if int(vm) % every:
            continue
        values = {column: rows[column].to_numpy(dtype=np.float64) for column in (*METRICS.values(), "net_in_kb_s")}
        start = rows["time"].iloc[0].timestamp()
        for length in days:
            count = 2 * round(length * ROWS_A_DAY)
            for draw in range(draws):
                rng = np.random.default_rng([*str(month).encode(), int(vm), draw, round(100 * length)])
                if len(rows) < count:
                    continue
                first = int(rng.integers(0, len(rows) - count + 1))
                cut = {name: column[first : first + count] for name, column in values.items()}
                if any(np.isnan(side).all() for side in np.split(cut["cpu_percent"], 2)):
                    continue
                falls = int(vm) % (3 * every) == 0
                yield Job(str(month), int(vm), draw, length, start + 300.0 * first, cut, count // 2, falls)


def as_received(job: Job, fall: float = 0.0) -> ServerComparison:
    """The answer of the study's own steps to recordings of both sides; the side after is less by `fall`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data" / "untouched"
        folder.mkdir(parents=True)
        (folder / "study.yaml").write_text(PROTOCOL.replace("DAILY", str(job.daily).lower()))
        for number, config in enumerate(("before", "after")):
            frame = _frame(job, bool(number), 1 - fall if number else 1.0)
            path = folder / "recordings" / "server" / config / "api-01.parquet"
            provenance = Provenance(
                study="untouched", server="server", driver_config=config, replicate="api-01", kind="measured",
                source="GWA-T-12", collector_version="0", started_at="2013-07-01T00:00:00Z",
            )  # fmt: skip
            write(Recording(frame, provenance, path), folder)
        return compare(load_study(folder), "server")["total"]


def _frame(job: Job, after: bool, factor: float) -> pd.DataFrame:
    side = slice(job.before, None) if after else slice(job.before)
    cpu, memory, received = (job.rows[name][side] for name in ("cpu_percent", "mem_used_kb", "net_in_kb_s"))
    end_s = job.start_s + job.step_s * (np.arange(len(job.rows["cpu_percent"]))[side] + 1)
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(end_s, unit="s", utc=True).astype("datetime64[us, UTC]"),
            "step_s": job.step_s,
            "cpu_cores": cpu / 100 * factor,
            "cpu_allocated_cores": 1.0,
            "mem_displayed_bytes": memory * 1024 * factor,
            "mem_instrument": "host_cgroup",
            "mem_allocated_bytes": 2.0**40,
            "net_in_bytes_per_s": received * 1024,
            "uptime_s": UP_BEFORE_S + end_s - job.start_s,
            "consolidation": "AVERAGE",
        }
    )
    return frame[~np.isnan(cpu)]


def answers(job: Job) -> list[dict[str, Any]]:
    """One row a metric: what was received and what the estimator says of the same sides, without and with falls."""
    found = [_row(job, metric) for metric in METRICS]
    compared = as_received(job)
    refused = all(compared.effects[metric].difference is None for metric in METRICS)
    for fall in (0.0, *FALLS) if job.falls else (0.0,):
        if fall and not refused:  # a fall makes no side longer
            compared = as_received(job, fall)
        for row in found:
            effect = compared.effects[row["metric"]]
            if fall == 0:
                row["why"] = "" if effect.difference else effect.sentence
                row["verdict"] = compared.verdicts[row["metric"]].status if row["metric"] in compared.verdicts else ""
                row["load"] = (
                    next((item.answer for item in compared.load), None)
                    if hasattr(compared.load[0] if compared.load else None, "answer")
                    else None
                )
            shown = effect.difference is not None and effect.difference.excludes_zero
            row[f"received_{fall:g}"] = shown
            row[f"bound_{fall:g}"] = effect.bound is not None and effect.bound.excludes_zero
            row[f"robust_{fall:g}"] = bool(effect.robust)
            row[f"estimator_{fall:g}"], row[f"rival_{fall:g}"] = _estimator(job, METRICS[row["metric"]], fall)
    return found


def _row(job: Job, metric: str) -> dict[str, Any]:
    values = job.rows[METRICS[metric]]
    half = len(values) // 2
    constant = all(np.nanmax(side) == np.nanmin(side) for side in (values[:half], values[half:]))
    recorded = min(np.ptp(np.flatnonzero(~np.isnan(side))) + 1 for side in (values[:half], values[half:]))
    return {
        "month": job.month, "vm": job.vm, "draw": job.draw, "days": job.days, "metric": metric,
        "constant": constant, "recorded_days": recorded * job.step_s / 86_400, "falls": job.falls,
    }  # fmt: skip


def _estimator(job: Job, column: str, fall: float) -> tuple[bool | None, float | None]:
    """Whether the interval alone excludes zero, and HAC's distance of zero in half-widths; None where it refuses.

    Of sides that the rule of whole days refuses: what the interval beneath would have said.
    """
    values = job.rows[column].copy()
    values[job.before :] *= 1 - fall
    change_s = job.start_s + job.step_s * job.before
    pair = (
        Stretch(values[: job.before], job.start_s, job.step_s),
        Stretch(values[job.before :], change_s, job.step_s),
    )
    try:
        ready = same_hours(*pair, job.daily and job.days >= FEWEST_DAYS)
        usual = hac(*ready, CONFIDENCE)
    except DataError:
        return None, None
    reach = usual.high - usual.estimate
    distance = abs(usual.estimate) / reach if reach > 0 else 0.0
    try:
        return difference_of_series(*ready, CONFIDENCE).interval.excludes(0.0), distance
    except DataError:
        return None, distance


def simulated_job(number: int, cell: tuple[str, Any, int, bool]) -> Job:
    """Two independent series of a cell of `coverage.py`, one as CPU and one as memory, under a constant load."""
    from coverage import grid_series, stress_series

    kind, what, rows, daily = cell
    seed = [rows, int(daily), *kind.encode(), *str(what).encode()]
    drawn = []
    for metric in range(len(METRICS)):
        rng = np.random.default_rng([*seed, number, metric])
        drawn.append(grid_series(rng, rows, what, daily) if kind == "grid" else stress_series(rng, what, rows))
    series = [np.concatenate([side.values for side in pair]) for pair in drawn]
    # far from zero: what is measured is what the interval covers, and no server spends less than nothing
    columns = dict(zip(METRICS.values(), (1000 + values for values in series), strict=True))
    before, after = drawn[0]
    days = (before.end_s - before.start_s) / 86_400
    rows_of_both = {**columns, "net_in_kb_s": np.ones(len(series[0]))}
    return Job(kind, 0, number, days, MONDAY_S, rows_of_both, len(before.values), False, after.step_s, daily)


def simulated_cell(job: tuple[tuple[str, Any, int, bool], int]) -> dict[str, Any]:
    """What is received of one cell: the share refused, and of the rest the share of false alarms."""
    cell, count = job
    answered: dict[str, list[bool]] = {"received": [], "bound": [], "robust": []}
    refused = 0
    for number in range(count):
        compared = as_received(simulated_job(number, cell))
        for metric in METRICS:
            effect = compared.effects[metric]
            if effect.difference is None:
                refused += 1
                continue
            answered["received"].append(effect.difference.excludes_zero)
            answered["bound"].append(effect.bound is not None and effect.bound.excludes_zero)
            answered["robust"].append(bool(effect.robust))
    kind, what, rows, daily = cell
    return {
        "kind": kind,
        "process": what if kind == "stress" else None,
        "phi": what if kind == "grid" else None,
        "rows": rows,
        "daily": daily,
        "answers": len(METRICS) * count,
        "refused": refused / (len(METRICS) * count),
        "alarms": {name: float(np.mean(values)) if values else None for name, values in answered.items()},
    }


def simulated(count: int) -> list[dict[str, Any]]:
    """Every cell of the grid and of the stress set of `coverage.py`, `count` studies each with two series."""
    from coverage import jobs as cells

    found = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for done in pool.imap(simulated_cell, ((cell[:4], count) for cell in cells(count))):
            found.append(done)
            print(f"  as received: {done}", flush=True)
    return found


def measure(
    folder: Path, days: Iterable[float], draws: int, every: int, months: Iterable[str] | None = None
) -> pd.DataFrame:
    """Every answer as a row."""
    from gwa import load_traces

    traces = load_traces(folder)
    if months:
        traces = traces[traces["month"].isin(list(months))]
    found: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for rows in pool.imap(answers, jobs(traces, days, draws, every), chunksize=8):
            found += rows
    return pd.DataFrame(found)


def tables(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Shares by month, metric and length; pairs that are constant on both sides have nothing to judge."""
    found = []
    for (month, metric, days), cell in rows[~rows["constant"]].groupby(["month", "metric", "days"], sort=False):
        answered = cell[cell["why"] == ""]
        long = cell[(cell["recorded_days"] + EDGE_S / 86_400 >= FEWEST_DAYS) | (days < FEWEST_DAYS)]
        fallen = long[long["falls"]]
        alarms = {name: _share(answered[f"{name}_0"]) for name in ("received", "bound", "robust")}
        beneath = _share(cell["estimator_0"])
        found.append(
            {
                "month": month,
                "metric": metric,
                "days": days,
                "pairs": len(cell),
                "refused": 1 - len(answered) / len(cell),
                "short": 1 - len(long) / len(cell),
                "alarms": alarms,
                "estimator_alarms": beneath,
                "fallen": len(fallen),
                "power": _power(fallen, *_level(cell, answered, alarms["received"], beneath)) if len(fallen) else {},
            }
        )
    return found


def _level(
    cell: pd.DataFrame, answered: pd.DataFrame, received: float | None, beneath: float | None
) -> tuple[pd.DataFrame, float]:
    """The pairs and the share of false alarms at which a rival is held: ours, else that beneath a refusal, else 5 %."""
    if received is not None:
        return answered, received
    return cell, 1 - CONFIDENCE if beneath is None else beneath


def _power(fallen: pd.DataFrame, cell: pd.DataFrame, alarms: float) -> dict[str, dict[str, float | None]]:
    """Share of pairs in which each fall is shown; HAC is stretched until it has as many false alarms in these pairs."""
    known = cell["rival_0"].dropna()
    critical = np.quantile(known, 1 - alarms, method="higher") if len(known) else None
    return {
        f"{fall:g}": {
            **{name: _share(fallen[f"{name}_{fall:g}"]) for name in ("received", "robust", "estimator")},
            "rival": None if critical is None else float((fallen[f"rival_{fall:g}"].fillna(0.0) > critical).mean()),
        }
        for fall in FALLS
    }


def _share(answers: pd.Series) -> float | None:
    known = answers.dropna().astype(bool)
    return float(known.mean()) if len(known) else None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--every", type=int, default=EVERY, help="every so manieth server")
    parser.add_argument("--days", type=float, nargs="+", default=DAYS)
    parser.add_argument("--month", nargs="*")
    parser.add_argument("--rows", type=Path, help="write every answer to this Parquet file")
    wanted = parser.parse_args()
    rows = measure(wanted.folder, wanted.days, wanted.draws, wanted.every, wanted.month)
    if wanted.rows:
        rows.to_parquet(wanted.rows)
    for row in tables(rows):
        print(row)


if __name__ == "__main__":
    main()
