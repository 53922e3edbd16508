"""What the three RAM figures do when a driver is installed, by version of Proxmox VE and kind of guest.

Sources: qemu-server, `vmstatus` in `src/PVE/QemuServer.pm`, its commits d426de6c and 551c0078 (what `mem` is without
statistics of the balloon driver), c70e4ec3 (free page reporting from machine version 6.2 on, qemu-server 7.2-1);
Linux `drivers/virtio/virtio_balloon.c` (commit b0c504f1, 5.7); virtio-win `Balloon/sys/balloon.c` and issue 899.
"""

from dataclasses import dataclass
from typing import Literal

from virtio_study.i18n.marks import N_

__all__ = ["DEVICES", "SITUATIONS", "Situation"]

SCALED = N_("the host's figure, scaled by the process' address space")
OWN = N_("the host's figure, overhead of QEMU included")
LINUX = N_("what the guest says: total less free, its page cache counts as used")
WINDOWS = N_("what the guest says: total less free, its standby cache counts as free")
NOT_OFFERED = N_("stays: this version does not offer free page reporting")
NO_WINDOWS = N_("stays: Windows drivers have no free page reporting")
RETURNED = N_(
    "falls by what the guest keeps free, page cache not included, with machine version 6.2 or newer and Linux 5.7 or "
    "newer"
)
SAME = N_("stays: the same programs need the same memory")


@dataclass(frozen=True)
class Situation:
    """One row: what installing the balloon driver does to the displayed, the host's and the guest's figure."""

    versions: str
    guest_os: Literal["linux", "windows"]
    displayed_before: str
    displayed_after: str
    host: str
    guest: str = SAME


SITUATIONS: tuple[Situation, ...] = (
    Situation("4.2", "linux", SCALED, LINUX, NOT_OFFERED),
    Situation("4.2", "windows", SCALED, WINDOWS, NO_WINDOWS),
    Situation("5, 6", "linux", SCALED, LINUX, NOT_OFFERED),
    Situation("5, 6", "windows", SCALED, WINDOWS, NO_WINDOWS),
    Situation("7.2, 8", "linux", SCALED, LINUX, RETURNED),
    Situation("7.2, 8", "windows", SCALED, WINDOWS, NO_WINDOWS),
    Situation("9", "linux", OWN, LINUX, RETURNED),
    Situation("9", "windows", OWN, WINDOWS, NO_WINDOWS),
)
"""Version of Proxmox VE and guest -> what loading the balloon driver does."""

DEVICES = N_(
    "A VirtIO disk or network card gives no memory back in any of these: displayed and host RAM move by a few MiB at "
    "most, for rings, buffers and threads."
)
"""What disk and card do, in every row."""
