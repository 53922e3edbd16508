"""What a fleet costs and whether its truth comes back: time and memory by number of servers, a plain loop beside it.

Writes docs/fleet.md between its two marks. Times are of the processor, so that what else runs on the machine counts
less.

    python benchmarks/fleet.py [--largest 1000] [--looped 120]
"""

import argparse
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd

from virtio_study.fleet.estimating import ChangeEffect
from virtio_study.fleet.foreseen import foreseen
from virtio_study.fleet.results import FALSE_DISCOVERY_RATE, shown_effects
from virtio_study.fleet.survey import Survey, survey
from virtio_study.stats.synthesis import false_discoveries
from virtio_study.testing.awaited import awaited
from virtio_study.testing.fleet import SimulatedFleet

PAGE = Path(__file__).parents[1] / "docs" / "fleet.md"
MARKS = "<!-- measured -->", "<!-- end of measured -->"
CONFIDENCE, SHOCK, SEED = 0.95, 0.1, 11
DAY_ROWS, DRAWS = 48, 999
DRIFTS, FORECAST_NODES = (0.0, 0.02, 0.05), 60
METRICS = {"cpu": "cpu_cores", "mem_host": "mem_host_bytes"}
Z = 1.96
CHANCE = 0.05

Range = tuple[float, float]


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


def least_squares(own: pd.Series, step: pd.DataFrame) -> Range:
    """Ordinary least squares with HAC errors over a day."""
    import statsmodels.api as sm

    found = sm.OLS(own, step).fit(cov_type="HAC", cov_kwds={"maxlags": DAY_ROWS})
    low, high = found.conf_int(alpha=1 - CONFIDENCE).loc["step"] / found.params["one"]
    return low, high


def step_model(own: pd.Series, step: pd.DataFrame) -> Range:
    """A step with AR(1) errors, by maximum likelihood."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = SARIMAX(own.to_numpy() / own.mean(), exog=step.to_numpy(), order=(1, 0, 0)).fit(disp=False)
    low, high = found.conf_int(alpha=1 - CONFIDENCE)[1] / found.params[0]
    return low, high


def blocks_of_days(own: pd.Series, step: pd.DataFrame) -> Range:
    """Percentiles of the ratio of both sides' means over draws of a moving-block bootstrap, blocks of a day."""
    rng, means = np.random.default_rng(SEED), []
    for side in (0.0, 1.0):
        values = own[step["step"] == side].to_numpy()
        length = min(DAY_ROWS, len(values) // 2)
        count = -(-len(values) // length)
        begins = rng.integers(0, len(values) - length + 1, (DRAWS, count, 1))
        drawn = values[(begins + np.arange(length)).reshape(DRAWS, -1)[:, : len(values)]]
        means.append(drawn.mean(axis=1))
    low, high = np.quantile(means[1] / means[0] - 1, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return low, high


RIVALS: dict[str, Callable[[pd.Series, pd.DataFrame], Range]] = {
    "least squares, HAC errors over a day": least_squares,
    f"moving blocks of a day, {DRAWS} draws": blocks_of_days,
    "step with AR(1) errors (SARIMAX)": step_model,
}


def looped(fleet: SimulatedFleet, most: int) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]]]:
    """A plain loop over the first changes: CPU seconds an effect and share of intervals with the truth, of each rival.

    Rows are averaged once a server, not once an effect; that and the controls count for every rival.
    """
    for load in RIVALS.values():  # whatever is loaded once
        load(pd.Series([1.0, 2.0, 1.0, 2.0] * 60), pd.DataFrame({"one": 1.0, "step": [0.0] * 120 + [1.0] * 120}))
    prepared, spent, held = 0.0, dict.fromkeys(RIVALS, 0.0), dict.fromkeys(RIVALS, 0)
    done: list[tuple[str, str]] = []
    for node, (metric, column) in product(fleet.nodes, METRICS.items()):
        if len(done) >= most:
            break
        servers = fleet.servers(node)
        truths = [fleet.truth(int(server.server[2:]) - 100) for server in servers]
        began = time.process_time()
        rows = [series(server.rows, column) for server in servers]
        prepared += time.process_time() - began
        for server, values, truth in zip(servers, rows, truths, strict=True):
            if truth is None:
                continue
            began = time.process_time()
            at = pd.Timestamp(truth.at_s, unit="s", tz="UTC")
            beside = [one / one[:at].mean() for one, other in zip(rows, truths, strict=True) if other is None]
            own = (values / pd.concat(beside, axis=1).median(axis=1)).dropna()
            own = own - own.groupby(own.index.hour).transform("mean") + own.mean()
            step = pd.DataFrame({"one": 1.0, "step": (own.index > at).astype(float)}, index=own.index)
            prepared += time.process_time() - began
            done.append((server.server, metric))
            for name, rival in RIVALS.items():
                began = time.process_time()
                low, high = rival(own, step)
                spent[name] += time.process_time() - began
                held[name] += low <= truth.effects[metric] <= high
    return {name: ((prepared + spent[name]) / len(done), held[name] / len(done)) for name in RIVALS}, done


def effect_of(fleet: SimulatedFleet, found: ChangeEffect) -> float:
    """The true effect of a change that was found."""
    truth = fleet.truth(int(found.server[2:]) - 100)
    assert truth
    return truth.effects[found.metric]


