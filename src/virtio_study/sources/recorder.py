"""Keeping what a source gave: raw files compressed, frames cut at the study's windows, recordings written once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from virtio_study import __version__, storage
from virtio_study.errors import DataError, StudyError
from virtio_study.pve.devices import devices, models
from virtio_study.recording import Provenance, Recording, read, read_times, share_time, write
from virtio_study.sources import normalising
from virtio_study.sources.events import Disturbance, Polls, edits, kernel_at
from virtio_study.sources.runs import Around
from virtio_study.study import Study, Window

__all__ = ["ENOUGH", "Written", "choose", "configured", "keep", "keep_raw", "no_window", "write_windows"]

Written = list[tuple[str, str]]
"""File of each recording, relative to the study's folder, and a sentence on what it holds."""

NOTHING = Around()
ENOUGH = 0.95
"""A finer step is taken if it covers this share of what the best one covers."""


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
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        digest = storage.sha256(path)
        folder = path.resolve().parent.name
        done = path.suffix == ".zst"
        place = study.folder / "raw" / f"{folder}-{path.name.removesuffix('.zst')}-{digest[:12]}.zst"
        if not place.exists():
            storage.write_atomically(place, content if done else zstandard.ZstdCompressor(level=9).compress(content))
        storage.add_file(study.folder, place)
        kept[place.relative_to(study.folder).as_posix()] = digest
    return kept


def write_windows(
    study: Study,
    server: str,
    frames: Mapping[float, pd.DataFrame],
    replicate: str,
    provenance: Mapping[str, Any],
    disturbances: Sequence[Disturbance] = (),
    around: Around = NOTHING,
) -> Written:
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
    provenance : dict
        `source`, `inputs`, `versions` and, where the configuration does not tell it, `kind`, as in `Provenance`.
    disturbances : sequence of Disturbance, optional
        Known beside the study's log.
    around : Around, optional
        Configurations in force and states of the node. A window inside which a configuration has other devices than the
        window's driver configuration is not recorded, and what was edited between two inside disturbs the rows between.

    Returns
    -------
    list of (str, str)
        As in `Written`, one for each window; see `keep`. For a window that is not recorded, the server and why.

    Raises
    ------
    StudyError
        If the study has no window for the server.
    DataError
        If no row lies in a window, or a row breaks the schema.
    """
    windows = sorted((w for w in study.windows if w.server == server), key=lambda w: w.start)
    if not windows:
        raise no_window(study, f"window for server {server!r}")
    return [
        _write_window(study, window, f"{replicate}-{number:02d}", frames, provenance, disturbances, around)
        for number, window in enumerate(windows, 1)
    ]


def _write_window(
    study: Study,
    window: Window,
    replicate: str,
    frames: Mapping[float, pd.DataFrame],
    provenance: Mapping[str, Any],
    disturbances: Sequence[Disturbance],
    around: Around,
) -> tuple[str, str]:
    """Write the recording of one window, or say why there is none."""
    shown = [(at, data) for at, data in around.configs if window.start.timestamp() < at < window.end.timestamp()]
    if wrong := _contradiction(study, window, shown):
        return window.server, f"not recorded: {wrong}"
    known = configured(shown[0][1]) if shown else {}
    frame, note = choose(frames, window)
    spikes = [Disturbance(*stretch, "disk counter fell back") for stretch in normalising.counter_spikes(frame)]
    contaminated, moments = _disturbances(study, window, [*disturbances, *spikes, *edits(shown)])
    kernel = max((kernel_at(polls, window.end.timestamp()) for polls in around.statuses.values()), default="")
    versions = {**provenance.get("versions", {}), **({"host_kernel": kernel} if kernel else {})}
    told = {"kind": "emulated" if known.get("accelerator") == "tcg" else "measured", **known, **provenance}
    told |= {"versions": versions, "notes": [note, *moments, *provenance.get("notes", [])]}
    full = Provenance(
        study=study.name,
        server=window.server,
        driver_config=window.driver_config,
        replicate=replicate,
        collector_version=__version__,
        started_at=frame["time"].iloc[0].isoformat(),
        contaminated=contaminated,
        **told,
    )
    return keep(study, frame, full, note)


def configured(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration in force says for a `Provenance`: its keys, digest, devices and accelerator."""
    kinds = devices(config)
    return {
        "accelerator": "tcg" if str(config.get("kvm", "1")) == "0" else "kvm",
        "config_digest": str(config.get("digest", "")),
        "devices": {kind: models(kinds, kind) for kind in ("disk", "network")},
        "vm_config": [f"{key}: {value}" for key, value in sorted(config.items()) if key != "description"],
    }


def _contradiction(study: Study, window: Window, shown: Polls) -> str:
    """How a configuration that was in force in a window differs from what the window claims; empty if none does."""
    claimed = study.driver_configs[window.driver_config]
    for at, data in shown:
        for kind, said in (("disk", claimed.disk), ("network", claimed.nic)):
            seen = models(devices(data), kind)
            if said is not None and said != seen:
                return (
                    f"window {window.driver_config} from {window.start.isoformat()} claims {kind} {said}; the host's "
                    f"configuration of {pd.Timestamp(at, unit='s'):%Y-%m-%d %H:%M:%S} UTC has {seen or 'none'}"
                )
    return ""


