"""What differs between the versions of Proxmox VE that the embedded host can pretend to be.

Source: the published git histories of pve-manager, qemu-server, pve-cluster, pve-http-server and pve-access-control;
the RRD readers are `data/PVE/Cluster.pm` (4 to 6) and `src/PVE/RRD.pm` (from 7) of pve-cluster at the tags of each
release.
"""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["VERSIONS", "Version", "VersionName"]

VersionName = Literal["4.4", "6.4", "7.4", "8.4", "9.0", "9.2"]


@dataclass(frozen=True)
class Version:
    """One release: what it says of itself, and which of the behaviours below it has.

    `memory_of_host` is how `mem` is made without guest statistics: resident size scaled by virtual size (`rss_scaled`),
    proportional set size (`pss`) or control group (`cgroup`). `reader` is the RRD reader: `8` (70 rows), `9.0`, `9.1`.
    """

    answer: dict[str, Any]
    manager: str
    qemu: str
    kernel: str
    reader: Literal["8", "9.0", "9.1"]
    memory_of_host: Literal["rss_scaled", "pss", "cgroup"]
    qemu_server: str
    number: tuple[int, int]

    @property
    def tokens(self) -> bool:
        """API tokens: from 6.2."""
        return self.number >= (6, 2)

    @property
    def message_in_body(self) -> bool:
        """The reason also in the body: from pve-http-server 5.2.0, in 8.4."""
        return self.number >= (8, 4)

    @property
    def one_reason_for_401(self) -> bool:
        """`Authentication failed!` whatever the cause: from pve-manager 9.1.5."""
        return self.number >= (9, 2)

    @property
    def numbers_as_strings(self) -> bool:
        """Some numbers come as strings: up to 6."""
        return self.number < (7, 0)

    @property
    def memory_as_string(self) -> bool:
        """`memory` of the configuration is a string: from qemu-server 8.0.8, in 8.1."""
        return self.number >= (8, 1)

    @property
    def current_kernel(self) -> bool:
        """The field `current-kernel` in the node's status: from pve-manager 8.1.0."""
        return self.number >= (8, 1)

    @property
    def host_memory(self) -> bool:
        """`memhost` and pressures: from 9."""
        return self.number >= (9, 0)

    @property
    def agent_privilege(self) -> str:
        """The privilege that reading through the guest agent needs."""
        return "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted" if self.number >= (9, 0) else "VM.Monitor"


def _plain(release: str, version: str, repoid: str) -> dict[str, Any]:
    return {"version": version, "release": release, "repoid": repoid}


VERSIONS: dict[str, Version] = {
    "4.4": Version(
        _plain("13", "4.4", "7ea56165") | {"keyboard": "en-us"},
        "pve-manager/4.4-13/7ea56165",
        "2.7.1",
        "4.4.49-1-pve",
        "8",
        "rss_scaled",
        "4.0-110",
        (4, 4),
    ),
    "6.4": Version(
        _plain("6.4", "6.4-15", "af7986e6"),
        "pve-manager/6.4-15/af7986e6",
        "5.2.0",
        "5.4.203-1-pve",
        "8",
        "rss_scaled",
        "6.4-2",
        (6, 4),
    ),
    "7.4": Version(
        _plain("7.4", "7.4-16", "0f39f621"),
        "pve-manager/7.4-16/0f39f621",
        "7.2.0",
        "5.15.108-1-pve",
        "8",
        "rss_scaled",
        "7.4-3",
        (7, 4),
    ),
    "8.4": Version(
        _plain("8.4", "8.4.1", "2a5fa54a8503f96d"),
        "pve-manager/8.4.1/2a5fa54a8503f96d",
        "9.2.0",
        "6.8.12-10-pve",
        "8",
        "rss_scaled",
        "8.4.1",
        (8, 4),
    ),
    "9.0": Version(
        _plain("9.0", "9.0.3", "025864202ebb6109"),
        "pve-manager/9.0.3/025864202ebb6109",
        "10.0.2",
        "6.14.8-2-pve",
        "9.0",
        "pss",
        "9.0.18",
        (9, 0),
    ),
    "9.2": Version(
        _plain("9.2", "9.2.11", "14a22df35955d97d"),
        "pve-manager/9.2.11/14a22df35955d97d",
        "11.0.0",
        "7.0.2-1-pve",
        "9.1",
        "cgroup",
        "9.2.6",
        (9, 2),
    ),
}
