"""The servers of a study, from their recordings, as a fleet of one node."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from virtio_study.cleaning.left_out import touched
from virtio_study.errors import DataError
from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.i18n.marks import N_
from virtio_study.pve.ingredients import BALLOON_DRIVER, CARD, DISK, ReportingOutlook, models_of, reporting_outlook
from virtio_study.recording import Recording, read
from virtio_study.storage import manifest
from virtio_study.study import Study

__all__ = ["RecordedFleet"]


@dataclass(frozen=True)
class RecordedFleet:
    """The recordings of a study: what was watched, collected or imported, server by server in order of time.

    A recording does not say on which node its server was: the servers of a study are taken as those of one.
    """

    study: Study

    portable = False

    @cached_property
    def simulated(self) -> bool:
        """Whether a recording says of itself that it was not measured."""
        folder = self.study.folder
        names = [name for name in manifest(folder) if name.startswith("recordings/") and name.endswith(".parquet")]
        return any(read(folder / name, folder).provenance.kind == "simulated" for name in names)

    @property
    def nodes(self) -> list[str]:
        """The study's host alone: a study has one."""
        return [self.study.host.name]

    def servers(self, node: str) -> Sequence[ServerHistory]:
        """Every server with a recording.

        Raises
        ------
        DataError
            If there is none, one cannot be read, or the study is a laboratory's, whose boots run beside one another.
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
        listed = [name for name in manifest(self.study.folder) if name.endswith(".parquet")]
        found = []
        for server in self.study.servers:
            names = [name for name in sorted(listed) if name.startswith(f"recordings/{server}/")]
            if names:
                folder = self.study.folder
                history = _history(server, node, [read(folder / name, folder) for name in names])
                found += [history] if len(history.rows) else []
        if not found:
            raise DataError(
                N_("{folder}: no recording of any server; record first: virtio-study watch {study}"),
                folder=self.study.folder / "recordings",
                study=self.study.name,
            )
        return found


def _history(server: str, node: str, recorded: Sequence[Recording]) -> ServerHistory:
    ordered = sorted(recorded, key=lambda item: item.frame["time"].iloc[0])
    rows = pd.concat([_undisturbed(item) for item in ordered], ignore_index=True)
    rows = rows.sort_values("time", kind="stable").drop_duplicates("time").reset_index(drop=True)
    emulated = any(item.provenance.accelerator == "tcg" for item in ordered)
    setups = tuple(_setup(item) for item in ordered)
    return ServerHistory(server, node, rows, setups, emulated, _reporting(ordered[-1], setups[-1]))


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
