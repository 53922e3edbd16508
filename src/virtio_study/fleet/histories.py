"""What a fleet is made of: every server's rows, and what it ran on from which moment, node by node."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from virtio_study.pve.ingredients import BALLOON_DRIVER, CARD, DISK, ReportingOutlook

__all__ = ["CHANGEABLE", "Fleet", "ServerHistory", "Setup"]

CHANGEABLE = (BALLOON_DRIVER, DISK, CARD)
"""What a change of a server is looked for in, in the order in which a change is named."""


@dataclass(frozen=True)
class Setup:
    """What a server ran on from a moment on: its start of interest (Unix seconds), and part -> what it had of it.

    Parts are those of `CHANGEABLE`; one that is not known is left out, and then is no change.
    """

    since_s: float
    parts: Mapping[str, str]


@dataclass(frozen=True)
class ServerHistory:
    """One server: rows of the recording schema in order of time, and its setups, oldest first.

    A server that went to another node is one of each of them, with its rows there; `left` says that it is not on this
    one at the end. `emulated` says that its CPU time is that of a software emulator; `reporting` is that of free pages,
    at its end, and `requests_per_s` its disk requests, where they were counted.
    """

    server: str
    node: str
    rows: pd.DataFrame
    setups: tuple[Setup, ...]
    emulated: bool = False
    reporting: ReportingOutlook = "not known"
    requests_per_s: float | None = None
    left: bool = False


class Fleet(Protocol):
    """Servers by node; a node is read when it is asked for, so that no more than one has to be in memory."""

    @property
    def nodes(self) -> Sequence[str]:
        """Names of the nodes, in order."""

    @property
    def simulated(self) -> bool:
        """Whether its numbers were made up."""

    @property
    def portable(self) -> bool:
        """Whether another machine can make the rows by itself, of what `repr` says of the fleet."""

    @property
    def without(self) -> Collection[str]:
        """Names of servers that gave no rows, as far as their nodes were looked at."""

    def servers(self, node: str) -> Sequence[ServerHistory]:
        """Every server of a node."""
