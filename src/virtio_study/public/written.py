"""Results and archives that were written: read, compared with one another, and repeated."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtio_study.i18n.spoken import tell

if TYPE_CHECKING:
    from virtio_study.analysis.results import Results
    from virtio_study.archive.diff import Differences
    from virtio_study.archive.verify import Repetition

__all__ = ["diff", "read_results", "verify"]


def read_results(place: str | Path) -> "Results":
    """Read results that were written.

    Parameters
    ----------
    place : str or Path
        A study, whose results must be of today; or a `results.json` or its folder, read as they stand.

    Raises
    ------
    StudyError, DataError
        If there are none, they are damaged, or a study's were made of another protocol, code or inputs.

    Examples
    --------
    >>> results = vs.read_results("pve-rig")
    >>> results.servers["versat"].comparisons["devices"].verdicts["mem_host"].status
    'with_reservations'
    """
    from virtio_study.analysis.results import Results
    from virtio_study.archive import recorded
    from virtio_study.workflow import artefacts, reports

    found = recorded.read_results(place)
    path = found.path if found.study is None else reports.up_to_date(found.study, found.path.name)
    return artefacts.read_input(path, Results, "virtio-study run")


def diff(first: str | Path, second: str | Path) -> "Differences":
    """Which values differ between two results, and what differs in the record of their making.

    Parameters
    ----------
    first, second : str or Path
        Each as `read_results` takes it.

    Raises
    ------
    StudyError, DataError
        As `read_results`.

    Examples
    --------
    >>> vs.diff("pve-rig", "reports/pve-rig/results.json").agreement
    'identical'
    """
    from virtio_study.archive import recorded
    from virtio_study.archive.diff import differences

    return differences(*(recorded.read_results(place).values for place in (first, second)))


def verify(
    archive: str | Path,
    *,
    archived_code: bool = False,
    workers: int | None = None,
    say: Callable[[Any], None] = tell,
) -> "Repetition":
    """Unpack an archive with care, analyse its recordings again, and compare every value and file.

    Parameters
    ----------
    archive : str or Path
        A zip that `OpenStudy.export` wrote.
    archived_code : bool
        Run the program in the archive instead of the installed one; only if you trust its authors.
    workers : int, optional
        Notebooks at the same time; default: one for each CPU.
    say : callable
        Told what is being done and what was found on the way.

    Raises
    ------
    DataError
        If the zip is damaged or not safe to unpack.
    PipelineError
        If a notebook fails.

    Examples
    --------
    >>> repeated = vs.verify("pve-rig.zip", workers=2, say=lambda line: None)
    >>> repeated.study, repeated.agreement
    ('pve-rig', 'identical')
    """
    from virtio_study.archive.verify import repeat

    return repeat(Path(archive), archived_code=archived_code, workers=workers, say=say)
