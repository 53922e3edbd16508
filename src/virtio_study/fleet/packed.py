"""A node as it travels to whoever estimates its changes: what makes its rows, or the rows themselves."""

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from virtio_study.fleet.histories import Fleet, ServerHistory

__all__ = ["PackedNode", "packed"]


@dataclass(frozen=True)
class PackedNode:
    """A node's servers: made where they are wanted by a fleet that can, or compressed rows; no file, host or token."""

    node: str
    fleet: Fleet | None
    content: bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what its rows are made of."""
        return hashlib.sha256(self.content).hexdigest()

    def servers(self) -> Sequence[ServerHistory]:
        """Every server of the node."""
        if self.fleet:
            return self.fleet.servers(self.node)
        import zstandard

        found: Sequence[ServerHistory] = pickle.loads(zstandard.decompress(self.content))
        return found


def packed(fleet: Fleet, node: str) -> PackedNode:
    """A node of a fleet; its rows are read now unless another machine can make them."""
    if fleet.portable:
        return PackedNode(node, fleet, repr(fleet).encode())
    import zstandard

    return PackedNode(node, None, zstandard.compress(pickle.dumps(fleet.servers(node), protocol=5), 1))
