"""The embedded Proxmox VE: an HTTPS server on 127.0.0.1 that answers as the genuine API does, from a simulated story.

Certificates are made by the package `cryptography`, imported when a server is started. Everything that it says is
invented by the story: the node is called `simulated`, and so are the descriptions.
"""

import hashlib
import hmac
import http.server
import re
import secrets
import socket
import socketserver
import ssl
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from virtio_study.testing.access import Access, Privileges
from virtio_study.testing.api import ApiError, Call, State, answer, protected
from virtio_study.testing.certificates import Tls, make_context
from virtio_study.testing.faults import Fault, Faults
from virtio_study.testing.story import Story, many_servers, two_servers
from virtio_study.testing.truth import Truth
from virtio_study.testing.versions import VERSIONS, Version, VersionName
from virtio_study.testing.wire import Handler

__all__ = ["Clock", "Fault", "SimulatedHost", "Story", "Tls", "VersionName", "many_servers", "serve", "two_servers"]

USER, TOKEN_NAME = "study@pve", "collector"
TICKET_LIFE_S = 7200
AUTHENTICATION_S = 3.0
GATEWAY_FAULTS = {
    "node_unreachable": (595, "No route to host", 3.0),
    "proxy_timeout": (596, "Connection timed out", 30.0),
}


class Clock:
    """A clock to pass to `serve`: epoch seconds, `speed` times as fast as real time (0: only `advance` moves it)."""

    def __init__(self, now: float, speed: float = 0.0) -> None:
        self._now, self._speed, self._since = now, speed, time.monotonic()

    def __call__(self) -> float:
        """Return the present in epoch seconds."""
        return self._now + self._speed * (time.monotonic() - self._since)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += seconds


