"""The one way out over HTTPS: to the host that was named and nowhere else, and with an end to every answer.

A certificate says who answers, not that what comes is of a sensible size. Everything is bounded where the bytes come
in, so that no header, length of a chunk or compression gets around it.
"""

import io
import socket
import ssl
import time
import zlib
from typing import Any

import requests
from proxmoxer.backends.https import ProxmoxHTTPAuth
from proxmoxer.core import AuthenticationError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.ssl_ import create_urllib3_context

from virtio_study.limits import ANSWER_BYTES, ANSWER_S

__all__ = ["AnswerError", "Login", "only_to", "speaks_plain_http"]

TOO_LONG = f"the answer is longer than {ANSWER_BYTES >> 20} MiB"
CHUNK = 1 << 16
CONNECT_S = 15.0
"""For a connection and its TLS, which a host at work makes in less than a second."""


class AnswerError(requests.RequestException):
    """An answer that is not taken: its HTTP status, and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class _Bounded(ssl.SSLSocket):
    """A connection on which everything that answers a request has a size and a time, however it comes."""

    _ends: float | None = None
    _left = ANSWER_BYTES

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._ends, self._left = time.monotonic() + ANSWER_S, ANSWER_BYTES
        super().sendall(data, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        if self._ends is not None:
            rest = self._ends - time.monotonic()
            if rest <= 0:
                raise TimeoutError(f"no whole answer in {ANSWER_S:g} s")
            self.settimeout(min(self.gettimeout() or rest, rest))
        if self._left < 0:
            raise OSError(TOO_LONG)
        count = super().recv_into(buffer, nbytes, flags)
        self._left -= count
        return count


class _Bound(HTTPAdapter):
    """Sends requests and gives whole answers; a redirection is none, for what is behind it is somebody else."""

    def __init__(self, fingerprint: str | None) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **how: object) -> None:
        context = create_urllib3_context(cert_reqs=ssl.CERT_NONE if self._fingerprint else ssl.CERT_REQUIRED)
        context.sslsocket_class = _Bounded
        how |= {"assert_fingerprint": self._fingerprint} if self._fingerprint else {}
        super().init_poolmanager(connections, maxsize, block, ssl_context=context, **how)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        request.headers["Accept-Encoding"] = "gzip"
        patience = (CONNECT_S, timeout) if isinstance(timeout, (int, float)) else timeout
        answer = super().send(request, stream=True, timeout=patience, verify=verify, cert=cert)
        if 300 <= answer.status_code < 400:
            answer.close()
            raise AnswerError(answer.status_code, f"Location: {_place(answer.headers.get('Location', ''))}")
        try:
            answer.raw = io.BytesIO(_body(answer))
        except ReadTimeoutError:
            raise AnswerError(0, "no answer in time") from None
        except (HTTPError, OSError) as error:
            reason = TOO_LONG if TOO_LONG in str(error) else "connection lost"
            raise AnswerError(0, reason) from None
        return answer


def _place(location: str) -> str:
    """Where a redirection leads, without what stands behind the host."""
    return "".join(char for char in "/".join(location.split("/")[:3]) if char.isprintable())[:80] or "nowhere"


def _body(answer: requests.Response) -> bytes:
    """All of an answer's body, unpacked; packed otherwise than was asked for, it is refused."""
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in {"identity", "gzip", "x-gzip", ""}:
        raise AnswerError(answer.status_code, "the answer is compressed in a way that was not asked for")
    unpacking = zlib.decompressobj(wbits=31) if "gzip" in packed else None
    found = bytearray()
    while block := answer.raw.read(CHUNK, decode_content=False):
        try:
            found += unpacking.decompress(block, ANSWER_BYTES + 1 - len(found)) if unpacking else block
        except zlib.error:
            raise AnswerError(answer.status_code, "the answer is damaged") from None
        if len(found) > ANSWER_BYTES or (unpacking and unpacking.unconsumed_tail):
            answer.close()
            raise AnswerError(answer.status_code, TOO_LONG)
    return bytes(found)


def speaks_plain_http(host: str, port: int, timeout_s: float = 3.0) -> bool:
    """Whether what answers at a port speaks HTTP without TLS, and does not lead to TLS as Proxmox VE does."""
    try:
        with socket.create_connection((host.strip("[]"), port), timeout_s) as plain:
            plain.settimeout(timeout_s)
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            words = plain.recv(64).split()
    except OSError:
        return False
    return len(words) > 1 and words[0].startswith(b"HTTP/") and not words[1].startswith(b"3")


def only_to(session: requests.Session, address: str, fingerprint: str | None) -> None:
    """Let a session reach what begins with an address, over verified TLS, and nothing else.

    Parameters
    ----------
    session : Session
        Of its environment (proxies, `.netrc`, `REQUESTS_CA_BUNDLE`) nothing counts any more.
    address : str
        As in `https://pve1:8006/`.
    fingerprint : str, optional
        SHA-256 of the one certificate that is accepted, instead of a chain.
    """
    session.trust_env = False
    session.adapters.clear()
    session.mount(address, _Bound(fingerprint))


class Login(ProxmoxHTTPAuth):  # type: ignore[misc]
    """A ticket for a user's password; proxmoxer's own way to one would send the password wherever it is redirected."""

    def __init__(self, door: requests.Session, user: str, password: str, address: str, **how: object) -> None:
        self._door = door
        super().__init__(user, password, base_url=address, **how)

    def _get_new_tokens(self, password: str | None = None, otp: object = None, otptype: object = None) -> None:
        place = f"{self.base_url}/access/ticket"
        given = {"username": self.username, "password": password or self.pve_auth_ticket}
        answer = self._door.post(place, data=given, verify=self.verify_ssl, timeout=self.timeout)
        ticket = answer.json()["data"] if answer.status_code == 200 else {"NeedTFA": True}
        if not isinstance(ticket, dict):
            raise ValueError("a ticket is an object")  # the client says that the answer is not JSON with data
        if ticket.get("NeedTFA"):  # the words are proxmoxer's own, which the client reads
            code = answer.status_code if answer.status_code != 200 else 401
            raise AuthenticationError(f"Couldn't authenticate user: {self.username} to {place} code: {code}")
        self.birth_time = time.monotonic()
        self.pve_auth_ticket: str = ticket["ticket"]
        self.csrf_prevention_token: str = ticket["CSRFPreventionToken"]
