"""Rows and samples in the keys of Proxmox VE's API -> frames of the schema.

What files can tell: the API's rows and the exporters' samples without the answers around them, so that an instrument
that nothing tells stays unknown.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said
from virtio_study.pve.instruments import host_instrument, memory_states, statistics
from virtio_study.pve.run_states import why_not_running
from virtio_study.pve.values import COUNTERS, RRD_COLUMNS, Sample, measured, number
from virtio_study.recording import SCHEMA
from virtio_study.sources.grid import grid_of
from virtio_study.sources.history import NodeStatus, Poll
from virtio_study.sources.spread_zeros import ONE_SAMPLE, holds_zero
from virtio_study.study import Server

__all__ = ["add_node_cpu", "node_frame", "of_unknown_instrument", "polled_frame", "rrd_frame", "sample_frame"]

MINUTE_S = 60
LEAST_WAY = 0.05
"""Where guest's and host's figure are nearer than this share of the allocation, a sample of the other is not told."""

CPU_NOTE = "CPU of a row covers the time since the same worker of the API answered before; its mean is right."

AROUND, FEWEST_AROUND = 10, 7
"""Readings before and after one against which its CPU of 0 is held, and the fewest, itself among them, that tell."""

RARE = 0.25
"""Zeros up to this share of the readings around are none of the server's own rests."""

TICK_S, MANY_TICKS = 0.01, 4
"""A process' CPU time advances in ticks; where four are usual, none happens by chance once in fifty times."""

GAP = 2.5
"""A sample that comes later than so many usual steps after the one before it begins anew."""


def rrd_frame(
    rows: Sequence[Sample],
    step_s: int,
    consolidation: str,
    where: str | Said,
    qemu_server: str | Callable[[float], str | None] | None = None,
) -> pd.DataFrame:
    """Frame of the schema from rrddata rows of one step.

    Parameters
    ----------
    rows : sequence of dict
        As the API gives them: `time` (Unix seconds, END of the interval); a value that is not known has no key. Numbers
        may be texts (old versions). Rows with a time alone are left out; of rows of the same time the last is kept.
    step_s : int
        Seconds between rows.
    consolidation : str
        AVERAGE or MAX.
    where : str
        What to call the rows in an error.
    qemu_server : str or callable, optional
        The version of qemu-server that made them, or what gives it for a moment (Unix seconds).

    Returns
    -------
    DataFrame, shape (rows, columns of the schema that the rows can fill)
        `mem_instrument` is told by `instruments.MEMORY_STATES`; until Proxmox VE 8 nothing in a row tells, and of a
        minute to which both instruments gave samples it is unknown.

    Raises
    ------
    DataError
        If a value is no number, naming row and key; or if no row has a value.
    """
    numbers = _numbers(rows, ["time", "cpu", *RRD_COLUMNS], where)
    numbers = numbers[numbers.drop(columns=["time", "view", "sent", "runs"]).notna().any(axis=1)]
    if numbers.empty:
        raise DataError(N_("{where}: no row with a value in it"), where=where)
    if step_s == MINUTE_S:
        for key in ("mem", "memhost"):
            numbers[key] = numbers[key].mask(holds_zero(numbers[key]))
    frame = _common(numbers, consolidation)
    frame["step_s"] = float(step_s)
    views = numbers["view"].mask(_mixed(numbers), "unknown") if step_s == MINUTE_S else numbers["view"]
    return _ordered(frame.assign(sent=numbers["sent"]), views, qemu_server)


def _mixed(numbers: pd.DataFrame) -> "pd.Series[bool]":
    """Minutes of guest statistics that hold one sample of the host's figure: QEMU was once asked in vain.

    pvestatd samples every 10 s, so that one sample moves a minute, or two that share it, by a sixth of the way from the
    guest's figure to the host's. What moves otherwise, or stays, is the guest's own doing.
    """
    usual = numbers["mem"].rolling(7, center=True, min_periods=4).median()
    way = (numbers["memhost"] - usual).where(numbers["view"].eq("guest"))
    share = ((numbers["mem"] - usual) / way).where(way.abs() > LEAST_WAY * numbers["maxmem"], 0.0).fillna(0.0)
    moved = share.abs() > ONE_SAMPLE / 8
    run = moved.ne(moved.shift()).cumsum()
    total, rows = share.groupby(run).transform("sum"), share.groupby(run).transform("size")
    one = (total - ONE_SAMPLE).abs() < ONE_SAMPLE / 3
    return moved & one & (rows <= 2)


