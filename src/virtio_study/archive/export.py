"""A study packed into one RO-Crate zip from which its numbers can be made again.

The archive has the shape of a checkout (`data/`, `notebooks/`, `reports/`, `src/`), so that the program runs in it, and
`ro-crate-metadata.json` and `manifest-sha256.txt` are beside them. The same files make the same zip to the last byte.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from virtio_study import storage
from virtio_study.archive.recorded import read_results
from virtio_study.archive.ro_crate import crate_metadata, readmes, recording_facts
from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.storage import SHIPPED, manifest, sha256, shipped
from virtio_study.study import Study
from virtio_study.workflow.graph import find_notebooks
from virtio_study.workflow.keys import Keys
from virtio_study.workflow.reports import MANIFEST, check_reports, listed

__all__ = ["CHECKSUMS", "METADATA", "PACKAGE", "Archive", "code_files", "export", "safe_name"]

CHECKSUMS, METADATA = "manifest-sha256.txt", "ro-crate-metadata.json"
PACKAGE = "src/virtio_study/"
ENVIRONMENT = ("pyproject.toml", "hatch_build.py", "requirements.lock", "environment.yml", "LICENSE", "CITATION.cff")
OF_A_STUDY = {".yaml", ".json", ".jsonl", ".md", ".csv"}
"""Endings of the files beside a study's recordings that belong to it."""
FIRST_TIME_OF_ZIP = (1980, 1, 1, 0, 0, 0)
CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A written archive: where, how many files, how many bytes, and its SHA-256."""

    path: Path
    files: int
    size: int
    sha256: str


def export(study: Study, path: Path | None = None) -> Archive:
    """Pack a study with its results, report, notebooks, program and environment; written atomically.

    Parameters
    ----------
    study : Study
    path : Path, optional
        The zip to write; default: `<study>.zip` in the working directory.

    Raises
    ------
    StudyError
        If the study has no recordings to analyse, or the program's own files are not there.
    DataError
        If a recording is missing or changed, a file of the report is missing, changed, strange or out of date, or one
        changes meanwhile.
    """
    Keys(study).verify_all()
    problems = check_reports(study)
    if problems:
        raise problems[0]
    recorded = read_results(study.folder / "study.yaml")
    files = _files(study)
    facts = recording_facts({name: file for name, file in files.items() if name.startswith("data/")})
    texts = readmes(study, facts)
    packed = {name: (file.stat().st_size, sha256(file)) for name, file in files.items()}
    packed |= {name: _measure(text) for name, text in texts.items()}
    texts[METADATA] = crate_metadata(study, recorded, packed, facts)
    packed[METADATA] = _measure(texts[METADATA])
    texts[CHECKSUMS] = "".join(f"{digest}  {name}\n" for name, (_, digest) in sorted(packed.items())).encode()
    target = path or Path(f"{study.name}.zip")
    with storage.replacing(target) as file:
        _pack(file, files, texts, {name: digest for name, (_, digest) in packed.items()})
    return Archive(target, len(files) + len(texts), target.stat().st_size, sha256(target))


def _measure(text: bytes) -> tuple[int, str]:
    return len(text), hashlib.sha256(text).hexdigest()


def _files(study: Study) -> dict[str, Path]:
    """Every file of the archive that is a copy of one on disk, by its name in the archive."""
    found: dict[str, Path] = {}
    for folder in (study.folder, study.folder.parent / "published"):
        if (folder / "study.yaml").is_file():
            beside = [file for file in folder.iterdir() if file.suffix in OF_A_STUDY and file.name[0] != "."]
            recorded = [folder / name for name in manifest(folder)]
            found |= {f"data/{folder.name}/{file.relative_to(folder).as_posix()}": file for file in beside + recorded}
    found |= {f"reports/{study.name}/{name}": study.reports / name for name in [MANIFEST, *listed(study)]}
    notebooks = find_notebooks(study)
    found |= code_files(notebooks)
    for name in ENVIRONMENT:
        places = [notebooks.parent / name, shipped(name)]
        present = [file for file in places if file.is_file()]
        if not present:
            message = N_("no {name}: looked for {first} and {second}; install virtio-study again")
            raise StudyError(message, name=name, first=places[0], second=places[1])
        found[name] = present[0]
    for name, file in found.items():
        if not safe_name(name) or not file.is_file():
            message = N_("{path}: cannot be archived as {name!r}; expected a file with a plain relative name")
            raise DataError(message, path=file, name=name)
    return found


def code_files(notebooks: Path) -> dict[str, Path]:
    """Files of this package and notebooks of a folder, by their name in an archive."""
    package = storage.PACKAGE
    found = {f"notebooks/{file.name}": file for file in sorted(notebooks.glob("*.ipynb"))}
    for file in sorted(package.rglob("*")):
        inside = file.relative_to(package)
        strange = "__pycache__" in inside.parts or file.name.startswith(".")
        if file.is_file() and not strange and inside.parts[0] != SHIPPED:
            found[PACKAGE + inside.as_posix()] = file
    return found


def safe_name(name: str) -> bool:
    """Whether a name in an archive stays inside the folder that it is unpacked to, on any system."""
    parts = name.split("/")
    return (
        name.isprintable()
        and not any(mark in name for mark in '\\:*?"<>|')
        and all(part not in {"", ".", ".."} and len(part.encode()) <= 255 for part in parts)
        and len(name.encode()) <= 1024
    )


def _pack(sink: BinaryIO, files: Mapping[str, Path], texts: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in tqdm(sorted([*files, *texts]), unit="file", desc="export", disable=None):
            # Set in full, so that neither the clock nor this system's permissions are in the bytes.
            entry = zipfile.ZipInfo(name, FIRST_TIME_OF_ZIP)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            if name in texts:
                archive.writestr(entry, texts[name])
                continue
            digest = hashlib.sha256()
            entry.file_size = files[name].stat().st_size
            with files[name].open("rb") as source, archive.open(entry, "w") as entry_file:
                while block := source.read(CHUNK):
                    digest.update(block)
                    entry_file.write(block)
            if digest.hexdigest() != digests[name]:
                raise DataError(N_("{path}: changed while it was archived; export again"), path=files[name])
