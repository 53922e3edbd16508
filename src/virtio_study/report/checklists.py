"""Lists of checks for the page: those that passed are counted, the others are told once for all that share them."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from markupsafe import Markup

from virtio_study.analysis.validity import Check

__all__ = ["Shared", "labelled", "passed", "shared"]


class Shared(NamedTuple):
    """A check with its outcome, and the keys (metrics, or servers with metrics) of which the same is said."""

    check: Check
    keys: tuple[str, ...]


def passed(checks: Mapping[str, Iterable[Check]]) -> int:
    """How many checks passed."""
    return len([check for items in checks.values() for check in items if check.status == "pass"])


def shared(checks: Mapping[str, Iterable[Check]]) -> list[Shared]:
    """Checks that did not pass, each said once, in their order.

    Parameters
    ----------
    checks : mapping
        What was checked -> its checks.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    first: dict[tuple[str, str, str], Check] = {}
    for key, items in checks.items():
        for check in items:
            if check.status != "pass":
                same = (check.name, check.status, check.sentence)
                found.setdefault(same, []).append(key)
                first.setdefault(same, check)
    return [Shared(first[same], tuple(keys)) for same, keys in found.items()]


_CELL = re.compile(r"<(t[hd])((?:\s[^>]*)?)>")
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_SPAN = re.compile(r'colspan="(\d+)"')


def labelled(table: str) -> Markup:
    """Rows of a table whose cells know their column's heading, for screens on which a row is a card.

    Parameters
    ----------
    table : str
        `<thead>` and `<tbody>` as the page's templates write them.
    """
    head, mark, body = str(table).partition("</thead>")
    names = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<th[^>]*>(.*?)</th>", head, re.DOTALL)]
    return Markup(head + mark + _ROW.sub(lambda row: _labelled_row(row[0], names), body))


def _labelled_row(row: str, names: list[str]) -> str:
    at = -1

    def cell(found: re.Match[str]) -> str:
        nonlocal at
        at += 1
        label = names[at] if at < len(names) else ""
        span = _SPAN.search(found[2])
        at += int(span[1]) - 1 if span else 0
        return found[0] if found[1] == "th" else f'<td data-label="{label}"{found[2]}>'

    return _CELL.sub(cell, row)
