"""Saved answers of the Proxmox VE API -> recordings, with the driver configuration that the answers show.

A file of answers has one JSON object a line: `t` (Unix seconds of the request), `path` (with its query), `status` and
`body` (the parsed answer). Nothing but the answers says when a server ran with which devices; a study's
`driver_configs` (disk, nic, balloon_driver) are what they are compared with.
"""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtio_study import __version__
from virtio_study.errors import DataError
from virtio_study.recording import Provenance
from virtio_study.sources import normalising
from virtio_study.sources.events import Disturbance, Polls, kernel_at, qemu_server_at
from virtio_study.sources.recorder import Written, configured, keep, keep_raw
from virtio_study.sources.runs import Around, Span, match, timeline
from virtio_study.storage import write_json
from virtio_study.study import Server, Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Answer", "around_of", "import_answers", "is_simulated", "of", "qemu_server_of", "read_answers"]

TIMELINE = "timeline.json"
CPU_NOTE = "CPU of a row covers the time since the same worker of the API answered before; its mean is right."
MOST_FALSE_ZEROS = 0.05
KEPT: tuple[str, ...] = (
    "status",
    "qmpstatus",
    "uptime",
    "pid",
    "lock",
    "running-qemu",
    "running-machine",
    "blockstat",
    "nics",
    "cpus",
)
KEPT += ("cpu", *normalising.RRD_COLUMNS)
BALLOON_KEPT = ("actual", "total_mem", "free_mem", "last_update")
OWN_LINE = re.compile(r'\{"t": [0-9.]+, "path": "([^"\\]*)"')
"""How a line of `Reply.line` begins; of such a one the path is known before all of it is read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API, with the Unix seconds at which it was asked for."""

    time_s: float
    path: str
    status: int
    data: Any


def read_answers(paths: Sequence[Path], wanted: Callable[[str], bool] = lambda path: True) -> list[Answer]:
    """Read answers, in order of time; a last line that a killed writer left unfinished is passed over.

    Parameters
    ----------
    paths : sequence of Path
        JSON lines, plain or `.zst`.
    wanted : callable
        Of a path with its query, whether its answers are wanted: weeks of polls of many servers are more than a small
        machine can hold (`benchmarks/weeks.py`).

    Raises
    ------
    DataError
        If a file cannot be read, or a line is not an answer; the message names the line.
    """
    import zstandard

    found = []
    latest: dict[str, Any] = {}
    for path in paths:
        try:
            content = path.read_bytes()
            if path.suffix == ".zst":
                content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
            lines = content.decode().split("\n")
        except (OSError, UnicodeDecodeError, zstandard.ZstdError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        for number, line in enumerate(lines, 1):
            own = OWN_LINE.match(line)
            if not line.strip() or (own and not wanted(own[1])):
                continue
            try:
                item = json.loads(line)
                if "\\ud" in line.lower():  # half a character, which no file can hold
                    item = json.loads(json.dumps(item, ensure_ascii=False).encode(errors="replace"))
                body = item["body"]
                asked = str(item["path"])
                if not wanted(asked):
                    continue
                data = _slim(asked, body.get("data") if isinstance(body, dict) else None)
                if data != latest.get(asked):
                    latest[asked] = data
                found.append(Answer(float(item["t"]), asked, int(item["status"]), latest.get(asked)))
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines):
                    continue
                raise DataError(f"{path}: line {number} is no answer with t, path, status and body: {error}") from error
    return sorted(found, key=lambda answer: answer.time_s)


def _slim(path: str, data: Any) -> Any:
    """Of a poll only what is used: weeks of them have to fit into the memory of a small machine."""
    if path.endswith("/apt/versions") and isinstance(data, list):
        return [row for row in data if isinstance(row, dict) and row.get("Package") == "qemu-server"]
    if not path.endswith("/status/current") or not isinstance(data, dict):
        return data
    slim = {key: sys.intern(data[key]) if isinstance(data[key], str) else data[key] for key in KEPT if key in data}
    for key in ("blockstat", "nics"):
        if isinstance(slim.get(key), dict):
            slim[key] = _names(tuple(slim[key]))
    balloon = data.get("ballooninfo")
    if isinstance(balloon, dict):
        slim["ballooninfo"] = {key: balloon[key] for key in BALLOON_KEPT if key in balloon}
    return slim


@cache
def _names(keys: tuple[str, ...]) -> dict[str, None]:
    """Keys alone, one object for all answers that have the same."""
    return dict.fromkeys(keys)