def compared(found: Survey, fleet: SimulatedFleet, ours: float, loops: object) -> list[str]:
    """Rows of the table of rivals, this package's own over the same effects first."""
    rivals, done = loops  # type: ignore[misc]
    own = [item for item in found.findings if (item.server, item.metric) in set(done) and item.relative]
    true = [effect_of(fleet, item) for item in own]
    held = float(np.mean([item.relative.low <= one <= item.relative.high for item, one in zip(own, true, strict=True)]))  # type: ignore[union-attr]
    rows = {"this package": (ours, held), **rivals}
    return [
        f"| {name} | {1000 * cost:.1f} | {cost / ours:.1f} | {100 * share:.0f} ± "
        f"{100 * Z * np.sqrt(share * (1 - share) / len(done)):.0f} |"
        for name, (cost, share) in rows.items()
    ]


def recovered(found: Survey, fleet: SimulatedFleet) -> list[str]:
    """Rows of the table of truth."""
    shown = dict(zip(map(id, found.findings), shown_effects(found.findings), strict=True))
    tested = [item for item in found.findings if item.p is not None]
    at_once = dict(
        zip(map(id, tested), false_discoveries([item.p for item in tested], FALSE_DISCOVERY_RATE), strict=True)
    )
    lines = []
    for metric in METRICS:
        told = [item for item in found.findings if item.metric == metric and item.relative]
        true = np.array([effect_of(fleet, item) for item in told])
        low, high, middle = (
            np.array([getattr(item.relative, name) for item in told]) for name in ("low", "high", "estimate")
        )
        covered = float(np.mean((low <= true) & (true <= high)))
        error = Z * np.sqrt(covered * (1 - covered) / len(told))
        nodes = np.unique([item.node for item in told], return_inverse=True)[1]
        # servers of a node are held against the same controls, and err together
        of_bias = Z * np.sqrt((np.bincount(nodes, middle - true - np.mean(middle - true)) ** 2).sum()) / len(told)
        found_one = np.array([shown[id(item)] for item in told])
        false = int((found_one & (true == 0)).sum())
        power = float(found_one[true != 0].mean())
        in_one = np.array([at_once.get(id(item), False) for item in told])
        chance = float(np.mean([item.p < CHANCE for item in told if item.p is not None and not effect_of(fleet, item)]))
        alone = float(np.mean([item.unadjusted for item in told] - true))
        cells = [
            f"{100 * covered:.1f} ± {100 * error:.1f}",
            f"{false} of {found_one.sum()}",
            f"{(in_one & (true == 0)).sum()} of {in_one.sum()}",
            f"{100 * chance:.1f}",
            f"{100 * power:.0f}",
            f"{100 * float(np.mean(middle - true)):+.2f} ± {100 * of_bias:.2f}",
            f"{100 * alone:+.2f}",
        ]
        lines.append(f"| {metric} | {len(told)} | {' | '.join(cells)} |")
    return lines


def foreseen_ranges() -> list[str]:
    """The table of forecasts: how many hold what comes in the time after."""
    held: dict[str, list[str]] = {"RAM that comes back": [], "CPU that is saved": []}
    count = 0
    for drift in DRIFTS:
        found: list[tuple[bool, bool]] = []
        for node in range(FORECAST_NODES):
            servers = {item.history.server: item for item in awaited(f"node{node}", 25, SEED, drift=drift)}
            for item in foreseen(f"node{node}", [one.history for one in servers.values()], [()] * len(servers)):
                came = servers[item.name]
                if item.returned and item.cpu:
                    found.append(
                        (
                            item.returned.low <= came.returned <= item.returned.high,
                            item.cpu.low <= came.saved <= item.cpu.high,
                        )
                    )
        count = len(found)
        for name, share in zip(held, np.mean(found, axis=0), strict=True):
            held[name].append(f"{100 * share:.1f} ± {100 * Z * np.sqrt(share * (1 - share) / count):.1f}")
    return [
        "Forecasts of two weeks of rows, held against what the same servers spend less in the two weeks after if they "
        "change;\nthe share of ranges that hold it, in %, by how much the use of memory drifts in between:",
        "",
        f"| forecast | servers | {' | '.join(f'{100 * one:.0f} %' for one in DRIFTS)} |",
        f"| --- | --- | {' | '.join('---' for _ in DRIFTS)} |",
        *(f"| {name} | {count} | {' | '.join(shares)} |" for name, shares in held.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--largest", type=int, default=1000)
    parser.add_argument("--looped", type=int, default=120)
    wanted = parser.parse_args()
    sizes = [size for size in (10, 100, 1000, 10_000) if size <= wanted.largest]
    rows, last = [], None
    fleet = SimulatedFleet(sizes[-1], seed=SEED, shock=SHOCK)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as beside:
        waited = beside.submit(looped, fleet, wanted.looped)
        for size in sizes:
            with ProcessPoolExecutor(1, context) as pool:
                last = pool.submit(surveyed, size).result()
            rows.append((size, *last[1:]))
            print(rows[-1], flush=True)
        loops = waited.result()
    assert last
    effects = sum(item.estimated for item in last[0].findings)
    ours = (last[1] - last[2]) / effects
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
        "The same effects by a plain loop of pandas and statsmodels, over the same rows and controls:",
        "",
        f"| by | CPU ms an effect | times this package's | intervals that hold the truth, % of {len(loops[1])} |",
        "| --- | --- | --- | --- |",
        *compared(last[0], fleet, ours, loops),
        "",
        "| metric | effects | intervals that hold the truth, % | false among shown | "
        "the same of everything in one family | "
        f"p below {CHANCE:g} without an effect, % | shown of true effects, % | bias, points | "
        "bias of the server alone, points |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *recovered(last[0], fleet),
        "",
        *foreseen_ranges(),
    ]
    begin, end = MARKS
    page = PAGE.read_text()
    head, tail = page.split(begin)[0], page.split(end)[1]
    PAGE.write_text("\n".join([head + begin, "", *text, "", end]) + tail)


if __name__ == "__main__":
    main()
