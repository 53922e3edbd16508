"""An archived study unpacked with care, compared with its checksums, analysed again, and compared with its report.

An archive is somebody else's file: names that leave the folder, links, floods of data and code are expected in it. By
default it is analysed by the program that is installed, and none of its code runs.
"""

import errno
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tqdm import tqdm

from virtio_study import limits
from virtio_study.archive.diff import Agreement, Differences, differences
from virtio_study.archive.export import CHECKSUMS, PACKAGE, code_files, safe_name
from virtio_study.archive.recorded import read_results
from virtio_study.environment import bare_environment
from virtio_study.errors import DataError, PipelineError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.storage import scratch_folder, sha256, shipped
from virtio_study.study import load_study
from virtio_study.workflow.reports import ENVIRONMENT, files_present

__all__ = ["FileDifference", "Repetition", "repeat", "unpack"]

MOST_FILES, MOST_BYTES = 200_000, 16 << 30
CHECKSUMS_BYTES = 64 << 20
CHUNK = 1 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class FileDifference:
    """A file of the report that is not the same when made again (`changed`), is not made (`removed`), or new."""

    name: str
    kind: Literal["changed", "removed", "added"]


@dataclass(frozen=True)
class Repetition:
    """What came of repeating an archived study.

    `files` is the number of files in the archive, `compared` of those of its report that were compared byte by byte.
    `other_code` names the files of the program and notebooks that differ between the archive and what ran here.
    """

    study: str
    files: int
    other_code: tuple[str, ...]
    differences: Differences
    compared: int
    differing: tuple[FileDifference, ...]

    @property
    def agreement(self) -> Agreement:
        """Whether results and report are the same: the worse of both."""
        return "different" if self.differing else self.differences.agreement


def repeat(
    path: Path, *, archived_code: bool = False, workers: int | None = None, say: Callable[[str | Said], None]
) -> Repetition:
    """Check an archive, analyse its recordings again in a temporary folder, and compare every value and every file.

    Parameters
    ----------
    path : Path
        A zip that `archive.export` wrote.
    archived_code : bool
        Run the program and the notebooks of the archive instead of the installed ones, in this Python environment.
    workers : int, optional
        Notebooks at the same time; default: one for each CPU.
    say : callable
        Told what is being done and what was found on the way, in one message each.

    Raises
    ------
    DataError
        If the zip is damaged or not safe to unpack, a file is missing, one too many, or not as its checksum says.
    PipelineError
        If a notebook fails.
    """
    with scratch_folder() as scratch:
        crate, again = scratch / "crate", scratch / "again"
        digests = unpack(path, crate)
        name = _study_name(path, digests)
        say(said(N_("{path}: {files} files, every checksum is right"), path=path, files=len(digests) + 1))
        archived = read_results(crate / "reports" / name / "results.json")
        notebooks = crate / "notebooks" if archived_code else _notebooks()
        other = () if archived_code else _other_code(digests, notebooks)
        if other:
            message = N_("{files} files of the installed program are not those of the archive ({some})")
            say(said(message, files=len(other), some=", ".join([*other[:3], *(["..."] if len(other) > 3 else [])])))
        again.mkdir()
        (crate / "data").rename(again / "data")
        _run(again / "data" / name, notebooks, crate / "src" if archived_code else None, workers, say)
        repeated = read_results(again / "reports" / name / "results.json")
        found = differences(archived.values, repeated.values)
        names, differing = _compare_files(crate / "reports" / name, again / "reports" / name)
        if found.agreement == "within_promise":
            differing = tuple(item for item in differing if item.name != f"reports/{name}/results.json")
        return Repetition(name, len(digests) + 1, other, found, len(names), differing)


