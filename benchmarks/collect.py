"""Reading many servers from a host: this package's client against a plain proxmoxer loop, in the same run.

    python benchmarks/collect.py [--servers 1000] [--latency 0.02]

The embedded host answers each request after the given latency. Prints wall times, their ratio, requests in flight and
the growth of this process' memory.
"""

import argparse
import resource
import time

from virtio_study.sources.proxmox import Client
from virtio_study.sources.secrets import Credential
from virtio_study.study import Endpoint
from virtio_study.testing.pve import Host, many_servers, serve


def plain_loop(host: Host, paths: list[str]) -> float:
    """Seconds for one request after another, as proxmoxer's documentation shows it."""
    from proxmoxer import ProxmoxAPI

    user, name = host.token_id.split("!")
    api = ProxmoxAPI(
        host.host,
        port=host.port,
        user=user,
        token_name=name,
        token_value=host.token_secret,
        verify_ssl=str(host.ca_file),
    )
    start = time.perf_counter()
    for path in paths:
        api(path.strip("/")).get()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.02)
    options = parser.parse_args()
    story = many_servers(options.servers, history_s=7200)
    with serve(story, latency_s=options.latency) as host:
        user, name = host.token_id.split("!")
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        client = Client(endpoint, Credential(user, name, host.token_secret))
        listed = client.get("/cluster/resources").data
        vms = [row for row in listed if row.get("type") == "qemu"]
        paths = [f"/nodes/{row['node']}/qemu/{row['vmid']}/status/current" for row in vms]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        replies = client.get_all(paths)
        ours = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        in_flight = host.in_flight_max
        theirs = plain_loop(host, paths)
    print(
        f"{len(paths)} servers, {options.latency * 1000:.0f} ms latency, "
        f"{sum(reply.good for reply in replies)} good answers"
    )
    print(
        f"virtio-study: {ours:.1f} s, at most {in_flight} requests in flight, {(after - before) / 1024:.1f} MiB more "
        "memory (host and client are one process)"
    )
    print(f"proxmoxer, one after another: {theirs:.1f} s")
    print(f"ratio: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
