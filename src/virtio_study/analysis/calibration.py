"""How often the intervals are right: what the benchmark of coverage measured, as the report quotes it."""

from importlib import resources

from virtio_study.analysis.records import Number, Recorded

__all__ = ["Calibration", "calibration"]


class Cell(Recorded):
    """Coverage on simulated series of one kind: share of intervals, by method, that cover zero."""

    kind: str
    process: str | None
    daily: bool
    phi: Number | None
    rows: int
    series: int
    refused: Number
    covered: dict[str, Number | None]
    covered_if_not_refused: Number | None
    width_of_reml: Number | None


class Other(Recorded):
    """Coverage of the same interval for other statistics."""

    phi: Number
    rows: int
    series: int
    covered: dict[str, Number | None]


class Placebo(Recorded):
    """False alarms on recordings of real servers that nobody touched: share of comparisons, by method."""

    month: str
    metric: str
    days: Number
    compared: int
    refused: Number
    alarms: dict[str, Number | None]
    relative_half_width: Number | None
    widening: Number | None


class Calibration(Recorded):
    """The benchmark's tables."""

    confidence: Number
    cells: tuple[Cell, ...]
    other: tuple[Other, ...]
    placebo: tuple[Placebo, ...]


def calibration() -> Calibration:
    """What `benchmarks/coverage.py` measured last; it is shipped with the package."""
    return Calibration.model_validate_json(
        resources.files("virtio_study.stats").joinpath("calibration.json").read_text()
    )
