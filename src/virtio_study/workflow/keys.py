"""What an artefact was made of, as one key: the protocol, the code and the inputs; the same on every machine.

An artefact may be used if its key is today's. Neither time, place nor version of anything else is in a key: the same
protocol, code and inputs make the same bytes everywhere.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

from virtio_study.errors import DataError, PipelineError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.plug_ins import CHECKS, plug_ins
from virtio_study.storage import PACKAGE, SHIPPED, manifest, plain_bytes, sha256, verify_file
from virtio_study.study import Study

__all__ = ["BESIDE", "INPUTS", "Key", "Keys", "borrowed_counts", "code_digest"]

INPUTS = ("study.yaml", "manifest.json", "counts.json", "timeline.json")
"""Files of a study that results are made from; the recordings are listed in its manifest."""

BESIDE = ("study.yaml", "values.csv")
"""Files of the study `published`, beside a study, that its results are made from."""

MAKES_NO_RESULT = ("cli", "compendium", "design", "lab", SHIPPED, "sources", "testing")
"""Folders of this package that cannot change a result."""


@dataclass(frozen=True)
class Key:
    """What an artefact was made of: SHA-256 of the validated protocol, of the code, and of every input by its name."""

    protocol: str
    code: str
    inputs: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of the whole key, by which an artefact carries it."""
        return _digest([self.protocol, self.code, self.inputs])

    def with_inputs(self, inputs: dict[str, str]) -> Self:
        """The same key with more inputs."""
        return type(self)(self.protocol, self.code, self.inputs | inputs)

    def changes(self, today: "Key") -> list[str]:
        """Names of what is not as it was: inputs, the protocol, and the folder of this package's code."""
        names = sorted(self.inputs.keys() | today.inputs.keys())
        changed = [name for name in names if self.inputs.get(name) != today.inputs.get(name)]
        if self.protocol != today.protocol and "study.yaml" not in changed:
            changed.insert(0, "study.yaml")
        return changed + (["src/virtio_study"] if self.code != today.code else [])


