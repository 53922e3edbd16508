"""What dumps of metrics have in common: their lines and tokens, and the samples that they hold in the API's own keys.

InfluxDB and Prometheus both carry what `pvestatd` measured: Proxmox' own external metric server sends the whole status
of every server, and the exporter asks `/cluster/resources`. Counters stay counters here; `sources.normalising` makes
rates of them.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.limits import beginning, text_lines
from virtio_study.pve.values import vmid_in

__all__ = [
    "Dump",
    "RawSample",
    "chosen",
    "dump_of",
    "head",
    "lines",
    "number_of",
    "of_one_server",
    "put",
    "read_pairs",
    "short",
    "vmid_of",
]

CLOCK_S, FEW_BACK, SHARE_BACK = 120.0, 2, 0.005
"""A start moves by so many seconds where a clock is set or an answer late, and that often, or of so many samples."""

RawSample = dict[str, Any]
"""What was known of a server or node at a `time` (Unix seconds): the keys and units of `status/current`."""


@dataclass(frozen=True)
class Dump:
    """Samples of a dump in order of time: of servers by vmid, of nodes by name; and the vmids of containers in it."""

    servers: dict[int, list[RawSample]] = field(default_factory=dict)
    nodes: dict[str, list[RawSample]] = field(default_factory=dict)
    containers: frozenset[int] = frozenset()


def dump_of(
    paths: Sequence[Path],
    scale: float,
    servers: dict[int, dict[int, RawSample]],
    nodes: dict[str, dict[int, RawSample]],
    expected: str,
    containers: Collection[int] = (),
) -> Dump:
    """The dump of samples by server or node and by moment, of which `scale` make a second.

    Raises
    ------
    DataError
        If no server is among them; the message names what was `expected`.
    """
    if not servers:
        raise DataError(N_("{paths}: no {expected} in it"), paths=", ".join(map(str, paths)), expected=expected)

    def ordered(rows: dict[int, RawSample]) -> list[RawSample]:
        return [rows[stamp] | {"time": stamp / scale} for stamp in sorted(rows)]

    return Dump(
        {vmid: ordered(rows) for vmid, rows in sorted(servers.items())},
        {name: ordered(rows) for name, rows in sorted(nodes.items())},
        frozenset(containers),
    )


def put(sample: RawSample, values: Mapping[str, object], where: str) -> None:
    """Add values to a sample; `DataError` says where another value of the same moment is there already."""
    for key, value in values.items():
        if sample.setdefault(key, value) != value:
            raise DataError(
                N_("{where}: {key} is {value}, and was {known} at the same moment: these are two servers, or dumps"),
                where=where,
                key=key,
                value=str(value),
                known=str(sample[key]),
            )


def of_one_server(samples: Sequence[RawSample], source: str) -> None:
    """Nothing if samples may be of one server: no start follows a later one, and the allocation does not alternate.

    Raises
    ------
    DataError
        If they are of two, that have the same number and names.
    """
    started = [
        time - uptime for time, uptime in ((_number(s["time"]), _number(s.get("uptime"))) for s in samples) if uptime
    ]
    back = sum(later < earlier - CLOCK_S for earlier, later in pairwise(started))
    given = [(s["maxmem"], s.get("cpus", s.get("maxcpu"))) for s in samples if s.get("maxmem")]
    turns = sum(earlier != later for earlier, later in pairwise(given)) // 2
    if turns > max(FEW_BACK, SHARE_BACK * len(given)):
        raise DataError(
            N_(
                "{source} samples: the allocation changes there and back {count} times: they are of two servers of one "
                "number; export those of one host or cluster"
            ),
            source=source,
            count=turns,
        )
    if back > max(FEW_BACK, SHARE_BACK * len(started)):
        raise DataError(
            N_(
                "{source} samples: the server's start goes back {count} times: they are of two servers of one number; "
                "export those of one host or cluster"
            ),
            source=source,
            count=back,
        )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where it stands and text of every line that is not empty; `DataError` if the file is no text of such lines."""
    try:
        for number, line in enumerate(text_lines(path), 1):
            if line.strip():
                yield f"{path}: line {number}", line.strip()
    except OSError as error:
        raise DataError(N_("{path}: cannot be read: {reason}"), path=path, reason=error) from error
    except UnicodeDecodeError as error:
        raise DataError(
            N_("{path}: not UTF-8 text ({reason}); is it compressed?"), path=path, reason=error.reason
        ) from error


def head(path: Path) -> str:
    """How the text of a file begins."""
    try:
        return beginning(path).decode("utf-8-sig", errors="ignore")
    except OSError as error:
        raise DataError(N_("{path}: cannot be read: {reason}"), path=path, reason=error) from error


def read_pairs(pattern: re.Pattern[str], text: str) -> tuple[list[tuple[str, str]], str]:
    """Pairs of a list of them, and what follows that is none."""
    pairs, place = [], 0
    while place < len(text) and (match := pattern.match(text, place)):
        pairs.append((match[1], match[2]))
        place = match.end()
    return pairs, text[place:]


def vmid_of(text: str, where: str) -> int:
    """Number of a server; `DataError` says where there is none."""
    found = vmid_in(text)
    if found is None:
        raise DataError(
            N_("{where}: {text!r} is not the number of a server; expected vmid 100 to 999999999"),
            where=where,
            text=text,
        )
    return found


def number_of(value: str | float, where: str) -> float:
    """A number, which may be infinite or NaN; `DataError` says where there is none."""
    try:
        if "_" in str(value) or not str(value).isascii():  # what Python alone takes for digits
            raise ValueError(value)
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(N_("{where}: {value} is not a number"), where=where, value=short(str(value))) from error


def short(text: str) -> str:
    """The start of a text for a message, on one line."""
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def chosen(labels: Mapping[str, str], match: Mapping[str, Collection[str]]) -> bool:
    """Whether labels are among those that were asked for: each of `match` has one of its values."""
    return all(labels.get(name) in values for name, values in match.items())
