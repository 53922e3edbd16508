"""One writer at a time, and what killed programs leave in the folder for temporary files."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from virtio_study import storage
from virtio_study.errors import BusyError

WRITE = """
import sys
from pathlib import Path
from virtio_study import storage
folder, own = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    storage.commit(folder, {f"recordings/a/{own}/{number}": own.encode()})
"""


def test_two_writers_at_once_lose_no_entry(tmp_path: Path) -> None:
    """Without a lock each wrote the manifest that it had read before the other's."""
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([sys.executable, "-c", WRITE, tmp_path, own], stdin=pipe, stdout=pipe, text=True, bufsize=1)
        for own in "xy"
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("go\n")
    assert [each.wait(60) for each in both] == [0, 0]
    for each in both:
        each.communicate()
    assert len(storage.manifest(tmp_path)) == 40


def test_a_lock_that_changes_hands_is_waited_for_and_refuses_no_one(tmp_path: Path) -> None:
    """Whoever lets go says no longer who it is, a moment before the next may take it."""
    here, there = os.pipe()
    if (child := os.fork()) == 0:
        with (tmp_path / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(there, b"1")
            time.sleep(0.3)
            os._exit(0)
    os.read(here, 1)
    with storage.one_writer(tmp_path, wait_s=0.0):
        pass
    os.waitpid(child, 0)


def test_who_writes_a_study_is_said_and_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    here, there = os.pipe()
    if (child := os.fork()) == 0:
        with storage.one_writer(tmp_path):
            os.write(there, b"1")
            time.sleep(60)
    os.read(here, 1)
    with pytest.raises(BusyError) as busy, storage.one_writer(tmp_path, wait_s=0.1):
        pass
    assert f"process {child} on " in str(busy.value)
    assert "another program is writing this study" in str(busy.value)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with storage.one_writer(tmp_path, wait_s=0.0), storage.one_writer(tmp_path, wait_s=0.0):
        storage.commit(tmp_path, {"recordings/a/b/c": b""})
    for end in (here, there):
        os.close(end)


def test_temporary_folders_of_killed_programs_are_swept_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "vs-of-somebody-else").mkdir()
    if (child := os.fork()) == 0:
        with storage.scratch_folder() as folder:
            (folder / "crate").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len([*tmp_path.glob("vs-*/crate")]) == 1
    with storage.scratch_folder() as first, storage.scratch_folder() as second:
        assert first.is_dir()
        assert {path.name for path in tmp_path.iterdir()} == {"vs-of-somebody-else", first.name, second.name}
    assert [path.name for path in tmp_path.iterdir()] == ["vs-of-somebody-else"]
