"""Asking the API of a Proxmox VE host: verified TLS, bounded and patient, and every answer or refusal as plain data."""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.sources.api import pvesh
from virtio_study.sources.api.backend import Api, prepare
from virtio_study.sources.api.credentials import Credential, credential
from virtio_study.study import Endpoint

if TYPE_CHECKING:
    import requests

__all__ = ["IN_FLIGHT", "THIS_MACHINE", "TRIES", "Client", "Reply"]

IN_FLIGHT = 4
"""Requests at the same time, so that a host with three workers of its API is never crowded."""

TIMEOUT_S = 35.0
"""A little more than the 30 s after which pveproxy gives up on another node."""

TRIES, FIRST_WAIT_S = 4, 0.5
PASSING = {500, 502, 503, 504, 595, 596, 599}
"""Statuses that may pass; 401, 403, 400 and 501 say the same however often one asks."""

THIS_MACHINE = ("127.0.0.1", "localhost")
"""Where the host of `demo serve` answers, whose port and CA file end with it."""

LASTING = re.compile(
    r"does not exist|no such|not found|Parameter|schema|permission|not supported|not running|longer than|asked for",
    re.IGNORECASE,
)
"""Reasons that no repetition mends."""

NOT_IN_TIME = "no answer in time"

LOGIN = {"595": "Connection refused", "596": "Connection timed out"}
"""Status of a login, which proxmoxer tells without its reason -> the reason; the host's own node answers logins."""


@dataclass(frozen=True)
class Reply:
    """What came of one request: `status` 0 means that no answer came; `reason` is empty for a good one.

    `text` is the JSON that `data` was read from, where it came over HTTPS.
    """

    time_s: float
    path: str
    status: int
    data: object = None
    reason: str = ""
    text: str = ""

    @property
    def good(self) -> bool:
        """Whether there is an answer with data."""
        return self.status == 200 and not self.reason

    def line(self) -> str:
        """One line of JSON as `answers.read_answers` reads it, with the body as it came."""
        head = json.dumps({"t": self.time_s, "path": self.path, "status": self.status})
        told = self.text or json.dumps({"data": self.data})
        # a line end within JSON is white space, for texts have none
        body = told.replace("\r", " ").replace("\n", " ") if self.good else json.dumps({"reason": self.reason})
        return f'{head[:-1]}, "body": {body}}}'


