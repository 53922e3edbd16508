"""What a wheel holds beside the code, so that the package needs no checkout: see `virtio_study.storage.shipped`."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = (
    "CITATION.cff",
    "LICENSE",
    "data/published",
    "environment.yml",
    "hatch_build.py",
    "notebooks",
    "pyproject.toml",
    "requirements.lock",
)


class CustomBuildHook(BuildHookInterface[Any]):
    """Ship what is there; an archive of a study may lack the published one, and is a checkout all the same."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to a wheel; one for development reads them where they are."""
        if version == "standard":
            present = [name for name in NAMES if (Path(self.root) / name).exists()]
            build_data["force_include"] |= {name: f"virtio_study/shipped/{name}" for name in present}
