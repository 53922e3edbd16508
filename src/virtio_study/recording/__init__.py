"""The recording: one server under one driver configuration, row by row, with its provenance.

A recording is a Parquet file of the one schema; its provenance is in the file, and of a long one the rows of past
months are files beside it. Recordings are written once, atomically, and listed with their SHA-256 in the study's
`manifest.json`; reading verifies both.
"""

from virtio_study.recording.files import (
    Beside,
    beside_rows,
    names_of_recordings,
    provenance_in,
    read,
    read_times,
    recordings,
    verified_provenance,
    write,
    write_all,
)
from virtio_study.recording.schema import INSTRUMENTS, SCHEMA, Column, Provenance, Recording, check_frame
from virtio_study.recording.starts import START_TAKES_S, boots_of, same_start, share_time

__all__ = [
    "INSTRUMENTS",
    "SCHEMA",
    "START_TAKES_S",
    "Beside",
    "Column",
    "Provenance",
    "Recording",
    "beside_rows",
    "boots_of",
    "check_frame",
    "names_of_recordings",
    "provenance_in",
    "read",
    "read_times",
    "recordings",
    "same_start",
    "share_time",
    "verified_provenance",
    "write",
    "write_all",
]
