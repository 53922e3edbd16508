"""What is said about a host that does not answer as it should, and that what it says to do helps."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from virtio_study.cli.main import cli
from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.sentences import english
from virtio_study.sources.api import client as api_client
from virtio_study.sources.api import health
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.cluster import Cluster
from virtio_study.sources.api.collecting import collect
from virtio_study.sources.api.credentials import Credential, parse
from virtio_study.sources.api.doctor import Finding, examine
from virtio_study.sources.api.drafting import draft
from virtio_study.sources.api.inventory import inventory
from virtio_study.sources.api.watching import watch
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing import guest
from virtio_study.testing.access import Access
from virtio_study.testing.demo import make_study
from virtio_study.testing.faults import Fault
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers

NOW = 1_772_409_600.0
STORY = two_servers(now=NOW, hours=(1, 1, 1))
DATA = Path(__file__).parent.parent.parent / "data"
SECRET = "0f9c2d3a-1111-4222-8333-444455556666"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    with serve(STORY, clock=Clock(NOW), delay_scale=0.001) as running:
        yield running


def client(host: SimulatedHost, secret: Credential | None = None, **endpoint: Any) -> Client:
    at = {"host": host.host, "port": host.port, "ca_file": host.ca_file} | endpoint
    return Client(Endpoint(**at), secret or Credential(*host.token_id.split("!"), host.token_secret), tries=2)


def study_of(folder: Path, host: SimulatedHost) -> Study:
    path = make_study(folder, STORY).folder / "study.yaml"
    endpoint = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"proxmox": endpoint}, allow_unicode=True))
    return load_study(path)


def doctored(host: SimulatedHost, folder: Path, secret: Credential | None = None) -> list[Finding]:
    return [*examine(client(host, secret), study_of(folder, host).servers)]


def wrong(found: list[Finding]) -> dict[str, str]:
    """What the doctor says is wrong, by what was looked at, with its remedy."""
    bad = [item for item in found if item.status != "pass" and item.what not in ("clock", "agent")]
    return {item.what: f"{english(item.says)} | {english(item.remedy or '')}" for item in bad}


# --- permissions ------------------------------------------------------------------------------------------------------

ALL = {"/": "PVEAuditor"}
LACKING = {
    "a token without rights": Access(ALL, {}),
    "a token with its user's rights, and the user has none": Access({}, ALL, privilege_separation=False),
    "a user without the role": Access({}, ALL),
    "neither has it": Access({}, {}),
    "a token that may see one server": Access(ALL, {"/vms/100": "PVEVMUser"}),
    "a user who may see one server": Access({"/vms/101": "PVEVMUser"}, ALL),
    "servers and not their nodes": Access(ALL, {"/": "PVEVMUser"}),
}


@pytest.mark.parametrize("access", LACKING.values(), ids=LACKING)
def test_the_lines_that_are_printed_give_what_is_missing(tmp_path: Path, access: Access) -> None:
    with serve(STORY, clock=Clock(NOW), access=replace(access)) as host:
        study = study_of(tmp_path, host)
        found = wrong([*examine(client(host), study.servers)])
        assert found
        lines = re.search(r"run on the host: (pveum [^(|]*)", str([*found.values()]))
        assert lines, found
        host.run(lines[1])
        assert wrong([*examine(client(host), study.servers)]) == {}


def test_a_token_of_root_needs_the_role_itself_and_root_does_not(host: SimulatedHost) -> None:
    text = english(api_remedy(client(host, Credential("root@pam", "reader", SECRET))))
    assert text == "run on the host: pveum acl modify / --tokens 'root@pam!reader' --roles PVEAuditor"


def api_remedy(asked: Client) -> Any:
    from virtio_study.sources.api.client import Reply
    from virtio_study.sources.api.remedies import remedy

    return remedy(Reply(0.0, "/nodes/a/status", 403, reason="Permission check failed (/nodes/a, Sys.Audit)"), asked)


def commanded(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"PVEAPIToken={host.token_id}={host.token_secret}")
    at = ["--host", f"https://{host.host}:{host.port}/#v1:0", "--ca-file", str(host.ca_file)]
    return CliRunner().invoke(cli, [*words, *at])


@pytest.mark.parametrize("command", [["inventory"], ["new", "data/mine"], ["inventory", "--format", "json"]])
def test_a_token_that_sees_nothing_is_no_empty_cluster(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve(STORY, clock=Clock(NOW), access=Access(ALL, {})) as host:
        done = commanded(host, monkeypatch, *command)
    assert isinstance(done.exception, DataError)
    assert "study@pve!collector may see no server (it lacks VM.Audit); run on the host: pveum" in str(done.exception)
    assert "0 servers" not in done.output


def test_a_token_that_sees_one_server_says_that_others_may_be_hidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serve(STORY, clock=Clock(NOW), access=Access(ALL, {"/vms/100": "PVEVMUser"})) as host:
        done = commanded(host, monkeypatch, "inventory")
        assert (done.exit_code, "may see only 100; other servers, if there are any, are hidden" in done.stderr) == (
            0,
            True,
        )
        with pytest.raises(DataError, match=r"no server 101; the host shows: 100; .* may see only 100"):
            draft(client(host), Endpoint(), [101])
        done = commanded(host, monkeypatch, "inventory", "--format", "csv")
        assert done.stdout.startswith("vmid,")


# --- passwords, tokens, addresses -------------------------------------------------------------------------------------


def test_a_wrong_password_is_no_wrong_token(host: SimulatedHost, tmp_path: Path) -> None:
    (text,) = wrong(doctored(host, tmp_path, Credential("study@pve", "", "wrong"))).values()
    assert "the user or the password is wrong: study@pve has to be a user with its realm" in text
    assert "token add" not in text
    found = wrong([*examine(client(host, Credential("study@pve", "collector", SECRET)), {})])
    assert list(found) == ["token"]
    assert "pveum user token add study@pve virtio-study --privsep 1" in found["token"]


@pytest.mark.parametrize(
    "text",
    ["PVEAPIToken={}", "Authorization: PVEAPIToken={}", "PVEAPIToken {}", "'{}'", '"PVEAPIToken={}"\n', " {} "],
)
def test_a_token_may_be_given_as_in_the_header_of_a_request(text: str) -> None:
    plain = f"study@pve!collector={SECRET}"
    assert parse(text.format(plain), "here") == Credential("study@pve", "collector", SECRET)


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("https://pve1.example.org:8006/#v1:0:18", "pve1.example.org", 8006),
        ("https://192.0.2.7", "192.0.2.7", 8006),
        ("http://pve1:8443/", "pve1", 8443),
        ("pve1:443", "pve1", 443),
        ("https://[2001:db8::1]:8006", "[2001:db8::1]", 8006),
        ("2001:db8::1", "2001:db8::1", 8006),
        ("pve1", "pve1", 8006),
    ],
)
def test_an_address_may_be_given_as_a_browser_has_it(given: str, host: str, port: int) -> None:
    found = Endpoint(host=given)
    assert (found.host, found.port) == (host, port)
    assert Endpoint(host=given, port=9000).port == 9000


def test_a_simulated_host_that_has_ended_is_said_to_have(tmp_path: Path) -> None:
    with serve(STORY, clock=Clock(NOW)) as ended:
        kept = tmp_path / "ca.pem"
        kept.write_bytes(ended.ca_file.read_bytes())
    with pytest.raises(
        StudyError, match=r"ca\.pem is not there; if the host was virtio-study demo serve, it has ended"
    ):
        client(ended)
    (text,) = wrong([*examine(client(ended, ca_file=kept), {})]).values()
    assert "if it was virtio-study demo serve, it has ended" in text
    with pytest.raises(StudyError, match=r"ca\.pem is not there; copy it"):
        Client(Endpoint(host="pve1", ca_file=ended.ca_file), Credential("study@pve", "collector", SECRET))


def test_a_wrong_port_is_named(host: SimulatedHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    (text,) = wrong([*examine(client(host, port=port), {})]).values()
    assert f"is 127.0.0.1:{port} its address and port? Proxmox VE's own port is 8006" in text
    with subprocess.Popen([sys.executable, "-c", PLAIN], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout
            port = int(other.stdout.readline())
            with pytest.raises(StudyError, match=rf"127.0.0.1:{port}: what answers there does not speak TLS"):
                client(host, port=port).get("/version")
        finally:
            other.kill()


PLAIN = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        one = server.accept()[0]
        one.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\\r\\n")
        one.recv(1000)
        one.close()
"""


