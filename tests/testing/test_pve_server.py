"""The embedded Proxmox VE: answers as the genuine one gives, its versions, its faults, one truth behind all views."""

import csv
import gzip
import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests

from paths import TESTS
from virtio_study import recording
from virtio_study.errors import DataError
from virtio_study.sources.api.client import Client as LiveClient
from virtio_study.sources.api.collecting import collect
from virtio_study.sources.api.credentials import Credential
from virtio_study.study import Endpoint
from virtio_study.testing.demo import HOURS, make_study
from virtio_study.testing.pve import Clock, Fault, SimulatedHost, many_servers, serve, two_servers
from virtio_study.testing.rows import RETENTION
from virtio_study.testing.story import Configuration, SimulatedServer, Story, Use
from virtio_study.testing.versions import VERSIONS

GENUINE = TESTS / "data" / "pve-genuine"
NOW = 1_772_409_600.0
MIB = 2**20


class Client:
    """A plain client, so that nothing of the package stands between the test and the wire."""

    def __init__(self, host: SimulatedHost, *, authorised: bool = True) -> None:
        self.host, self.session = host, requests.Session()
        self.session.trust_env, self.session.verify = False, str(host.ca_file)
        if authorised:
            self.session.headers["Authorization"] = f"PVEAPIToken={host.token_id}={host.token_secret}"

    def __call__(self, path: str, **how: Any) -> requests.Response:
        url = f"https://{self.host.host}:{self.host.port}{path if path.startswith('/') else '/api2/json/' + path}"
        return self.session.request(how.pop("method", "GET"), url, timeout=10, **how)

    def data(self, path: str) -> Any:
        response = self(path)
        assert response.status_code == 200, response.reason
        return response.json()["data"]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW - 5)


def recorded(name: str) -> tuple[int, str, dict[str, str], Any]:
    """Status, reason, headers and parsed body of a recording (None where there is no body)."""
    head, _, body = (GENUINE / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    _, status, reason = first.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines if line)
    text = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
    try:
        parsed = json.loads(text) if text.strip() else None
    except ValueError:
        parsed = text.decode()
    return int(status), reason, headers, parsed


def index() -> dict[str, dict[str, str]]:
    with (GENUINE / "index.tsv").open(encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    return {name: row for name, row in rows.items() if (GENUINE / f"{name}.http").exists()}


def shape(value: Any) -> Any:
    """Keys and types of a value; of a list the different shapes in it."""
    if isinstance(value, dict):
        return tuple(sorted((key, shape(one)) for key, one in value.items()))
    if isinstance(value, list):
        return frozenset(shape(one) for one in value)
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, (int, float)) else "text"


def rig() -> Story:
    """A story with the servers of the recorded host, so that its answers can be laid beside ours."""
    servers = []
    for vmid, driver in ((100, False), (101, True), (102, None)):
        config = dict(recorded(f"vm{vmid}-config")[3]["data"])
        config.pop("digest")
        if driver is None:
            servers.append(SimulatedServer(vmid, config["name"], config=config))
            continue
        level = Use(0.05, 40 * MIB, 270 * MIB)
        servers.append(
            SimulatedServer(vmid, config["name"], (Configuration("rig", NOW - 7200, config, level, driver),))
        )
    return Story(tuple(servers), created=NOW - 7200, now=NOW, node="pve1")


@pytest.fixture
def rig_client(clock: Clock) -> Iterator[Client]:
    with serve(rig(), clock=clock) as host, Client(host) as client:
        yield client


