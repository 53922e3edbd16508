"""When each driver configuration was in force: runs of a server, as an import found them or as recordings show them."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from pydantic import RootModel

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.analysis.description import Description
from virtio_study.analysis.records import Line, Moment, Phrase, Recorded
from virtio_study.pve.devices import unclassifiable
from virtio_study.pve.instruments import instrument
from virtio_study.recording import Provenance

__all__ = ["RunDisturbance", "Runs", "Timeline", "TimelineRun", "recorded_runs", "with_start_up"]


class RunDevices(Recorded):
    """Devices that a server had in a run; empty where nothing tells."""

    disk: Line = ""
    network: Line = ""


class RunDisturbance(Recorded):
    """What else went on in a run, in Unix seconds."""

    start_s: Moment
    end_s: Moment
    reason: Line
    detail: Line = ""


class TimelineRun(Recorded):
    """A stretch of a server under one configuration in force, in Unix seconds.

    `driver_config` is the study's name for it, empty where it has none; then `why` says what was found. `instruments`
    are `(since, whose view the displayed memory was)`. `waiting` are keys of the configuration that were changed and
    not in force; `hidden` what may hide other devices. `start_up_s` is the start-up that was left out.
    """

    driver_config: Line
    replicate: Line = ""
    started_s: Moment
    start_s: Moment
    end_s: Moment
    devices: RunDevices
    balloon_driver: bool
    instruments: tuple[tuple[Moment, str], ...]
    contaminated: tuple[RunDisturbance, ...]
    waiting: tuple[Line, ...] = ()
    hidden: tuple[Line, ...] = ()
    why: Line | Phrase = ""
    digest: Line = ""
    start_up_s: int | None = None
    vmid: int | None = None
    qemu: Line = ""
    machine: Line = ""
    proxmox: Line = ""


Timeline = dict[str, tuple[TimelineRun, ...]]
Runs = RootModel[Timeline]
"""`timeline.json`: server -> its runs."""


def with_start_up(
    runs: Mapping[str, Sequence[TimelineRun]], described: Mapping[str, Mapping[str, Description]]
) -> Timeline:
    """Runs of every server, with how long each took to start."""
    start_up = {
        (server, config, boot.replicate): round(boot.transient_s)
        for server, configurations in described.items()
        for config, found in configurations.items()
        for boot in found.boots
    }
    return {
        server: tuple(
            run.model_copy(update={"start_up_s": start_up.get((server, run.driver_config, run.replicate))})
            for run in of_server
        )
        for server, of_server in runs.items()
    }


def recorded_runs(arms: Iterable[Arm]) -> tuple[TimelineRun, ...]:
    """Recordings of a server as runs, in order of time."""
    runs = [
        _run(arm.driver_config, boot, known)
        for arm in arms
        for boot in arm.boots
        if (known := [item for item in arm.provenances if item.replicate == boot.replicate])
    ]
    return tuple(sorted(runs, key=lambda run: run.start_s))


def _run(driver_config: str, boot: Boot, pieces: Sequence[Provenance]) -> TimelineRun:
    """A boot as a run; of one that was recorded in pieces the first says with which devices it began."""
    rows, known = boot.rows, pieces[0]
    ends = rows["time"].map(pd.Timestamp.timestamp)
    views = [instrument(str(name)).view for name in rows["mem_instrument"]]
    start_s = float(ends.iloc[0] - rows["step_s"].iloc[0])
    changed = [row for row, view in enumerate(views) if row == 0 or view != views[row - 1]]
    return TimelineRun(
        driver_config=driver_config,
        replicate=known.replicate,
        started_s=start_s,
        start_s=start_s,
        end_s=float(ends.iloc[-1]),
        devices=RunDevices(**{kind: known.devices[kind] for kind in ("disk", "network") if kind in known.devices}),
        balloon_driver="guest" in views,
        instruments=tuple((float(ends.iloc[row] - rows["step_s"].iloc[row]), views[row]) for row in changed),
        contaminated=tuple(
            RunDisturbance(start_s=start, end_s=end, reason=reason)
            for piece in pieces
            for start, end, reason in piece.contaminated
            if reason != "start-up"  # it is in the rows' own
        ),
        hidden=tuple(unclassifiable(dict(line.partition(": ")[::2] for line in known.vm_config))),
        digest=known.config_digest,
    )
