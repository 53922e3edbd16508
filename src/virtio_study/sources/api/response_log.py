"""Answers of the API on disk: one file a day, appended to line by line, so that a killed program loses one poll.

A line is in the file whole or it is the last one, cut short; the next start takes that one away. Beside the file stand
the checksums of its pieces. A finished day is compressed and listed in the study's manifest.
"""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from virtio_study import storage
from virtio_study.errors import BusyError
from virtio_study.i18n.marks import N_
from virtio_study.sources.api.client import Reply

__all__ = ["alone", "append", "finish", "stored"]


def alone(folder: Path) -> AbstractContextManager[bool]:
    """Keep other collectors of the same study out while the block runs; `BusyError` if one is at work."""
    raw = folder / "raw"
    form = N_("{folder}: another collect or watch of this study is at work ({who}); wait for it, or end it")
    return storage.locked(raw / ".lock", lambda who: BusyError(form, folder=raw, who=who))


def append(folder: Path, replies: Iterable[Reply]) -> None:
    """Add replies to the files of their days; they are on the disk when this returns.

    Raises
    ------
    NoRoomError, DataError
        If they cannot be written; none of them is stored then.
    """
    by_day: dict[Path, list[str]] = {}
    for reply in replies:
        day = datetime.fromtimestamp(reply.time_s, UTC)
        by_day.setdefault(folder / "raw" / f"api-{day:%Y%m%d}.jsonl", []).append(reply.line())
    pieces, sums = {}, {}
    for path, lines in by_day.items():
        with storage.saying_why(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            pieces[path] = ("\n".join(lines) + "\n").encode()
            sums[storage.sums_of(path)] = _sum_with(path, pieces[path])
    # the checksums after what they are of: a kill between the two leaves lines without a checksum, and no false alarm
    storage.append_whole(pieces | sums)


def _sum_with(path: Path, piece: bytes) -> bytes:
    """The line of checksums of what a file has beyond its checksums, with a piece that is going to be added."""
    for place in (path, storage.sums_of(path)):
        storage.cut_unfinished(place)
    size = path.stat().st_size
    begin = storage.summed(path)
    begin = begin if begin <= size else size
    with path.open("rb") as file:
        file.seek(begin)
        digest = hashlib.sha256(file.read() + piece).hexdigest()
    return f"{begin} {size + len(piece)} {digest}\n".encode()


def finish(folder: Path, now_s: float) -> list[Path]:
    """Compress the files of days that are over at a moment, list them in the manifest, and return them.

    A day that is finished twice, because a clock went back, has a second file. One that changed since it was stored is
    left as it is, for the check of the study to name; while another program writes the study, none is finished.
    """
    now = datetime.fromtimestamp(now_s, UTC)
    over = [path for path in sorted((folder / "raw").glob("api-*.jsonl")) if path.name < f"api-{now:%Y%m%d}.jsonl"]
    if not over:
        return []
    try:
        with storage.one_writer(folder, wait_s=0.0):
            return [_pack(folder, path) for path in over if storage.as_summed(path)]
    except BusyError:
        return []


def _pack(folder: Path, path: Path) -> Path:
    """Compress one day in pieces, for a day of many servers is more than a small machine should hold."""
    import zstandard

    storage.cut_unfinished(path)
    number, packed = 2, path.with_name(f"{path.name}.zst")
    waiting = path.with_name(f".{packed.name}.new")
    with storage.replacing(waiting) as sink, path.open("rb") as source:
        zstandard.ZstdCompressor(level=9).copy_stream(source, sink, size=path.stat().st_size)
    digest, listed = storage.sha256(waiting), storage.manifest(folder)
    # what is not listed was packed of this day when a kill ended it, and the day has grown since, if anything
    while listed.get(packed.relative_to(folder).as_posix(), digest) != digest:
        packed = path.with_name(f"{path.stem}-{number}.jsonl.zst")
        number += 1
    waiting.replace(packed)
    storage.add_file(folder, packed)
    storage.sums_of(path).unlink(missing_ok=True)  # first: checksums without their file tell of a loss
    path.unlink()
    return packed


def stored(folder: Path) -> list[Path]:
    """Files of answers of a study, oldest first."""
    return sorted([*(folder / "raw").glob("api-*.jsonl"), *(folder / "raw").glob("api-*.jsonl.zst")])
