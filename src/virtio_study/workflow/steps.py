"""The first two steps of the way: recordings gathered into one table, its periods labelled; artefacts in `work/`."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from virtio_study.cleaning.transients import label_periods, period_table
from virtio_study.errors import DataError
from virtio_study.recording import Provenance, recordings, share_time
from virtio_study.storage import write_atomically
from virtio_study.study import Study

__all__ = ["clean", "collect", "read_clean", "read_json", "read_provenance", "work_file", "write_json", "write_table"]


def work_file(study: Study, server: str, driver_config: str | None, what: str) -> Path:
    """Path of an artefact, such as `work/versat-virtio.clean.parquet` or `work/versat.effects.json`."""
    stem = server if driver_config is None else f"{server}-{driver_config}"
    return study.work / f"{stem}.{what}"


def write_json(path: Path, data: Any) -> None:
    """Write JSON that is the same to the last byte for the same data: sorted keys, no NaN, floats as computed."""
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_json(path: Path, step: str) -> Any:
    """Read an artefact; `DataError` names the notebook that makes it if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); run {step} again") from error


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a Parquet file, the same to the last byte for the same frame and versions of pandas and pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink, compression="zstd")
    write_atomically(path, sink.getvalue().to_pybytes())


def _read_table(path: Path, step: str) -> pd.DataFrame:
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a table ({str(error).splitlines()[0]}); run {step} again") from error


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
    collected = _read_table(path, "1_collect") if path.exists() else collect(study, server, driver_config)
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
    return _read_table(path, "2_clean") if path.exists() else clean(study, server, driver_config)


def read_provenance(study: Study, server: str, driver_config: str) -> list[Provenance]:
    """Provenance of every collected recording, in order of replicate."""
    path = work_file(study, server, driver_config, "provenance.json")
    if not path.exists():
        collect(study, server, driver_config)
    return [Provenance.model_validate(item) for item in read_json(path, "1_collect")]
