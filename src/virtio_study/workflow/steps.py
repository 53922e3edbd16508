"""The steps from recordings to the report: each reads artefacts, calls one function of a room, and writes artefacts.

A step makes what it needs first, so that every notebook can be run by itself.
"""

from functools import partial
from itertools import pairwise
from typing import Any

import pandas as pd

from virtio_study.cleaning.transients import label_periods, period_table
from virtio_study.errors import DataError
from virtio_study.recording import Provenance, recordings, share_time
from virtio_study.storage import sha256, write_atomically, write_json
from virtio_study.study import Study, load_study
from virtio_study.workflow.artefacts import read_json, read_table, work_file, write_table

__all__ = [
    "INPUTS",
    "clean",
    "collect",
    "compare",
    "describe",
    "read_clean",
    "read_provenance",
    "results",
    "write_report",
    "write_results",
]

INPUTS = ("study.yaml", "manifest.json", "counts.json", "timeline.json")
"""Files of a study that results are made from; the recordings are listed in its manifest."""


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
    study.server(server)
    study.driver_config(driver_config)
    frames, provenances = [], []
    for recording in recordings(study.folder, server, driver_config):
        found = recording.provenance
        if (found.server, found.driver_config) != (server, driver_config):
            raise DataError(f"{recording.path}: recorded for {found.server} under {found.driver_config}; wrong folder")
        frames.append(recording.frame.assign(replicate=found.replicate))
        provenances.append(found)
    names = [item.replicate for item in provenances]
    if len(set(names)) != len(names):
        raise DataError(f"{server} under {driver_config}: two recordings have the same replicate; names: {names}")
    _refuse_overlap(f"{server} under {driver_config}", frames)
    collected = pd.concat(frames, ignore_index=True)
    write_table(work_file(study, server, driver_config, "collected.parquet"), collected)
    write_json(
        work_file(study, server, driver_config, "provenance.json"),
        [item.model_dump(mode="json") for item in provenances],
    )
    return collected


def _refuse_overlap(where: str, frames: list[pd.DataFrame]) -> None:
    """`DataError` if two recordings share more than a row's time: one boot would count as two replicates."""
    for before, after in pairwise(sorted(frames, key=lambda frame: frame["time"].iloc[0])):
        if share_time(before, after):
            names = before["replicate"].iloc[0], after["replicate"].iloc[0]
            raise DataError(
                f"{where}: recordings {names[0]} and {names[1]} hold the same time, and would count as two replicates; "
                "record the study anew from one source"
            )


def clean(study: Study, server: str, driver_config: str) -> pd.DataFrame:
    """Label the periods of the collected rows; the recordings are collected first if they were not yet.

    Returns
    -------
    DataFrame
        The collected rows with `period` and `reason`; also written to `work/`, with a summary (`periods.json`).

    Raises
    ------
    StudyError, DataError
        As `collect`, or if what it wrote is damaged.
    """
    study.server(server)
    study.driver_config(driver_config)
    path = work_file(study, server, driver_config, "collected.parquet")
    collected = read_table(path, "1_collect") if path.exists() else collect(study, server, driver_config)
    provenances = read_provenance(study, server, driver_config)
    windows = [(w.start, w.end) for w in study.windows if (w.server, w.driver_config) == (server, driver_config)]
    marks = {p.replicate: p.events["load_started"] for p in provenances if "load_started" in p.events}
    disturbed = {p.replicate: p.contaminated for p in provenances}
    labelled = label_periods(collected, windows=windows, load_started=marks, contaminated=disturbed)
    write_table(work_file(study, server, driver_config, "clean.parquet"), labelled)
    write_json(work_file(study, server, driver_config, "periods.json"), period_table(labelled))
    return labelled


def read_clean(study: Study, server: str, driver_config: str) -> pd.DataFrame:
    """Read what `clean` wrote; it is run first if it was not yet, so that every notebook can be run by itself."""
    study.server(server)
    study.driver_config(driver_config)
    path = work_file(study, server, driver_config, "clean.parquet")
    return read_table(path, "2_clean") if path.exists() else clean(study, server, driver_config)


def read_provenance(study: Study, server: str, driver_config: str) -> list[Provenance]:
    """Provenance of every collected recording, in order of replicate."""
    path = work_file(study, server, driver_config, "provenance.json")
    if not path.exists():
        collect(study, server, driver_config)
    return [Provenance.model_validate(item) for item in read_json(path, "1_collect")]


def describe(study: Study, server: str, driver_config: str) -> dict[str, Any]:
    """Levels of a server under a driver configuration, boot by boot and over boots; written to `work/*.levels.json`.

    Raises
    ------
    DataError
        If there is no recording, or a recording or artefact is damaged.
    """
    from virtio_study.analysis import results as analysis

    cleaned, provenances = read_clean(study, server, driver_config), read_provenance(study, server, driver_config)
    described = analysis.describe(study, driver_config, cleaned, provenances)
    write_json(work_file(study, server, driver_config, "levels.json"), described)
    return described