def asked(client: Client, name: str) -> requests.Response:
    """Ask what was asked for a recording, as the same kind of user."""
    row = index()[name]
    who, headers = row["auth"], {}
    if who == "token:noperm":
        client.host.inject(Fault("no_permission"))
    if who.startswith("raw:Authorization"):
        headers["Authorization"] = who.removeprefix("raw:Authorization: ").replace("monitor@pve", client.host.user)
    if who.startswith("cookie:"):
        headers["Cookie"] = "PVEAuthCookie=" + who.removeprefix("cookie:")
    if name.startswith("down-pvedaemon"):
        client.host.inject(Fault("pvedaemon_down"))
    if who == "none":
        client.session.headers.pop("Authorization", None)
    posted = {
        "ticket-bad-password": {"username": "study@pve", "password": "wrong"},
        "ticket-missing-password": {"username": "study@pve"},
    }.get(name, {})
    return client(row["url"], method=row["method"], headers=headers, data=posted or None)


ERRORS = [
    name
    for name, row in index().items()
    if " 200 " not in row["status_line"] and name not in ("plain-http", "down-pvedaemon-ticket")
]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_the_genuine_ones(rig_client: Client, name: str) -> None:
    status, reason, headers, body = recorded(name)
    answer = asked(rig_client, name)
    assert (answer.status_code, answer.reason) == (status, reason)
    assert set(answer.headers) == set(headers)
    if body is None:
        assert answer.content == b""
    elif isinstance(body, dict):
        assert answer.json() == body
    else:
        assert answer.text.strip() == body.strip()


SAME_SHAPE = [
    name
    for name, row in index().items()
    if " 200 " in row["status_line"]
    and not name.startswith(("rrd-", "task-", "node-qemu"))
    and name != "down-pvedaemon-config"  # recorded after a snapshot, so with a key more
]


@pytest.mark.parametrize("name", SAME_SHAPE)
def test_answers_have_the_genuine_keys_and_types(rig_client: Client, name: str) -> None:
    _, _, headers, body = recorded(name)
    answer = asked(rig_client, name)
    assert answer.status_code == 200
    assert set(answer.headers) - {"Content-Encoding"} == set(headers)
    assert shape(answer.json()) == shape(body)


@pytest.mark.parametrize("name", ["node-qemu", "node-qemu-full-1"])
def test_the_list_of_servers_has_the_genuine_keys(rig_client: Client, name: str) -> None:
    genuine = {row["vmid"]: shape(row) for row in recorded(name)[3]["data"]}
    ours = {row["vmid"]: shape(row) for row in asked(rig_client, name).json()["data"]}
    assert ours == genuine


@pytest.mark.parametrize("name", [name for name in index() if name.startswith("rrd-") and "decade" not in name])
def test_rrd_rows_have_the_genuine_columns(rig_client: Client, name: str) -> None:
    genuine = max((set(row) for row in recorded(name)[3]["data"]), key=len)
    rows = asked(rig_client, name).json()["data"]
    assert max((set(row) for row in rows), key=len) == genuine
    assert len(rows) in (59, 60)


def test_a_task_has_the_genuine_state_and_log(rig_client: Client) -> None:
    upid = rig_client.data("nodes/pve1/tasks?typefilter=qmstart")[0]["upid"]
    assert shape(rig_client.data(f"nodes/pve1/tasks/{upid}/status")) == shape(recorded("task-ok-status")[3]["data"])
    assert rig_client(f"nodes/pve1/tasks/{upid}/log").json() == {"data": [{"n": 1, "t": "TASK OK"}], "total": 1}


def test_plain_http_is_sent_to_https(rig_client: Client) -> None:
    url = f"http://127.0.0.1:{rig_client.host.port}/api2/json/version"
    answer = rig_client.session.get(url, allow_redirects=False, timeout=5)
    assert answer.status_code == 301
    assert answer.headers["Location"] == url.replace("http:", "https:")


