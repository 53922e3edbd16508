"""Files of Proxmox VE and of other programs -> recordings of a study: raw copies kept, cut at windows, written once.

Files do not say which driver configuration was in force, so the study's `windows` do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from virtio_study import __version__, storage
from virtio_study.devices import devices, models
from virtio_study.errors import DataError, StudyError
from virtio_study.instruments import host_instrument
from virtio_study.recording import Provenance, Recording, read, write
from virtio_study.sources import exports, metrics, rows, rrd
from virtio_study.sources.changes import Disturbance, Polls, edits
from virtio_study.study import Study, Window

__all__ = [
    "ENOUGH",
    "choose",
    "configured",
    "import_csv",
    "import_dump",
    "import_rrd",
    "import_rrddata",
    "keep",
    "keep_raw",
    "write_windows",
]

Written = list[tuple[str, str]]
"""File of each recording, relative to the study's folder, and a sentence on what it holds."""

ENOUGH = 0.95
"""A finer step is taken if it covers this share of what the best one covers."""


def import_rrd(study: Study, folder: Path, node: str | None = None, qemu_server: str | None = None) -> Written:
    """Record every server of the study from a copy of a host's RRD files (`rrd.find` says which), with the node's CPU.

    Parameters
    ----------
    study : Study
        A server is imported if it has a window.
    folder : Path
        A copy of `/var/lib/rrdcached/db`.
    node : str, optional
        The node whose CPU is set beside the servers'; may be left out where the folder has one node.
    qemu_server : str, optional
        Version of qemu-server on the host; without it the host's instrument stays unknown.

    Raises
    ------
    StudyError, DataError
        If no server has a window, or a server's files are missing or cannot be read.
    """
    nodes = {path.name.removesuffix(".old") for path in folder.glob("pve*-node*/*") if path.is_file()}
    chosen = node or (nodes.pop() if len(nodes) == 1 else None)
    beside = _rrd_frames(rrd.find(folder, "node", chosen), None) if chosen else {}
    written = []
    for name in _with_windows(study):
        paths = rrd.find(folder, "vm", str(study.servers[name].vmid))
        frames = _rrd_frames(paths, qemu_server)
        frames = {s: rows.add_node_cpu(f, beside[s]) if s in beside else f for s, f in frames.items()}
        source = f"RRD files of Proxmox VE, {', '.join(f'{path.parent.name}/{path.name}' for path in paths)}, AVERAGE"
        said = {"source": source, "inputs": keep_raw(study, paths), "versions": _versions(qemu_server)}
        written += write_windows(study, name, frames, "rrd", said)
    return written


def import_rrddata(study: Study, server: str, paths: Sequence[Path], qemu_server: str | None = None) -> Written:
    """Record one server from saved rrddata answers with cf=AVERAGE; see `exports.read_rrddata` and `import_rrd`."""
    study.server(server)
    where = f"rrddata of {server}"
    read = exports.read_rrddata(paths).items()
    frames = {float(step): rows.rrd_frame(found, step, "AVERAGE", where, qemu_server) for step, found in read}
    said = {
        "source": f"saved rrddata answers of Proxmox VE, {', '.join(path.name for path in paths)}",
        "inputs": keep_raw(study, paths),
        "versions": _versions(qemu_server),
    }
    return write_windows(study, server, frames, "rrddata", said)


def import_csv(study: Study, server: str, path: Path, mapping: Path) -> Written:
    """Record one server from a CSV file with a mapping file; see `exports.read_csv`."""
    allocation = study.server(server)
    how = exports.load_mapping(mapping)
    frame = exports.read_csv(path, how, allocation)
    said = {"source": f"CSV file {path.name}, mapping {mapping.name}", "inputs": keep_raw(study, [path, mapping])}
    return write_windows(study, server, {how.step_s: frame}, "csv", said)