class Keys:
    """Today's keys of a study's artefacts. Made once a step: no recording is verified twice by one object.

    Raises
    ------
    DataError
        If the study's manifest is damaged.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.listed = manifest(study.folder)
        self._verified: set[tuple[str, str]] = set()
        self._notebooks: dict[Path, str] = {}

    @cached_property
    def _common(self) -> Key:
        return Key(_digest([self.study.name, self.study.model_dump_json()]), code_digest(), {})

    def recordings(self, server: str, driver_config: str) -> list[Path]:
        """Recordings of a server under a driver configuration that the manifest lists, in order of name."""
        prefix = f"recordings/{server}/{driver_config}/"
        names = sorted(name for name in self.listed if name.startswith(prefix) and name.endswith(".parquet"))
        return [self.study.folder / name for name in names]

    def verify(self, server: str, driver_config: str) -> None:
        """Whether the recordings of a server under a driver configuration are there, as they were recorded.

        Raises
        ------
        DataError
            If there is none, or one is missing or changed; it names the file.
        """
        if (server, driver_config) in self._verified:
            return
        paths = self.recordings(server, driver_config)
        if not paths:
            folder = self.study.folder / "recordings" / server / driver_config
            raise DataError(
                N_("{folder}: no recording of server {server!r} under {driver_config!r}; record it first"),
                folder=folder,
                server=server,
                driver_config=driver_config,
            )
        for path in paths:
            verify_file(path, self.study.folder, self.listed)
        self.verified(server, driver_config)

    def verify_all(self, servers: Sequence[str] | None = None) -> None:
        """`verify` of every driver configuration of some servers, or of all.

        Raises
        ------
        StudyError
            If the study is a published one, or has no such server.
        DataError
            As `verify`.
        """
        if self.study.source == "published":
            message = N_("{folder}: a published study has no recordings; its audit is in the other reports")
            raise StudyError(message, folder=self.study.folder)
        for server in servers or self.study.servers:
            self.study.server(server)
            for driver_config in self.study.driver_configs:
                self.verify(server, driver_config)

    def verified(self, server: str, driver_config: str) -> None:
        """Note that the recordings of a server under a driver configuration were read and verified by the way."""
        self._verified.add((server, driver_config))

    def recorded(self, server: str, driver_config: str) -> Key:
        """Key of what is made of the recordings of a server under one driver configuration."""
        return self._of_recordings(server, [driver_config])

    def arms(self, server: str) -> list[str]:
        """Driver configurations that a server is compared by: all sides, and what was recorded between them."""
        sides = {side for item in self.study.comparisons.values() for side in (item.before, item.after)}
        return [name for name in self.study.driver_configs if name in sides or self.recordings(server, name)]

    def compared(self, server: str) -> Key:
        """Key of the comparisons of a server."""
        return self._of_recordings(server, self.arms(server))

    @cached_property
    def reported(self) -> Key:
        """Key of the results, the figures and the pages.

        Raises
        ------
        DataError
            If the study has no manifest, and is no published one.
        """
        folder = self.study.folder
        files = {name: folder / name for name in INPUTS}
        if self.study.source == "published":
            files |= {name: folder / name for name in BESIDE}
            borrowed = borrowed_counts(self.study)
            files |= {f"{borrowed.parent.name}/{borrowed.name}": borrowed} if borrowed else {}
        else:
            if not files["manifest.json"].exists():
                raise DataError(
                    N_("{path}: missing; record the study, or restore it from version control"),
                    path=files["manifest.json"],
                )
            files |= {f"published/{name}": folder.parent / "published" / name for name in BESIDE}
        found = {name: sha256(path) for name, path in files.items() if path.is_file()}
        if "manifest.json" in found:  # what it lists, wherever a long one has that written
            found["manifest.json"] = hashlib.sha256(plain_bytes(self.listed)).hexdigest()
        return self._common.with_inputs(found)

    def executed(self, notebook: Path, parameters: dict[str, str]) -> Key:
        """Key of a notebook executed with parameters: its cells, and what it is about.

        Raises
        ------
        PipelineError
            If it is no notebook.
        """
        server, driver_config = parameters.get("server"), parameters.get("driver_config")
        if server is None:
            about = self.reported
        elif driver_config is None:
            about = self.compared(server)
        else:
            about = self.recorded(server, driver_config)
        if notebook not in self._notebooks:
            self._notebooks[notebook] = _digest(_cells(notebook))
        return about.with_inputs({notebook.name: self._notebooks[notebook]})

    def _of_recordings(self, server: str, driver_configs: Iterable[str]) -> Key:
        return self._common.with_inputs(
            {
                f"recordings/{server}/{config}": _digest(
                    [[path.name, self.listed[path.relative_to(self.study.folder).as_posix()]] for path in paths]
                )
                for config in sorted(driver_configs)
                for paths in [self.recordings(server, config)]
            }
        )


def borrowed_counts(study: Study) -> Path | None:
    """Counts of device accesses that a published study borrows from a study beside it."""
    return next(iter(sorted(study.folder.parent.glob("*/counts.json"))), None)


@cache
def code_digest() -> str:
    """SHA-256 of the code that makes results, as it was when it was first asked for in this process.

    Checks that other packages add belong to it, by package and version.
    """
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*") if path.is_file()}
    added = [[name, found.package, found.version] for name, found in plug_ins(CHECKS).items()]
    return _digest([[name, sha256(files[name])] for name in sorted(files) if _makes_results(name.split("/"))] + added)


def _makes_results(parts: list[str]) -> bool:
    """Whether a file of this package can change a result, by the parts of its name."""
    strange = any(part == "__pycache__" or part.startswith(".") for part in parts)
    return parts[0] not in MAKES_NO_RESULT and not strange


def _cells(notebook: Path) -> list[Any]:
    """What a notebook does and says: its cells without outputs."""
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        return [[cell["cell_type"], cell["source"], cell["metadata"].get("tags", [])] for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(
            N_("{path}: not a notebook: {error}; restore it from version control"), path=notebook, error=error
        ) from error


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