def sample_frame(
    samples: Sequence[Sample], server: Server, where: str | Said, qemu_server: str | None = None
) -> pd.DataFrame:
    """Frame of the schema from samples of a server's status, taken at moments.

    Parameters
    ----------
    samples : sequence of dict
        `time` (Unix seconds) and keys of `status/current` or `/cluster/resources`: cpu as a share of `cpus` or
        `maxcpu`, counters since the server's start, and `ballooninfo` where the source has it.
    server : Server
        Gives the allocation where the samples do not.
    where, qemu_server
        As in `rrd_frame`.

    Returns
    -------
    DataFrame, shape (rows, columns of the schema that the samples can fill)
        A row ends at its sample, or at the nearest place of a grid of the usual step (`grid.grid_of`), so that all rows
        have one step; rates are over the true times. A sample that repeats the one before it (the same uptime and
        values: the dump was read more often than Proxmox VE measured) is left out, and so is an extra one between two
        places, the first sample, and the first after a gap: nothing says what their interval is. Rates are NaN where a
        counter fell (a restart), and so is the CPU of 0 that Proxmox VE gives to a process that it sees for the first
        time, and memory of 0; everything is NaN while the server is off.

    Raises
    ------
    DataError
        If a value is no number, naming sample and key; or if fewer than two samples are left.
    """
    rows = [{**sample, "maxcpu": sample.get("maxcpu", sample.get("cpus"))} for sample in samples]
    numbers = _numbers(rows, ["time", "cpu", "uptime", *RRD_COLUMNS], where)
    values = ["cpu", "mem", "uptime", *COUNTERS]
    repeated = (numbers[values].eq(numbers[values].shift()) | numbers[values].isna()).all(axis=1)
    numbers = numbers[~(repeated & numbers["uptime"].gt(0))].reset_index(drop=True)
    numbers.loc[numbers["uptime"].eq(0), ["cpu", "mem", "memhost", *COUNTERS]] = np.nan
    numbers["maxcpu"] = numbers["maxcpu"].fillna(server.vcpus)
    numbers["maxmem"] = numbers["maxmem"].fillna(int(server.memory_bytes))
    grid = grid_of(numbers["time"].to_numpy())
    numbers["cpu"] = numbers["cpu"].mask(_first_answers(numbers, grid.step_s))
    numbers = numbers.iloc[grid.kept].reset_index(drop=True)
    if len(numbers) < 2:
        raise DataError(N_("{where}: {count} samples with a value; rates need two"), where=where, count=len(numbers))
    started = numbers["uptime"].diff().lt(0)
    numbers.loc[started & numbers["cpu"].eq(0), "cpu"] = np.nan  # nothing to compare the process' first ticks with
    steps = numbers["time"].diff()
    rates = numbers[list(COUNTERS)].diff().div(steps, axis=0)
    # a counter that fell and came back has its whole past in the row after (old versions of qemu-server)
    fell = rates.lt(0) & ~started.to_numpy()[:, None]
    numbers[list(COUNTERS)] = rates.where((rates >= 0) & ~fell.shift(fill_value=False))
    frame = _common(numbers.assign(time=grid.ends_s), "AVERAGE")
    frame["step_s"], frame["uptime_s"], frame["sent"] = grid.step_s, numbers["uptime"], numbers["sent"]
    frame = frame.drop(
        columns=[name for name in frame if str(name).startswith("pressure") and frame[name].isna().all()]
    )
    follows = steps <= GAP * grid.step_s
    return _ordered(frame[follows], numbers.loc[follows, "view"], qemu_server)


def _first_answers(numbers: pd.DataFrame, step_s: float) -> "pd.Series[bool]":
    """Samples whose CPU of 0 is the first figure of whoever measures it, and no measurement.

    A worker of the API, or a pvestatd that was restarted, compares the process' CPU time with its own last look, and
    without one gives 0 (qemu-server, `vmstatus`). A server that is at work cannot use no tick of 10 ms by chance while
    its readings around have many, so that only such a 0 is told; of an idle one it is as good as a measurement. Where
    there are many and no counter moved with them, the server rests between its work.
    """
    cores = (numbers["cpu"] * numbers["maxcpu"]).where(numbers["runs"])
    around = cores.rolling(2 * AROUND + 1, center=True, min_periods=FEWEST_AROUND).median()
    worked = numbers[list(COUNTERS)].diff().ne(0).where(numbers[list(COUNTERS)].notna(), False).any(axis=1)
    rare = cores.eq(0).rolling(2 * AROUND + 1, center=True, min_periods=1).mean() <= RARE
    return cores.eq(0) & (around * step_s >= MANY_TICKS * TICK_S) & (worked | rare)


