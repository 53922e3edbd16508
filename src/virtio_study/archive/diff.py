"""Which values differ between two results, and which things that were recorded about their making differ beside it.

What was recorded is everything that the analysis does not compute: checksums of the inputs, code, seed, environment
(versions, processor, BLAS), and parameters (the protocol and the methods). Every other value is an outcome. What is not
recorded is not guessed at.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from virtio_study.stats.rounding import DIGITS

__all__ = ["CAUSES", "Agreement", "Difference", "Differences", "as_dict", "differences", "size"]

Place = tuple[str, ...]

Agreement = Literal["identical", "within_promise", "different"]

CAUSES: dict[str, tuple[Place, ...]] = {
    "code": (("code",), ("provenance", "version"), ("schema",), ("schema_version",)),
    "inputs": (("provenance", "inputs"), ("published", "inputs")),
    "seed": (("provenance", "seed"), ("study", "seed")),
    "environment": (("environment",), ("provenance",)),
    "parameters": (("study",), ("methods",), ("order",)),
}
"""What was recorded about the making of results -> where it stands; the first that fits holds."""

PROMISE = 10.0 ** (1 - DIGITS) * (1 + 1e-6)
"""Largest relative difference of two numbers that are the same but for one unit in the last digit that is written."""

NAMES = ("id", "name", "replicate", "column")
"""Keys by which the items of a list are recognised, so that one more item does not shift all that follow."""


@dataclass(frozen=True)
class Difference:
    """One value that differs. A whole branch that one side lacks is one difference, of `values` values.

    `relative` is the change relative to the first side's size; None if a side is no number or the first is zero.
    """

    path: Place
    kind: Literal["changed", "added", "removed"]
    before: Any
    after: Any
    relative: float | None = None
    values: int = 1

    @property
    def within_promise(self) -> bool:
        """Whether both sides are numbers that differ by one unit in the last written digit, or less."""
        if self.kind != "changed" or not (_number(self.before) and _number(self.after)):
            return False
        return bool(abs(self.after - self.before) <= PROMISE * max(abs(self.before), abs(self.after)))

    @property
    def cause(self) -> str | None:
        """Which of `CAUSES` it is, or None for an outcome of the analysis."""
        for cause, places in CAUSES.items():
            if any(self.path[: len(place)] == place for place in places):
                return cause
        return None


@dataclass(frozen=True)
class Differences:
    """All differences between two results: in what was recorded about their making, and in the outcomes.

    `values` is the number of outcomes in both.
    """

    causes: tuple[Difference, ...]
    outcomes: tuple[Difference, ...]
    values: int

    @property
    def agreement(self) -> Agreement:
        """Whether every outcome is the same to the last digit, the same within the promise, or one is different."""
        if not self.outcomes:
            return "identical"
        return "within_promise" if all(item.within_promise for item in self.outcomes) else "different"

    @property
    def differing(self) -> int:
        """Number of outcomes that differ, each value of a branch that one side lacks counted."""
        return sum(item.values for item in self.outcomes)


def differences(before: Any, after: Any) -> Differences:
    """Compare two results value by value.

    Parameters
    ----------
    before, after : dict
        The `values` of two `RecordedResults`.

    Returns
    -------
    Differences
        In the order of the paths. Numbers are equal if they are the same number (1 and 1.0 are); nothing is rounded.
    """
    found = list(_walk(before, after, ()))
    outcomes = tuple(item for item in found if item.cause is None)
    first = sum(1 for path in _leaves(before) if Difference(path, "changed", None, None).cause is None)
    beyond = sum(item.values - (0 if item.kind == "added" else size(item.before)) for item in outcomes)
    return Differences(tuple(item for item in found if item.cause), outcomes, first + beyond)


def _walk(before: Any, after: Any, path: Place) -> Iterator[Difference]:
    left, right = _branches(before, after), _branches(after, before)
    if left is None or right is None:
        if not _equal(before, after):
            values = max(1, size(before), size(after))
            yield Difference(path, "changed", before, after, _relative(before, after), values)
        return
    for key in [*left, *(key for key in right if key not in left)]:
        if key not in right:
            yield Difference((*path, key), "removed", left[key], None, values=max(1, size(left[key])))
        elif key not in left:
            yield Difference((*path, key), "added", None, right[key], values=max(1, size(right[key])))
        else:
            yield from _walk(left[key], right[key], (*path, key))


def _branches(value: Any, other: Any) -> dict[str, Any] | None:
    """Children by name if both sides have some; items of a list by a name of their own, else by number."""
    if isinstance(value, dict) and isinstance(other, dict):
        return value
    if not isinstance(value, list) or not isinstance(other, list):
        return None
    for name in NAMES:
        if _named(value, name) and _named(other, name):
            return {item[name]: item for item in value}
    return {str(number): item for number, item in enumerate(value)}


def _named(items: list[Any], name: str) -> bool:
    found = [item.get(name) if isinstance(item, dict) else None for item in items]
    return all(isinstance(value, str) for value in found) and len(set(found)) == len(found)


def _leaves(value: Any, path: Place = ()) -> Iterator[Place]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not isinstance(value, dict | list):
        yield path
    for key, child in children:
        yield from _leaves(child, (*path, str(key)))


def size(value: Any) -> int:
    """Number of values in a branch."""
    return sum(1 for _ in _leaves(value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(before: Any, after: Any) -> bool:
    if _number(before) and _number(after):
        return bool(before == after) or (math.isnan(before) and math.isnan(after))
    return type(before) is type(after) and bool(before == after)


def _relative(before: Any, after: Any) -> float | None:
    if not (_number(before) and _number(after)) or before == 0:
        return None
    relative = (after - before) / abs(before)
    return relative if math.isfinite(relative) else None


def as_dict(found: Differences) -> dict[str, Any]:
    """The differences as plain values for a program."""

    def plain(item: Difference) -> dict[str, Any]:
        return {**asdict(item), "path": list(item.path)}

    return {
        "agreement": found.agreement,
        "values": found.values,
        "differing": found.differing,
        "causes": {
            cause: items for cause in CAUSES if (items := [plain(item) for item in found.causes if item.cause == cause])
        },
        "outcomes": [plain(item) for item in found.outcomes],
    }
