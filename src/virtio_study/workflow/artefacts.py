"""What the steps leave for one another in `work/`: where it stands, how it is written and read."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.storage import write_atomically
from virtio_study.study import Study

__all__ = ["read_json", "read_table", "work_file", "write_table"]


def work_file(study: Study, server: str, driver_config: str | None, what: str) -> Path:
    """Path of an artefact, such as `work/versat-virtio.clean.parquet` or `work/versat.effects.json`."""
    stem = server if driver_config is None else f"{server}-{driver_config}"
    return study.work / f"{stem}.{what}"


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


def read_table(path: Path, step: str) -> pd.DataFrame:
    """Read a Parquet file; `DataError` names the notebook that makes it if it is damaged."""
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a table ({str(error).splitlines()[0]}); run {step} again") from error
