"""Pages of the reference that are made from the code whenever the site is built: an extension of Sphinx.

The command line comes from click, study.yaml and results.json from their models, the columns from the recording's
schema, the public names from the package. None is kept in git, so none can be out of date.
"""

import inspect
import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

import virtio_study
from virtio_study.analysis.schema import results_schema
from virtio_study.cli.main import cli
from virtio_study.recording import INSTRUMENTS, SCHEMA
from virtio_study.study import protocol, schedule

HERE = Path(__file__).parent
OUT = HERE / "reference"
MODELS: dict[str, type[BaseModel]] = {
    **{name: getattr(protocol, name) for name in ("Study", "Host", "Server", "DriverConfiguration", "Comparison")},
    **{name: getattr(protocol, name) for name in ("LoadMetric", "Window", "LogEntry", "Endpoint", "LabPlan", "Load")},
    **{name: getattr(schedule, name) for name in ("Schedule", "Block")},
    "Text": protocol.Text,
}
"""Every model of study.yaml, the whole first."""
MADE = "*Made from the code whenever this site is built.*\n"


def cell(text: str) -> str:
    """A text within a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines) + "\n"


# --- the command line


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command, click.Context]]:
    """A command and all below it, with what is written before their arguments."""
    context = click.Context(command, info_name=path)
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(below, f"{path} {name}")


def command_line() -> str:
    """The page of every command with its options."""
    parts = [
        f"# The command line\n\n{MADE}\n"
        "Exit codes: 0 done; 1 a notebook or a program failed, or results differ; 2 bad input; 3 partial; "
        "130 interrupted.\n"
    ]
    for path, command, context in commands(cli, "virtio-study"):
        usage = command.get_usage(context).removeprefix("Usage: ")
        rows = [(f"`{name}`", text) for name, text in records(command, context)]
        options = table(("option", "what it does"), rows) if rows else ""
        level = "##" if path.count(" ") < 2 else "###"
        parts.append(f"{level} {path}\n\n{command.help or ''}\n\n```text\n{usage}\n```\n\n{options}")
    return "\n".join(parts)


def records(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    """Options of a command with their help, but for the one that shows the help."""
    options = (param for param in command.get_params(context) if isinstance(param, click.Option))
    found = (option.get_help_record(context) for option in options if option.name != "help")
    return [record for record in found if record is not None]


# --- study.yaml


def kind(annotation: Any) -> str:
    """What a value may be, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return ", ".join(kind(one) for one in inner if one is not type(None))
    if origin in (list, tuple):
        return f"list of: {kind(inner[0])}"
    if origin is dict:
        return f"name: {kind(inner[1])}"
    if origin is not None and hasattr(annotation, "__metadata__"):
        return kind(inner[0])
    words = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "ByteSize": "size"}
    name = getattr(annotation, "__name__", str(annotation))
    if name in MODELS:
        return f"[{name}](#{name.lower()})"
    return words.get(name, {"datetime": "date and time", "Path": "path"}.get(name, name))


def default(field: FieldInfo) -> str:
    """What stands for a key that is left out."""
    if field.is_required():
        return "**needed**"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None or value in ([], {}) else f"`{json.dumps(value, default=str)}`"


def study_keys() -> str:
    """The page of every key of study.yaml."""
    known = yaml.safe_load((HERE / "study_keys.yaml").read_text(encoding="utf-8"))
    parts = [
        f"# study.yaml\n\n{MADE}\nThe protocol of a study. `virtio-study new` writes one from a live host, "
        "`virtio-study init` from questions. A key that is unknown, stands twice or contradicts another is "
        "refused with file, "
        "line and the nearest key that there is. Sizes are bytes or have a unit (`8 GiB`, `160 GB`); times "
        "have a time zone.\n"
    ]
    for name, model in MODELS.items():
        fields = {key: field for key, field in model.model_fields.items() if not field.exclude}
        if fields.keys() != known[name].keys():
            raise ValueError(
                f"study_keys.yaml: {name}: {sorted(fields.keys() ^ known[name].keys())} here or there alone"
            )
        about = inspect.getdoc(model) or ""
        about = about.replace("`analysis.ingredients.ABOUT`", "the page on ingredients")
        rows = [key_row(key, field, known[name][key]) for key, field in fields.items()]
        headings = ("key", "what it is", "may be", "if left out", "example")
        parts.append(f"## {name}\n\n{about}\n\n{table(headings, rows)}")
    return "\n".join(parts)