def compare(study: Study, server: str) -> dict[str, Any]:
    """Every comparison of a server: effects, load, checks, verdicts; written to `work/<server>.effects.json`.

    Raises
    ------
    DataError
        If there is no recording of one of the comparisons' driver configurations, or one is damaged.
    """
    from virtio_study.analysis import results as analysis

    study.server(server)
    needed = sorted({side for item in study.comparisons.values() for side in (item.before, item.after)})
    frames = {name: read_clean(study, server, name) for name in needed}
    provenances = {name: read_provenance(study, server, name) for name in needed}
    compared = analysis.compare(study, server, frames, provenances)
    write_json(work_file(study, server, None, "effects.json"), compared)
    return compared


def results(study: Study) -> dict[str, Any]:
    """Gather what the steps wrote, the counts, the audit of a published study beside this one, and provenance.

    Raises
    ------
    DataError
        If there is no recording, or a recording or artefact is damaged.
    """
    from virtio_study.analysis import results as analysis

    servers = () if study.source == "published" else tuple(study.servers)
    return analysis.gather(
        study,
        {server: {config: _described(study, server, config) for config in study.driver_configs} for server in servers},
        {server: _compared(study, server) for server in servers},
        runs=_runs(study, servers),
        counts=_counts(study),
        audit=_audit(study),
        inputs=_inputs(study),
    )


def write_results(study: Study) -> dict[str, Any]:
    """Write `reports/<study>/results.json` and return it."""
    found = results(study)
    write_json(study.reports / "results.json", found)
    return found


def write_report(study: Study, language: str = "en") -> dict[str, Any]:
    """Write `results.json`, the figures with their data, and the page of a study; return the results.

    Raises
    ------
    DataError
        If there is no recording, or a recording or artefact is damaged.
    StudyError
        If the report does not speak the language.
    """
    from virtio_study.report.page import make_page

    write_results(study)
    found: dict[str, Any] = read_json(study.reports / "results.json", "5_report")
    page = make_page(study, found, partial(read_clean, study), language)
    for name, figure in page.figures.items():
        write_atomically(study.reports / "figures" / f"{name}.{language}.svg", figure.svg.encode())
        write_atomically(study.reports / "figures" / f"{name}.csv", figure.csv)
    write_atomically(study.reports / f"index.{language}.html", page.html.encode())
    return found


def _described(study: Study, server: str, driver_config: str) -> dict[str, Any]:
    path = work_file(study, server, driver_config, "levels.json")
    return read_json(path, "3_describe") if path.exists() else describe(study, server, driver_config)


def _compared(study: Study, server: str) -> dict[str, Any]:
    path = work_file(study, server, None, "effects.json")
    return read_json(path, "4_compare") if path.exists() else compare(study, server)


def _runs(study: Study, servers: tuple[str, ...]) -> dict[str, list[dict[str, Any]]] | None:
    """Runs of every server: as an import found them, or as the study's windows say."""
    from virtio_study.analysis.results import recorded_runs

    path = study.folder / "timeline.json"
    if path.exists():
        return dict(read_json(path, "virtio-study files answers"))
    if not study.windows or not servers:
        return None
    return {
        server: recorded_runs(
            {
                config: (read_clean(study, server, config), read_provenance(study, server, config))
                for config in study.driver_configs
            }
        )
        for server in servers
    }


def _counts(study: Study) -> dict[str, Any] | None:
    """The study's own counts of device accesses; a published study borrows those of a study beside it."""
    here = [study.folder / "counts.json"]
    beside = sorted(study.folder.parent.glob("*/counts.json")) if study.source == "published" else []
    found = next((path for path in [*here, *beside] if path.exists()), None)
    return None if found is None else dict(read_json(found, "virtio-study lab count"))


def _audit(study: Study) -> dict[str, Any] | None:
    """The audit of this study if it is a published one, else of the study `published` beside it, if there is one."""
    from virtio_study.analysis.audit import audit_published

    if study.source == "published":
        return audit_published(study)
    beside = study.folder.parent / "published"
    return audit_published(load_study(beside)) if (beside / "study.yaml").exists() else None


def _inputs(study: Study) -> dict[str, str]:
    """SHA-256 of the study's files that results are made from."""
    files = [name for name in INPUTS if (study.folder / name).exists()]
    if study.source != "published" and "manifest.json" not in files:
        raise DataError(
            f"{study.folder / 'manifest.json'}: missing; record the study, or restore it from version control"
        )
    return {name: sha256(study.folder / name) for name in files}