# --- services and nodes -----------------------------------------------------------------------------------------------


def test_a_cluster_file_system_that_is_down_is_not_the_tokens_fault(host: SimulatedHost, tmp_path: Path) -> None:
    host.inject(Fault("pmxcfs_down"))
    (item,) = [item for item in doctored(host, tmp_path) if item.status == "fail"]
    assert (item.what, "systemctl status pve-cluster" in english(item.remedy)) == ("answers", True)


@pytest.mark.parametrize("password", [False, True])
def test_a_stopped_pvedaemon_on_a_node_that_is_up_is_named_as_such(
    host: SimulatedHost, tmp_path: Path, password: bool
) -> None:
    host.inject(Fault("pvedaemon_down"))
    found = wrong(doctored(host, tmp_path, Credential(host.user, "", host.password) if password else None))
    assert len(found) == 1
    assert "595 Connection refused" in str(found)
    assert "systemctl restart pvedaemon pveproxy" in str(found)
    assert "does not answer" not in str(found)
    table = inventory(client(host))
    assert {*zip(table["status"], table["balloon"], table["error"], strict=True)} == {
        ("running", "", "595 Connection refused")
    }


def test_a_dead_node_is_no_matter_of_permissions_and_is_asked_once(host: SimulatedHost, tmp_path: Path) -> None:
    host.inject(Fault("node_unreachable"))
    found = wrong(doctored(host, tmp_path))
    assert list(found) == ["node"]
    assert "595 No route to host | node simulated does not answer; is it up?" in found["node"]


