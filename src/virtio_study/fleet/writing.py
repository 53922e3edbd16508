"""What a survey leaves: a table of every finding, and the summary as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from virtio_study.fleet.estimating import ChangeEffect
from virtio_study.fleet.results import FleetResults, shown_effects
from virtio_study.stats.interval import Interval
from virtio_study.stats.rounding import significant
from virtio_study.storage import replacing, write_atomically

__all__ = ["findings_frame", "write_survey"]

SUMMARY, TABLE = "fleet.json", "fleet.parquet"


def findings_frame(findings: Sequence[ChangeEffect]) -> pd.DataFrame:
    """One row for every finding, numbers with the digits of all results.

    Returns
    -------
    DataFrame, shape (findings, 22)
        `shown`: whether the effect is shown at the false discovery rate; `reason`: why there is none, empty where there
        is one. Effects are in cores or bytes, relative ones are shares; `at` is UTC.
    """
    frame = pd.DataFrame(
        {
            "server": [item.server for item in findings],
            "node": [item.node for item in findings],
            "at": pd.to_datetime([item.at_s for item in findings], unit="s", utc=True),
            "change": [", ".join(item.parts) for item in findings],
            "direction": [item.direction for item in findings],
            "metric": [item.metric for item in findings],
            "reason": [item.reason for item in findings],
            "days_before": [item.days_before for item in findings],
            "days_after": [item.days_after for item in findings],
            "controls": [item.controls for item in findings],
            "before": [item.before for item in findings],
            "after": [item.after for item in findings],
            **_ends("difference", [item.difference for item in findings]),
            **_ends("relative", [item.relative for item in findings]),
            "unadjusted": [item.unadjusted for item in findings],
            "meanwhile": [item.meanwhile for item in findings],
            "p": [item.p for item in findings],
            "robust": [item.robust for item in findings],
            "shown": shown_effects(findings),
        }
    )
    for name in ("before", "after", "unadjusted", "meanwhile", "p"):
        frame[name] = _numbers(frame[name].tolist())
    return frame.astype({"at": "datetime64[us, UTC]"})


def _ends(name: str, found: Sequence[Interval | None]) -> dict[str, list[float]]:
    """Columns of an interval."""
    ends = {"": "estimate", "_low": "low", "_high": "high"}
    return {f"{name}{end}": _numbers([getattr(item, field, None) for item in found]) for end, field in ends.items()}


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [np.nan if value is None else significant(float(value)) for value in values]


def write_survey(folder: Path, results: FleetResults, findings: Sequence[ChangeEffect]) -> pd.DataFrame:
    """Write `fleet.parquet` (every finding) and `fleet.json` (what they say together) into a folder.

    Returns
    -------
    DataFrame
        The table that was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    frame = findings_frame(findings)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with replacing(folder / TABLE) as sink:
        pq.write_table(table, sink, compression="zstd")
    content = json.dumps(results.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / SUMMARY, content.encode())
    return frame
