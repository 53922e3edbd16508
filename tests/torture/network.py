"""The network: answers that drip, break off, lead elsewhere or are too much, and certificates of somebody else.

What stands between the program and the host is a listener of the attack's own, which sees every byte that the program
sends it. A token in what a stranger was sent is leaked.
"""

import contextlib
import gzip
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from torture.attack import Conditions, Outcome
from torture.crash import NOW, raw_lines, study_of, token
from torture.processes import Forks
from virtio_study.study import Study
from virtio_study.testing.certificates import make_context
from virtio_study.testing.pve import Clock, serve, two_servers

__all__ = ["hostile_host", "login", "strangers"]

ENDS_IN_S = 60.0
Answer = Callable[[socket.socket, random.Random], None]
FOREIGN = b'{"data":[{"type":"qemu","vmid":100,"node":"stranger","name":"stranger","status":"running"}]}'


class Stranger:
    """Where a listener is, and all that it was sent."""

    def __init__(self, port: int) -> None:
        self.port, self.seen = port, bytearray()


@contextlib.contextmanager
def listening(
    answer: Callable[[socket.socket], None], context: Callable[[], ssl.SSLContext | None]
) -> Iterator[Stranger]:
    """A listener that answers every request, over TLS with the certificate of the moment, or plain."""
    server = socket.create_server(("127.0.0.1", 0))
    here = Stranger(server.getsockname()[1])

    def one(plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), plain:
            secured = context()
            connection = secured.wrap_socket(plain, server_side=True) if secured else plain
            with connection:
                while request := connection.recv(65536):
                    here.seen += request
                    answer(connection)

    def serve_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=serve_all, daemon=True).start()
    try:
        yield here
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _whole(body: bytes, head: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


def _drips(to: socket.socket, chance: random.Random) -> None:
    for byte in _whole(FOREIGN)[: chance.randrange(20, 80)]:
        to.sendall(bytes([byte]))
        time.sleep(0.01)
    to.close()


def _resets(to: socket.socket, chance: random.Random) -> None:
    to.sendall(_whole(FOREIGN)[: chance.randrange(1, 100)])
    to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    to.close()


def _half(to: socket.socket, chance: random.Random) -> None:
    to.sendall(_whole(FOREIGN)[: -chance.randrange(1, len(FOREIGN))])
    to.close()


def _floods(to: socket.socket, chance: random.Random) -> None:
    head = chance.choice((b"", b"Transfer-Encoding: chunked\r\n", b"X: "))
    to.sendall(b"HTTP/1.1 200 OK\r\n" + head + (b"" if head == b"X: " else b"\r\n"))
    block = b"f" * (1 << 20)
    for _ in range(40):
        to.sendall(block)
    to.close()


def _bombs(to: socket.socket, chance: random.Random) -> None:
    packed = chance.choice((BOMB, gzip.compress(BOMB)))
    to.sendall(_whole(packed, f"Content-Encoding: {chance.choice(('gzip', 'gzip, gzip', 'zstd', 'br'))}\r\n"))


def _noise(to: socket.socket, chance: random.Random) -> None:
    to.sendall(chance.randbytes(chance.randrange(1, 2000)))
    to.close()


def _nests(to: socket.socket, chance: random.Random) -> None:
    inner = chance.choice((b"[" * 50_000, b'{"a":' * 50_000, b"9" * 5000, b"1e999", b'"\\ud800"', b"NaN", b"null", b""))
    to.sendall(_whole(b'{"data":' + inner + b"}"))


BOMB = gzip.compress(b" " * (64 << 20), 1)
ANSWERS: dict[str, Answer] = {
    "drips": _drips,
    "resets": _resets,
    "breaks off": _half,
    "floods": _floods,
    "unpacks to too much": _bombs,
    "is noise": _noise,
    "is no data": _nests,
}


def _asks(study: Study, port: int, ca_file: Path) -> None:
    path = study.folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text())
    protocol["proxmox"] = {"host": "127.0.0.1", "port": port, "ca_file": str(ca_file)}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))


def _said(forks: Forks, code: int, begun: float) -> list[str]:
    """What is wrong with how a command ended that could not be answered."""
    said, faults = forks.printed(), []
    if code not in (1, 2, 3):
        faults.append(f"exit code {code}: {said[:300]}")
    if "Traceback" in said or "not foreseen" in said or len(said) > 20_000:
        faults.append(f"{said[:500]}")
    if time.monotonic() - begun > ENDS_IN_S:
        faults.append(f"it took {time.monotonic() - begun:.0f} s")
    return faults


