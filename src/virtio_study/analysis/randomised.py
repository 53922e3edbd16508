"""What the random draws of a design show of one metric, in the results: test, intervals, cross-checks, carry-over."""

from collections.abc import Callable, Iterator
from typing import Literal

from virtio_study.analysis.arms import Boot
from virtio_study.analysis.draws import Draws
from virtio_study.analysis.evidence import UNITS
from virtio_study.analysis.records import Estimate, Number, Recorded
from virtio_study.errors import DataError
from virtio_study.stats.blocks import Blocks
from virtio_study.stats.effects import difference
from virtio_study.stats.elementary import mean
from virtio_study.stats.interval import Interval
from virtio_study.stats.randomisation import Contrasts, null_distribution
from virtio_study.study import METRICS, Law, Metric, Study

__all__ = ["Randomised", "limits_of", "randomised"]


class DrawnAtEqualLoad(Recorded):
    """The test with each draw's change of a load column taken out, and the relative effect then."""

    column: str
    p: Number
    relative: Estimate | None


class CarryOver(Recorded):
    """Whether a block still shows the one before: `p` of a randomisation test, and the relative difference.

    `halves`: the effect in the first halves of blocks over that in the second. `previous`: the level after a block of
    the configuration after over the level after one of that before, the effect taken out.
    """

    kind: Literal["halves", "previous"]
    draws: int
    p: Number
    relative: Estimate | None


class Randomised(Recorded):
    """Fisher's randomisation test of one metric; see `stats.randomisation`.

    `p` is exact, counted over all 2^draws assignments of the law; no p can be less than `least_p`. `difference` and
    `relative` hold every effect that the test does not contradict; None with too few draws. `cross_check` is Student's
    t on pairs, or Welch's over blocks that were drawn one by one. `observed` is the place of what was seen in
    `distribution`: (share of the greatest rank sum of rises, probability), of scheduled blocks.
    """

    law: Law
    draws: int
    p: Number
    least_p: Number
    difference: Estimate | None
    relative: Estimate | None
    cross_check: Estimate | None
    at_equal_load: tuple[DrawnAtEqualLoad, ...] = ()
    carry_over: tuple[CarryOver, ...] = ()
    observed: Number
    distribution: tuple[tuple[Number, Number], ...] = ()


def randomised(study: Study, server: str, metric: Metric, draws: Draws) -> Randomised | None:
    """The randomisation test of a metric; None where no draw has levels of both sides."""
    unit, column, confidence = UNITS[metric], METRICS[metric], study.confidence

    def level(boot: Boot) -> float:
        return boot.level(column).mean

    try:
        found = draws.contrasts(level)
    except DataError:
        return None
    relative = limits_of(found.relative, confidence)
    most = found.draws * (found.draws + 1) / 2
    return Randomised(
        law=draws.law,
        draws=found.draws,
        p=found.p,
        least_p=found.least_p,
        difference=Estimate.of_any(limits_of(found.difference, confidence), unit),
        relative=Estimate.of_any(relative, "share"),
        cross_check=Estimate.of_any(_cross_check(draws, level, confidence), unit),
        at_equal_load=tuple(_at_equal_load(study, server, draws, found)) if metric == "cpu" else (),
        carry_over=tuple(_carry_over(draws, column, relative, confidence)) if draws.scheduled else (),
        observed=(most + found.rises - found.falls) / (2 * most),
        distribution=null_distribution(found.draws) if draws.scheduled else (),
    )


def limits_of(inverted: Callable[[float], Interval | None], confidence: float) -> Interval | None:
    """The interval of an inverted test; None where there is none."""
    try:
        return inverted(confidence)
    except DataError:
        return None


def _cross_check(draws: Draws, level: Callable[[Boot], float], confidence: float) -> Interval | None:
    before, after = ([level(boot) for boot in side] for side in draws.sides)
    try:
        if draws.law == "pairs":
            return Blocks.of(before, after).difference(confidence)
        return difference(before, after, confidence)
    except DataError:
        return None


def _at_equal_load(study: Study, server: str, draws: Draws, found: Contrasts) -> Iterator[DrawnAtEqualLoad]:
    """For every load column that was measured in every block."""
    boots = [boot for side in draws.sides for boot in side]
    for column in (item.column for item in study.load.get(server, [])):
        if not all(column in boot.rows and boot.level(column).rows for boot in boots):
            continue
        loads = {id(boot): boot.level(column).mean for boot in boots}
        adjusted = found.at_equal_load(draws.contrasts(lambda boot, loads=loads: loads[id(boot)]))  # type: ignore[misc]
        relative = limits_of(adjusted.relative, study.confidence)
        yield DrawnAtEqualLoad(column=column, p=adjusted.p, relative=Estimate.of_any(relative, "share"))


def _carry_over(draws: Draws, column: str, effect: Interval | None, confidence: float) -> Iterator[CarryOver]:
    def level(boot: Boot) -> float:
        return boot.level(column).mean

    def halves(boot: Boot) -> float:
        values = boot.steady[column].dropna().to_numpy(dtype="float64")
        middle = len(values) // 2
        later = mean(values[middle:])
        return mean(values[:middle]) / later if middle and later else float("nan")

    tests: dict[Literal["halves", "previous"], Callable[[], Contrasts]] = {
        "halves": lambda: draws.contrasts(halves),
        "previous": lambda: draws.by_previous(level, 1 + (effect.estimate if effect else 0.0)),
    }
    for kind, test in tests.items():
        try:
            found = test()
        except DataError:
            continue
        relative = limits_of(found.relative, confidence)
        yield CarryOver(kind=kind, draws=found.draws, p=found.p, relative=Estimate.of_any(relative, "share"))
