"""What the steps leave for one another in `work/`, each with the key of what it was made of.

An artefact that is not there, is damaged, or was made of something else than today's protocol, code and inputs is read
as None: the caller makes it anew.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.storage import write_atomically, write_json
from virtio_study.study import Study
from virtio_study.workflow.keys import Key

__all__ = [
    "model_bytes",
    "read_data",
    "read_input",
    "read_model",
    "read_table",
    "work_file",
    "write_data",
    "write_model",
    "write_table",
]

Model = TypeVar("Model", bound=BaseModel)


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


def model_bytes(model: BaseModel, **beside: str) -> bytes:
    """A model as JSON: its fields in their order, no NaN, the same bytes for the same values."""
    content = model.model_dump(mode="json")
    whole = {**beside, "content": content} if beside else content
    return (json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_model(path: Path, model: BaseModel, key: Key) -> None:
    """Write a model with its key."""
    write_atomically(path, model_bytes(model, key=key.digest))


def read_model(path: Path, model: type[Model], key: Key) -> Model | None:
    """What `write_model` wrote under the same key, or None."""
    try:
        found = read_data(path, key)
        return None if found is None else model.model_validate(found)
    except ValidationError:
        return None


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


def read_input(path: Path, model: type[Model], command: str) -> Model:
    """Read JSON that a command wrote beside the recordings; `DataError` names the command if it is damaged."""
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise DataError(
            N_("{path}: {error}; run {command} again"), path=path, error=place + first["msg"], command=command
        ) from error
