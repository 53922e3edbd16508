"""An error that nobody foresaw: one line for the user, and a file without secrets to send to whoever can mend it."""

import os
import platform
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, clipped, said

__all__ = ["scrubbed", "unforeseen"]

SECRET = re.compile(
    r"(![\w.-]+[=:])\S+|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|PVE:[^\s'\"]+", re.IGNORECASE
)
"""The secret of a token behind its name, one alone, and a ticket, as they may stand in the words of an error."""

VARIABLES = "VIRTIO_STUDY_PVE_"
LONGEST_FILE = 200_000


def scrubbed(text: str) -> str:
    """A text without the tokens, passwords and tickets that may stand in it."""
    for name, value in os.environ.items():
        if name.startswith(VARIABLES) and not name.endswith(("_USER", "_FILE")) and len(value) > 3:
            text = text.replace(value, "***").replace(value.rpartition("=")[2], "***")
    return SECRET.sub(lambda found: f"{found[1] or ''}***", text)


def unforeseen(error: Exception, words: Sequence[str]) -> Said:
    """What to tell the user of an error, once its details are in a file; `words` are those of the command."""
    from importlib.metadata import version  # a fourth of the time that --help takes

    if isinstance(error, MemoryError):
        return said(N_("there is not enough memory for this; end other programs, or give the command less at a time"))
    what = clipped(scrubbed(" ".join(f"{type(error).__name__}: {error}".split())), 200)
    lines = [
        f"virtio-study {version('virtio-study')}, Python {platform.python_version()}, {platform.platform()}",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        f"command: {' '.join(words)}",
        "".join(traceback.format_exception(error)),
    ]
    try:
        place = _written("\n".join(lines))
    except OSError:
        form = N_("an error that was not foreseen ({what}); please send what the same command prints with --debug")
        return said(form, what=what)
    return said(N_("an error that was not foreseen ({what}); please send the file {place}"), what=what, place=place)


def _written(text: str) -> Path:
    """A file for its owner alone, which a user finds again."""
    plain = scrubbed(text)
    shown = plain if len(plain) <= LONGEST_FILE else f"{plain[: LONGEST_FILE // 2]}\n...\n{plain[-LONGEST_FILE // 2 :]}"
    handle, name = tempfile.mkstemp(prefix="virtio-study-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding=sys.getfilesystemencoding(), errors="replace") as file:
        file.write(shown)
    return Path(name)
