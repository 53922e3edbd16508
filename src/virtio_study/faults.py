"""What is wrong with a protocol, each fault as a message with file, line, key, value and the nearest valid name."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers, Said, render, said, sayable

__all__ = ["FaultError", "fault", "message_of", "unknown_comparison", "unknown_config", "unknown_server"]

OF_PYDANTIC = {
    "bool_parsing": N_("input should be a valid boolean, unable to interpret input"),
    "bool_type": N_("input should be a valid boolean"),
    "byte_size_unit": N_("could not interpret byte unit: {unit}"),
    "byte_size": N_("could not parse value and unit from byte string"),
    "datetime_from_date_parsing": N_("input should be a valid datetime or date"),
    "datetime_parsing": N_("input should be a valid datetime"),
    "datetime_type": N_("input should be a valid datetime"),
    "dict_type": N_("input should be a valid dictionary"),
    "finite_number": N_("input should be a finite number"),
    "float_parsing": N_("input should be a valid number, unable to parse string as a number"),
    "float_type": N_("input should be a valid number"),
    "greater_than": N_("input should be greater than {gt}"),
    "greater_than_equal": N_("input should be greater than or equal to {ge}"),
    "int_from_float": N_("input should be a valid integer, got a number with a fractional part"),
    "int_parsing": N_("input should be a valid integer, unable to parse string as an integer"),
    "int_type": N_("input should be a valid integer"),
    "less_than": N_("input should be less than {lt}"),
    "less_than_equal": N_("input should be less than or equal to {le}"),
    "list_type": N_("input should be a valid list"),
    "literal_error": N_("input should be {others} or {last}"),
    "model_type": N_("input should be a valid dictionary or instance of {class_name}"),
    "string_pattern_mismatch": N_("string should match pattern '{pattern}'"),
    "string_type": N_("input should be a valid string"),
}
"""Type of an error of pydantic -> what it says, for readers of other languages; other types say what pydantic says."""


class FaultError(ValueError):
    """A value that a protocol may not have, raised while it is validated; it carries its message."""

    def __init__(self, message: str, /, **numbers: object) -> None:
        self.message = message
        self.numbers: Numbers = {key: sayable(value) for key, value in numbers.items()}
        super().__init__(render(message, self.numbers))


def unknown_server(name: str, known: Mapping[str, Any]) -> Said:
    """That there is no such server, with the nearest name, or that of the server whose number was given."""
    of_number = [server for server, of in known.items() if str(of.vmid) == str(name)]
    return said(
        N_("unknown server {name!r}{nearest}; known: {known}"),
        name=name,
        nearest=_nearest(name, of_number or list(known), cutoff=0.0 if of_number else 0.6),
        known=", ".join(known),
    )


def unknown_config(name: str, known: Mapping[str, Any]) -> Said:
    """That there is no such driver configuration, with the nearest name."""
    return said(
        N_("unknown driver configuration {name!r}{nearest}; known: {known}"),
        name=name,
        nearest=_nearest(name, list(known)),
        known=", ".join(known),
    )


def unknown_comparison(name: str, known: Mapping[str, Any]) -> Said:
    """That there is no such comparison, with the nearest name."""
    return said(
        N_("unknown comparison {name!r}{nearest}; known: {known}"),
        name=name,
        nearest=_nearest(name, list(known)),
        known=", ".join(known),
    )


def _nearest(name: str, known: list[str], cutoff: float = 0.6) -> Said | str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=cutoff)  # papermill -p gives digits as a number
    return said(N_(" (did you mean {close!r}?)"), close=close[0]) if close else ""


def fault(path: Path, node: yaml.Node | None, item: Any, fields: Callable[[Sequence[Any]], list[str]]) -> Said:
    """One error of pydantic as a message.

    Parameters
    ----------
    node : yaml.Node or None
        The file, for its lines.
    item : dict
        Of `ValidationError.errors`.
    fields : callable
        Valid keys at a location of the file.
    """
    location = [part for part in item["loc"] if part != "[key]"]
    where = f"{path}:{_line(node, location)}"
    key = ".".join(str(part) for part in location) or "study"
    if item["type"] == "extra_forbidden":
        siblings = fields(location[:-1])
        return said(
            N_("{where}: unknown key {key!r}{nearest}; valid: {valid}"),
            where=where,
            key=key,
            nearest=_nearest(str(location[-1]), siblings),
            valid=", ".join(siblings),
        )
    if item["type"] == "missing":
        return said(N_("{where}: missing key {key!r}; add it"), where=where, key=key)
    message = message_of(item)
    if isinstance(item["input"], dict):
        place = f"{where}: {key}" if location else where
        return said("{place}: {error}", place=place, error=message)
    return said(
        N_("{where}: {key} is {value}: {error}"), where=where, key=key, value=repr(item["input"]), error=message
    )


def message_of(item: Any) -> Said | str:
    """What an error of pydantic says, without its place."""
    given = item.get("ctx", {})
    if isinstance(given.get("error"), FaultError):
        return said(given["error"].message, **given["error"].numbers)
    if item["type"] == "literal_error":
        others, _, last = given["expected"].rpartition(" or ")
        given = {"others": others, "last": last}
    if item["type"] in OF_PYDANTIC:
        return said(OF_PYDANTIC[item["type"]], **given)
    text = str(item["msg"]).removeprefix("Value error, ")
    return text[0].lower() + text[1:]


def _line(node: yaml.Node | None, location: list[Any]) -> int:
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
