"""Collecting from a Proxmox VE host: everything once, or again and again for as long as a study lasts."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from virtio_study.errors import DataError, StudyError
from virtio_study.sources import rows, store
from virtio_study.sources.answers import Answer, is_simulated, of, qemu_server_of, read_answers
from virtio_study.sources.exports import merge_rrddata
from virtio_study.sources.intake import Written, write_windows
from virtio_study.sources.proxmox import Client, Reply, good, nodes_of, remedy
from virtio_study.study import Study

__all__ = ["Collected", "Missing", "client_of", "collect", "record_rrddata", "watch"]

TIMEFRAMES = ("hour", "day", "week", "month", "year")
CONSOLIDATIONS = ("AVERAGE", "MAX")
POLL_S = 10.0
EVERY: tuple[tuple[float, str], ...] = (
    (60.0, "{node}/status"),
    (300.0, "{vm}/config?current=1"),
    (300.0, "{vm}/pending"),
    (300.0, "{node}/tasks?limit=500"),
    (1800.0, "{vm}/rrddata?timeframe=hour&cf=AVERAGE"),
    (43200.0, "{vm}/rrddata?timeframe=week&cf=AVERAGE"),
    (3600.0, "/version"),
)
"""Seconds between questions. Proxmox VE up to 8 keeps rows of a minute for 70 minutes: half an hour loses none."""

LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class Missing:
    """What could not be had: of which server (empty: of the host), the path, the cause and the remedy."""

    server: str
    path: str
    cause: str
    remedy: str


@dataclass
class Collected:
    """What came of a collection: answers stored, recordings written, and what is missing."""

    answers: int = 0
    written: Written = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def client_of(study: Study) -> Client:
    """A client for the study's host; `StudyError` if it names none."""
    if study.proxmox is None:
        where = study.folder / "study.yaml"
        raise StudyError(f"{where}: no proxmox (host, and ca_file or fingerprint); add it, or use virtio-study files")
    return Client(study.proxmox)


def _places(study: Study, nodes: Mapping[int, str]) -> dict[str, str]:
    """Path of every server of the study that the host shows."""
    return {
        name: f"/nodes/{nodes[server.vmid]}/qemu/{server.vmid}"
        for name, server in study.servers.items()
        if server.vmid in nodes
    }


def _hidden(study: Study, nodes: Mapping[int, str], token: str) -> list[Missing]:
    who = f"--tokens '{token}'" if "!" in token else f"--users '{token}'"
    return [
        Missing(
            name,
            "/cluster/resources",
            f"the host shows no server {server.vmid}: there is none, or the token may not see it",
            f"compare with qm list on the host; for the permission: pveum acl modify / {who} --roles PVEAuditor",
        )
        for name, server in study.servers.items()
        if server.vmid not in nodes
    ]


def collect(study: Study, client: Client) -> Collected:
    """Ask the host for everything that it can tell of a study's servers, and store every answer.

    With `windows` in the study, recordings are made of the rrddata rows inside them.

    Parameters
    ----------
    study : Study
    client : Client

    Returns
    -------
    Collected
        What is missing is named; nothing that came is lost for it.

    Raises
    ------
    DataError
        If the host does not show its servers at all, or another collector is at work.
    StudyError
        If the certificate cannot be trusted.
    """
    done = Collected()
    with store.alone(study.folder):
        first = client.get_all(["/version", "/cluster/resources"])
        store.append(study.folder, first)
        nodes = nodes_of(good(first[1], "the list of servers"))
        places = _places(study, nodes)
        paths = {"/cluster/tasks": ""}
        for node in sorted({nodes[s.vmid] for s in study.servers.values() if s.vmid in nodes}):
            base = f"/nodes/{node}"
            paths |= {f"{base}/status": "", f"{base}/tasks?limit=500": ""}
            paths |= {f"{base}/rrddata?timeframe={frame}&cf=AVERAGE": "" for frame in TIMEFRAMES}
        for name, base in places.items():
            paths |= {f"{base}/{what}": name for what in ("status/current", "config?current=1", "pending")}
            paths |= {
                f"{base}/rrddata?timeframe={frame}&cf={cf}": name for frame in TIMEFRAMES for cf in CONSOLIDATIONS
            }
        replies = client.get_all(paths, then=lambda reply: store.append(study.folder, [reply]))
        done.answers = sum(reply.good for reply in [*first, *replies])
        done.missing = _hidden(study, nodes, client.secret.token_id)
        done.missing += [_missing(paths[reply.path], reply, client) for reply in replies if not reply.good]
        if study.windows:
            done.written = record_rrddata(study)
    return done


def _missing(server: str, reply: Reply, client: Client) -> Missing:
    status = f"{reply.status}: " if reply.status else ""
    return Missing(server, reply.path, f"{status}{reply.reason}", remedy(reply, client.secret.token_id))


