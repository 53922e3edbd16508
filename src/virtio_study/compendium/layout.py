"""The compendium on the disk: every file that a study of one's own needs beside its recordings."""

import re
import string
import tempfile
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.storage import shipped, write_atomically
from virtio_study.study import load_study

__all__ = ["lay_out", "name_of", "refuse_present"]

COPIED = ("requirements.lock", "data/published/study.yaml", "data/published/values.csv")

WRITTEN = {
    "Makefile": "Makefile",
    "README.es.md": "README.es.md",
    "README.md": "README.md",
    "environment.yml": "environment.yml",
    "gitignore": ".gitignore",
}
"""Template -> the file that is made of it."""


def name_of(folder: Path) -> str:
    """Name of the study in a compendium: that of its folder, in letters that need no quotes anywhere."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")
    return plain if plain not in {"", "published"} else "study"


def lay_out(folder: Path, protocol: str) -> list[Path]:
    """Write a compendium; nothing that is there is touched.

    The protocol is written last: without it, the same command goes on where a full disk or a kill ended it.

    Parameters
    ----------
    folder : Path
        Made if it is not there; other files in it are no hindrance.
    protocol : str
        Text of the `study.yaml`.

    Returns
    -------
    list of Path
        What was written, in order of name.

    Raises
    ------
    DataError
        If a protocol is there already, or another file with another content; nothing is written then.
    StudyError
        If the protocol is none; nothing is written then.
    """
    name = name_of(folder)
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / name / "study.yaml"
        write_atomically(draft, protocol.encode())
        load_study(draft)
    refuse_present(folder)
    contents = dict(sorted(_contents(name).items())) | {_protocol(folder): protocol.encode()}
    for inside, content in contents.items():
        write_atomically(folder / inside, content)
    return [folder / inside for inside in sorted(contents)]


def refuse_present(folder: Path) -> None:
    """`DataError` if a protocol is there, or a file with another content than `lay_out` would write."""
    for inside, content in sorted({_protocol(folder): None, **_contents(name_of(folder))}.items()):
        path = folder / inside
        if path.exists() and (content is None or not path.is_file() or path.read_bytes() != content):
            raise DataError(N_("{path}: there already; give another folder"), path=folder / inside)


def _protocol(folder: Path) -> str:
    return f"data/{name_of(folder)}/study.yaml"


def _copied() -> dict[str, Path]:
    """Files of this package that a compendium has too, by their name in it."""
    notebooks = shipped("notebooks")
    found = [*notebooks.glob("*.ipynb"), *notebooks.glob("es/*.ipynb")]
    named = {f"notebooks/{path.relative_to(notebooks).as_posix()}": path for path in found}
    return named | {name: shipped(name) for name in COPIED}


def _contents(name: str) -> dict[str, bytes]:
    """Files of a compendium but its protocol."""
    return _texts(name) | {inside: path.read_bytes() for inside, path in _copied().items()}


def _texts(name: str) -> dict[str, bytes]:
    templates = resources.files("virtio_study.compendium").joinpath("templates")
    values = {"name": name, "version": version("virtio-study")}
    return {
        written: string.Template(templates.joinpath(template).read_text("utf-8")).substitute(values).encode()
        for template, written in WRITTEN.items()
    }
