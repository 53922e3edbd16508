"""On which node a server was: by answers, by tasks of migrations, and back again between two answers."""

import json
from pathlib import Path

from virtio_study.sources.whereabouts import Stay, stays

NEVER, ALWAYS = float("-inf"), float("inf")


def polled(at_s: float, node: str, vmid: int = 100, status: int = 200) -> dict[str, object]:
    return {"t": at_s, "path": f"/nodes/{node}/qemu/{vmid}/status/current", "status": status, "body": {"data": {}}}


def moved(at_s: float, node: str, begins: int, ends: int, **other: object) -> dict[str, object]:
    task = {"type": "qmigrate", "id": "100", "starttime": begins, "endtime": ends, "status": "OK"}
    task |= {"upid": f"UPID:{node}:000003DC:00097D6D:{begins:X}:qmigrate:100:root@pam:"} | other
    return {"t": at_s, "path": "/nodes/a/tasks?limit=500", "status": 200, "body": {"data": [task]}}


def told(folder: Path, *answers: dict[str, object]) -> dict[int, list[Stay]]:
    path = folder / "api-1.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in answers), encoding="utf-8")
    return stays([path], {100, 101})


def test_answers_alone_bound_a_migration(tmp_path: Path) -> None:
    found = told(tmp_path, polled(10, "a"), polled(20, "a"), polled(30, "b", status=595), polled(50, "b"))
    assert found == {100: [Stay("a", NEVER, 20), Stay("b", 50, ALWAYS)]}


def test_a_task_tells_when_it_was_and_a_failed_one_tells_nothing(tmp_path: Path) -> None:
    days = polled(10, "a"), polled(90_000, "b")
    assert told(tmp_path, *days, moved(90_001, "a", 500, 560))[100] == [Stay("a", NEVER, 500), Stay("b", 560, ALWAYS)]
    failed = moved(90_001, "a", 500, 560, status="migration aborted")
    assert told(tmp_path, *days, failed)[100] == [Stay("a", NEVER, 10), Stay("b", 90_000, ALWAYS)]


def test_there_and_back_between_two_answers_and_before_the_first(tmp_path: Path) -> None:
    back = told(tmp_path, polled(10, "a"), moved(95, "a", 50, 55), moved(96, "b", 70, 75), polled(90, "a"))
    assert back[100] == [Stay("a", NEVER, 50), Stay("b", 55, 70), Stay("a", 75, ALWAYS)]
    before = told(tmp_path, polled(90, "b"), moved(91, "a", 50, 55))
    assert before[100] == [Stay("a", NEVER, 50), Stay("b", 55, ALWAYS)]


def test_servers_are_told_apart_and_a_file_that_comes_twice_changes_nothing(tmp_path: Path) -> None:
    both = [polled(10, "a"), polled(10, "b", 101), polled(20, "a"), polled(20, "b", 101), polled(20, "c", 102)]
    found = told(tmp_path, *both)
    assert found == {100: [Stay("a", NEVER, ALWAYS)], 101: [Stay("b", NEVER, ALWAYS)]}
    path = tmp_path / "api-1.jsonl"
    assert stays([path, path], {100, 101}) == found


def test_tasks_alone_do_not_tell_where_a_server_is(tmp_path: Path) -> None:
    assert told(tmp_path, moved(90, "a", 50, 55), polled(95, "b", 101)) == {101: [Stay("b", NEVER, ALWAYS)]}


def test_configurations_are_enough_and_polls_are_read_of_servers_without(tmp_path: Path) -> None:
    asked = [
        {**polled(at, node), "path": f"/nodes/{node}/qemu/100/config?current=1"} for at, node in ((5, "a"), (60, "b"))
    ]
    found = told(tmp_path, *asked, polled(20, "a"), polled(10, "c", 101))
    assert found == {100: [Stay("a", NEVER, 5), Stay("b", 60, ALWAYS)], 101: [Stay("c", NEVER, ALWAYS)]}
