"""The recordings of a server under a driver configuration, gathered into one table, and what forbids that."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.recording import Provenance, Recording, boots_of, recordings, share_time
from virtio_study.study import Study

__all__ = ["gathered", "recordings_of"]


def recordings_of(study: Study, server: str, driver_config: str) -> list[Recording]:
    """Every recording of a server under a driver configuration.

    Raises
    ------
    DataError
        If one is of another server or configuration.
    """
    found = [*recordings(study.folder, server, driver_config)]
    for item in found:
        of = item.provenance
        if (of.server, of.driver_config) != (server, driver_config):
            raise DataError(
                N_("{path}: recorded for {server} under {driver_config:configuration}; wrong folder"),
                path=item.path,
                server=of.server,
                driver_config=of.driver_config,
            )
    return found


def gathered(server: str, driver_config: str, found: Sequence[Recording]) -> tuple[pd.DataFrame, list[Provenance]]:
    """Rows of all recordings with their `replicate`, in order of boot and time, and the provenance of each.

    Raises
    ------
    DataError
        If two have the same replicate, or hold the same time.
    """
    names = [item.provenance.replicate for item in found]
    if len(set(names)) != len(names):
        raise DataError(
            N_("{server} under {driver_config:configuration}: two recordings have the same replicate; names: {names}"),
            server=server,
            driver_config=driver_config,
            names=", ".join(names),
        )
    _refuse_overlap(server, driver_config, found)
    boots = boots_of(found)
    rows = pd.concat([item.frame.assign(replicate=boots[name]) for name, item in zip(names, found, strict=True)])
    known = [item.provenance.model_copy(update={"replicate": boots[item.provenance.replicate]}) for item in found]
    return rows.sort_values(["replicate", "time"], ignore_index=True), known


def _refuse_overlap(server: str, driver_config: str, found: Sequence[Recording]) -> None:
    """`DataError` if two recordings share more than a row's time: one boot would count as two replicates."""
    for before, after in pairwise(sorted(found, key=lambda item: item.frame["time"].iloc[0])):
        if share_time(before.frame, after.frame):
            raise DataError(
                N_(
                    "{server} under {driver_config:configuration}: recordings {first} and {second} hold the same time, "
                    "and would count as two replicates; record the study anew from one source"
                ),
                server=server,
                driver_config=driver_config,
                first=before.provenance.replicate,
                second=after.provenance.replicate,
            )
