"""Rows of saved rrddata answers, by the seconds between them: what `pvesh` writes, or the API answers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.values import Sample, number
from virtio_study.sources.files.saved_json import documents, host_says

__all__ = ["STEPS", "merge_rrddata", "of_a_server", "read_rrddata"]

STEPS = (60, 1800, 10800, 21600, 43200, 604800)
"""Seconds between the rows of rrddata, in every version (`src/PVE/RRD.pm` of pve-cluster)."""

SAME = 1e-6
"""Two figures of one row agree within this share: `rrdtool` prints 11 digits, the API 15."""

MEAN_OF_FINER = 0.02
"""A row of a coarser step is the mean of the finer ones within this share."""

FEW_SHARED = 2
"""So many minutes of both generations of files an upgrade may leave different."""

OF_A_NODE = {"memtotal", "memused", "loadavg", "iowait", "rootused", "roottotal"}
OF_A_STORAGE = {"total", "used"}
Rows = Mapping[int, Sequence[Sample]]
"""Step in seconds -> rows in order of time."""

ALLOCATION = {"time", "maxcpu", "maxmem", "maxdisk", "disk"}
"""What pvestatd writes of a server that is off."""


def read_rrddata(paths: Sequence[Path]) -> dict[int, list[Sample]]:
    """Rows of saved rrddata answers, by seconds between rows.

    Parameters
    ----------
    paths : sequence of Path
        Files of `pvesh get /nodes/NODE/qemu/VMID/rrddata --timeframe day --output-format json`, or the API's answer to
        the same (`{"data": [...]}`), all of one server or node and of the consolidation AVERAGE; as they are saved (see
        `saved_json.documents`), also a row a line. Of two rows of the same step and time the one that knows more is
        kept.

    Returns
    -------
    dict
        Step in seconds -> rows in order of time. An upgraded host's answer has rows of several steps, and goes back in
        time where the new files begin: each row's step is taken from its neighbours.

    Raises
    ------
    DataError
        If a file is not JSON, or no list of rows with times; if two answers disagree on the same step and time, or one
        on the mean of another's finer rows: they are of two servers, or one is of MAX.

    References
    ----------
    pve-cluster, `src/PVE/RRD.pm`: the old rows come first, then the new ones (commit e43b29e).
    """
    answers = [item for path in paths for item in _answers(path)]
    for where, body in answers:
        _not_two(where, body)
    read = [(where, merge_rrddata([(where, body)])) for where, body in answers]
    for place, (second, rows) in enumerate(read):
        for first, others in read[:place]:
            _agree(first, others, second, rows)
    return merge_rrddata(answers)


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


def of_a_server(rows: Iterable[Sample], where: str | Said) -> None:
    """Nothing if rows are a server's that ran at some time.

    Raises
    ------
    DataError
        If they are a node's or a container's, or of a server that was off all the time.

    References
    ----------
    qemu-server, `vmstatus` in `src/PVE/QemuServer.pm` ("no info available": the disk in use is 0); pve-manager,
    `PVE/Service/pvestatd.pm` (what is written of a node, and of a server that is off).
    """
    keys: set[str] = set()
    count, used = 0, False
    for row in rows:
        known = {key for key, value in row.items() if value not in (None, "")}
        keys, count, used = keys | known, count + 1, used or str(row.get("disk") or 0) not in ("0", "0.0")
    asked = N_("ask /nodes/NODE/qemu/VMID/rrddata")
    other = keys & (OF_A_NODE | OF_A_STORAGE)
    if other and "maxmem" not in keys:
        node = N_("{where}: rows of a node ({keys}), not of a server; {asked}")
        storage = N_("{where}: rows of a storage ({keys}), not of a server; {asked}")
        raise DataError(
            node if other & OF_A_NODE else storage,
            where=where,
            keys=", ".join(sorted(other)),
            asked=said(asked),
        )
    if used:
        raise DataError(
            N_("{where}: rows of a container (its disk in use is told, that of a server never); {asked}"),
            where=where,
            asked=said(asked),
        )
    if keys <= ALLOCATION and keys & {"maxcpu", "maxmem"}:
        raise DataError(
            N_("{where}: the server was off all the time ({count} rows with its allocation and nothing measured)"),
            where=where,
            count=count,
        )


def _agree(first: str, others: Rows, second: str, rows: Rows) -> None:
    """Nothing if two answers may be of one server and one consolidation."""
    for step in others.keys() & rows.keys():
        known = {row["time"]: row for row in others[step]}
        for row in rows[step]:
            for key, value in known.get(row["time"], {}).items():
                if _differ(_number(value), _number(row.get(key)), SAME):
                    raise _two_things(first, second, (key, row["time"], value, row.get(key)))
    for key in ("maxcpu", "maxmem", "maxdisk"):
        was, now = _known(others, key), _known(rows, key)
        if was and now and not was & now:
            raise DataError(
                N_(
                    "{second}: {key} is {now}, but in {first} {was}: they are of two servers; of one that was given "
                    "more, import each by itself"
                ),
                first=first,
                second=second,
                key=key,
                now=f"{max(now):.0f}",
                was=f"{max(was):.0f}",
            )
    for name, coarse, other, fine in ((first, others, second, rows), (second, rows, first, others)):
        for step, size in ((step, size) for step in coarse for size in fine if size < step and not step % size):
            for key in ("maxmem", "mem", "cpu"):
                held = [*_held_against_mean(coarse[step], fine[size], key, step, size)]
                wrong = [item for item in held if _differ(item[2], item[3], MEAN_OF_FINER)]
                if 2 * len(wrong) > len(held):
                    raise _two_things(other, name, wrong[0])


def _known(rows: Rows, key: str) -> set[float]:
    values = (_number(row.get(key)) for listed in rows.values() for row in listed)
    return {value for value in values if not math.isnan(value)}


def _not_two(where: str, body: object) -> None:
    """Nothing if the rows of one answer that have the same step and time, as an upgraded host gives them, agree."""
    rows = _rows(where, body)
    first: dict[tuple[int, int], Sample] = {}
    shared, other = 0, 0
    for (time, row), step in zip(rows, _steps(where, [time for time, _ in rows]), strict=True):
        known = first.setdefault((step, time), row)
        values = [(_number(known.get(key)), _number(row.get(key))) for key in ("maxmem", "mem", "cpu")]
        shared += known is not row
        other += any(_differ(one, two, MEAN_OF_FINER) for one, two in values)
    if other > max(FEW_SHARED, shared / 2):
        raise DataError(
            N_("{where}: {other} of {shared} rows are there twice with other values: they are of two servers"),
            where=where,
            other=other,
            shared=shared,
        )


def _held_against_mean(
    coarse: Sequence[Sample], fine: Sequence[Sample], key: str, step: int, size: int
) -> Iterator[tuple[str, object, float, float]]:
    """Key, time, mean of the finer rows and value of every coarser row that known finer ones fill."""
    values = {int(str(row["time"])): _number(row.get(key)) for row in fine}
    for row in coarse:
        end = int(str(row["time"]))
        inside = [values.get(time, math.nan) for time in range(end - step + size, end + 1, size)]
        if not any(map(math.isnan, inside)):
            yield key, end, math.fsum(inside) / len(inside), _number(row.get(key))


def _number(value: object) -> float:
    try:
        return number(value)
    except ValueError:
        return math.nan


def _differ(one: float, other: float, share: float) -> bool:
    return abs(one - other) > share * max(abs(one), abs(other))


def _two_things(first: str, second: str, found: tuple[str, object, object, object]) -> DataError:
    key, time, one, other = found
    return DataError(
        N_(
            "{second}: {key} of {time} UTC is {other}, but {first} has {one}: they are of two servers, or one is of "
            "MAX; give answers of one server with cf=AVERAGE"
        ),
        first=first,
        second=second,
        key=key,
        time=f"{datetime.fromtimestamp(int(str(time)), UTC):%Y-%m-%d %H:%M:%S}",
        one=str(one)[:40],
        other=str(other)[:40],
    )


def _answers(path: Path) -> Iterator[tuple[str, object]]:
    """What to call each answer of a file, and its rows; rows that stand alone, one a line, are one answer."""
    found = documents(path)
    alone = [item for item in found if isinstance(item, dict) and "time" in item]
    if len(alone) == len(found):
        yield str(path), alone
        return
    for place, item in enumerate(found, 1):
        where = f"{path}, answer {place}" if len(found) > 1 else str(path)
        if isinstance(item, dict) and isinstance(item.get("path"), str) and "body" in item:
            raise DataError(
                N_("{where}: a stored answer of the API with its path; take virtio-study files answers"), where=where
            )
        data = item.get("data") if isinstance(item, dict) else item
        if data is None and (words := host_says(item)):
            raise DataError(N_("{where}: the host answered with an error: {words}"), where=where, words=words)
        if data is None and item == {"data": None}:
            raise DataError(
                N_("{where}: an answer without data; the host says why in its status line: save it with curl -i"),
                where=where,
            )
        yield where, data


def _rows(path: str, rows: object) -> list[tuple[int, Sample]]:
    """Rows, each with its time in whole seconds."""
    if not isinstance(rows, list) or not rows:
        raise DataError(
            N_("{path}: no list of rows; expected an answer of rrddata (virtio-study files answers takes every kind)"),
            path=path,
        )
    found = []
    for place, row in enumerate(rows):
        time = row.get("time") if isinstance(row, dict) else None
        try:
            seconds = float(time) if isinstance(time, int | float | str) else math.nan
        except (ValueError, OverflowError):
            seconds = math.nan
        if not 1e9 <= seconds < 41e8 or seconds % 1:
            raise DataError(
                N_("{path}: row {number}: time is {time!r}; expected whole Unix seconds"),
                path=path,
                number=place,
                time=str(time)[:40],
            )
        found.append((int(seconds), row))
    return found


def _steps(path: str, times: list[int]) -> Iterator[int]:
    """Step of every row: the distance to the row before it, or where that is none, to the row after it."""
    distances = [after - before for before, after in pairwise(times)]
    for place in range(len(times)):
        near = [distances[i] for i in (place - 1, place) if 0 <= i < len(distances)]
        step = next((distance for distance in near if distance in STEPS), None)
        if step is None:
            raise DataError(
                N_("{path}: row {number} is {near} s from its neighbours; rrddata has {step} s: save the whole answer"),
                path=path,
                number=place,
                near=near or said(N_("alone, not")),
                step=", ".join(str(step) for step in STEPS),
            )
        yield step
