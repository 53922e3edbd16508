"""Collecting and watching a live host: the embedded one, in every version and with every fault, over real HTTPS."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from torture.crash import raw_lines
from virtio_study import recording
from virtio_study.cli.main import cli
from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.sentences import english
from virtio_study.sources.api import client as api_client
from virtio_study.sources.api import response_log
from virtio_study.sources.api.client import IN_FLIGHT, Client, Reply
from virtio_study.sources.api.cluster import Cluster
from virtio_study.sources.api.collecting import collect
from virtio_study.sources.api.credentials import Credential, credential, parse
from virtio_study.sources.api.doctor import examine
from virtio_study.sources.api.importers import import_answers
from virtio_study.sources.api.inventory import inventory
from virtio_study.sources.api.watching import watch
from virtio_study.sources.files.rrddata import merge_rrddata
from virtio_study.sources.responses import lists, read_answers
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.faults import Fault
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.testing.versions import VERSIONS

NOW = 1_772_409_600.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)


def client(host: SimulatedHost, **how: Any) -> Client:
    clock = how.pop("clock", time.time)
    secret = how.pop("secret", None) or Credential(*host.token_id.split("!"), host.token_secret)
    tries = how.pop("tries", api_client.TRIES)
    how = how or {"ca_file": host.ca_file}
    return Client(Endpoint(host=host.host, port=host.port, **how), secret, clock=clock, tries=tries)


def study_of(folder: Path, host: SimulatedHost) -> Study:
    made = make_study(folder, two_servers(now=NOW))
    path = made.folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text())
    protocol["proxmox"] = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    return load_study(path)


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as running:
        yield running


# --- secrets ----------------------------------------------------------------------------------------------------------

SECRET = "0f9c2d3a-1111-4222-8333-444455556666"
TOKEN = f"study@pve!collector={SECRET}"


def test_a_token_comes_from_the_environment_or_a_file_of_its_owner_and_shows_itself_nowhere(tmp_path: Path) -> None:
    found = credential("pve1", {"VIRTIO_STUDY_PVE_TOKEN": TOKEN})
    assert (found.token_id, found.secret) == ("study@pve!collector", SECRET)
    assert SECRET not in repr(found)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    assert credential("pve1", {"VIRTIO_STUDY_PVE_TOKEN_FILE": str(file)}) == found
    file.chmod(0o640)
    with pytest.raises(StudyError, match=r"mode 0640 lets others read the token; run: chmod 600") as refused:
        credential("pve1", {"VIRTIO_STUDY_PVE_TOKEN_FILE": str(file)})
    assert SECRET not in str(refused.value)


def test_a_token_comes_from_the_keyring_of_the_host_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {("virtio-study", "pve1"): TOKEN}
    keyring = SimpleNamespace(get_password=lambda service, name: kept.get((service, name)))
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", SimpleNamespace(KeyringError=RuntimeError))
    nowhere = {"VIRTIO_STUDY_PVE_TOKEN_FILE": str(tmp_path / "none")}
    assert credential("pve1", nowhere).secret == SECRET
    with pytest.raises(StudyError, match="no token for pve2"):
        credential("pve2", nowhere)

    def locked(service: str, name: str) -> str:
        raise RuntimeError("no keyring on this machine")

    keyring.get_password = locked
    with pytest.raises(StudyError, match="no token for pve1"):
        credential("pve1", nowhere)


@pytest.mark.parametrize("text", [SECRET, f"study@pve={SECRET}", f"study!x={SECRET}", f"a@b!c= {SECRET}", ""])
def test_what_is_no_token_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(StudyError, match="expected user@realm!name=secret") as refused:
        parse(text, "here")
    assert SECRET not in str(refused.value)


def test_without_a_token_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="pveum user token add"):
        credential("pve1", {"VIRTIO_STUDY_PVE_TOKEN_FILE": str(tmp_path / "none")})


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["own_ca", "self_signed", "wrong_ca", "expired", "wrong_name"])
def test_a_certificate_is_trusted_by_its_ca_or_its_fingerprint_and_by_nothing_else(
    tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    with serve(two_servers(now=NOW), clock=Clock(NOW), tls=tls) as host:
        if tls == "own_ca":
            assert client(host).get("/version").good
        else:
            with pytest.raises(StudyError, match=r"its certificate .*; (set proxmox|compare the clocks)"):
                client(host).get("/version")
        assert client(host, fingerprint=host.fingerprint).get("/version").good
        other = ("00:" if not host.fingerprint.startswith("00") else "11:") + host.fingerprint[3:]
        with pytest.raises(StudyError, match="another SHA-256 fingerprint"):
            client(host, fingerprint=other).get("/version")
        assert [status for _, _, status in host.requests if status == 200]


# --- collect ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", list(VERSIONS))
def test_every_version_gives_what_it_has_and_the_rest_is_named(version: Any, tmp_path: Path) -> None:
    with serve(two_servers(now=NOW), version=version, clock=Clock(NOW)) as host:
        study = study_of(tmp_path, host)
        secret = Credential(host.user, "", host.password) if version == "4.4" else None
        done = collect(study, client(host, secret=secret))
    assert done.missing == []
    assert len(done.written) == len(study.windows)
    assert done.answers > 30
    answers = read_answers(response_log.stored(study.folder))
    assert sum(answer.status == 200 for answer in answers) == done.answers
    hosts = {"9.0": "host_pss", "9.2": "host_cgroup"}.get(version, "unknown")  # until 8 rows do not have it
    for path in study.folder.glob("recordings/**/*.parquet"):
        assert set(recording.read(path, study.folder).frame["mem_host_instrument"]) == {hosts}
    agent = [answer for answer in answers if answer.path.endswith("/agent/get-osinfo")]
    assert any(answer.status == 200 for answer in agent) == version.startswith("9")
    assert host.in_flight_max <= IN_FLIGHT


def test_a_window_that_the_configuration_contradicts_is_not_recorded_and_the_others_are(tmp_path: Path) -> None:
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        study = study_of(tmp_path, host)
        first, *_, last = (window for window in study.windows if window.server == "versat")
        early = first.start.timestamp() + 600
        devices = study.driver_configs[first.driver_config], study.driver_configs[last.driver_config]
        assert devices[0].disk != devices[1].disk
        base = "/nodes/simulated/qemu/100"
        config = f"{base}/config?current=1"
        shown = client(host).get(config).data
        edited = {**shown, "memory": "999"}
        late = last.start.timestamp()
        response_log.append(study.folder, [Reply(early, config, 200, shown), Reply(late + 600, config, 200, edited)])
        response_log.append(study.folder, [Reply(late + 1200, config, 200, shown)])
        done = collect(study, client(host))
    (wrong,) = done.missing
    assert (wrong.server, wrong.path) == ("versat", "windows")
    assert f"claims disk {devices[0].disk}" in english(wrong.cause)
    assert f"has {devices[1].disk}" in english(wrong.cause)
    assert len(done.written) == len(study.windows) - 1
    (path,) = study.folder.glob(f"recordings/versat/{last.driver_config}/*.parquet")
    kept = recording.read(path, study.folder).provenance
    assert kept.replicate == f"rrddata-{sum(w.server == 'versat' for w in study.windows):02d}", "numbers stay"
    assert (kept.devices["disk"], kept.kind) == (devices[1].disk, "simulated")
    assert (late + 600, late + 1200, "configuration changed") in kept.contaminated


def test_a_host_that_was_upgraded_gives_each_window_rows_of_one_step_in_order(tmp_path: Path) -> None:
    story = replace(two_servers(now=NOW, hours=(288, 144, 144)), upgraded_at=NOW - 9 * 86400)
    with serve(story, clock=Clock(NOW)) as host:
        study = make_study(tmp_path, story)
        done = collect(study, client(host))
    assert (done.missing, len(done.written)) == ([], 6)
    for path in study.folder.glob("recordings/versat/**/*.parquet"):
        frame = recording.read(path, study.folder).frame
        old = path.parent.name == "emulated"  # rows of before the upgrade: half days, and nothing tells whose memory
        assert set(frame["step_s"]) == {43200.0 if old else 1800.0}
        assert set(frame["mem_instrument"]) == {"unknown" if old else "guest_stats"}
        assert frame["mem_host_bytes"].isna().all() == old
        assert set(np.diff(frame["time"]).astype("timedelta64[s]").astype(int)) == set(frame["step_s"])


FAULTS = {
    "forbidden": (Fault("forbidden", path="/pending"), "pveum acl modify / --tokens"),
    "one server": (Fault("no_permission", vmid=101), "the host shows no server 101"),
    "no audit": (Fault("no_sys_audit"), "pveum acl modify"),
    "error": (Fault("error", path="/pending", reason="got timeout"), "collect again"),
    "hung": (Fault("proxy_timeout", path="/qemu/101/"), "node simulated does not answer"),
    "truncated": (Fault("truncated", path="/qemu/100/config"), "its address and port"),
    "not json": (Fault("not_json", path="/qemu/100/config"), "the answer is not JSON"),
    "null": (Fault("null", path="/qemu/100/config"), "the answer is empty"),
    "reset": (Fault("reset", path="/qemu/100/pending"), "its address and port"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_costs_what_it_hits_and_is_named_with_its_remedy(
    host: SimulatedHost, tmp_path: Path, fault: Fault, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, host)
    study = study.model_copy(update={"windows": []})
    host.inject(fault)
    done = collect(study, client(host))
    assert done.missing
    assert any(said in f"{english(item.cause)} {english(item.remedy)}" for item in done.missing), done.missing
    assert all("\n" not in f"{english(item.cause)}{english(item.remedy)}" for item in done.missing)
    assert done.answers > 10
    assert (
        len([a for a in read_answers(response_log.stored(study.folder)) if a.status == 200 and a.data is not None])
        >= done.answers
    )


def test_what_passes_is_asked_again_and_what_cannot_succeed_is_not(host: SimulatedHost) -> None:
    asked = client(host)
    host.inject(Fault("error", path="/version", times=2, reason="got timeout"))
    assert asked.get("/version").good
    assert [status for _, path, status in host.requests if path.endswith("/version")] == [500, 500, 200]
    for kind in ("unauthorized", "forbidden"):
        host.heal()
        host.requests.clear()
        host.inject(Fault(kind, path="/version"))  # type: ignore[arg-type]
        assert not asked.get("/version").good
        assert len([1 for _, path, _ in host.requests if path.endswith("/version")]) == 1


def test_through_the_command_line_the_exit_code_tells(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    study = study_of(tmp_path, host)
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
    host.inject(Fault("unauthorized"))
    refused = CliRunner().invoke(cli, ["collect", str(study.folder)])
    assert (refused.exit_code, len(host.requests)) == (3, 2)
    assert "the token is wrong, expired or deleted" in refused.stderr
    host.heal()
    good = CliRunner().invoke(cli, ["collect", str(study.folder)])
    assert good.exit_code == 0, good.output
    host.inject(Fault("forbidden", path="/pending"))
    partial = CliRunner().invoke(cli, ["collect", str(study.folder)])
    assert partial.exit_code == 3
    assert "missing: versat: /nodes/simulated/qemu/100/pending: 403" in partial.output
    written = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    for text in (good.output, partial.output, written):
        assert host.token_secret not in text


# --- watch ------------------------------------------------------------------------------------------------------------


def watched(study: Study, host: SimulatedHost, clock: Clock, polls: int, **how: Any) -> list[str]:
    asked = client(host, clock=clock, tries=1)
    said: list[str] = []

    def slept(seconds: float) -> None:
        clock.advance(max(seconds, 1.0))

    watch(study, asked, lambda state: said.append(english(state)), lambda: len(said) >= polls, sleep=slept, **how)
    return said


def test_a_watch_finds_the_change_of_drivers_and_another_start_goes_on(tmp_path: Path) -> None:
    clock = Clock(NOW - 3 * 3600)
    story = two_servers(now=NOW, hours=(1, 1, 1))
    with serve(story, clock=clock) as host:
        study = study_of(tmp_path, host)
        configurations = list(study.driver_configs)
        for _ in range(2):
            watched(study, host, clock, 90, poll_s=60.0)
            clock.advance(7)
    answers = read_answers(response_log.stored(study.folder))
    assert len(answers) == len({(answer.path, answer.time_s) for answer in answers})
    assert len(import_answers(study, response_log.stored(study.folder))) == 2 * len(configurations)
    for runs in json.loads((study.folder / "timeline.json").read_text()).values():
        assert [run["driver_config"] for run in runs] == configurations


@pytest.mark.parametrize(("version", "break_s"), [("8.4", 2400), ("9.2", 9 * 3600)])
def test_rows_go_on_without_a_gap_or_a_repetition_over_a_time_without_a_watch(
    version: Any, break_s: int, tmp_path: Path
) -> None:
    """Until Proxmox VE 8 there are 70 rows of a minute, asked for every half hour; from 9 on those of a day."""
    clock = Clock(NOW - 5 * 3600)
    with serve(two_servers(now=NOW), version=version, clock=clock) as host:
        study = study_of(tmp_path, host)
        for _ in range(3):
            watched(study, host, clock, 60, poll_s=60.0)
            clock.advance(break_s)
    answers = read_answers(response_log.stored(study.folder))
    asked = [(str(at), rows) for at, rows in lists(answers, r".*/qemu/100/rrddata.*AVERAGE")]
    assert len(asked) >= 12
    times = [row["time"] for row in merge_rrddata(asked)[60]]
    assert len(times) > 220
    assert set(np.diff(times)) == {60}


def test_a_watch_waits_out_a_reboot_of_the_host_and_says_so(host: SimulatedHost, tmp_path: Path) -> None:
    study, clock = study_of(tmp_path, host), Clock(NOW)
    assert "2 of 2 servers" in watched(study, host, clock, 2)[-1]
    with host.down():
        said = watched(study, host, clock, 3)
    assert "waiting 20 s: connection refused" in said[0]
    assert "waiting 80 s" in said[2]
    assert "2 of 2 servers" in watched(study, host, clock, 2)[-1]
    host.inject(Fault("unauthorized"))
    assert "the token is wrong, expired or deleted" in watched(study, host, clock, 1)[0]


def test_a_server_that_hangs_or_moves_does_not_hold_up_the_others(tmp_path: Path) -> None:
    clock = Clock(NOW)
    with serve(two_servers(now=NOW), clock=clock) as host:
        study = study_of(tmp_path, host)
        watched(study, host, clock, 2)
        host.inject(Fault("error", path="/qemu/101/status", reason="got timeout"))
        host.requests.clear()
        watched(study, host, clock, 60)
    asked = [path.split("?")[0].rpartition("/api2/json")[2] for _, path, _ in host.requests]
    assert asked.count("/nodes/simulated/qemu/100/status/current") == 60
    # after 30, 60, 120, 240 and then every 300 s, each time with the list of servers, for it may have moved
    assert 3 <= asked.count("/nodes/simulated/qemu/101/status/current") <= 6
    assert asked.count("/cluster/resources") >= 4


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_watch_that_is_ended_leaves_whole_lines_and_says_so_by_its_exit_code(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals, code: int
) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
    study = study_of(tmp_path, host)
    words = [sys.executable, "-m", "virtio_study", "watch", str(study.folder)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert "poll 1: 2 of 2 servers" in watching.stderr.readline()
        watching.send_signal(how)
        assert watching.wait(30) == code
        assert "Traceback" not in watching.stderr.read()
    stored = raw_lines(study.folder)
    assert stored.count(b"\n") == len([json.loads(line) for line in stored.splitlines()]) > 10


def test_what_is_refused_is_asked_no_more_often_than_it_would_be(tmp_path: Path) -> None:
    clock = Clock(NOW)
    with serve(two_servers(now=NOW), clock=clock) as host:
        study = study_of(tmp_path, host)
        host.inject(Fault("forbidden", path="/pending|timeframe=week|apt/versions"))
        said = watched(study, host, clock, 90)
        asked = [path for _, path, status in host.requests if status == 403]
    assert "403" in said[0] or "Permission check failed" in said[0]
    assert 3 <= len([path for path in asked if path.endswith("100/pending")]) <= 4  # in 15 minutes
    assert len([path for path in asked if "week" in path]) == 5  # once each: of two servers two, and of the node
    assert len([path for path in asked if path.endswith("apt/versions")]) == 1


def test_two_collectors_of_one_study_keep_out_of_each_others_way(tmp_path: Path) -> None:
    with (
        response_log.alone(tmp_path),
        pytest.raises(DataError, match="another collect or watch"),
        response_log.alone(tmp_path),
    ):
        pass


def test_a_line_cut_short_is_taken_away_and_a_finished_day_is_packed(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").touch()
    response_log.append(tmp_path, [Reply(NOW, "/version", 200, {"version": "9.2"})])
    (path,) = response_log.stored(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"t": 1, "pa')
    response_log.append(tmp_path, [Reply(NOW + 1, "/version", 200, {"version": "9.2"})])
    assert [answer.time_s for answer in read_answers([path])] == [NOW, NOW + 1]
    path.write_bytes(path.read_bytes() + b'{"t": 1, "pa')
    (packed,) = response_log.finish(tmp_path, NOW + 86400)
    assert packed.suffix == ".zst"
    assert response_log.finish(tmp_path, NOW + 86400) == []
    response_log.append(tmp_path, [Reply(NOW, "/version", 200, {"version": "9.2"})])  # the clock went back
    (second,) = response_log.finish(tmp_path, NOW + 86400)
    assert second != packed
    second.unlink()
    assert [answer.time_s for answer in read_answers(response_log.stored(tmp_path))] == [NOW, NOW + 1]


def test_a_kill_within_a_write_costs_that_line_alone(tmp_path: Path) -> None:
    response_log.append(tmp_path, [Reply(NOW + n, "/x", 200, {"n": n}) for n in range(3)])
    (path,) = response_log.stored(tmp_path)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        known = [answer.time_s for answer in read_answers([path])]
        response_log.append(tmp_path, [Reply(NOW + 9, "/x", 200, {"n": 9})])
        assert [answer.time_s for answer in read_answers([path])] == [*known, NOW + 9] or whole[:cut].endswith(b"}")


# --- doctor, inventory, new -------------------------------------------------------------------------------------------


def test_the_doctor_finds_nothing_wrong_with_a_good_host_and_what_is_wrong_with_others(
    host: SimulatedHost, tmp_path: Path
) -> None:
    study = study_of(tmp_path, host)
    found = list(examine(client(host), study.servers))
    assert {item.status for item in found if item.what not in ("clock", "agent")} == {"pass"}
    host.inject(Fault("no_permission", vmid=100))
    lost = next(item for item in examine(client(host), study.servers) if item.what == "servers")
    assert (
        lost.status,
        "pveum acl modify / --tokens 'study@pve!collector' --roles PVEAuditor" in english(lost.remedy),
    ) == (
        "fail",
        True,
    )
    host.heal()
    host.inject(Fault("no_sys_audit"))
    says = [english(item.says) for item in examine(client(host), study.servers) if item.status == "fail"]
    assert "study@pve!collector has no Sys.Audit on simulated, and is shown its own tasks alone" in says
    assert any(line.startswith("rrddata of node simulated: 403") for line in says)
    host.heal()
    host.inject(Fault("unauthorized"))
    assert list(examine(client(host), study.servers))[-1].what == "token"
    with host.down():
        assert [item.what for item in examine(client(host), study.servers)] == ["connection"]


def test_the_doctor_warns_of_what_an_old_version_cannot_tell(tmp_path: Path) -> None:
    with serve(two_servers(now=NOW), version="8.4", clock=Clock(NOW)) as host:
        found = {item.what: item for item in examine(client(host), {})}
    assert found["version"].status == found["retention"].status == "warn"
    assert "qemu-server 8.4.1 shows as the host's memory: host, RSS scaled" in english(found["instrument"].says)
    assert "70 minutes" in english(found["retention"].says)


def test_the_inventory_shows_every_device_and_counts_disks_and_cards(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    table = inventory(client(host))
    assert set(table["vmid"]) >= {100, 101}
    assert set(table["kind"]) == {"disk", "network", "display", "pointer", "balloon", "agent"}
    assert (table["error"] == "").all()
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
    place = ["--host", host.host, "--port", str(host.port), "--ca-file", str(host.ca_file)]
    shown = CliRunner().invoke(cli, ["inventory", *place, "--all", "--format", "json"])
    assert len(json.loads(shown.output)) == len(table)
    counted = CliRunner().invoke(cli, ["inventory", *place])
    assert "2 servers, 0 with a disk or network card that is not VirtIO" in counted.stderr
    assert "usb-tablet" in counted.stdout
    assert "virtio-scsi" not in counted.stdout
    listed = CliRunner().invoke(cli, ["new", str(tmp_path / "data" / "yours"), *place])
    assert "virtio-scsi (VirtIO)" in listed.stdout
    assert not (tmp_path / "data" / "yours").exists()
    nowhere = CliRunner().invoke(cli, ["inventory"])
    assert (nowhere.exit_code, "Missing option '--host'" in nowhere.output) == (2, True)


def test_the_draft_is_a_protocol_of_what_is_there_before_and_refuses_servers_that_have_no_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    clock = Clock(NOW - 20 * 3600)
    with serve(two_servers(now=NOW), clock=clock) as host:
        monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
        place = ["--host", host.host, "--port", str(host.port), "--ca-file", str(host.ca_file)]
        for balloon in (False, True):
            folder = tmp_path / "data" / f"mine-{balloon}"
            made = CliRunner().invoke(cli, ["new", str(folder), "100", "101", *place])
            assert made.exit_code == 0, made.output
            drafted = load_study(folder)
            assert [server.vmid for server in drafted.servers.values()] == [100, 101]
            assert host.token_secret not in (folder / "study.yaml").read_text()
            before, after = drafted.driver_configs.values()
            assert (before.disk, before.nic, before.balloon_driver) == ("ide", "e1000", balloon)
            assert (after.disk, after.nic, after.balloon_driver) == ("virtio-scsi", "virtio-net", None)
            clock.advance(8 * 3600)
        again = CliRunner().invoke(cli, ["new", str(folder), "100", *place])
        assert again.exit_code != 0
        clock.advance(8 * 3600)
        none = CliRunner().invoke(cli, ["new", str(tmp_path / "data" / "late"), "100", "101", *place])
        assert "VirtIO already, so there is no before to record" in str(none.exception)
        assert not (tmp_path / "data" / "late" / "study.yaml").exists()


def test_a_server_whose_configuration_cannot_be_read_stays_in_the_inventory(host: SimulatedHost) -> None:
    host.inject(Fault("forbidden", path="/qemu/100/config"))
    table = inventory(client(host))
    assert table.loc[table["vmid"] == 100, "error"].str.startswith("403").all()


def test_polls_share_a_few_logins_and_a_lost_ticket_is_fetched_anew(host: SimulatedHost, tmp_path: Path) -> None:
    asked = client(host, secret=Credential(host.user, "", host.password), ca_file=host.ca_file)
    for _ in range(5):
        assert all(
            reply.good for reply in asked.get_all(["/version", "/nodes", "/cluster/resources", "/cluster/tasks"])
        )
    logins = [path for method, path, _ in host.requests if method == "POST"]
    assert 1 <= len(logins) <= IN_FLIGHT
    host.inject(Fault("unauthorized", path="/version", times=1))
    assert asked.get("/version").status == 401
    assert asked.get("/version").good


@pytest.mark.parametrize("data", [None, "x", {"a": 1}, [1, None], [{"type": "qemu", "vmid": "x", "node": "n"}]])
def test_a_list_of_servers_of_another_shape_has_no_server(data: Any) -> None:
    assert Cluster.of(data) == Cluster()


def test_tasks_are_asked_of_every_node_that_may_answer_also_of_those_without_a_server_of_the_study() -> None:
    rows = [
        {"type": "node", "node": "b", "status": "online"},
        {"type": "node", "node": "a", "status": "unknown"},  # pvestatd is down there, and the API answers
        {"type": "node", "node": "c", "status": "offline"},
        {"type": "qemu", "vmid": 100, "node": "b"},
        {"type": "node"},
        None,
    ]
    assert Cluster.of(rows).hosts == ("a", "b")
