"""What a fleet costs and whether its truth comes back: time and memory by number of servers, a plain loop beside it.

Writes docs/fleet.md between its two marks. Times are of the processor, so that what else runs on the machine counts
less.

    python benchmarks/fleet.py [--largest 1000] [--looped 6]
"""

import argparse
import multiprocessing
import resource
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from virtio_study.fleet.results import shown_effects
from virtio_study.fleet.survey import Survey, survey
from virtio_study.testing.fleet import SimulatedFleet

PAGE = Path(__file__).parents[1] / "docs" / "fleet.md"
MARKS = "<!-- measured -->", "<!-- end of measured -->"
CONFIDENCE, SHOCK, SEED = 0.95, 0.1, 11
METRICS = {"cpu": "cpu_cores", "mem_host": "mem_host_bytes"}
Z = 1.96


def surveyed(count: int) -> tuple[Survey, float, float, float]:
    """A fleet of so many servers: what was found, CPU seconds, those of making up the rows, and peak memory in MB."""
    fleet = SimulatedFleet(count, seed=SEED, shock=SHOCK)
    survey(SimulatedFleet(6, seed=SEED), CONFIDENCE)  # whatever is loaded or remembered once
    began = time.process_time()
    found = survey(fleet, CONFIDENCE)
    spent = time.process_time() - began
    began = time.process_time()
    for node in fleet.nodes[:4]:
        fleet.servers(node)
    made = (time.process_time() - began) / min(count, 4 * fleet.per_node) * count
    return found, spent, made, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def series(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column in half hours, without the first hour of every start."""
    kept = rows[rows["uptime_s"] >= 3600 + rows["step_s"]]
    halves: pd.Series = kept.set_index("time")[column].resample("30min", label="right", closed="right").mean()
    return halves


def looped(fleet: SimulatedFleet, most: int) -> Iterator[tuple[float, float]]:
    """A plain loop: CPU seconds of an ordinary least-squares and of an AR(1) step model, effect by effect."""
    import statsmodels.api as sm
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    servers = fleet.servers("node0000")
    truths = [fleet.truth(number) for number in range(len(servers))]
    changed = [number for number, truth in enumerate(truths) if truth][:most]
    for number in changed:
        truth = truths[number]
        assert truth
        for column in METRICS.values():
            began = time.process_time()
            at = pd.Timestamp(truth.at_s, unit="s", tz="UTC")
            beside = [series(servers[one].rows, column) for one, other in enumerate(truths) if other is None]
            index = pd.concat([one / one[:at].mean() for one in beside], axis=1).median(axis=1)
            own = (series(servers[number].rows, column) / index).dropna()
            own = own - own.groupby(own.index.hour).transform("mean") + own.mean()
            step = pd.DataFrame({"one": 1.0, "step": (own.index > at).astype(float)}, index=own.index)
            prepared = time.process_time() - began
            began = time.process_time()
            sm.OLS(own, step).fit(cov_type="HAC", cov_kwds={"maxlags": 48}).conf_int()
            squares = time.process_time() - began
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                SARIMAX(own.to_numpy() / own.mean(), exog=step.to_numpy(), order=(1, 0, 0)).fit(disp=False).conf_int()
            yield prepared + squares, prepared + time.process_time() - began


def recovered(found: Survey, fleet: SimulatedFleet) -> list[str]:
    """Rows of the table of truth."""
    shown = dict(zip(map(id, found.findings), shown_effects(found.findings), strict=True))
    lines = []
    for metric in METRICS:
        told = [item for item in found.findings if item.metric == metric and item.relative]
        true = np.array([fleet.truth(int(item.server[2:]) - 100).effects[metric] for item in told])  # type: ignore[union-attr]
        low, high, middle = (
            np.array([getattr(item.relative, name) for item in told]) for name in ("low", "high", "estimate")
        )
        covered = float(np.mean((low <= true) & (true <= high)))
        error = Z * np.sqrt(covered * (1 - covered) / len(told))
        found_one = np.array([shown[id(item)] for item in told])
        false = int((found_one & (true == 0)).sum())
        power = float(found_one[true != 0].mean())
        alone = float(np.mean([item.unadjusted for item in told] - true))
        lines.append(
            f"| {metric} | {len(told)} | {100 * covered:.1f} ± {100 * error:.1f} | {false} of {found_one.sum()} | "
            f"{100 * power:.0f} | {100 * float(np.mean(middle - true)):+.2f} | {100 * alone:+.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--largest", type=int, default=1000)
    parser.add_argument("--looped", type=int, default=6)
    wanted = parser.parse_args()
    sizes = [size for size in (10, 100, 1000, 10_000) if size <= wanted.largest]
    rows, last = [], None
    for size in sizes:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            last = pool.submit(surveyed, size).result()
        rows.append((size, *last[1:]))
        print(rows[-1], flush=True)
    assert last
    fleet = SimulatedFleet(sizes[-1], seed=SEED, shock=SHOCK)
    effects = sum(item.estimated for item in last[0].findings)
    ours = (last[1] - last[2]) / effects
    loops = np.array(list(looped(fleet, wanted.looped))).mean(axis=0)
    exponents = [np.log(b[1] / a[1]) / np.log(b[0] / a[0]) for a, b in pairwise(rows)]
    text = [
        "| servers | CPU seconds a server | of these to make up the rows | peak memory, MB | exponent of time |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {size} | {spent / size:.3f} | {made / size:.3f} | {peak:.0f} | {exponent} |"
            for (size, spent, made, peak), exponent in zip(
                rows, ["", *(f"{one:.2f}" for one in exponents)], strict=True
            )
        ),
        "",
        f"An effect, placebos counted in: {1000 * ours:.0f} ms. A plain loop of pandas and statsmodels over the same "
        f"rows and controls: {1000 * loops[0]:.0f} ms with least squares and HAC errors ({loops[0] / ours:.1f} times), "
        f"{1000 * loops[1]:.0f} ms with an AR(1) step model ({loops[1] / ours:.0f} times).",
        "",
        "| metric | effects | intervals that hold the truth, % | false among shown | shown of true effects, % | "
        "bias, points | bias of the server alone, points |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *recovered(last[0], fleet),
    ]
    begin, end = MARKS
    page = PAGE.read_text()
    head, tail = page.split(begin)[0], page.split(end)[1]
    PAGE.write_text("\n".join([head + begin, "", *text, "", end]) + tail)


if __name__ == "__main__":
    main()
