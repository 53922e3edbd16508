"""Stored answers of the API -> recordings of a study.

Polls of `status/current` show by themselves when a server ran with which devices; a study's `driver_configs` (disk,
nic, balloon_driver) are what they are compared with. Rows of rrddata show nothing, so the study's `windows` say it.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.values import Sample
from virtio_study.recording import START_TAKES_S
from virtio_study.sources import normalising
from virtio_study.sources.api import response_log
from virtio_study.sources.bounds import hold
from virtio_study.sources.events import displays_another, restarts_of_pvestatd, starts, stops, tasks_of, upgrades
from virtio_study.sources.files.rrddata import merge_rrddata
from virtio_study.sources.history import Disturbance, History, history_of
from virtio_study.sources.outcomes import Imported, NotRecorded, RecordedFile, of_run, some_recorded
from virtio_study.sources.recorder import SourceFacts, keep_raw, provenance_of, write_windows
from virtio_study.sources.replacing import ANSWERS, Recordable, answered_before, keep_all
from virtio_study.sources.responses import Answer, lists, read_answers
from virtio_study.sources.runs import Run, match, of_present_server, runs_in
from virtio_study.sources.standstill import not_running
from virtio_study.sources.switches import switched_windows, watched
from virtio_study.storage import commit, json_bytes, one_writer
from virtio_study.study import Study

__all__ = ["import_answers", "record_rrddata", "stored_rows"]

TIMELINE = "timeline.json"

AT_ONCE = 2
"""Servers that are read together: weeks of polls of more are more than a small machine can hold."""


@dataclass(frozen=True)
class _Imported:
    """A run and what came of it."""

    run: Run
    outcome: Imported

    def as_dict(self) -> dict[str, object]:
        """The run as `timeline.json` has it."""
        if isinstance(self.outcome, RecordedFile):
            return self.run.as_dict() | {"replicate": Path(self.outcome.place).stem}
        return self.run.as_dict() | {"replicate": "", "why": self.run.why or self.outcome.told}


def import_answers(study: Study, paths: Sequence[Path], qemu_server: str | None = None) -> list[Imported]:
    """Record every server of a study from saved answers: one recording for each run of the server.

    Rows are polls of `status/current`. Proxmox VE's CPU figure there covers the time since that worker of the API
    answered before, which may be longer than the step; its mean is right, single rows are smoothed.

    Parameters
    ----------
    study : Study
        Its `driver_configs` say which devices each has.
    paths : sequence of Path
        As in `read_answers`; they are kept, compressed, in the study's `raw/`. Those that were imported before are read
        again with them.
    qemu_server : str, optional
        Version of qemu-server on the host, where that of Proxmox VE does not tell the instrument.

    Returns
    -------
    list of Outcome
        One for each run, and for each server that no answer shows. The timeline is in `timeline.json`.

    Raises
    ------
    DataError
        If nothing could be recorded.
    """
    with one_writer(study.folder):
        return _import_answers(study, paths, qemu_server)


def _import_answers(study: Study, paths: Sequence[Path], qemu_server: str | None) -> list[Imported]:
    inputs = keep_raw(study, paths)
    before = [path for path in answered_before(study) if path.relative_to(study.folder).as_posix() not in inputs]
    inputs |= keep_raw(study, before)
    done: dict[str, list[_Imported]] = {}
    outcomes: list[Imported] = []
    for names, answers in _read(study, [*study.servers], [*before, *paths], but="/rrddata"):
        for name in names:
            done[name] = _import_runs(study, name, history_of(study, name, answers), qemu_server, inputs)
            outcomes += [item.outcome for item in done[name]] or [_never_seen(study, name)]
    some_recorded(outcomes, [of_run(name, item.run, item.outcome) for name, found in done.items() for item in found])
    timeline = json_bytes({name: [item.as_dict() for item in found] for name, found in done.items()})
    commit(study.folder, {TIMELINE: timeline}, instead_of=[TIMELINE])
    return outcomes


def _read(
    study: Study, names: Sequence[str], paths: Sequence[Path], but: str
) -> Iterator[tuple[Sequence[str], list[Answer]]]:
    """Some servers after others, with the answers of them and of the host, but those with a text in their path."""
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        yield some, read_answers(paths, _is_of({study.servers[name].vmid for name in some}, but))


def _is_of(vmids: Collection[int], but: str) -> Callable[[str], bool]:
    """Whether a path is of the host or of one of some servers, and has not a text in it."""
    own = [f"/qemu/{vmid}/" for vmid in vmids]
    return cache(lambda path: but not in path and ("/qemu/" not in path or any(part in path for part in own)))


def _never_seen(study: Study, name: str) -> NotRecorded:
    return NotRecorded(
        name,
        said(
            N_(
                "no answer of /nodes/NODE/qemu/{vmid}/status/current shows it running; for answers of "
                "rrddata alone, add windows to study.yaml and see virtio-study files rrddata"
            ),
            vmid=study.servers[name].vmid,
        ),
    )


def _import_runs(
    study: Study, name: str, history: History, qemu_server: str | None, inputs: dict[str, str]
) -> list[_Imported]:
    """Record every run of a server."""
    runs = of_present_server([match(run, study.driver_configs) for run in runs_in(history)])
    made: list[Recordable | NotRecorded] = []
    for run in runs:
        replicate = f"{ANSWERS}{1 + sum(bool(run.driver_config) for run in runs[: len(made)]):02d}"
        try:
            reason = NotRecorded(name, run.why or said(""))
            made.append(
                _made(study, name, replicate, run, history, qemu_server, inputs) if run.driver_config else reason
            )
        except DataError as error:  # such as a run of one poll: the others are recorded all the same
            made.append(NotRecorded(name, said(error.message, **error.numbers)))
    return [_Imported(run, outcome) for run, outcome in zip(runs, keep_all(study, name, made), strict=True)]


def _made(
    study: Study,
    name: str,
    replicate: str,
    run: Run,
    history: History,
    qemu_server: str | None,
    inputs: dict[str, str],
) -> Recordable:
    """The recording of a run."""
    server, where = study.servers[name], said("status/current: {server}", server=name)
    frame, notes = normalising.polled_frame(run.polls, server, where, qemu_server or run.host.qemu_server)
    known = (node.statuses for node in history.nodes.values() if len(node.statuses) > 1)
    if statuses := next(known, None):
        frame = normalising.add_node_cpu(frame, normalising.node_frame(statuses, server))
    if run.waiting:
        notes.append(f"Changed in the configuration and not in force: {', '.join(run.waiting)}.")
    notes += [f"{item.reason}: {item.detail}" for item in run.contaminated if item.detail]
    versions = {"proxmox-ve": run.host.release, "host_kernel": run.host.kernel, "qemu": run.qemu}
    versions |= {"running machine": run.machine}
    origin = SourceFacts(
        source=f"saved answers of Proxmox VE, /nodes/NODE/qemu/{run.vmid}/status/current",
        inputs=inputs,
        versions={key: value for key, value in versions.items() if value},
        notes=notes,
        simulated=history.simulated,
    )
    first, last = (f"{frame['time'].iloc[row]:%Y-%m-%d %H:%M:%S}" for row in (0, -1))
    of = provenance_of(study, name, run.driver_config, replicate, frame, origin, run.config, run.contaminated)
    if run.polls[0].started_s - run.started_s > START_TAKES_S:  # moved or asleep; the uptime is the new process'
        of = of.model_copy(update={"events": {"started": run.started_s}})
    told = said(N_("{rows} rows from {first} to {last} UTC."), rows=len(frame), first=first, last=last)
    return Recordable(*hold(study, frame, of, told))


def record_rrddata(study: Study) -> tuple[list[Imported], dict[str, Said]]:
    """Make recordings of the stored rrddata rows (AVERAGE) that lie in the study's windows, the node's CPU beside them.

    A server that has a schedule and no window has the windows between the switches that its host tells.

    Parameters
    ----------
    study : Study
        With windows, or a schedule.

    Returns
    -------
    outcomes : list of Outcome
        One for each window: a window that the host's configuration contradicts, or in the time of another recording,
        is not recorded.
    failed : dict
        Server that has a window and no usable rows in it -> why; the others are recorded all the same.
    """
    outcomes: list[Imported] = []
    failed: dict[str, Said] = {}
    told = {window.server for window in study.windows}
    named = [name for name in study.servers if name in told or (study.schedule and name in study.schedule.blocks)]
    try:
        with one_writer(study.folder):
            for names, answers in _read(study, named, response_log.stored(study.folder), but="cf=MAX"):
                for name in names:
                    try:
                        outcomes += _record_rows(study, name, answers)
                    except DataError as error:
                        failed[name] = said(error.message, **error.numbers)
    except DataError as error:
        failed |= {name: said(error.message, **error.numbers) for name in named if name not in failed}
    return outcomes, failed


def stored_rows(study: Study, name: str) -> dict[float, pd.DataFrame]:
    """Rows of rrddata that were stored of a server, whatever its configuration was: seconds between rows -> frame.

    Empty if none was stored.

    Raises
    ------
    DataError
        If an answer cannot be read.
    """
    for _names, answers in _read(study, [name], response_log.stored(study.folder), but="cf=MAX"):
        if answers and any(_rows(answers, rf"/nodes/[^/]+/qemu/{study.servers[name].vmid}/rrddata\?.*cf=AVERAGE")):
            return _frames(study, name, history_of(study, name, answers), answers)
    return {}


def _record_rows(study: Study, name: str, answers: Sequence[Answer]) -> list[Imported]:
    history = history_of(study, name, answers)
    by_schedule = not any(window.server == name for window in study.windows)
    if by_schedule and watched(study, name, history):
        return []
    frames = _frames(study, name, history, answers)
    versions = history.versions
    notes = []
    asked_s = max(answer.time_s for answer in answers)
    if by_schedule:
        windows = switched_windows(study, name, history, asked_s)
        if not windows:
            raise DataError(_NO_SWITCH, name=name, study=study.name)
        study = study.model_copy(update={"windows": windows})
        notes.append(
            "What was in force is what the schedule gives: the host told a restart at each switch, not devices."
        )
    if versions:
        first = pd.Timestamp(versions[0][0], unit="s")
        notes = [f"The host told its version first at {first:%Y-%m-%d %H:%M} UTC; older rows are taken for its."]
    origin = SourceFacts(
        source="rrddata of the API of Proxmox VE, AVERAGE",
        versions={"proxmox-ve": versions[-1][1]} if versions else {},
        notes=notes,
        simulated=history.simulated,
        all_known=True,
    )
    disturbed = [*tasks_of(history, 0.0, asked_s)]
    disturbed += [*not_running([poll for poll in history.polls if poll.running]), *starts(history), *stops(frames)]
    disturbed += restarts_of_pvestatd(history)
    disturbed += _upgrades_inside(study, name, history)
    return write_windows(study, name, frames, "rrddata", origin, disturbed, history)


_NO_SWITCH = N_(
    "{name}: the host told no restart at the beginning of a block of the schedule, so what was in force is not "
    "known; collect again once a day, or run virtio-study watch {study}"
)


def _frames(study: Study, name: str, history: History, answers: Sequence[Answer]) -> dict[float, pd.DataFrame]:
    """Seconds between rows -> frame of a server's rows, with the CPU of its node where it was on one alone."""
    base = rf"/nodes/([^/]+)/qemu/{history.vmid}/rrddata\?.*cf=AVERAGE"
    merged = merge_rrddata(_rows(answers, base))
    if not merged:
        raise DataError(
            N_("{name}: no stored rrddata of server {vmid} has a row with values"), name=name, vmid=history.vmid
        )
    nodes = {found[1] for path in {answer.path for answer in answers} if (found := re.fullmatch(base, path))}
    # of a server that was on several nodes nothing in a row tells on which it then was
    beside = {}
    if len(nodes) == 1:
        beside = merge_rrddata(_rows(answers, rf"/nodes/{re.escape(nodes.pop())}/rrddata\?.*cf=AVERAGE"))

    overwritten = displays_another(history.polls)

    def qemu_server(moment: float) -> str | None:
        known = [version for at, version in history.versions if at <= moment] or [v for _, v in history.versions[:1]]
        return history.qemu_server_at(moment, known[-1] if known else "")

    frames = {}
    for step, listed in merged.items():
        frame = normalising.rrd_frame(
            listed, step, "AVERAGE", said(N_("rrddata of {server}"), server=name), qemu_server
        )
        if step in beside:
            node = normalising.rrd_frame(beside[step], step, "AVERAGE", said(N_("rrddata of the node")))
            frame = normalising.add_node_cpu(frame, node)
        frames[float(step)] = normalising.of_unknown_instrument(frame) if overwritten else frame
    return frames


def _upgrades_inside(study: Study, name: str, history: History) -> Iterator[Disturbance]:
    """Upgrades inside a window.

    Between two windows an upgrade may be part of what the researcher did, and its moment may be days wide.
    """
    windows = [(w.start.timestamp(), w.end.timestamp()) for w in study.windows if w.server == name]
    for node in history.nodes.values():
        for item in upgrades(node):
            if any(start <= item.start_s and item.end_s <= end for start, end in windows):
                yield item


def _rows(answers: Sequence[Answer], pattern: str) -> Iterator[tuple[str, list[Sample]]]:
    """What to call each answer of rrddata that has a value, and its rows."""
    for at, rows in lists(answers, pattern):
        if any(len(row) > 1 for row in rows):
            yield f"rrddata of {at:.0f}", rows
