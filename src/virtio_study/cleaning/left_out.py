"""Rows that are no part of a steady stretch: disturbed, of another instrument, or not a step after the one before."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["blips", "edges", "irregular", "touched", "unmeasured"]

FEW_BLIPS = 0.05
"""Rows of another instrument are exceptions up to this share; beyond it the recording is mixed, and a check says so.
So are rows without a value, which are named beyond it.
"""


def touched(boot: pd.DataFrame, contaminated: Sequence[tuple[float, float, str]]) -> NDArray[np.object_]:
    """Reason of the first disturbance that touches a row; empty where none does."""
    begins, ends = edges(boot)
    reasons: NDArray[np.object_] = np.full(len(boot), "", dtype=object)
    for start, end, reason in contaminated:
        reasons[(begins < end) & (ends > start) & (reasons == "")] = reason
    return reasons


def blips(boot: pd.DataFrame, reasons: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Steady rows whose displayed memory has another instrument than the rest, where they are few.

    Proxmox VE falls back to the host's figure for a sample when the balloon's statistics come too late.
    """
    if "mem_instrument" not in boot.columns:
        return np.zeros(len(boot), dtype=bool)
    steady = reasons == ""
    names = boot["mem_instrument"].astype("str")
    if "mem_displayed_bytes" in boot.columns:
        steady = steady & boot["mem_displayed_bytes"].notna().to_numpy()  # a value that is missing was made by none
    usual = names[steady].mode()
    other = steady & names.ne(usual.iloc[0] if len(usual) else "").to_numpy()
    return other if 0 < other.sum() <= FEW_BLIPS * steady.sum() else np.zeros(len(boot), dtype=bool)


def unmeasured(boot: pd.DataFrame, column: str, reasons: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Steady rows without a value of a column, where they are no exceptions and where others have one."""
    steady = reasons == ""
    missing = steady & boot[column].isna().to_numpy()
    named = FEW_BLIPS * steady.sum() < missing.sum() < steady.sum()
    return missing if named else np.zeros(len(boot), dtype=bool)


def irregular(boot: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose step, or distance in time to the row before, is more than half a usual step off the usual step."""
    usual = float(boot["step_s"].median())
    distance = boot["time"].diff().dt.total_seconds().fillna(usual)
    off = np.maximum((distance - usual).abs(), (boot["step_s"] - usual).abs())
    return np.asarray(off > usual / 2, dtype=bool)


def edges(boot: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unix seconds at which every row's interval begins and ends."""
    ends: NDArray[np.float64] = boot["time"].to_numpy("datetime64[us]").astype(np.int64) / 1e6
    return ends - boot["step_s"].to_numpy(np.float64), ends
