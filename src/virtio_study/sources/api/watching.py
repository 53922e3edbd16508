"""Watching a Proxmox VE host: polling it again and again for as long as a study lasts."""

import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from virtio_study.errors import NoRoomError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.sources.api import health, response_log
from virtio_study.sources.api.changes import Changes
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.cluster import RESOURCES, Cluster
from virtio_study.sources.api.collecting import places_of
from virtio_study.sources.api.remedies import remedy
from virtio_study.study import Study

__all__ = ["watch"]

POLL_S = 10.0
EVERY: tuple[tuple[float, str], ...] = (
    (60.0, "{node}/status"),
    (300.0, "{vm}/config?current=1"),
    (300.0, "{vm}/pending"),
    (21600.0, "{node}/apt/versions"),
    (1800.0, "{vm}/rrddata?timeframe=hour&cf=AVERAGE"),
    (1800.0, "{node}/rrddata?timeframe=hour&cf=AVERAGE"),
    (21600.0, "{vm}/rrddata?timeframe=day&cf=AVERAGE"),
    (21600.0, "{node}/rrddata?timeframe=day&cf=AVERAGE"),
    (43200.0, "{vm}/rrddata?timeframe=week&cf=AVERAGE"),
    (43200.0, "{vm}/rrddata?timeframe=week&cf=MAX"),
    (43200.0, "{node}/rrddata?timeframe=week&cf=AVERAGE"),
    (3600.0, "/version"),
)
"""Seconds between questions; all are asked at a start. Proxmox VE up to 8 keeps rows of a minute for 70 minutes, so
that half an hour loses none; from 9 on those of a day come back after a longer break.
"""

TASKS_S = 300.0
"""Of every node, for a server may have been on another one."""

LIST_S, LIST_WHILE_LOST_S = 300.0, 60.0
"""Seconds between two looks at the list of servers, which tells their nodes; fewer while one of them is not shown."""

REFUSED = {400, 403, 501}
FIRST_WAIT_S, LONGEST_WAIT_S, JITTER = 30.0, 300.0, 0.2
LOOK_FOR_ROOM_S = 10.0


@dataclass
class _Due:
    """When each path is to be asked next."""

    next_s: dict[str, float] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def paths(self, now: float, wanted: Mapping[str, float]) -> list[str]:
        """Paths of `wanted` (path -> seconds between questions) that are due."""
        # what is due later than it can be was due before the clock was set back
        ahead = LONGEST_WAIT_S * (1.0 + JITTER)
        found = [path for path in wanted if not now < self.next_s.get(path, 0.0) <= now + max(wanted[path], ahead)]
        for path in found:
            # on the grid of its own period, so that polls do not drift and a late one does not move the next
            self.next_s[path] = (now // wanted[path] + 1) * wanted[path]
        return found

    def seen(self, changes: Sequence[object]) -> None:
        """After a change ask for configurations with the next poll, for one may explain what was seen."""
        if changes:
            self.next_s = {path: at for path, at in self.next_s.items() if "/config?" not in path}

    def told(self, replies: Sequence[Reply], now: float) -> None:
        """Ask what failed less and less often, so that a node that hangs does not hold up the others' polls."""
        for reply in replies:
            if reply.good:
                self.failed.pop(reply.path, None)
                continue
            if reply.status in REFUSED:  # asking sooner changes nothing, but a permission may be given one day
                self.next_s[reply.path] = max(self.next_s.get(reply.path, 0.0), now + LONGEST_WAIT_S)
                continue
            number = self.failed[reply.path] = self.failed.get(reply.path, 0) + 1
            wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(number - 1, 10))
            self.next_s[reply.path] = now + wait * random.uniform(1.0, 1.0 + JITTER)
            if reply.path.endswith("/status/current"):
                self.next_s.pop(RESOURCES, None)  # the server may have moved to another node


def watch(
    study: Study,
    client: Client,
    say: Callable[[Said], None],
    until: Callable[[], bool] = lambda: False,
    poll_s: float = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
    changed: Callable[[Said], None] = lambda change: None,
) -> int:
    """Poll the host until the program is ended; every answer is on the disk before the next question.

    Where the host does not answer or refuses the token, it waits, longer each time up to five minutes, and says so;
    where the disk is full, until there is room.

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
    changed : callable
        Told each change of a server that is seen, before the state.

    Returns
    -------
    int
        Number of polls.

    Raises
    ------
    StudyError
        If the certificate cannot be trusted.
    DataError
        If another collector is at work, or answers cannot be stored.
    """
    _refuse_pvesh(client)
    polls, failures, due, changes = 0, 0, _Due(), Changes()
    cluster = Cluster()
    with response_log.alone(study.folder):
        while not until():
            now = client.clock()
            replies, cluster = _poll(study, client, cluster, due, failures, now, poll_s)
            _store(study, replies, client, say, until, sleep)
            polls += 1
            answered = not replies or any(reply.good for reply in replies)
            failures = 0 if answered and places_of(study, cluster.nodes) else failures + 1
            due.told(replies, now)
            if failures:
                due = _Due()
            due.seen(_tell(changes.among(replies), changed))
            say(_state(study, cluster, polls, replies, failures, client))
            if not until():
                sleep(_until_next(now, _jittered(poll_s, failures), poll_s, client.clock()))
    return polls


