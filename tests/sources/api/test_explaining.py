"""`explain` against the embedded host of every version, and on the answers of a genuine Proxmox VE."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from paths import ROOT
from virtio_study.analysis.unchanged import outlooks, unchanged_of
from virtio_study.cli.main import cli
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import english
from virtio_study.sources.api import client as api_client
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.drafting import draft
from virtio_study.sources.api.explained_rows import rows_of_answers, rows_of_host
from virtio_study.sources.api.explaining import explain_answers, explain_host
from virtio_study.sources.api.inventory import inventory
from virtio_study.study import Endpoint
from virtio_study.testing import api
from virtio_study.testing.faults import Fault
from virtio_study.testing.pve import Clock, SimulatedHost, many_servers, serve, two_servers
from virtio_study.testing.versions import VERSIONS

NOW = 1_772_409_600.0
RIG = ROOT / "data" / "pve-rig"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)


def client(host: SimulatedHost, version: str = "9.2") -> Client:
    token = Credential(*host.token_id.split("!"), host.token_secret)
    secret = token if VERSIONS[version].tokens else Credential(host.user, "", host.password)
    return Client(Endpoint(host=host.host, port=host.port, ca_file=host.ca_file), secret)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_instrument_is_right_in_every_version(version: Any) -> None:
    """The story goes from no balloon device over the driver alone to VirtIO, 8 hours each."""
    clock, host_view = Clock(NOW - 20 * 3600), f"host_{VERSIONS[version].memory_of_host}"
    with serve(two_servers(now=NOW), version=version, clock=clock) as host:
        before = explain_host(client(host, version))
        assert [(item.instrument, item.state) for item in before] == [(host_view, "no balloon")] * 2
        assert [item.host_bytes == item.displayed_bytes for item in before] == [True, True]
        assert {device.model for device in before[0].other} >= {"ide", "e1000"}
        clock.advance(10 * 3600)
        between = explain_host(client(host, version))
        assert [(item.instrument, item.state) for item in between] == [("guest_stats", "statistics")] * 2
        assert [item.guest_bytes == item.displayed_bytes for item in between] == [True, True]
        told = VERSIONS[version].host_memory
        assert [item.host_instrument for item in between] == [host_view if told else "unknown"] * 2
        clock.advance(10 * 3600)
        assert not {device.model for device in explain_host(client(host, version))[0].other} & {"ide", "e1000"}


def test_many_servers_are_one_question_each_and_three_for_their_node() -> None:
    with serve(many_servers(30)) as host:
        assert len(explain_host(client(host))) == 30
        asked = [path.removeprefix("/api2/json") for _, path, _ in host.requests]
        assert len(asked) == 2 + 3 + 30
        assert not [path for path in asked if "status/current" in path]
        assert len(explain_host(client(host), vmids=(1003,))) == 1
        assert len(host.requests) == len(asked) + 2 + 2 + 2


def test_statistics_are_old_by_the_clock_of_their_node_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:  # its clock is months from this machine's
        assert [item.state for item in explain_host(client(host))] == ["statistics"] * 2
        monkeypatch.setattr(
            api,
            "ROUTES",
            [(*route[:1], _late, *route[2:]) if route[0].endswith("/time") else route for route in api.ROUTES],
        )
        for vmids in ((), (100, 101)):
            assert [item.state for item in explain_host(client(host), vmids)] == ["stale statistics"] * 2


def _late(*_given: Any) -> api.Payload:
    return api.Payload({"time": int(NOW) + 300})


def test_what_cannot_be_had_is_said_of_its_server_alone() -> None:
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        host.inject(Fault("error", path="/100/config", reason="got timeout"))
        shown = {item.vmid: item for item in explain_host(client(host), vmids=(100, 101, 999))}
    assert english(shown[100].error) == "500 got timeout"
    assert (shown[100].instrument, shown[101].error) == ("guest_stats", None)
    assert "no server 999" in english(shown[999].error)
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        host.inject(Fault("error", path="full=1", reason="got timeout"))
        assert [item.instrument for item in explain_host(client(host))] == ["guest_stats"] * 2, "one by one then"


@pytest.mark.parametrize("data", ["\ud800", float("inf"), {"vmid": 100}, 5, True])
def test_what_answers_without_a_list_of_servers_is_no_empty_cluster(
    data: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        asking = client(host)
        monkeypatch.setattr(asking, "get", lambda path: api_client.Reply(NOW, path, 200, data))
        for ask in (explain_host, inventory, lambda one: draft(one, one.endpoint, [100])):
            with pytest.raises(DataError, match=r"no list; is it Proxmox VE that answers at 127\.0\.0\.1:"):
                ask(asking)


def test_without_the_right_to_see_versions_the_hosts_instrument_is_not_guessed() -> None:
    with serve(two_servers(now=NOW), clock=Clock(NOW - 20 * 3600), faults=[Fault("no_sys_audit")]) as host:
        assert {item.instrument for item in explain_host(client(host))} == {"unknown"}
        assert {item.instrument for item in explain_host(client(host), qemu_server="9.2.6")} == {"host_cgroup"}


def test_the_genuine_answers_are_explained_as_they_were_recorded(tmp_path: Path) -> None:
    found = {item.vmid: item for item in explain_answers(RIG, qemu_server="9.2.6")}
    assert found[100].instrument == found[101].instrument == "guest_stats"
    assert found[100].host_instrument == "host_cgroup"
    assert found[100].displayed_bytes == 40476672
    assert found[100].host_bytes == 279465984
    assert "off" in english(found[102].why)
    assert "template" in english(found[105].why)
    raw = next((RIG / "raw").glob("*.zst"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(raw, f"data/x/raw/{raw.name}")
        packed.writestr("data/x/study.yaml", "x")
    shutil.copy(raw, tmp_path / "api.jsonl.zst")
    whole = [item.displayed_bytes for item in found.values()]
    for place in (tmp_path / "a.zip", tmp_path / "api.jsonl.zst"):
        assert [item.displayed_bytes for item in explain_answers(place)] == whole


@pytest.mark.parametrize("vmid", ["7" * 5000, "1234567890", "99", "0100", "١٠٠", "-100", "1e3", None])
def test_what_is_no_number_of_a_server_is_no_server(tmp_path: Path, vmid: object) -> None:
    rows = [{"vmid": number, "type": "qemu", "node": "a", "status": "running"} for number in (vmid, 101)]
    status = {"vmid": vmid, "status": "running", "mem": 2**28, "maxmem": 2**29}
    lines = [("/cluster/resources", rows), ("/nodes/a/qemu?full=1", [status])]
    lines += [(f"/nodes/a/qemu/{vmid}/{place}", status) for place in ("status/current", "config?current=1")]
    told = ({"t": NOW, "path": path, "status": 200, "body": {"data": data}} for path, data in lines)
    (tmp_path / "api.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    assert [item.vmid for item in explain_answers(tmp_path)] == [101]


def test_no_answers_and_a_damaged_zip_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no answers of the API"):
        explain_answers(tmp_path)
    with pytest.raises(DataError, match="not there"):
        explain_answers(tmp_path / "x")
    raw = next((RIG / "raw").glob("*.zst"))
    damaged = tmp_path / "a.zip"
    with zipfile.ZipFile(damaged, "w") as packed:
        packed.write(raw, "a.jsonl.zst")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 255
    damaged.write_bytes(data)
    with pytest.raises(DataError, match="cannot be unpacked"):
        explain_answers(damaged)


def test_the_command_shows_a_table_json_and_a_page(tmp_path: Path) -> None:
    saved = ["explain", "--answers", str(RIG), "--qemu-server", "9.2.6"]
    shown = CliRunner().invoke(cli, saved).output
    assert "guest, by balloon statistics" in shown
    assert "[1] 100, 101: The guest's balloon driver sends statistics" in shown
    page = tmp_path / "page.html"
    rows = json.loads(CliRunner().invoke(cli, [*saved, "--json", "--page", str(page), "100"]).stdout)
    assert [(row["vmid"], row["host_bytes"]) for row in rows] == [(100, 279465984)]
    assert 'lang="es" class="tongue"' in page.read_text()
    for wrong in (["explain"], [*saved, "--host", "pve1"]):
        assert "expected one of --host" in CliRunner().invoke(cli, wrong).output


def test_a_forecast_asks_once_more_for_each_server_and_predicts_no_more_than_is_told() -> None:
    with serve(two_servers(now=NOW), clock=Clock(NOW - 20 * 3600)) as host:
        asking = client(host)
        found = explain_host(asking)
        before = len(host.requests)
        rows = rows_of_host(asking, found, "9.2.6")
        assert len(host.requests) == before + 2
    assert set(rows) == {100, 101}
    assert set(rows[100]["mem_instrument"]) == {"host_cgroup"}
    assert {item.reporting for item in found} == {"impossible"}, "they run Windows"
    ahead = outlooks([unchanged_of(item, rows[item.vmid]) for item in found])
    assert [item.returned for item in ahead] == [None, None]
    assert all(item.cpu and item.cpu.low < item.cpu.high for item in ahead)


def test_the_genuine_servers_have_nothing_left_to_come_back() -> None:
    shown = CliRunner().invoke(cli, ["explain", "--answers", str(RIG), "--qemu-server", "9.2.6", "--forecast"]).output
    assert "100 versat, 101 dominio: free page reporting is on" in shown
    rows = rows_of_answers(RIG, explain_answers(RIG), "9.2.6")
    assert set(rows) == {100, 101}
    assert rows[100]["step_s"].unique().tolist() == [60.0]


def test_a_number_that_nothing_tells_of_is_the_answers_or_the_tokens(tmp_path: Path) -> None:
    row = {"type": "qemu", "vmid": 100, "node": "pve1", "status": "stopped"}
    told = explain_answers(saved(tmp_path / "api.jsonl", ("/cluster/resources", [row])), [999])[0].error
    assert told
    assert english(told).startswith("the saved answers tell of no server 999;")
    with serve(two_servers(now=NOW), clock=Clock(NOW - 20 * 3600)) as host:
        seen = explain_host(client(host), [999])[0].error
    assert seen
    assert english(seen).endswith("there is none, or the token may not see it")


def saved(path: Path, *answers: tuple[str, Any]) -> Path:
    lines = [
        {"t": NOW + at, "path": asked, "status": 200, "body": {"data": data}}
        for at, (asked, data) in enumerate(answers)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def test_containers_templates_and_servers_of_a_node_that_is_off_each_have_their_word(tmp_path: Path) -> None:
    rows = [
        {"type": "node", "node": "pve1", "status": "online"},
        {"type": "node", "node": "pve2", "status": "offline"},
        {"type": "lxc", "vmid": 200, "node": "pve1", "name": "web", "status": "running", "mem": 5, "maxmem": 9},
        {"type": "qemu", "vmid": 100, "node": "pve1", "name": "t", "status": "stopped", "template": 1},
        {"type": "qemu", "vmid": 101, "node": "pve2", "status": "unknown"},
        {
            "type": "qemu",
            "vmid": 102,
            "node": "pve1",
            "name": "r",
            "status": "running",
            "mem": 5,
            "memhost": 5,
            "maxmem": 9,
        },
        {"type": "qemu", "vmid": 103, "node": "pve1", "name": "old", "status": "running", "mem": 5, "maxmem": 9},
    ]
    found = {item.vmid: item for item in explain_answers(saved(tmp_path / "a.jsonl", ("/cluster/resources", rows)))}
    words = {vmid: english(item.why) for vmid, item in found.items()}
    assert "A container is no virtual machine" in words[200]
    assert "A template never runs" in words[100]
    assert "Nothing tells" in words[101]
    assert "Displayed and host's figure are the same" in words[102]
    assert "Nothing in these answers tells whose figure it is" in words[103]
    assert [found[vmid].instrument for vmid in (200, 100, 101, 102, 103)] == ["unknown"] * 5
    assert explain_answers(tmp_path, qemu_server="9.1.4")[2].instrument == "host_cgroup"
