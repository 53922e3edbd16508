"""Explaining the memory of many servers: time and requests of `explain` on the embedded host.

    python benchmarks/explain.py [--servers 1000] [--latency 0.02]

The embedded host, a process of its own, answers each request after the given latency. All servers have the rows of the
first one, so that it is not the simulation that is measured. Writes requests, wall time, and processor time and memory
of the asking process into docs/proxmox.md between its two marks. The page of the same servers is drawn as well.
"""

import argparse
import multiprocessing
import re
import resource
import time
from collections import Counter
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from virtio_study.report.explanation_page import render_explanations
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.explaining import explain_host
from virtio_study.study import Endpoint
from virtio_study.testing import pve
from virtio_study.testing.api import Call, Payload, State
from virtio_study.testing.pve import many_servers, serve

PAGE = Path(__file__).parents[1] / "docs" / "proxmox.md"
MARKS = "<!-- made by benchmarks/explain.py -->", "<!-- end of explain.py's -->"
FIRST = 1000


def rows_of_the_first(servers: int) -> None:
    """Let the embedded host of this process compute the first server alone, and show it under every number."""
    plainly = pve.answer

    def answer(state: State, call: Call) -> Payload:
        if "/config" in call.path:
            return plainly(state, replace(call, path=re.sub(r"/qemu/\d+/", f"/qemu/{FIRST}/", call.path)))
        found = plainly(state, call)
        if call.path.endswith("/qemu") or call.path == "cluster/resources":
            others = [row for row in found.data if "vmid" not in row]
            first = next(row for row in found.data if "vmid" in row)
            return Payload([*others, *(first | {"vmid": FIRST + place} for place in range(servers))])
        return found

    pve.answer = answer


def serve_until_told(pipe: Connection, servers: int, latency_s: float) -> None:
    rows_of_the_first(servers)
    with serve(many_servers(1), latency_s=latency_s) as host:
        pipe.send((host.host, host.port, str(host.ca_file), host.token_id, host.token_secret))
        pipe.recv()
        asked = Counter("configurations" if "/config" in path else "others" for _, path, _ in host.requests)
        pipe.send((dict(asked), host.in_flight_max))
        pipe.recv()


def main() -> None:
    """Measure once and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.02)
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    host = multiprocessing.Process(target=serve_until_told, args=(theirs, given.servers, given.latency))
    host.start()
    name, port, ca_file, token_id, secret = ours.recv()
    client = Client(Endpoint(host=name, port=port, ca_file=Path(ca_file)), Credential(*token_id.split("!"), secret))
    start, own = time.monotonic(), time.process_time()
    found = explain_host(client)
    passed, own = time.monotonic() - start, time.process_time() - own
    ours.send(None)
    asked, in_flight = ours.recv()
    start = time.monotonic()
    page = render_explanations(found, name, "en")
    drawn = time.monotonic() - start
    ours.send(None)
    host.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    configurations, others = asked["configurations"], asked["others"]
    text = (
        f"Asked about {len(found):,} servers with a latency of {1000 * given.latency:g} ms, `explain` took "
        f"{passed:.1f} s, {own:.1f} s of processor and {peak:.0f} MiB:\n{configurations:,} configurations and {others} "
        f"other requests, at most {in_flight} at a time. Its page has {len(page) / 1e6:.2f} MB and is drawn in "
        f"{drawn:.1f} s."
    )
    print(text)
    head, tail = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    PAGE.write_text("\n".join([head + MARKS[0], text, MARKS[1]]) + tail.split(MARKS[1])[1], encoding="utf-8")


if __name__ == "__main__":
    main()
