"""Gaps and load on servers that nobody touched: what rows that are not there, and work that differs, do to the answer.

`coverage.py --traces FOLDER` writes both tables into docs/calibration.md; alone it prints them:

    python benchmarks/untouched.py FOLDER
"""

import argparse
import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from received import CONFIDENCE, EVERY, METRICS, Job, jobs
from virtio_study.analysis.load import answer_of
from virtio_study.errors import DataError
from virtio_study.stats.equal_load import difference_at_equal_load
from virtio_study.stats.equivalence import equivalent_series
from virtio_study.stats.hours import same_hours
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch

DAYS = (3.5, 7.0, 14.0)
MARGIN = 0.1
FALL = 0.3
GAPS = ("none", "72 minutes a night", "10 %", "30 %", "45 %")
"""Of one side, as one stretch without rows at a random place, or of both sides every night."""


def sides(job: Job, column: str, fall: float = 0.0) -> tuple[Stretch, Stretch]:
    """Both sides of a column, the later one less by `fall`."""
    values = job.rows[column]
    half = len(values) // 2
    after = values[half:] * (1 - fall)
    return Stretch(values[:half], job.start_s, 300.0), Stretch(after, job.start_s + 300.0 * half, 300.0)


def holed(job: Job, column: str, gap: str) -> tuple[Stretch, Stretch]:
    """Both sides with rows taken away."""
    pair = sides(job, column)
    if gap == "none":
        return pair
    if gap.endswith("night"):
        minutes = [(side.start_s + side.step_s * np.arange(len(side.values))) % 86_400 / 60 for side in pair]
        return tuple(
            Stretch(np.where((m >= 60) & (m < 132), np.nan, side.values), side.start_s, side.step_s)
            for m, side in zip(minutes, pair, strict=True)
        )  # type: ignore[return-value]
    rng = np.random.default_rng([job.vm, round(100 * job.days), len(gap), int(gap.split()[0])])
    which, rows = int(rng.integers(2)), len(pair[0].values)
    length = int(rows * float(gap.split()[0]) / 100)
    first = int(rng.integers(0, rows - length))
    values = pair[which].values.copy()
    values[first : first + length] = np.nan
    changed = Stretch(values, pair[which].start_s, pair[which].step_s)
    return (changed, pair[1]) if which == 0 else (pair[0], changed)


def alarm(pair: tuple[Stretch, Stretch]) -> bool | None:
    """Whether the interval excludes zero; None where it is refused."""
    try:
        return difference_of_series(*same_hours(*pair, True), CONFIDENCE).interval.excludes(0.0)
    except DataError:
        return None


def of_job(job: Job) -> list[dict[str, Any]]:
    """Every answer about one pair as a row."""
    found = [
        {"what": gap, "metric": metric, "days": job.days, "alarm": alarm(holed(job, column, gap))}
        for gap in GAPS
        for metric, column in METRICS.items()
    ]
    load = sides(job, "net_in_kb_s")
    try:
        answer: str | None = answer_of(equivalent_series(*same_hours(*load, True), MARGIN, CONFIDENCE))
    except DataError:
        answer = None
    row: dict[str, Any] = {"what": "load", "metric": "cpu", "days": job.days, "answer": answer}
    for fall in (0.0, FALL):
        spent = sides(job, METRICS["cpu"], fall)
        row[f"plain_{fall:g}"] = alarm(spent)
        try:
            equal = difference_at_equal_load((spent[0], load[0]), (spent[1], load[1]), CONFIDENCE, True)
            row[f"equal_{fall:g}"] = equal.interval.excludes(0.0)
        except DataError:
            row[f"equal_{fall:g}"] = None
    return [*found, row]


def measure(folder: Path, every: int = EVERY) -> pd.DataFrame:
    """Every `every`-th server of both months, cut once at every length."""
    from gwa import load_traces

    found: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for rows in pool.imap(of_job, jobs(load_traces(folder), DAYS, 1, every), chunksize=16):
            found += rows
    return pd.DataFrame(found)


def share(answers: Iterable[Any]) -> float | None:
    known = [bool(answer) for answer in answers if not pd.isna(answer)]
    return float(np.mean(known)) if known else None


def gaps(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Refusals and false alarms by gap, metric and length."""
    return [
        {
            "gap": gap, "metric": metric, "days": days, "pairs": len(cell),
            "refused": float(cell["alarm"].isna().mean()), "alarms": share(cell["alarm"]),
        }
        for (gap, metric, days), cell in rows[rows["what"] != "load"].groupby(["what", "metric", "days"], sort=False)
    ]  # fmt: skip


def loads(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The three answers about the load, and the plain and the adjusted interval, by length."""
    found = []
    for days, cell in rows[rows["what"] == "load"].groupby("days", sort=False):
        told = cell["answer"].dropna()
        found.append(
            {
                "days": days,
                "pairs": len(told),
                **{answer: float((told == answer).mean()) for answer in ("same", "different", "not_shown")},
                **{f"{name}_alarms": share(cell[f"{name}_0"]) for name in ("plain", "equal")},
                **{f"{name}_power": share(cell[f"{name}_{FALL:g}"]) for name in ("plain", "equal")},
            }
        )
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    rows = measure(parser.parse_args().folder)
    for row in [*gaps(rows), *loads(rows)]:
        print(row)


if __name__ == "__main__":
    main()
