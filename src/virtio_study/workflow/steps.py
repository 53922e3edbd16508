"""The steps from recordings to the report: each reads artefacts, calls one function of a room, and writes artefacts.

A step makes what it needs first if it is not there or was made of something else, so that every notebook can be run by
itself and none mixes what was made of different protocols, code or recordings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from virtio_study.cleaning.transients import label_periods, period_table
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import spoken
from virtio_study.recording import Provenance
from virtio_study.storage import json_bytes
from virtio_study.study import Study, load_study
from virtio_study.workflow.artefacts import (
    model_bytes,
    read_data,
    read_input,
    read_model,
    read_table,
    work_file,
    write_data,
    write_model,
    write_table,
)
from virtio_study.workflow.environment import environment
from virtio_study.workflow.gathering import gathered, recordings_of
from virtio_study.workflow.keys import INPUTS, Keys, borrowed_counts
from virtio_study.workflow.progress import progressing
from virtio_study.workflow.reports import ENVIRONMENT, publish

if TYPE_CHECKING:
    from virtio_study.analysis.arms import Arm
    from virtio_study.analysis.audit import Audit
    from virtio_study.analysis.comparison import ServerComparison
    from virtio_study.analysis.description import Description
    from virtio_study.analysis.exploring import Explorable
    from virtio_study.analysis.plausibility import Counts
    from virtio_study.analysis.results import Results
    from virtio_study.analysis.switchback import ScheduledBlock
    from virtio_study.analysis.timeline import TimelineRun

__all__ = [
    "blocks",
    "clean",
    "collect",
    "compare",
    "describe",
    "explorable",
    "levels",
    "read_arm",
    "read_provenance",
    "results",
    "write_report",
    "write_results",
]


def collect(study: Study, server: str, driver_config: str) -> pd.DataFrame:
    """Verify and gather every recording of a server under a driver configuration.

    Returns
    -------
    DataFrame, shape (rows of all boots, schema's columns + 1)
        With `replicate`; also written to `work/`, with the recordings' provenance beside it.

    Raises
    ------
    StudyError
        If the study has no such server or driver configuration.
    DataError
        If there is no recording, one cannot be read, or its provenance names another server or configuration.
    """
    return _collect(Keys(study), server, driver_config)


def clean(study: Study, server: str, driver_config: str) -> pd.DataFrame:
    """Label the periods of the collected rows.

    Returns
    -------
    DataFrame
        The collected rows with `period` and `reason`; also written to `work/`, with a summary (`periods.json`).

    Raises
    ------
    StudyError, DataError
        As `collect`.
    """
    return _clean(Keys(study), server, driver_config)


def read_provenance(study: Study, server: str, driver_config: str) -> list[Provenance]:
    """Provenance of every recording of a server under a driver configuration, in order of replicate."""
    return _provenance(Keys(study), server, driver_config)


def read_arm(study: Study, server: str, driver_config: str) -> "Arm":
    """The boots of a server under a driver configuration, cleaned, with their provenance."""
    return _arm(Keys(study), server, driver_config)


def describe(study: Study, server: str, driver_config: str) -> "Description":
    """Levels of a server under a driver configuration, boot by boot and over boots; written to `work/*.levels.json`.

    Raises
    ------
    StudyError, DataError
        As `collect`.
    """
    return _describe(Keys(study), server, driver_config)


def levels(study: Study, server: str) -> "dict[str, Description]":
    """Levels of a server under every driver configuration that is compared, as `describe` left them.

    Raises
    ------
    StudyError, DataError
        As `compare`.
    """
    study.server(server)
    keys = Keys(study)
    return {config: _described(keys, server, config) for config in keys.arms(server)}


def compare(study: Study, server: str) -> "dict[str, ServerComparison]":
    """Every comparison of a server: effects, load, checks, verdicts; written to `work/<server>.effects.json`.

    Raises
    ------
    StudyError, DataError
        As `collect`, for each driver configuration of the study's comparisons.
    """
    return _compare(Keys(study), server)


def explorable(study: Study, server: str) -> "Explorable":
    """A server whose effects can be calculated anew, under other choices; errors as of `compare`."""
    from virtio_study.analysis.exploring import Explorable

    study.server(server)
    keys = Keys(study)
    return Explorable(
        study, server, {name: _arm(keys, server, name) for name in keys.arms(server)}, _compared(keys, server)
    )


def blocks(study: Study, server: str) -> "tuple[ScheduledBlock, ...]":
    """Every block of a server's schedule beside what was recorded in it; none if it has no schedule.

    Raises
    ------
    StudyError, DataError
        As `collect`, for each driver configuration that was recorded.
    """
    return _blocks(Keys(study), server)


def results(study: Study) -> "Results":
    """Levels, comparisons, counts, the audit of a published study beside this one, and provenance.

    Raises
    ------
    DataError
        If there is no recording, one is missing or damaged, or an input beside them is.
    """
    return _results(Keys(study))


def write_results(study: Study) -> "Results":
    """Write `reports/<study>/results.json` and return it."""
    return _write_results(Keys(study))


def write_report(study: Study, language: str = "en") -> "Results":
    """Write `results.json`, the figures with their data, and the page of a study; return the results.

    Raises
    ------
    DataError
        As `results`.
    StudyError
        If the report does not speak the language.
    """
    from virtio_study.report.page import make_page
    from virtio_study.report.svg import on_white

    keys = Keys(study)
    found = _write_results(keys)
    page = make_page(found, partial(_cleaned, keys), language)
    files = {f"index.{language}.html": page.html.encode()}
    for name, figure in page.figures.items():
        files[f"figures/{name}.{language}.svg"] = on_white(figure.svg)
        files[f"figures/{name}.csv"] = figure.csv
    publish(study, keys.reported, files, instead_of=("figures/*.csv", f"figures/*.{language}.svg"))
    return found


def _collect(keys: Keys, server: str, driver_config: str) -> pd.DataFrame:
    study = keys.study
    path = _named(keys, server, driver_config, "collected.parquet")
    found = recordings_of(study, server, driver_config)
    keys.verified(server, driver_config)
    collected, known = gathered(server, driver_config, found)
    key = keys.recorded(server, driver_config)
    write_table(path, collected, key)
    named = work_file(study, server, driver_config, "provenance.json")
    write_data(named, [item.model_dump(mode="json") for item in known], key)
    return collected


def _collected(keys: Keys, server: str, driver_config: str) -> pd.DataFrame:
    path = _named(keys, server, driver_config, "collected.parquet")
    found = read_table(path, keys.recorded(server, driver_config))
    if found is None:
        return _collect(keys, server, driver_config)
    keys.verify(server, driver_config)
    return found


def _provenance(keys: Keys, server: str, driver_config: str) -> list[Provenance]:
    path, key = _named(keys, server, driver_config, "provenance.json"), keys.recorded(server, driver_config)
    found = read_data(path, key)
    if found is None:
        _collect(keys, server, driver_config)
        found = read_data(path, key)
    keys.verify(server, driver_config)
    return [Provenance.model_validate(item) for item in found or []]


def _named(keys: Keys, server: str, driver_config: str, what: str) -> Path:
    """Path of an artefact of a server and a driver configuration that the study has."""
    keys.study.server(server)
    keys.study.driver_config(driver_config)
    return work_file(keys.study, server, driver_config, what)


def _clean(keys: Keys, server: str, driver_config: str) -> pd.DataFrame:
    study = keys.study
    collected, provenances = _collected(keys, server, driver_config), _provenance(keys, server, driver_config)
    windows = [(w.start, w.end) for w in study.windows if (w.server, w.driver_config) == (server, driver_config)]
    marks = {p.replicate: p.events["load_started"] for p in provenances if "load_started" in p.events}
    disturbed: dict[str, list[tuple[float, float, str]]] = {}
    for p in provenances:
        disturbed.setdefault(p.replicate, []).extend(p.contaminated)
    washouts = study.schedule.washouts(server) if study.schedule else []
    labelled = label_periods(collected, "cpu_cores", windows, marks, disturbed, washouts)
    key = keys.recorded(server, driver_config)
    write_table(work_file(study, server, driver_config, "clean.parquet"), labelled, key)
    periods = [asdict(item) for item in period_table(labelled)]
    write_data(work_file(study, server, driver_config, "periods.json"), periods, key)
    return labelled


def _cleaned(keys: Keys, server: str, driver_config: str) -> pd.DataFrame:
    path = _named(keys, server, driver_config, "clean.parquet")
    found = read_table(path, keys.recorded(server, driver_config))
    if found is None:
        return _clean(keys, server, driver_config)
    keys.verify(server, driver_config)
    return found


def _arm(keys: Keys, server: str, driver_config: str) -> "Arm":
    from virtio_study.analysis.arms import arm_of

    cleaned = _cleaned(keys, server, driver_config)
    return arm_of(server, driver_config, cleaned, _provenance(keys, server, driver_config))


def _describe(keys: Keys, server: str, driver_config: str) -> "Description":
    from virtio_study.analysis import description
    from virtio_study.analysis.scheduled import of_blocks

    described = description.describe(keys.study, of_blocks(keys.study, _arm(keys, server, driver_config)))
    path = work_file(keys.study, server, driver_config, "levels.json")
    write_model(path, described, keys.recorded(server, driver_config))
    return described


def _described(keys: Keys, server: str, driver_config: str) -> "Description":
    from virtio_study.analysis.description import Description

    path = _named(keys, server, driver_config, "levels.json")
    found = read_model(path, Description, keys.recorded(server, driver_config))
    if found is None:
        return _describe(keys, server, driver_config)
    keys.verify(server, driver_config)
    return found


def _compare(keys: Keys, server: str) -> "dict[str, ServerComparison]":
    from virtio_study.analysis.comparison import Compared
    from virtio_study.analysis.results import compare_server

    study = keys.study
    study.server(server)
    arms = {name: _arm(keys, server, name) for name in keys.arms(server)}
    compared = compare_server(study, arms, progressing(spoken().gettext(N_("comparison"))))
    write_model(work_file(study, server, None, "effects.json"), Compared(compared), keys.compared(server))
    return compared


def _compared(keys: Keys, server: str) -> "dict[str, ServerComparison]":
    from virtio_study.analysis.comparison import Compared

    path = work_file(keys.study, server, None, "effects.json")
    found = read_model(path, Compared, keys.compared(server))
    if found is None:
        return _compare(keys, server)
    for driver_config in keys.arms(server):
        keys.verify(server, driver_config)
    return found.root


def _blocks(keys: Keys, server: str) -> "tuple[ScheduledBlock, ...]":
    from virtio_study.analysis.scheduled import schedule_of
    from virtio_study.analysis.switchback import blocks_of_server

    keys.study.server(server)
    if schedule_of(keys.study, server) is None:
        return ()
    return blocks_of_server(keys.study, server, {name: _arm(keys, server, name) for name in keys.arms(server)})


def _results(keys: Keys) -> "Results":
    from virtio_study.analysis.results import gather

    study = keys.study
    servers = () if study.source == "published" else tuple(study.servers)
    inputs = keys.reported.inputs
    return gather(
        study,
        {
            server: {config: _described(keys, server, config) for config in study.driver_configs}
            for server in progressing(spoken().gettext(N_("server")))(servers)
        },
        {server: _compared(keys, server) for server in progressing(spoken().gettext(N_("server")))(servers)},
        runs=_runs(keys, servers),
        blocks={server: _blocks(keys, server) for server in servers},
        counts=_counts(study),
        audit=_audit(study),
        inputs={name: inputs[name] for name in INPUTS if name in inputs},
    )


def _write_results(keys: Keys) -> "Results":
    found = _results(keys)
    content = model_bytes(found)
    path, beside = (keys.study.reports / name for name in ("results.json", ENVIRONMENT))
    # Of the machine that made these bytes first: the same results, made again elsewhere, leave everything as it is.
    known = beside.is_file() and path.is_file() and path.read_bytes() == content
    where = beside.read_bytes() if known else json_bytes(environment())
    publish(keys.study, keys.reported, {ENVIRONMENT: where, "results.json": content})
    return found


def _runs(keys: Keys, servers: tuple[str, ...]) -> "Mapping[str, Sequence[TimelineRun]] | None":
    """Runs of every server: as an import found them, or as the study's windows say."""
    from virtio_study.analysis.timeline import Runs, recorded_runs

    study = keys.study
    path = study.folder / "timeline.json"
    if path.exists():
        return read_input(path, Runs, "virtio-study files answers").root
    if not study.windows or not servers:
        return None
    return {server: recorded_runs(_arm(keys, server, config) for config in study.driver_configs) for server in servers}


def _counts(study: Study) -> "Counts | None":
    """The study's own counts of device accesses; a published study borrows those of a study beside it."""
    from virtio_study.analysis.plausibility import Counts

    own = study.folder / "counts.json"
    path = own if own.exists() else borrowed_counts(study) if study.source == "published" else None
    return None if path is None else read_input(path, Counts, "virtio-study lab count")


def _audit(study: Study) -> "Audit | None":
    """The audit of this study if it is a published one, else of the study `published` beside it, if there is one."""
    from virtio_study.analysis.audit import audit_published

    if study.source == "published":
        return audit_published(study)
    beside = study.folder.parent / "published"
    return audit_published(load_study(beside)) if (beside / "study.yaml").exists() else None
