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


class Shown(Recorded):
    """Share of pairs in which a fall is shown: received, robust, by the estimator alone, and by a rival.

    The rival is HAC's interval, stretched until it has as many false alarms in the same pairs.
    """

    received: Number | None
    robust: Number | None
    estimator: Number | None
    rival: Number | None


class Received(Recorded):
    """What a user receives on recordings of real servers that nobody touched, and with falls put into them.

    `alarms`: share of answered pairs whose interval, bound, or both exclude zero. `short`: share of pairs of which a
    side has rows for less than the whole days that it takes. `power` is by the share that the level was made to fall
    by, over `fallen` of the others; a refused pair shows nothing.
    """

    month: str
    metric: str
    days: Number
    pairs: int
    refused: Number
    short: Number
    alarms: dict[str, Number | None]
    estimator_alarms: Number | None
    fallen: int
    power: dict[str, Shown]


class ReceivedSimulated(Recorded):
    """What a user receives of a simulated cell in which nothing changed: `alarms` as in `Received`."""

    kind: str
    process: str | None
    phi: Number | None
    rows: int
    daily: bool
    answers: int
    refused: Number
    alarms: dict[str, Number | None]


class Gap(Recorded):
    """False alarms on the same servers where rows were taken away: share of the pairs that are answered."""

    gap: str
    metric: str
    days: Number
    pairs: int
    refused: Number
    alarms: Number | None


class Loaded(Recorded):
    """Answers about the load of untouched servers, and the CPU's plain interval beside that at equal load.

    `alarms` without a change, `power` with a fall of 30 % after.
    """

    days: Number
    pairs: int
    same: Number
    different: Number
    not_shown: Number
    plain_alarms: Number | None
    equal_alarms: Number | None
    plain_power: Number | None
    equal_power: Number | None


class SwitchedTraces(Recorded):
    """A switchback on untouched servers: share of studies that show a change, without one first, then with falls.

    `ranks` is the randomisation test, `logs` that of log ratios, `students` Student's t on pairs (Welch's on single
    draws).
    """

    month: str
    law: str
    days: int
    block_h: int
    studies: int
    ranks: tuple[Number, ...]
    logs: tuple[Number, ...]
    students: tuple[Number, ...]


class SwitchedProcess(Recorded):
    """The randomisation test on simulated series of one process: false alarms by law, coverage of two effects."""

    process: str
    series: int
    pairs: Number
    bojinov: Number
    relative: Number
    added: Number


class SwitchedReceived(Recorded):
    """What a user of a switchback receives on untouched servers; `shown` by the share that the level fell by."""

    law: str
    days: int
    block_h: int
    metric: str
    studies: int
    refused: Number
    alarms: Number
    shown: dict[str, Number]
    draws: Number


class SwitchbackCalibration(Recorded):
    """The benchmark's tables of switchbacks (`benchmarks/switching.py`).

    `chosen_on` are the servers of the month on which the statistic of pairs was chosen.
    """

    traces: tuple[SwitchedTraces, ...]
    chosen_on: tuple[SwitchedTraces, ...]
    simulated: tuple[SwitchedProcess, ...]
    received: tuple[SwitchedReceived, ...]


class Calibration(Recorded):
    """The benchmark's tables."""

    confidence: Number
    cells: tuple[Cell, ...]
    other: tuple[Other, ...]
    placebo: tuple[Placebo, ...]
    received: tuple[Received, ...] = ()
    received_simulated: tuple[ReceivedSimulated, ...] = ()
    gaps: tuple[Gap, ...] = ()
    load: tuple[Loaded, ...] = ()
    switchback: SwitchbackCalibration | None = None


def calibration() -> Calibration:
    """What `benchmarks/coverage.py` measured last; it is shipped with the package."""
    return Calibration.model_validate_json(
        resources.files("virtio_study.stats").joinpath("calibration.json").read_text()
    )
