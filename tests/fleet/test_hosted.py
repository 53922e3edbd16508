"""A live host, and saved answers, as a fleet: what can be dated, one question each, and what a host cannot tell."""

import contextlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from paths import ROOT
from spoiling import spoil
from virtio_study.cli.main import cli
from virtio_study.errors import VirtioStudyError
from virtio_study.fleet.experiments import INSTRUMENT_ONLY
from virtio_study.fleet.hosted import AnsweredFleet, HostFleet
from virtio_study.fleet.results import of_survey
from virtio_study.fleet.survey import survey
from virtio_study.fleet.writing import write_survey
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.explaining import explain_answers, explain_host
from virtio_study.study import Endpoint
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.testing.versions import VERSIONS

NOW = 1_772_409_600.0
HOURS, FEW_HOURS = (40, 40, 40), (4, 4, 16)
LOADED_S = NOW - 80 * 3600
"""When the balloon driver of both servers began to answer."""


def client(host: SimulatedHost, version: str, clock: Clock | None = None) -> Client:
    token = Credential(*host.token_id.split("!"), host.token_secret)
    secret = token if VERSIONS[version].tokens else Credential(host.user, "", host.password)
    return Client(Endpoint(host=host.host, port=host.port, ca_file=host.ca_file), secret, clock=clock or Clock(NOW))


@pytest.mark.parametrize("version", ["7.4", "9.0", "9.2"])
def test_a_live_host_tells_switches_of_the_instrument_and_is_asked_once(version: str, tmp_path: Path) -> None:
    hours = HOURS if VERSIONS[version].host_memory else FEW_HOURS
    with serve(two_servers(now=NOW, hours=hours), version=version, clock=Clock(NOW)) as host:
        asking = client(host, version)
        found = survey(HostFleet(explain_host(asking), asking, tmp_path), 0.95)
        asked = Counter(path for method, path, _ in host.requests if method == "GET")
    assert set(asked.values()) == {1}, "no question twice, though nodes are looked at twice"
    frames = {path.partition("timeframe=")[2].partition("&")[0] for path in asked if "rrddata" in path}
    assert frames == {"month", "year" if VERSIONS[version].number >= (9, 0) else "week"}
    assert found.servers == len(found.outlooks) == 2
    changes = {(item.server, item.parts) for item in found.findings}
    if VERSIONS[version].host_memory:
        assert changes == {("100 versat", (INSTRUMENT_ONLY,)), ("101 dominio", (INSTRUMENT_ONLY,))}
        assert all(abs(item.at_s - LOADED_S) <= 6 * 3600 for item in found.findings)
        assert {item.reason for item in found.findings} == {"too short"}
    else:
        assert changes == set(), "nothing in these rows tells whose figure is displayed"


