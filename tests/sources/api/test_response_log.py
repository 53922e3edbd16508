"""Answers on disk: a full disk costs none, one changed byte is found, and days are packed beside other programs."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torture.crash import NOW, study_of
from virtio_study import storage
from virtio_study.errors import NoRoomError
from virtio_study.i18n.sentences import Said, english
from virtio_study.sources.api import response_log
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.watching import watch
from virtio_study.sources.responses import read_answers
from virtio_study.study import Endpoint
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.workflow.check import check_study


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as running:
        yield running


def test_answers_of_a_day_that_is_not_packed_have_checksums(host: SimulatedHost, tmp_path: Path) -> None:
    study = study_of(tmp_path, host)
    for number in range(3):
        response_log.append(study.folder, [Reply(NOW + number, "/x", 200, {"n": number})])
    (path,) = response_log.stored(study.folder)
    whole = path.read_bytes()
    response_log.append(study.folder, [])
    assert check_study(study).problems == []
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        (problem,) = check_study(study).problems
        assert str(problem).startswith(f"{path}: changed since its answers were stored")
    path.write_bytes(whole[: whole.index(b"\n") + 1])  # whole lines are gone
    assert len(check_study(study).problems) == 1
    assert response_log.finish(study.folder, NOW + 86400) == [], "what changed is not packed as if it had not"
    path.unlink()
    assert str(check_study(study).problems[0]).startswith(f"{path}: missing, and its answers are nowhere else")
    # a program that was killed before it wrote the checksum of what it added costs none of it, and is no change
    path.write_bytes(whole + Reply(NOW + 4, "/x", 200, {"n": 4}).line().encode() + b"\n")
    assert check_study(study).problems == []
    response_log.append(study.folder, [Reply(NOW + 5, "/x", 200, {"n": 5})])
    path.write_bytes(path.read_bytes().replace(b'{"n": 4}', b'{"n": 5}'))
    assert len(check_study(study).problems) == 1


def test_a_nearly_full_disk_costs_a_watch_no_answer(host: SimulatedHost, tmp_path: Path) -> None:
    """What the disk took a part of was counted as stored, and the watch ended with exit code 0."""
    study, said, limits = study_of(tmp_path, host), list[Said](), resource.getrlimit(resource.RLIMIT_FSIZE)
    clock, secret = Clock(NOW), Credential(*host.token_id.split("!"), host.token_secret)
    client = Client(Endpoint(host=host.host, port=host.port, ca_file=host.ca_file), secret, clock=clock)

    def sleep(seconds: float) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        clock.advance(seconds)

    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        watch(
            study,
            client,
            said.append,
            lambda: len(said) > 3,
            sleep=sleep,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "no room to store answers in" in english(said[0])
    asked = [path for _, path, status in host.requests if status == 200]
    assert len(read_answers(response_log.stored(study.folder))) == len(asked)
    assert [english(line) for line in said[1:] if "no room" in english(line)] == []
    said.clear()
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(NoRoomError, match="not written"):
            watch(
                study,
                client,
                said.append,
                lambda: bool(said),
                sleep=sleep,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_day_is_packed_when_no_other_program_writes_the_study(tmp_path: Path) -> None:
    response_log.append(tmp_path, [Reply(NOW, "/x", 200, {})])
    here, there = os.pipe()
    if (child := os.fork()) == 0:
        with storage.one_writer(tmp_path):
            os.write(there, b"1")
            time.sleep(60)
    os.read(here, 1)
    assert response_log.finish(tmp_path, NOW + 86400) == []
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert [path.name for path in response_log.finish(tmp_path, NOW + 86400)] == ["api-20260302.jsonl.zst"]
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["api-20260302.jsonl.zst"]
    for end in (here, there):
        os.close(end)


def test_a_day_whose_packing_was_killed_is_no_damage_and_is_packed_again(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, host)
    for second, number in enumerate((1, 2)):  # the second time the day is packed twice, for the clock went back
        response_log.append(study.folder, [Reply(NOW + 2 * second, "/x", 200, {})])
        with monkeypatch.context() as killed:
            killed.setattr(storage, "add_file", _killed)
            with pytest.raises(InterruptedError):
                response_log.finish(study.folder, NOW + 86400)
        assert not check_study(study).problems
        response_log.append(study.folder, [Reply(NOW + 2 * second + 1, "/x", 200, {})])
        response_log.finish(study.folder, NOW + 86400)
        assert not check_study(study).problems
        assert len(response_log.stored(study.folder)) == number
    assert [answer.time_s for answer in read_answers(response_log.stored(study.folder))] == [
        NOW + one for one in range(4)
    ]


def _killed(*_: object) -> None:
    raise InterruptedError


@pytest.mark.parametrize("jump_s", [-2 * 86400.0, -3600.0, 3600.0])
def test_a_watch_goes_on_when_the_clock_is_set(jump_s: float, host: SimulatedHost, tmp_path: Path) -> None:
    """Set back by an hour while it polled, it slept for an hour, and asked nothing for another."""
    study, clock, waits = study_of(tmp_path, host), Clock(NOW), list[float]()
    secret = Credential(*host.token_id.split("!"), host.token_secret)
    endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    def until() -> bool:
        if len(waits) == 2:
            clock.advance(jump_s)
        return len(waits) >= 6

    watch(study, Client(endpoint, secret, clock=clock), lambda line: None, until, sleep=sleep)
    assert max(waits) <= 10.0
    polls = [path for _, path, _ in host.requests if path.endswith("/100/status/current")]
    assert len(polls) >= 6