def key_row(key: str, field: FieldInfo, said: Mapping[str, Any]) -> tuple[str, ...]:
    """One key; its example is held against its model."""
    if "example" in said:
        TypeAdapter(field.annotation).validate_python(said["example"])
        written = yaml.safe_dump(said["example"], allow_unicode=True, default_flow_style=True, width=1000)
        written = written.removesuffix("...\n").strip()
        shown = f"`{key}: {written}`"
    else:
        shown = f"see [{said['of']}](#{said['of'].lower()})"
    limits = ", ".join(limit(item) for item in field.metadata if limit(item))
    may_be = kind(field.annotation) + (f", {limits}" if limits else "")
    unit = f" ({said['unit']})" if "unit" in said else ""
    return f"`{key}`", said["what"], may_be + unit, default(field), shown


def limit(item: Any) -> str:
    """A bound of a value, in words."""
    for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
        if (bound := getattr(item, name, None)) is not None:
            return f"{sign} {bound:g}"
    if (least := getattr(item, "min_length", None)) is not None:
        return f"{least} or more"
    return ""


# --- results.json, and the columns of a recording


def results() -> str:
    """The page of every model of results.json."""
    schema = json.loads(results_schema())
    parts = [
        f"# results.json\n\n{MADE}\nEvery number on a page stands in `reports/<study>/results.json`. Its JSON "
        "schema is `src/virtio_study/analysis/results.schema.json`; `vs.read_results` gives the same as typed objects. "
        "Memory is in bytes, CPU in cores (one is a whole host CPU), time in seconds, shares from 0 to 1.\n"
    ]
    for name, model in {schema["title"]: schema, **schema["$defs"]}.items():
        if "properties" not in model:
            continue
        rows = [(f"`{key}`", typed(value)) for key, value in model["properties"].items()]
        parts.append(f"## {name}\n\n{model.get('description', '')}\n\n{table(('field', 'type'), rows)}")
    return "\n".join(parts)


def typed(value: Mapping[str, Any]) -> str:
    """The type of a field of a JSON schema, in words, with links to the models that it names."""
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(typed(one) for one in value["anyOf"])
    if "enum" in value or "const" in value:
        return ", ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        return f"list of {typed(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"name → {typed(value['additionalProperties'])}"
    return str(value.get("type", "anything"))


def columns() -> str:
    """The page of the columns of a recording."""
    rows = [(f"`{name}`", column.kind, "every row" if column.required else "") for name, column in SCHEMA.items()]
    return (
        f"# Columns of a recording\n\n{MADE}\nA recording is a Parquet file: one server under one driver "
        f"configuration, "
        "one row a step. `time` is the end of the interval (UTC); units are in the names; what was not measured is "
        f"missing, never 0.\n\n{table(('column', 'kind', 'needed in'), rows)}\n"
        f"An instrument is one of: {', '.join(f'`{name}`' for name in INSTRUMENTS)}.\n"
    )


# --- the public names


def public_names() -> str:
    """The page of `import virtio_study as vs`."""
    parts = [
        f"# Python\n\n{MADE}\n`import virtio_study as vs` offers these names and promises no others "
        "([what is promised](stability.md)). Examples run as they stand in the folder of a checkout.\n"
    ]
    offered = {name: getattr(virtio_study, name) for name in virtio_study.__all__}
    for name in sorted(
        offered, key=lambda name: (name not in FIRST, isinstance(offered[name], types.ModuleType), name)
    ):
        found = offered[name]
        if isinstance(found, types.ModuleType):
            parts.append(directive(name, "automodule", found.__name__, ":members:"))
        elif isinstance(found, type):
            parts.append(directive(name, "autoclass", f"{found.__module__}.{found.__qualname__}()", ":members:"))
        else:
            parts.append(directive(name, "autofunction", f"{found.__module__}.{found.__qualname__}"))
    return "\n".join(parts)


def directive(title: str, name: str, of: str, *options: str) -> str:
    """A directive of autodoc under a heading."""
    lines = "\n".join([f".. {name}:: {of}", *(f"   {option}" for option in options)])
    return f"## vs.{title}\n\n```{{eval-rst}}\n{lines}\n```\n"


FIRST = ("load_study", "OpenStudy")
"""What is used first stands first on the page of the public names."""

PAGES = {
    "command-line": command_line,
    "study-yaml": study_keys,
    "results-json": results,
    "columns": columns,
    "python": public_names,
}


def write(_app: Any) -> None:
    """Write each page where its text changed."""
    OUT.mkdir(exist_ok=True)
    for name, made in PAGES.items():
        path, text = OUT / f"{name}.md", made()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def language(_app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Say the language of a page in Spanish, for those who hear it."""
    if page.startswith("es/"):
        context["language"] = "es"


def setup(app: Any) -> dict[str, bool]:
    """Join in where Sphinx begins to build."""
    app.connect("builder-inited", write)
    app.connect("html-page-context", language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
