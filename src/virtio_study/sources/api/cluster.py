"""What the list of a cluster's resources shows: its servers, and the nodes that may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from virtio_study.pve.values import number

__all__ = ["RESOURCES", "Cluster", "Resource"]

RESOURCES = "/cluster/resources"


@dataclass(frozen=True)
class Resource:
    """A server as `/cluster/resources` shows it: where it is, and its allocation, 0 where not told."""

    vmid: int
    node: str
    name: str
    status: str
    template: bool
    vcpus: int
    memory_bytes: int
    disk_bytes: int

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Resource":
        """Read a row that has a number and a node."""
        return cls(
            vmid=int(str(row["vmid"])),
            node=str(row["node"]),
            name=str(row.get("name", "")),
            status=str(row.get("status", "")),
            template=bool(row.get("template")),
            vcpus=_whole(row.get("maxcpu")),
            memory_bytes=_whole(row.get("maxmem")),
            disk_bytes=_whole(row.get("maxdisk")),
        )


@dataclass(frozen=True)
class Cluster:
    """Servers by their number, and the nodes that may answer: all but those that are known to be off."""

    servers: Mapping[int, Resource] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, resources: object) -> "Cluster":
        """Read the data of `/cluster/resources`; what has another shape in it is passed over."""
        rows = [row for row in resources if isinstance(row, dict)] if isinstance(resources, list) else []
        listed = [row for row in rows if row.get("type") == "node" and row.get("node")]
        servers = (row for row in rows if row.get("type") == "qemu" and row.get("node"))
        found = [Resource.of(row) for row in servers if str(row.get("vmid")).isdecimal()]
        return cls(
            servers={item.vmid: item for item in found},
            hosts=tuple(sorted({str(row["node"]) for row in listed if row.get("status") != "offline"})),
        )

    @property
    def nodes(self) -> dict[int, str]:
        """Node of every server by its number."""
        return {vmid: item.node for vmid, item in self.servers.items()}


def _whole(value: object) -> int:
    try:
        found = number(value)
    except ValueError:
        return 0
    return int(found) if found > 0 else 0
