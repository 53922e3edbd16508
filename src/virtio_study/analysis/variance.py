"""What a unit of work costs on either side, where the spread of the boots lies, and a mixed model as cross-check."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.stats.effects import difference
from virtio_study.stats.elementary import mean
from virtio_study.stats.hierarchical import mixed_model_difference, two_levels
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import boot_levels, steady_stretch
from virtio_study.stats.series import work_difference

__all__ = ["UNITS_OF_WORK", "cross_check", "per_work", "spread"]

UNITS_OF_WORK = {"bytes_per_s": "s/byte", "per_s": "s/operation"}
"""How a load column's name ends -> unit of CPU seconds a unit of that work."""


def per_work(
    before: pd.DataFrame, after: pd.DataFrame, columns: Sequence[str], confidence: float
) -> list[dict[str, Any]]:
    """CPU seconds a unit of work, before, after and their difference, for every load column that can tell.

    Parameters
    ----------
    before, after : DataFrame
        Cleaned rows of both sides.
    columns : sequence of str
        Load columns, such as `disk_reads_per_s`.

    Returns
    -------
    list of dict
        `column`, `unit`, `before`, `after` and `difference` (an interval as plain values: over boots, Welch's t on each
        boot's ratio; with one recording a side as `stats.series.work_difference`). A column without values, or with no
        work in it, is left out.
    """
    found = []
    for column in columns:
        unit = next((unit for end, unit in UNITS_OF_WORK.items() if column.endswith(end)), None)
        if unit is None or any(column not in side or side[column].isna().all() for side in (before, after)):
            continue
        try:
            first, second, change = _of_work(before, after, column, confidence)
        except DataError:
            continue
        interval = {**asdict(change), "unit": unit}
        found.append({"column": column, "unit": unit, "before": first, "after": second, "difference": interval})
    return found


def _of_work(
    before: pd.DataFrame, after: pd.DataFrame, column: str, confidence: float
) -> tuple[float, float, Interval]:
    ratios = [_ratios(side, column) for side in (before, after)]
    if len(ratios[0]) == len(ratios[1]) == 1:
        spent, paid = (steady_stretch(side, "cpu_cores", "cpu_cores") for side in (before, after))
        work, done = (steady_stretch(side, column, column) for side in (before, after))
        return ratios[0][0], ratios[1][0], work_difference(spent, work, paid, done, confidence).interval
    change = difference(ratios[0], ratios[1], confidence)
    return mean(ratios[0]), mean(ratios[1]), change


def _ratios(side: pd.DataFrame, column: str) -> list[float]:
    """CPU seconds a unit of work, boot by boot."""
    spent, work = (boot_levels(side, name).set_index("replicate") for name in ("cpu_cores", column))
    kept = (spent["rows"] > 0) & (work["mean"] > 0)
    return [float(value) for value in (spent["mean"] / work["mean"])[kept]]


def spread(clean: pd.DataFrame, column: str) -> dict[str, Any] | None:
    """Variance of the boots' levels, and its share that is error within them; None with too few boots or rows."""
    boots = _boots(clean, column)
    try:
        return asdict(two_levels(boots))
    except DataError:
        return None


def cross_check(before: pd.DataFrame, after: pd.DataFrame, column: str) -> dict[str, Any] | None:
    """The difference by statsmodels' mixed model, to hold beside the answer; None below two boots a side."""
    sides = [_boots(side, column) for side in (before, after)]
    if min(map(len, sides)) < 2:
        return None
    try:
        return mixed_model_difference([*sides[0], *sides[1]], [False] * len(sides[0]) + [True] * len(sides[1]))
    except (DataError, ValueError):
        return None


def _boots(clean: pd.DataFrame, column: str) -> list[Any]:
    steady = clean[(clean["period"] == "steady") & clean[column].notna()]
    return [boot[column].to_numpy(dtype="float64") for _, boot in steady.groupby("replicate", sort=True)]
