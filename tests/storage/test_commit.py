"""A study's files are the old or the new ones, wherever a program is killed, and however full the disk is."""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from virtio_study import storage
from virtio_study.errors import DataError, NoRoomError

OLD = {"recordings/a/x/1": b"old one", "recordings/a/x/2": b"old two"}
NEW = {"recordings/a/x/1": b"new one, which has more", "recordings/a/y/3": b"new three"}
KEPT = {"recordings/a/x/0": b"of another time"}


def contents(folder: Path) -> dict[str, bytes]:
    """Listed files, each checked against its checksum."""
    return {name: storage.read_verified(folder / name, folder) for name in storage.manifest(folder)}


def leftovers(folder: Path) -> list[str]:
    known = {*storage.manifest(folder), "manifest.json", ".lock"}
    return [
        name for path in folder.rglob("*") if path.is_file() and (name := str(path.relative_to(folder))) not in known
    ]


def killed_at(line: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that ends, and tidies nothing up, at so manyth a line of `storage` that it reaches."""
    child = os.fork()
    if child == 0:
        left = line

        def look(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal left
            if "virtio_study/storage" not in frame.f_code.co_filename:
                return None
            left -= event == "line"
            if left < 0:
                os._exit(9)
            return look

        sys.settrace(look)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_wherever_a_program_is_killed_the_files_are_the_old_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # which is for a loss of power
    seen = []
    for line in range(0, 10_000, 4):
        folder = tmp_path / str(line)
        storage.commit(folder, OLD | KEPT)
        killed = killed_at(line, lambda: storage.commit(folder, NEW, instead_of=[*OLD]))  # noqa: B023
        found = contents(folder)
        assert found in (OLD | KEPT, NEW | KEPT), line
        seen.append(found == NEW | KEPT)
        with storage.one_writer(folder):
            assert leftovers(folder) == []
        storage.commit(folder, NEW, instead_of=[*OLD])  # and the same command goes on from there
        assert contents(folder) == NEW | KEPT
        if not killed:
            break
    assert line > 100
    assert seen == sorted(seen), "once it is done it stays done"
    assert {*seen} == {False, True}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a disk that is nearly full: a write takes what there is room for, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_nearly_full_disk_keeps_what_was_there_and_is_named(tmp_path: Path) -> None:
    storage.commit(tmp_path, OLD)
    for size in (0, 3, 10, 20, 120):
        with files_of_at_most(size), pytest.raises(NoRoomError, match=r"not written: File too large \(\d+ MB free"):
            storage.commit(tmp_path, NEW, instead_of=[*OLD])
        assert contents(tmp_path) == OLD
        assert leftovers(tmp_path) == []


def test_what_is_added_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    storage.append_whole({first: b"a\n", second: b"b\n"})
    for size in (2, 4, 9):
        with files_of_at_most(size), pytest.raises(NoRoomError, match="not written"):
            storage.append_whole({second: b"c\n" if size > 4 else b"", first: b"0123456789\n"})
        assert (first.read_bytes(), second.read_bytes()) == (b"a\n", b"b\n")
    storage.append_whole({first: b"0123456789\n"})
    assert first.read_bytes() == b"a\n0123456789\n"


def test_a_journal_that_came_with_a_folder_reaches_nothing_outside(tmp_path: Path) -> None:
    folder, other = tmp_path / "study", tmp_path / "precious"
    storage.commit(folder, OLD)
    other.write_bytes(b"mine")
    for name in ("recordings/a/../../../precious", str(other), "study.yaml", "recordings/../../precious"):
        (folder / ".commit.json").write_text(json.dumps({"written": {}, "gone": [name]}))
        with pytest.raises(DataError, match=r"\.commit\.json: not a list of files that are being written"):
            storage.manifest(folder)
    assert other.read_bytes() == b"mine"


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a[1].zip"
    for _ in range(3):
        if (child := os.fork()) == 0:
            with storage.replacing(path) as file:
                file.write(b"half")
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    assert len([*tmp_path.iterdir()]) == 1, "each start takes away what the one before left"
    with storage.replacing(path) as slow:
        slow.write(b"slow")
        assert len([*tmp_path.iterdir()]) == 1
        storage.write_atomically(path, b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert [*tmp_path.iterdir()] == [path]
