"""One comparison of a server: effects with intervals where there may be one, load, checks and verdicts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from virtio_study.analysis.evidence import UNITS, Side, side_from_clean
from virtio_study.analysis.multiverse import agreement, specifications
from virtio_study.analysis.validity import checks, compare_load, emulator_only, verdict
from virtio_study.analysis.variance import cross_check, per_work
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import Numbers, render
from virtio_study.pve.instruments import comparable, instrument
from virtio_study.recording import Provenance
from virtio_study.stats.controls import Controls, controls, cuts, widened
from virtio_study.stats.effects import difference, relative_difference
from virtio_study.stats.equivalence import Equivalence, equivalent, equivalent_series
from virtio_study.stats.hierarchical import restart_interval
from virtio_study.stats.hours import DAY_S, FEWEST_DAYS, same_hours, whole_days
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import boot_levels, level_over_boots, steady_stretch
from virtio_study.stats.planning import detectable
from virtio_study.stats.series import difference_of_series, level_of_series, ratio_of_series
from virtio_study.stats.stretch import FEWEST_ROWS, Statistic, Stretch
from virtio_study.study import METRICS, Comparison, Metric, Study

__all__ = ["EFFECT_STATUSES", "compare_sides", "interval_dict", "level_dict", "metric_levels"]

STATISTICS: dict[str, Statistic] = {"sustained": "mean", "median": "median", "peak": "peak"}
"""Name in the results -> statistic of a boot or of a recording."""

EFFECT_STATUSES = ("estimated", "instrument_switch", "emulator_only", "not_estimable")


def interval_dict(interval: Interval | None, unit: str) -> dict[str, Any] | None:
    """An interval as plain values with its unit."""
    return None if interval is None else {**asdict(interval), "unit": unit}


def metric_levels(clean: pd.DataFrame, metric: Metric) -> pd.DataFrame | None:
    """Levels of every boot with a steady state; None if the metric was measured in no row."""
    column = METRICS[metric]
    if column not in clean.columns or clean[column].isna().all():
        return None
    levels = boot_levels(clean, column)
    return levels[levels["rows"] > 0].reset_index(drop=True)


def level_dict(clean: pd.DataFrame, metric: Metric, confidence: float) -> dict[str, Any]:
    """Sustained level, median and peak as plain values; each None, with a note, where it cannot be had.

    Over boots where there are two or more, within the recording where there is one.
    """
    unit, levels = UNITS[metric], metric_levels(clean, metric)
    found: dict[str, Any] = {"unit": unit, "sustained": None, "median": None, "peak": None, "note": None}
    if levels is None:
        return found | {"note": "not measured"}
    try:
        for name, column in STATISTICS.items():
            if len(levels) == 1:
                side = _stretch(clean, metric, levels)
                level = level_of_series(side, confidence, column)
            else:
                level = level_over_boots(levels[column].to_numpy(), confidence)
            found[name] = interval_dict(level, unit)
    except DataError as error:
        found["note"] = str(error)
    return found


def _stretch(clean: pd.DataFrame, metric: Metric, levels: pd.DataFrame) -> Stretch:
    boot = clean[clean["replicate"] == levels["replicate"].iloc[0]]
    return steady_stretch(boot, METRICS[metric], metric)


def compare_sides(
    study: Study,
    server: str,
    comparison: Comparison,
    frames: Mapping[str, pd.DataFrame],
    provenances: Mapping[str, Sequence[Provenance]],
    restarts: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Everything about one comparison of one server, as plain values.

    Parameters
    ----------
    frames : mapping of driver configuration to DataFrame
        Cleaned rows.
    provenances : mapping of driver configuration to sequence of Provenance
        Of the recordings.
    restarts : mapping of metric to differences, optional
        What a restart alone was seen to change; an interval within single recordings is not made narrower than that.

    Returns
    -------
    dict
        `before`, `after`, `purpose`, `effects`, `load`, `per_work` (CPU a unit of load), `checks`, `verdicts`.
    """
    margins = {item.column: item.margin for item in study.load.get(server, [])}
    result: dict[str, Any] = {
        "before": comparison.before,
        "after": comparison.after,
        "purpose": comparison.purpose,
        "effects": {},
        "load": None,
        "per_work": [],
        "checks": {},
        "verdicts": {},
    }
    for metric in study.metrics:
        sides = [frames[name] for name in (comparison.before, comparison.after)]
        first, second = (metric_levels(side, metric) for side in sides)
        if first is None or second is None:
            result["effects"][metric] = _not_estimable(UNITS[metric], DataError(_NOT_MEASURED))
            continue
        try:
            before, after = (
                side_from_clean(frames[name], study, server, name, metric, provenances[name])
                for name in (comparison.before, comparison.after)
            )
        except DataError as error:
            result["effects"][metric] = _not_estimable(UNITS[metric], error)
            continue
        done = checks(before, after, margins, study.confidence, study.practical_margin, comparison.with_change)
        seen = (restarts or {}).get(metric, ())
        result["effects"][metric] = _effect(study, (before, after), metric, sides, (first, second), seen)
        if metric == "cpu":
            result["per_work"] = per_work(sides[0], sides[1], list(margins), study.confidence)
        result["checks"][metric] = [check.as_dict() for check in done]
        result["verdicts"][metric] = verdict(done).as_dict()
        if result["load"] is None:
            result["load"] = _load(before, after, margins, study.confidence)
    result["load"] = result["load"] or []
    return result


