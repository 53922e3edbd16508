"""A fleet on workers elsewhere: the same bytes whatever becomes of them, or one line and the same goes on."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import dask
import distributed
import psutil
import pytest
from click.testing import CliRunner

from clusters import configured, environment, scheduler, workers
from virtio_study.cli.fleet import fleet as command
from virtio_study.errors import ClusterError
from virtio_study.fleet import walking
from virtio_study.fleet.histories import ServerHistory
from virtio_study.fleet.kept import Kept
from virtio_study.fleet.packed import packed
from virtio_study.fleet.survey import Survey, survey
from virtio_study.testing.certificates import make_context
from virtio_study.testing.fleet import SimulatedFleet

MADE = SimulatedFleet(24, seed=5, per_node=4, days=10, changed=0.3)


@dataclass(frozen=True)
class Disturbed:
    """A fleet that only this process can read, and in which something happens when a node is read."""

    happens: Callable[[int], None] = lambda number: None
    read: list[str] = field(default_factory=list)
    portable = False
    simulated = True
    nodes = MADE.nodes

    def servers(self, node: str) -> Sequence[ServerHistory]:
        self.read.append(node)
        self.happens(len(self.read))
        return MADE.servers(node)


@pytest.fixture(scope="module")
def expected() -> Survey:
    found = survey(MADE, 0.95)
    assert len(found.findings) > 10
    return found


def children(process_id: int) -> list[int]:
    """Workers that a `dask worker` has started."""
    names = [(item.pid, " ".join(item.cmdline())) for item in psutil.Process(process_id).children(recursive=True)]
    return [pid for pid, words in names if "spawn_main" in words]


def test_what_was_kept_is_taken_and_comes_out_the_same(tmp_path: Path, expected: Survey) -> None:
    def stops(number: int) -> None:
        if number == 10:
            raise ClusterError("the fourth node after all placebos")

    kept = Kept(tmp_path / "kept", "today's code")
    with pytest.raises(ClusterError):
        survey(Disturbed(stops), 0.95, kept=kept)
    before = {path.name: path.stat().st_mtime_ns for path in kept.folder.iterdir()}
    assert len(before) == 9
    assert survey(Disturbed(), 0.95, kept=kept) == expected
    after = {path.name: path.stat().st_mtime_ns for path in kept.folder.iterdir()}
    assert len(after) == 12
    assert before.items() <= after.items()
    assert kept.place("one", packed(MADE, "node0000").digest) != Kept(kept.folder, "other").place(
        "one", packed(MADE, "node0000").digest
    )


def test_versions_that_differ_are_named_with_their_place() -> None:
    own = {"python": "3.11.7.final.0", "virtio-study": "0.1.0", "numpy": "2.4.1", "distributed": "2026.8.0"}
    assert walking.disagreement({"tcp://a:1": own | {"python": "3.11.9.final.0"}}, own, "tcp://s:8786") is None
    other = walking.disagreement({"tcp://a:1": own, "tcp://b:1": own | {"numpy": "2.3.0"}}, own, "tcp://s:8786")
    assert str(other).startswith("tcp://b:1: has numpy 2.3.0 and this computer has 2.4.1;")
    none = walking.disagreement({"tcp://b:1": own | {"virtio-study": None}}, own, "tcp://s:8786")
    assert "virtio-study -" in str(none)
    older = walking.disagreement({"scheduler s": {"python": "3.13.0.final.0"}}, own, "s")
    assert "has python 3.13 and this computer has 3.11" in str(older)


def test_without_the_extra_one_process_does_it_and_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'virtio-study\[cluster\]'"), walking.walking(1, 2):
        pass
    monkeypatch.setattr(walking, "find_spec", lambda name: None)
    assert walking.processes_for(10_000) == 1


def test_an_address_without_a_protocol_is_wrong_use() -> None:
    for words in (["--scheduler", "host:8786"], ["--scheduler", "tcp://host:8786", "--workers", "2"]):
        assert CliRunner().invoke(command, ["--simulated", "3", *words]).exit_code == 2


@pytest.fixture
def port_of_another() -> Iterator[None]:
    """The port that Dask would take for a page of its own is somebody else's."""
    with socket.socket() as other:
        with suppress(OSError):  # where somebody else has it indeed
            other.bind(("127.0.0.1", 8787))
            other.listen()
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("port_of_another")
def test_processes_of_this_machine_get_no_secret_and_say_the_same(
    monkeypatch: pytest.MonkeyPatch, expected: Survey
) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", "study@pve!collector=secret")
    monkeypatch.setenv("SOME_API_KEY", "secret")
    with walking.walking(40, 2) as walk:
        assert list(walk(abs, range(-40, 0))) == [*range(40, 0, -1)], "several to a task, in order"
        assert list(walk(os.getenv, ["VIRTIO_STUDY_PVE_TOKEN", "SOME_API_KEY", "PATH"])) == [
            None,
            None,
            os.environ["PATH"],
        ]
        half = distributed.system.MEMORY_LIMIT / 2
        limits = walk(lambda _: distributed.get_worker().memory_manager.memory_limit, range(1))
        assert list(limits) == [pytest.approx(half, rel=1e-6)]
        environments = [(Path("/proc") / str(pid) / "environ").read_bytes() for pid in children(os.getpid())]
        assert environments
        assert not any(b"=secret" in item for item in environments)
        assert survey_over(walk) == expected
    assert os.environ["SOME_API_KEY"] == "secret"