def test_keys_come_in_random_order(rig_client: Client) -> None:
    orders = {tuple(rig_client.data("nodes/pve1/qemu/101/status/current")) for _ in range(5)}
    assert len(orders) > 1


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_keeps_its_own_retention_and_columns(version: Any, clock: Clock) -> None:
    with serve(two_servers(NOW), version=version, clock=clock) as host, Client(host) as client:
        if not VERSIONS[version].tokens:
            assert (client("version").status_code, client("version").reason) == (401, "No ticket")
            log_in(client)
        assert client.data("version") == VERSIONS[version].answer
        reader = VERSIONS[version].reader
        for timeframe, (step, count) in RETENTION[reader].items():
            rows = client.data(f"nodes/simulated/rrddata?timeframe={timeframe}&cf=MAX")
            times = [row["time"] for row in rows]
            assert {after - before for before, after in pairwise(times)} == {step}
            assert len(rows) == count or (reader == "9.1" and len(rows) == count - 1)
        current = client.data("nodes/simulated/qemu/100/status/current")
        nine = VERSIONS[version].host_memory
        assert ("memhost" in current, "pressurecpusome" in current) == (nine, nine)
        assert isinstance(current["pid"], str if version in ("4.4", "6.4") else int)
        assert ("vmid" in current) is (version != "4.4")
        memory = client.data("nodes/simulated/qemu/100/config")["memory"]
        assert memory == ("4096" if version in ("8.4", "9.0", "9.2") else 4096)
        agent = client("nodes/simulated/qemu/100/agent/get-osinfo").status_code
        assert agent == {"4.4": 501, "9.0": 200, "9.2": 200}.get(version, 403)


def log_in(client: Client) -> None:
    posted = {"username": client.host.user, "password": client.host.password}
    ticket = client("access/ticket", method="POST", data=posted).json()["data"]
    client.session.headers.pop("Authorization", None)
    client.session.cookies.set("PVEAuthCookie", requests.utils.quote(ticket["ticket"]))


def test_a_ticket_ends_after_two_hours_and_renews_before(clock: Clock) -> None:
    with serve(two_servers(NOW), clock=clock) as host, Client(host, authorised=False) as client:
        log_in(client)
        assert client("version").status_code == 200
        clock.advance(7100)
        old = requests.utils.unquote(client.session.cookies["PVEAuthCookie"])
        posted = {"username": host.user, "password": old}
        assert client("access/ticket", method="POST", data=posted).status_code == 200
        clock.advance(200)
        assert (client("version").status_code, client("version").reason) == (401, "Authentication failed!")


def test_live_answers_and_rows_tell_the_same_truth(clock: Clock) -> None:
    minute = (NOW - 600) // 60 * 60
    with serve(two_servers(NOW), clock=clock) as host, Client(host) as client:
        clock.advance(minute + 2 - clock())
        start = client.data("nodes/simulated/qemu/100/status/current")
        polled = []
        for _ in range(6):
            clock.advance(10)
            polled.append(client.data("nodes/simulated/qemu/100/status/current"))
        clock.advance(60)
        rows = {row["time"]: row for row in client.data("nodes/simulated/qemu/100/rrddata?timeframe=hour")}
        listed = client.data("cluster/resources?type=vm")
    row = rows[int(minute) + 60]
    assert row["cpu"] == pytest.approx(sum(one["cpu"] for one in polled) / 6)
    assert row["mem"] == pytest.approx(sum(one["mem"] for one in polled) / 6)
    assert row["netin"] * 60 == pytest.approx(polled[-1]["netin"] - start["netin"], abs=2)
    assert row["diskread"] * 60 == pytest.approx(polled[-1]["diskread"] - start["diskread"], abs=2)
    assert {one["name"] for one in listed} == {"versat", "dominio"}


