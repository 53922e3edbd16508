"""What this package stands on, and under which licences.

`python docs/dependencies.py` writes docs/dependencies.md; `python docs/dependencies.py sbom.cdx.json` a bill of
materials in CycloneDX's form. Both are made of requirements.lock, pyproject.toml and what installed packages say.
"""

import json
import re
import sys
import tomllib
import uuid
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_suffix(".md")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ELSEWHERE, OPTION = "not installed here", "an option of another"
"""Of what the lock has for other systems and Pythons than those that this was made on; and for extras of others."""

HEAD = """# What this package stands on

Every version is pinned with its hashes in `requirements.lock`. `needed for` says for what `pyproject.toml` declares it,
or something that needs it. Made by `python docs/dependencies.py`; `make sbom` writes the same as a bill of materials
(CycloneDX), and `make audit` looks the versions up among known vulnerabilities where it can reach them.

| package | version | licence | needed for |
|---|---|---|---|
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Name -> version of all that the lock has."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return {normal(name): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE)}


def declared() -> dict[str, list[str]]:
    """What it is for -> names that pyproject.toml has for it."""
    kinds = {"running": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return {kind: [normal(re.split(r"[^A-Za-z0-9._-]", item)[0]) for item in items] for kind, items in kinds.items()}


def needs(name: str, known: dict[str, str]) -> list[str]:
    """Packages of the lock that an installed package needs, its extras left out."""
    try:
        items = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    names = {normal(re.split(r"[^A-Za-z0-9._-]", item)[0]) for item in items if "extra ==" not in item}
    return sorted(names & known.keys())


def licence(name: str) -> str:
    """The licence that an installed package names: its expression, else its classifiers, else the first words."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ELSEWHERE
    if said.get("License-Expression"):
        return str(said["License-Expression"])
    named = [item.split(" :: ")[-1] for item in said.get_all("Classifier") or [] if item.startswith("License :: ")]
    specific = [item for item in named if item != "OSI Approved"]
    return " or ".join(specific) or (said.get("License") or "not said").strip().split("\n")[0][:60]


def purposes(known: dict[str, str]) -> dict[str, str]:
    """Name -> the first of what is declared that needs it, directly or through another package."""
    found: dict[str, str] = {}
    for kind, names in declared().items():
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in known and name not in found:
                found[name] = kind
                waiting += needs(name, known)
    return found


def page() -> str:
    known = locked()
    why = purposes(known)
    rows = (f"| {n} | {v} | {licence(n)} | {why.get(n, OPTION)} |\n" for n, v in sorted(known.items()))
    return HEAD + "".join(rows)


def bill_of_materials() -> str:
    """CycloneDX 1.6 in JSON, the same for the same lock."""
    known = locked()
    refs = {name: f"pkg:pypi/{name}@{version}" for name, version in known.items()}
    own = f"pkg:pypi/{PROJECT['name']}@{PROJECT['version']}"
    components = [
        {
            "type": "library",
            "bom-ref": refs[name],
            "name": name,
            "version": version,
            "purl": refs[name],
            "licenses": [{"license": {"name": licence(name)}}],
        }
        for name, version in sorted(known.items())
    ]
    direct = sorted({name for names in declared().values() for name in names} & known.keys())
    links = [{"ref": own, "dependsOn": [refs[name] for name in direct]}]
    links += [{"ref": refs[n], "dependsOn": [refs[other] for other in needs(n, known)]} for n in sorted(known)]
    root = {"type": "application", "bom-ref": own, "name": PROJECT["name"], "version": PROJECT["version"], "purl": own}
    root |= {"licenses": [{"license": {"id": PROJECT["license"]}}]}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(sorted(known.items())))}",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": links,
    }
    return json.dumps(bill, indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(bill_of_materials(), encoding="utf-8")
    else:
        PAGE.write_text(page(), encoding="utf-8")
