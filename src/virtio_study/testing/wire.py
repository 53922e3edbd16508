"""The HTTP side of the embedded host: requests in, answers out, in the form in which pveproxy writes them.

Errors stand in the reason phrase, 401 and 595 have no body and no length, keys come in random order, and a connection
closes after any error (pve-http-server, src/PVE/APIServer/AnyEvent.pm).
"""

import http.server
import json
import random
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from virtio_study.testing.api import ApiError, Call
from virtio_study.testing.faults import Fault

__all__ = ["Handler", "shuffled"]

TLS_HANDSHAKE = b"\x16"
BODY_FAULTS = ("truncated", "not_json", "null", "slow_drip")
NO_ANSWER_FAULTS = ("reset", "no_answer")


def shuffled(value: Any) -> Any:
    """Return the same value with the keys of every object in random order, as Perl's hashes give them."""
    if isinstance(value, Mapping):
        items = [(key, shuffled(one)) for key, one in value.items()]
        return dict(random.sample(items, len(items)))
    return [shuffled(one) for one in value] if isinstance(value, list) else value


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection. The server that owns it gives `context`, `hub` (see `pve.Hub`) and whether it stops."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Any

    def setup(self) -> None:
        """Begin with TLS, unless the client speaks plain HTTP, which gets a redirection."""
        self.request.settimeout(self.timeout)
        self.plain = self.request.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE
        if not self.plain:
            self.server.forget(self.request)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
            self.server.remember(self.request)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the requests are in `Host.requests`."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is answered, with an error if it is not known: the base class asks for `do_GET` and so on."""
        if name.startswith("do_"):
            return self._counted
        raise AttributeError(name)

    def _counted(self) -> None:
        with self.server.hub.counted():
            self._answer()

    def _answer(self) -> None:
        hub, target = self.server.hub, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        posted = dict(parse_qsl(self.rfile.read(length).decode(errors="replace"), keep_blank_values=True))
        url = self.path
        if self.plain:
            self._write(url, 301, "Moved Permanently", b"Moved Permanently", {"Location": hub.address + self.path})
            return
        spoilt = hub.faults.hit(NO_ANSWER_FAULTS, url)
        if spoilt is not None:
            self._vanish(url, spoilt)
            return
        hub.wait(hub.latency_s)
        path = "/".join(unquote(part) for part in target.path.split("/") if part)
        call = Call(self.command, path.removeprefix("api2/json").strip("/"), dict(parse_qsl(target.query)), url)
        try:
            if not path.startswith("api2/json"):
                raise ApiError(500, f"no such file '{target.path}'")
            if self.command in ("HEAD", "OPTIONS", "PATCH"):
                raise ApiError(501, f"method '{self.command}' not available")
            data, beside, seconds = hub.answer(call, posted, self.headers)
            hub.wait(seconds * hub.delay_scale)
            self._send(url, 200, "OK", {"data": data, **beside})
        except ApiError as error:
            hub.wait(error.seconds * hub.delay_scale)
            self._refuse(url, error, json_body=path.startswith("api2/json"))

    def _refuse(self, url: str, error: ApiError, *, json_body: bool) -> None:
        self.close_connection = True
        bare = error.status in (595, 596) or (error.status == 401 and error.reason != "authentication failure")
        if bare or self.command == "HEAD":
            self._write(url, error.status, error.reason, None)
            return
        if not json_body:
            self._write(url, error.status, error.reason, error.reason.encode())
            return
        body: dict[str, Any] = {"data": None} | ({"errors": error.errors} if error.errors else {})
        if self.server.hub.version.message_in_body:
            body["message"] = error.reason if error.status == 501 else error.reason + "\n"
        self._send(url, error.status, error.reason, body)

    def _send(self, url: str, status: int, reason: str, body: dict[str, Any]) -> None:
        fault = self.server.hub.faults.hit(BODY_FAULTS, url)
        kind = "application/json;charset=UTF-8"
        text = json.dumps(shuffled(body), separators=(",", ":"), ensure_ascii=False).encode()
        if fault is not None and fault.kind == "not_json":
            text, kind = b"<html><body>Bad gateway (simulated reverse proxy)</body></html>", "text/html"
        if fault is not None and fault.kind == "null":
            text = b'{"data":null}'
        headers = {"Content-Type": kind}
        if "gzip" in self.headers.get("Accept-Encoding", "") and len(text) > 1024 and status == 200:
            packer = zlib.compressobj(wbits=31)
            text, headers["Content-Encoding"] = packer.compress(text) + packer.flush(), "gzip"
        self._write(url, status, reason, text, headers, fault)

    def _write(
        self,
        url: str,
        status: int,
        reason: str,
        body: bytes | None,
        headers: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        hub, date = self.server.hub, formatdate(self.server.hub.clock(), usegmt=True)
        hub.note(self.command, url, status)
        keep = not self.close_connection and body is not None
        self.send_response_only(status, reason)
        stated = {"Cache-Control": "max-age=0", "Connection": "Keep-Alive" if keep else "close", "Date": date}
        stated |= {"Pragma": "no-cache", "Server": "pve-api-daemon/3.0"}
        stated |= {} if body is None else {"Content-Length": str(len(body))}
        for name, value in (stated | dict(headers or {}) | {"Expires": date}).items():
            self.send_header(name, value)
        self.end_headers()
        if body is None:
            self.close_connection = True
        elif fault is not None and fault.kind == "truncated":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault is not None and fault.kind == "slow_drip":
            for first in range(0, len(body), 64):
                self.wfile.write(body[first : first + 64])
                self.wfile.flush()
                hub.wait(fault.seconds)
        else:
            self.wfile.write(body)

    def _vanish(self, url: str, fault: Fault) -> None:
        hub = self.server.hub
        hub.note(self.command, url, 0)
        if fault.kind == "no_answer":
            hub.wait(fault.seconds)
        self.close_connection = True
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def handle(self) -> None:
        """Serve the connection; a client that goes away or refuses the certificate is no error here."""
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            self.close_connection = True

    def finish(self) -> None:
        """Flush what is left, if the client still listens, and close what TLS took over."""
        try:
            super().finish()
        except OSError:
            self.close_connection = True
        self.server.forget(self.request)
        self.request.close()
