"""What started programs get of the environment: no secret, and next to nothing where they are not trusted."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DRAWN", "bare_environment", "without_secrets"]

DRAWN = "VIRTIO_STUDY_DRAWN"
"""Names, in the notebooks of a run alone, the folder in which they keep a figure that another of them shows too."""

SECRET = re.compile("VIRTIO_STUDY_PVE_|TOKEN|PASSW|SECRET|CREDENTIAL|API_?KEY", re.IGNORECASE)
"""Names of variables that hold a secret: those with which a host is asked, see `sources.api.credentials`, and whatever
else of the user's says so of itself."""

PLAIN = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTIO_STUDY_LANGUAGE")


@contextmanager
def without_secrets() -> Iterator[None]:
    """Processes that are started inside inherit no token and no password, also those that follow a dead one."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if SECRET.search(name)}
    try:
        yield
    finally:
        os.environ.update(kept)


def bare_environment(home: Path, source: Path) -> dict[str, str]:
    """The environment of a program that is not trusted: where programs are, an empty home, its own code."""
    plain = {name: os.environ[name] for name in PLAIN if name in os.environ}
    return {**plain, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(source), "PYTHONNOUSERSITE": "1"}