def test_the_story_switches_the_instrument_and_leaves_its_traces(clock: Clock) -> None:
    story = two_servers(NOW)
    balloon = story.servers[0].configurations[1].since
    with serve(story, clock=clock) as host, Client(host) as client:
        day = client.data("nodes/simulated/qemu/100/rrddata?timeframe=day")
        before = [row for row in day if balloon - 7200 < row["time"] <= balloon - 120]
        after = [row for row in day if balloon + 300 < row["time"] <= balloon + 7200]
        assert all(row["mem"] == row["memhost"] for row in before)
        assert all(row["mem"] < 0.7 * row["memhost"] for row in after)
        gap = [row for row in day if balloon - 95 < row["time"] <= balloon]
        assert [sorted(row) for row in gap] == [["disk", "maxcpu", "maxdisk", "maxmem", "time"]] * len(gap)
        assert gap
        kinds = [task["type"] for task in client.data("nodes/simulated/tasks?vmid=100")]
        assert kinds == ["qmstart", "qmshutdown", "vzdump", "qmstart", "qmshutdown", "qmstart", "qmcreate"]
        clock.advance(balloon - 700 - clock())
        quiet = client.data("nodes/simulated/qemu/100/config?current=1")
        clock.advance(200)
        waiting = client.data("nodes/simulated/qemu/100/config?current=1")
        pending = {row["key"]: row for row in client.data("nodes/simulated/qemu/100/pending")}
        clock.advance(600)
        restarted = client.data("nodes/simulated/qemu/100/status/current")
    assert quiet["digest"] != waiting["digest"]
    assert quiet["net0"] == waiting["net0"]
    assert pending["balloon"] == {"key": "balloon", "value": 0, "delete": 1}
    assert restarted["uptime"] == 100
    assert "free_mem" in restarted["ballooninfo"]


def test_an_upgraded_host_mixes_steps_and_goes_back_in_time(clock: Clock) -> None:
    story = replace(two_servers(NOW, hours=(100, 100, 100)), upgraded_at=NOW - 5 * 86400 + 1000)
    with serve(story, clock=clock) as host, Client(host) as client:
        rows = client.data("nodes/simulated/qemu/100/rrddata?timeframe=week")
        decade = client("nodes/simulated/rrddata?timeframe=decade")
    times = [row["time"] for row in rows]
    steps = [after - before for before, after in pairwise(times)]
    assert set(steps) > {10800, 1800}
    assert sum(step < 0 for step in steps) == 1
    seam = next(number for number, step in enumerate(steps) if step < 0) + 1
    assert not any("memhost" in row for row in rows[:seam])
    assert any("memhost" in row for row in rows[seam:])
    assert any("mem" in row for row in rows[:seam])
    assert (decade.status_code, "ARRAY reference" in decade.reason) == (500, True)


def test_the_same_seed_gives_the_same_values(clock: Clock) -> None:
    answers = []
    for seed in (1, 1, 2):
        with serve(two_servers(NOW, seed=seed), clock=clock) as host, Client(host) as client:
            answers.append(client.data("nodes/simulated/qemu/100/rrddata?timeframe=day"))
    assert answers[0] == answers[1] != answers[2]


CURRENT = "nodes/simulated/qemu/100/status/current"


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (Fault("unauthorized"), 401, "Authentication failed!"),
        (Fault("forbidden", path="status/current"), 403, "Permission check failed (/, Sys.Audit)"),
        (Fault("no_permission", vmid=100), 403, "Permission check failed (/vms/100, VM.Audit)"),
        (
            Fault("error", reason="VM 100 qmp command failed - got timeout"),
            500,
            "VM 100 qmp command failed - got timeout",
        ),
        (Fault("pvedaemon_down"), 595, "Connection refused"),
        (Fault("node_unreachable"), 595, "No route to host"),
        (Fault("proxy_timeout"), 596, "Connection timed out"),
    ],
)
def test_faults_with_a_status(clock: Clock, fault: Fault, status: int, reason: str) -> None:
    with serve(two_servers(NOW), faults=[fault], clock=clock) as host, Client(host) as client:
        answer = client(CURRENT)
        assert (answer.status_code, answer.reason) == (status, reason)
        assert answer.content == b"" or status not in (401, 595, 596)
        assert host.requests[-1] == ("GET", f"/api2/json/{CURRENT}", status)
        host.heal()
        assert client(CURRENT).status_code == 200


