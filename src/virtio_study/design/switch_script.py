"""`switch.sh`: what an administrator reads, and a Proxmox VE host runs, to follow a schedule."""

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.study import Block, DriverConfiguration, Schedule, Server, hours_of

__all__ = ["switch_script"]

BODY = Path(__file__).with_name("switch.sh")

LATEST = timedelta(hours=1)
"""So long after its start a block's switch may begin; later it is missed."""

DISKS = {
    "ide": ("ide", "-"),
    "ahci": ("sata", "-"),
    "virtio-blk": ("virtio", "-"),
    **{hw: ("scsi", hw) for hw in ("virtio-scsi", "lsi", "lsi53c810", "megasas", "pvscsi")},
}
"""Model of a disk -> bus of Proxmox VE and its `scsihw`; `-` leaves what is there."""

CARDS = ("e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "vmxnet3")
"""Models of a card with Proxmox VE's own names (qemu-server, `PVE/QemuServer/Network.pm`)."""

LEFT = "-"

HEAD = """\
#!/usr/bin/env bash
# The switchback of the study {study}, for the Proxmox VE host on which its VMs run. Written by virtio-study: change the
# schedule in study.yaml and write it anew, never here. Read it, then, as root on that host:
#   bash switch.sh            what it would do; it changes nothing
#   bash switch.sh --run      does what is due now, once; for cron, every five minutes:
#                             */5 * * * * root bash /root/switch.sh --run
#   bash switch.sh --restore  gives every VM the configuration back that it had before the study
# After the last block every VM gets that by itself. Of each VM it changes the bus of the disks, the model of the cards
# (same MAC address), the balloon device and the machine, as declared below, and nothing else; of other VMs nothing.
# A VM that is locked, protected, replicated, under HA, has snapshots, pending changes or an unknown disk is refused.

STUDY={name}

# VM, block, start, last second at which its switch may begin, end (Unix time), driver configuration
schedule() {{ cat << 'END'
{blocks}
END
}}

# driver configuration, bus of the disks, scsihw, model of the cards, balloon device, iothread, machine; - as it is
declared() {{ cat << 'END'
{declared}
END
}}
"""


def switch_script(
    study: str,
    schedule: Schedule,
    servers: Mapping[str, Server],
    configurations: Mapping[str, DriverConfiguration],
) -> str:
    """The script for the blocks of a schedule, with the devices that its driver configurations declare.

    Raises
    ------
    StudyError
        If a driver configuration of the schedule declares a disk or card that Proxmox VE does not give.
    """
    used = sorted({block.driver_config for blocks in schedule.blocks.values() for block in blocks})
    lines = [
        f"{servers[server].vmid} {number} {block.start.timestamp():.0f} {_latest(block, schedule).timestamp():.0f} "
        f"{block.end.timestamp():.0f} {block.driver_config}"
        for server, blocks in schedule.blocks.items()
        for number, block in enumerate(blocks, start=1)
    ]
    declared = [f"{name} {_declared(name, configurations[name])}" for name in used]
    head = HEAD.format(
        study=" ".join(study.split()), name=shlex.quote(study), blocks="\n".join(lines), declared="\n".join(declared)
    )
    return head + BODY.read_text(encoding="utf-8")


def _latest(block: Block, schedule: Schedule) -> datetime:
    """Last moment of a late switch: an hour after the start, outside hours without restart, and in time to count."""
    latest = min(block.start + LATEST, block.end - timedelta(seconds=schedule.washout_s))
    if schedule.no_restart:
        first, _last = hours_of(schedule.no_restart)
        local = block.start.astimezone(ZoneInfo(schedule.zone))
        forbidden = datetime.combine(local.date(), first, ZoneInfo(schedule.zone))
        if forbidden.time() <= local.time() and first != time():
            forbidden = datetime.combine(local.date() + timedelta(days=1), first, ZoneInfo(schedule.zone))
        latest = min(latest, forbidden - timedelta(seconds=1))
    return latest


def _declared(name: str, config: DriverConfiguration) -> str:
    """One line of `declared`, without its name."""
    bus, controller = LEFT, LEFT
    if config.disk is not None:
        if config.disk not in DISKS:
            raise _cannot(name, "disk", config.disk, DISKS)
        bus, controller = DISKS[config.disk]
    card = LEFT
    if config.nic is not None:
        card = "virtio" if config.nic == "virtio-net" else config.nic
        if card not in (*CARDS, "virtio"):
            raise _cannot(name, "nic", config.nic, ("virtio-net", *CARDS))
    machine = config.machine or LEFT
    if len(machine.split()) != 1:
        raise _cannot(name, "machine", machine, ("pc", "q35", "pc-i440fx-10.0"))
    truths = {None: LEFT, True: "1", False: "0"}
    return f"{bus} {controller} {card} {truths[config.balloon_driver]} {truths[config.iothread]} {machine}"


def _cannot(name: str, key: str, value: str, known: Iterable[str]) -> StudyError:
    form = N_(
        "driver_configs.{name}.{key} is {value!r}: no switch to it can be written; expected one of {known}, or no such "
        "key"
    )
    return StudyError(form, name=name, key=key, value=value, known=", ".join(known))
