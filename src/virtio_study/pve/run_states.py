"""What a server's virtual CPUs do while its process is there: QEMU's run state, which Proxmox VE calls `qmpstatus`."""

from virtio_study.pve.values import Sample

__all__ = ["NOT_RUNNING", "STATES", "why_not_running"]

NOT_RUNNING = "not running"

STATES: dict[str, str] = {
    "paused": "paused",
    "suspended": "suspended",
    "inmigrate": "migration",
    "postmigrate": "migration",
    "finish-migrate": "migration",
    "colo": "migration",
    "save-vm": "snapshot",
    "restore-vm": "snapshot",
}
"""Run state -> why a row meanwhile says nothing; every other one but `running` is `NOT_RUNNING`, also of a new QEMU.

References
----------
QEMU, `qapi/run-state.json` (`RunState`): the virtual CPUs execute in `running` alone. qemu-server, `vmstatus` in
`src/PVE/QemuServer.pm`: where QEMU does not answer, `qmpstatus` is that of the process.
"""

TELLS_NOTHING = {"", "running", "stopped"}


def why_not_running(sample: Sample) -> tuple[str, str]:
    """Why a sample is of a server that does not execute, and its run state where that says more; empty if it runs.

    Parameters
    ----------
    sample : mapping
        Keys of `status/current`; without `qmpstatus` nothing tells, and it counts as running.
    """
    state = str(sample.get("qmpstatus") or "").strip().lower()
    if state in TELLS_NOTHING:
        return "", ""
    reason = STATES.get(state, NOT_RUNNING)
    return reason, "" if reason == state else state