def test_faults_that_spoil_the_answer(clock: Clock) -> None:
    with serve(two_servers(NOW), clock=clock) as host, Client(host) as client:
        for kind in ("reset", "no_answer", "truncated"):
            host.inject(Fault(kind, times=1))  # type: ignore[arg-type]
            with pytest.raises(requests.exceptions.RequestException):
                client(CURRENT)
            assert client(CURRENT).status_code == 200
        host.inject(Fault("not_json", times=1))
        with pytest.raises(requests.exceptions.JSONDecodeError):
            client(CURRENT).json()
        host.inject(Fault("null", times=1), Fault("slow_drip", times=1, seconds=0.001))
        assert client(CURRENT).json() == {"data": None}
        assert client.data(CURRENT)["name"] == "versat"


def test_a_hung_qemu_loses_what_only_qemu_knows(clock: Clock) -> None:
    with serve(two_servers(NOW), faults=[Fault("hung_qemu", vmid=100)], clock=clock) as host, Client(host) as client:
        hung, other = client.data(CURRENT), client.data(CURRENT.replace("100", "101"))
    gone = {"diskread", "diskwrite", "blockstat", "nics", "running-machine", "running-qemu", "ballooninfo", "balloon"}
    assert set(other) - set(hung) >= gone - {"nics"}
    assert hung["qmpstatus"] == hung["status"] == "running"
    assert hung["mem"] == hung["memhost"]


def test_a_silent_pvestatd_leaves_rows_of_time_alone(clock: Clock) -> None:
    fault = Fault("pvestatd_down", since=NOW - 1805)
    with serve(two_servers(NOW), faults=[fault], clock=clock) as host, Client(host) as client:
        rows = client.data("nodes/simulated/qemu/100/rrddata?timeframe=hour")
        resources = client.data("cluster/resources?type=vm")
        alive = client.data(CURRENT)
    assert {len(row) for row in rows if row["time"] > NOW - 1740} <= {1}
    assert any("mem" in row for row in rows)
    assert [sorted(row) for row in resources] == [["id", "node", "status", "type", "vmid"]] * 2
    assert alive["status"] == "running"


def test_without_permission_lists_are_empty_and_without_audit_the_node_is_closed(clock: Clock) -> None:
    with serve(two_servers(NOW), clock=clock) as host, Client(host) as client:
        host.inject(Fault("no_permission", vmid=101))
        assert [row["vmid"] for row in client.data("nodes/simulated/qemu")] == [100]
        assert client(CURRENT).status_code == 200
        host.heal()
        host.inject(Fault("no_sys_audit"))
        assert client("nodes/simulated/status").reason == "Permission check failed (/nodes/simulated, Sys.Audit)"
        assert client.data("nodes/simulated/tasks") == []
        assert "Sys.Audit" not in client.data("access/permissions")["/"]
        assert "cpu" not in client.data("nodes")[0]


def test_a_host_that_is_down_refuses_and_comes_back(clock: Clock) -> None:
    with serve(two_servers(NOW), clock=clock) as host, Client(host) as client:
        assert client("version").status_code == 200
        with host.down(), pytest.raises(requests.exceptions.ConnectionError):
            client("version")
        assert client("version").status_code == 200


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        ("wrong_ca", "unable to get local issuer"),
        ("expired", "expired"),
        ("wrong_name", "IP address mismatch|not valid for"),
        ("self_signed", "self.signed"),
    ],
)
def test_each_wrong_certificate_is_refused_for_its_own_reason(tls: Any, why: str) -> None:
    with serve(two_servers(NOW), tls=tls) as host, Client(host) as client:
        with pytest.raises(requests.exceptions.SSLError, match=why):
            client("version")
        seen = ssl.get_server_certificate((host.host, host.port), timeout=5)
        assert host.requests == []
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(seen)).hexdigest().upper()
    assert host.fingerprint.replace(":", "") == digest


def test_it_listens_on_this_machine_alone_and_tells_no_secret() -> None:
    with serve(two_servers(NOW)) as host:
        with socket.create_connection((host.host, host.port), timeout=5) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
        assert host.token_secret not in repr(host)
        assert host.password not in repr(host)


