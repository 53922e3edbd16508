"""Writing and reading recordings: each a file, and of a long one the rows of its past months beside it."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from virtio_study import limits
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.recording.months import (
    Month,
    closed,
    digest_of_rows,
    facts_bytes,
    facts_from,
    is_month,
    months_before,
    name_of_month,
)
from virtio_study.recording.schema import Provenance, Recording, check_frame
from virtio_study.recording.tables import bounded_table
from virtio_study.storage import commit, manifest, one_writer, read_verified

__all__ = [
    "Beside",
    "beside_rows",
    "names_of_recordings",
    "provenance_in",
    "read",
    "read_times",
    "recordings",
    "verified_provenance",
    "write",
    "write_all",
]

SAYS = b"virtio_study"
"""Under which a Parquet file has what a recording says beside its rows."""


def write(recording: Recording, folder: Path) -> None:
    """Check a recording, write it atomically and list it in the manifest of the study's folder.

    Raises
    ------
    DataError
        If the frame breaks the schema, or the file is in the manifest already.
    """
    write_all([recording], folder)


def write_all(
    made: Sequence[Recording], folder: Path, instead_of: Collection[str] = (), beside: Mapping[str, bytes] | None = None
) -> None:
    """Write recordings in place of others, all of them or none, whenever the program is killed.

    A closed month that the recording before had with the same rows stays as it is.

    Parameters
    ----------
    made : sequence of Recording
    folder : Path
        Of the study.
    instead_of : collection of str
        Names of recordings, relative to the folder, that go, or that are written anew.
    beside : dict, optional
        Name of a file relative to the folder -> content that is kept with them.

    Raises
    ------
    DataError
        If a frame breaks the schema, or a file is in the manifest already and is not among `instead_of`.
    """
    named = {each.path.relative_to(folder).as_posix(): each for each in made}
    frames = {name: check_frame(each.frame, str(each.path)) for name, each in named.items()}
    with one_writer(folder):
        listed = manifest(folder)
        if there := [name for name in named if name in listed and name not in instead_of]:
            raise DataError(N_("{path}: recorded already; recordings are never rewritten"), path=folder / there[0])
        files = dict(beside or {})
        stay: set[str] = set()
        for name, each in named.items():
            before = _read_head(each.path, folder)[2] if name in listed else ()
            same = {month for month in before if listed.get(name_of_month(name, month.name)) == month.sha256}
            parts, kept = _files_of(name, frames[name], each.provenance, same)
            files |= parts
            stay |= kept
        go = {part for name in {*instead_of, *named} for part in months_before(name, listed)} - stay
        commit(folder, files, {*instead_of, *go})


def _files_of(
    name: str, frame: pd.DataFrame, provenance: Provenance, before: Collection[Month]
) -> tuple[dict[str, bytes], set[str]]:
    """Files of a recording by name, and the names of those months that are there already with the same rows."""
    known = {(month.name, month.rows): month for month in before}
    files: dict[str, bytes] = {}
    months, kept, open_since = [], set(), 0
    for first, start, end in closed(frame):
        rows, place, open_since = frame.iloc[start:end], name_of_month(name, first), end
        digest = digest_of_rows(rows)
        if (month := known.get((first, digest))) is not None:
            kept.add(place)
        else:
            files[place] = _parquet(rows)
            month = Month(name=first, rows=digest, sha256=hashlib.sha256(files[place]).hexdigest())
        months.append(month)
    files[name] = _parquet(frame.iloc[open_since:], facts_bytes(provenance, tuple(months)))
    return files, kept


def _parquet(rows: pd.DataFrame, says: bytes | None = None) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(rows, preserve_index=False)
    if says is not None:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), SAYS: says})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read(path: Path, folder: Path) -> Recording:
    """Read a recording after verifying its checksum against the study's manifest, and its schema.

    Raises
    ------
    DataError
        If a file is missing, not in the manifest, changed since it was recorded, truncated, or breaks the schema.
    """
    rows, provenance, months = _read_head(path, folder)
    return Recording(_with_months(path, folder, months, rows), provenance, path)


def _with_months(path: Path, folder: Path, months: Sequence[Month], rows: pd.DataFrame) -> pd.DataFrame:
    """Checked rows of closed months, and of a recording since the last."""
    frames: list[pd.DataFrame] = []
    for month in months:
        frames.append(_read_month(path, folder, month))
        if sum(map(len, frames)) + len(rows) > limits.PARQUET_ROWS:
            form = N_("{path}: more than {most} rows with its months, more than a recording has; is it the right file?")
            raise DataError(form, path=path, most=limits.PARQUET_ROWS)
    return check_frame(pd.concat([*frames, rows], ignore_index=True) if frames else rows, str(path))


@dataclass(frozen=True)
class Beside:
    """A recording beside rows that may go on from it.

    `rows` is how many it has; `begun` at how many of them, from the first on, the CPU is the same; `equal` whether all
    its rows are the others, in every column.
    """

    provenance: Provenance
    rows: int
    begun: int
    equal: bool


def beside_rows(path: Path, folder: Path, frame: pd.DataFrame) -> Beside:
    """Compare a recording with checked rows; its first closed months that are the same are not read.

    Raises
    ------
    DataError
        As `read`, for what is read.
    """
    rows, provenance, months = _read_head(path, folder)
    same = since = 0
    for month, (first, start, end) in zip(months, closed(frame), strict=False):
        if (month.name, month.rows) != (first, digest_of_rows(frame.iloc[start:end])):
            break
        same, since = same + 1, end
    old = _with_months(path, folder, months[same:], rows)
    new = frame.iloc[since:].reset_index(drop=True)
    both = min(len(old), len(new))
    one, other = (each["cpu_cores"].iloc[:both] for each in (old, new))
    differs = np.flatnonzero(~(one.eq(other) | (one.isna() & other.isna())).to_numpy())
    return Beside(provenance, since + len(old), since + int([*differs, both][0]), old.equals(new))


def _read_head(path: Path, folder: Path) -> tuple[pd.DataFrame, Provenance, tuple[Month, ...]]:
    """Rows of a recording since its last closed month, its provenance, and those months."""
    import pyarrow as pa

    content = read_verified(path, folder)
    with _no_recording(path):
        table = bounded_table(pa.BufferReader(content), path)
        provenance, months = facts_from((table.schema.metadata or {})[SAYS], str(path))
        return table.to_pandas(), provenance, months


def _read_month(path: Path, folder: Path, month: Month) -> pd.DataFrame:
    """Rows of a closed month, which are those that the recording names."""
    import pyarrow as pa

    name = name_of_month(path.relative_to(folder).as_posix(), month.name)
    content = read_verified(folder / name, folder, {name: month.sha256})
    with _no_recording(folder / name):
        return pd.DataFrame(bounded_table(pa.BufferReader(content), folder / name).to_pandas())


@contextmanager
def _no_recording(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            N_("{path}: not a recording of this package: {error}"), path=path, error=" ".join(str(error).split())[:200]
        ) from error


def verified_provenance(path: Path, folder: Path) -> Provenance:
    """Provenance of a recording, whose file is verified; its closed months are not read. `DataError` as of `read`."""
    return _read_head(path, folder)[1]


def provenance_in(path: Path) -> Provenance:
    """Provenance of a recording alone, without verifying or reading its rows; `DataError` if it is none."""
    import pyarrow.parquet as pq

    with _no_recording(path):
        return facts_from((pq.read_schema(path).metadata or {})[SAYS], str(path))[0]


def read_times(path: Path) -> pd.DataFrame:
    """`time` and `step_s` of a recording alone, without verifying the rest; `DataError` if it cannot be read.

    Of a long one those of its first month and since its last.
    """
    columns = ["time", "step_s"]
    with _no_recording(path):
        table = bounded_table(path, path, columns)
        _, months = facts_from((table.schema.metadata or {})[SAYS], str(path))
        tables = [bounded_table(part, part, columns) for part in _first_of(path, months)]
        frames = [pd.DataFrame(each.to_pandas()) for each in (*tables, table)]
        return pd.concat(frames, ignore_index=True)


def _first_of(path: Path, months: Sequence[Month]) -> list[Path]:
    return [path.parent / name_of_month(path.name, month.name) for month in months[:1]]


def names_of_recordings(listed: Iterable[str], inside: str = "recordings/") -> list[str]:
    """Names of recordings among listed files that begin so, in order; closed months are parts of theirs."""
    return sorted(
        name for name in listed if name.startswith(inside) and name.endswith(".parquet") and not is_month(name)
    )


def recordings(folder: Path, server: str, driver_config: str) -> Iterator[Recording]:
    """Read every listed recording of a server under a driver configuration, in order of name.

    Raises
    ------
    DataError
        If there is none, or one of them cannot be read.
    """
    names = names_of_recordings(manifest(folder), f"recordings/{server}/{driver_config}/")
    if not names:
        raise DataError(
            N_("{folder}: no recording of server {server!r} under {driver_config!r}; record it first"),
            folder=folder / "recordings" / server / driver_config,
            server=server,
            driver_config=driver_config,
        )
    for name in names:
        yield read(folder / name, folder)