def of_node(rows: list[dict[str, Any]], **changed: Any) -> list[dict[str, Any]]:
    servers = [{"type": row["type"], "node": row["node"], "vmid": row["vmid"], "status": "unknown"} for row in rows[:2]]
    return [*servers, {"type": "node", "node": "simulated", **changed}]


class Answering:
    """A client whose list of resources is another one."""

    def __init__(self, asked: Client, change: Callable[[Any], Any]) -> None:
        self.asked, self.change = asked, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.asked, name)

    def get(self, path: str) -> Any:
        reply = self.asked.get(path)
        return replace(reply, data=self.change(reply.data), text="") if path == "/cluster/resources" else reply

    def get_all(self, paths: Any) -> Any:
        return [self.get(path) for path in paths]


def test_a_node_that_the_cluster_knows_to_be_off_is_named_by_doctor_collect_inventory_and_watch(
    host: SimulatedHost, tmp_path: Path
) -> None:
    asked: Any = Answering(client(host), lambda rows: of_node(rows, status="offline"))
    study = study_of(tmp_path, host).model_copy(update={"windows": []})
    found = [item for item in examine(asked, study.servers) if item.what == "node"]
    assert [english(item.says) for item in found] == ["node simulated is off or cut off from the cluster"]
    missing = collect(study, asked).missing
    assert {(item.server, english(item.cause)) for item in missing} == {
        (name, "node simulated is off or cut off from the cluster") for name in study.servers
    }
    assert set(inventory(asked)["error"]) == {"node simulated is off or cut off from the cluster"}
    assert not [path for _, path, _ in host.requests if "/qemu/" in path]


def test_a_silent_pvestatd_is_named_by_doctor_collect_and_watch(host: SimulatedHost, tmp_path: Path) -> None:
    host.inject(Fault("pvestatd_down", since=NOW - 1200))
    study = study_of(tmp_path, host).model_copy(update={"windows": []})
    found = wrong([*examine(client(host), study.servers)])
    assert list(found) == ["rows"]
    assert "systemctl restart pvestatd" in found["rows"]
    (lost,) = collect(study, client(host)).missing
    assert english(lost.cause) == "simulated: pvestatd has been silent for five minutes or more"
    assert "pvestatd has been silent" in watched(study, host)[-1]
    assert set(inventory(client(host))["name"]) == {"versat", "dominio"}


def test_a_pvestatd_that_has_just_fallen_silent_is_told_by_its_rows(host: SimulatedHost, tmp_path: Path) -> None:
    host.inject(Fault("pvestatd_down", since=NOW - 290))
    found = wrong(doctored(host, tmp_path))
    assert "simulated: pvestatd has written no row for 4 minutes" in found["rows"]
    study = load_study(tmp_path / "data" / "simulated").model_copy(update={"windows": []})
    assert "has written no row" in str([english(item.cause) for item in collect(study, client(host)).missing])


def test_rows_that_end_a_minute_ago_are_of_a_pvestatd_at_work() -> None:
    rows = [{"time": 60 * minute} | ({"cpu": 0.1} if minute < 69 else {}) for minute in range(70)]
    assert health.silent_s(rows) == 0.0
    assert health.silent_s(rows[:60] + [{"time": row["time"], "cpu": None} for row in rows[60:]]) == 600.0
    assert health.silent_s([{"time": 60 * minute} for minute in range(70)]) == 69 * 60
    assert health.silent_s("no rows") == 0.0


# --- servers ----------------------------------------------------------------------------------------------------------


