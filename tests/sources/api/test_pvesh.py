"""Asking with `pvesh`, on the host or over SSH: a program of that name that asks the embedded host, and a real sshd."""

import getpass
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from virtio_study.cli.main import cli
from virtio_study.errors import StudyError
from virtio_study.sources.api import client as api_client
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.collecting import client_of
from virtio_study.sources.api.watching import watch
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.faults import Fault
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers

NOW = 1_772_409_600.0

PVESH = """#!{python}
import json, ssl, sys, urllib.error, urllib.parse, urllib.request
command, path, *rest = sys.argv[1:]
assert command == "get" and rest[-2:] == ["--output-format", "json"], sys.argv
pairs = dict(zip([key.lstrip("-") for key in rest[:-2:2]], rest[1:-2:2]))
request = urllib.request.Request(
    "https://{host}:{port}/api2/json" + path + "?" + urllib.parse.urlencode(pairs),
    headers={{"Authorization": "PVEAPIToken={token}={secret}"}},
)
print("perl: warning: Setting locale failed.", file=sys.stderr)
try:
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile="{ca}")) as answer:
        print(json.dumps(json.load(answer)["data"]))
except urllib.error.HTTPError as error:
    print(f"{{error.code}} {{error.reason}}", file=sys.stderr)
    sys.exit(2)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def host(clock: Clock) -> Iterator[SimulatedHost]:
    with serve(two_servers(now=NOW), clock=clock) as running:
        yield running


@pytest.fixture
def programs(host: SimulatedHost, tmp_path: Path) -> Path:
    """A folder with `pvesh`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pvesh").write_text(
        PVESH.format(
            python=sys.executable, host=host.host, port=host.port, token=host.token_id, secret=host.token_secret,
            ca=host.ca_file,
        )
    )  # fmt: skip
    (folder / "pvesh").chmod(0o755)
    return folder


def study_with(folder: Path, endpoint: dict[str, Any]) -> Study:
    path = make_study(folder, two_servers(now=NOW)).folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text()) | {"proxmox": endpoint}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    return load_study(path)


def test_on_the_host_itself_pvesh_gives_what_the_api_gives_without_a_token(
    host: SimulatedHost, clock: Clock, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    study = study_with(tmp_path, {"backend": "local"})
    host.inject(Fault("forbidden", path="/qemu/100/pending"))
    done = CliRunner().invoke(cli, ["collect", str(study.folder)])
    assert done.exit_code == 3, done.output
    assert "missing: versat: /nodes/simulated/qemu/100/pending: 403: Permission check failed" in done.output
    assert len(list(study.folder.glob("recordings/**/*.parquet"))) == len(study.windows)
    host.heal()
    assert CliRunner().invoke(cli, ["doctor", str(study.folder)]).exit_code == 0
    shown = CliRunner().invoke(cli, ["inventory", "--backend", "local", "--all", "--format", "json"])
    assert {row["vmid"] for row in json.loads(shown.stdout)} >= {100, 101}
    clock.advance(-20 * 3600)  # when it had emulated devices
    made = CliRunner().invoke(cli, ["new", str(tmp_path / "data/mine"), "100", "101", "--backend", "local"])
    assert made.exit_code == 0, made.output
    assert load_study(tmp_path / "data/mine").proxmox == Endpoint(backend="local")


def test_a_watch_over_pvesh_is_refused_since_its_cpu_is_always_0(tmp_path: Path) -> None:
    study = study_with(tmp_path, {"backend": "local"})
    with pytest.raises(StudyError, match="watch needs https"):
        watch(study, client_of(study), print)


def test_without_pvesh_it_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="on a Proxmox VE host only"):
        Client(Endpoint(backend="local")).get("/version")


def test_a_pvesh_that_prints_without_an_end_is_ended_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pvesh").write_text("#!/bin/sh\nexec yes\n")
    (tmp_path / "pvesh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    reply = Client(Endpoint(backend="local")).get("/version")
    assert (reply.status, reply.reason) == (0, "the answer is longer than 16 MiB")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def ssh(
    programs: Path, tmp_path: Path, needs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, Path]]:
    """Port of a real sshd, and a configuration of SSH that knows it and may log in."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    sshd = needs("sshd")
    needs("ssh")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    port = free_port()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    config = tmp_path / "ssh_config"
    config.write_text(
        f"BatchMode yes\nIdentitiesOnly yes\nIdentityFile {tmp_path / 'user'}\n"
        f"UserKnownHostsFile {tmp_path / 'known'}\n"
    )
    server = tmp_path / "sshd_config"
    server.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path / 'host'}\nAuthorizedKeysFile {tmp_path / 'user.pub'}\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nSetEnv PATH={programs}:/usr/bin:/bin\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    running = subprocess.Popen([sshd, "-D", "-e", "-f", str(server)], stderr=subprocess.PIPE)
    try:
        for _ in range(100):
            with socket.socket() as found:
                if found.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, config
    finally:
        running.terminate()
        running.communicate()


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="openssh-wrapper does not run on Python 3.13")
def test_over_ssh_pvesh_gives_what_the_api_gives(host: SimulatedHost, tmp_path: Path, ssh: tuple[int, Path]) -> None:
    if importlib.util.find_spec("openssh_wrapper") is None and not os.environ.get("VIRTIO_STUDY_REQUIRE_ALL"):
        pytest.skip("needs openssh-wrapper, which is not installed (requirements-ssh.lock)")
    port, config = ssh
    place = {"backend": "openssh", "host": "127.0.0.1", "port": port, "user": getpass.getuser()}
    study = study_with(tmp_path, place | {"ssh_config": str(config)})
    host.inject(Fault("forbidden", path="/qemu/100/pending"))
    command = [sys.executable, "-m", "virtio_study", "collect", str(study.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "missing: versat: /nodes/simulated/qemu/100/pending: 403: Permission check failed" in done.stderr
    assert len(list(study.folder.glob("recordings/**/*.parquet"))) == len(study.windows)
    config.write_text(config.read_text().replace(str(tmp_path / "user"), str(tmp_path / "host")))
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert re.search("SSH as .* is refused; .* ssh-copy-id", done.stderr)
    (tmp_path / "known").write_text("")
    done = subprocess.run(command, capture_output=True, text=True)
    assert "its SSH key is not known here" in done.stderr


def test_without_the_package_for_ssh_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openssh_wrapper", None)
    with pytest.raises(StudyError, match="pip install openssh-wrapper"):
        Client(Endpoint(backend="openssh", host="pve1")).get("/version")
