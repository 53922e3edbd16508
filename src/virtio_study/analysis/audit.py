"""The published study under the same checks as recordings, and what its own numbers say of each other."""

from dataclasses import asdict
from typing import Any

from virtio_study.analysis.capacity import OVERCOMMIT, fits
from virtio_study.analysis.evidence import Side
from virtio_study.analysis.published import (
    CITATION,
    PublishedValue,
    TableRow,
    load_values,
    same_statistic_pair,
    sides,
    table_rows,
)
from virtio_study.analysis.validity import Check, checks, verdict
from virtio_study.errors import DataError
from virtio_study.storage import sha256
from virtio_study.study import Study

__all__ = ["audit_published", "findings"]


def audit_published(study: Study) -> dict[str, Any]:
    """Check a published study's numbers as if they were recordings.

    Returns
    -------
    dict
        `citation`, `values` (every printed number with its place), `servers` (by server and metric: both sides, the
        difference as printed and as computed, checks, verdict, a pair with like statistics), `start_up` (values that
        the paper set aside), `findings` (what numbers say of each other), `capacity`, `inputs` (checksums).

    Raises
    ------
    DataError
        If the study is not a published one, or its values are not complete.
    """
    if study.source != "published":
        raise DataError(f"{study.folder / 'study.yaml'}: source is {study.source!r}; the audit needs a published study")
    values = load_values(study.folder)
    margins = {server: {item.column: item.margin for item in study.load.get(server, [])} for server in study.servers}
    evidence = sides(study, values)
    servers: dict[str, dict[str, Any]] = {name: {} for name in study.servers}
    for row in table_rows(study, values):
        before, after = evidence[row.server, row.metric]
        done = checks(before, after, margins[row.server], study.confidence, study.practical_margin)
        servers[row.server][row.metric] = {
            "before": _side_dict(before),
            "after": _side_dict(after),
            "printed_difference": row.printed_difference.value,
            "difference": row.difference,
            "difference_unit": row.printed_difference.unit,
            "relative": row.relative,
            "agrees": row.agrees,
            "like_with_like": _like_with_like(study, values, row),
            "checks": [check.as_dict() for check in done],
            "verdict": verdict(done).as_dict(),
        }
    return {
        "name": study.name,
        "title": study.title.model_dump(),
        "citation": CITATION,
        "host": study.host.model_dump(mode="json"),
        "values": [_value_dict(value) for value in values.values()],
        "servers": servers,
        "start_up": [_value_dict(value) for value in values.values() if value.statistic == "start-up"],
        "findings": [check.as_dict() for check in findings(study, values)],
        "capacity": _capacity(study),
        "inputs": {name: sha256(study.folder / name) for name in ("study.yaml", "values.csv")},
    }


def _value_dict(value: PublishedValue) -> dict[str, Any]:
    return {**asdict(value), "value": value.value}


def _side_dict(side: Side) -> dict[str, Any]:
    return asdict(side)


def _like_with_like(study: Study, values: dict[str, PublishedValue], row: TableRow) -> dict[str, Any] | None:
    """The pair of the paper's own values that share a statistic, if the table did not use it."""
    pair = same_statistic_pair(study, values.values(), row)
    if pair is None or {pair[0].id, pair[1].id} == {row.before.repeats, row.after.repeats}:
        return None
    before, after = pair
    return {
        "statistic": before.statistic,
        "before": before.id,
        "after": after.id,
        "difference": after.value - before.value if before.unit == after.unit else None,
        "relative": after.value / before.value - 1 if before.unit == after.unit and before.value else None,
        "unit": before.unit,
    }


def _capacity(study: Study) -> dict[str, Any]:
    return {
        "overcommit": OVERCOMMIT,
        "servers": {
            name: asdict(fits(study.host, server.vcpus, int(server.memory_bytes)))
            for name, server in study.servers.items()
        },
    }


def findings(study: Study, values: dict[str, PublishedValue]) -> list[Check]:
    """What the printed numbers say of each other: differences, repetitions, captions, units, start-up."""
    rows = table_rows(study, values)
    wrong = [row for row in rows if not row.agrees]
    numbers: dict[str, float | int | str | None] = {
        "rows": len(rows),
        "wrong": ", ".join(f"{row.server} {row.metric}" for row in wrong),
    }
    message = "Every one of the table's {rows} differences is that of its two values."
    if wrong:
        message = "Differences of the table that are not those of their two values: {wrong}."
    table = Check("table_differences", "fail" if wrong else "pass", message, numbers)
    return [table, _repetitions(values), *_captions(values), *_start_up(study, values)]


def _repetitions(values: dict[str, PublishedValue]) -> Check:
    repeated = [(value, values[value.repeats]) for value in values.values() if value.repeats]
    differing = [(value, first) for value, first in repeated if value.printed != first.printed]
    beyond = [(v, f) for v, f in differing if v.unit != f.unit or abs(v.value - f.value) > v.resolution * (1 + 1e-9)]
    numbers: dict[str, float | int | str | None] = {
        "repeated": len(repeated),
        "differing": "; ".join(
            f"{v.printed} {v.unit} ({v.place}), {f.printed} {f.unit} ({f.place})" for v, f in differing
        ),
    }
    if beyond:
        return Check("repetitions", "fail", "Repeated values differ by more than rounding: {differing}.", numbers)
    if differing:
        return Check("repetitions", "pass", "Repeated values differ by rounding only: {differing}.", numbers)
    return Check("repetitions", "pass", "All {repeated} repeated values are printed alike.", numbers)


def _captions(values: dict[str, PublishedValue]) -> list[Check]:
    message = "{place}: the caption names server {caption}, the text server {server}."
    return [
        Check("caption", "warn", message, {"place": v.place, "caption": v.caption_server, "server": v.server})
        for v in values.values()
        if v.caption_server and v.caption_server != v.server
    ]


def _start_up(study: Study, values: dict[str, PublishedValue]) -> list[Check]:
    """Values of the start-up, set aside by hand on one side only; nothing shows the other side's."""
    found = []
    for value in values.values():
        if value.statistic != "start-up":
            continue
        others = [
            v
            for v in values.values()
            if v.statistic == "start-up"
            and (v.server, v.metric) == (value.server, value.metric)
            and v.driver_config != value.driver_config
        ]
        message = (
            "{value} {unit} ({place}) is a start-up value that was set aside by hand; no start-up value of the other "
            "driver configuration is given beside it."
        )
        if not others:
            found.append(
                Check("start_up", "warn", message, {"value": value.value, "unit": value.unit, "place": value.place})
            )
    return found
