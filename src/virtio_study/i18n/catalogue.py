"""The catalogues of a source checkout brought up to date: `make messages`.

Messages are those that `pybabel extract` finds by their marks (`_`, `N_`, `ngettext`, `plural`) in code and templates,
as `[tool.babel]` in pyproject.toml says.
"""

import re
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po, write_po

from virtio_study.i18n.language import LANGUAGES

__all__ = ["ROOT", "catalogue_file", "fields", "messages", "read_catalogue", "untranslated", "update"]

ROOT = Path(__file__).parents[3]
FIELD = re.compile(r"\{\w+(?:!r)?(?::[^{}\s]*)?\}|%\(\w+\)s")
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


def messages() -> Catalog:
    """Every message that code and templates mark."""
    with TemporaryDirectory() as folder:
        template = Path(folder) / "virtio_study.pot"
        command = ["pybabel", "--quiet", "extract", "-F", str(ROOT / "pyproject.toml"), "-k", "plural:2,3"]
        CommandLineInterface().run([*command, "--no-location", "-o", str(template), str(ROOT)])  # type: ignore[no-untyped-call]
        return read_catalogue(template)


def catalogue_file(language: str) -> Path:
    """Where the catalogue of a language is."""
    return ROOT / "src" / "virtio_study" / "i18n" / "locale" / language / "LC_MESSAGES" / "virtio_study.po"


def read_catalogue(path: Path) -> Catalog:
    """A catalogue as Babel reads it, with its translators' notes."""
    with path.open("rb") as source:
        return read_po(source, domain="virtio_study")


def fields(message: str) -> set[str]:
    """Names and formats of the fields of a message, which its translation must have too."""
    return set(FIELD.findall(message))


def update(language: str) -> Catalog:
    """Bring a language's catalogue up to date: new messages without a translation, unused ones gone; written.

    That of a language which has none yet is begun.
    """
    path = catalogue_file(language)
    old = read_catalogue(path) if path.exists() else Catalog(language)
    new = Catalog(language, fuzzy=False, header_comment=f"# {LANGUAGES[language]}")
    for message in messages():
        if message.id:
            known = old.get(message.id)
            new.add(message.id, known.string if known else None, user_comments=known.user_comments if known else ())
    sink = BytesIO()
    write_po(sink, new, width=120, sort_output=True)
    lines = [line for line in sink.getvalue().decode().splitlines() if not line.startswith(HEADERS_LEFT_OUT)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return new


def untranslated(catalogue: Catalog) -> list[str]:
    """The messages without a translation; of one with plural forms, also where a form is missing."""
    found = [item for item in catalogue if item.id]
    lacking = [item.id for item in found if not item.string or (item.pluralizable and not all(item.string))]
    return [name if isinstance(name, str) else name[0] for name in lacking]


if __name__ == "__main__":
    for spoken in LANGUAGES:
        if spoken != "en":
            made = update(spoken)
            missing = untranslated(made)
            print(f"{spoken}: {len(made)} messages, {len(missing)} without a translation", *missing, sep="\n  ")
