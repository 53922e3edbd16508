"""The published study under the same checks as recordings, and what its own numbers say of each other."""

from collections.abc import Mapping

from virtio_study.analysis.capacity import OVERCOMMIT, Capacity, fits
from virtio_study.analysis.evidence import Side
from virtio_study.analysis.load import no_load
from virtio_study.analysis.published import (
    CITATION,
    PublishedValue,
    TableRow,
    load_values,
    same_statistic_pair,
    sides,
    table_rows,
)
from virtio_study.analysis.records import Bilingual, Number, Recorded
from virtio_study.analysis.validity import Check, Verdict, checked, checks, verdict
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers, Said, said
from virtio_study.storage import sha256
from virtio_study.study import Study

__all__ = ["Audit", "AuditedMetric", "audit_published", "findings"]


class PublishedSide(Recorded):
    """One side of a row of the paper's table: value in `unit`, and as readers see it."""

    driver_config: str
    value: Number
    unit: str
    statistic: str
    instrument: str | None
    allocated: Number | None
    quantum: Number | None
    place: str
    shown_unit: str
    shown_scale: Number


class LikeWithLike(Recorded):
    """The pair of the paper's own values that share a statistic, if the table did not use it."""

    statistic: str
    before: str
    after: str
    difference: Number | None
    relative: Number | None
    unit: str


class AuditedMetric(Recorded):
    """A row of the paper's table under the checks that recordings go through; differences printed and computed."""

    before: PublishedSide
    after: PublishedSide
    printed_difference: Number
    difference: Number
    difference_unit: str
    relative: Number
    agrees: bool
    like_with_like: LikeWithLike | None
    checks: tuple[Check, ...]
    verdict: Verdict


class PublishedHost(Recorded):
    """The host of the published study, as stated."""

    name: str
    hypervisor: str
    cpu_model: str
    logical_cpus: int
    physical_cores: int | None
    memory_bytes: int


class PublishedCapacity(Recorded):
    """What fits on the published host by allocation."""

    overcommit: Number
    servers: dict[str, Capacity]


class Audit(Recorded):
    """The published study: every printed number, both sides of its table checked, and what its numbers say together."""

    name: str
    title: Bilingual
    citation: dict[str, str]
    host: PublishedHost
    values: tuple[PublishedValue, ...]
    servers: dict[str, dict[str, AuditedMetric]]
    start_up: tuple[PublishedValue, ...]
    findings: tuple[Check, ...]
    capacity: PublishedCapacity
    inputs: dict[str, str]


def audit_published(study: Study) -> Audit:
    """Check a published study's numbers as if they were recordings.

    Raises
    ------
    DataError
        If the study is not a published one, or its values are not complete.
    """
    if study.source != "published":
        raise DataError(
            N_("{path}: source is {source!r}; the audit needs a published study"),
            path=study.folder / "study.yaml",
            source=study.source,
        )
    values = load_values(study.folder)
    servers: dict[str, dict[str, AuditedMetric]] = {name: {} for name in study.servers}
    evidence = sides(study, values)
    for row in table_rows(study, values):
        servers[row.server][row.metric] = _audited(study, values, row, *evidence[row.server, row.metric])
    return Audit(
        name=study.name,
        title=Bilingual.model_validate(study.title),
        citation=CITATION,
        host=PublishedHost.model_validate(study.host),
        values=tuple(values.values()),
        servers=servers,
        start_up=tuple(value for value in values.values() if value.statistic == "start-up"),
        findings=tuple(findings(study, values)),
        capacity=PublishedCapacity(
            overcommit=OVERCOMMIT,
            servers={
                name: fits(study.host, server.vcpus, int(server.memory_bytes)) for name, server in study.servers.items()
            },
        ),
        inputs={name: sha256(study.folder / name) for name in ("study.yaml", "values.csv")},
    )


def _audited(
    study: Study, values: Mapping[str, PublishedValue], row: TableRow, before: Side, after: Side
) -> AuditedMetric:
    load = no_load({item.column: item.margin for item in study.load.get(row.server, [])})
    done = checks(before, after, load, study.confidence, study.practical_margin)
    return AuditedMetric(
        before=PublishedSide.model_validate(before),
        after=PublishedSide.model_validate(after),
        printed_difference=row.printed_difference.value,
        difference=row.difference,
        difference_unit=row.printed_difference.unit,
        relative=row.relative,
        agrees=row.agrees,
        like_with_like=_like_with_like(study, values, row),
        checks=tuple(done),
        verdict=verdict(done),
    )


def _like_with_like(study: Study, values: Mapping[str, PublishedValue], row: TableRow) -> LikeWithLike | None:
    pair = same_statistic_pair(study, values.values(), row)
    if pair is None or {pair[0].id, pair[1].id} == {row.before.repeats, row.after.repeats}:
        return None
    before, after = pair
    comparable = before.unit == after.unit
    return LikeWithLike(
        statistic=before.statistic,
        before=before.id,
        after=after.id,
        difference=after.value - before.value if comparable else None,
        relative=after.value / before.value - 1 if comparable and before.value else None,
        unit=before.unit,
    )


def findings(study: Study, values: dict[str, PublishedValue]) -> list[Check]:
    """What the printed numbers say of each other: differences, repetitions, captions, units, start-up."""
    rows = table_rows(study, values)
    wrong = [row for row in rows if not row.agrees]
    numbers: Numbers = {
        "rows": len(rows),
        "wrong": [said("{server}, {metric:metric}", server=row.server, metric=row.metric) for row in wrong],
    }
    message = N_("Every one of the table's {rows} differences is that of its two values.")
    if wrong:
        message = N_("Differences of the table that are not those of their two values: {wrong}.")
    table = checked("table_differences", "fail" if wrong else "pass", message, numbers)
    return [table, _repetitions(values), *_captions(values), *_start_up(study, values)]


def _repetitions(values: dict[str, PublishedValue]) -> Check:
    repeated = [(value, values[value.repeats]) for value in values.values() if value.repeats]
    differing = [(value, first) for value, first in repeated if value.printed != first.printed]
    beyond = [(v, f) for v, f in differing if v.unit != f.unit or abs(v.value - f.value) > v.resolution * (1 + 1e-9)]
    numbers: Numbers = {
        "repeated": len(repeated),
        "differing": [said("{one}, {other}", one=_printed(one), other=_printed(other)) for one, other in differing],
    }
    if beyond:
        return checked("repetitions", "fail", N_("Repeated values differ by more than rounding: {differing}."), numbers)
    if differing:
        return checked("repetitions", "pass", N_("Repeated values differ by rounding only: {differing}."), numbers)
    return checked("repetitions", "pass", N_("All {repeated} repeated values are printed alike."), numbers)


def _printed(value: PublishedValue) -> Said:
    form = "{value} {unit:unit} ({place:place})"
    return said(form, value=value.printed, unit=value.unit, place=value.place)


def _captions(values: dict[str, PublishedValue]) -> list[Check]:
    message = N_("{place:place}: the caption names server {caption}, the text server {server}.")
    return [
        checked("caption", "warn", message, {"place": v.place, "caption": v.caption_server, "server": v.server})
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
        message = N_(
            "{value} {unit:unit} ({place:place}) is a start-up value that was set aside by hand; no start-up "
            "value of the other driver configuration is given beside it."
        )
        if not others:
            found.append(
                checked("start_up", "warn", message, {"value": value.value, "unit": value.unit, "place": value.place})
            )
    return found