def polled_frame(
    polls: Sequence[Poll], server: Server, where: str | Said, qemu_server: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Frame of the schema from polls of a server, and notes on it; see `sample_frame`."""
    samples: list[Sample] = [{**poll.sample, "time": poll.time_s} for poll in polls]
    frame = sample_frame(samples, server, where, qemu_server)
    return frame, [CPU_NOTE, *_missing_notes(frame)]


def _missing_notes(frame: pd.DataFrame) -> list[str]:
    """What to say of rows in which a 0 is no measurement."""
    lost = {name: int(frame[name].isna().sum()) for name in ("cpu_cores", "mem_displayed_bytes", "mem_host_bytes")}
    notes = {
        "cpu_cores": "{count} rows are without CPU: whoever measured it looked for the first time, and said 0.",
        "mem_displayed_bytes": "{count} rows are without displayed memory: Proxmox VE could not read it, and said 0.",
        "mem_host_bytes": "{count} rows are without the host's memory: Proxmox VE could not read it, and said 0.",
    }
    return [notes[name].format(count=count) for name, count in lost.items() if 0 < count < len(frame)]


def node_frame(statuses: Sequence[NodeStatus], server: Server) -> pd.DataFrame:
    """`time` and `cpu_cores` of a server's node at every status but the first; see `add_node_cpu`."""
    samples = [{"time": item.time_s, "cpu": item.cpu, "maxcpu": item.cpus} for item in statuses]
    numbers = _numbers(samples, ["time", "cpu", *RRD_COLUMNS], "node status")
    numbers["maxcpu"] = numbers["maxcpu"].fillna(server.vcpus)
    return _common(numbers, "AVERAGE").drop_duplicates("time").iloc[1:][["time", "cpu_cores"]]


def add_node_cpu(frame: pd.DataFrame, node: pd.DataFrame) -> pd.DataFrame:
    """Add the node's own CPU, in cores, as a control: rows of the same time, or the nearest within half a step.

    Parameters
    ----------
    frame, node : DataFrame
        Frames of `rrd_frame` or `sample_frame`, of a server and of its node, in order of time.
    """
    control = node[["time", "cpu_cores"]].rename(columns={"cpu_cores": "node_cpu_cores"})
    half = pd.Timedelta(seconds=float(frame["step_s"].median()) / 2)
    return pd.merge_asof(frame, control, on="time", direction="nearest", tolerance=half)


def of_unknown_instrument(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of a host that displays another figure than Proxmox VE's own; what looks like the guest's is none."""
    return frame.assign(mem_instrument="unknown", mem_guest_instrument="unknown", mem_guest_bytes=np.nan)


def _common(numbers: pd.DataFrame, consolidation: str) -> pd.DataFrame:
    frame = numbers.rename(columns=RRD_COLUMNS)[list(RRD_COLUMNS.values())]
    frame.insert(0, "time", pd.to_datetime((numbers["time"] * 1e6).round().astype("int64"), unit="us", utc=True))
    frame["cpu_cores"] = numbers["cpu"] * numbers["maxcpu"]
    for name in ("mem_displayed_bytes", "mem_host_bytes"):
        frame[name] = frame[name].mask(frame[name].eq(0))  # since qemu-server 9.1.5 where it could not be read
    frame["consolidation"] = consolidation
    return frame


def _ordered(
    frame: pd.DataFrame, views: "pd.Series[str]", qemu_server: str | Callable[[float], str | None] | None
) -> pd.DataFrame:
    """The frame in order of time without repetitions, with the instruments of its memory columns."""
    if callable(qemu_server):
        versions = [qemu_server(at.timestamp()) for at in frame["time"]]
    else:
        versions = [qemu_server] * len(frame)
    host = pd.Series([host_instrument(version) for version in versions], index=frame.index, dtype=object)
    frame = frame.assign(
        mem_instrument=views.map({"guest": "guest_stats", "unknown": "unknown"}).fillna(host),
        mem_host_instrument=host if frame["mem_host_bytes"].notna().any() else "unknown",
    )
    guest = frame["mem_instrument"].eq("guest_stats")
    frame["mem_guest_bytes"] = frame["mem_displayed_bytes"].where(guest).fillna(frame["sent"])
    frame["mem_guest_instrument"] = np.where(guest | frame["sent"].notna(), "guest_stats", "unknown")
    frame = frame.drop_duplicates("time", keep="last").sort_values("time", ignore_index=True)
    return frame[[name for name in SCHEMA if name in frame]]


def _numbers(rows: Sequence[Sample], keys: list[str], where: str | Said) -> pd.DataFrame:
    """Float columns of the given keys, in order of time; NaN for no key.

    Beside them `view`, whose the displayed memory is, `sent`, the guest's figure by balloon statistics, and `runs`,
    whether nothing says that the server did not execute.
    """
    table: dict[str, list[float]] = {key: [] for key in keys}
    for place, row in enumerate(rows):
        for key in keys:
            try:
                table[key].append((number if key == "time" else measured)(row.get(key)))
            except ValueError:
                raise DataError(
                    N_("{where}: row {row}, {key} is {value!r}; expected a number"),
                    where=where,
                    row=place,
                    key=key,
                    value=str(row[key])[:40],
                ) from None
    states = [*memory_states(rows)]
    sent = [statistics(row) if state.sends else None for row, state in zip(rows, states, strict=True)]
    frame = pd.DataFrame({**table, "sent": sent}, dtype="float64").assign(
        view=[state.view for state in states], runs=[not why_not_running(row)[0] for row in rows]
    )
    wrong = np.flatnonzero(~frame["time"].between(1e9, 41e8))
    if len(wrong):
        raise DataError(
            N_("{where}: row {row}, time is {time!r}; expected Unix seconds"),
            where=where,
            row=int(wrong[0]),
            time=rows[wrong[0]].get("time"),
        )
    return frame.sort_values("time", kind="stable", ignore_index=True)