class Client:
    """A connection to a host, safe to use from several threads; each has a session of its own.

    Parameters
    ----------
    endpoint : Endpoint
        Of the study.
    secret : Credential, optional
        Default: `secrets.credential`.
    tries : int
        How often a request is sent that fails for a passing reason.
    clock : callable
        Gives the Unix seconds that replies are marked with.

    Raises
    ------
    StudyError
        If there is no credential, or the CA file is not there.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        secret: Credential | None = None,
        tries: int = TRIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint, self.tries, self.clock = endpoint, tries, clock
        self.https = endpoint.backend == "https"
        self.secret = secret or (credential(endpoint.host) if self.https else Credential("root@pam", "", ""))
        # One pool for the client's life: its threads keep their sessions, so that a poll needs no new login.
        self._pool = ThreadPoolExecutor(IN_FLIGHT)
        self._local = threading.local()
        self._heard = False
        if endpoint.ca_file is not None and not endpoint.ca_file.expanduser().is_file():
            raise StudyError(GONE if endpoint.host in THIS_MACHINE else NO_CA_FILE, path=endpoint.ca_file)
        if endpoint.fingerprint and not self.secret.name:
            raise StudyError(
                N_("proxmox.fingerprint needs a token; with a password give ca_file (/etc/pve/pve-root-ca.pem)")
            )

    def get(self, path: str) -> Reply:
        """Ask for one path, such as `/nodes/pve1/status`, with its query; waits longer after every passing failure."""
        for number in range(self.tries):
            reply = self._once(path)
            self._heard |= bool(reply.status)
            if not self._heard and self.https and reply.reason == NOT_IN_TIME:
                self._refuse_plain_http()
            if reply.good or not _may_pass(reply) or number == self.tries - 1:
                return reply
            time.sleep(FIRST_WAIT_S * 2**number * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable: tries is at least 1")

    def each(self, paths: Iterable[str], then: Callable[[Reply], None]) -> None:
        """Ask for many paths, a few at a time; each reply goes to `then` as it comes, one after another."""
        lock = threading.Lock()

        def one(path: str) -> None:
            reply = self.get(path)
            with lock:
                then(reply)

        # openssh-wrapper keeps time with a signal, which only the main thread can have
        asked = map(one, paths) if self.endpoint.backend == "openssh" else self._pool.map(one, paths)
        for _ in asked:
            pass

    def get_all(self, paths: Iterable[str]) -> list[Reply]:
        """Ask for many paths, a few at a time; replies in the paths' order."""
        wanted = list(paths)
        found: dict[str, Reply] = {}
        self.each(wanted, lambda reply: found.__setitem__(reply.path, reply))
        return [found[path] for path in wanted]

    def _once(self, path: str) -> Reply:
        import requests
        from proxmoxer.core import AuthenticationError, ResourceException

        from virtio_study.sources.api.transport import AnswerError

        asked = self.clock()
        place, _, query = path.partition("?")
        params = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
        try:
            if self.https:
                data = self._api()(place.strip("/")).get(**params)
            else:
                data = pvesh.ask(self._api(), self.endpoint, place, params)
        except pvesh.PveshError as error:
            return Reply(asked, path, error.status, reason=self._plain(error.reason) or "refused")
        except ResourceException as error:
            if error.status_code == 401:
                self._local.api = None  # a ticket that ran out while the host was away is no use any more
            return Reply(asked, path, int(error.status_code), reason=self._plain(str(error.content)) or "refused")
        except AuthenticationError as error:
            code = re.search(r"code: (\d{3})\b", str(error))
            if code and code[1] != "401":  # pveproxy could not hand the login on: nothing is wrong with the password
                return Reply(asked, path, int(code[1]), reason=LOGIN.get(code[1], "the login was not answered"))
            return Reply(asked, path, 401, reason="user or password refused")
        except AnswerError as error:
            return Reply(asked, path, error.status, reason=error.reason)
        except requests.exceptions.SSLError as error:
            raise self._untrusted(error) from None
        except requests.exceptions.RequestException as error:
            return Reply(asked, path, 0, reason=_short(error))
        except (KeyError, TypeError, ValueError, RecursionError):
            return Reply(asked, path, 200, reason="the answer is not JSON with data")
        if isinstance(data, dict) and isinstance(data.get("errors"), bytes | str):
            return Reply(asked, path, 200, reason="the answer is not JSON with data")
        if data is None:
            return Reply(asked, path, 200, reason="the answer is empty")
        return Reply(asked, path, 200, data, text=self._local.text if self.https else "")

    def _api(self) -> Api:
        api: Api | None = getattr(self._local, "api", None)
        if api is None:
            api = self._local.api = self._connect()
        return api

    def _connect(self) -> Api:
        from proxmoxer import ProxmoxAPI

        if not self.https:
            return pvesh.connect(self.endpoint, TIMEOUT_S)
        verify: bool | str = str(self.endpoint.ca_file.expanduser()) if self.endpoint.ca_file else True
        user, secret = self.secret.user, self.secret.secret
        token = (self.secret.name, secret) if self.secret.name else ("", "")
        api: Api = ProxmoxAPI(
            self.endpoint.host,
            port=self.endpoint.port,
            verify_ssl=verify,
            timeout=TIMEOUT_S,
            user=user,
            token_name=token[0],
            token_value=token[1],
        )
        prepare(api, self._remember, self.endpoint.fingerprint, None if self.secret.name else (user, secret))
        return api

    def _remember(self, response: "requests.Response", *_args: object, **_kwargs: object) -> None:
        """Keep the text of this thread's latest answer: proxmoxer gives the data alone, and writing it anew is slow."""
        self._local.text = response.content.decode(errors="replace")

    def _plain(self, text: str) -> str:
        """A reason of the host in one line, and never with the secret in it."""
        shown = text.replace(self.secret.secret, "***") if self.secret.secret else text
        return " ".join(shown.split())[:200]

    def _refuse_plain_http(self) -> None:
        """`StudyError` where a silent port waits for HTTP without TLS: asking again would be silence for minutes."""
        from virtio_study.sources.api.transport import speaks_plain_http

        if speaks_plain_http(self.endpoint.host, self.endpoint.port):
            raise StudyError(WITHOUT_TLS, host=f"{self.endpoint.host}:{self.endpoint.port}")

    def _untrusted(self, error: Exception) -> StudyError:
        host, text = f"{self.endpoint.host}:{self.endpoint.port}", str(error)
        if any(sign in text for sign in NO_TLS):
            return StudyError(WITHOUT_TLS, host=host)
        if self.endpoint.fingerprint:
            message = N_(
                "{host}: its certificate has another SHA-256 fingerprint than proxmox.fingerprint; is it this host?"
            )
            return StudyError(message, host=host)
        what, remedy = _certificate(error)
        return StudyError("{what}; {remedy}", what=said(what, host=host), remedy=said(remedy, name=self.endpoint.host))