def test_many_servers_are_listed_and_requests_in_flight_are_counted(clock: Clock) -> None:
    with serve(many_servers(200, NOW), clock=clock, latency_s=0.05) as host, Client(host) as client:
        assert len(client.data("cluster/resources?type=vm")) == 200
        with ThreadPoolExecutor(4) as pool:
            paths = [f"nodes/simulated/qemu/{1000 + number}/status/current" for number in range(8)]
            names = list(pool.map(lambda path: fetch(host, path)["name"], paths))
        assert names == [f"simulated-{number:04d}" for number in range(8)]
        assert 2 <= host.in_flight_max <= 4


def fetch(host: SimulatedHost, path: str) -> Any:
    with Client(host) as client:
        return client.data(path)


@pytest.mark.parametrize(("version", "login"), [("9.2", "token"), ("9.2", "ticket"), ("4.4", "ticket")])
def test_proxmoxer_talks_to_it(version: Any, login: str, clock: Clock) -> None:
    proxmoxer = pytest.importorskip("proxmoxer")
    with serve(two_servers(NOW), version=version, clock=clock) as host:
        user, name = host.token_id.split("!")
        how = (
            {"token_name": name, "token_value": host.token_secret} if login == "token" else {"password": host.password}
        )
        api = proxmoxer.ProxmoxAPI(
            host.host, port=host.port, user=user, verify_ssl=str(host.ca_file), timeout=10, **how
        )
        rows = api.nodes("simulated").qemu(100).rrddata.get(timeframe="hour", cf="AVERAGE")
        assert rows[0]["time"] == rows[1]["time"] - 60
        assert api.nodes("simulated").qemu(100).config.get(current=1)["name"] == "versat"
        with pytest.raises(proxmoxer.ResourceException) as raised:
            api.nodes("simulated").qemu(999).status.current.get()
        assert raised.value.content == "Configuration file 'nodes/simulated/qemu-server/999.conf' does not exist"
        api._store["session"].close()


def test_a_cluster_without_its_file_system_answers_nothing(clock: Clock) -> None:
    with serve(two_servers(NOW), faults=[Fault("pmxcfs_down", times=1)], clock=clock) as host, Client(host) as client:
        answer = client("version")
        assert answer.status_code == 500
        assert answer.json()["message"].endswith("Unable to load access control list: Connection refused\n")
        assert client("version").status_code == 200


def test_an_error_of_the_embedded_host_itself_is_not_hidden(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake in the story")

    monkeypatch.setattr("virtio_study.testing.pve.answer", broken)
    dropped = pytest.raises(requests.exceptions.ConnectionError)
    with (
        pytest.raises(ZeroDivisionError),
        serve(two_servers(NOW), clock=clock) as host,
        Client(host) as client,
        dropped,
    ):
        client("version")


def test_the_demonstration_records_simulated_data_and_says_so(tmp_path: Path, clock: Clock) -> None:
    story = two_servers(NOW, hours=HOURS)
    study = make_study(tmp_path, story)
    with serve(story, clock=clock) as host:
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        written = collect(study, LiveClient(endpoint, Credential(*host.token_id.split("!"), host.token_secret))).written
        secret = host.token_secret
    assert len(written) == 6
    for place in [item.place for item in written]:
        assert recording.read(study.folder / place, study.folder).provenance.kind == "simulated"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    with pytest.raises(DataError, match="there is a study already"):
        make_study(tmp_path, story)


def test_a_server_that_has_just_started_answers() -> None:
    story = two_servers(now=NOW, hours=(0.07, 0.07, 0.07))
    clock = Clock(NOW - 0.21 * 3600 - 5)
    with serve(story, clock=clock) as host:
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        asked = LiveClient(endpoint, Credential(*host.token_id.split("!"), host.token_secret), tries=1)
        for _ in range(40):
            reply = asked.get("/cluster/resources")
            assert reply.good, reply.reason
            clock.advance(0.5)