def of(answers: Sequence[Answer], pattern: str, kind: type = dict) -> Iterator[tuple[float, Any]]:
    """Time and data of the good answers whose path, with its query, matches a regular expression whole.

    Data of another kind than the path has is passed over, and so is an item of a list that is no object.
    """
    wanted = re.compile(pattern)
    for answer in answers:
        if answer.status == 200 and isinstance(answer.data, kind) and wanted.fullmatch(answer.path):
            data = answer.data
            yield answer.time_s, [item for item in data if isinstance(item, dict)] if isinstance(data, list) else data


def is_simulated(answers: Sequence[Answer]) -> bool:
    """Whether the embedded host of `virtio_study.testing` gave the answers: it calls its node `simulated`."""
    return any(answer.path.startswith("/nodes/simulated/") for answer in answers)


def qemu_server_of(proxmox_version: str, around: Around, moment: float) -> str | None:
    """Version of qemu-server at a moment, or one with surely the same instrument; None where nothing tells.

    It is what the host's packages say. Without them the version of Proxmox VE tells it, but for 9.0 and 9.1, which ran
    with versions of qemu-server on both sides of a change of the instrument (9.1.4).
    """
    told = {qemu_server_at(packages, moment) for packages in around.packages.values()} - {None}
    if told:
        return told.pop() if len(told) == 1 else None
    found = re.match(r"(\d+)\.(\d+)", proxmox_version)
    if found is None:
        return None
    release = int(found[1]), int(found[2])
    return "8.0" if release < (9, 0) else "9.1.4" if release >= (9, 2) else None


def import_answers(study: Study, paths: Sequence[Path], qemu_server: str | None = None) -> Written:
    """Record every server of a study from saved answers: one recording for each start of the server.

    Rows are polls of `status/current`. Proxmox VE's CPU figure there covers the time since that worker of the API
    answered before, which may be longer than the step; its mean is right, single rows are smoothed.

    Parameters
    ----------
    study : Study
        Its `driver_configs` say which devices each has.
    paths : sequence of Path
        As in `read_answers`; they are kept, compressed, in the study's `raw/`.
    qemu_server : str, optional
        Version of qemu-server on the host, where that of Proxmox VE does not tell the instrument.

    Returns
    -------
    list of (str, str)
        As in `keeping.Written`; a run that is not recorded is named too. The timeline is in `timeline.json`.

    Raises
    ------
    DataError
        If no answer is of a server, or nothing could be recorded.
    """
    inputs = keep_raw(study, paths)
    runs = {name: _runs(study, name, paths, qemu_server, inputs) for name in study.servers}
    written = [done for found in runs.values() for done, _ in found]
    if all(place in study.servers for place, _ in written):
        raise DataError("nothing was recorded; " + "; ".join(f"{place}: {told}" for place, told in written[:4]))
    write_json(study.folder / TIMELINE, {name: [run for _, run in found] for name, found in runs.items()})
    return written


def _of_import(path: str, vmid: int) -> bool:
    """Whether a path is of the host, or of a server but not one of its rrddata."""
    return "/rrddata" not in path and ("/qemu/" not in path or f"/qemu/{vmid}/" in path)


def _runs(
    study: Study, name: str, paths: Sequence[Path], qemu_server: str | None, inputs: dict[str, str]
) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    """What came of every run of a server, as in `Written`, and the run as `timeline.json` has it."""
    vmid = study.servers[name].vmid
    answers = read_answers(paths, lambda path: _of_import(path, vmid))
    version = next((str(data.get("version", "")) for _, data in of(answers, "/version")), "")
    said = _Said(version, qemu_server, is_simulated(answers), inputs)
    polls = [*of(answers, rf"/nodes/[^/]+/qemu/{vmid}/status/current")]
    around = around_of(study, name, answers)
    spans = [match(span, study.driver_configs) for span in timeline(polls, around, vmid)]
    if not spans:
        raise DataError(
            f"{name}: no answer of /nodes/NODE/qemu/{vmid}/status/current shows it running; for answers of rrddata "
            "alone, add windows to study.yaml and see virtio-study files rrddata"
        )
    runs: list[tuple[tuple[str, str], dict[str, Any]]] = []
    for span in spans:
        replicate = f"api-{1 + sum(bool(run['driver_config']) for _, run in runs):02d}"
        done = name, f"not recorded: {span.why}"
        if span.driver_config:
            try:
                done = _record(study, name, replicate, span, polls, around, said)
            except DataError as error:  # such as a run of one poll: the others are recorded all the same
                done = name, f"not recorded: {error}"
        kept = {"replicate": "", "why": span.why or done[1]} if done[0] == name else {"replicate": replicate}
        runs.append((done, span.as_dict() | kept))
    return runs


@dataclass(frozen=True)
class _Said:
    """What holds for all recordings of an import: versions as told, whether the host is a simulated one, raw copies."""

    version: str
    qemu_server: str | None
    simulated: bool
    inputs: dict[str, str]


