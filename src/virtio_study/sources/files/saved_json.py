"""JSON as people save it: the documents of a file, or what is wrong with it, in the host's own words."""

import ast
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.limits import content
from virtio_study.sources.files.dumps import short

__all__ = ["documents", "host_says"]

LINE = re.compile(r"^[ \t]*(?=[\[{])", re.MULTILINE)
ADJOINING = re.compile(r"[ \t,]*(?=[\[{])")
"""Where a document begins: at the start of a line, or behind another one."""
REFUSAL = re.compile(r"\s*[45]\d\d [A-Za-z]")
STATUS = re.compile(r"HTTP/[\d.]+ (\d{3}) ?(.*)")


def documents(path: Path) -> list[object]:
    """Every object or array of a file, in order.

    What is unambiguous is read: headers before the body (`curl -i`), lines of other programs before or after it (perl's
    warnings, `200 OK`), several documents one after the other, Python's way of writing, and PowerShell's UTF-16.

    Raises
    ------
    DataError
        If the file cannot be read, is no JSON or not whole, or has an HTTP status that is no success; the message has
        the words that stand there instead.
    """
    text = _text(path)
    status, reason, text = _without_headers(text)
    found = _read(path, text)
    if status and not status.startswith("2"):
        # the reason of the status line is mostly the start of what the body says
        words = next((words for item in found if (words := host_says(item))), reason)
        raise DataError(
            N_("{path}: the host answered with an error: {words}"), path=path, words=f"{status} {words}".strip()
        )
    if not found and REFUSAL.match(text):
        raise DataError(N_("{path}: the host answered with an error: {words}"), path=path, words=" ".join(text.split()))
    if not found:
        raise DataError(
            N_("{path}: not JSON: {text}; save it with --output-format json"),
            path=path,
            text=short(text) if text.strip() else said(N_("empty")),
        )
    return found


def host_says(answer: object) -> str:
    """What an answer of Proxmox VE says of an error, on one line; empty if it says nothing."""
    if not isinstance(answer, Mapping):
        return ""
    errors = answer.get("errors")
    named = [f"{key}: {text}" for key, text in errors.items()] if isinstance(errors, Mapping) else [errors or ""]
    words = " ".join(f"{answer.get('message') or ''} {'; '.join(map(str, named))}".split())
    return words if len(words) <= 300 else f"{words[:297]}..."


def _text(path: Path) -> str:
    try:
        found = content(path)
    except OSError as error:
        raise DataError(N_("{path}: cannot be read: {reason}"), path=path, reason=error) from error
    try:
        return found.decode("utf-16" if found[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            N_("{path}: not UTF-8 text ({reason}); is it compressed?"), path=path, reason=error.reason
        ) from error


def _without_headers(text: str) -> tuple[str, str, str]:
    """Status and reason of the last headers before a body (a proxy's may come first), and the body."""
    status, reason = "", ""
    while match := STATUS.match(text := text.lstrip()):
        status, reason = match[1], match[2].strip()
        text = "".join(re.split(r"\r?\n\r?\n", text, maxsplit=1)[1:])
    return status, reason, text


def _read(path: Path, text: str) -> list[object]:
    """The documents of a text; lines before, between and after them that begin none are passed over."""
    decoder = json.JSONDecoder()
    found: list[object] = []
    place = 0
    while match := ADJOINING.match(text, place) or LINE.search(text, place):
        try:
            item, place = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError) as error:
            if not found and (printed := _printed(text[match.end() :])):
                return printed
            raise DataError(
                N_(
                    "{path}: JSON that cannot be read to its end ({error}); is the file cut, or edited by hand? save "
                    "it again"
                ),
                path=path,
                error=" ".join(str(error).split()),
            ) from error
        found.append(item)
    return found


def _printed(text: str) -> list[object]:
    """What Python wrote with `print`, at once or line by line; nothing if it is not that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the parser, about a line that may be no Python at all
        for parts in ([text], text.splitlines()):
            try:
                return [ast.literal_eval(part.strip()) for part in parts if part.strip()]
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                continue
    return []
