"""Stored answers of the Proxmox VE API, as they are in files.

A file of answers has one JSON object a line: `t` (Unix seconds of the request), `path` (with its query), `status` and
`body` (the parsed answer).
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import clipped
from virtio_study.limits import unpacked_lines
from virtio_study.pve.values import RRD_COLUMNS, seconds

__all__ = ["Answer", "lists", "objects", "read_answers"]

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
KEPT += ("cpu", *RRD_COLUMNS)
BALLOON_KEPT = ("actual", "total_mem", "free_mem", "last_update")
OWN_LINE = re.compile(r'\{"t": [0-9.]+, "path": "([^"\\]*)"')
"""How a line of `Reply.line` begins; of such a one the path is known before all of it is read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API, with the Unix seconds at which it was asked for."""

    time_s: float
    path: str
    status: int
    data: object


def read_answers(paths: Sequence[Path], wanted: Callable[[str], bool] = lambda path: True) -> list[Answer]:
    """Read answers, each once, in order of time; a last line that a killed writer left unfinished is passed over.

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
    found = []
    latest: dict[str, object] = {}
    for path in paths:
        for number, line, finished in _lines(path):
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
                if (time_s := seconds(item["t"])) is None:
                    raise ValueError(f"t: {item['t']!r}")
                data = _slim(asked, body.get("data") if isinstance(body, dict) else None)
                if data != latest.get(asked):
                    latest[asked] = data
                found.append(Answer(time_s, asked, int(item["status"]), latest.get(asked)))
            except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
                if not finished:
                    continue
                raise DataError(
                    N_("{path}: line {number} is no answer with t, path, status and body: {error}"),
                    path=path,
                    number=number,
                    error=clipped(str(error), 100),
                ) from error
    return _once(sorted(found, key=lambda answer: answer.time_s))


def _lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Number and text of every line of a file, and whether its end is there; `DataError` if it cannot be read."""
    import zstandard

    try:
        for number, line, finished in unpacked_lines(path):
            yield number, line.decode(errors="strict" if finished else "replace"), finished
    except (OSError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise DataError(N_("{path}: cannot be read: {error}"), path=path, error=error) from error


def _once(answers: Sequence[Answer]) -> list[Answer]:
    """Answers without those that came twice, as of two files of which one goes on where the other ended."""
    kept: list[Answer] = []
    for _, together in groupby(answers, key=lambda answer: answer.time_s):
        seen: list[Answer] = []
        for answer in together:
            if answer not in seen:
                seen.append(answer)
        kept += seen
    return kept


def _slim(path: str, data: object) -> object:
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


def objects(answers: Sequence[Answer], pattern: str) -> Iterator[tuple[float, Mapping[str, object]]]:
    """Time and data of the good answers whose path, with its query, matches a regular expression whole.

    Data that is no object is passed over.
    """
    for answer in _good(answers, pattern):
        if isinstance(answer.data, dict):
            yield answer.time_s, answer.data


def lists(answers: Sequence[Answer], pattern: str) -> Iterator[tuple[float, list[Mapping[str, object]]]]:
    """As `objects`, of paths whose data is a list of objects; what is none in it is passed over."""
    for answer in _good(answers, pattern):
        if isinstance(answer.data, list):
            yield answer.time_s, [item for item in answer.data if isinstance(item, dict)]


def _good(answers: Sequence[Answer], pattern: str) -> Iterator[Answer]:
    matches = cache(re.compile(pattern).fullmatch)  # weeks of polls have few paths
    return (answer for answer in answers if answer.status == 200 and matches(answer.path))
