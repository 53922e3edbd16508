"""What is known of a server before a study: the longest stretch that was recorded of it under one configuration."""

from virtio_study.analysis.arms import Boot
from virtio_study.errors import DataError, StudyError
from virtio_study.i18n.marks import N_
from virtio_study.stats.stretch import Stretch
from virtio_study.study import METRICS, Study
from virtio_study.workflow.steps import read_arm

__all__ = ["longest_history"]


def longest_history(study: Study, server: str, metric: str) -> Stretch | None:
    """The longest steady stretch of a server's recordings, of any driver configuration; None without any.

    Parameters
    ----------
    metric : str
        One of `METRICS`.

    Raises
    ------
    StudyError
        If the study has no such server, or there is no such metric.
    """
    columns: dict[str, str] = {**METRICS}
    if metric not in columns:
        raise StudyError(
            N_("--metric is {metric!r}; expected one of {metrics}"), metric=metric, metrics=", ".join(columns)
        )
    study.server(server)
    found = []
    for config in study.driver_configs:
        try:
            boots = read_arm(study, server, config).steady_boots(columns[metric])
        except DataError:  # not recorded yet, which is what a design is for
            continue
        found += [item for boot in boots if (item := _stretch(boot, columns[metric], server)) is not None]
    return max(found, key=lambda item: item.end_s - item.start_s, default=None)


def _stretch(boot: Boot, column: str, server: str) -> Stretch | None:
    """A boot's steady rows; None where it has no such column, or rows of several steps, as a laboratory's polls."""
    try:
        return boot.stretch(column, server) if column in boot.rows else None
    except DataError:
        return None
