"""Rows of saved rrddata answers, by the seconds between them: what `pvesh` writes, or the API answers."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.pve.values import Sample

__all__ = ["STEPS", "merge_rrddata", "read_rrddata"]

STEPS = (60, 1800, 10800, 21600, 43200, 604800)
"""Seconds between the rows of rrddata, in every version (`src/PVE/RRD.pm` of pve-cluster)."""


def read_rrddata(paths: Sequence[Path]) -> dict[int, list[Sample]]:
    """Rows of saved rrddata answers, by seconds between rows.

    Parameters
    ----------
    paths : sequence of Path
        Files of `pvesh get /nodes/NODE/qemu/VMID/rrddata --timeframe day --output-format json`, or the API's answer to
        the same (`{"data": [...]}`), all of one server or node and one consolidation. Of two rows of the same step and
        time the one that knows more is kept.

    Returns
    -------
    dict
        Step in seconds -> rows in order of time. An upgraded host's answer has rows of several steps, and goes back in
        time where the new files begin: each row's step is taken from its neighbours.

    Raises
    ------
    DataError
        If a file is not JSON, or no list of rows with times.

    References
    ----------
    pve-cluster, `src/PVE/RRD.pm`: the old rows come first, then the new ones (commit e43b29e).
    """
    return merge_rrddata((str(path), _answer(path)) for path in paths)


def merge_rrddata(answers: Iterable[tuple[str, object]]) -> dict[int, list[Sample]]:
    """As `read_rrddata`, of answers at hand: what to call each in an error, and its rows."""
    found: dict[int, dict[int, Sample]] = {}
    for where, body in answers:
        rows = _rows(where, body)
        for (time, row), step in zip(rows, _steps(where, [time for time, _ in rows]), strict=True):
            kept = found.setdefault(step, {})
            if len(row) > len(kept.get(time, {})):
                kept[time] = {**row, "time": time}
    return {step: [rows[time] for time in sorted(rows)] for step, rows in sorted(found.items())}


def _answer(path: Path) -> object:
    try:
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(N_("{path}: cannot be read: {reason}"), path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            N_("{path}: not JSON ({error}); save it with --output-format json"),
            path=path,
            error=" ".join(str(error).split()),
        ) from error
    return body.get("data") if isinstance(body, dict) else body


def _rows(path: str, rows: object) -> list[tuple[int, Sample]]:
    """Rows, each with its time in whole seconds."""
    if not isinstance(rows, list) or not rows:
        raise DataError(
            N_("{path}: no list of rows; expected an answer of rrddata (virtio-study files answers takes every kind)"),
            path=path,
        )
    found = []
    for number, row in enumerate(rows):
        time = row.get("time") if isinstance(row, dict) else None
        try:
            seconds = float(time) if isinstance(time, int | float | str) else math.nan
        except (ValueError, OverflowError):
            seconds = math.nan
        if not 1e9 <= seconds < 41e8 or seconds % 1:
            raise DataError(
                N_("{path}: row {number}: time is {time!r}; expected whole Unix seconds"),
                path=path,
                number=number,
                time=str(time)[:40],
            )
        found.append((int(seconds), row))
    return found


def _steps(path: str, times: list[int]) -> Iterator[int]:
    """Step of every row: the distance to the row before it, or where that is none, to the row after it."""
    distances = [after - before for before, after in pairwise(times)]
    for number in range(len(times)):
        near = [distances[i] for i in (number - 1, number) if 0 <= i < len(distances)]
        step = next((distance for distance in near if distance in STEPS), None)
        if step is None:
            raise DataError(
                N_("{path}: row {number} is {near} s from its neighbours; rrddata has {step} s: save the whole answer"),
                path=path,
                number=number,
                near=near or said(N_("alone, not")),
                step=", ".join(str(step) for step in STEPS),
            )
        yield step
