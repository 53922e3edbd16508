"""What changes on a server from one answer of its host to the next: devices, restarts, whose memory is shown."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.devices import devices, models
from virtio_study.pve.instruments import memory_state
from virtio_study.pve.values import Config, Sample, number
from virtio_study.pve.vm_config import in_question
from virtio_study.sources.api import health
from virtio_study.sources.api.client import Reply

__all__ = ["Changes"]

VIEWS = {
    "guest": N_("{at} UTC  {vmid}: its balloon driver answers, so the displayed memory is the guest's from now on"),
    "host": N_("{at} UTC  {vmid}: its balloon driver is silent, so the displayed memory is the host's from now on"),
}


@dataclass
class _Server:
    """The latest that is known of a server."""

    config: Config | None = None
    waiting: tuple[str, ...] = ()
    state: str = ""
    uptime: float = 0.0
    view: str = ""


@dataclass
class Changes:
    """What was known of each server, by its path; of the first answers nothing is a change."""

    known: dict[str, _Server] = field(default_factory=dict)

    def among(self, replies: Iterable[Reply]) -> list[Said]:
        """A line for each change that replies show."""
        found: list[Said] = []
        for reply in replies:
            if not reply.good or "/qemu/" not in reply.path:
                continue
            at, vmid = time.strftime("%H:%M:%S", time.gmtime(reply.time_s)), reply.path.split("/")[4]
            server = self.known.setdefault("/".join(reply.path.split("/")[:5]), _Server())
            if reply.path.endswith("/status/current") and isinstance(reply.data, Mapping):
                found += [said(form, at=at, vmid=vmid) for form in _lived(server, reply.data)]
            elif "/config?" in reply.path and isinstance(reply.data, Mapping):
                found += _configured(server, reply.data, at, vmid)
            elif reply.path.endswith("/pending") and isinstance(reply.data, Sequence):
                found += _waiting(server, reply.data, at, vmid)
        return found


def _lived(server: _Server, status: Sample) -> list[str]:
    """What a status says against the one before it."""
    found = []
    state, uptime, view = health.state_of(status), number(status.get("uptime")), memory_state(status).view
    if server.state and state != server.state and "stopped" in (state, server.state):
        found.append(OFF if state == "stopped" else STARTED)
    elif state == "running" and uptime < server.uptime:
        found.append(STARTED)
    if state == "running" and view in VIEWS:
        if server.view and view != server.view:
            found.append(VIEWS[view])
        server.view = view
    server.state, server.uptime = state, uptime
    return found


OFF = N_("{at} UTC  {vmid}: is off")
STARTED = N_("{at} UTC  {vmid}: has started")


def _configured(server: _Server, config: Config, at: str, vmid: str) -> list[Said]:
    """Devices and settings that are other than before."""
    earlier, server.config = server.config, config
    if earlier is None:
        return []
    before, after = in_question(earlier), in_question(config)
    keys = ", ".join(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))
    if not keys:
        return []
    was, now = _shape(earlier), _shape(config)
    form = N_("{at} UTC  {vmid}: changed from {was} to {now} ({keys})")
    return [
        said(
            form if was != now else N_("{at} UTC  {vmid}: changed: {keys}"),
            at=at,
            vmid=vmid,
            was=was,
            now=now,
            keys=keys,
        )
    ]


def _shape(config: Config) -> str:
    found = devices(config)
    return " + ".join(filter(None, (models(found, kind) for kind in ("disk", "network"))))


def _waiting(server: _Server, rows: Sequence[object], at: str, vmid: str) -> list[Said]:
    """What waits for a restart, where that is not what waited before."""
    asked = [row for row in rows if isinstance(row, Mapping) and ("pending" in row or "delete" in row)]
    waiting = tuple(sorted(str(row.get("key")) for row in asked))
    earlier, server.waiting = server.waiting, waiting
    if not waiting or waiting == earlier:
        return []
    form = N_("{at} UTC  {vmid}: waits for a shutdown and start: {keys}")
    return [said(form, at=at, vmid=vmid, keys=", ".join(waiting))]
