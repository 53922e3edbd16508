"""What the steps leave for one another in `work/`, each with the key of what it was made of.

An artefact that is not there, is damaged, or was made of something else than today's protocol, code and inputs is read
as None: the caller makes it anew.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.storage import write_atomically, write_json
from virtio_study.study import Study
from virtio_study.workflow.keys import Key

__all__ = ["read_data", "read_input", "read_table", "work_file", "write_data", "write_table"]

METADATA = b"virtio_study_key"
"""Where the key of a table stands in its Parquet file."""


def work_file(study: Study, server: str, driver_config: str | None, what: str) -> Path:
    """Path of an artefact, such as `work/versat-virtio.clean.parquet` or `work/versat.effects.json`."""
    stem = server if driver_config is None else f"{server}-{driver_config}"
    return study.work / f"{stem}.{what}"


def write_data(path: Path, content: Any, key: Key) -> None:
    """Write JSON with its key, the same to the last byte for the same content and key."""
    write_json(path, {"key": key.digest, "content": content})


def read_data(path: Path, key: Key) -> Any | None:
    """What `write_data` wrote under the same key, or None."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return read.get("content") if isinstance(read, dict) and read.get("key") == key.digest else None


def write_table(path: Path, frame: pd.DataFrame, key: Key) -> None:
    """Write a Parquet file with its key, the same to the last byte for the same frame, key and version of pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA: key.digest.encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomically(path, sink.getvalue().to_pybytes())


def read_table(path: Path, key: Key) -> pd.DataFrame | None:
    """What `write_table` wrote under the same key, or None."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if (file.schema_arrow.metadata or {}).get(METADATA) != key.digest.encode():
                return None
            return pd.DataFrame(file.read().to_pandas())
    except (pa.ArrowException, OSError):
        return None


def read_input(path: Path, command: str) -> Any:
    """Read JSON that a command wrote beside the recordings; `DataError` names the command if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            N_("{path}: not JSON ({error}); run {command} again"), path=path, error=error, command=command
        ) from error
