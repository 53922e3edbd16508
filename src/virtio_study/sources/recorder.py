"""Keeping what a source gave: raw files compressed, frames cut at the study's windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from virtio_study import __version__, storage
from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, english, said
from virtio_study.pve.devices import devices, models
from virtio_study.pve.values import Config
from virtio_study.recording import Provenance
from virtio_study.sources.bounds import measured_rows
from virtio_study.sources.events import counter_spikes, edits
from virtio_study.sources.history import Disturbance, History, InForce
from virtio_study.sources.outcomes import Imported, NotRecorded
from virtio_study.sources.replacing import Recordable, keep_window
from virtio_study.sources.spread_zeros import began_anew
from virtio_study.sources.standstill import stood_still
from virtio_study.study import Study, Window

__all__ = [
    "ENOUGH",
    "SourceFacts",
    "choose",
    "keep_raw",
    "no_window",
    "provenance_of",
    "write_windows",
]

ENOUGH = 0.95
"""A finer step is taken if it covers this share of what the best one covers."""


@dataclass(frozen=True)
class SourceFacts:
    """What a source tells of all rows that it gave, as in `Provenance`.

    `all_known` says that its rows were made of all that the study ever had from it: then a recording of less is made
    anew where what is known now judges its rows otherwise.
    """

    source: str
    inputs: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    simulated: bool = False
    all_known: bool = False


def keep_raw(study: Study, paths: Sequence[Path]) -> dict[str, str]:
    """Keep files as they came, compressed, beside the recordings, and list them in the manifest.

    Returns
    -------
    dict
        Kept file, relative to the study's folder -> SHA-256 of what it was made of.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    import zstandard

    kept = {}
    for path in paths:
        if path.resolve().parent == (study.folder / "raw").resolve():  # it is kept there already
            kept[f"raw/{path.name}"] = storage.sha256(path)
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(N_("{path}: cannot be read: {reason}"), path=path, reason=error) from error
        digest = storage.sha256(path)
        folder = path.resolve().parent.name
        done = path.suffix == ".zst"
        place = study.folder / "raw" / f"{folder}-{path.name.removesuffix('.zst')}-{digest[:12]}.zst"
        with storage.one_writer(study.folder):
            if not place.exists():
                packed = content if done else zstandard.ZstdCompressor(level=9).compress(content)
                storage.write_atomically(place, packed)
            storage.add_file(study.folder, place)
        kept[place.relative_to(study.folder).as_posix()] = digest
    return kept


def write_windows(
    study: Study,
    server: str,
    frames: Mapping[float, pd.DataFrame],
    replicate: str,
    origin: SourceFacts,
    disturbances: Sequence[Disturbance] = (),
    history: History | None = None,
) -> list[Imported]:
    """Cut a server's frames at the study's windows and write one recording for each window.

    Parameters
    ----------
    study : Study
        Its windows say which driver configuration was in force when.
    server : str
        Name of the server.
    frames : dict of float to DataFrame
        Seconds between rows -> frame of the schema; see `choose`.
    replicate : str
        What the names of the recordings begin with: `rrd`, `csv`, ...; the number of the window follows.
    origin : Origin
        Of the rows.
    disturbances : sequence of Disturbance, optional
        Known beside the study's log.
    history : History, optional
        A window inside which a configuration in force has other devices than the window's driver configuration is not
        recorded, and what was edited between two inside disturbs the rows between.

    Returns
    -------
    list of Outcome
        One for each window; see `keep_window`.

    Raises
    ------
    StudyError
        If the study has no window for the server.
    DataError
        If no row lies in any window, or a row of each breaks the schema.
    """
    windows = sorted((w for w in study.windows if w.server == server), key=lambda w: w.start)
    if not windows:
        raise no_window(study, said(N_("window for server {server!r}"), server=server))
    done: list[Imported] = []
    failed: list[Said] = []
    for number, window in enumerate(windows, 1):
        try:
            name = f"{replicate}-{number:02d}"
            done.append(_write_window(study, window, name, frames, origin, disturbances, history))
        except DataError as error:  # the other windows are recorded all the same
            failed.append(said(error.message, **error.numbers))
            done.append(NotRecorded(server, failed[-1]))
    if len(failed) == len(windows):
        raise DataError("{reasons}", reasons=failed)
    return done


def _write_window(
    study: Study,
    window: Window,
    replicate: str,
    frames: Mapping[float, pd.DataFrame],
    origin: SourceFacts,
    disturbances: Sequence[Disturbance],
    history: History | None,
) -> Imported:
    """Write the recording of one window, or say why there is none."""
    start, end = window.start.timestamp(), window.end.timestamp()
    shown = [item for item in history.configs if start < item.time_s < end] if history else []
    if wrong := _contradiction(study, window, shown):
        return NotRecorded(window.server, wrong)
    frame, note = choose(frames, window)
    contaminated, moments = _disturbances(
        study, window, [*disturbances, *counter_spikes(frame), *stood_still(frame), *began_anew(frame), *edits(shown)]
    )
    kernel = history.kernel_at(end) if history else ""
    versions = {**origin.versions, **({"host_kernel": kernel} if kernel else {})}
    origin = replace(origin, versions=versions, notes=[english(note), *moments, *origin.notes])
    config = shown[0].config if shown else None
    known = provenance_of(study, window.server, window.driver_config, replicate, frame, origin, config, contaminated)
    if history and (started_s := history.started_at(start)):
        known = known.model_copy(update={"events": {"started": started_s}})
    return keep_window(study, Recordable(frame, known, note), origin.all_known)


