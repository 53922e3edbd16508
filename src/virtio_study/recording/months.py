"""Which rows of a long recording are files of their own: those of its past months, which no later day changes.

`recordings/SERVER/CONFIGURATION/RUN.parquet` has the provenance, the rows since the last month that is closed, and the
names and checksums of the closed ones, `RUN/2026-01.parquet` and so on. A month is closed once a row of a later one is
there and it has rows enough; one with fewer is kept in one file with the next. A recording without a closed month is a
file of format 1, as all were before.
"""

import hashlib
import json
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.recording.schema import SCHEMA, Provenance

__all__ = [
    "LEAST",
    "Month",
    "closed",
    "digest_of_rows",
    "facts_bytes",
    "facts_from",
    "is_month",
    "months_before",
    "name_of_month",
]

LEAST = 20_000
"""Rows that a closed month has at least: fewer are written in less time than a file more costs."""

FORMAT: Literal[2] = 2


class Month(BaseModel):
    """A closed month: the first that is in its file, SHA-256 of its rows whatever file they are in, and of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}$")
    rows: str = Field(pattern=r"^[0-9a-f]{64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Any(BaseModel):
    """What is in a recording beside its rows, of whatever format."""

    format: int = 1


class _Monthly(BaseModel):
    """What is in a recording of format 2 beside its rows; a program that knows format 1 alone refuses it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2]
    months: tuple[Month, ...]
    provenance: Provenance


def facts_bytes(provenance: Provenance, months: tuple[Month, ...]) -> bytes:
    """What a recording says beside its rows."""
    if not months:
        return provenance.model_dump_json().encode()
    return _Monthly(format=FORMAT, months=months, provenance=provenance).model_dump_json().encode()


def facts_from(content: bytes, where: str) -> tuple[Provenance, tuple[Month, ...]]:
    """Provenance and closed months of a recording, from what it says beside its rows.

    Raises
    ------
    DataError
        If it is of a format that this program does not know.
    ValueError
        If it says something else.
    """
    version = _Any.model_validate_json(content).format
    if version == 1:
        return Provenance.model_validate_json(content), ()
    if version != FORMAT:
        form = N_("{where}: a recording of format {version}; install the virtio-study that wrote it, or a later one")
        raise DataError(form, where=where, version=str(version)[:20])
    found = _Monthly.model_validate_json(content)
    return found.provenance, found.months


def closed(frame: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Closed months of a recording: the name of the first that is in the file, and the first row and the one behind.

    Rows that are added behind change none of them.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns of the schema)
        In order of `time`; a row is of the month (UTC) in which its interval ends.
    """
    months = frame["time"].dt.tz_localize(None).to_numpy().astype("datetime64[M]")
    found, start = [], 0
    for end in map(int, np.flatnonzero(months[1:] != months[:-1]) + 1):
        if end - start >= LEAST:
            found.append((str(months[start]), start, end))
            start = end
    return found


def digest_of_rows(rows: pd.DataFrame) -> str:
    """SHA-256 of checked rows; those with the same one are the same in every column."""
    found = hashlib.sha256(str(len(rows)).encode())
    for name, column in SCHEMA.items():
        values = rows[name]
        found.update(name.encode())
        if column.kind == "time":
            found.update(values.dt.tz_localize(None).to_numpy().tobytes())
        elif column.kind == "number":
            if values.notna().any():  # most columns that a source does not have are empty
                found.update(values.to_numpy().tobytes())
        else:
            codes, texts = pd.factorize(values)
            found.update(json.dumps([str(text) for text in texts]).encode() + codes.tobytes())
    return found.hexdigest()


def name_of_month(recording: str, month: str) -> str:
    """File of a closed month of a recording, as the recording's own is named."""
    return f"{recording.removesuffix('.parquet')}/{month}.parquet"


def is_month(name: str) -> bool:
    """Whether a listed file is a closed month of a recording, by its name relative to the study's folder."""
    return name.startswith("recordings/") and name.endswith(".parquet") and name.count("/") > 3


def months_before(recording: str, listed: dict[str, str]) -> list[str]:
    """Listed files of a recording's closed months."""
    return [name for name in listed if is_month(name) and name.startswith(f"{recording.removesuffix('.parquet')}/")]
