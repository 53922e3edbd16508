"""Every message of the report, gathered from templates and code; `python -m virtio_study.i18n.catalogue` updates the
catalogues.

In code a message is one of: the first argument of `gettext`, `plain`, `sentence` or of a `DataError` with numbers; a
text called `message`; a constant in capitals or a leading underscore made of whole texts; an instrument's label.
"""

import ast
import string
from collections.abc import Iterator
from importlib.resources import as_file, files
from io import BytesIO

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from jinja2.ext import babel_extract

from virtio_study.i18n.language import LANGUAGES, catalogue
from virtio_study.storage import write_atomically

__all__ = ["WORDS", "fields", "messages", "update"]

FOLDERS = ("", "analysis", "analysis/validity", "pve", "report", "stats")
MODULES_OF_CONSTANTS = {"comparison.py", "meta_analysis.py", "plausibility.py", "drawings.py"}
NOT_WORDS = {"EMULATED", "PARAVIRTUAL", "EXIT", "NOTIFICATION", "_EMPTY", "STATISTICS", "EFFECT_STATUSES"}

HEADERS_LEFT_OUT = tuple(
    f'"{name}:'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
"""Headers of people and times, which say nothing and change."""

WORDS = (
    # units
    "core",
    "cores",
    # what errors of the statistics call the sides
    "before",
    "after",
    "the side before",
    "the side after",
    "the series",
    "level over boots",
    # axes
    "CPU (cores)",
    "RAM (MiB)",
    "seconds since start",
    "hours since start",
    "days since start",
    "displayed",
    "host",
    "guest",
    "displayed: the host's view",
    "displayed: the guest's view",
    "displayed: not known whose view",
    # kinds of devices
    "disk",
    "network",
    # operating systems
    "windows",
    "linux",
    "other",
    # statistics and places of the published values
    "stated",
    "sustained",
    "sustained (read by eye)",
    "minimum sustained (read by eye)",
    "maximum (read by eye)",
    "start-up",
    "as its figure",
    "difference",
    "Text",
    "Text, host",
    "Text, allocation of a virtual server",
    "Text, overcommit criterion",
    *(f"Figure {number} and text" for number in range(1, 9)),
    "Table 1",
    # disturbances
    "backup",
    "migration",
    "snapshot",
    "clone",
    "disk moved",
    "disk resized",
    "paused",
    "suspended",
    "resumed",
    "gap",
    "restart",
    "configuration changed",
    "disk counter fell back",
    "host reboot",
    "Proxmox VE upgraded",
    "balloon statistics began",
    "balloon statistics ended",
    # why an effect has no number
    "not measured",
    "Not measured on both sides.",
    # processes of the simulated series
    "AR(1) .9 + spikes",
    "AR(1) .95 + white noise",
    "AR(1) .99 + white noise",
    "AR(1) .95 sd 1, then .5 sd .2",
    "AR(2), cycle of 10 rows",
    "a level for every day",
    "lengths 4 : 1, AR(1) .95",
    "lognormal AR(1) .9",
    "long memory, d = .3",
)
"""Words that reach a reader out of data or through a variable."""


def messages() -> set[str]:
    """Every message that the report can show, in English."""
    found = set(WORDS)
    root = files("virtio_study")
    for item in (root / "report" / "templates").iterdir():
        if item.name.endswith(".j2"):
            options = {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}
            rows = babel_extract(BytesIO(item.read_bytes()), ("_",), [], options)
            # a message with placeholders comes with one entry for each of them
            texts = (row[2][0] if isinstance(row[2], tuple) else row[2] for row in rows)
            found |= {text for text in texts if isinstance(text, str)}
    for folder in FOLDERS:
        for item in (root / folder if folder else root).iterdir():
            if item.name.endswith(".py") and item.name != "catalogue.py":
                found |= set(_of_code(ast.parse(item.read_text(encoding="utf-8")), item.name))
    return found


def _of_code(tree: ast.Module, name: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            position = {"Check": 2, "Instrument": 1}.get(called, 0)
            with_numbers = called == "DataError" and node.keywords
            if called in {"gettext", "plain", "sentence", "Check", "Instrument"} or with_numbers:
                yield from _texts(node.args[position : position + 1])
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "message":
            yield from _texts([node.value])
    if name in MODULES_OF_CONSTANTS:
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                called = getattr(target, "id", "")
                if called.strip("_").isupper() and called not in NOT_WORDS:
                    yield from _texts([node.value])


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.IfExp):
            yield from _texts([node.body, node.orelse])
        elif isinstance(node, ast.Tuple | ast.List):
            yield from _texts(node.elts)
        elif isinstance(node, ast.Dict):
            yield from _texts(node.values)


def fields(message: str) -> set[str]:
    """Names and formats of the fields of a message, which its translation must have too."""
    braces = {f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(message) if name is not None}
    percents = {part.split(")")[0] for part in message.split("%(")[1:]}
    return braces | percents


def update(language: str) -> Catalog:
    """Bring a language's catalogue up to date: new messages without a translation, unused ones gone; written."""
    old, new = catalogue(language), Catalog(language, fuzzy=False, header_comment=f"# {LANGUAGES[language]}")
    for message in sorted(messages()):
        known = old.get(message)
        new.add(message, known.string if known else "")
    sink = BytesIO()
    write_po(sink, new, width=120, sort_output=True)
    lines = [line for line in sink.getvalue().decode().splitlines() if not line.startswith(HEADERS_LEFT_OUT)]
    with as_file(files("virtio_study.i18n") / "locale" / language / "LC_MESSAGES" / "virtio_study.po") as path:
        write_atomically(path, ("\n".join(lines) + "\n").encode())
    return new


if __name__ == "__main__":
    for spoken in LANGUAGES:
        if spoken != "en":
            made = update(spoken)
            missing = [item.id for item in made if item.id and not item.string]
            print(f"{spoken}: {len(made)} messages, {len(missing)} without a translation", *missing, sep="\n  ")
