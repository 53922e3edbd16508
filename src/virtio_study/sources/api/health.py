"""How servers and nodes are, by what they answer: paused, hung, off, or measured by nobody, and what to do about it."""

from collections.abc import Iterable, Mapping

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.values import Sample, number
from virtio_study.sources.api.client import Reply

__all__ = ["HUNG", "node_off", "not_measured", "remedy_of", "silent_s", "state_of", "troubled"]

HUNG = "hung"
FROM_QEMU = ("blockstat", "running-machine", "ballooninfo")
"""What QEMU itself is asked for; without any of it, it did not answer."""

LATE_S = 240.0
"""Rows of a minute come within two; a node that wrote none for longer has no pvestatd at work."""


def state_of(status: Sample) -> str:
    """Whether a server executes: running, stopped, `hung` where QEMU does not answer, or QEMU's own word for a pause.

    Parameters
    ----------
    status : mapping
        The answer of `status/current`.
    """
    state, run_state = str(status.get("status") or "unknown"), str(status.get("qmpstatus") or "")
    if state == "running" and run_state and not any(key in status for key in FROM_QEMU):
        return HUNG
    return run_state if state == "running" and run_state not in ("", "running") else state


def remedy_of(state: str, vmid: int) -> Said | None:
    """What to do about a server that is there and does not execute; None for one that runs or is off."""
    if state in ("running", "stopped", "unknown"):
        return None
    if state == HUNG:
        return said(
            N_("on its node: qm monitor {vmid}; if that does not answer either, stop and start the server"), vmid=vmid
        )
    if state == "io-error":
        return said(N_("make room on its storage, then on its node: qm resume {vmid}"), vmid=vmid)
    return said(N_("on its node: qm resume {vmid}"), vmid=vmid)


def troubled(replies: Iterable[Reply]) -> list[tuple[int, str]]:
    """Servers that are there and do not execute, by their number, with their state, among replies."""
    found = {}
    for reply in replies:
        if reply.good and reply.path.endswith("/status/current") and isinstance(reply.data, Mapping):
            vmid, state = int(reply.path.split("/")[4]), state_of(reply.data)
            if remedy_of(state, vmid):
                found[vmid] = state
    return sorted(found.items())


def silent_s(rows: object) -> float:
    """Seconds at the end of a node's rrddata rows without a value, which pvestatd has not written; 0 if it works.

    Parameters
    ----------
    rows : list of mapping
        Rows of `timeframe=hour`; rrdtool gives one for every minute, those without a value with nothing but the time.
    """
    times, written = [], []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping) and "time" in row:
            times.append(number(row["time"]))
            written += times[-1:] if any(row.get(key) is not None for key in row if key != "time") else []
    lasted = max(times) - max(written) if written else max(times) - min(times) if times else 0.0
    return lasted if lasted >= LATE_S else 0.0


def not_measured(node: str, seconds: float = 0.0) -> tuple[Said, Said]:
    """What is wrong with a node whose pvestatd is silent, for so many seconds (0: some minutes), and the remedy."""
    cure = said(
        N_("on it: systemctl restart pvestatd; rows of the time without it are lost, polls of watch are not"), node=node
    )
    if seconds:
        form = N_("{node}: pvestatd has written no row for {minutes:.0f} minutes")
        return said(form, node=node, minutes=seconds / 60), cure
    return said(N_("{node}: pvestatd has been silent for five minutes or more"), node=node), cure


def node_off(node: str) -> tuple[Said, Said]:
    """What is wrong with a node that is off, and the remedy."""
    return (
        said(N_("node {node} is off or cut off from the cluster"), node=node),
        said(N_("collect again when it is back")),
    )
