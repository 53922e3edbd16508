"""The demonstration's host kept up, to try every command on: its story, and the commands ready to paste."""

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from virtio_study.testing.pve import Clock, SimulatedHost, serve
from virtio_study.testing.story import around_a_change
from virtio_study.testing.versions import VERSIONS, VersionName

__all__ = ["MOMENTS", "Moment", "Pasted", "standing", "to_paste"]

Moment = Literal["before", "during", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")
FAR_S = 6 * 3600.0
"""How far the change is away in the stories before and after it."""


@dataclass(frozen=True)
class Pasted:
    """A command to paste, and the step that it is: a key of what the command line says of it."""

    step: str
    command: str


@contextmanager
def standing(
    moment: Moment = "during", version: VersionName = "9.2", speed: float = 1.0, change_in_s: float = 300.0
) -> Iterator[SimulatedHost]:
    """Run a host whose servers 100 and 101 are about to go to VirtIO, or did, while the block runs.

    Parameters
    ----------
    moment : str
        Whether the change is hours away (`before`), comes in `change_in_s` seconds of the host's clock (`during`), or
        was hours ago (`after`). Server 102 stays as it is.
    version : str
        Of Proxmox VE.
    speed : float
        Of the host's clock, which begins at the present.
    change_in_s : float
    """
    now = time.time()
    away = {"before": FAR_S, "during": change_in_s, "after": -FAR_S}[moment]
    story = around_a_change(now, now + away)
    with serve(story, version=version, clock=Clock(now, speed), delay_scale=1.0) as host:
        yield host


def to_paste(host: SimulatedHost, moment: Moment, version: VersionName) -> list[Pasted]:
    """Commands that try everything on a host, in their order; the protocol is completed by one of them."""
    where = f"--host {host.host} --port {host.port} --ca-file {shlex.quote(str(host.ca_file))}"
    servers = "102" if moment == "after" else "100 101"
    secret = (
        f"export VIRTIO_STUDY_PVE_TOKEN={shlex.quote(f'{host.token_id}={host.token_secret}')}"
        if VERSIONS[version].tokens
        else f"export VIRTIO_STUDY_PVE_USER={host.user} VIRTIO_STUDY_PVE_PASSWORD={shlex.quote(host.password)}"
    )
    complete = r"sed -i -E 's/ \((say what it does|diga qué hace)\)//; s/guest_os: null/guest_os: windows/'"
    made = [
        Pasted("secret", secret),
        Pasted("inventory", f"virtio-study inventory {where}"),
        Pasted("new", f"virtio-study new data/mine {servers} {where}"),
        Pasted("complete", f"{complete} data/mine/study.yaml"),
        Pasted("doctor", "virtio-study doctor mine"),
        Pasted("watch", "virtio-study watch mine --hours 0.15"),
    ]
    record = "virtio-study files answers mine"
    # a report needs recordings of both sides
    return [*made, Pasted("record", f"{record} && virtio-study run mine" if moment == "during" else record)]