def record_rrddata(study: Study) -> Written:
    """Make recordings of the stored rrddata rows (AVERAGE) that lie in the study's windows, the node's CPU beside them.

    Parameters
    ----------
    study : Study
        With windows.

    Raises
    ------
    DataError
        If a server with a window has no rows in the stored answers.
    """
    paths = store.stored(study.folder)
    answers = read_answers(paths)
    version = next((str(data.get("version", "")) for _, data in of(answers, "/version")), "")
    qemu_server = qemu_server_of(version)
    written: Written = []
    for name, server in study.servers.items():
        if not any(window.server == name for window in study.windows):
            continue
        merged = merge_rrddata(_rrddata(answers, rf"/nodes/[^/]+/qemu/{server.vmid}/rrddata\?.*cf=AVERAGE"))
        if not merged:
            raise DataError(f"{name}: no stored rrddata of server {server.vmid}; collect first")
        beside = merge_rrddata(_rrddata(answers, r"/nodes/[^/]+/rrddata\?.*cf=AVERAGE"))
        frames = {}
        for step, found in merged.items():
            frame = rows.rrd_frame(found, step, "AVERAGE", f"rrddata of {name}", qemu_server)
            if step in beside:
                node = rows.rrd_frame(beside[step], step, "AVERAGE", "rrddata of the node")
                frame = rows.add_node_cpu(frame, node)
            frames[float(step)] = frame
        said = {
            "kind": "simulated" if is_simulated(answers) else "measured",
            "source": "rrddata of the API of Proxmox VE, AVERAGE",
            "versions": {"proxmox-ve": version} if version else {},
        }
        written += write_windows(study, name, frames, "rrddata", said)
    return written


def _rrddata(answers: Sequence[Answer], pattern: str) -> Iterable[tuple[str, Any]]:
    return (
        (f"rrddata of {at:.0f}", data) for at, data in of(answers, pattern, list) if any(len(row) > 1 for row in data)
    )


@dataclass
class _Due:
    """When each path is to be asked next."""

    next_s: dict[str, float] = field(default_factory=dict)

    def paths(self, now: float, wanted: Mapping[str, float]) -> list[str]:
        found = [path for path in wanted if self.next_s.get(path, 0.0) <= now]
        for path in found:
            # on the grid of its own period, so that polls do not drift and a late one does not move the next
            self.next_s[path] = (now // wanted[path] + 1) * wanted[path]
        return found


def watch(
    study: Study,
    client: Client,
    say: Callable[[str], None],
    until: Callable[[], bool] = lambda: False,
    poll_s: float = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Poll the host until the program is ended; every answer is on the disk before the next question.

    Where the host does not answer, refuses the token or is being restarted, it waits, longer each time up to five
    minutes, and says so. Started again it goes on where it was.

    Parameters
    ----------
    study, client
        As in `collect`.
    say : callable
        Told the state in one line after every poll.
    until : callable
        Whether to end, asked after every poll.
    poll_s : float
        Seconds between polls of `status/current`.
    sleep : callable
        Waits so many seconds; a test that moves the client's clock passes its own.

    Returns
    -------
    int
        Number of polls.

    Raises
    ------
    StudyError
        If the certificate cannot be trusted.
    DataError
        If another collector is at work.
    """
    polls, failures, due = 0, 0, _Due()
    nodes: dict[int, str] = {}
    with store.alone(study.folder):
        while not until():
            now = client.clock()
            replies = client.get_all(["/cluster/resources"] if not nodes or failures else [])
            nodes = nodes_of(replies[0].data) if replies and replies[0].good else nodes
            wanted = _wanted(_places(study, nodes), poll_s)
            if all(reply.good for reply in replies):
                replies += client.get_all(due.paths(now, wanted))
            store.append(study.folder, replies)
            store.finish(study.folder, client.clock())
            polls += 1
            failures = 0 if wanted and (not replies or any(reply.good for reply in replies)) else failures + 1
            if failures:
                due.next_s.clear()
            say(_state(study, nodes, polls, replies, failures, client))
            if not until():
                sleep(max(0.0, now // poll_s * poll_s + _wait(poll_s, failures) - client.clock()))
    return polls


def _wait(poll_s: float, failures: int) -> float:
    return min(LONGEST_WAIT_S, poll_s * 2.0 ** min(failures, 10)) if failures else poll_s


def _wanted(places: Mapping[str, str], poll_s: float) -> dict[str, float]:
    wanted = {f"{base}/status/current": poll_s for base in places.values()}
    for period, form in EVERY:
        for base in places.values():
            node = "/".join(base.split("/")[:3])
            wanted[form.format(vm=base, node=node)] = period
    return wanted


def _state(
    study: Study, nodes: Mapping[int, str], polls: int, replies: list[Reply], failures: int, client: Client
) -> str:
    at = time.strftime("%H:%M:%S", time.gmtime(client.clock()))
    lost = [reply for reply in replies if not reply.good]
    if failures:
        cause = lost[0] if lost else Reply(0.0, "/cluster/resources", 403, reason="no server of the study is shown")
        wait = _wait(POLL_S, failures)
        return (
            f"{at} UTC  waiting {wait:.0f} s: {cause.reason or cause.status}; {remedy(cause, client.secret.token_id)}"
        )
    seen = sum(server.vmid in nodes for server in study.servers.values())
    state = f"{at} UTC  poll {polls}: {seen} of {len(study.servers)} servers, {len(replies) - len(lost)} answers stored"
    return state + (f", {len(lost)} refused ({lost[0].path}: {lost[0].reason})" if lost else "")