def _compare_files(archived: Path, again: Path) -> tuple[set[str], tuple[FileDifference, ...]]:
    """Files of a report but those that say where and of what it was made; and those among them that differ."""
    before, after = (files_present(folder) - {ENVIRONMENT} for folder in (archived, again))
    kinds: dict[str, Literal["changed", "removed", "added"]] = dict.fromkeys(after - before, "added")
    kinds |= dict.fromkeys(before - after, "removed")
    both = before & after
    kinds |= {name: "changed" for name in both if (archived / name).read_bytes() != (again / name).read_bytes()}
    where = f"reports/{archived.name}"
    return before | after, tuple(FileDifference(f"{where}/{name}", kinds[name]) for name in sorted(kinds))


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
                    N_("{path}: needs {needed} bytes and {folder} has {free}; set TMPDIR to a larger one"),
                    path=path,
                    needed=needed,
                    folder=folder.parent,
                    free=free,
                )
            for name in tqdm(sorted(digests), unit="file", desc="check", disable=None):
                _extract(archive, entries[name], folder / name, digests[name], path)
    except (*DAMAGED, OSError) as error:
        # a zip that points outside itself is told by the system, which finds no such place in the file
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise DataError(N_("{path}: damaged, or not a zip ({error}); get it again"), path=path, error=error) from error
    return digests


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Files of a zip by name, once no name, kind or size among them can do harm."""
    found: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    total, most = 0, min(MOST_BYTES, limits.may_grow_to(path))
    for entry in archive.infolist():
        name = entry.orig_filename
        total += entry.file_size
        kind = entry.external_attr >> 16 & 0o170000
        if not safe_name(name) or entry.is_dir():
            problem = said(N_("its name could lead out of the folder that it is unpacked to, or is no file's"))
        elif kind not in {0, 0o100000}:
            problem = said(N_("it is a link or a device, not a file"))
        elif name.casefold() in folded:
            problem = said(N_("two files have that name"))
        elif entry.flag_bits & 1 or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            problem = said(N_("it is encrypted, or compressed in a way that export does not use"))
        elif len(found) >= MOST_FILES or total > most:
            message = N_("beyond {files} files or {bytes} bytes, more than a study packs into such a file")
            problem = said(message, files=MOST_FILES, bytes=most)
        else:
            found[name] = entry
            folded.add(name.casefold())
            continue
        raise DataError(
            N_("{path}: refused at {name!r}: {problem}; virtio-study export does not write such an archive"),
            path=path,
            name=name,
            problem=problem,
        )
    for name in found:
        above = [str(parent) for parent in PurePosixPath(name).parents if str(parent).casefold() in folded]
        if above:
            message = N_("{path}: refused at {name!r}: {above!r} is a file; get the archive again")
            raise DataError(message, path=path, name=name, above=above[0])
    return found


def _checksums(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], path: Path) -> dict[str, str]:
    if CHECKSUMS not in entries:
        message = N_("{path}: no {checksums} in it; expected an archive that virtio-study export wrote")
        raise DataError(message, path=path, checksums=CHECKSUMS)
    if entries[CHECKSUMS].file_size > CHECKSUMS_BYTES:
        size, message = (
            entries[CHECKSUMS].file_size,
            N_("{path}: {name} has {size} bytes, too many; get the archive again"),
        )
        raise DataError(message, path=path, name=CHECKSUMS, size=size)
    digests: dict[str, str] = {}
    for line in archive.read(CHECKSUMS).decode().splitlines():
        match = LINE.fullmatch(line)
        if not match:
            message = N_("{path}: {name}: {line!r} is no checksum and name; get the archive again")
            raise DataError(message, path=path, name=CHECKSUMS, line=line[:80])
        digests[match[2]] = match[1]
    missing, extra = sorted(set(digests) - set(entries)), sorted(set(entries) - set(digests) - {CHECKSUMS})
    if missing:
        message = N_("{path}: {name!r} is missing ({count} such files); get the archive again")
        raise DataError(message, path=path, name=missing[0], count=len(missing))
    if extra:
        message = N_("{path}: {name!r} is not listed in {checksums} ({count} such files); get the archive again")
        raise DataError(message, path=path, name=extra[0], checksums=CHECKSUMS, count=len(extra))
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
        message = N_("{path}: {name!r} is damaged ({error}); get the archive again")
        raise DataError(message, path=path, name=entry.filename, error=error) from error
    if found.hexdigest() != digest:
        message = N_("{path}: {name!r} changed since it was archived (SHA-256 differs); get it again")
        raise DataError(message, path=path, name=entry.filename)


def _study_name(path: Path, digests: Mapping[str, str]) -> str:
    found = [match[1] for name in digests if (match := re.fullmatch(r"reports/([^/]+)/results\.json", name))]
    if len(found) != 1 or f"data/{found[0]}/study.yaml" not in digests:
        message = N_("{path}: expected one study with its results; found {count}; get the archive again")
        raise DataError(message, path=path, count=len(found))
    return found[0]


def _notebooks() -> Path:
    folder = shipped("notebooks")
    if not (folder / "1_collect.ipynb").is_file():
        message = N_("no notebooks in {folder}; install virtio-study again, or use --archived-code")
        raise StudyError(message, folder=folder)
    return folder


def _other_code(digests: Mapping[str, str], notebooks: Path) -> tuple[str, ...]:
    here = {name: sha256(file) for name, file in code_files(notebooks).items()}
    archived = {name: digest for name, digest in digests.items() if name.startswith((PACKAGE, "notebooks/"))}
    return tuple(sorted(name for name in {*here, *archived} if here.get(name) != archived.get(name)))


def _without_network() -> list[str]:
    """Words before a command that cut it off from the network, where this system lets this user do that."""
    cut = ["unshare", "--net", "--map-root-user"]
    try:
        works = subprocess.run([*cut, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return []
    return cut if works else []


def _run(
    folder: Path, notebooks: Path, source: Path | None, workers: int | None, say: Callable[[str | Said], None]
) -> None:
    if source is not None:
        words = [sys.executable, "-m", "virtio_study", "run", str(folder)] + (
            ["--workers", str(workers)] if workers else []
        )
        # The archived program finds its notebooks beside itself; it is foreign, and is given nothing of this user's.
        with tempfile.TemporaryDirectory(prefix="home-", dir=folder.parents[2]) as home:
            given = bare_environment(Path(home), source)
            done = subprocess.run([*_without_network(), *words], cwd=folder.parents[1], env=given, check=False)
        if done.returncode:
            message = N_("the archived program ended with exit code {code}; its own messages are above")
            raise PipelineError(message, code=done.returncode)
        return
    from virtio_study.workflow.runner import run

    outcome = run(load_study(folder), workers=workers, notebooks=notebooks, say=say)
    for name, reason in outcome.error.items():
        raise PipelineError("{name}: {reason}", name=name, reason=reason)
