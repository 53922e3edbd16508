"""An example of a package that adds a check of validity and a source of files to virtio-study."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from virtio_study.analysis.evidence import Side
from virtio_study.analysis.validity import Check, checked
from virtio_study.study import Server


def an_hour_or_more(before: Side, after: Side) -> Check:
    """Our house believes nothing that was recorded for less than an hour."""
    if before.seconds is None or after.seconds is None:
        return checked("an_hour_or_more", "not_assessable", "It is not known how long was recorded.", {})
    shortest = min(before.seconds, after.seconds)
    text = "The shorter side was recorded for {seconds} s; our house wants an hour."
    return checked("an_hour_or_more", "pass" if shortest >= 3600 else "warn", text, {"seconds": shortest})


def read_meter(paths: Sequence[Path], server: Server) -> pd.DataFrame:
    """Rows of our meter: end of the minute, cores, MiB that the host spends."""
    names = ["time", "cpu_cores", "mem_host_bytes"]
    frame = pd.concat([pd.read_csv(path, sep=r"\s+", names=names) for path in paths])
    frame["time"] = pd.to_datetime(frame["time"], utc=True).astype("datetime64[us, UTC]")
    frame["mem_host_bytes"] *= 2.0**20
    return frame.assign(
        step_s=60.0,
        consolidation="AVERAGE",
        cpu_allocated_cores=float(server.vcpus),
        mem_allocated_bytes=float(server.memory_bytes),
        mem_displayed_bytes=float("nan"),
        mem_instrument="unknown",
        mem_host_instrument="host_cgroup",
    )