NO_CA_FILE = N_("proxmox.ca_file: {path} is not there; copy it from /etc/pve/pve-root-ca.pem")
GONE = N_(
    "proxmox.ca_file: {path} is not there; if the host was virtio-study demo serve, it has ended: start it again and "
    "paste what it prints (recordings stay); of another host, copy it from /etc/pve/pve-root-ca.pem"
)
TRUST = N_(
    "set proxmox.ca_file (--ca-file) to a copy of its /etc/pve/pve-root-ca.pem, or proxmox.fingerprint (--fingerprint) "
    "to the SHA-256 on its Certificates page"
)
TIME = N_("compare the clocks of both machines (timedatectl); renew it on the host with: pvecm updatecerts --force")
NAME = N_(
    "set proxmox.host (--host) to a name or address that is in it, not {name}, or proxmox.fingerprint (--fingerprint) "
    "to the SHA-256 on its Certificates page; the CA is not what is wrong"
)
OTHER_NAME = N_("{host}: its certificate is of another name")
UNTRUSTED = {
    9: (N_("{host}: its certificate is not valid yet"), TIME),
    10: (N_("{host}: its certificate has expired"), TIME),
    18: (N_("{host}: its certificate is signed by itself"), TRUST),
    62: (OTHER_NAME, NAME),
    64: (OTHER_NAME, NAME),
}
"""OpenSSL's number of what is wrong with a certificate (`x509_vfy.h`) -> what that is, and what to do about it."""

UNKNOWN_CA = (N_("{host}: its certificate is not signed by a CA that is known here"), TRUST)


def _certificate(error: BaseException) -> tuple[str, str]:
    """What is wrong with a certificate, and what to do, by the number that OpenSSL gave somewhere below an error."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        seen.add(id(one))
        if (number := getattr(one, "verify_code", None)) is not None:
            return UNTRUSTED.get(number, UNKNOWN_CA)
        inner = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        waiting += [item for item in inner if isinstance(item, BaseException) and id(item) not in seen]
    return (OTHER_NAME, NAME) if "doesn't match" in str(error) else UNKNOWN_CA


WITHOUT_TLS = N_("{host}: what answers there does not speak TLS; the API of Proxmox VE does, at port 8006 unless moved")

NO_TLS = ("WRONG_VERSION_NUMBER", "wrong version number", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "record layer")


def _may_pass(reply: Reply) -> bool:
    passing = reply.status in PASSING or reply.status == 0 or (reply.status == 200 and reply.reason != "")
    return passing and not LASTING.search(reply.reason)


def _short(error: Exception) -> str:
    from virtio_study.sources.api.transport import TOO_LONG

    text = type(error).__name__
    names = {"ConnectTimeout": "no connection in time", "ReadTimeout": NOT_IN_TIME}
    if TOO_LONG in str(error):
        return TOO_LONG
    if "refused" in str(error):
        return "connection refused"
    if "NameResolutionError" in str(error) or "getaddrinfo" in str(error):
        return "the host's name is not known"
    return names.get(text, "connection lost")
