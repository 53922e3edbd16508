"""An archived study unpacked with care, compared with its checksums, analysed again, and compared with its results.

An archive is somebody else's file: names that leave the folder, links, floods of data and code are expected in it. By
default it is analysed by the program that is installed, and none of its code runs.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from virtio_study.archive.diff import Differences, differences, read_results
from virtio_study.archive.export import CHECKSUMS, PACKAGE, code_files, safe_name
from virtio_study.errors import DataError, PipelineError, StudyError
from virtio_study.i18n.sentences import Said
from virtio_study.storage import CHECKOUT, sha256
from virtio_study.study import load_study

__all__ = ["Repetition", "other_versions", "repeat", "unpack"]

MOST_FILES, MOST_BYTES = 200_000, 16 << 30
CHECKSUMS_BYTES = 64 << 20
CHUNK = 1 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class Repetition:
    """What came of repeating an archived study.

    `other_code` names the files of the program and notebooks that differ between the archive and what ran here.
    """

    study: str
    files: int
    other_versions: dict[str, tuple[str, str | None]]
    other_code: tuple[str, ...]
    differences: Differences


def repeat(
    path: Path, *, archived_code: bool = False, workers: int | None = None, say: Callable[[str | Said], None]
) -> Repetition:
    """Check an archive, analyse its recordings again in a temporary folder, and compare every value.

    Parameters
    ----------
    path : Path
        A zip that `archive.export` wrote.
    archived_code : bool
        Run the program and the notebooks of the archive instead of the installed ones, in this Python environment.
    workers : int, optional
        Notebooks at the same time; default: one for each CPU.
    say : callable
        Told what is being done and what was found on the way, in one line each.

    Raises
    ------
    DataError
        If the zip is damaged or not safe to unpack, a file is missing, one too many, or not as its checksum says.
    PipelineError
        If a notebook fails.
    """
    with tempfile.TemporaryDirectory(prefix="vs-", ignore_cleanup_errors=True) as scratch:
        crate, again = Path(scratch) / "crate", Path(scratch) / "again"
        digests = unpack(path, crate)
        name = _study_name(path, digests)
        say(f"{path}: {len(digests) + 1} files, every checksum is right")
        _, archived = read_results(crate / "reports" / name / "results.json")
        versions = other_versions(archived)
        for package, (recorded, here) in versions.items():
            say(f"{package}: {recorded} recorded, {here or 'none'} here")
        notebooks = crate / "notebooks" if archived_code else _notebooks()
        other = () if archived_code else _other_code(digests, notebooks)
        if other:
            some = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
            say(f"code: {len(other)} files of the installed program are not those of the archive ({some})")
        again.mkdir()
        (crate / "data").rename(again / "data")
        _run(again / "data" / name, notebooks, crate / "src" if archived_code else None, workers, say)
        _, repeated = read_results(again / "reports" / name / "results.json")
        return Repetition(name, len(digests) + 1, versions, other, differences(archived, repeated))


def unpack(path: Path, folder: Path) -> dict[str, str]:
    """Unpack an archive, comparing every file with its checksum.

    Returns
    -------
    dict
        Name -> SHA-256 of every file but the list of checksums itself, as that list has them.

    Raises
    ------
    DataError
        As `repeat`; nothing outside `folder` has been written then.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive, path)
            digests = _checksums(archive, entries, path)
            needed = sum(entry.file_size for entry in entries.values())
            folder.mkdir(parents=True)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise DataError(
                    f"{path}: needs {needed} bytes and {folder.parent} has {free}; set TMPDIR to a larger one"
                )
            for name in tqdm(sorted(digests), unit="file", desc="check", disable=None):
                _extract(archive, entries[name], folder / name, digests[name], path)
    except DAMAGED as error:
        raise DataError(f"{path}: damaged, or not a zip ({error}); get it again") from error
    return digests


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Files of a zip by name, once no name, kind or size among them can do harm."""
    found: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    total = 0
    for entry in archive.infolist():
        name = entry.orig_filename
        total += entry.file_size
        kind = entry.external_attr >> 16 & 0o170000
        if not safe_name(name) or entry.is_dir():
            problem = "its name could lead out of the folder that it is unpacked to, or is no file's"
        elif kind not in {0, 0o100000}:
            problem = "it is a link or a device, not a file"
        elif name.casefold() in folded:
            problem = "two files have that name"
        elif entry.flag_bits & 1 or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            problem = "it is encrypted, or compressed in a way that export does not use"
        elif len(found) >= MOST_FILES or total > MOST_BYTES:
            problem = f"beyond {MOST_FILES} files or {MOST_BYTES} bytes, more than a study has"
        else:
            found[name] = entry
            folded.add(name.casefold())
            continue
        raise DataError(f"{path}: refused at {name!r}: {problem}; virtio-study export does not write such an archive")
    for name in found:
        above = [str(parent) for parent in PurePosixPath(name).parents if str(parent).casefold() in folded]
        if above:
            raise DataError(f"{path}: refused at {name!r}: {above[0]!r} is a file; get the archive again")
    return found


def _checksums(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], path: Path) -> dict[str, str]:
    if CHECKSUMS not in entries:
        raise DataError(f"{path}: no {CHECKSUMS} in it; expected an archive that virtio-study export wrote")
    if entries[CHECKSUMS].file_size > CHECKSUMS_BYTES:
        raise DataError(
            f"{path}: {CHECKSUMS} has {entries[CHECKSUMS].file_size} bytes, too many; get the archive again"
        )
    digests: dict[str, str] = {}
    for line in archive.read(CHECKSUMS).decode().splitlines():
        match = LINE.fullmatch(line)
        if not match:
            raise DataError(f"{path}: {CHECKSUMS}: {line[:80]!r} is no checksum and name; get the archive again")
        digests[match[2]] = match[1]
    missing, extra = sorted(set(digests) - set(entries)), sorted(set(entries) - set(digests) - {CHECKSUMS})
    for names, what in ((missing, "is missing"), (extra, f"is not listed in {CHECKSUMS}")):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise DataError(f"{path}: {names[0]!r} {what}{more}; get the archive again")
    return digests


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, digest: str, path: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256()
    try:
        with archive.open(entry) as source, target.open("xb") as file:
            while block := source.read(CHUNK):
                found.update(block)
                file.write(block)
    except DAMAGED as error:
        raise DataError(f"{path}: {entry.filename!r} is damaged ({error}); get the archive again") from error
    if found.hexdigest() != digest:
        raise DataError(f"{path}: {entry.filename!r} changed since it was archived (SHA-256 differs); get it again")


def _study_name(path: Path, digests: Mapping[str, str]) -> str:
    found = [match[1] for name in digests if (match := re.fullmatch(r"reports/([^/]+)/results\.json", name))]
    if len(found) != 1 or f"data/{found[0]}/study.yaml" not in digests:
        raise DataError(f"{path}: expected one study with its results; found {len(found)}; get the archive again")
    return found[0]


def other_versions(results: Mapping[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Python and packages whose version here is not the recorded one: (recorded, here; None if it is not installed)."""
    provenance = results["provenance"]
    packages = provenance.get("packages")
    recorded = {"python": str(provenance.get("python")), **(packages if isinstance(packages, dict) else {})}
    here = {name: platform.python_version() if name == "python" else _installed(name) for name in recorded}
    return {name: (recorded[name], here[name]) for name in sorted(recorded) if recorded[name] != here[name]}


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _notebooks() -> Path:
    folder = CHECKOUT / "notebooks"
    if not (folder / "1_collect.ipynb").is_file():
        raise StudyError(f"no notebooks in {folder}; run from a checkout of virtio-study, or use --archived-code")
    return folder


def _other_code(digests: Mapping[str, str], notebooks: Path) -> tuple[str, ...]:
    here = {name: sha256(file) for name, file in code_files(notebooks).items()}
    archived = {name: digest for name, digest in digests.items() if name.startswith((PACKAGE, "notebooks/"))}
    return tuple(sorted(name for name in {*here, *archived} if here.get(name) != archived.get(name)))


def _run(
    folder: Path, notebooks: Path, source: Path | None, workers: int | None, say: Callable[[str | Said], None]
) -> None:
    if source is not None:
        words = [sys.executable, "-m", "virtio_study", "run", str(folder)] + (
            ["--workers", str(workers)] if workers else []
        )
        # The archived program finds its notebooks beside itself.
        done = subprocess.run(words, cwd=folder.parents[1], env={**os.environ, "PYTHONPATH": str(source)}, check=False)
        if done.returncode:
            raise PipelineError(
                f"the archived program ended with exit code {done.returncode}; its own messages are above"
            )
        return
    from virtio_study.workflow.runner import run

    outcome = run(load_study(folder), workers=workers, notebooks=notebooks, say=say)
    for name, reason in outcome.error.items():
        raise PipelineError(f"{name}: {reason}")
