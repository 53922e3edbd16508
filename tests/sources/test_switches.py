"""What was in force by a schedule, where the host told restarts and no devices."""

import pytest

from switching import START, protocol
from virtio_study.sources.history import History, Poll, Task
from virtio_study.sources.switches import switched_windows, watched
from virtio_study.study import Study

ORDER = ["emulated", "virtio", "virtio", "emulated"]
STUDY = Study.model_validate(protocol(ORDER))
BEGIN = START.timestamp()
BLOCK_S = 3 * 3600.0


def started(*seconds: float, kind: str = "qmstart", succeeded: bool = True) -> list[Task]:
    """Starts of the server, in seconds after the first block's."""
    return [Task(f"{s}", kind, "100", BEGIN + s, BEGIN + s + 2, True, succeeded) for s in seconds]


def found(tasks: list[Task], until_s: float = 5 * BLOCK_S) -> list[tuple[str, float, float]]:
    windows = switched_windows(STUDY, "alpha", History(100, tasks=tasks), BEGIN + until_s)
    return [(w.driver_config, w.start.timestamp() - BEGIN, w.end.timestamp() - BEGIN) for w in windows]


def test_every_switch_that_was_seen_begins_a_window_and_a_late_one_begins_late() -> None:
    assert found(started(90, BLOCK_S + 90, 2 * BLOCK_S + 90, 3 * BLOCK_S + 3000)) == [
        ("emulated", 30, BLOCK_S + 30),
        ("virtio", BLOCK_S + 30, 2 * BLOCK_S + 30),
        ("virtio", 2 * BLOCK_S + 30, 3 * BLOCK_S + 2940),
        ("emulated", 3 * BLOCK_S + 2940, 4 * BLOCK_S),
    ]


@pytest.mark.parametrize(
    "refused",
    [[], started(BLOCK_S + 90, succeeded=False), started(BLOCK_S + 90, kind="qmshutdown"), started(BLOCK_S + 5400)],
)
def test_a_refused_restart_leaves_the_configuration_before_in_force(refused: list[Task]) -> None:
    seen = found([*started(90), *refused, *started(2 * BLOCK_S + 90)])
    assert seen[0] == ("emulated", 30, 2 * BLOCK_S + 30)
    assert seen[1] == ("virtio", 2 * BLOCK_S + 30, 4 * BLOCK_S)


def test_before_the_first_switch_and_after_the_last_answer_nothing_is_claimed() -> None:
    assert found(started(BLOCK_S + 90), until_s=1.5 * BLOCK_S) == [("virtio", BLOCK_S + 30, 4 * BLOCK_S)]
    assert found([]) == []


def test_a_watch_shows_devices_by_itself_and_collections_do_not() -> None:
    def polled(every_s: float) -> History:
        times = [BEGIN + every_s * number for number in range(int(4 * BLOCK_S / every_s))]
        polls = [Poll.of(time, {"status": "running", "uptime": 5}) for time in times]
        return History(100, polls=polls)

    assert watched(STUDY, "alpha", polled(60))
    assert not watched(STUDY, "alpha", polled(3600))
    assert not watched(STUDY, "alpha", History(100))
