"""The page of all studies that have a report: `reports/index.html`, and one for every other language."""

import hashlib
import re
from pathlib import Path

from virtio_study.i18n.language import LANGUAGES
from virtio_study.report.names import overview_name
from virtio_study.storage import locked, sha256, write_atomically
from virtio_study.workflow.keys import code_digest

__all__ = ["write_overview"]

MADE_OF = re.compile(r'<meta name="made-of" content="([0-9a-f]{64})">')


def write_overview(reports: Path) -> None:
    """Write the pages of all studies with results below a folder of reports, if they are not of today's.

    What they were made of stands in them, so that a run in which nothing changed reads no results. Results that this
    version cannot read are named on the page.

    Parameters
    ----------
    reports : Path
        Has a folder with `results.json` for every study.
    """
    with locked(reports / ".run" / "overview.lock"):
        files = sorted(reports.glob("*/results.json"))
        parts = [code_digest(), *(f"{path.parent.name} {sha256(path)}" for path in files)]
        made_of = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        pages = {language: reports / overview_name(language) for language in LANGUAGES}
        if all(_made_of(path) == made_of for path in pages.values()):
            return
        from pydantic import ValidationError

        from virtio_study.analysis.results import Results
        from virtio_study.report.overview_page import render_overview

        studies: dict[str, Results | None] = {}
        for path in files:
            try:
                studies[path.parent.name] = Results.model_validate_json(path.read_bytes())
            except ValidationError:
                studies[path.parent.name] = None
        names = {language: path.name for language, path in pages.items()}
        for language, path in pages.items():
            write_atomically(path, render_overview(studies, language, names, made_of).encode())


def _made_of(path: Path) -> str | None:
    found = MADE_OF.search(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else None
    return found[1] if found else None