def import_dump(
    study: Study, dump: metrics.Dump, paths: Sequence[Path], source: str, node: str | None = None,
    qemu_server: str | None = None,
) -> Written:  # fmt: skip
    """Record every server of the study that has a window from an InfluxDB or Prometheus dump.

    Parameters
    ----------
    study, node, qemu_server
        As in `import_rrd`.
    dump : Dump
        What `metrics.read_influx` or `metrics.read_prometheus` made of `paths`.
    source : str
        `influx` or `prometheus`.

    Raises
    ------
    StudyError, DataError
        If no server has a window, or the dump does not have a server or the node.
    """
    if node is not None and node not in dump.nodes:
        raise DataError(f"no node {node!r} in the dump; it has: {', '.join(dump.nodes) or 'none'}")
    chosen = node or (next(iter(dump.nodes)) if len(dump.nodes) == 1 else None)
    written = []
    for name in _with_windows(study):
        server = study.servers[name]
        if server.vmid not in dump.servers:
            known = ", ".join(str(vmid) for vmid in dump.servers)
            raise DataError(f"{name}: no server {server.vmid} in the dump; it has: {known}")
        where = f"{source} samples of {name}"
        frame = rows.sample_frame(dump.servers[server.vmid], server, where, qemu_server)
        if chosen:
            frame = rows.add_node_cpu(frame, rows.sample_frame(dump.nodes[chosen], server, f"node {chosen}"))
        said = {
            "source": f"{source} dump {', '.join(path.name for path in paths)}",
            "inputs": keep_raw(study, paths),
            "versions": _versions(qemu_server),
        }
        written += write_windows(study, name, {float(frame["step_s"].median()): frame}, source, said)
    return written


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
        if path.parent == study.folder / "raw":  # it is kept there already
            kept[path.relative_to(study.folder).as_posix()] = storage.sha256(path)
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
    configs: Polls = (),
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
    configs : sequence of (time, data), optional
        Answers of `config?current=1`; a window inside which one has other devices than the window's driver
        configuration is not recorded, and what was edited between two inside disturbs the rows between them.

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
        raise _no_window(study, f"window for server {server!r}")
    written = []
    for number, window in enumerate(windows, 1):
        name = f"{replicate}-{number:02d}"
        shown = [(at, data) for at, data in configs if window.start.timestamp() < at < window.end.timestamp()]
        if wrong := _contradiction(study, window, shown):
            written.append((server, f"not recorded: {wrong}"))
            continue
        known = configured(shown[0][1]) if shown else {}
        frame, note = choose(frames, window)
        spikes = [Disturbance(*stretch, "disk counter fell back") for stretch in rows.counter_spikes(frame)]
        contaminated, moments = _disturbances(study, window, [*disturbances, *spikes, *edits(shown)])
        full = Provenance(
            study=study.name,
            server=server,
            driver_config=window.driver_config,
            replicate=name,
            collector_version=__version__,
            started_at=frame["time"].iloc[0].isoformat(),
            contaminated=contaminated,
            notes=[note, *moments],
            **{"kind": "emulated" if known.get("accelerator") == "tcg" else "measured", **known, **provenance},
        )
        written.append(keep(study, frame, full, note))
    return written


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

    Parameters
    ----------
    told : str
        What to say of a recording that is written.

    Returns
    -------
    (str, str)
        As in `Written`.
    """
    place = f"recordings/{provenance.server}/{provenance.driver_config}/{provenance.replicate}.parquet"
    path = study.folder / place
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
    return (
        [item for item in inside if item[0] < item[1]],
        [f"Log, {at:%Y-%m-%d %H:%M:%S} UTC: {what}" for at, what in moments if start <= at.timestamp() <= end],
    )


def _rrd_frames(paths: list[Path], qemu_server: str | None) -> dict[float, pd.DataFrame]:
    read = rrd.read_rows(paths, "AVERAGE").items()
    return {float(step): rows.rrd_frame(found, step, "AVERAGE", str(paths[0]), qemu_server) for step, found in read}


def _with_windows(study: Study) -> list[str]:
    """Servers of the study that have a window; `StudyError` if there is none."""
    names = [name for name in study.servers if any(window.server == name for window in study.windows)]
    if not names:
        raise _no_window(study, "windows")
    return names


def _no_window(study: Study, what: str) -> StudyError:
    return StudyError(
        f"{study.folder / 'study.yaml'}: no {what}; files do not say which driver configuration was in force: add "
        "windows (server, driver_config, start, end)"
    )


def _versions(qemu_server: str | None) -> dict[str, str]:
    if qemu_server is None:
        return {}
    if host_instrument(qemu_server) == "unknown":
        raise StudyError(f"qemu-server version {qemu_server!r}: expected one such as 9.1.4 (pveversion -v shows it)")
    return {"qemu-server": qemu_server}
