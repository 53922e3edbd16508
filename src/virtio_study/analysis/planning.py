"""How much a study needs, planned from a pilot: boots or days a side for a fall of the level."""

from typing import Literal

from virtio_study.analysis.arms import Arm
from virtio_study.analysis.records import Number, Recorded
from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.planning import enough, plan_boots, plan_days
from virtio_study.study import METRICS

__all__ = ["Planned", "PlannedAmount", "planned"]

BOOTS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
DAYS = (3, 5, 7, 10, 14, 21, 28)
"""Amounts a side that are looked at."""


class PlannedAmount(Recorded):
    """What a number of boots or days a side would show; see `stats.planning.Plan`."""

    amount: int
    half_width: Number
    relative_half_width: Number
    power: Number
    detectable: Number


class Planned(Recorded):
    """The plans for one server and metric; `enough` is the least amount with a power of 80 %, None if none is."""

    server: str
    driver_config: str
    metric: str
    unit: Literal["boots", "days"]
    drop: Number
    confidence: Number
    plans: tuple[PlannedAmount, ...]
    enough: int | None


def planned(pilot: Arm, metric: str, drop: float, confidence: float) -> Planned:
    """Plans from a pilot's boots, or from its one recording.

    Parameters
    ----------
    drop : float
        Relative fall of the level that is to be shown, such as 0.3.

    Raises
    ------
    StudyError
        If there is no such metric, or it was not measured or never steady.
    """
    columns: dict[str, str] = {**METRICS}
    if metric not in columns:
        raise StudyError(
            N_("--metric is {metric!r}; expected one of {metrics}"), metric=metric, metrics=", ".join(columns)
        )
    levels = pilot.levels(columns[metric])
    if not levels:
        raise StudyError(
            N_(
                "{server} under {config:configuration}: {metric:metric} was not measured or never steady; choose "
                "another --metric"
            ),
            server=pilot.server,
            config=pilot.driver_config,
            metric=metric,
        )
    if len(levels) > 1:
        plans = plan_boots([level.mean for level in levels], BOOTS, drop, confidence)
    else:
        (boot,) = pilot.steady_boots(columns[metric])
        name = said(
            N_("{server} under {config:configuration}, {metric:metric}"),
            server=pilot.server,
            config=pilot.driver_config,
            metric=metric,
        )
        plans = plan_days(boot.stretch(columns[metric], name), DAYS, drop, confidence)
    chosen = enough(plans)
    return Planned(
        server=pilot.server,
        driver_config=pilot.driver_config,
        metric=metric,
        unit="boots" if len(levels) > 1 else "days",
        drop=drop,
        confidence=confidence,
        plans=tuple(PlannedAmount.model_validate(item) for item in plans),
        enough=chosen.amount if chosen else None,
    )
