"""Differences between two results, or between an archive and its repetition, as lines for a person."""

from typing import Any

from virtio_study.archive.diff import CAUSES, Difference, Differences, Place, size
from virtio_study.archive.verify import FileDifference
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, ngettext

__all__ = ["differences_lines", "file_lines"]

LONGEST = 70
LABELS = {
    "code": N_("code"),
    "inputs": N_("inputs"),
    "seed": N_("seed"),
    "environment": N_("environment"),
    "parameters": N_("parameters"),
}
FILES = {
    "changed": N_("{path} differs from what the archived inputs give"),
    "removed": N_("{path} is not among what the archived inputs give"),
    "added": N_("{path} is not in the archive, and the archived inputs give it"),
}


def differences_lines(found: Differences) -> list[str]:
    """What differs, what differs in the record of their making, then one line a value, by place."""
    lines = [_summary(found)]
    for cause in CAUSES:
        items = [item for item in found.causes if item.cause == cause]
        if items:
            lines.append(_("{what}: {count} different", what=_(LABELS[cause]), count=len(items)))
            lines += [f"  {_line(item)}" for item in items]
    if found.outcomes and not found.causes:
        lines.append(_("Nothing that was recorded about their making differs."))
    groups: dict[Place, list[Difference]] = {}
    for item in found.outcomes:
        groups.setdefault(item.path[:2] if item.path[0] == "servers" else item.path[:1], []).append(item)
    for group, items in groups.items():
        count = sum(item.values for item in items)
        lines.append(_("{what}: {count} different", what=_path(group), count=count))
        lines += [f"  {_line(item)}" for item in items]
    return lines


def file_lines(differing: tuple[FileDifference, ...], compared: int) -> list[str]:
    """One line a file of a report that did not come out the same, and how many did."""
    lines = [_(FILES[item.kind], path=item.name) for item in differing]
    same = ngettext(
        "{count} file of the report is the same to the last byte.",
        "{count} files of the report are the same to the last byte.",
        compared - len(differing),
    )
    return [*lines, same]


def _summary(found: Differences) -> str:
    if found.agreement == "identical":
        text = _("Every one of {values} values is the same.", values=found.values)
        return " ".join([text, _("What was recorded about their making differs:")]) if found.causes else text
    text = _("{differing} of {values} values differ.", differing=found.differing, values=found.values)
    if found.agreement == "within_promise":
        small = _("None does by more than one unit in its last written digit: the same within the promise.")
        return f"{text} {small}"
    sized = [item for item in found.outcomes if item.relative is not None]
    if sized:
        largest = max(sized, key=lambda item: abs(item.relative or 0.0))
        change, path = _percent(largest.relative), _path(largest.path)
        text += " " + _("The largest relative change is {size}, at {path}.", size=change, path=path)
    return text


def _line(item: Difference) -> str:
    name = _path(item.path)
    if item.kind == "changed":
        change = "" if item.relative is None else f" ({_percent(item.relative)})"
        return f"{name}: {_value(item.before)} -> {_value(item.after)}{change}"
    if item.kind == "added":
        return _("{path}: only in the second: {held}", path=name, held=_value(item.after))
    return _("{path}: only in the first: {held}", path=name, held=_value(item.before))


def _path(path: Place) -> str:
    # repr: names may come from a host, and no name may command a terminal.
    return "/".join(repr(part)[1:-1] for part in path)


def _value(value: Any) -> str:
    if isinstance(value, dict | list):
        return ngettext("{count} value", "{count} values", size(value)) if value else repr(value)
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]}…{text[-1]}"


def _percent(relative: float | None) -> str:
    return f"{100 * (relative or 0.0):+.3g} %"
