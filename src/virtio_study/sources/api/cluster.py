"""What the list of a cluster's resources shows: its servers, its nodes, and which of them are silent or off."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.pve.values import number, vmid_in
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.remedies import good

__all__ = ["RESOURCES", "Cluster", "Resource", "resources"]

RESOURCES = "/cluster/resources"


@dataclass(frozen=True)
class Resource:
    """A server as `/cluster/resources` shows it: where it is, and what its node told of it, if it did.

    A node whose pvestatd has been silent for five minutes tells no name and no size, and the status is `unknown`.
    `disk_bytes` is 0 where it is not told.
    """

    vmid: int
    node: str
    name: str
    status: str
    template: bool
    disk_bytes: int

    @classmethod
    def of(cls, number: int, row: Mapping[str, object]) -> "Resource":
        """Read the row of a server's number, which has a node."""
        return cls(
            vmid=number,
            node=str(row["node"]),
            name=str(row.get("name", "")),
            status=str(row.get("status", "")),
            template=str(row.get("template") or "0") != "0",
            disk_bytes=_whole(row.get("maxdisk")),
        )


@dataclass(frozen=True)
class Cluster:
    """Servers by their number, containers, the nodes that may answer, and those that are known to be off."""

    servers: Mapping[int, Resource] = field(default_factory=dict)
    containers: frozenset[int] = frozenset()
    hosts: tuple[str, ...] = ()
    off: frozenset[str] = frozenset()

    @classmethod
    def of(cls, resources: object) -> "Cluster":
        """Read the data of `/cluster/resources`; what has another shape in it is passed over."""
        rows = [row for row in resources if isinstance(row, dict)] if isinstance(resources, list) else []
        nodes = {str(row["node"]): row.get("status") for row in rows if row.get("type") == "node" and row.get("node")}
        guests = [(known, row) for row in rows if row.get("node") and (known := vmid_in(row.get("vmid")))]
        found = [Resource.of(known, row) for known, row in guests if row.get("type") == "qemu"]
        return cls(
            servers={item.vmid: item for item in found},
            containers=frozenset(known for known, row in guests if row.get("type") == "lxc"),
            hosts=tuple(sorted(name for name, status in nodes.items() if status != "offline")),
            off=frozenset(name for name, status in nodes.items() if status == "offline"),
        )

    @property
    def nodes(self) -> dict[int, str]:
        """Node of every server by its number."""
        return {vmid: item.node for vmid, item in self.servers.items()}

    @property
    def silent(self) -> frozenset[str]:
        """Nodes that are not off and whose servers are all unknown: pvestatd has said nothing for five minutes."""
        told: dict[str, set[str]] = {}
        for item in self.servers.values():
            told.setdefault(item.node, set()).add(item.status)
        return frozenset(node for node, seen in told.items() if seen == {"unknown"} and node not in self.off)


def _whole(value: object) -> int:
    try:
        found = number(value)
    except ValueError:
        return 0
    return int(found) if found > 0 else 0


def resources(client: Client) -> list[object]:
    """Rows of the list of a cluster.

    Raises
    ------
    DataError
        If it cannot be had, or what answers gives no list.
    """
    what = said(N_("the list of servers"))
    rows = good(client.get(RESOURCES), what, client)
    if not isinstance(rows, list):
        raise DataError(
            N_("{what}: {path}: the answer is no list; is it Proxmox VE that answers at {host}:{port}?"),
            what=what,
            path=RESOURCES,
            host=client.endpoint.host,
            port=str(client.endpoint.port),
        )
    return rows
