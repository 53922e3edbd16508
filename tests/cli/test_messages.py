"""Messages that new users met: each says what was expected, in words, and what to do next."""

import http.server
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paths import ROOT
from small import PROTOCOL
from virtio_study.cli.main import main
from virtio_study.errors import StudyError
from virtio_study.sources.api import transport
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.credentials import Credential, credential
from virtio_study.study import Endpoint, Study
from virtio_study.testing.pve import serve
from virtio_study.testing.story import around_a_change


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["invnetory"], "No such command 'invnetory'. Did you mean 'inventory'?"),
        (["exprot", "x"], "No such command 'exprot'. Did you mean 'export'?"),
        (["files", "anwsers", "x"], "No such command 'anwsers'. Did you mean 'answers'?"),
        (["lab", "recrod", "x"], "No such command 'recrod'. Did you mean 'record'?"),
        (["demo", "srve"], "is 'srve' demo serve, or a folder? For a folder write ./srve"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = run(capsys, *words)
    assert code == 2
    assert err.splitlines()[-1] == f"Error: {expected}"


@pytest.mark.parametrize("option", [["--host", "root@pve1"], ["--host", "my host"], ["--host", "htps://pve1"]])
def test_a_host_that_is_none_is_answered_with_an_example(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, err = run(capsys, "inventory", *option)
    assert code == 2
    assert "--host: expected the name or address of a host, such as pve1.example.org" in err


@pytest.mark.parametrize("given", ["AB:CD", ":".join(["AB"] * 20), "AB" * 32])
def test_another_fingerprint_than_sha_256_is_answered_with_where_that_is(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = run(capsys, "inventory", "--host", "pve1", "--fingerprint", given)
    assert code == 2
    assert "SHA-256 fingerprint of its certificate: 32 pairs" in err
    assert "Certificates" in err


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  alpha:", "  my server:", "servers.my server is 'my server': a name here has small letters a to z, digits"),
        ("alpha: {vmid: 100,", "alpha: {guest_kernel: new, vmid: 100,", "the version of a kernel, such as 6.8"),
        (
            PROTOCOL[PROTOCOL.index("servers:") : PROTOCOL.index("driver_configs:")],
            "servers: {}\n",
            "servers: needs 1 or more",
        ),
        ("  virtio: {label: {en: v, es: v}}\n", "", "driver_configs: needs 2 or more, and has 1"),
        ("metrics: [cpu, mem_displayed]", "metrics: []", "metrics is a list: needs 1 or more, and has 0"),
        ("seed: 1", "seed: 1\nlog: [{start: 2026-01-01T00:00:00Z, what: ''}]", "needs 1 or more characters"),
    ],
)
def test_a_value_of_the_protocol_is_answered_in_words(
    old: str, new: str, expected: str, small: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in PROTOCOL
    (small.folder / "study.yaml").write_text(PROTOCOL.replace(old, new))
    code, err = run(capsys, "check", small.folder)
    assert code == 2
    assert expected in err
    assert "after validation" not in err
    assert "^[" not in err


def test_without_a_token_the_lines_give_user_and_token_their_role(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as refused:
        credential("pve1", {"VIRTIO_STUDY_PVE_TOKEN_FILE": str(tmp_path / "none")})
    for line in (
        "pveum user add study@pve",
        "pveum user token add study@pve collector --privsep 1",
        "pveum acl modify / --users study@pve --roles PVEAuditor",
        "pveum acl modify / --tokens 'study@pve!collector' --roles PVEAuditor",
        "export VIRTIO_STUDY_PVE_TOKEN='study@pve!collector=SECRET'",
    ):
        assert line in str(refused.value)


def test_what_new_leaves_open_is_no_study_that_check_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path in the command that is suggested can be pasted, whatever is in it."""
    folder = tmp_path / "my study"
    now = time.time()
    with serve(around_a_change(now, now + 3600, history_s=3600)) as host:
        monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
        where = ("--host", host.host, "--port", host.port, "--ca-file", host.ca_file)
        with pytest.raises(SystemExit):
            main([str(word) for word in ("new", folder, 100, *where)])
        out = capsys.readouterr().out
    assert shlex.split(out.split("then: ")[1])[:3] == ["virtio-study", "doctor", str(folder)]
    code, err = run(capsys, "check", folder)
    assert code == 2
    assert "servers.versat.role" in err
    assert "servers.versat.guest_os is null" in err


def test_a_path_in_a_suggested_command_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "my token"
    path.write_text("study@pve!x=y")
    path.chmod(0o644)
    with pytest.raises(StudyError) as refused:
        credential("pve1", {"VIRTIO_STUDY_PVE_TOKEN_FILE": str(path)})
    assert shlex.split(str(refused.value).split("run: ")[1]) == ["chmod", "600", str(path)]


class _Plain(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain_port() -> Iterator[int]:
    """A port that waits for the first line of HTTP, which the beginning of TLS never ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Plain) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_port_without_tls_is_named_at_once(plain_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_S", 0.3)
    client = Client(Endpoint(host="127.0.0.1", port=plain_port), Credential("a@b", "c", "d"))
    began = time.monotonic()
    with pytest.raises(StudyError, match="does not speak TLS; the API of Proxmox VE does, at port 8006"):
        client.get("/version")
    assert time.monotonic() - began < 5


def test_an_older_python_is_refused_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo "Python 3.10.12"; exit 0; }\n[ "$1" = -c ] && exit 1\n')
    old.chmod(0o755)
    words = ["make", "-C", str(ROOT), f"VENV={tmp_path / 'venv'}", f"PYTHON={old}", "environment"]
    done = subprocess.run(words, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode != 0
    said = f"error: Python 3.11 or newer is needed, and {old} is Python 3.10.12; name another: "
    assert done.stderr.splitlines()[0].startswith(said)
    assert not (tmp_path / "venv").exists()