def _load(before: Side, after: Side, margins: Mapping[str, float], confidence: float) -> list[dict[str, Any]]:
    answers = compare_load(before, after, margins, confidence)
    return [
        {"column": column, "margin": margins[column], "recorded": answer is not None}
        | (asdict(answer) if answer is not None else {})
        for column, answer in answers.items()
    ]


_EMPTY = (
    "before", "after", "difference", "relative", "median", "peak", "practical", "bound", "robust", "detectable",
    "controls", "sensitivity", "mixed_model", "method",
)  # fmt: skip


def _not_estimable(unit: str, error: DataError) -> dict[str, Any]:
    text = _text([error.message], error.numbers)
    return {**dict.fromkeys(_EMPTY), "status": "not_estimable", "unit": unit, "replication": None, **text}


@dataclass(frozen=True)
class _Answer:
    """What either design says of a metric: over boots, or within one recording a side."""

    replication: str
    before: Interval
    after: Interval
    difference: Interval
    relative: Interval | None
    median: Interval | None
    peak: Interval | None
    same: Equivalence
    bound: Interval | None
    detectable: float | None
    controls: Controls | None


def _effect(
    study: Study,
    evidence: tuple[Side, Side],
    metric: Metric,
    sides: Sequence[pd.DataFrame],
    levels: tuple[pd.DataFrame, pd.DataFrame],
    restarts: Sequence[float],
) -> dict[str, Any]:
    unit = UNITS[metric]
    (before, after), (first, second) = evidence, levels
    try:
        if len(first) == len(second) == 1:
            answer = _within(study, _stretch(sides[0], metric, first), _stretch(sides[1], metric, second), restarts)
        else:
            answer = _over_boots(study, first, second)
    except DataError as error:
        return _not_estimable(unit, error)
    effect = {
        **dict.fromkeys(_EMPTY),
        "before": interval_dict(answer.before, unit),
        "after": interval_dict(answer.after, unit),
        "unit": unit,
        "replication": answer.replication,
    }
    if not comparable(before.instrument or "unknown", after.instrument or "unknown"):
        return {**effect, "status": "instrument_switch", "method": "none", **_switch(before, after)}
    status = "emulator_only" if emulator_only(metric, before.accelerator, after.accelerator) else "estimated"
    same = answer.same
    return {
        **effect,
        "status": status,
        "method": answer.difference.method,
        "difference": interval_dict(answer.difference, unit),
        "relative": interval_dict(answer.relative, "share"),
        "median": interval_dict(answer.median, unit),
        "peak": interval_dict(answer.peak, unit),
        "bound": interval_dict(answer.bound, unit),
        "robust": _robust(answer),
        "detectable": answer.detectable,
        "controls": None if answer.controls is None else asdict(answer.controls),
        "sensitivity": agreement(
            specifications(sides[0], sides[1], METRICS[metric], study.confidence, study.daily_cycle), answer.difference
        ),
        "mixed_model": cross_check(sides[0], sides[1], METRICS[metric]),
        "practical": {"margin": same.margin, "equivalent": same.equivalent, "p": same.p},
        **_estimate(status, before, answer, study),
    }


def _robust(answer: _Answer) -> bool | None:
    """Whether interval and robust bound both exclude zero on one side; None where boots make a bound needless."""
    if answer.bound is None:
        return None
    both = answer.difference.excludes(0.0) and answer.bound.excludes(0.0)
    return both and (answer.difference.low > 0) == (answer.bound.low > 0)


def _over_boots(study: Study, first: pd.DataFrame, second: pd.DataFrame) -> _Answer:
    confidence = study.confidence
    before, after = first["mean"].to_numpy(), second["mean"].to_numpy()
    return _Answer(
        "boots",
        level_over_boots(before, confidence),
        level_over_boots(after, confidence),
        difference(before, after, confidence),
        relative_difference(before, after, confidence),
        _safe_difference(first, second, "median", confidence),
        _safe_difference(first, second, "peak", confidence),
        equivalent(before, after, study.practical_margin, confidence),
        None,
        detectable(before, after, confidence),
        None,
    )


