"""What the intervals for a difference cover where the truth is known: simulated series and untouched servers.

Writes docs/calibration.md and src/virtio_study/stats/calibration.json (which the report's methods show). Every cell has
its own seed; the numbers are the same on every run of the same versions of numpy and scipy.

    python benchmarks/coverage.py                            the simulated part (half an hour on two cores)
    python benchmarks/coverage.py --traces FOLDER            and the placebo parts, on GWA-T-12 traces, kept elsewhere
    python benchmarks/coverage.py --received [--traces FOLDER]  only what a user receives; the rest stays as it was
    python benchmarks/coverage.py --switchback FOLDER        only switchbacks, on those traces; the rest stays as it was
    python benchmarks/coverage.py --series 200 --out FOLDER  a quick look, written elsewhere
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter
from scipy.stats import mannwhitneyu, t

from virtio_study.errors import DataError
from virtio_study.stats.controls import controls
from virtio_study.stats.hours import same_hours
from virtio_study.stats.interval import Interval
from virtio_study.stats.methods import METHODS
from virtio_study.stats.series import difference_of_series, fit, level_of_series
from virtio_study.stats.stretch import Stretch

ROOT = Path(__file__).parents[1]
CONFIDENCE = 0.95
LENGTHS, PHIS, CYCLES = (70, 336, 1440, 10080), (0.0, 0.5, 0.9, 0.95), (False, True)
ROWS_PER_DAY = {70: 48, 336: 48, 1440: 1440, 10080: 1440}
STRESS_LENGTHS = (336, 1440, 10080)
SLOW = {"hac": 400, "bootstrap": 400}
"""Series a cell for methods that take long; the standard error is then 1 point instead of 0.5."""
DRAWS = 4
"""Places at which every trace is cut."""

TRACE_DAYS = (1.0, 3.5, 7.0, 14.0)
USUAL = ("series", "halves", "welch", "hac", "bootstrap")

Sides = tuple[Stretch, Stretch]


def ar1(rng: np.random.Generator, phi: float, rows: int) -> np.ndarray:
    noise = rng.standard_normal(rows)
    noise[1:] *= np.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], noise)


def sides(values: np.ndarray, rows: int, per_day: int = 1440) -> Sides:
    step = 86_400 / per_day
    return Stretch(values[:rows], 0.0, step), Stretch(values[rows:], rows * step, step)


def grid_series(rng: np.random.Generator, rows: int, phi: float, cycle: bool) -> Sides:
    values = 50 + ar1(rng, phi, 2 * rows)
    if cycle:
        angle = 2 * np.pi * np.arange(2 * rows) / ROWS_PER_DAY[rows]
        values += np.cos(angle + rng.uniform(0, 2 * np.pi)) + 0.5 * np.cos(2 * angle + rng.uniform(0, 2 * np.pi))
    return sides(values, rows, ROWS_PER_DAY[rows])


def fractional(rng: np.random.Generator, rows: int, d: float = 0.3) -> np.ndarray:
    lags = np.arange(1, 2 * rows)
    weights = np.concatenate([[1.0], np.cumprod((lags - 1 + d) / lags)])
    noise = rng.standard_normal(4 * rows)
    return np.fft.irfft(np.fft.rfft(noise, 8 * rows) * np.fft.rfft(weights, 8 * rows), 8 * rows)[2 * rows : 4 * rows]


def cycle_of_ten(rng: np.random.Generator, rows: int) -> np.ndarray:
    noise = rng.standard_normal(rows + 500)
    return lfilter([1.0], [1.0, -2 * 0.95 * np.cos(2 * np.pi / 10), 0.95**2], noise)[500:]


def day_levels(rng: np.random.Generator, rows: int) -> np.ndarray:
    per_day = ROWS_PER_DAY[rows]
    return ar1(rng, 0.5, 2 * rows) + rng.standard_normal(2 * rows // per_day)[np.arange(2 * rows) // per_day]


STRESS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "AR(1) .95 + white noise": lambda rng, n: ar1(rng, 0.95, 2 * n) + rng.standard_normal(2 * n),
    "AR(1) .99 + white noise": lambda rng, n: ar1(rng, 0.99, 2 * n) + rng.standard_normal(2 * n),
    "lognormal AR(1) .9": lambda rng, n: np.exp(ar1(rng, 0.9, 2 * n)),
    "long memory, d = .3": fractional,
    "AR(1) .9 + spikes": lambda rng, n: ar1(rng, 0.9, 2 * n) + 10 * (rng.random(2 * n) < 0.01),
    "AR(2), cycle of 10 rows": lambda rng, n: cycle_of_ten(rng, 2 * n),
    "a level for every day": day_levels,
    "AR(1) .95 sd 1, then .5 sd .2": lambda rng, n: np.concatenate([ar1(rng, 0.95, n), 0.2 * ar1(rng, 0.5, n)]),
    "lengths 4 : 1, AR(1) .95": lambda rng, n: ar1(rng, 0.95, n + n // 4),
}


def reml_width(series: Sides) -> float:
    """Width of the interval of a correctly specified model: one AR(1) with a step, restricted likelihood over phi."""
    values = np.concatenate([side.values for side in series])
    step = np.concatenate([np.zeros(len(series[0].values)), np.ones(len(series[1].values))])
    design = np.column_stack([np.ones_like(step), step, values])
    whole, inner = design.T @ design, design[1:-1].T @ design[1:-1]
    lagged = design[:-1].T @ design[1:]
    best, error = -np.inf, np.nan
    for phi in np.concatenate([np.linspace(-0.5, 0.9, 57), np.linspace(0.905, 0.999, 95)]):
        gram = whole + phi**2 * inner - phi * (lagged + lagged.T)
        effects = np.linalg.solve(gram[:2, :2], gram[:2, 2])
        rss = gram[2, 2] - gram[:2, 2] @ effects
        likelihood = 0.5 * np.log1p(-(phi**2)) - 0.5 * np.linalg.slogdet(gram[:2, :2])[1]
        likelihood -= 0.5 * (len(values) - 2) * np.log(rss)
        if likelihood > best:
            best, error = likelihood, np.sqrt(rss / (len(values) - 2) * np.linalg.inv(gram[:2, :2])[1, 1])
    return float(2 * t.ppf((1 + CONFIDENCE) / 2, len(values) - 2) * error)


def cell(job: tuple[str, Any, int, bool, int]) -> dict[str, Any]:
    """Coverage of every method in one cell; `daily` series go through the rule for servers with days."""
    kind, what, rows, daily, count = job
    seed = [rows, int(daily), *kind.encode(), *str(what).encode()]
    refused, reml, widths = 0, [], []
    covered: dict[str, list[bool]] = {name: [] for name in USUAL}
    beneath = []
    for number in range(count):
        rng = np.random.default_rng([*seed, number])
        raw = grid_series(rng, rows, what, daily) if kind == "grid" else stress_series(rng, what, rows)
        try:
            ready = same_hours(*raw, daily)
        except DataError:
            refused += 1
            interval = difference_of_series(*raw, CONFIDENCE).interval
            beneath.append(not interval.excludes(0.0))
            continue
        for name in USUAL:
            if number < SLOW.get(name, count):
                covered[name].append(not METHODS[name](*ready, CONFIDENCE).excludes(0.0))
        interval = difference_of_series(*ready, CONFIDENCE).interval
        widths.append(interval.high - interval.low)
        if kind == "grid" and not daily and number < 400:
            reml.append(reml_width(raw))
    return {
        "kind": kind,
        "process": what if kind == "stress" else None,
        "phi": what if kind == "grid" else None,
        "rows": rows,
        "daily": daily,
        "series": count,
        "refused": refused / count,
        "covered": {name: float(np.mean(values)) if values else None for name, values in covered.items()},
        "covered_if_not_refused": float(np.mean(beneath)) if beneath else None,
        "width_of_reml": float(np.median(widths) / np.median(reml)) if reml else None,
    }


def stress_series(rng: np.random.Generator, process: str, rows: int) -> Sides:
    return sides(STRESS[process](rng, rows), rows, ROWS_PER_DAY[rows])


def other_estimators(count: int) -> list[dict[str, Any]]:
    """Coverage of the other answers of the same machinery, on skewed positive series with known truth."""
    rows, found = 1440, []
    for phi in (0.5, 0.9):
        hits: dict[str, list[bool]] = {"mean": [], "median": [], "peak": [], "ratio": [], "level": []}
        for number in range(count):
            rng = np.random.default_rng([7, int(100 * phi), number])
            before, after = sides(np.exp(0.5 * ar1(rng, phi, 2 * rows)), rows)
            for name in ("mean", "median", "peak"):
                hits[name].append(not difference_of_series(before, after, CONFIDENCE, name).interval.excludes(0.0))
            ratio = fit(before, after).ratio(CONFIDENCE)
            hits["ratio"].append(ratio is not None and not ratio.excludes(0.0))
            hits["level"].append(not level_of_series(before, CONFIDENCE).excludes(float(np.exp(0.125))))
        found.append(
            {"phi": phi, "rows": rows, "series": count, "covered": {k: float(np.mean(v)) for k, v in hits.items()}}
        )
    return found


def placebo(folder: Path) -> list[dict[str, Any]]:
    """False alarms where nothing was done: every server of a month cut at four random times."""
    from gwa import load_traces

    traces = load_traces(folder)
    found = []
    for month, of_month in traces.groupby("month", observed=True):
        for metric in ("cpu_percent", "mem_used_kb"):
            for days in TRACE_DAYS:
                row = placebo_cell(of_month, metric, days)
                found.append({"month": str(month), "metric": metric, "days": days, **row})
                print(f"  {month} {metric} {days:g} d: {found[-1]['alarms']}", flush=True)
    return found


def placebo_cell(traces: Any, metric: str, days: float) -> dict[str, Any]:
    names = (*METHODS, "mann_whitney", "series_and_halves")
    alarms: dict[str, list[bool]] = {name: [] for name in names}
    ours: list[Interval] = []
    refused = 0
    for vm, rows in traces.groupby("vm", sort=True):
        values, start = rows[metric].to_numpy(dtype=np.float64), rows["time"].iloc[0].timestamp()
        for draw in range(DRAWS):
            pair = cut(values, start, days, np.random.default_rng([int(vm), draw, int(10 * days), len(metric)]))
            if pair is None:
                continue
            try:
                ready = same_hours(*pair, True)
            except DataError:
                refused += 1
                ready = pair  # one day a side is refused; what the interval beneath would have said is still counted
            try:
                answers = {name: METHODS[name](*ready, CONFIDENCE) for name in METHODS}
            except DataError:
                continue
            ours.append(answers["series"])
            for name, interval in answers.items():
                alarms[name].append(interval.excludes(0.0))
            alarms["series_and_halves"].append(alarms["series"][-1] and alarms["halves"][-1])
            before, after = (side.values[~np.isnan(side.values)] for side in ready)
            alarms["mann_whitney"].append(mannwhitneyu(before, after).pvalue < 1 - CONFIDENCE)
    return {
        "compared": len(ours),
        "refused": refused / max(len(ours), 1),
        "alarms": {name: float(np.mean(values)) for name, values in alarms.items()},
        "widening": controls(ours).widening,
        "relative_half_width": float(np.median([(i.high - i.low) / 2 for i in ours])),
    }


def cut(values: np.ndarray, start: float, days: float, rng: np.random.Generator) -> Sides | None:
    """Two neighbouring stretches at a random place; None where they do not fit, do not vary or are half missing."""
    rows = int(days * 288)
    if len(values) < 2 * rows:
        return None
    first = int(rng.integers(0, len(values) - 2 * rows + 1))
    pair = values[first : first + rows], values[first + rows : first + 2 * rows]
    if any(np.isnan(side).mean() > 0.5 or np.nanmax(side) == np.nanmin(side) for side in pair):
        return None
    begin = start + 300.0 * first
    return Stretch(pair[0], begin, 300.0), Stretch(pair[1], begin + 300.0 * rows, 300.0)


def speed() -> dict[str, float]:
    """CPU time of one effect with interval and bound, against arch's bootstrap with 10,000 draws, in this run."""
    from arch.bootstrap import StationaryBootstrap, optimal_block_length

    pair = sides(50 + ar1(np.random.default_rng(1), 0.9, 2 * 10080), 10080)
    difference_of_series(*pair, CONFIDENCE)
    started = time.process_time()
    for _ in range(100):
        difference_of_series(*pair, CONFIDENCE)
    ours = (time.process_time() - started) / 100
    started = time.process_time()
    for side in pair:
        block = float(optimal_block_length(side.values)["stationary"].iloc[0])
        StationaryBootstrap(max(1, round(block)), side.values, seed=1).apply(np.mean, 10_000)
    theirs = time.process_time() - started
    return {"rows_a_side": 10080, "effect_cpu_s": ours, "arch_bootstrap_cpu_s": theirs, "ratio": theirs / ours}