def watched(study: Study, host: SimulatedHost) -> list[str]:
    said: list[str] = []
    clock = Clock(NOW)
    asked = client(host)
    asked.clock = clock
    watch(study, asked, lambda state: said.append(english(state)), lambda: len(said) >= 2, sleep=clock.advance)
    return said


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"status": "running", "qmpstatus": "running", "blockstat": {}}, "running"),
        ({"status": "running", "qmpstatus": "paused", "blockstat": {}}, "paused"),
        ({"status": "running", "qmpstatus": "io-error", "running-machine": "x"}, "io-error"),
        ({"status": "running", "qmpstatus": "prelaunch", "blockstat": {}}, "prelaunch"),
        ({"status": "running", "qmpstatus": "running", "cpu": 0, "nics": {}}, "hung"),
        ({"status": "running"}, "running"),
        ({"status": "stopped", "qmpstatus": "stopped"}, "stopped"),
        ({}, "unknown"),
    ],
)
def test_the_state_of_a_server_is_told_by_what_qemu_answers(answer: dict[str, Any], state: str) -> None:
    assert health.state_of(answer) == state
    assert bool(health.remedy_of(state, 100)) == (state not in ("running", "stopped", "unknown"))


def test_a_hung_server_is_named_by_doctor_collect_watch_and_inventory(
    host: SimulatedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.inject(Fault("hung_qemu", vmid=101))
    study = study_of(tmp_path, host).model_copy(update={"windows": []})
    found = wrong([*examine(client(host), study.servers)])
    assert "101 hung (QEMU does not answer)" in found["server"]
    done = collect(study, client(host))
    assert (done.missing, [english(item).split(";")[0] for item in done.troubled]) == (
        [],
        ["101 hung (QEMU does not answer)"],
    )
    assert watched(study, host)[-1].endswith("; 101 hung (QEMU does not answer)")
    table = inventory(client(host))
    assert dict(zip(table["vmid"], table["status"], strict=True)) == {100: "running", 101: "hung"}
    assert {*table[table["vmid"].eq(101)]["balloon"]} == {""}
    assert "hung (QEMU does not answer)" in commanded(host, monkeypatch, "inventory").output


@pytest.mark.parametrize(
    ("told", "words", "cure"),
    [
        ("paused", "100 paused", "qm resume 100"),
        ("io-error", "100 paused by an error of its storage", "make room on its storage"),
        ("internal-error", "100 paused by an error of QEMU", "qm resume 100"),
    ],
)
def test_a_server_that_is_paused_is_named_by_doctor_collect_watch_and_inventory(
    host: SimulatedHost, tmp_path: Path, told: str, words: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = guest.current

    def paused(truth: Any, moment: Any, version: Any, **how: Any) -> dict[str, Any]:
        answer = plain(truth, moment, version, **how)
        return answer | ({"qmpstatus": told} if moment.server.vmid == 100 else {})

    monkeypatch.setattr(guest, "current", paused)
    study = study_of(tmp_path, host).model_copy(update={"windows": []})
    found = wrong([*examine(client(host), study.servers)])
    assert list(found) == ["server"]
    assert words in found["server"]
    assert cure in found["server"]
    assert next(english(item) for item in collect(study, client(host)).troubled).startswith(f"{words}; ")
    assert watched(study, host)[-1].endswith(f"; {words}")
    table = inventory(client(host))
    assert dict(zip(table["vmid"], table["status"], strict=True)) == {100: told, 101: "running"}


def test_a_study_that_says_another_allocation_than_the_host_is_told_so(host: SimulatedHost, tmp_path: Path) -> None:
    study = study_of(tmp_path, host)
    servers = study.servers | {"versat": study.servers["versat"].model_copy(update={"vcpus": 1, "memory_bytes": 2**30})}
    found = wrong([*examine(client(host), servers)])
    assert "100: study.yaml says vcpus 1, 1,024 MiB; the host has 2, 4,096 MiB" in found["allocation"]


# --- new --------------------------------------------------------------------------------------------------------------


def test_a_protocol_has_the_allocation_of_the_configuration_while_pvestatd_is_down(host: SimulatedHost) -> None:
    host.inject(Fault("pvestatd_down", since=NOW - 1200))
    before = yaml.safe_load(draft_of_emulated(host))
    assert list(before["servers"]) == ["versat"]
    server = before["servers"]["versat"]
    assert (server["vcpus"], server["memory_bytes"], server["disk_bytes"]) == (2, 4096 * 2**20, 32 * 2**30)


def draft_of_emulated(host: SimulatedHost, **changed: Any) -> str:
    return drafted(host, [100], **({"scsi0": None, "ide0": "local:a,size=32G", "net0": "e1000=AA"} | changed)).text


def drafted(host: SimulatedHost, vmids: list[int], **changed: Any) -> Any:
    """A draft where the configurations are otherwise (None: without the key)."""
    asked: Any = client(host)
    real = asked.get

    def get(path: str) -> Any:
        reply = real(path)
        if "/config?" not in path:
            return reply
        config = {key: value for key, value in (reply.data | changed).items() if value is not None}
        return replace(reply, data=config, text="")

    asked.get = get
    return draft(asked, Endpoint(), vmids)


EMULATED: dict[str, Any] = {"scsi0": None, "ide0": "local:a,size=8G", "net0": "e1000=AA"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cores": None, "sockets": None, "memory": None}, (1, 512 * 2**20, 8 * 2**30)),
        ({"cores": 4, "sockets": 2, "vcpus": 3, "memory": "current=1024"}, (3, 2**30, 8 * 2**30)),
        ({"ide1": "local:b,size=512M", "ide2": "none,media=cdrom"}, (2, 2**32, 8 * 2**30 + 2**29)),
        ({"cores": 2, "ide0": "/dev/sdb"}, (2, 2**32, 32 * 2**30)),
    ],
)
def test_a_protocol_says_what_the_configuration_says(
    host: SimulatedHost, changed: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    (server,) = yaml.safe_load(drafted(host, [100], **EMULATED | changed).text)["servers"].values()
    assert (server["vcpus"], server["memory_bytes"], server["disk_bytes"]) == expected


def test_what_nothing_tells_stays_unknown_and_what_may_hide_a_device_is_mentioned(host: SimulatedHost) -> None:
    host.inject(Fault("pvestatd_down", since=NOW - 1200))
    changed = {
        "ide0": "/dev/sdb",
        "args": "-device e1000",
        "hostpci0": "01:00",
        "usb1": "host=1:2",
        "parallel0": "/dev/x",
    }
    made = drafted(host, [100], **EMULATED | changed)
    assert "disk_bytes" not in yaml.safe_load(made.text)["servers"]["versat"]
    hidden = "versat: args, hostpci0, parallel0, usb1 in its configuration may hide a device that cannot be classified"
    assert [english(note) for note in made.notes] == [hidden, "versat: the host does not tell the size of every disk"]
    assert f"# {hidden}\n" in made.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"template": 1}, "100: is a template"),
        ({"scsi0": None, "ide2": "local:iso/x.iso,media=cdrom"}, "100: has no disk"),
        ({"scsi0": None, "efidisk0": "local:x", "unused0": "local:y"}, "100: has no disk"),
    ],
)
def test_what_cannot_be_studied_is_refused_by_name(host: SimulatedHost, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        drafted(host, [100], **changed)


def test_a_container_is_refused_by_name_and_two_servers_of_one_name_are_two(host: SimulatedHost) -> None:
    rows = [{"type": "lxc", "vmid": 102, "node": "simulated"}]
    asked: Any = Answering(client(host), lambda known: known + rows)
    with pytest.raises(DataError, match="102: a container has no devices of its own"):
        draft(asked, Endpoint(), [102])
    made = yaml.safe_load(drafted(host, [100, 101], **EMULATED | {"name": "web"}).text)
    assert list(made["servers"]) == ["web-100", "web-101"]
    assert list(made["load"]) == ["web-100", "web-101"]


def test_a_server_that_hangs_does_not_say_that_its_balloon_driver_is_missing(host: SimulatedHost) -> None:
    host.inject(Fault("hung_qemu"))
    made = yaml.safe_load(drafted(host, [100], **EMULATED).text)
    assert "balloon_driver" not in made["driver_configs"]["before"]


def test_rows_without_numbers_are_servers_that_nothing_is_told_of() -> None:
    found = Cluster.of(json.loads((DATA / "answers" / "pvestatd-down-resources.json").read_text())["data"])
    assert (found.silent, found.off, sorted(found.servers)) == ({"pve1"}, set(), list(range(100, 106)))
    assert (found.servers[100].name, found.servers[100].disk_bytes) == ("", 0)


# --- signals ----------------------------------------------------------------------------------------------------------

TWICE = """
import os, signal, sys, threading, time
from virtio_study.cli.main import main
import virtio_study.study as study

def slow(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        print("tidy", flush=True)

study.load_study = slow
main(["doctor", "x"])
"""


def test_two_terminations_end_in_order_and_without_a_traceback() -> None:
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (143, "tidy\n", "")
    assert time.monotonic() - begun < 30