class Told:
    """A client of a host of several nodes that notes what it is asked and tells no rows."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, path: str) -> Reply:
        self.asked.append(path)
        return Reply(NOW, path, 500, reason="no rows")

    def get_all(self, paths: Iterable[str]) -> list[Reply]:
        return [self.get(path) for path in paths]


def test_a_node_is_asked_when_it_is_looked_at_and_who_has_no_rows_is_named(tmp_path: Path) -> None:
    some = [item for item in explain_answers(ROOT / "data" / "pve-rig") if item.state]
    found = [replace(item, node=node, vmid=item.vmid + off) for item in some[:2] for node, off in (("a", 0), ("b", 50))]
    told: Any = Told()
    fleet = HostFleet(found, told, tmp_path)
    assert fleet.nodes == ["a", "b"]
    assert fleet.servers("b") == []
    assert {path.split("/")[2] for path in told.asked} == {"b"}
    assert list(fleet.without) == [f"{item.vmid} {item.name}" for item in found if item.node == "b"]


def answers_over(host: SimulatedHost, clock: Clock) -> Iterator[str]:
    """What a program that asks every ten minutes would have saved, and the rows at the end."""
    asking = client(host, "9.2", clock)
    yield asking.get("/cluster/resources").line()
    yield asking.get("/version").line()
    for hours in FEW_HOURS:
        clock.advance(3600.0 * hours / 2)
        for _ in range(3):
            for vmid in (100, 101):
                for what in ("status/current", "config?current=1"):
                    yield asking.get(f"/nodes/simulated/qemu/{vmid}/{what}").line()
            clock.advance(600.0)
        clock.advance(3600.0 * hours / 2 - 1800.0)
    for vmid in (100, 101):
        yield asking.get(f"/nodes/simulated/qemu/{vmid}/rrddata?timeframe=month&cf=AVERAGE").line()


def test_saved_answers_tell_what_was_in_force_and_so_changes(tmp_path: Path) -> None:
    clock = Clock(NOW - 3600.0 * sum(FEW_HOURS))
    with serve(two_servers(now=NOW, hours=FEW_HOURS), clock=clock) as host:
        (tmp_path / "api.jsonl").write_text("\n".join([*answers_over(host, clock), ""]), encoding="utf-8")
    fleet = AnsweredFleet(explain_answers(tmp_path), tmp_path)
    assert fleet.simulated
    found = survey(fleet, 0.95)
    assert {item.parts for item in found.findings} >= {("balloon driver",), ("disk", "card")}
    assert {item.direction for item in found.findings if "disk" in item.parts} == {"to VirtIO"}
    assert found.outlooks == ()


@pytest.mark.slow
def test_spoilt_answers_are_a_sentence_or_a_fleet_that_can_be_written_down(tmp_path: Path) -> None:
    clock = Clock(NOW - 3600.0 * sum(FEW_HOURS))
    with serve(two_servers(now=NOW, hours=FEW_HOURS), clock=clock) as host:
        told = [json.loads(line) for line in answers_over(host, clock)]
        told += [json.loads(client(host, "9.2", clock).get("/nodes/simulated/tasks?limit=500").line())]
    by_path = {
        path: [place for place, one in enumerate(told) if one["path"] == path]
        for path in sorted({one["path"] for one in told})
    }
    for case in range(40):
        choice, answers = random.Random(case), list(told)
        for path in choice.choices([*by_path], k=choice.randrange(1, 6)):  # however often it was asked
            place = choice.choice(by_path[path])
            answers[place] = answers[place] | {"body": {"data": spoil(answers[place]["body"]["data"], choice)}}
        (tmp_path / "api.jsonl").write_text("".join(json.dumps(one) + "\n" for one in answers))
        with contextlib.suppress(VirtioStudyError):
            found = survey(AnsweredFleet(explain_answers(tmp_path), tmp_path), 0.95)
            write_survey(tmp_path / "out", of_survey(found, "a", True, 0.95), found.findings)


def test_the_command_says_what_a_host_cannot_tell_and_that_it_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(two_servers(now=NOW, hours=FEW_HOURS), clock=Clock(NOW)) as host:
        monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
        at = ["--host", host.host, "--port", str(host.port), "--ca-file", str(host.ca_file)]
        told = CliRunner().invoke(cli, ["fleet", *at, "--workers", "2", "--output", str(tmp_path)])
        explained = CliRunner().invoke(cli, ["explain", *at, "--page", str(tmp_path / "explain.html")])
    assert told.exit_code == explained.exit_code == 0
    assert "holds no configuration of the past" in told.stdout
    assert "2 servers on 1 node over" in told.stdout
    assert "2 workers were asked for, and 1 is what the fleet is worth" in told.stderr
    for said in (told.stdout, explained.stderr, (tmp_path / "explain.html").read_text()):
        assert "Simulated: nothing of this was measured." in said
    assert "holds no configuration of the past" in (tmp_path / "fleet.en.html").read_text()
    summary = json.loads((tmp_path / "fleet.json").read_text())
    assert not summary["past_known"]
    assert len(summary["outlooks"]) == 2


def test_answers_without_steady_rows_are_an_error_that_names_the_servers(tmp_path: Path) -> None:
    """The genuine rig was restarted every forty minutes."""
    told = CliRunner().invoke(cli, ["fleet", "--answers", str(ROOT / "data" / "pve-rig"), "--output", str(tmp_path)])
    assert told.exit_code != 0
    assert "100 versat, 101 dominio" in told.stderr
    assert "files answers" in str(told.exception)
    assert "token" not in str(told.exception)
