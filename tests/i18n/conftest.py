"""The pseudo-language, spoken while a module of tests runs."""

from collections.abc import Iterator
from pathlib import Path

import pseudo
import pytest


@pytest.fixture(scope="module")
def pseudo_language(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of its catalogue."""
    folder = pseudo.write(tmp_path_factory.mktemp("locale"))
    pseudo.register(folder)
    yield folder
    pseudo.withdraw(folder)
