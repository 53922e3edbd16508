"""What dumps of metrics have in common: their lines and tokens, and the samples that they hold in the API's own keys.

InfluxDB and Prometheus both carry what `pvestatd` measured: Proxmox' own external metric server sends the whole status
of every server, and the exporter asks `/cluster/resources`. Counters stay counters here; `sources.normalising` makes
rates of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_

__all__ = ["Dump", "RawSample", "dump_of", "lines", "number_of", "read_pairs", "short", "vmid_of"]

RawSample = dict[str, object]
"""What was known of a server or node at a `time` (Unix seconds): the keys and units of `status/current`."""


@dataclass(frozen=True)
class Dump:
    """Samples of a dump in order of time: of servers by vmid, of nodes by name."""

    servers: dict[int, list[RawSample]] = field(default_factory=dict)
    nodes: dict[str, list[RawSample]] = field(default_factory=dict)


def dump_of(
    paths: Sequence[Path],
    scale: float,
    servers: dict[int, dict[int, RawSample]],
    nodes: dict[str, dict[int, RawSample]],
    expected: str,
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
    )


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(N_("{path}: cannot be read: {reason}"), path=path, reason=error.strerror) from error


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where it stands and text of every line that is not empty."""
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}: line {number}", line.strip()
    except UnicodeDecodeError as error:
        raise DataError(
            N_("{path}: not UTF-8 text ({reason}); is it compressed?"), path=path, reason=error.reason
        ) from error


def read_pairs(pattern: re.Pattern[str], text: str) -> tuple[list[tuple[str, str]], str]:
    """Pairs of a list of them, and what follows that is none."""
    pairs, place = [], 0
    while place < len(text) and (match := pattern.match(text, place)):
        pairs.append((match[1], match[2]))
        place = match.end()
    return pairs, text[place:]


def vmid_of(text: str, where: str) -> int:
    """Number of a server; `DataError` says where there is none."""
    if not re.fullmatch(r"[0-9]{3,9}", text):
        raise DataError(
            N_("{where}: {text!r} is not the number of a server; expected vmid 100 to 999999999"),
            where=where,
            text=text,
        )
    return int(text)


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