def _record(
    study: Study, name: str, replicate: str, span: Span, polls: Polls, around: Around, said: _Said
) -> tuple[str, str]:
    proxmox = span.proxmox.split("/")[1] if span.proxmox.count("/") else said.version
    instrument = said.qemu_server or qemu_server_of(proxmox, around, span.end_s)
    frame, notes = _frame(study.servers[name], name, span, polls, around, instrument)
    emulated = str(span.config.get("kvm", "1")) == "0"
    kind = "simulated" if said.simulated else "emulated" if emulated else "measured"
    update = {"kind": kind, "started_at": frame["time"].iloc[0].isoformat(), "inputs": said.inputs, "notes": notes}
    provenance = _provenance(study, name, replicate, span, proxmox, around).model_copy(update=update)
    return keep(study, frame, provenance, _told(frame))


def around_of(study: Study, name: str, answers: Sequence[Answer]) -> Around:
    """What stored answers and the study's log tell of a server beside its own polls."""
    base = rf"/nodes/([^/]+)/qemu/{study.servers[name].vmid}"
    nodes = {found[1] for answer in answers if (found := re.fullmatch(f"{base}/status/current", answer.path))}
    tasks: list[dict[str, Any]] = []
    known: Any = None
    for _, listed in of(answers, r"/nodes/[^/]+/tasks(?:\?.*)?", list):
        if listed != known:
            tasks, known = [*tasks, *listed], listed
    return Around(
        configs=[*of(answers, rf"{base}/config\?current=1")],
        pendings=[*of(answers, f"{base}/pending", list)],
        tasks=tasks,
        statuses={node: [*of(answers, f"/nodes/{re.escape(node)}/status")] for node in sorted(nodes)},
        packages={node: [*of(answers, f"/nodes/{re.escape(node)}/apt/versions", list)] for node in sorted(nodes)},
        logged=[Disturbance(*entry) for entry in study.logged(name)],
    )


def _frame(
    server: Server, name: str, span: Span, polls: Polls, around: Around, qemu_server: str | None
) -> "tuple[pd.DataFrame, list[str]]":
    """Rows of a run with the CPU of its node beside them, and notes about them."""
    samples = [{**data, "time": at} for at, data in polls if span.start_s <= at <= span.end_s]
    notes = [CPU_NOTE, *_without_false_zeros(samples)]
    if span.waiting:
        notes.append(f"Changed in the configuration and not in force: {', '.join(span.waiting)}.")
    notes += [f"{item.reason}: {item.detail}" for item in span.contaminated if item.detail]
    frame = normalising.sample_frame(samples, server, f"status/current of {name}", qemu_server)
    for statuses in around.statuses.values():
        node = [
            {"time": at, "cpu": data.get("cpu"), "maxcpu": _object(data, "cpuinfo").get("cpus"), "uptime": at}
            for at, data in statuses
        ]
        if len(node) > 1:
            return normalising.add_node_cpu(frame, normalising.sample_frame(node, server, "node status")), notes
    return frame, notes


def _provenance(study: Study, name: str, replicate: str, span: Span, proxmox: str, around: Around) -> Provenance:
    kernels = [kernel_at(statuses, span.end_s) for statuses in around.statuses.values()]
    versions = {"proxmox-ve": proxmox, "host_kernel": max(kernels, default=""), "qemu": span.qemu}
    versions |= {"running machine": span.machine}
    return Provenance(
        study=study.name,
        server=name,
        driver_config=span.driver_config,
        replicate=replicate,
        kind="measured",
        source=f"saved answers of Proxmox VE, /nodes/NODE/qemu/{span.vmid}/status/current",
        collector_version=__version__,
        started_at="",
        versions={key: value for key, value in versions.items() if value},
        contaminated=[(item.start_s, item.end_s, item.reason) for item in span.contaminated],
        **configured(span.config),
    )


def _told(frame: "pd.DataFrame") -> str:
    first, last = (f"{frame['time'].iloc[row]:%Y-%m-%d %H:%M:%S}" for row in (0, -1))
    return f"{len(frame)} rows from {first} to {last} UTC."


def _without_false_zeros(samples: list[dict[str, Any]]) -> list[str]:
    """Take the CPU of 0 out of samples where it is rare: the first answer of every worker of the API is 0.

    Where zeros are many the server may be idle, and they stay. (qemu-server, `vmstatus`: the figure is the difference
    to the same process' last call.)
    """
    zeros = [sample for sample in samples if sample.get("cpu") == 0]
    if not 0 < len(zeros) <= MOST_FALSE_ZEROS * len(samples):
        return []
    for sample in zeros:
        sample["cpu"] = None
    return [f"{len(zeros)} rows are without CPU: a worker of the API answered for the first time, with 0."]


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}
