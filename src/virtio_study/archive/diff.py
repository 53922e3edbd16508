"""Which values differ between two results, and what was recorded that may explain it.

What may explain a difference is everything in the results that the analysis does not compute: checksums of the inputs,
code version, seed, versions, and parameters (the protocol and the methods). Every other value is an outcome.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from virtio_study.errors import DataError

__all__ = ["CAUSES", "Difference", "Differences", "as_dict", "differences", "differences_text", "read_results"]

Place = tuple[str, ...]

CAUSES: dict[str, tuple[Place, ...]] = {
    "code": (("provenance", "packages", "virtio-study"), ("provenance", "code"), ("schema_version",)),
    "inputs": (("provenance", "inputs"), ("published", "inputs")),
    "seed": (("provenance", "seed"), ("study", "seed")),
    "versions": (("provenance",),),
    "parameters": (("study",), ("methods",), ("order",)),
}
"""What may explain a difference -> where it stands in the results; the first that fits holds."""

NAMES = ("id", "name", "replicate", "column")
"""Keys by which the items of a list are recognised, so that one more item does not shift all that follow."""

LONGEST = 70


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
    def cause(self) -> str | None:
        """Which of `CAUSES` it is, or None for an outcome of the analysis."""
        for cause, places in CAUSES.items():
            if any(self.path[: len(place)] == place for place in places):
                return cause
        return None


@dataclass(frozen=True)
class Differences:
    """All differences between two results: what may explain them, and the outcomes out of `values` in both."""

    causes: tuple[Difference, ...]
    outcomes: tuple[Difference, ...]
    values: int

    @property
    def same(self) -> bool:
        """Whether every outcome is the same to the last digit."""
        return not self.outcomes

    @property
    def differing(self) -> int:
        """Number of outcomes that differ, each value of a branch that one side lacks counted."""
        return sum(item.values for item in self.outcomes)


def differences(before: Any, after: Any) -> Differences:
    """Compare two results value by value.

    Parameters
    ----------
    before, after : dict
        As read from two `results.json`.

    Returns
    -------
    Differences
        In the order of the paths. Numbers are equal if they are the same number (1 and 1.0 are); nothing is rounded.
    """
    found = list(_walk(before, after, ()))
    outcomes = tuple(item for item in found if item.cause is None)
    first = sum(1 for path in _leaves(before) if Difference(path, "changed", None, None).cause is None)
    beyond = sum(item.values - (0 if item.kind == "added" else _size(item.before)) for item in outcomes)
    return Differences(tuple(item for item in found if item.cause), outcomes, first + beyond)


def _walk(before: Any, after: Any, path: Place) -> Iterator[Difference]:
    left, right = _branches(before, after), _branches(after, before)
    if left is None or right is None:
        if not _equal(before, after):
            values = max(1, _size(before), _size(after))
            yield Difference(path, "changed", before, after, _relative(before, after), values)
        return
    for key in [*left, *(key for key in right if key not in left)]:
        if key not in right:
            yield Difference((*path, key), "removed", left[key], None, values=max(1, _size(left[key])))
        elif key not in left:
            yield Difference((*path, key), "added", None, right[key], values=max(1, _size(right[key])))
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


def _size(value: Any) -> int:
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


def read_results(place: str | Path) -> tuple[Path, dict[str, Any]]:
    """Find and read results.

    Parameters
    ----------
    place : str or Path
        A `results.json`, the folder that holds it, a study's folder or protocol, or the name of a study.

    Raises
    ------
    DataError
        If there is none, or it is not JSON of this package.
    StudyError
        If it is neither a file nor a folder with results, and no study either.
    """
    path = Path(place)
    if path.is_dir() and (path / "results.json").is_file():
        path = path / "results.json"
    elif not path.is_file() or path.suffix in {".yaml", ".yml"}:
        from virtio_study.study import load_study

        study = load_study(place)
        path = study.reports / "results.json"
        if not path.is_file():
            raise DataError(f"{path}: no results yet; make them with: virtio-study run {study.name}")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); make the results again, or restore them") from error
    if not isinstance(results, dict) or not isinstance(results.get("provenance"), dict):
        raise DataError(f"{path}: not results of virtio-study (no provenance); give a results.json that it wrote")
    return path, results


def as_dict(found: Differences) -> dict[str, Any]:
    """The differences as plain values for a program."""

    def plain(item: Difference) -> dict[str, Any]:
        return {**asdict(item), "path": list(item.path)}

    return {
        "same": found.same,
        "values": found.values,
        "differing": found.differing,
        "causes": {
            cause: items for cause in CAUSES if (items := [plain(item) for item in found.causes if item.cause == cause])
        },
        "outcomes": [plain(item) for item in found.outcomes],
    }


def differences_text(found: Differences) -> str:
    """The differences for a person: what differs, what may explain it, then one line a value, by place."""
    lines = [_summary(found)]
    for cause in CAUSES:
        items = [item for item in found.causes if item.cause == cause]
        lines += [f"{cause}: {len(items)} different", *(f"  {_line(item)}" for item in items)] if items else []
    if found.outcomes and not found.causes:
        lines.append(
            "Nothing recorded explains it: inputs, code version, seed, versions and parameters are the same. The code "
            "was changed under the same version, or the results were edited."
        )
    groups: dict[Place, list[Difference]] = {}
    for item in found.outcomes:
        groups.setdefault(item.path[:2] if item.path[0] == "servers" else item.path[:1], []).append(item)
    for group, items in groups.items():
        lines.append(f"{_path(group)}: {sum(item.values for item in items)} different")
        lines += [f"  {_line(item)}" for item in items]
    return "\n".join(lines)


def _summary(found: Differences) -> str:
    if found.same:
        return f"Every one of {found.values} values is the same." + (
            " What was recorded about their making differs:" if found.causes else ""
        )
    text = f"{found.differing} of {found.values} values differ."
    sized = [item for item in found.outcomes if item.relative is not None]
    if sized:
        largest = max(sized, key=lambda item: abs(item.relative or 0.0))
        text += f" The largest relative change is {_percent(largest.relative)}, at {_path(largest.path)}."
    return text


def _line(item: Difference) -> str:
    name = _path(item.path)
    if item.kind != "changed":
        side, value = ("second", item.after) if item.kind == "added" else ("first", item.before)
        held = f"{item.values} values" if isinstance(value, dict | list) else _value(value)
        return f"{name}: only in the {side}: {held}"
    size = "" if item.relative is None else f" ({_percent(item.relative)})"
    return f"{name}: {_value(item.before)} -> {_value(item.after)}{size}"


def _path(path: Place) -> str:
    # repr: names may come from a host, and no name may command a terminal.
    return "/".join(repr(part)[1:-1] for part in path)


def _value(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{_size(value)} values" if value else repr(value)
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]}…{text[-1]}"


def _percent(relative: float | None) -> str:
    return f"{100 * (relative or 0.0):+.3g} %"
