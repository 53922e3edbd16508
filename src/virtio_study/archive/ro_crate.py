"""What an archived study says of itself: its RO-Crate metadata and its README, in English and Spanish."""

import html
import json
import string
from collections.abc import Mapping
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from virtio_study.archive.recorded import RecordedResults
from virtio_study.study import Study

__all__ = ["KINDS", "Packed", "crate_metadata", "readmes", "recording_facts"]

Packed = Mapping[str, tuple[int, str]]
"""Name in the archive -> size in bytes and SHA-256."""

KINDS = {
    "measured": ("measured on a hypervisor that runs real servers", "medidas en un hipervisor con servidores reales"),
    "emulated": (
        "emulated: real guests on QEMU in a laboratory, whose CPU seconds are the emulator's own",
        "emuladas: huéspedes reales en QEMU en un laboratorio, cuyos segundos de CPU son los del emulador",
    ),
    "simulated": (
        "simulated: made up by a program, and no measurement of anything",
        "simuladas: inventadas por un programa, y medición de nada",
    ),
}
"""Kind of a recording -> what it is, in English and Spanish."""

FORMATS = {
    ".cff": "text/yaml",
    ".css": "text/css",
    ".csv": "text/csv",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".po": "text/x-gettext-translation",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}


def recording_facts(files: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Kind, accelerator, source and start of every recording among some files, by its name in the archive.

    Raises
    ------
    DataError
        If a Parquet file among them is not a recording of this package.
    """
    from virtio_study.recording import names_of_recordings, provenance_in

    found = {}
    for name, path in files.items():
        # "data/STUDY/recordings/..."
        if not names_of_recordings(["/".join(name.split("/")[2:])]):
            continue
        item = provenance_in(path)
        facts = {"kind": item.kind, "source": item.source, "started_at": item.started_at}
        found[name] = facts | ({"accelerator": item.accelerator} if item.accelerator else {})
    return found


def _kinds(recordings: Mapping[str, Mapping[str, str]], language: int) -> str:
    return "; ".join(KINDS[kind][language] for kind in sorted({facts["kind"] for facts in recordings.values()}))


def readmes(study: Study, recordings: Mapping[str, Mapping[str, str]]) -> dict[str, bytes]:
    """README.md and README.es.md of an archive, by name."""
    values = {
        "name": study.name,
        "version": version("virtio-study"),
        "recordings": len(recordings),
        "title_en": _plain(study.title.en),
        "title_es": _plain(study.title.es),
        "kinds_en": _kinds(recordings, 0),
        "kinds_es": _kinds(recordings, 1),
    }
    texts = resources.files("virtio_study.archive").joinpath("readme")
    return {
        name: string.Template(texts.joinpath(name).read_text("utf-8")).substitute(values).encode()
        for name in ("README.md", "README.es.md")
    }


def _plain(text: str) -> str:
    """A title as one line of Markdown without markup of its own."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return "".join(f"\\{mark}" if mark in "\\`*_[]#|" else mark for mark in html.escape(line, quote=False))


def crate_metadata(
    study: Study, recorded: RecordedResults, packed: Packed, recordings: Mapping[str, Mapping[str, str]]
) -> bytes:
    """The metadata file of an archive: what every file is, how large, its SHA-256, and what made the results.

    Parameters
    ----------
    study : Study
    recorded : RecordedResults
        The study's own.
    packed : dict
        Every other file of the archive.
    recordings : dict
        As `recording_facts` returns them. `datePublished` is the day of the last, so that the same files make the same
        metadata on any day.

    References
    ----------
    RO-Crate Metadata Specification, https://w3id.org/ro/crate; written with ro-crate-py.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    days = sorted(facts["started_at"][:10] for facts in recordings.values())
    report = f"reports/{study.name}/"
    crate.root_dataset.properties().update(
        name=study.title.en,
        alternateName=study.title.es,
        description=f"{study.title.en}. Recordings: {_kinds(recordings, 0)}.",
        datePublished=days[-1],
        temporalCoverage=f"{days[0]}/{days[-1]}",
        inLanguage=["en", "es"],
        license={"@id": "LICENSE"},
        measurementTechnique=sorted({_technique(facts) for facts in recordings.values()}),
        keywords=sorted({"virtio", "proxmox", "balloon", *(facts["kind"] for facts in recordings.values())}),
        mainEntity={"@id": f"{report}results.json"},
        mentions=[{"@id": "#analysis"}],
    )
    for name, (size, digest) in sorted(packed.items()):
        properties: dict[str, Any] = {"name": name, "contentSize": str(size), "sha256": digest}
        if Path(name).suffix in FORMATS:
            properties["encodingFormat"] = FORMATS[Path(name).suffix]
        if name in recordings:
            properties["measurementTechnique"] = _technique(recordings[name])
            properties["description"] = f"Recording, {KINDS[recordings[name]['kind']][0]}"
            properties["dateCreated"] = recordings[name]["started_at"]
        if name == "LICENSE":
            properties["description"] = (
                "Licence of the program; who recorded a study states the licence of its recordings"
            )
        crate.add_file(dest_path=name, properties=properties)
    for identifier, properties in _context(study, recorded, packed, report).items():
        crate.add(ContextEntity(crate, identifier, properties=properties))
    text = json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _technique(facts: Mapping[str, str]) -> str:
    accelerator = f", accelerator {facts['accelerator']}" if "accelerator" in facts else ""
    return f"{facts['kind']}; source {facts['source']}{accelerator}"


def _context(study: Study, recorded: RecordedResults, packed: Packed, report: str) -> dict[str, dict[str, Any]]:
    """What the files are about: the program, the analysis that it did, and the paper that it examines."""
    made = recorded.environment
    inputs = [name for name in sorted(packed) if name.startswith("data/")]
    outputs = [name for name in sorted(packed) if name.startswith(report)]
    packages = [f"{name} {number}" for name, number in sorted(made["packages"].items())]
    found: dict[str, dict[str, Any]] = {
        "#virtio-study": {
            "@type": "SoftwareApplication",
            "name": "virtio-study",
            "softwareVersion": made["packages"]["virtio-study"],
            "softwareRequirements": [f"Python {made['python']}", *packages],
        },
        "#analysis": {
            "@type": "CreateAction",
            "name": f"virtio-study run {study.name}",
            "description": f"The notebooks in order, with the seed {study.seed}",
            "instrument": {"@id": "#virtio-study"},
            "object": [{"@id": name} for name in inputs],
            "result": [{"@id": name} for name in outputs],
        },
    }
    paper = (recorded.results.get("published") or {}).get("citation")
    if paper:
        found["#paper"] = {"@type": "ScholarlyArticle", "name": paper["title"], "author": paper["authors"]} | {
            "datePublished": str(paper["year"]),
            "inLanguage": paper["language"],
        }
    return found
