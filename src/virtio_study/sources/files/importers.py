"""Files of Proxmox VE and of other programs -> recordings of a study.

Files do not say which driver configuration was in force, so the study's `windows` do.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.plug_ins import PlugIn
from virtio_study.pve.instruments import host_instrument
from virtio_study.sources import normalising
from virtio_study.sources.events import stops
from virtio_study.sources.files import csv_tables, rrd, rrddata
from virtio_study.sources.files.csv_mapping import load_mapping
from virtio_study.sources.files.dumps import Dump, of_one_server
from virtio_study.sources.outcomes import Imported, NotRecorded, some_recorded
from virtio_study.sources.recorder import SourceFacts, keep_raw, no_window, write_windows
from virtio_study.sources.standstill import asleep
from virtio_study.study import Study

__all__ = ["import_added", "import_csv", "import_dump", "import_rrd", "import_rrddata"]


def import_rrd(study: Study, folder: Path, node: str | None = None, qemu_server: str | None = None) -> list[Imported]:
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
        If no server has a window, or the files of none can be read; what is wrong with some costs no other.
    """
    nodes = {path.name.removesuffix(".old") for path in folder.glob("pve*-node*/*") if path.is_file()}
    chosen = node or (nodes.pop() if len(nodes) == 1 else None)
    beside = _rrd_frames(rrd.find_files(folder, "node", chosen), None) if chosen else {}

    def record(name: str) -> list[Imported]:
        paths = rrd.find_files(folder, "vm", str(study.servers[name].vmid))
        frames = _rrd_frames(paths, qemu_server, said("{server}: {path}", server=name, path=paths[0]))
        frames = {s: normalising.add_node_cpu(f, beside[s]) if s in beside else f for s, f in frames.items()}
        source = f"RRD files of Proxmox VE, {', '.join(f'{path.parent.name}/{path.name}' for path in paths)}, AVERAGE"
        origin = SourceFacts(source, keep_raw(study, paths), _versions(qemu_server))
        return write_windows(study, name, frames, "rrd", origin, stops(frames))

    return _each(study, record)


def import_rrddata(study: Study, server: str, paths: Sequence[Path], qemu_server: str | None = None) -> list[Imported]:
    """Record one server from saved rrddata answers with cf=AVERAGE; see `rrddata.read_rrddata` and `import_rrd`."""
    study.server(server)
    where = said(N_("rrddata of {server}"), server=server)
    read = rrddata.read_rrddata(paths).items()
    rrddata.of_a_server((row for _, rows in read for row in rows), where)
    frames = {float(step): normalising.rrd_frame(found, step, "AVERAGE", where, qemu_server) for step, found in read}
    source = f"saved rrddata answers of Proxmox VE, {', '.join(path.name for path in paths)}"
    origin = SourceFacts(source, keep_raw(study, paths), _versions(qemu_server))
    done = write_windows(study, server, frames, "rrddata", origin, stops(frames))
    some_recorded(done)
    return done


def import_csv(study: Study, server: str, path: Path, mapping: Path) -> list[Imported]:
    """Record one server from a CSV file with a mapping file; see `csv_tables.read_csv`."""
    allocation = study.server(server)
    how = load_mapping(mapping)
    frame = csv_tables.read_csv(path, how, allocation)
    origin = SourceFacts(f"CSV file {path.name}, mapping {mapping.name}", keep_raw(study, [path, mapping]))
    done = write_windows(study, server, {how.step_s: frame}, "csv", origin)
    some_recorded(done)
    return done


