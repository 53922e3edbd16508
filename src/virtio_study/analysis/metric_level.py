"""The level of a metric on one side: over boots, or within one recording."""

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.analysis.evidence import UNITS
from virtio_study.analysis.records import Estimate, Phrase, Recorded
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.stats.levels import level_over_boots
from virtio_study.stats.series import level_of_series
from virtio_study.stats.stretch import Statistic, Stretch
from virtio_study.study import METRICS, Metric

__all__ = ["MetricLevel", "level_of", "stretch_of"]


class MetricLevel(Recorded):
    """Sustained level, median and peak of a metric, over boots or within one recording; `note`: why there is none."""

    unit: str
    sustained: Estimate | None = None
    median: Estimate | None = None
    peak: Estimate | None = None
    note: Phrase | None = None


def level_of(arm: Arm, metric: Metric, confidence: float) -> MetricLevel:
    """Sustained level, median and peak of a metric: over boots where there are two or more, else in the recording."""
    unit, levels = UNITS[metric], arm.levels(METRICS[metric])
    if not levels:
        return MetricLevel(unit=unit, note=Phrase.of(said(N_("not measured"))))
    try:
        if len(levels) == 1:
            side = _stretch(arm, metric)
            found = [level_of_series(side, confidence, name) for name in ("mean", "median", "peak")]
        else:
            found = [level_over_boots([getattr(item, name) for item in levels], confidence) for name in _STATISTICS]
    except DataError as error:
        return MetricLevel(unit=unit, note=Phrase.of(error))
    sustained, median, peak = (Estimate.of(interval, unit) for interval in found)
    return MetricLevel(unit=unit, sustained=sustained, median=median, peak=peak)


_STATISTICS: tuple[Statistic, ...] = ("mean", "median", "peak")


def _stretch(arm: Arm, metric: Metric) -> Stretch:
    (boot,) = arm.steady_boots(METRICS[metric])
    return stretch_of(boot, metric)


def stretch_of(boot: Boot, metric: Metric) -> Stretch:
    """Steady rows of a metric in a boot; errors as `arms.Boot.stretch`."""
    return boot.stretch(METRICS[metric], said("{metric:metric}", metric=metric))
