"""Collecting many servers from a host: `collect` of this package against a plain proxmoxer loop, in the same run.

    python benchmarks/collect.py [--servers 1000] [--latency 0.02]

The embedded host, a process of its own, answers each request after the given latency. Both ask for the same paths:
status, configuration, pending changes and ten rrddata of every server, which are those of the first server for all, so
that it is not the simulation that is measured. `collect` syncs every answer to the disk; the loop keeps nothing.
Prints wall times, their ratio, requests in flight and memory of the collecting process.
"""

import argparse
import gzip
import json
import multiprocessing
import re
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import yaml

from virtio_study.sources.api.client import Client
from virtio_study.sources.api.cluster import Cluster
from virtio_study.sources.api.collecting import collect, paths_of
from virtio_study.sources.api.credentials import Credential
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing import pve
from virtio_study.testing.api import Call, Payload, State
from virtio_study.testing.pve import many_servers, serve
from virtio_study.testing.wire import Handler

HISTORY_S = 4 * 3600.0


def key(url: str) -> str:
    return re.sub(r"/qemu/\d+/", "/qemu/any/", url)


def one_answer_for_all() -> None:
    """Let the embedded host of this process compute and compress the rrddata of one server alone."""
    packed: dict[str, bytes] = {}
    plainly, send = pve.answer, Handler._send

    def answer(state: State, call: Call) -> Payload:
        return Payload(None) if key(call.url) in packed else plainly(state, call)

    def packing(self: Handler, url: str, status: int, reason: str, body: dict[str, Any]) -> None:
        if "/rrddata" not in url or status != 200:
            send(self, url, status, reason, body)
            return
        if key(url) not in packed:
            packed[key(url)] = gzip.compress(json.dumps(body).encode())
        headers = {"Content-Type": "application/json;charset=UTF-8", "Content-Encoding": "gzip"}
        self._write(url, status, reason, packed[key(url)], headers)

    pve.answer = answer
    Handler._send = packing  # type: ignore[method-assign]


def serve_until_told(pipe: Connection, servers: int, latency_s: float) -> None:
    one_answer_for_all()
    with serve(many_servers(servers, history_s=HISTORY_S), latency_s=latency_s) as host:
        pipe.send((host.host, host.port, str(host.ca_file), host.token_id, host.token_secret))
        pipe.recv()
        pipe.send(host.in_flight_max)
        pipe.recv()


def make_study(folder: Path, servers: int) -> Study:
    """A protocol of all simulated servers, without windows: collecting alone is measured."""
    story = many_servers(servers, history_s=HISTORY_S)
    text = {"en": "simulated", "es": "simulado"}
    size = {"vcpus": 1, "memory_bytes": "1 GiB", "disk_bytes": "1 GiB"}
    protocol: dict[str, Any] = {
        "title": text,
        "source": "recordings",
        "host": {"name": "x", "cpu_model": "x", "logical_cpus": 8, "memory_bytes": "1 GiB", "hypervisor": "simulated"},
        "servers": {server.name: {"vmid": server.vmid, "role": text, **size} for server in story.servers},
        "driver_configs": {"a": {"label": text}, "b": {"label": text}},
        "comparisons": {"total": {"before": "a", "after": "b", "purpose": "total", "question": text}},
        "metrics": ["cpu"],
        "load": {},
        "seed": 1,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(protocol))
    return load_study(folder)


def plain_loop(endpoint: Endpoint, secret: Credential, paths: list[str]) -> float:
    """Seconds for one request after another, as proxmoxer's documentation shows it."""
    from proxmoxer import ProxmoxAPI

    api = ProxmoxAPI(
        endpoint.host,
        port=endpoint.port,
        user=secret.user,
        token_name=secret.name,
        token_value=secret.secret,
        verify_ssl=str(endpoint.ca_file),
        timeout=60,
    )
    start = time.perf_counter()
    for path in paths:
        place, _, query = path.partition("?")
        api(place.strip("/")).get(**dict(pair.split("=") for pair in query.split("&") if pair))
    return time.perf_counter() - start


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.02)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    pipe, other = spawn.Pipe()
    process = spawn.Process(target=serve_until_told, args=(other, options.servers, options.latency))
    process.start()
    host, port, ca_file, token_id, token_secret = pipe.recv()
    endpoint = Endpoint(host=host, port=port, ca_file=Path(ca_file))
    secret = Credential(*token_id.split("!"), token_secret)
    with tempfile.TemporaryDirectory() as scratch:
        study = make_study(Path(scratch), options.servers)
        client = Client(endpoint, secret)
        # the host's own work, once: its answers are kept from now on
        paths = paths_of(study, Cluster.of(client.get("/cluster/resources").data))
        known: set[str] = set()
        for path in paths:
            if "/rrddata" in path and key(path) not in known:
                known.add(key(path))
                client.get(path)
        before = memory_mib()
        start = time.perf_counter()
        done = collect(study, client)
        ours = time.perf_counter() - start
        after = memory_mib()
        stored = sum(path.stat().st_size for path in (Path(scratch) / "raw").glob("api-*")) / 2**20
    pipe.send("counts, please")
    in_flight = pipe.recv()
    theirs = plain_loop(endpoint, secret, ["/version", "/cluster/resources", *paths])
    pipe.send("done")
    process.join()
    print(
        f"{options.servers} servers, {options.latency * 1000:.0f} ms latency: {done.answers} good answers, "
        f"{len(done.missing)} missing, {stored:.0f} MiB stored"
    )
    print(
        f"virtio-study: {ours:.1f} s, at most {in_flight} requests in flight, {before:.0f} MiB of memory before and "
        f"at most {after:.0f} MiB while collecting"
    )
    print(f"proxmoxer, one after another: {theirs:.1f} s")
    print(f"ratio: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
