"""Which switchback a study would need, from what is known of its servers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from virtio_study.study import METRICS, Law, Study

if TYPE_CHECKING:
    from virtio_study.design.choosing import Choice
    from virtio_study.stats.stretch import Stretch

__all__ = ["DesigningStudy", "history"]


def history(study: Study, server: str, metric: str) -> "Stretch | None":
    """The longest recording of a server, or the rows of rrddata that are stored of it; None without any.

    Parameters
    ----------
    metric : str
        One of `METRICS`.

    Raises
    ------
    StudyError
        If the study has no such server, or there is no such metric.
    DataError
        If a stored answer cannot be read.
    """
    from virtio_study.design.choosing import history_of_rows, longest
    from virtio_study.sources.api.importers import stored_rows
    from virtio_study.workflow.histories import longest_history

    recorded = longest_history(study, server, metric)
    columns: dict[str, str] = {**METRICS}
    return longest([recorded, history_of_rows(stored_rows(study, server), columns[metric])])


class DesigningStudy(Study):
    """A study that says which switchback would show a fall."""

    def design(
        self,
        *servers: str,
        metric: str = "cpu",
        driver_configs: Sequence[str] = (),
        drop: float = 0.3,
        law: Law = "pairs",
        days: int | None = None,
        block_h: int | None = None,
        washout_s: float = 1800.0,
        zone: str | None = None,
        no_restart: str | None = "08:00-18:00",
    ) -> "Choice":
        """Which switchback would show a fall, simulated on the servers' own rows; nothing is written.

        `schedule` is the one in `study.yaml`, which the command `design --write` draws; `blocks` is how it was kept.

        Parameters
        ----------
        *servers : str
            Default: all of the study.
        driver_configs : sequence of str
            To switch between; default: the two of the first comparison.
        drop : float
            The fall to be shown, relative to the level.
        days, block_h, zone
            Default: several are tried; the zone of this machine. All options are those of the command.

        Returns
        -------
        Choice
            `recommended`, and `tried` with the power of each; empty where no server has two days of rows.

        Raises
        ------
        StudyError, DataError
            If a name, the zone or the hours are none; if no such design can be laid out.

        Examples
        --------
        >>> found = vs.load_study("lab-qemu").design(zone="America/Lima")
        >>> found.recommended.told, found.restarts, found.tried
        ('pairs, 6 d, 6 h', 19, ())
        """
        from virtio_study.design.recommending import recommend

        return recommend(
            self,
            {server: history(self, server, metric) for server in servers or self.servers},
            driver_configs=driver_configs,
            drop=drop,
            law=law,
            days=days,
            block_h=block_h,
            washout_s=washout_s,
            zone=zone,
            no_restart=no_restart,
        )
