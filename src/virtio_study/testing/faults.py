"""What can be wrong with a host: faults that the embedded one shows on demand, and how long each lasts."""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Fault", "FaultKind", "Faults"]

FaultKind = Literal[
    "unauthorized",
    "forbidden",
    "no_permission",
    "no_sys_audit",
    "error",
    "pmxcfs_down",
    "pvedaemon_down",
    "node_unreachable",
    "proxy_timeout",
    "hung_qemu",
    "pvestatd_down",
    "truncated",
    "not_json",
    "null",
    "slow_drip",
    "reset",
    "no_answer",
]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        `unauthorized`, `forbidden`: 401, 403. `error`: 500 with `reason`. `no_permission`: the user has no rights at
        all, or none on server `vmid`: lists are shorter, single objects 403. `no_sys_audit`: nothing of nodes and
        tasks. `pmxcfs_down`: 500, no access list. `pvedaemon_down`: `595 Connection refused` where pvedaemon would
        answer. `node_unreachable`, `proxy_timeout`: 595, 596 below /nodes/. `hung_qemu`: server `vmid` (or all) lacks
        what QEMU would say. `pvestatd_down`: nothing is recorded from `since` on. `truncated`, `not_json`, `null`,
        `slow_drip` (`seconds` a piece), `reset`, `no_answer` (`seconds` at most): the answer itself is spoilt.
    path : str
        Regular expression searched in the path with its query; empty: every request.
    times : int, optional
        Only the first so many requests that it would hit; None: as long as it is there.
    """

    kind: FaultKind
    path: str = ""
    times: int | None = None
    vmid: int | None = None
    reason: str = ""
    since: float | None = None
    seconds: float = 0.02


class Faults:
    """The faults in force; safe to use from several threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._left: list[list[Fault | int | None]] = []
        self.add(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Put more faults in force."""
        with self._lock:
            self._left += [[fault, fault.times] for fault in faults]

    def clear(self) -> None:
        """Take every fault away."""
        with self._lock:
            self._left.clear()

    def hit(self, kinds: Iterable[str], path: str, vmid: int | None = None) -> Fault | None:
        """Return the first fault of these kinds that hits this request, and count it."""
        wanted = set(kinds)
        with self._lock:
            for entry in self._left:
                fault, left = entry
                assert isinstance(fault, Fault)
                if fault.kind not in wanted or left == 0 or not re.search(fault.path, path):
                    continue
                if fault.vmid is not None and fault.vmid != vmid:
                    continue
                if isinstance(left, int):
                    entry[1] = left - 1
                return fault
        return None
