"""The servers of a study, from their recordings, as a fleet of the nodes on which they were."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from virtio_study.cleaning.left_out import edges, touched
from virtio_study.errors import DataError
from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.i18n.marks import N_
from virtio_study.pve.ingredients import BALLOON_DRIVER, CARD, DISK, ReportingOutlook, models_of, reporting_outlook
from virtio_study.recording import Recording, names_of_recordings, read, verified_provenance
from virtio_study.sources.whereabouts import Stay, stays
from virtio_study.storage import manifest
from virtio_study.study import Study

__all__ = ["RecordedFleet"]

ANSWERS = re.compile(r"[^.].*\.jsonl(?:-[0-9a-f]+)?(?:\.zst)?", re.DOTALL)
"""Names of files of answers in a study: of those of a watch, and of those that were imported."""


@dataclass(frozen=True)
class RecordedFleet:
    """The recordings of a study: what was watched, collected or imported, server by server in order of time.

    On which node a server was when is told by the answers of which its recordings were made. Where none tells, it was
    on the study's host.
    """

    study: Study
    without: dict[str, None] = field(default_factory=dict)

    portable = False

    @cached_property
    def simulated(self) -> bool:
        """Whether a recording says of itself that it was not measured."""
        folder = self.study.folder
        names = names_of_recordings(manifest(folder))
        return any(verified_provenance(folder / name, folder).kind == "simulated" for name in names)

    @cached_property
    def _stays(self) -> dict[str, list[Stay]]:
        """Where every server was."""
        paths = sorted(path for path in (self.study.folder / "raw").glob("*") if ANSWERS.fullmatch(path.name))
        found = stays(paths, {server.vmid for server in self.study.servers.values()})
        here = [Stay(self.study.host.name, float("-inf"), float("inf"))]
        return {name: found.get(server.vmid, here) for name, server in self.study.servers.items()}

    @property
    def nodes(self) -> list[str]:
        """Nodes on which a server was, in order of name."""
        return sorted({stay.node for told in self._stays.values() for stay in told})

    def servers(self, node: str) -> Sequence[ServerHistory]:
        """Every server with a recording of its time on the node.

        Raises
        ------
        DataError
            If no server has a recording, one cannot be read, or the study is a laboratory's, whose boots run beside one
            another.
        """
        if self.study.source != "recordings":
            raise DataError(
                N_(
                    "{study}: its source is {source}, which is no history of servers; name a study whose source is "
                    "recordings (from watch, collect or files)"
                ),
                study=self.study.name,
                source=self.study.source,
            )
        folder = self.study.folder
        listed = manifest(folder)
        of = {server: names_of_recordings(listed, f"recordings/{server}/") for server in self._stays}
        if not any(of.values()):
            raise DataError(
                N_("{folder}: no recording of any server; record first: virtio-study watch {study}"),
                folder=folder / "recordings",
                study=self.study.name,
            )
        found = []
        for server, names in of.items():
            there = [place for place, stay in enumerate(self._stays[server]) if stay.node == node]
            if not there:
                continue
            whole = _history(server, node, [read(folder / name, folder) for name in names]) if names else None
            if whole is None or not len(whole.rows):
                self.without[server] = None
                continue
            found += [part for place in there if len((part := _part(whole, self._stays[server], place)).rows)]
        return found


def _history(server: str, node: str, recorded: Sequence[Recording]) -> ServerHistory:
    ordered = sorted(recorded, key=lambda item: item.frame["time"].iloc[0])
    rows = pd.concat([_undisturbed(item) for item in ordered], ignore_index=True)
    rows = rows.sort_values("time", kind="stable").drop_duplicates("time").reset_index(drop=True)
    emulated = any(item.provenance.accelerator == "tcg" for item in ordered)
    setups = tuple(_setup(item) for item in ordered)
    return ServerHistory(server, node, rows, setups, emulated, _reporting(ordered[-1], setups[-1]))


def _part(whole: ServerHistory, told: Sequence[Stay], place: int) -> ServerHistory:
    """What a server was in one of its stays: rows that lie within, and the setups that were in force then."""
    if len(told) == 1:
        return whole
    stay = told[place]
    begins, ends = edges(whole.rows)
    rows = whole.rows[(begins >= stay.start_s) & (ends <= stay.end_s)].reset_index(drop=True)
    before = [setup for setup in whole.setups if setup.since_s <= stay.start_s][-1:]
    within = [setup for setup in whole.setups if stay.start_s < setup.since_s <= stay.end_s]
    return replace(whole, rows=rows, setups=(*before, *within), left=place < len(told) - 1)


def _undisturbed(recorded: Recording) -> pd.DataFrame:
    """Rows that neither a backup, a migration nor anything else that is known went on in."""
    kept: pd.DataFrame = recorded.frame[touched(recorded.frame, recorded.provenance.contaminated) == ""]
    return kept


def _setup(recorded: Recording) -> Setup:
    first = recorded.frame.iloc[0]
    told = recorded.provenance.devices.get(BALLOON_DRIVER.replace(" ", "_"))
    statistics = recorded.frame["mem_instrument"].eq("guest_stats").any()
    parts = {part: models_of([recorded.provenance], part, None) for part in (DISK, CARD)}
    parts[BALLOON_DRIVER] = told or ("loaded" if statistics else "not loaded")
    since_s = first["time"].timestamp() - float(first["step_s"])
    return Setup(since_s, {part: value for part, value in parts.items() if value})


def _reporting(recorded: Recording, setup: Setup) -> ReportingOutlook:
    """Whether free pages were reported or could be, by the configuration and the versions of a recording."""
    config = dict(line.split(": ", 1) for line in recorded.provenance.vm_config if ": " in line)
    versions = recorded.provenance.versions
    machine = versions.get("running machine") or config.get("machine", "")
    sends = {"loaded": True, "not loaded": False}.get(setup.parts.get(BALLOON_DRIVER, ""))
    return reporting_outlook(config.get("ostype", ""), machine, versions.get("proxmox-ve"), sends)
