"""Real schedulers and workers of Dask, in processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 90.0


def environment(tls: Path | None = None, path: Path | None = None) -> dict[str, str]:
    """That of the processes: with the files of TLS in a folder, and with other packages before those here."""
    made = dict(os.environ)
    if path:
        made["PYTHONPATH"] = f"{path}{os.pathsep}{made.get('PYTHONPATH', '')}"
    return made | (settings(tls) if tls else {})


def settings(tls: Path) -> dict[str, str]:
    """Dask's own variables for the files of TLS in a folder."""
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    roles = {
        f"{prefix}{role}__{kind}": str(tls / name)
        for role in ("SCHEDULER", "WORKER", "CLIENT")
        for kind, name in (("CERT", "host.pem"), ("KEY", "host.key"))
    }
    return {f"{prefix}CA_FILE": str(tls / "ca.pem"), "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true", **roles}


def configured(tls: Path) -> dict[str, str]:
    """The same as keys of Dask's configuration."""
    names = {key.removeprefix("DASK_"): value for key, value in settings(tls).items()}
    return {key.lower().replace("__", ".").replace("_", "-"): value for key, value in names.items()}


@contextmanager
def scheduler(
    folder: Path, environment: dict[str, str], port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler: its address and its process."""
    told = folder / f"scheduler-{time.monotonic_ns()}.json"
    protocol = "tls" if "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in environment else "tcp"
    with _running(
        ["dask_scheduler", "--host", f"{protocol}://127.0.0.1", "--port", "0", "--no-dashboard"],
        ["--scheduler-file", str(told)],
        environment,
    ) as process:
        wait(lambda: told.is_file() and told.stat().st_size > 0)
        yield json.loads(told.read_text())["address"], process


@contextmanager
def workers(address: str, environment: dict[str, str], count: int, memory: str = "0") -> Iterator[None]:
    """So many workers, each of a nanny that starts it again, also where it takes more than `memory` (0: any)."""
    words = ["dask_worker", address, "--nworkers", str(count), "--nthreads", "1", "--no-dashboard"]
    with _running(words, ["--memory-limit", memory], environment):
        yield


@contextmanager
def _running(words: list[str], more: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    module, *arguments = words
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, *more]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(until: object, seconds: float = START_S) -> None:
    """Wait until something is so."""
    assert callable(until)
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "never came"
        time.sleep(0.05)
