"""What is wrong with a protocol, each fault as a message with file, line, key, value and the nearest valid name."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers, Said, clipped, render, said, sayable
from virtio_study.limits import PROTOCOL_BYTES, PROTOCOL_DEPTH, PROTOCOL_NODES, content

__all__ = [
    "FaultError",
    "contradictions",
    "digits",
    "fault",
    "in_order",
    "message_of",
    "read_yaml",
    "unknown_comparison",
    "unknown_config",
    "unknown_server",
    "with_unit",
]

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
    "string_too_long": N_("has more than {max_length} characters"),
    "string_too_short": N_("needs {min_length} or more characters"),
    "string_type": N_("input should be a valid string"),
    "too_short": N_("needs {min_length} or more, and has {actual_length}"),
}
"""Type of an error of pydantic -> what it says, for readers of other languages; other types say what pydantic says."""


MISREAD = re.compile(
    r"[-+]?(?:0[0-9_]+|[0-9][0-9_.]*_[0-9_.]*|[0-9]+(?::[0-9]+)+(?:\.[0-9]*)?|\.(?:inf|Inf|INF|nan|NaN|NAN))"
)
"""What YAML takes for another number than is meant: separators left out, base 60, base 8; and what is none."""


SHOWN = 200
"""So many characters of what stands in a file are shown at most."""

MOST_DIGITS = 18
INTEGER = "tag:yaml.org,2002:int"

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml, where it is: PyYAML's own reader takes half a minute for what a protocol may be."""

TOO_MANY = N_("more than {most} values, where an alias (*) counts as all that it stands for")

LEAST_PLAIN_BYTES = 2**24
"""Proxmox VE gives no server less memory."""


class FaultError(ValueError):
    """A value that a protocol may not have, raised while it is validated; it carries its message."""

    def __init__(self, message: str, /, **numbers: object) -> None:
        self.message = message
        self.numbers: Numbers = {key: sayable(value) for key, value in numbers.items()}
        self.place: tuple[str | int, ...] = ()
        super().__init__(render(message, self.numbers))

    def at(self, *place: str | int) -> "FaultError":
        """The same, of a place in the file."""
        self.place = place
        return self


def read_yaml(path: Path) -> tuple[yaml.Node | None, object]:
    """Read a YAML file that a person wrote: its nodes, for their lines, and its data.

    Raises
    ------
    StudyError
        If the file cannot be read or is no YAML; if a mapping has a key twice, of which YAML would take the last; or if
        YAML would read a number otherwise than people do (`1_0`, `1:30`, `010`). The message names file and line.
    """
    try:
        text = content(path, PROTOCOL_BYTES).decode("utf-8-sig")
        _not_too_deep(text)
        loader = LOADER(text)
        node = loader.get_single_node()
        _not_too_much(node)
        for found, problem in _misread(node):
            line = found.start_mark.line + 1
            raise StudyError("{path}:{line}: {problem}", path=path, line=str(line), problem=problem)
        return node, loader.construct_document(node) if node else None
    except DataError as error:
        raise StudyError(error.message, **error.numbers) from None
    except OSError as error:
        raise StudyError(N_("{path}: cannot be read: {reason}"), path=path, reason=error) from error
    except UnicodeDecodeError as error:
        raise StudyError(
            N_("{path}: not UTF-8 text ({reason} at byte {start}); save it as UTF-8"),
            path=path,
            reason=error.reason,
            start=error.start,
        ) from error
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise StudyError(
            N_("{path}{line}: not valid YAML: {problem}"),
            path=path,
            line=line,
            problem=_problem(error),
        ) from error


def _problem(error: Exception) -> Said | str:
    """What YAML says of a text; of a tag whose value is none of its kind it says nothing that helps."""
    if isinstance(error, RecursionError):
        return said(N_("it is nested too deeply"))
    if isinstance(error, FaultError):
        return said(error.message, **error.numbers)
    if isinstance(error, yaml.YAMLError | ValueError):
        return clipped(" ".join(str(getattr(error, "problem", error)).split()), SHOWN)
    return said(N_("a value that is not what its tag (such as !!int) says; leave tags out"))