def _within(study: Study, before: Stretch, after: Stretch, restarts: Sequence[float]) -> _Answer:
    """One recording a side: the series' own autocorrelation is all there is to judge by."""
    confidence = study.confidence
    # the cycle stays in for quantiles, which it belongs to; the hours are the same on both sides
    raw = whole_days(before, after) if study.daily_cycle else (before, after)
    before, after = same_hours(before, after, study.daily_cycle)
    found = difference_of_series(before, after, confidence)
    unchanged = _controls(raw, study)
    interval = widened(found.interval, unchanged)
    return _Answer(
        "batches",
        level_of_series(before, confidence),
        level_of_series(after, confidence),
        restart_interval(interval, restarts) if restarts else interval,
        ratio_of_series(before, after, confidence),
        _safe_series(*raw, "median", confidence),
        _safe_series(*raw, "peak", confidence),
        equivalent_series(before, after, study.practical_margin, confidence),
        found.bound,
        None,
        unchanged,
    )


def _controls(sides: tuple[Stretch, Stretch], study: Study) -> Controls | None:
    """The same estimator inside each side, where no driver changed; None if a side is too short to be cut."""
    found = []
    for side in sides:
        rows = round(FEWEST_DAYS * DAY_S / side.step_s) if study.daily_cycle else FEWEST_ROWS
        for pair in cuts(side, max(rows, FEWEST_ROWS)):
            with suppress(DataError):
                ready = same_hours(*pair, study.daily_cycle)
                found.append(difference_of_series(*ready, study.confidence).interval)
    return controls(found) if found else None


def _safe_difference(first: pd.DataFrame, second: pd.DataFrame, column: str, confidence: float) -> Interval | None:
    """Difference of another statistic; None where it is constant on both sides (a peak can be)."""
    try:
        return difference(first[column].to_numpy(), second[column].to_numpy(), confidence)
    except DataError:
        return None


def _safe_series(before: Stretch, after: Stretch, statistic: Statistic, confidence: float) -> Interval | None:
    """As `_safe_difference`; None also for peaks of rows of different steps."""
    try:
        return difference_of_series(before, after, confidence, statistic).interval
    except DataError:
        return None


def _switch(before: Side, after: Side) -> dict[str, Any]:
    numbers: dict[str, float | int | str | None] = {
        "before": before.value,
        "after": after.value,
        "before_label": instrument(before.instrument or "unknown").label,
        "after_label": instrument(after.instrument or "unknown").label,
        "unit": before.shown_unit,
        "scale": before.shown_scale,
    }
    return _text([_SWITCH], numbers)


def _estimate(status: str, before: Side, answer: _Answer, study: Study) -> dict[str, Any]:
    found, relative, bound = answer.difference, answer.relative, answer.bound
    numbers: dict[str, float | int | str | None] = {
        "difference": found.estimate,
        "low": found.low,
        "high": found.high,
        "relative": relative.estimate if relative else None,
        "relative_low": relative.low if relative else None,
        "relative_high": relative.high if relative else None,
        "bound_low": bound.low if bound else None,
        "bound_high": bound.high if bound else None,
        "confidence": found.confidence,
        "margin": study.practical_margin,
        "n_before": found.n_before,
        "n_after": found.n_after,
        "unit": before.shown_unit,
        "scale": before.shown_scale,
    }
    changed = found.excludes(0.0)
    if bound is None:
        parts = [_CHANGED if changed else _UNCHANGED]
    else:
        parts = [_SERIES_UNCHANGED if not changed else _SERIES_ROBUST if _robust(answer) else _SERIES_CHANGED]
    if relative is not None:
        parts.append(_RELATIVE)
    if answer.same.equivalent:
        parts.append(_SAME)
    if status == "emulator_only":
        parts.insert(0, _EMULATOR)
    return _text(parts, numbers)


def _text(messages: list[str], numbers: Numbers) -> dict[str, Any]:
    """Templates, their numbers and the English sentences made of them; a translation replaces template by template."""
    sentence = " ".join(render(message, numbers) for message in messages)
    return {"messages": messages, "numbers": dict(numbers), "sentence": sentence}


_NOT_MEASURED = "Not measured on both sides."
_EMULATOR = "This is CPU time of the software emulator, neither for nor against the published effect."
_CHANGED = (
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_UNCHANGED = (
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_SERIES_ROBUST = (
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side), and the robust bound excludes zero too ({bound_low:quantity} to "
    "{bound_high:quantity})."
)
_SERIES_CHANGED = (
    "The sustained level differs by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side), but that is not robust: the bound that trusts no model includes zero "
    "({bound_low:quantity} to {bound_high:quantity})."
)
_SERIES_UNCHANGED = (
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; one recording a side)."
)
_RELATIVE = "Relative to before that is {relative:percent} ({relative_low:percent} to {relative_high:percent})."
_SAME = "Both sides are the same within {margin:percent}."
_SWITCH = (
    "{before:quantity} ({before_label}) and {after:quantity} ({after_label}) were made by different instruments; their "
    "difference is an instrument switch and not an effect, so none is given."
)
