"""One server under one driver configuration, described: its boots, their levels, and the level over boots."""

from collections.abc import Iterable, Sequence

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.analysis.evidence import INSTRUMENT_COLUMNS
from virtio_study.analysis.metric_level import MetricLevel, level_of
from virtio_study.analysis.records import Bilingual, Line, Number, Recorded
from virtio_study.analysis.variance import Spread, spread
from virtio_study.cleaning.transients import PeriodSummary, summarise
from virtio_study.recording import Provenance
from virtio_study.study import METRICS, Study

__all__ = ["BootMetric", "BootSummary", "Description", "describe"]


class BootMetric(Recorded):
    """Sustained level of one metric in one boot, in the metric's unit; `start_up_peak` is its most while starting."""

    rows: int
    mean: Number | None
    median: Number | None
    peak: Number | None
    start_up_peak: Number | None


class BootSummary(Recorded):
    """Periods of one boot (`cleaning.transients.PeriodSummary`) and the level of every metric that was measured."""

    replicate: Line
    rows: int
    steady_rows: int
    steady_s: Number
    transient_rows: int
    transient_s: Number
    start_up_range_s: tuple[Number, Number] | None
    excluded_rows: int
    status: str
    long_transient: bool
    reasons: dict[str, int]
    levels: dict[str, BootMetric]


class Description(Recorded):
    """A server under a driver configuration: what it ran on, its boots, and the level of every metric.

    Where recordings disagree on a fact, all answers are joined, so that a mixture is seen.
    """

    label: Bilingual
    devices: dict[str, Line]
    instruments: dict[str, str]
    kind: str | None
    accelerator: str | None
    kernel_module: str | None
    versions: dict[str, Line]
    boots: tuple[BootSummary, ...]
    levels: dict[str, MetricLevel]
    spread: dict[str, Spread | None]

    @property
    def steady_boots(self) -> int:
        """Number of boots with a steady state."""
        return sum(boot.steady_rows > 0 for boot in self.boots)

    def means(self, metric: str) -> list[float]:
        """Sustained level of a metric in every boot that has one."""
        found = [boot.levels[metric].mean for boot in self.boots if metric in boot.levels]
        return [mean for mean in found if mean is not None]


def describe(study: Study, arm: Arm) -> Description:
    """Levels of a server under a driver configuration, boot by boot and over boots."""
    provenances = arm.provenances
    return Description(
        label=Bilingual.model_validate(study.driver_config(arm.driver_config).label),
        devices=_joined(provenances, "devices"),
        instruments=_instruments(arm, study),
        kind=_common(item.kind for item in provenances),
        accelerator=_common(item.accelerator for item in provenances),
        kernel_module=_common(item.kernel_module for item in provenances),
        versions=_joined(provenances, "versions"),
        boots=tuple(_boot(boot, arm, study) for boot in arm.boots),
        levels={metric: level_of(arm, metric, study.confidence) for metric in study.metrics},
        spread={metric: spread(arm, METRICS[metric]) for metric in study.metrics if arm.measured(METRICS[metric])},
    )


def _common(values: Iterable[str | None]) -> str | None:
    """The value that all share, or all of them joined."""
    names = sorted({value for value in values if value is not None})
    return ", ".join(names) or None


def _joined(provenances: Sequence[Provenance], field: str) -> dict[str, str]:
    known: list[dict[str, str]] = [getattr(item, field) for item in provenances]
    return {
        key: _common(item.get(key) for item in known) or "" for key in sorted({key for item in known for key in item})
    }


def _instruments(arm: Arm, study: Study) -> dict[str, str]:
    found = {"cpu": "process_ticks"}
    for metric in study.metrics:
        column = INSTRUMENT_COLUMNS.get(metric)
        if column and column in arm.steady.columns:
            names = sorted(set(arm.steady[column]))
            found[metric] = names[0] if len(names) == 1 else "mixed" if names else "unknown"
    return found


def _boot(boot: Boot, arm: Arm, study: Study) -> BootSummary:
    measured = [metric for metric in study.metrics if arm.measured(METRICS[metric])]
    summary: PeriodSummary = summarise(boot.replicate, boot.rows)
    return BootSummary(**vars(summary), levels={metric: _metric(boot, METRICS[metric]) for metric in measured})


def _metric(boot: Boot, column: str) -> BootMetric:
    level = boot.level(column)
    started = boot.rows.loc[boot.rows["period"] == "transient", column].dropna()
    peak = float(started.max()) if len(started) else None
    if not level.rows:
        return BootMetric(rows=0, mean=None, median=None, peak=None, start_up_peak=peak)
    return BootMetric(rows=level.rows, mean=level.mean, median=level.median, peak=level.peak, start_up_peak=peak)