def hostile_host(given: Conditions) -> Outcome:
    """A host with the right certificate whose answers are no answers: said in a line, nothing of it is data."""
    done, chance = Outcome("answers that drip, break off or flood", given.seed), given.chance()
    context, ca_file, _ = make_context(given.folder, "own_ca")
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(given.folder / "forks", token(host)) as forks:
        study, page = study_of(given.folder, host), given.folder / "explain.html"
        for number in given.tries():
            kind = [*ANSWERS][number % len(ANSWERS)]
            before, begun = raw_lines(study.folder), time.monotonic()

            def answer(to: socket.socket, kind: str = kind) -> None:
                ANSWERS[kind](to, chance)

            with listening(answer, lambda: context) as here:
                _asks(study, here.port, ca_file)
                there = ("--host", "127.0.0.1", "--port", here.port, "--ca-file", ca_file)
                explains = number % 2 == 1
                words = ("explain", *there, "--page", page) if explains else ("collect", study.folder)
                code = forks.run(*words)
            faults = [f"an answer that {kind}: {fault}" for fault in _said(forks, code, begun)]
            faults += [f"an answer that {kind} is a page"] if page.exists() else []
            new = raw_lines(study.folder).removeprefix(before)
            faults += [f"an answer that {kind} is data" for line in new.splitlines() if b"stranger" in line]
            faults += [f"no whole line: {line[:80]!r}" for line in new.splitlines() if not _is_answer(line)]
            done.judge(*faults, lost=int(not raw_lines(study.folder).startswith(before)))
        _asks(study, host.port, host.ca_file)
        code = forks.run("collect", study.folder)
        done.judge(*([] if code == 0 else [f"collect ended with {code} afterwards: {forks.printed()[:500]}"]))
    return done


def _is_answer(line: bytes) -> bool:
    try:
        return {"t", "path", "status", "body"} <= json.loads(line).keys()
    except ValueError:
        return False


def strangers(given: Conditions) -> Outcome:
    """Redirections, other certificates, certificates that change, proxies: no stranger is sent a secret or believed."""
    done, chance = Outcome("redirections, wrong and swapped certificates, proxies", given.seed), given.chance()
    contexts = {}
    for kind in ("own_ca", "wrong_ca", "wrong_name", "expired", "self_signed"):
        place = given.folder / kind
        place.mkdir()
        contexts[kind] = make_context(place, kind)  # type: ignore[arg-type]
    context, ca_file, _ = contexts["own_ca"]
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        secrets = {"token": token(host), "password": login(host.user, host.password)}
        study = study_of(given.folder, host)
        for number in given.tries():
            how = chance.choice([*secrets])
            with listening(lambda to: to.sendall(_whole(FOREIGN)), lambda: None) as away:
                proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), f"http://127.0.0.1:{away.port}")
                with Forks(given.folder / f"forks-{number}", {**secrets[how], **proxies, "NO_PROXY": ""}) as forks:
                    if number % 2:
                        status = chance.choice((301, 302, 303, 307, 308))
                        target = f"{chance.choice(('http', 'https'))}://127.0.0.1:{away.port}/api2/json/x"
                        sends = _whole(b"", f"Location: {target}\r\n", f"{status} Moved")
                        judged = _redirected(forks, study, sends, context, ca_file)
                    else:
                        wrong = [one[0] for kind, one in contexts.items() if kind != "own_ca"]
                        judged = _impostor(forks, study, chance.choice(wrong), ca_file)
            canary = host.password if how == "password" else host.token_secret
            sent = [bytes(away.seen)] + ([judged[1]] if number % 2 == 0 else [])
            done.judge(*judged[0], leaked=sum(canary.encode() in one for one in sent))
    return done


def login(user: str, password: str) -> dict[str, str]:
    """The variables by which a command is given a user and a password."""
    return {"VIRTIO_STUDY_PVE_USER": user, "VIRTIO_STUDY_PVE_PASSWORD": password}


def _redirected(
    forks: Forks, study: Study, sends: bytes, context: ssl.SSLContext, ca_file: Path
) -> tuple[list[str], bytes]:
    begun = time.monotonic()
    with listening(lambda to: to.sendall(sends), lambda: context) as here:
        _asks(study, here.port, ca_file)
        code = forks.run("collect", study.folder)
    faults = _said(forks, code, begun)
    if b"stranger" in raw_lines(study.folder):
        faults.append("what a redirection led to is data")
    return faults, bytes(here.seen)


def _impostor(forks: Forks, study: Study, context: ssl.SSLContext, ca_file: Path) -> tuple[list[str], bytes]:
    begun = time.monotonic()
    with listening(lambda to: to.sendall(_whole(FOREIGN)), lambda: context) as here:
        _asks(study, here.port, ca_file)
        code = forks.run("collect", study.folder)
    faults = _said(forks, code, begun)
    if "certificate" not in forks.printed():
        faults.append(f"nothing is said of the certificate: {forks.printed()[:300]}")
    return faults, bytes(here.seen)
