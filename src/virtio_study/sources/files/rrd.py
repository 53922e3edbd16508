"""Rows of Proxmox VE's RRD files, from a host or a backup of it, as the API would give them.

The files are read by the `rrdtool` program (Debian's package `rrdtool`); there is no parser here. A host keeps them in
`/var/lib/rrdcached/db`: `pve2-vm/<vmid>` and `pve2-node/<node>` until Proxmox VE 8, `pve-vm-9.0/<vmid>` and
`pve-node-9.0/<node>` from 9 on; an upgrade renames the former to `.old`.
"""

import math
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.limits import PROGRAM_BYTES, TooMuchPrintedError, output_of

__all__ = ["RoundRobinArchive", "Row", "archives", "fetch", "find_files", "read_rows"]

Row = dict[str, float]
"""One row as the API gives it: `time` (Unix seconds, the END of the interval) and a key for each known value."""

RRDTOOL_S = 60.0

CONSOLIDATIONS = ("AVERAGE", "MAX")


@dataclass(frozen=True)
class RoundRobinArchive:
    """A round-robin archive of a file: what its rows are made by, seconds between them, and the newest row's time."""

    consolidation: str
    step_s: int
    rows: int
    end: int


def archives(path: Path) -> list[RoundRobinArchive]:
    """List the archives of an RRD file whose consolidation is AVERAGE or MAX, the finest first.

    Raises
    ------
    DataError
        If `rrdtool` is not installed or cannot read the file.
    """
    fields = dict(line.split(" = ", 1) for line in _rrdtool("info", path) if " = " in line)
    try:
        step, updated = int(fields["step"]), int(fields["last_update"])
        numbers = [int(match[1]) for key in fields if (match := re.fullmatch(r"rra\[(\d+)\]\.cf", key))]
        found = []
        for number in numbers:
            seconds = step * int(fields[f"rra[{number}].pdp_per_row"])
            kind = fields[f"rra[{number}].cf"].strip('"')
            found.append(
                RoundRobinArchive(kind, seconds, int(fields[f"rra[{number}].rows"]), updated - updated % seconds)
            )
    except (KeyError, ValueError) as error:
        raise DataError(
            N_("{path}: rrdtool describes it without {error}; is it a complete RRD file?"), path=path, error=error
        ) from error
    return sorted((a for a in found if a.consolidation in CONSOLIDATIONS), key=lambda a: (a.step_s, a.consolidation))


def fetch(path: Path, consolidation: str, step_s: int, start: int, end: int) -> list[Row]:
    """Rows of one archive in (start, end], as Proxmox VE's API makes them from the same file.

    Parameters
    ----------
    path : Path
        An RRD file.
    consolidation : str
        AVERAGE, or MAX (the largest of the means of one minute).
    step_s, start, end : int
        Seconds between rows of the archive, and Unix seconds, multiples of the step.

    Returns
    -------
    list of dict
        A row for every step. A value that is not known has no key. Old test builds' `memfree` of a node is
        `memavailable`. `rrdtool` prints 11 significant digits, the API 15.

    Raises
    ------
    DataError
        If `rrdtool` is not installed, cannot read the file, or reads another archive than the one asked for.

    References
    ----------
    pve-cluster, `src/PVE/RRD.pm` (the call and the keys that are left out); rrdtool, `src/rrd_fetch.c` (the stamp of a
    row is the end of its interval).
    """
    lines = _rrdtool("fetch", path, consolidation, "-r", str(step_s), "-s", str(start), "-e", str(end - 1))
    names = ["memavailable" if name == "memfree" else name for name in lines[0].split()] if lines else []
    rows: list[Row] = []
    for line in lines[1:]:
        stamp, _, values = line.partition(":")
        if not values:
            continue
        numbers = [float(value) for value in values.split()]
        known = {name: number for name, number in zip(names, numbers, strict=True) if math.isfinite(number)}
        rows.append({"time": int(stamp), **known})
    if [row["time"] for row in rows] != list(range(start + step_s, end + step_s, step_s)):
        raise DataError(
            N_("{path}: no rows of {step} s from {start} to {end}; its archives: {archives}"),
            path=path,
            step=step_s,
            start=start,
            end=end,
            archives=_listed(path),
        )
    return rows


def read_rows(paths: list[Path], consolidation: str) -> dict[int, list[Row]]:
    """Every known row of one server's or node's files, by seconds between rows.

    Parameters
    ----------
    paths : list of Path
        The files that `find` gives, the newest generation first: of two rows of the same step and time the first
        file's is kept. The step is the archive's own, so that nothing is deduced from neighbouring rows.
    consolidation : str
        AVERAGE or MAX.

    Returns
    -------
    dict
        Step in seconds -> rows in order of time. Rows without a value (before the file was made, the host off) are
        left out.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    found: dict[int, dict[float, Row]] = {}
    for path in paths:
        for archive in archives(path):
            if archive.consolidation == consolidation:
                step, end = archive.step_s, archive.end
                rows = found.setdefault(step, {})
                for row in fetch(path, consolidation, step, end - step * archive.rows, end):
                    if len(row) > 1:
                        rows.setdefault(row["time"], row)
    return {step: [rows[time] for time in sorted(rows)] for step, rows in sorted(found.items()) if rows}


def find_files(folder: Path, kind: str, name: str) -> list[Path]:
    """Files of a server (`kind` vm, `name` its vmid) or node (`kind` node) in a copy of a host's folder, newest first.

    Raises
    ------
    DataError
        If there is none; the message lists where was looked.
    """
    newest = sorted(folder.glob(f"pve-{kind}-*/{name}"), key=lambda path: path.parent.name, reverse=True)
    older = [folder / f"pve2-{kind}" / name, folder / f"pve2-{kind}" / f"{name}.old"]
    paths = [*newest, *(path for path in older if path.is_file())]
    if not paths:
        raise DataError(
            N_(
                "{folder}: no RRD file of {kind} {name}; looked for pve-{kind}-9.0/{name}, pve2-{kind}/{name} "
                "and pve2-{kind}/{name}.old; give a copy of the host's /var/lib/rrdcached/db"
            ),
            folder=folder,
            kind=kind,
            name=name,
        )
    return paths


def _listed(path: Path) -> str:
    return ", ".join(f"{a.consolidation} {a.step_s} s" for a in archives(path)) or "none"


def _rrdtool(command: str, path: Path, *arguments: str) -> list[str]:
    if not path.is_file():
        raise DataError(N_("{path}: no such file"), path=path)
    # The caching daemon of another host, or a decimal comma, would change what is read.
    environment = {key: value for key, value in os.environ.items() if key != "RRDCACHED_ADDRESS"} | {"LC_ALL": "C"}
    try:
        done = output_of(["rrdtool", command, str(path.resolve()), *arguments], RRDTOOL_S, environment=environment)
    except FileNotFoundError as error:
        raise DataError(N_("rrdtool is not installed; install it (Debian: apt install rrdtool)")) from error
    except subprocess.TimeoutExpired as error:
        raise DataError(
            N_("{path}: rrdtool {command} did not end in {timeout:g} s"),
            path=path,
            command=command,
            timeout=error.timeout,
        ) from error
    except TooMuchPrintedError as error:
        message = N_("{path}: rrdtool {command} prints more than {most} MiB, which no file of a host needs")
        raise DataError(message, path=path, command=command, most=PROGRAM_BYTES >> 20) from error
    if done.code:
        raise DataError(
            "{path}: {error}",
            path=path,
            error=" ".join(done.error.split()) or said(N_("rrdtool {command} failed"), command=command),
        )
    return done.out.splitlines()