def import_added(study: Study, server: str, plug_in: PlugIn, paths: Sequence[Path]) -> list[Imported]:
    """Record one server from files that another package reads; see `plug_ins.SOURCES`.

    Raises
    ------
    StudyError, DataError
        If the study has no such server or no window for it, or nothing could be recorded.
    PlugInError
        If the package's function fails or gives no frame of one step.
    """
    frame = plug_in.call(paths, study.server(server))
    if not isinstance(frame, pd.DataFrame) or "step_s" not in frame or frame["step_s"].nunique() != 1:
        raise plug_in.wrong(f"expected a DataFrame whose column step_s has one value, found {type(frame).__name__}")
    source = f"{plug_in.name} of {plug_in.package} {plug_in.version}, {', '.join(path.name for path in paths)}"
    origin = SourceFacts(source, keep_raw(study, paths), {plug_in.package: plug_in.version})
    done = write_windows(study, server, {float(frame["step_s"].iloc[0]): frame}, plug_in.name, origin)
    some_recorded(done)
    return done


def import_dump(
    study: Study, dump: Dump, paths: Sequence[Path], source: str, node: str | None = None,
    qemu_server: str | None = None,
) -> list[Imported]:  # fmt: skip
    """Record every server of the study that has a window from an InfluxDB or Prometheus dump.

    Parameters
    ----------
    study, node, qemu_server
        As in `import_rrd`.
    dump : Dump
        What `read_influx` or `read_prometheus` made of `paths`.
    source : str
        `influx` or `prometheus`.

    Raises
    ------
    StudyError, DataError
        If no server has a window, or the dump does not have the node or any of the servers.
    """
    if node is not None and node not in dump.nodes:
        raise DataError(
            N_("no node {node!r} in the dump; it has: {nodes}"),
            node=node,
            nodes=", ".join(dump.nodes) or said(N_("none")),
        )
    chosen = node or (next(iter(dump.nodes)) if len(dump.nodes) == 1 else None)

    def record(name: str) -> list[Imported]:
        server = study.servers[name]
        if server.vmid not in dump.servers:
            container = N_("{vmid} is a container in the dump; it has these servers: {known}")
            none = N_("no server {vmid} in the dump; it has: {known}")
            known = ", ".join(str(vmid) for vmid in dump.servers)
            raise DataError(container if server.vmid in dump.containers else none, vmid=server.vmid, known=known)
        of_one_server(dump.servers[server.vmid], source)
        where = said(N_("{source} samples of {name}"), source=source, name=name)
        frame = normalising.sample_frame(dump.servers[server.vmid], server, where, qemu_server)
        if chosen:
            frame = normalising.add_node_cpu(
                frame, normalising.sample_frame(dump.nodes[chosen], server, f"node {chosen}")
            )
        origin = SourceFacts(
            f"{source} dump {', '.join(path.name for path in paths)}", keep_raw(study, paths), _versions(qemu_server)
        )
        still = asleep(dump.servers[server.vmid])
        return write_windows(study, name, {float(frame["step_s"].median()): frame}, source, origin, still)

    return _each(study, record)


def _rrd_frames(paths: list[Path], qemu_server: str | None, server: Said | None = None) -> dict[float, pd.DataFrame]:
    """Frames of RRD files by seconds between rows; `server` names the server whose files they must be."""
    read = rrd.read_rows(paths, "AVERAGE")
    if server:
        rrddata.of_a_server((row for rows in read.values() for row in rows), server)
    return {
        float(step): normalising.rrd_frame(found, step, "AVERAGE", str(paths[0]), qemu_server)
        for step, found in read.items()
    }


def _each(study: Study, record: Callable[[str], list[Imported]]) -> list[Imported]:
    """Record every server of the study that has a window; what is wrong with one costs no other."""
    names = [name for name in study.servers if any(window.server == name for window in study.windows)]
    if not names:
        raise no_window(study, said(N_("windows")))
    done: list[Imported] = []
    for name in names:
        try:
            done += record(name)
        except DataError as error:
            done.append(NotRecorded(name, said(error.message, **error.numbers)))
    some_recorded(done)
    return done


def _versions(qemu_server: str | None) -> dict[str, str]:
    if qemu_server is None:
        return {}
    if host_instrument(qemu_server) == "unknown":
        raise StudyError(
            N_("qemu-server version {version!r}: expected one such as 9.1.4 (pveversion -v shows it)"),
            version=qemu_server,
        )
    return {"qemu-server": qemu_server}
