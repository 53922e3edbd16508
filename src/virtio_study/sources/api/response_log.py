"""Answers of the API on disk: one file a day, appended to line by line, so that a killed program loses one poll.

A line is in the file whole or it is the last one, cut short; the next start takes that one away. A finished day is
compressed and listed in the study's manifest.
"""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from virtio_study import storage
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.sources.api.client import Reply

__all__ = ["alone", "append", "finish", "stored"]


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keep other collectors of the same study out while the block runs; `DataError` if one is at work."""
    raw = folder / "raw"
    message = N_("{folder}: another collect or watch of this study is at work; wait for it, or end it")
    return storage.locked(raw / ".lock", DataError(message, folder=raw))


def append(folder: Path, replies: Iterable[Reply]) -> None:
    """Add replies to the files of their days; they are on the disk when this returns."""
    by_day: dict[Path, list[str]] = {}
    for reply in replies:
        day = datetime.fromtimestamp(reply.time_s, UTC)
        by_day.setdefault(folder / "raw" / f"api-{day:%Y%m%d}.jsonl", []).append(reply.line())
    for path, lines in by_day.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            _mend(file.fileno())
            os.write(file.fileno(), ("\n".join(lines) + "\n").encode())
            os.fsync(file.fileno())


def _mend(handle: int) -> None:
    """Take away a last line that was never finished."""
    size = os.fstat(handle).st_size
    place = size
    while place > 0:
        start = max(0, place - 65536)
        block = os.pread(handle, place - start, start)
        cut = block.rfind(b"\n")
        if cut >= 0:
            place = start + cut + 1
            break
        place = start
    if place < size:
        os.ftruncate(handle, place)


def finish(folder: Path, now_s: float) -> list[Path]:
    """Compress the files of days that are over at a moment, list them in the manifest, and return them.

    A day that is finished twice, because a clock went back, has a second file.
    """
    import zstandard

    now = datetime.fromtimestamp(now_s, UTC)
    done = []
    for path in sorted((folder / "raw").glob("api-*.jsonl")):
        if path.name >= f"api-{now:%Y%m%d}.jsonl":
            continue
        content = path.read_bytes()
        content = content[: content.rfind(b"\n") + 1]
        compressed = zstandard.ZstdCompressor(level=9).compress(content)
        number, packed = 2, path.with_name(f"{path.name}.zst")
        while packed.exists() and packed.read_bytes() != compressed:
            packed = path.with_name(f"{path.stem}-{number}.jsonl.zst")
            number += 1
        storage.write_atomically(packed, compressed)
        storage.add_file(folder, packed)
        path.unlink()
        done.append(packed)
    return done


def stored(folder: Path) -> list[Path]:
    """Files of answers of a study, oldest first."""
    return sorted([*(folder / "raw").glob("api-*.jsonl"), *(folder / "raw").glob("api-*.jsonl.zst")])
