"""Secrets: every command is given one that is looked for afterwards, in all that it left and in all that it started.

Looked for as it is, in base64 wherever it begins, in hexadecimal and as in an address; in files, also packed ones, in
what was printed, in the command lines of all processes, and in the environments of those that a command started.
"""

import base64
import contextlib
import io
import signal
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from small import write_small
from torture.attack import Conditions, Outcome
from torture.crash import NOW, study_of, token
from torture.network import login
from torture.processes import Forks, family
from virtio_study.testing.faults import Fault
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers

__all__ = ["every_command", "traces"]

WATCHED_S, LONGEST_S = 1.5, 300.0


def traces(secret: str) -> list[bytes]:
    """What of a secret stands wherever it does, in each way of writing it."""
    plain = secret.encode()
    found = [plain, quote(secret, safe="").encode(), plain.hex().encode()]
    for lead in range(3):  # base64 writes three bytes as four characters, so that it depends on what stands before
        text = base64.b64encode(b"\0" * lead + plain)
        found.append(text[(0, 2, 3)[lead] :].rstrip(b"=")[:-1])
    return found


def holds(content: bytes, secret: str) -> bool:
    return any(trace in content for trace in traces(secret))


def unpacked(path: Path) -> Iterator[bytes]:
    """What stands in a file, and in what it packs."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".zst":
        yield zstandard.ZstdDecompressor().stream_reader(content).read()
    elif path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            yield from (packed.read(name) for name in packed.namelist())
    elif path.suffix == ".parquet":
        try:
            table = pq.read_table(pa.BufferReader(content))
        except pa.ArrowInvalid:  # half a file of a program that was just killed: its bytes were looked at
            return
        yield repr(table.schema.metadata).encode() + repr(table.to_pydict()).encode()


class Watcher:
    """Looks at a process and all that it starts, for as long as it lives."""

    def __init__(self, pid: int, secret: str) -> None:
        self.pid, self.secret, self.found = pid, secret, set[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for pid in family(self.pid):
                with contextlib.suppress(OSError):  # it ended meanwhile
                    words = Path(f"/proc/{pid}/cmdline").read_bytes()
                    told = b"" if pid == self.pid else Path(f"/proc/{pid}/environ").read_bytes()
                    shown = words.replace(b"\0", b" ").decode(errors="replace")[:80]
                    self.found |= {f"command line of {shown}"} if holds(words, self.secret) else set()
                    self.found |= {f"environment of {shown}"} if holds(told, self.secret) else set()

    def end(self) -> set[str]:
        """Where the secret was seen."""
        self._over.set()
        self._thread.join()
        return self.found


def _commands(given: Conditions, host: SimulatedHost) -> list[tuple[object, ...]]:
    """Every command that is given a secret or starts others, those that start most first."""
    live, small = study_of(given.folder, host).folder, write_small(given.folder / "small").folder
    there = ("--host", host.host, "--port", host.port, "--ca-file", host.ca_file)
    wrong = ("--host", host.host, "--port", host.port, "--fingerprint", ":".join(["00"] * 32))
    return [
        ("run", small, "--workers", 2),
        ("collect", live),
        ("watch", live),
        ("doctor", live),
        ("inventory", *there),
        ("inventory", *there, "--format", "json"),
        ("inventory", *wrong, "--debug"),
        ("new", given.folder / "data" / "new", 100, 101, *there),
        ("files", "answers", live),
        ("check", live),
        ("check", small),
        ("export", small, "-o", given.folder / "a.zip"),
        ("diff", small, small),
        ("explain", *there, "--page", given.folder / "explain.html"),
        ("fleet", live, "--workers", 1, "--output", given.folder / "fleet"),
    ]


def every_command(given: Conditions) -> Outcome:
    """Give every command a token or a password, with a host that repeats it in its refusals: it is found nowhere."""
    done, chance = Outcome("a canary as the secret of every command", given.seed), given.chance()
    temporary = given.folder / "tmp"
    temporary.mkdir()
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        ways = {host.token_secret: token(host), host.password: login(host.user, host.password)}
        servers = [
            (secret, Forks(given.folder / f"forks-{number}", {**how, "TMPDIR": str(temporary)}))
            for number, (secret, how) in enumerate(ways.items())
        ]
        with contextlib.ExitStack() as stack:
            for _, forks in servers:
                stack.enter_context(forks)
            commands = _commands(given, host)
            for number in given.tries():
                secret, forks = servers[chance.randrange(2)]
                host.heal()
                if chance.random() < 0.5:
                    said = f"permission denied for {secret} ({secret})"
                    host.inject(Fault("error", chance.choice(("", "status", "config", "rrddata")), reason=said))
                faults, seen = _run(forks, commands[number % len(commands)], secret)
                left = _left(given.folder, [*ways])
                done.judge(*faults, *seen, *left, leaked=len(seen) + len(left))
                for path in left:
                    Path(path).unlink()
    return done


def _run(forks: Forks, words: Sequence[object], secret: str) -> tuple[list[str], list[str]]:
    """What is wrong with how a command went, and where its secret was seen meanwhile."""
    child, begun = forks.start(*words), time.monotonic()
    watcher = Watcher(child, secret)
    if words[0] == "watch":
        time.sleep(WATCHED_S)
        forks.kill(child, signal.SIGTERM)
    else:
        forks.wait(child)
    seen = sorted(f"{words[0]}: {place}" for place in watcher.end())
    traced = "Traceback" in forks.printed() and "--debug" not in words
    faults = [f"{words[0]}: a traceback: {forks.printed()[-500:]}"] if traced else []
    faults += [f"{words[0]} took {time.monotonic() - begun:.0f} s"] if time.monotonic() - begun > LONGEST_S else []
    return faults, seen


def _left(folder: Path, secrets: Sequence[str]) -> list[str]:
    """Files that hold a secret."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and any(holds(content, secret) for content in unpacked(path) for secret in secrets):
                found.append(str(path))
    return found