def provenance_of(
    study: Study,
    server: str,
    driver_config: str,
    replicate: str,
    frame: pd.DataFrame,
    origin: SourceFacts,
    config: Config | None,
    contaminated: Sequence[Disturbance],
) -> Provenance:
    """Provenance of rows of a server under a driver configuration; `config` is what was in force, None if not known."""
    told = config or {}
    kinds = devices(told)
    emulated = str(told.get("kvm", "1")) == "0"
    return Provenance(
        study=study.name,
        server=server,
        driver_config=driver_config,
        replicate=replicate,
        kind="simulated" if origin.simulated else "emulated" if emulated else "measured",
        source=origin.source,
        collector_version=__version__,
        started_at=frame["time"].iloc[0].isoformat(),
        accelerator=None if config is None else "tcg" if emulated else "kvm",
        versions=origin.versions,
        devices={} if config is None else {kind: models(kinds, kind) for kind in ("disk", "network")},
        vm_config=[f"{key}: {value}" for key, value in sorted(told.items()) if key != "description"],
        config_digest=str(told.get("digest", "")),
        inputs=origin.inputs,
        contaminated=[(item.start_s, item.end_s, item.reason) for item in contaminated],
        notes=[*origin.notes],
    )


def _contradiction(study: Study, window: Window, shown: Sequence[InForce]) -> Said | None:
    """How a configuration that was in force in a window differs from what the window claims; None if none does."""
    claimed = study.driver_configs[window.driver_config]
    for item in shown:
        for kind, model in (("disk", claimed.disk), ("network", claimed.nic)):
            seen = models(devices(item.config), kind)
            if model is not None and model != seen:
                return said(
                    N_(
                        "window {window} from {start} claims {kind:kind} {model}; the host's configuration of {at} UTC "
                        "has {seen}"
                    ),
                    window=window.driver_config,
                    start=window.start.isoformat(),
                    kind=kind,
                    model=model,
                    at=f"{pd.Timestamp(item.time_s, unit='s'):%Y-%m-%d %H:%M:%S}",
                    seen=seen or said(N_("none")),
                )
    return None


def choose(frames: Mapping[float, pd.DataFrame], window: Window) -> tuple[pd.DataFrame, Said]:
    """Rows of the finest frame that covers a window nearly as well as the best one does, and a sentence on them.

    Parameters
    ----------
    frames : dict of float to DataFrame
        Seconds between rows -> frame of the schema.
    window : Window
        A row is inside if its whole interval is; one without any measured value covers nothing.

    Raises
    ------
    DataError
        If no row of any frame is inside, or none of them has a value; the message says when the rows are from.
    """
    start, end = pd.Timestamp(window.start), pd.Timestamp(window.end)
    inside = []
    for _, frame in sorted(frames.items()):
        begins = frame["time"] - pd.to_timedelta(frame["step_s"], unit="s")
        inside.append(frame[(begins >= start) & (frame["time"] <= end)])
    covered = [float(part.loc[measured_rows(part), "step_s"].sum()) for part in inside]
    if not any(covered):
        times = pd.concat([frame["time"] for frame in frames.values()])
        outside = N_("{server}, {driver_config}: no row from {start} to {end}; the rows are from {first} to {last}")
        off = N_(
            "{server}, {driver_config}: no row from {start} to {end} has CPU or memory: the server was off, or nothing "
            "was measured; other rows are from {first} to {last}"
        )
        raise DataError(
            off if any(map(len, inside)) else outside,
            server=window.server,
            driver_config=window.driver_config,
            start=window.start.isoformat(),
            end=window.end.isoformat(),
            first=times.min().isoformat(),
            last=times.max().isoformat(),
        )
    index = next(i for i, seconds in enumerate(covered) if seconds >= ENOUGH * max(covered))
    chosen = inside[index].reset_index(drop=True)
    hours = (window.end - window.start).total_seconds() / 3600
    return chosen, said(
        N_("{rows} rows of {step:g} s cover {covered:.4g} of the {hours:.4g} hours of the window."),
        rows=len(chosen),
        step=float(chosen["step_s"].median()),
        covered=covered[index] / 3600,
        hours=hours,
    )


def _disturbances(study: Study, window: Window, known: Sequence[Disturbance]) -> tuple[list[Disturbance], list[str]]:
    """Disturbed stretches inside a window, and a note on every moment of the log inside it."""
    start, end = window.start.timestamp(), window.end.timestamp()
    logged = [Disturbance(*entry) for entry in study.logged(window.server)]
    stretches = [*known, *(item for item in logged if item.start_s < item.end_s)]
    inside = [replace(item, start_s=max(item.start_s, start), end_s=min(item.end_s, end)) for item in stretches]
    # what had begun before the window is the start that the window follows
    inside = [
        replace(item, reason="start-up") if (item.start_s, item.reason) == (start, "restart") else item
        for item in inside
    ]
    moments = [item for item in logged if item.start_s == item.end_s and start <= item.start_s <= end]
    return (
        [item for item in inside if item.start_s < item.end_s],
        [f"Log, {pd.Timestamp(item.start_s, unit='s'):%Y-%m-%d %H:%M:%S} UTC: {item.reason}" for item in moments],
    )


def no_window(study: Study, what: Said) -> StudyError:
    """The error of a study without a window that an import needs."""
    return StudyError(
        N_(
            "{path}: no {what}; files do not say which driver configuration was in force: add windows "
            "(server, driver_config, start, end)"
        ),
        path=study.folder / "study.yaml",
        what=what,
    )
