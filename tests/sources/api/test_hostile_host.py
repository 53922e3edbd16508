"""Hosts that send elsewhere, never end, or answer with more than there is memory for: no secret leaves them."""

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from virtio_study.errors import StudyError
from virtio_study.sources.api import client as api_client
from virtio_study.sources.api import transport
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.remedies import remedy
from virtio_study.study import Endpoint
from virtio_study.testing.certificates import make_context

SECRET = "5d1f0f6e-canary-4c1b-9a55-canary"
TOKEN, PASSWORD = Credential("study@pve", "collector", SECRET), Credential("study@pve", "", SECRET)
Answer = Callable[[socket.socket, bytes], None]


class Host:
    """What listens, and every byte that it was sent."""

    def __init__(self, port: int) -> None:
        self.port, self.seen = port, b""


@contextlib.contextmanager
def listening(answer: Answer, context: ssl.SSLContext | None) -> Iterator[Host]:
    server = socket.create_server(("127.0.0.1", 0))
    host = Host(server.getsockname()[1])

    def one(plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection = context.wrap_socket(plain, server_side=True) if context else plain
            with connection:
                while request := connection.recv(65536):
                    host.seen += request
                    answer(connection, request)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield host
    finally:
        server.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    context, ca_file, _ = make_context(tmp_path_factory.mktemp("tls"), "own_ca")
    return context, ca_file


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)


def body(content: bytes, head: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n{head}\r\n".encode() + content


PACKED = gzip.compress(b" " * (64 << 20), 1)
DATA = json.dumps({"data": {"version": "9.2", "ticket": "T", "CSRFPreventionToken": "C"}}).encode()


def asked(host: Host, ca_file: Path, secret: Credential = TOKEN) -> tuple[Reply, Client]:
    client = Client(Endpoint(host="127.0.0.1", port=host.port, ca_file=ca_file), secret)
    return client.get("/version"), client


@pytest.mark.parametrize("secret", [TOKEN, PASSWORD], ids=["token", "password"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_redirection_is_followed_and_none_is_data(
    tls: tuple[ssl.SSLContext, Path], secret: Credential, status: int, scheme: str
) -> None:
    context, ca_file = tls
    with listening(lambda to, _: to.sendall(body(DATA)), context if scheme == "https" else None) as other:
        head = f"HTTP/1.1 {status} X\r\nLocation: {scheme}://127.0.0.1:{other.port}/a\r\nContent-Length: 0\r\n\r\n"
        with listening(lambda to, _: to.sendall(head.encode()), context) as first:
            reply, client = asked(first, ca_file, secret)
        assert (reply.status, reply.data) == (status, None)
        assert reply.reason == f"Location: {scheme}://127.0.0.1:{other.port}"
        assert "never followed" in remedy(reply, client)["message"]
        assert first.seen.count(b"HTTP/1.1") == 1
        assert other.seen == b""


def test_a_ticket_is_not_sent_where_a_later_redirection_leads(tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls
    with listening(lambda to, _: to.sendall(body(DATA)), context) as other:

        def answer(to: socket.socket, request: bytes) -> None:
            away = f"HTTP/1.1 302 X\r\nLocation: https://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n".encode()
            to.sendall(body(DATA) if request.startswith(b"POST") else away)

        with listening(answer, context) as first:
            reply, _ = asked(first, ca_file, PASSWORD)
    assert (reply.status, other.seen, b"PVEAuthCookie=T" in first.seen) == (302, b"", True)


def test_proxies_and_netrc_of_the_environment_see_nothing(
    tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context, ca_file = tls
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with listening(lambda to, _: to.close(), None) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        for secret in (TOKEN, PASSWORD):
            with listening(lambda to, _: to.sendall(body(DATA)), context) as first:
                assert asked(first, ca_file, secret)[0].good
            assert b"Basic" not in first.seen
    assert proxy.seen == b""


CHUNK = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
TOO_LONG: dict[str, Callable[[socket.socket], None]] = {
    "a body": lambda to: to.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (17 << 20)),
    "a promised length": lambda to: to.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * (17 << 20)
    ),
    "chunks": lambda to: to.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK * 17),
    "a chunk of negative length": lambda to: to.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n" + b" " * (17 << 20)
    ),
    "a length of a chunk": lambda to: to.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * (17 << 20)
    ),
    "gzip": lambda to: to.sendall(body(PACKED, "Content-Encoding: gzip\r\n")),
    "headers": lambda to: to.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"a" * (17 << 20)),
    "another compression": lambda to: to.sendall(body(b"x", "Content-Encoding: zstd\r\n")),
    "compression twice": lambda to: to.sendall(body(gzip.compress(DATA), "Content-Encoding: gzip, gzip\r\n")),
    "damaged compression": lambda to: to.sendall(body(b"no gzip", "Content-Encoding: gzip\r\n")),
    "deep nesting": lambda to: to.sendall(body(b'{"data":' + b"[" * 100_000)),
    "a number of 5,000 digits": lambda to: to.sendall(body(b'{"data":' + b"1" * 5000 + b"}")),
}


@pytest.mark.parametrize("kind", TOO_LONG)
def test_an_answer_that_is_too_much_is_a_reason_and_no_data(kind: str, tls: tuple[ssl.SSLContext, Path]) -> None:
    context, ca_file = tls

    def answer(to: socket.socket, _request: bytes) -> None:
        TOO_LONG[kind](to)
        to.close()

    with listening(answer, context) as host:
        started = time.monotonic()
        reply, _ = asked(host, ca_file)
    assert not reply.good
    assert reply.data is None
    assert reply.reason
    assert len(reply.reason) < 100
    assert time.monotonic() - started < 60
    if kind in {"a body", "a promised length", "chunks", "gzip"}:
        assert (reply.reason, host.seen.count(b"GET")) == ("the answer is longer than 16 MiB", 1)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_an_answer_that_drips_has_an_end(
    head: bytes, tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_S", 0.5)
    context, ca_file = tls

    def drip(to: socket.socket, _request: bytes) -> None:
        to.sendall(head)
        for _ in range(200):
            to.sendall(b" ")
            time.sleep(0.05)

    with listening(drip, context) as host:
        client = Client(Endpoint(host="127.0.0.1", port=host.port, ca_file=ca_file), TOKEN, tries=1)
        started = time.monotonic()
        reply = client.get("/version")
    assert reply.reason == "no answer in time"
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wrong_name", r"is of another name; set proxmox\.host .*not 127\.0\.0\.1"),
        ("expired", "has expired; compare the clocks"),
        ("self_signed", "is signed by itself; set proxmox.ca_file"),
        ("wrong_ca", "is not signed by a CA that is known here; set proxmox.ca_file"),
    ],
)
@pytest.mark.parametrize("secret", [TOKEN, PASSWORD], ids=["token", "password"])
def test_what_is_wrong_with_a_certificate_is_said_as_it_is_and_nothing_is_sent(
    kind: str, words: str, secret: Credential, tmp_path: Path
) -> None:
    context, ca_file, _ = make_context(tmp_path, kind)  # type: ignore[arg-type]
    with listening(lambda to, _: to.sendall(body(DATA)), context) as host:
        with pytest.raises(StudyError, match=words):
            asked(host, ca_file, secret)
        assert host.seen == b""