def jobs(series: int) -> Iterable[tuple[str, Any, int, bool, int]]:
    for cycle in CYCLES:
        for rows in LENGTHS:
            for phi in PHIS:
                yield "grid", phi, rows, cycle, series
    for process in STRESS:
        for rows in STRESS_LENGTHS:
            yield "stress", process, rows, process == "a level for every day", series


def simulated(series: int) -> dict[str, Any]:
    """Coverage in every cell of the grid and of the stress set, and of the other answers."""
    cells = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for done in pool.imap(cell, jobs(series)):
            cells.append(done)
            name = done["process"] or f"phi {done['phi']}{', daily cycle' if done['daily'] else ''}"
            print(f"{name}, n = {done['rows']}: {done['covered']}, refused {done['refused']:.0%}", flush=True)
    return {"confidence": CONFIDENCE, "cells": cells, "other": other_estimators(series)}


def measured(known: dict[str, Any], series: int, traces: Path | None, *, only_received: bool) -> dict[str, Any]:
    """All numbers but those of switchbacks, which stay as they are known."""
    import received
    import untouched

    found = known if only_received else {**known, **simulated(series)}
    found["received_simulated"] = received.simulated(series // 50)
    if traces and not only_received:
        found["placebo"] = placebo(traces)
    if traces:
        found["received"] = received.tables(received.measure(traces, received.DAYS, 1, received.EVERY))
        rows = untouched.measure(traces)
        found |= {"gaps": untouched.gaps(rows), "load": untouched.loads(rows)}
    return found


def main() -> None:
    import switching
    from coverage_page import page

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000, help="series a cell (2000)")
    parser.add_argument("--traces", type=Path, help="folder of GWA-T-12 traces: published CSV files, or Parquet")
    parser.add_argument("--received", action="store_true", help="measure only what a user receives")
    parser.add_argument("--switchback", type=Path, help="measure only switchbacks, on the traces of this folder")
    parser.add_argument("--out", type=Path, default=ROOT, help="where docs/ and src/ are (this repository)")
    wanted = parser.parse_args()
    data = wanted.out / "src/virtio_study/stats/calibration.json"
    known = json.loads(data.read_text()) if data.exists() else {}
    if wanted.switchback:
        found = {**known, "switchback": switching.measure(wanted.switchback)}
    else:
        found = measured(known, wanted.series, wanted.traces, only_received=wanted.received)
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    target = wanted.out / "docs/calibration.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(found, speed()))
    print(f"wrote {target} and {data}")


if __name__ == "__main__":
    main()