def _tell(changes: list[Said], changed: Callable[[Said], None]) -> list[Said]:
    for change in changes:
        changed(change)
    return changes


def _refuse_pvesh(client: Client) -> None:
    if (how := client.endpoint.backend) != "https":
        says = said(N_("watch needs https, for a new pvesh shows 0 CPU; make a token, or use collect"))
        raise StudyError("proxmox.backend: {how}: {says}", how=how, says=says)


def _store(
    study: Study,
    replies: list[Reply],
    client: Client,
    say: Callable[[Said], None],
    until: Callable[[], bool],
    sleep: Callable[[float], None],
) -> None:
    """Store replies; where the disk has no room, wait until there is some, for they cannot be asked for again.

    Raises
    ------
    NoRoomError
        If the watch is to end before there is room.
    """
    while True:
        try:
            response_log.append(study.folder, replies)
            break
        except NoRoomError:
            form = N_("{at} UTC  no room to store answers in {folder}: make some; looking again every {wait:.0f} s")
            at = time.strftime("%H:%M:%S", time.gmtime(client.clock()))
            say(said(form, at=at, folder=study.folder / "raw", wait=LOOK_FOR_ROOM_S))
            if until():
                raise
            sleep(LOOK_FOR_ROOM_S)
    with contextlib.suppress(NoRoomError):  # a day is packed when there is room
        response_log.finish(study.folder, client.clock())


def _poll(
    study: Study, client: Client, cluster: Cluster, due: _Due, failures: int, now: float, poll_s: float
) -> tuple[list[Reply], Cluster]:
    """Replies of what is due, and the latest list of servers and nodes; after a failure that list is asked first."""
    lost = any(server.vmid not in cluster.servers for server in study.servers.values())
    list_s = LIST_WHILE_LOST_S if lost else LIST_S
    replies = client.get_all([RESOURCES] if failures else due.paths(now, {RESOURCES: list_s}))
    if replies and replies[0].good:
        cluster = Cluster.of(replies[0].data)
    if not failures or replies[0].good:
        wanted = _wanted(places_of(study, cluster.nodes), cluster.hosts, poll_s)
        replies += client.get_all(due.paths(now, wanted))
    return replies, cluster


def _until_next(began: float, wait: float, poll_s: float, now: float) -> float:
    """Seconds to the next poll: never more than are waited, whatever became of the clock since this one began."""
    return min(wait, max(0.0, began // poll_s * poll_s + wait - now))


def _jittered(poll_s: float, failures: int) -> float:
    return _wait(poll_s, failures) * (random.uniform(1.0, 1.0 + JITTER) if failures else 1.0)


def _wait(poll_s: float, failures: int) -> float:
    return min(LONGEST_WAIT_S, poll_s * 2.0 ** min(failures, 10)) if failures else poll_s


def _wanted(places: Mapping[str, str], hosts: Sequence[str], poll_s: float) -> dict[str, float]:
    wanted = {f"{base}/status/current": poll_s for base in places.values()}
    wanted |= {f"/nodes/{host}/tasks?limit=500": TASKS_S for host in hosts} if places else {}
    for period, form in EVERY:
        for base in places.values():
            node = "/".join(base.split("/")[:3])
            wanted[form.format(vm=base, node=node)] = period
    return wanted


def _state(study: Study, cluster: Cluster, polls: int, replies: list[Reply], failures: int, client: Client) -> Said:
    at = time.strftime("%H:%M:%S", time.gmtime(client.clock()))
    lost = [reply for reply in replies if not reply.good]
    if failures:
        cause = lost[0] if lost else Reply(0.0, RESOURCES, 403, reason="no server of the study is shown")
        wait = _wait(POLL_S, failures)
        return said(
            N_("{at} UTC  waiting {wait:.0f} s: {cause:cause}; {remedy}"),
            at=at,
            wait=wait,
            cause=cause.reason or str(cause.status),
            remedy=remedy(cause, client),
        )
    seen = sum(server.vmid in cluster.servers for server in study.servers.values())
    state = said(
        N_("{at} UTC  poll {polls}: {seen} of {servers} servers, {stored} answers stored"),
        at=at,
        polls=polls,
        seen=seen,
        servers=len(study.servers),
        stored=len(replies) - len(lost),
    )
    state = _with_trouble(state, study, cluster, replies)
    if not lost:
        return state
    form = N_("{state}, {refused} refused ({path}: {cause:cause})")
    return said(form, state=state, refused=len(lost), path=lost[0].path, cause=lost[0].reason)


def _with_trouble(state: Said, study: Study, cluster: Cluster, replies: Sequence[Reply]) -> Said:
    """The state of a watch, with servers that do not execute, and nodes that are off or measured by nobody."""
    for vmid, run_state in health.troubled(replies):
        state = said("{state}; {vmid} {power:power}", state=state, vmid=vmid, power=run_state)
    homes = {cluster.nodes[server.vmid] for server in study.servers.values() if server.vmid in cluster.servers}
    for node in sorted(homes & cluster.silent):
        state = said("{state}; {says}", state=state, says=health.not_measured(node)[0])
    for node in sorted(homes & cluster.off):
        state = said("{state}; {says}", state=state, says=health.node_off(node)[0])
    return state