def _not_too_deep(text: str) -> None:
    """Nothing if a text is not nested deeper, nor of more values, than a reader that calls itself can bear."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=LOADER)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > PROTOCOL_DEPTH:
            raise RecursionError
        if number > 2 * PROTOCOL_NODES:
            raise FaultError(TOO_MANY, most=PROTOCOL_NODES)


def _not_too_much(root: yaml.Node | None) -> None:
    """Nothing if the values of a text are no more than a protocol can have, those that come again by an alias counted.

    A text of one KiB could stand for more than there is memory.
    """
    counted: dict[int, int] = {}
    above: set[int] = set()

    def values(node: yaml.Node) -> int:
        if id(node) in above:
            raise FaultError(N_("an alias stands within what it names"))
        if id(node) not in counted:
            above.add(id(node))
            inner = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
            counted[id(node)] = 1 + sum(map(values, parts))
            above.discard(id(node))
        return counted[id(node)]

    if root and values(root) > PROTOCOL_NODES:
        raise FaultError(TOO_MANY, most=PROTOCOL_NODES)


def _misread(root: yaml.Node | None) -> Iterator[tuple[yaml.Node, Said]]:
    """Nodes that YAML reads otherwise than who wrote them, each with what is wrong."""
    waiting, seen = [root] if root else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in first:
                    twice = N_("key {key!r} is there twice (first in line {line}); keep one")
                    yield key, said(twice, key=name, line=str(first[name]))
                first[name] = key.start_mark.line + 1
                waiting += [key, value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.ScalarNode) and not node.style and MISREAD.fullmatch(node.value):
            problem = N_("{value} is not what YAML reads; write the number with digits alone, or a text in quotes")
            yield node, said(problem, value=node.value)
        elif isinstance(node, yaml.ScalarNode) and node.tag == INTEGER and len(node.value) > SHOWN:
            yield node, said(N_("expected a number of at most {most} digits"), most=MOST_DIGITS)


def digits(value: object) -> object:
    """A value that a number is made of; not a truth, which YAML reads from `yes`, nor what Python's digits may be."""
    if isinstance(value, bool) or (isinstance(value, str) and not value.isascii()) or "_" in str(value):
        raise FaultError(N_("expected a number, in digits"))
    if len(str(value).lstrip("+-").partition(".")[0]) > MOST_DIGITS:
        raise FaultError(N_("expected a number of at most {most} digits"), most=MOST_DIGITS)
    return value


def with_unit(value: object) -> object:
    """A size; a plain number of bytes has to be that of a server, or its unit was forgotten."""
    text = str(digits(value)).strip()
    if re.fullmatch(r"[0-9.]+", text) and text.count(".") < 2 and float(text) < LEAST_PLAIN_BYTES:
        raise FaultError(N_("a number without a unit is in bytes; write the unit, as in {value} MiB"), value=text)
    return value


def in_order(start: datetime, end: datetime | None) -> None:
    """Nothing if a stretch, or a moment, of a protocol may be one: with a time zone, of this century, and in order."""
    for time in (start, end or start):
        if time.tzinfo is None:
            raise FaultError(N_("start and end need a time zone, as in 2026-11-23T14:00:00+01:00"))
        if not 2000 <= time.year < 2100:
            raise FaultError(N_("start and end are of the years 2000 to 2099"))
    if end and end <= start:
        raise FaultError(N_("end must be after start"))


def contradictions(
    servers: Mapping[str, Any], configs: Mapping[str, Any], comparisons: Mapping[str, Any], windows: Sequence[Any]
) -> Iterator[FaultError]:
    """What a protocol says against itself: a number of two servers, sides that are one or swapped, a time twice."""
    names: dict[int, str] = {}
    for name, server in servers.items():
        if server.vmid in names:
            twice = N_("servers.{name}: vmid {vmid} is that of {other}; a host or cluster gives a number to one server")
            yield FaultError(twice, name=name, vmid=str(server.vmid), other=names[server.vmid]).at(
                "servers", name, "vmid"
            )
        names[server.vmid] = name
    for name, item in comparisons.items():
        if item.before == item.after:
            alike = N_("comparisons.{name}: before and after are both {config:configuration}; an effect is between two")
            yield FaultError(alike, name=name, config=item.before).at("comparisons", name)
        before, after = configs[item.before], configs[item.after]
        pairs = ((before.disk, after.disk), (before.nic, after.nic))
        steps = [_is_virtio(new) - _is_virtio(old) for old, new in pairs if old is not None and new is not None]
        if item.purpose in ("total", "instrument") and None not in (before.balloon_driver, after.balloon_driver):
            steps.append(after.balloon_driver - before.balloon_driver)
        if min(steps, default=0) < 0 and max(steps) <= 0:
            swapped = N_(
                "comparisons.{name}: before and after are swapped: {before} has the VirtIO drivers and {after} has not"
            )
            yield FaultError(swapped, name=name, before=item.before, after=item.after).at("comparisons", name)

    ordered = sorted(windows, key=lambda window: (window.server, window.start))
    for first, second in pairwise(ordered):
        if first.server == second.server and second.start < first.end:
            twice = N_("windows: {server} has {first} until {end}, and {second} from {start} on; a time has one")
            yield FaultError(
                twice,
                server=first.server,
                first=first.driver_config,
                end=first.end.isoformat(),
                second=second.driver_config,
                start=second.start.isoformat(),
            ).at("windows")


def _is_virtio(model: str) -> bool:
    return model.startswith("virtio")


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
    place = getattr(item.get("ctx", {}).get("error"), "place", ())
    where = f"{path}:{_line(node, list(place) or location)}"
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
        prefix = f"{where}: {key}" if location and not place else where
        return said("{place}: {error}", place=prefix, error=message)
    return said(
        N_("{where}: {key} is {value}: {error}"), where=where, key=key, value=_shown(item["input"]), error=message
    )


def _shown(value: object) -> str:
    return clipped(f"a {type(value).__name__}" if isinstance(value, list | tuple | set) else repr(value), SHOWN)


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
