"""The explorer of a study's effects."""

from pathlib import Path
from typing import TYPE_CHECKING

from virtio_study.errors import StudyError
from virtio_study.i18n.language import words
from virtio_study.i18n.marks import N_
from virtio_study.public.opened import load_study
from virtio_study.study import Study
from virtio_study.workflow import steps

if TYPE_CHECKING:
    from virtio_study.report.explorer import Explorer

__all__ = ["explore"]


def explore(study: str | Path | Study, server: str | None = None, *, language: str = "en") -> "Explorer":
    """Play with an effect in JupyterLab or VS Code: which rows, which way to calculate, and which check that breaks.

    Server, comparison, metric and the choices of the sensitivity table are to be chosen from, windows to be moved.
    The estimators and checks are those of the study. Where nobody looks (papermill) and where no widgets are, a picture
    of the study's own choice stands in.

    Parameters
    ----------
    study : str, Path or OpenStudy
        As `load_study` takes it, or what it returned.
    server : str, optional
        The server to begin with; default: the first.
    language : str
        Of the explorer: en or es.

    Raises
    ------
    StudyError
        If there is no such study or server, or it has no recordings to compare.
    DataError
        As `OpenStudy.compare`.

    Examples
    --------
    >>> explorer = vs.explore("lab-qemu", "versat")
    >>> explorer.metric, f"{explorer.found().way.estimate / 2**20:.0f} MiB"
    ('mem_host', '-169 MiB')
    """
    from virtio_study.report.explorer import Explorer

    opened = study if isinstance(study, Study) else load_study(study)
    if opened.source == "published" or not opened.comparisons:
        raise StudyError(N_("{study} has no recordings to compare, so there is nothing to explore"), study=opened.name)
    first = server or next(iter(opened.servers))
    opened.server(first)
    names = [first, *(name for name in opened.servers if name != first)]
    return Explorer(lambda name: steps.explorable(opened, name), names, words(language))