def survey_over(walk: walking.Walk) -> Survey:
    """The survey on a walk that is there."""
    with patch("virtio_study.fleet.survey.walking", lambda *_: nullcontext(walk)):
        return survey(MADE, 0.95)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_context(folder, "own_ca")
    return folder


@pytest.mark.slow
def test_over_tls_a_killed_worker_changes_no_byte(tmp_path: Path, tls: Path, expected: Survey) -> None:
    around = environment(tls)
    with (
        dask.config.set(configured(tls)),
        scheduler(tmp_path, around) as (address, _),
        workers(address, around, 2),
    ):
        assert address.startswith("tls://")
        ended: list[int] = []

        def happens(number: int) -> None:
            if number == 4:
                ended.append(children(os.getpid())[0])
                os.kill(ended[0], signal.SIGKILL)

        assert survey(Disturbed(happens), 0.95, scheduler=address) == expected
        assert ended


@pytest.mark.slow
def test_a_worker_over_its_memory_is_started_again_and_a_node_that_always_is_over_is_one_line(tmp_path: Path) -> None:
    been = tmp_path / "been"

    def grows(node: str) -> str:
        if node == "always" or (node == "once" and not been.exists()):
            been.touch()
            held = []
            for _ in range(60):  # 1.2 GB in three seconds: the nanny looks ten times a second
                held.append(b"x" * 20_000_000)
                time.sleep(0.05)
        return node

    around = environment() | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with (
        scheduler(tmp_path, around) as (address, _),
        workers(address, around, 1, "500MB"),
        walking.walking(1, scheduler=address) as walk,
    ):
        assert list(walk(grows, ["first", "once", "last"])) == ["first", "once", "last"]
        assert been.exists()
        with pytest.raises(ClusterError, match=r"^tcp://127.*: a node ended 2 workers .* \(--memory-limit of dask"):
            list(walk(grows, ["always"]))


@pytest.mark.slow
def test_workers_whose_memory_stays_full_are_one_line_and_no_wait_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keeps(node: str) -> str:
        used = psutil.Process().memory_info().rss
        sys.kept = b"x" * (435_000_000 - used)  # type: ignore[attr-defined]  # 87 % of what it may have
        return node

    monkeypatch.setattr(walking, "PATIENCE_S", 6.0)
    around = environment()
    with (
        scheduler(tmp_path, around) as (address, _),
        workers(address, around, 1, "500MB"),
        walking.walking(1, scheduler=address) as walk,
    ):
        assert list(walk(keeps, ["first"])) == ["first"]
        with pytest.raises(ClusterError, match=r"^tcp://127\..*: has taken nothing for 6 s, nor has any other worker"):
            list(walk(keeps, ["second"]))


@pytest.mark.slow
def test_a_lost_scheduler_is_one_line_and_the_same_goes_on_after(tmp_path: Path, expected: Survey) -> None:
    around = environment()
    kept = Kept(tmp_path / "kept", "today's code")
    with scheduler(tmp_path, around) as (address, process), workers(address, around, 1):

        def happens(number: int) -> None:
            if number == 10:
                process.kill()

        with pytest.raises(ClusterError, match=f"^{address}: the connection to the scheduler was lost; "):
            survey(Disturbed(happens), 0.95, scheduler=address, kept=kept)
    done = len(list(kept.folder.iterdir()))
    assert 0 < done < 12
    with pytest.raises(ClusterError, match=f"^{address}: no scheduler answers"):
        survey(MADE, 0.95, scheduler=address)
    with scheduler(tmp_path, around) as (again, _), workers(again, around, 1):
        assert survey(Disturbed(), 0.95, scheduler=again, kept=kept) == expected


@pytest.mark.slow
def test_a_worker_with_another_version_of_this_package_is_named(tmp_path: Path) -> None:
    other = tmp_path / "virtio_study-0.0.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: virtio-study\nVersion: 0.0.9\n")
    with (
        scheduler(tmp_path, environment()) as (address, _),
        workers(address, environment(path=tmp_path), 1),
        pytest.raises(ClusterError, match=r"^tcp://127.*: has virtio-study 0\.0\.9 and this computer has "),
    ):
        survey(MADE, 0.95, scheduler=address)