@dataclass
class SimulatedHost:
    """A running embedded host: where it is, what to trust, how to log in, and what it was asked.

    `requests` are (method, path with query, status), status 0 where the connection was cut instead of an answer.
    """

    host: str
    port: int
    ca_file: Path
    fingerprint: str
    token_id: str
    token_secret: str = field(repr=False)
    user: str
    password: str = field(repr=False)
    _hub: "Hub" = field(repr=False)

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        """What was asked and answered, in order of the answers."""
        return self._hub.requests

    @property
    def in_flight_max(self) -> int:
        """How many requests were open at the same time, at most."""
        return self._hub.in_flight_max

    def inject(self, *faults: Fault) -> None:
        """Let more go wrong from now on."""
        self._hub.faults.add(faults)

    def run(self, lines: str) -> None:
        """Run lines of `pveum acl modify`, as an administrator would."""
        self._hub.access.run(lines, self.user, self.token_id)

    def heal(self) -> None:
        """Take every fault away."""
        self._hub.faults.clear()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Refuse connections while the block runs, as during a reboot; the address stays the same."""
        self._hub.stop()
        try:
            yield
        finally:
            self._hub.start(self.port)


class Hub:
    """What all connections share: the state of the host, its credentials, and the count of requests."""

    def __init__(
        self,
        truth: Truth,
        version: Version,
        faults: Sequence[Fault],
        clock: Callable[[], float],
        latency_s: float,
        delay_scale: float,
        access: Access,
    ) -> None:
        self.truth, self.version, self.faults, self.clock = truth, version, Faults(faults), clock
        self.latency_s, self.delay_scale, self.access = latency_s, delay_scale, access
        self.token_secret, self.password = str(uuid.uuid4()), secrets.token_urlsafe(16)
        self._key = secrets.token_bytes(32)
        self.fingerprint, self.address = "", ""
        self.context: ssl.SSLContext
        self.requests: list[tuple[str, str, int]] = []
        self.errors: list[BaseException] = []
        self.in_flight = self.in_flight_max = 0
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._server: _Server | None = None

    def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1 and return the port."""
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", port), self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Close every connection and the port, and wait for the threads."""
        assert self._server is not None
        self._stopping.set()
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the host lives."""
        if seconds > 0:
            self._stopping.wait(seconds)

    def note(self, method: str, url: str, status: int) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append((method, url, status))

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request as open while the block runs."""
        with self._lock:
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight, self.in_flight_max)
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def answer(
        self, call: Call, posted: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[Any, Mapping[str, Any], float]:
        """Return the data, what stands beside it, and Proxmox' own delay, or raise `ApiError`."""
        login = call.path == "access/ticket" and call.method in ("GET", "POST")
        if self.faults.hit(["pmxcfs_down"], call.url):
            reason = "RPCEnvironment init request failed: Unable to load access control list: Connection refused"
            raise ApiError(500, reason, seconds=AUTHENTICATION_S)
        with_token = not login and self._authenticate(call, headers)
        rights = Privileges(self.access, with_token)
        state = State(self.truth, self.version, self.faults, self.clock(), self.fingerprint, rights)
        self._gateway(call, state, login)
        if login and call.method == "POST":
            return self._ticket(posted), {}, 0.0
        if self.faults.hit(["forbidden"], call.url):
            raise ApiError(403, "Permission check failed (/, Sys.Audit)")
        broken = self.faults.hit(["error"], call.url)
        if broken:
            raise ApiError(500, broken.reason or "got timeout")
        found = answer(state, call)
        return found.data, found.beside, found.seconds

    def _gateway(self, call: Call, state: State, login: bool) -> None:
        """Fail where pveproxy would reach neither pvedaemon nor the node."""
        daemon = protected(state, call) or (login and call.method == "POST")
        if daemon and self.faults.hit(["pvedaemon_down"], call.url):
            raise ApiError(595, "Connection refused")
        if call.path.startswith("nodes/"):
            fault = self.faults.hit(GATEWAY_FAULTS, call.url)
            if fault:
                status, reason, seconds = GATEWAY_FAULTS[fault.kind]
                raise ApiError(status, reason, seconds=seconds)

    def _authenticate(self, call: Call, headers: Mapping[str, str]) -> bool:
        """Whether a token asks, and not the user; `ApiError` if neither may."""
        if self.faults.hit(["unauthorized"], call.url):
            raise self._denied("permission denied - invalid PVE ticket")
        cookie = re.search(r"PVEAuthCookie=([^;]*)", headers.get("Cookie") or "")
        token = re.search(r"(?:^|\s)PVEAPIToken(?:=| )([^;]*)", headers.get("Authorization") or "")
        if cookie:
            ticket = unquote(cookie[1])
            if not self._ticket_holds(ticket):
                raise self._denied("permission denied - invalid PVE ticket")
            if call.method != "GET" and headers.get("CSRFPreventionToken") != self._signed(ticket):
                raise ApiError(401, "Permission denied - invalid csrf token")
        elif token and self.version.tokens:
            self._check_token(unquote(token[1]))
        else:
            raise ApiError(401, "No ticket", seconds=AUTHENTICATION_S)
        return not cookie

    def _check_token(self, text: str) -> None:
        name, _, secret = text.partition("=")
        user, _, token = name.partition("!")
        if (user, token) != (USER, TOKEN_NAME):
            raise self._denied(f"no such token '{token}' for user '{user}'")
        if not hmac.compare_digest(secret.encode(), self.token_secret.encode()):
            raise self._denied("invalid token value!")

    def _denied(self, reason: str) -> ApiError:
        said = "Authentication failed!" if self.version.one_reason_for_401 else reason
        return ApiError(401, said, seconds=AUTHENTICATION_S)

    def _ticket(self, posted: Mapping[str, str]) -> dict[str, Any]:
        missing = [name for name in ("username", "password") if name not in posted]
        if missing:
            errors = dict.fromkeys(missing, "property is missing and it is not optional")
            raise ApiError(400, "Parameter verification failed.", errors)
        given = posted["password"]
        known = hmac.compare_digest(given.encode(), self.password.encode()) or self._ticket_holds(given)
        if posted["username"] != USER or not known:
            raise ApiError(401, "authentication failure", seconds=AUTHENTICATION_S)
        plain = f"PVE:{USER}:{int(self.clock()):08X}"
        ticket = f"{plain}::{self._signed(plain)}"
        cap = {"vms": {"VM.Audit": 1}, "nodes": {"Sys.Audit": 1}, "dc": {"Sys.Audit": 1}, "access": {}}
        cap |= {"storage": {"Datastore.Audit": 1}}
        return {"ticket": ticket, "CSRFPreventionToken": self._signed(ticket), "username": USER, "cap": cap}

    def _ticket_holds(self, ticket: str) -> bool:
        plain, _, signature = ticket.partition("::")
        if not hmac.compare_digest(signature.encode(), self._signed(plain).encode()):
            return False
        age = self.clock() - int(plain.rsplit(":", 1)[1], 16)
        return -300 < age < TICKET_LIFE_S

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 128
    daemon_threads = False
    block_on_close = True

    def __init__(self, address: tuple[str, int], hub: Hub) -> None:
        self.hub, self.context = hub, hub.context
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.remember(request)
        super().process_request(request, client_address)

    def remember(self, request: socket.socket) -> None:
        """Keep the socket of a connection, to cut it in the end."""
        with self._lock:
            self._open.add(request)

    def forget(self, request: socket.socket) -> None:
        """Let go of a socket that somebody else closes."""
        with self._lock:
            self._open.discard(request)

    def cut(self) -> None:
        """Shut every open connection."""
        with self._lock:
            for one in self._open:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def shutdown_request(self, request: Any) -> None:
        self.forget(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a client refuse the certificate or hang up, but keep an error of this server for its owner."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.hub.errors.append(error)

    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the name service for the name of the host.
        socketserver.TCPServer.server_bind(self)


@contextmanager
def serve(
    story: Story | None = None,
    *,
    version: VersionName = "9.2",
    faults: Sequence[Fault] = (),
    tls: Tls = "own_ca",
    clock: Callable[[], float] | None = None,
    latency_s: float = 0.0,
    delay_scale: float = 0.01,
    access: Access | None = None,
) -> Iterator[SimulatedHost]:
    """Run an embedded host on 127.0.0.1, at a free port, while the block runs.

    Parameters
    ----------
    story : Story, optional
        The simulated truth; by default `two_servers()`, whose present is now.
    version : str
        Which Proxmox VE it answers as.
    faults : sequence of Fault
        What is wrong from the start; more with `Host.inject`.
    tls : str
        Its certificate: see `certificates.make_context`.
    clock : callable, optional
        Gives the host's epoch seconds; by default the real time for a story of the present. See `Clock`.
    latency_s : float
        Real seconds that every answer takes.
    delay_scale : float
        What Proxmox' own delays (3 s on a wrong login or a hung QEMU) are multiplied with.
    access : Access, optional
        Roles of the user and of the token; by default both may read everything.

    Yields
    ------
    Host

    Raises
    ------
    DataError
        If `cryptography` is not installed.
    """
    truth = Truth(two_servers() if story is None else story)
    hub = Hub(truth, VERSIONS[version], faults, clock or time.time, latency_s, delay_scale, access or Access())
    with tempfile.TemporaryDirectory(prefix="simulated-pve-") as folder:
        hub.context, ca_file, hub.fingerprint = make_context(Path(folder), tls)
        port = hub.start()
        hub.address = f"https://127.0.0.1:{port}"
        token_id = f"{USER}!{TOKEN_NAME}"
        try:
            yield SimulatedHost(
                "127.0.0.1", port, ca_file, hub.fingerprint, token_id, hub.token_secret, USER, hub.password, hub
            )
        finally:
            hub.stop()
    if hub.errors:
        raise hub.errors[0]