def keep(study: Study, frame: pd.DataFrame, provenance: Provenance, told: str) -> tuple[str, str]:
    """Write a recording; one that is there stays, unless what it holds has gone on since, and then it is written anew.

    What lies in the time of another recording of the server is not written: it would count as a replicate.

    Parameters
    ----------
    told : str
        What to say of a recording that is written.

    Returns
    -------
    (str, str)
        As in `Written`; for what is not recorded, the server and why.
    """
    place = f"recordings/{provenance.server}/{provenance.driver_config}/{provenance.replicate}.parquet"
    path = study.folder / place
    if other := _recorded_meanwhile(study, provenance.server, frame, place):
        says = f"not recorded as {place}: the same time is in {other}, and counts once; to record all anew, import into"
        return provenance.server, f"{says} a new folder"
    if place in storage.manifest(study.folder):
        old = read(path, study.folder).frame
        known = min(len(old), len(frame)) - 1  # the last row of a recording that went on may have been another's half
        if not old["cpu_cores"].iloc[:known].equals(frame["cpu_cores"].iloc[:known].reset_index(drop=True)):
            return place, f"has {len(old)} other rows and stays; to record all anew, import into a new folder"
        if len(old) >= len(frame):
            return place, "was recorded already; recordings are never rewritten"
        storage.unlist(study.folder, path)
        told = f"{told} It had {len(old)}."
    write(Recording(frame, provenance, path), study.folder)
    return place, told


def _recorded_meanwhile(study: Study, server: str, frame: pd.DataFrame, place: str) -> str:
    """Another recording of the server that holds the same time as a frame; empty if there is none."""
    listed = [name for name in storage.manifest(study.folder) if name.startswith(f"recordings/{server}/")]
    others = (name for name in listed if name != place and share_time(frame, read_times(study.folder / name)))
    return next(others, "")


def choose(frames: Mapping[float, pd.DataFrame], window: Window) -> tuple[pd.DataFrame, str]:
    """Rows of the finest frame that covers a window nearly as well as the best one does, and a sentence on them.

    Parameters
    ----------
    frames : dict of float to DataFrame
        Seconds between rows -> frame of the schema.
    window : Window
        A row is inside if its whole interval is.

    Raises
    ------
    DataError
        If no row of any frame is inside; the message says when the rows are from.
    """
    start, end = pd.Timestamp(window.start), pd.Timestamp(window.end)
    inside = []
    for _, frame in sorted(frames.items()):
        begins = frame["time"] - pd.to_timedelta(frame["step_s"], unit="s")
        inside.append(frame[(begins >= start) & (frame["time"] <= end)])
    covered = [float(part["step_s"].sum()) for part in inside]
    if not any(covered):
        times = pd.concat([frame["time"] for frame in frames.values()])
        raise DataError(
            f"{window.server}, {window.driver_config}: no row from {window.start.isoformat()} to "
            f"{window.end.isoformat()}; the rows are from {times.min().isoformat()} to {times.max().isoformat()}"
        )
    index = next(i for i, seconds in enumerate(covered) if seconds >= ENOUGH * max(covered))
    chosen = inside[index].reset_index(drop=True)
    hours = (window.end - window.start).total_seconds() / 3600
    return chosen, (
        f"{len(chosen)} rows of {chosen['step_s'].median():g} s cover {covered[index] / 3600:.4g} of the "
        f"{hours:.4g} hours of the window."
    )


def _disturbances(
    study: Study, window: Window, known: Sequence[Disturbance]
) -> tuple[list[tuple[float, float, str]], list[str]]:
    """Disturbed stretches inside a window, and a note on every moment of the log inside it."""
    start, end = window.start.timestamp(), window.end.timestamp()
    logged = study.logged(window.server)
    stretches = [(item.start_s, item.end_s, item.reason) for item in known]
    stretches += [(first, last, what) for first, last, what in logged if first < last]
    moments = [(pd.Timestamp(first, unit="s"), what) for first, last, what in logged if first == last]
    inside = [(max(first, start), min(last, end), what) for first, last, what in stretches]
    # what had begun before the window is the start that the window follows
    inside = [
        (first, last, "start-up" if (first, what) == (start, "restart") else what) for first, last, what in inside
    ]
    return (
        [item for item in inside if item[0] < item[1]],
        [f"Log, {at:%Y-%m-%d %H:%M:%S} UTC: {what}" for at, what in moments if start <= at.timestamp() <= end],
    )


def no_window(study: Study, what: str) -> StudyError:
    """The error of a study without a window that an import needs."""
    return StudyError(
        f"{study.folder / 'study.yaml'}: no {what}; files do not say which driver configuration was in force: add "
        "windows (server, driver_config, start, end)"
    )
