"""One comparison of a server: effects with intervals where there may be one, load, checks and verdicts."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.evidence import UNITS, Side, side_from_clean
from virtio_study.instruments import comparable, instrument
from virtio_study.sentences import Numbers, render
from virtio_study.stats.effects import difference, relative_difference
from virtio_study.stats.equivalence import equivalent
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import boot_levels, level_over_boots
from virtio_study.study import METRICS, Comparison, Metric, Study
from virtio_study.validity import checks, compare_load, emulator_only, verdict

__all__ = ["EFFECT_STATUSES", "compare_sides", "interval_dict", "level_dict", "metric_levels"]

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
    """Sustained level, median and peak over boots as plain values; each None, with a note, where it cannot be had."""
    unit, levels = UNITS[metric], metric_levels(clean, metric)
    found: dict[str, Any] = {"unit": unit, "sustained": None, "median": None, "peak": None, "note": None}
    if levels is None:
        return found | {"note": "not measured"}
    try:
        for name, column in (("sustained", "mean"), ("median", "median"), ("peak", "peak")):
            found[name] = interval_dict(level_over_boots(levels[column].to_numpy(), confidence), unit)
    except DataError as error:
        found["note"] = str(error)
    return found


def compare_sides(
    study: Study,
    server: str,
    comparison: Comparison,
    frames: Mapping[str, pd.DataFrame],
    accelerators: Mapping[str, str | None],
) -> dict[str, Any]:
    """Everything about one comparison of one server, as plain values.

    Parameters
    ----------
    frames : mapping of driver configuration to DataFrame
        Cleaned rows.
    accelerators : mapping of driver configuration to str or None
        What ran the guest.

    Returns
    -------
    dict
        `before`, `after`, `purpose`, `effects`, `load`, `checks` and `verdicts` (the last two by metric).
    """
    margins = {item.column: item.margin for item in study.load.get(server, [])}
    result: dict[str, Any] = {
        "before": comparison.before,
        "after": comparison.after,
        "purpose": comparison.purpose,
        "effects": {},
        "load": None,
        "checks": {},
        "verdicts": {},
    }
    for metric in study.metrics:
        try:
            before, after = (
                side_from_clean(frames[name], study, server, name, metric, accelerators[name])
                for name in (comparison.before, comparison.after)
            )
        except DataError as error:
            result["effects"][metric] = _not_estimable(UNITS[metric], str(error))
            continue
        done = checks(before, after, margins, study.confidence)
        result["effects"][metric] = _effect(study, before, after, metric, frames)
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


def _not_estimable(unit: str, sentence: str) -> dict[str, Any]:
    empty = dict.fromkeys(("before", "after", "difference", "relative", "median", "peak", "practical", "method"))
    text = {"sentence": sentence, "messages": [sentence], "numbers": {}}
    return {**empty, "status": "not_estimable", "unit": unit, **text}


def _effect(
    study: Study, before: Side, after: Side, metric: Metric, frames: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    unit, confidence = UNITS[metric], study.confidence
    first, second = (metric_levels(frames[side.driver_config], metric) for side in (before, after))
    if first is None or second is None:
        return _not_estimable(unit, "Not measured on both sides.")
    try:
        levels = [
            interval_dict(level_over_boots(side["mean"].to_numpy(), confidence), unit) for side in (first, second)
        ]
        sustained = difference(first["mean"].to_numpy(), second["mean"].to_numpy(), confidence)
    except DataError as error:
        return _not_estimable(unit, str(error))
    effect = {"before": levels[0], "after": levels[1], "unit": unit, "method": sustained.method}
    if not comparable(before.instrument or "unknown", after.instrument or "unknown"):
        empty = dict.fromkeys(("difference", "relative", "median", "peak", "practical"))
        return {**effect, **empty, "status": "instrument_switch", "method": "none", **_switch(before, after)}
    relative = relative_difference(first["mean"].to_numpy(), second["mean"].to_numpy(), confidence)
    same = equivalent(first["mean"].to_numpy(), second["mean"].to_numpy(), study.practical_margin, confidence)
    status: Literal["estimated", "emulator_only"] = (
        "emulator_only" if emulator_only(metric, before.accelerator, after.accelerator) else "estimated"
    )
    return {
        **effect,
        "status": status,
        "difference": interval_dict(sustained, unit),
        "relative": interval_dict(relative, "share"),
        "median": _safe_difference(first, second, "median", confidence, unit),
        "peak": _safe_difference(first, second, "peak", confidence, unit),
        "practical": {"margin": same.margin, "equivalent": same.equivalent, "p": same.p},
        **_estimate(status, before, sustained, relative, same.equivalent, study),
    }


def _safe_difference(
    first: pd.DataFrame, second: pd.DataFrame, column: str, confidence: float, unit: str
) -> dict[str, Any] | None:
    """Difference of another statistic; None where it is constant on both sides (a peak can be)."""
    try:
        return interval_dict(difference(first[column].to_numpy(), second[column].to_numpy(), confidence), unit)
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


def _estimate(
    status: str, before: Side, sustained: Interval, relative: Interval | None, same: bool, study: Study
) -> dict[str, Any]:
    numbers: dict[str, float | int | str | None] = {
        "difference": sustained.estimate,
        "low": sustained.low,
        "high": sustained.high,
        "relative": relative.estimate if relative else None,
        "relative_low": relative.low if relative else None,
        "relative_high": relative.high if relative else None,
        "confidence": sustained.confidence,
        "margin": study.practical_margin,
        "n_before": sustained.n_before,
        "n_after": sustained.n_after,
        "unit": before.shown_unit,
        "scale": before.shown_scale,
    }
    parts = [_CHANGED if sustained.excludes(0.0) else _UNCHANGED]
    if relative is not None:
        parts.append(_RELATIVE)
    if same:
        parts.append(_SAME)
    if status == "emulator_only":
        parts.insert(0, _EMULATOR)
    return _text(parts, numbers)


def _text(messages: list[str], numbers: Numbers) -> dict[str, Any]:
    """Templates, their numbers and the English sentences made of them; a translation replaces template by template."""
    sentence = " ".join(render(message, numbers) for message in messages)
    return {"messages": messages, "numbers": dict(numbers), "sentence": sentence}


_EMULATOR = "This is CPU time of the software emulator, neither for nor against the published effect."
_CHANGED = (
    "The sustained level changed by {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_UNCHANGED = (
    "No change of the sustained level is shown: {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity}; {n_before} and {n_after} boots)."
)
_RELATIVE = "Relative to before that is {relative:percent} ({relative_low:percent} to {relative_high:percent})."
_SAME = "Both sides are the same within {margin:percent}."
_SWITCH = (
    "{before:quantity} ({before_label}) and {after:quantity} ({after_label}) were made by different instruments; their "
    "difference is an instrument switch and not an effect, so none is given."
)
