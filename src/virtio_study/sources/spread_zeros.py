"""Zeros that are no measurement inside rows of a minute: RRD averages six samples, and spreads one over a gap."""

from itertools import groupby

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from virtio_study.pve.values import COUNTED
from virtio_study.sources.history import Disturbance

__all__ = ["ONE_SAMPLE", "RESTARTED", "began_anew", "holds_zero"]

MINUTE_S = 60.0
ONE_SAMPLE = 1 / 6
"""pvestatd samples every 10 s: the share of a minute that one sample fills."""

AROUND = 5
"""Rows before and after one that say what is usual."""

NOISE = 0.02
"""Memory that is so near to the usual is the usual."""

LOW, SAME_WORK, LOW_NODE = 0.75, 0.25, 0.6
"""CPU below this share of the usual, disk and network within this of it, and the node's own CPU below this share."""

DEVIATIONS = 6.0
"""So many median deviations below the usual: a server's own minutes do not reach it."""

LONGEST, RAREST = 3, 0.02
"""Rows that an update of RRD can reach (heartbeat 120 s), and the share of rows above which it is the server's way."""

RESTARTED = "pvestatd restarted"


def holds_zero(memory: "pd.Series[float]") -> "pd.Series[bool]":
    """Rows of a minute whose memory holds samples of 0, or is one.

    Where the memory of a server that runs could not be read, qemu-server since 9.1.5 gives 0 (commit 61d76518). Beside
    a row of 0 a row below the usual holds a part of it; alone, one or two rows do that lack a whole number of samples,
    and that the usual memory surrounds.

    Parameters
    ----------
    memory : Series of float64, shape (rows,)
        One column of rows of a minute, in order of time; NaN is passed over.
    """
    zero = memory.eq(0)
    usual = memory.mask(zero).rolling(2 * AROUND + 1, center=True, min_periods=4).median()
    lack = (1 - memory / usual).fillna(0.0)
    low = lack > ONE_SAMPLE / 4
    found = zero.to_numpy(copy=True)
    for is_low, group in groupby(range(len(memory)), key=[*low].__getitem__):
        numbers = [*group]
        if is_low and (zero.iloc[numbers].any() or _whole_samples(lack.to_numpy(), numbers)):
            found[numbers] = True
    return pd.Series(found, index=memory.index)


def _whole_samples(lack: NDArray[np.float64], numbers: list[int]) -> bool:
    samples = float(lack[numbers].sum()) / ONE_SAMPLE
    beside = [lack[place] for place in (numbers[0] - 1, numbers[-1] + 1) if 0 <= place < len(lack)]
    whole = round(samples) and abs(samples - round(samples)) < 0.1 + 0.05 * round(samples)
    return len(numbers) <= 2 and bool(whole) and all(abs(one) < NOISE for one in beside)


def began_anew(frame: pd.DataFrame) -> list[Disturbance]:
    """Rows of a minute whose CPU holds the 0 that a new pvestatd stores first; RRD spreads it back to its last update.

    The server's CPU falls far below the usual for three rows at most, while its disk and network do as ever. Where the
    node's own CPU falls with it, less of a fall is enough.

    Parameters
    ----------
    frame : DataFrame
        Of `normalising.rrd_frame`, with the node's CPU where it is known.
    """
    if float(frame["step_s"].median()) != MINUTE_S:
        return []
    cpu = _of_usual(frame["cpu_cores"])
    rates = [_of_usual(frame[name]) for name in COUNTED if name in frame]
    work = pd.concat(rates, axis=1).median(axis=1) if rates else pd.Series(np.nan, frame.index)
    spread = float((cpu - 1).abs().median())
    far = cpu < 1 - DEVIATIONS * spread
    if "node_cpu_cores" in frame:
        far |= _of_usual(frame["node_cpu_cores"]) < LOW_NODE
    low = (cpu < LOW) & _below_both_sides(frame["cpu_cores"]) & far & (work - 1).abs().lt(SAME_WORK)
    if low.sum() > max(LONGEST, RAREST * len(frame)):
        return []
    ends = frame["time"].map(pd.Timestamp.timestamp)
    found = []
    for is_low, group in groupby(range(len(frame)), key=[*low].__getitem__):
        numbers = [*group]
        if is_low and len(numbers) <= LONGEST:
            start_s = ends.iloc[numbers[0]] - frame["step_s"].iloc[numbers[0]]
            found.append(Disturbance(float(start_s), float(ends.iloc[numbers[-1]]), RESTARTED))
    return found


def _below_both_sides(values: "pd.Series[float]") -> "pd.Series[bool]":
    """Rows far below the rows before and below those after, so that a level that changes is none."""
    before = values.rolling(AROUND, min_periods=1).median().shift()
    after = values[::-1].rolling(AROUND, min_periods=1).median().shift()[::-1]
    return values < LOW * np.fmin(before, after)


def _of_usual(values: "pd.Series[float]") -> "pd.Series[float]":
    """Share of the median of the rows around."""
    usual = values.rolling(2 * AROUND + 1, center=True, min_periods=AROUND).median()
    return values / usual.where(usual > 0)
