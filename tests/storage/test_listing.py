"""The list of a study's files: what a change costs does not grow with it, and every byte of it is told from another."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paths import ROOT
from storage.test_commit import contents, files_of_at_most, killed_at, leftovers
from virtio_study import storage
from virtio_study.errors import DataError, NoRoomError
from virtio_study.storage import listing

manifest = sys.modules["virtio_study.storage.manifest"]

NAMES = [f"recordings/a/x/{number:03d}" for number in range(12)]


@pytest.fixture(autouse=True)
def long_from_some_files_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SHORT", 400)


def as_listed(folder: Path) -> dict[str, str]:
    """What another process finds."""
    listing._known.clear()
    return storage.manifest(folder)


def grown(folder: Path) -> Iterator[dict[str, bytes]]:
    """A study that gets one file after another, some of them twice, and loses others."""
    held: dict[str, bytes] = {}
    for number, name in enumerate(NAMES):
        changed = {name: b"%d" % number} | ({NAMES[number - 2]: b"again"} if number % 3 == 2 else {})
        gone = [NAMES[number - 3]] if number % 4 == 3 else []
        storage.commit(folder, changed, instead_of=[*changed, *gone])
        held = {kept: content for kept, content in (held | changed).items() if kept not in gone}
        yield held


def test_a_long_list_is_left_and_a_log_beside_it_says_what_came_since(tmp_path: Path) -> None:
    left = 0
    before = b""
    for held in grown(tmp_path):
        assert contents(tmp_path) == held
        assert as_listed(tmp_path).keys() == held.keys()
        now = (tmp_path / "manifest.json").read_bytes()
        left += now == before
        assert ((tmp_path / "manifest.jsonl").exists()) == (now == before)
        before = now
    assert 4 < left < len(NAMES) - 2, "folded in now and then"
    changes = (tmp_path / "manifest.jsonl").read_bytes().count(b"\n")
    assert storage.compact(tmp_path) == changes > 0
    assert not (tmp_path / "manifest.jsonl").exists()
    assert as_listed(tmp_path).keys() == held.keys()
    assert storage.compact(tmp_path) == 0


def test_a_list_of_format_1_of_any_length_is_read_and_goes_on_as_format_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("manifest.json", "raw"):
        source = ROOT / "data" / "pve-rig" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    old = (tmp_path / "manifest.json").read_bytes()
    assert len(old) > listing.SHORT
    listed = as_listed(tmp_path)
    assert not storage.written_otherwise(tmp_path)
    (raw,) = (tmp_path / "raw").iterdir()
    storage.verify_file(raw, tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == old == storage.plain_bytes(listed), "reading writes nothing"
    storage.commit(tmp_path, {"counts.json": b"{}"})
    assert json.loads((tmp_path / "manifest.json").read_bytes())["version"] == 2
    storage.commit(tmp_path, {"timeline.json": b"{}"})
    assert (tmp_path / "manifest.jsonl").exists()
    assert as_listed(tmp_path).keys() == listed.keys() | {"counts.json", "timeline.json"}
    monkeypatch.setattr(listing, "SHORT", 65_536)
    storage.commit(tmp_path, {}, instead_of=["counts.json", "timeline.json"])
    assert (tmp_path / "manifest.json").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("manifest")] == ["manifest.json"]


def test_a_list_of_a_later_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"version": 3, "files": {}}')
    with pytest.raises(DataError, match=r"manifest\.json: a manifest of format 3; install the virtio-study that wrote"):
        as_listed(tmp_path)


def test_every_changed_byte_of_a_list_is_told(tmp_path: Path) -> None:
    for _ in grown(tmp_path):
        pass
    listed, log = as_listed(tmp_path), tmp_path / "manifest.jsonl"
    whole = log.read_bytes()
    assert whole.count(b"\n") > 1
    for place in range(0, len(whole) - 1, 5):
        log.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError, match=r"manifest\.jsonl: a line is not as it was written"):
            as_listed(tmp_path)
    log.write_bytes(whole[:-1] + b"\x0b")  # as if the line was being added: what it lists is in no list
    assert as_listed(tmp_path) != listed
    log.write_bytes(whole)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"manifest\.json: missing, though manifest\.jsonl goes on from it; restore it"):
        as_listed(tmp_path)


def test_wherever_a_program_is_killed_a_long_list_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # which is for a loss of power
    new = {"recordings/a/y/0": b"new", NAMES[11]: b"other"}
    base = tmp_path / "base"
    *_, held = grown(base)
    ends = set()
    for extra in (0, 3):  # a line is added; and one that makes the log long enough to be folded in
        begin = tmp_path / f"begin-{extra}"
        shutil.copytree(base, begin)
        for number in range(extra):
            storage.commit(begin, {f"recordings/a/z/{number}": b"z"})
        old = contents(begin)
        for line in range(0, 10_000, 17):
            folder = tmp_path / f"{extra}-{line}"
            shutil.copytree(begin, folder)
            killed = killed_at(line, lambda: storage.commit(folder, new, instead_of=[*new]))  # noqa: B023
            listing._known.clear()
            assert contents(folder) in (old, old | new), line
            with storage.one_writer(folder):
                assert [name for name in leftovers(folder) if name != "manifest.jsonl"] == []
            storage.commit(folder, new, instead_of=[*new])  # and the same command goes on from there
            assert contents(folder) == old | new
            ends.add((extra, (folder / "manifest.jsonl").exists()))
            if not killed:
                break
        assert line > 50
    assert held
    assert {log for _, log in ends} == {False, True}


def test_a_full_disk_leaves_a_long_list_as_it_was(tmp_path: Path) -> None:
    *_, held = grown(tmp_path)
    size = (tmp_path / "manifest.jsonl").stat().st_size
    path = tmp_path / "raw" / "x"
    storage.write_atomically(path, b"x")
    for room in (0, 30):
        with files_of_at_most(size + room), pytest.raises(NoRoomError, match=r"manifest\.jsonl: not written"):
            storage.add_file(tmp_path, path)
        assert as_listed(tmp_path).keys() == held.keys()
        assert (tmp_path / "manifest.jsonl").stat().st_size == size
    storage.add_file(tmp_path, path)
    assert as_listed(tmp_path).keys() == {*held, "raw/x"}


def test_what_one_process_adds_another_sees_that_had_read_the_list(tmp_path: Path) -> None:
    for _ in grown(tmp_path):
        pass
    for number in range(20):  # with and without a folding between
        storage.manifest(tmp_path)
        if (child := os.fork()) == 0:
            storage.commit(tmp_path, {f"recordings/a/z/{number}": b"z"})
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert f"recordings/a/z/{number}" in storage.manifest(tmp_path)
        assert storage.read_verified(tmp_path / f"recordings/a/z/{number}", tmp_path) == b"z"


def test_a_change_of_a_list_of_10000_writes_and_looks_through_as_little_as_of_1000(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed."""
    monkeypatch.setattr(listing, "SHORT", 65_536)
    costs = []
    for files in (1_000, 10_000):
        folder = tmp_path / str(files)
        names = {f"recordings/vm{number // 10:05d}/x/{number}.parquet": "0" * 64 for number in range(files)}
        storage.write_atomically(folder / "manifest.json", storage.manifest_bytes(names))
        # looks once for what killed writers left, and begins the log
        storage.commit(folder, {"recordings/a/x/1": b"1", "recordings/a/x/2": b"2"})
        storage.read_verified(folder / "recordings/a/x/2", folder)
        log = (folder / "manifest.jsonl").stat().st_size
        with monkeypatch.context() as patch:
            patch.setattr(manifest, "_settle", lambda *_: pytest.fail("looked through the study's files"))
            patch.setattr(listing, "_base", lambda *_: pytest.fail("read the whole list again"))
            patch.setattr(listing, "_write_anew", lambda *_: pytest.fail("wrote the whole list again"))
            storage.commit(folder, {"recordings/a/x/1": b"one"}, instead_of=["recordings/a/x/1"])
            assert storage.read_verified(folder / "recordings/a/x/1", folder) == b"one"
        costs.append((folder / "manifest.jsonl").stat().st_size - log)
    assert costs[0] == costs[1] > 0
