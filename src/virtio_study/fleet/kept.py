"""What nodes said in a run that stopped, so that the same run goes on; gone when a run is done."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtio_study.storage import write_atomically

__all__ = ["Kept"]


@dataclass(frozen=True)
class Kept:
    """Answers in a folder, by what they were made of; `made_of` says what all of them were made with."""

    folder: Path
    made_of: str

    def place(self, *parts: Any) -> Path:
        """File of an answer that was made of these parts, each a text, a number or a list or mapping of such."""
        key = hashlib.sha256(json.dumps([self.made_of, *parts], sort_keys=True).encode()).hexdigest()
        return self.folder / f"{key}.json"

    def write(self, place: Path, content: bytes) -> None:
        """Keep an answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content)

    def remove(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
