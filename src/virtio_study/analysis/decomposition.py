"""Which ingredient did it? A whole change taken apart along the driver configurations that lie between its sides."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations

from virtio_study.analysis.arms import Arm, not_steady
from virtio_study.analysis.evidence import INSTRUMENT_COLUMNS, UNITS
from virtio_study.analysis.ingredients import settings_of
from virtio_study.analysis.metric_level import level_of, stretch_of
from virtio_study.analysis.records import Estimate, Line, Recorded, Statement
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Filling, Numbers, Said, said
from virtio_study.pve.ingredients import INGREDIENTS
from virtio_study.stats.effects import difference
from virtio_study.stats.elementary import mean, total
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import mean_change
from virtio_study.stats.series import difference_of_series
from virtio_study.study import METRICS, Comparison, Metric, Study

__all__ = ["Decomposition", "Part", "Step", "decompose"]


class Step(Recorded):
    """The change between two driver configurations that differ in one part of the whole change only."""

    before: Line
    after: Line
    change: Estimate


class Part(Recorded):
    """A part of the whole change: ingredients and settings that changed together, and what they changed.

    `change` is the mean over `steps`, the pairs of configurations that differ in it alone; `interaction` is the last
    step's change less the first's. With `instrument_switch` what makes the figure changed: `change` is not of memory.
    """

    names: tuple[Line, ...]
    change: Estimate
    steps: tuple[Step, ...]
    interaction: Estimate | None = None
    instrument_switch: bool = False


class Decomposition(Statement):
    """A metric's whole change as a sum: `before` + parts + `rest` = `after`, in `unit`.

    `rest` is what the parts do not add up to (None where they do by construction). Without parts, the study has no
    configuration between the sides, and the statement says which contrast is missing.
    """

    unit: str
    before: Estimate | None
    after: Estimate | None
    whole: Estimate | None
    parts: tuple[Part, ...]
    rest: Estimate | None


_Pair = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True)
class _Lattice:
    """Driver configurations between the sides, each as what it has of the whole change, and the steps by part."""

    cells: Mapping[frozenset[str], str]
    steps: Mapping[frozenset[str], Sequence[_Pair]]

    @property
    def whole(self) -> frozenset[str]:
        return max(self.cells, key=len)


def decompose(study: Study, comparison: Comparison, arms: Mapping[str, Arm]) -> dict[str, Decomposition]:
    """The whole change of every metric that was measured on both sides, part by part.

    Parameters
    ----------
    arms : mapping of driver configuration to Arm
        The boots of one server.

    Returns
    -------
    dict of metric to Decomposition
        Where boots were run in randomised blocks (`replicate` names the block), every change is a contrast of the
        block's boots, with Student's t over blocks (Fisher's randomised block design). Else a part has one step, with
        the interval of a difference of its sides.

    Notes
    -----
    A configuration lies between the sides if each of its settings is that of one of them. A step joins two that have no
    other between them; steps with the same settings changed are steps of one part.
    """
    lattice = _lattice(study, comparison, arms)
    return {
        metric: _of_metric(study, metric, lattice, arms)
        for metric in study.metrics
        if all(arms[side].measured(METRICS[metric]) for side in (comparison.before, comparison.after))
    }


def _lattice(study: Study, comparison: Comparison, arms: Mapping[str, Arm]) -> _Lattice:
    settings = {name: settings_of(arms[name], study) for name in study.driver_configs if name in arms}
    first, last = settings[comparison.before], settings[comparison.after]
    apart = {name for name in {*first, *last} if first.get(name) != last.get(name)}
    # a declared setting of many values, such as the guest's command line in `args`, carries others and is none itself
    carriers = {
        name
        for name in apart & set(comparison.with_change)
        if {own.get(name) for own in settings.values()} - {first.get(name), last.get(name)}
    }
    cells: dict[frozenset[str], str] = {}
    for config in (comparison.before, comparison.after, *settings):
        own = settings[config]
        changed = frozenset(name for name in apart - carriers if own.get(name) == last.get(name))
        rest = {*own, *first} - changed - carriers
        if all(own.get(name) == first.get(name) for name in rest):
            cells.setdefault(changed, config)  # another configuration with the same settings is a control, not a cell
    steps: dict[frozenset[str], list[_Pair]] = {}
    for low, high in sorted(_neighbours(list(cells)), key=lambda pair: (len(pair[0]), sorted(pair[0]))):
        steps.setdefault(high - low, []).append((low, high))
    parts = sorted(steps, key=lambda names: min(map(_order, names)))
    return _Lattice(cells, {names: steps[names] for names in parts})


def _neighbours(cells: Sequence[frozenset[str]]) -> Iterator[_Pair]:
    """Pairs of cells of which one has all that the other has, and more, with no third between them."""
    for one, other in combinations(cells, 2):
        low, high = sorted((one, other), key=len)
        if low < high and not any(low < third < high for third in cells):
            yield low, high


def _order(name: str) -> tuple[int, str]:
    """Place of an ingredient or a setting in a report: ingredients first."""
    return (INGREDIENTS.index(name) if name in INGREDIENTS else len(INGREDIENTS), name)


def _of_metric(study: Study, metric: Metric, lattice: _Lattice, arms: Mapping[str, Arm]) -> Decomposition:
    unit = UNITS[metric]
    separable = len(lattice.steps) > 1 and sorted(chain(*lattice.steps)) == sorted(lattice.whole)
    try:
        if not separable:
            raise DataError(_MISSING, names=_named(lattice.whole))
        blocks = _blocks(study, metric, lattice, arms)
        sums = _by_blocks(blocks, lattice, study.confidence) if blocks else _by_steps(study, metric, lattice, arms)
    except DataError as error:
        said_why = Decomposition.said(error.message, error.numbers)
        return Decomposition(unit=unit, before=None, after=None, whole=None, parts=(), rest=None, **said_why)
    parts = tuple(
        Part(
            names=tuple(sorted(names, key=_order)),
            change=Estimate.of(change, unit),
            steps=tuple(
                Step(before=lattice.cells[low], after=lattice.cells[high], change=Estimate.of(step, unit))
                for (low, high), step in zip(lattice.steps[names], sums.steps[names], strict=True)
            ),
            interaction=Estimate.of_any(sums.interactions.get(names), unit),
            instrument_switch=_switches(metric, names, lattice, arms),
        )
        for names, change in sums.parts.items()
    )
    before, after, whole = (Estimate.of(item, unit) for item in (sums.before, sums.after, sums.whole))
    rest = Estimate.of_any(sums.rest, unit)
    statement = Decomposition.said(*_statement(metric, whole, parts, rest))
    return Decomposition(unit=unit, before=before, after=after, whole=whole, parts=parts, rest=rest, **statement)


def _switches(metric: Metric, names: frozenset[str], lattice: _Lattice, arms: Mapping[str, Arm]) -> bool:
    """Whether what makes the metric changes along a part's steps."""
    column = INSTRUMENT_COLUMNS.get(metric)
    if column is None:
        return False
    pairs = [[set(arms[lattice.cells[cell]].steady[column]) for cell in pair] for pair in lattice.steps[names]]
    return any(low != high for low, high in pairs)


@dataclass(frozen=True)
class _Sums:
    """Intervals of a decomposition: of both sides, of every part and its steps, and of what is left over.

    Along one chain of configurations the parts add up, and nothing is.
    """

    before: Interval
    after: Interval
    whole: Interval
    parts: Mapping[frozenset[str], Interval]
    steps: Mapping[frozenset[str], Sequence[Interval]]
    interactions: Mapping[frozenset[str], Interval]
    rest: Interval | None


_Blocks = Mapping[frozenset[str], Mapping[str, float]]
"""Cell -> block -> level of its boot in it; a boot without a steady state is not in it."""


def _blocks(study: Study, metric: Metric, lattice: _Lattice, arms: Mapping[str, Arm]) -> _Blocks | None:
    """Levels by randomised block; None where boots were not run in blocks, or fewer than two blocks are whole."""
    if study.source != "lab":
        return None
    column = METRICS[metric]
    levels = {
        cell: {boot.replicate: boot.level(column).mean for boot in arms[config].steady_boots(column)}
        for cell, config in lattice.cells.items()
    }
    return levels if len(_shared(levels, levels)) > 1 else None


def _shared(blocks: _Blocks, cells: Iterable[frozenset[str]]) -> list[str]:
    """Blocks in which each of some cells has a level."""
    return sorted(set.intersection(*(set(blocks[cell]) for cell in cells)))


def _by_blocks(blocks: _Blocks, lattice: _Lattice, confidence: float) -> _Sums:
    """Every change as a contrast of the boots of a block, with Student's t over the blocks that have all of them.

    A block without one of the boots still tells of the others, so the parts need not be of the same blocks; the rest is
    what their means leave of the whole, with the interval of that contrast in the blocks that are whole.

    References
    ----------
    Montgomery, D. C. (2017). Design and Analysis of Experiments, 9th ed., chapters 4 and 5.
    """

    def changes(pairs: Sequence[_Pair], within: Sequence[str]) -> list[list[float]]:
        return [[blocks[after][block] - blocks[before][block] for before, after in pairs] for block in within]

    def over(pairs: Sequence[_Pair]) -> list[list[float]]:
        return changes(pairs, _shared(blocks, chain(*pairs)))

    ends = (frozenset[str](), lattice.whole)
    parts = {
        names: mean_change([mean(block) for block in over(pairs)], confidence) for names, pairs in lattice.steps.items()
    }
    whole = mean_change([block[0] for block in over([ends])], confidence)
    return _Sums(
        before=mean_change(list(blocks[ends[0]].values()), confidence),
        after=mean_change(list(blocks[ends[1]].values()), confidence),
        whole=whole,
        parts=parts,
        steps={
            names: [mean_change([block[0] for block in over([pair])], confidence) for pair in pairs]
            for names, pairs in lattice.steps.items()
        },
        interactions={
            names: mean_change([block[-1] - block[0] for block in over(pairs)], confidence)
            for names, pairs in lattice.steps.items()
            if len(pairs) > 1
        },
        rest=_rest(blocks, lattice, whole.estimate - total(part.estimate for part in parts.values()), confidence)
        if any(len(pairs) > 1 for pairs in lattice.steps.values())
        else None,
    )


def _rest(blocks: _Blocks, lattice: _Lattice, left: float, confidence: float) -> Interval:
    """What the parts leave of the whole, as wide as that contrast is over the blocks with every cell."""
    contrasts = []
    for block in _shared(blocks, blocks):
        level = {cell: blocks[cell][block] for cell in blocks}
        parts = [mean(level[after] - level[before] for before, after in pairs) for pairs in lattice.steps.values()]
        contrasts.append(level[lattice.whole] - level[frozenset()] - total(parts))
    found = mean_change(contrasts, confidence)
    return replace(found, estimate=left, low=left + found.low - found.estimate, high=left + found.high - found.estimate)


def _by_steps(study: Study, metric: Metric, lattice: _Lattice, arms: Mapping[str, Arm]) -> _Sums:
    """Every change as the difference of its two sides; nothing is left over along one chain of configurations.

    Raises
    ------
    DataError
        If there is more than one way from before to after, which needs boots in randomised blocks; or as
        `stats.series.fit`.
    """
    if any(len(pairs) > 1 for pairs in lattice.steps.values()):
        raise DataError(
            N_("The configurations between the sides are to be recorded in randomised blocks to be told apart.")
        )

    def change(pair: _Pair) -> Interval:
        before, after = (arms[lattice.cells[cell]] for cell in pair)
        return _difference(before, after, metric, study.confidence)

    parts = {names: change(pair) for names, (pair,) in lattice.steps.items()}
    ends = (level_of(arms[lattice.cells[cell]], metric, study.confidence) for cell in (frozenset[str](), lattice.whole))
    before, after = (level.sustained.interval for level in ends if level.sustained)
    whole = change((frozenset(), lattice.whole))
    return _Sums(before, after, whole, parts, {names: [part] for names, part in parts.items()}, {}, None)


def _difference(before: Arm, after: Arm, metric: Metric, confidence: float) -> Interval:
    column = METRICS[metric]
    for arm in (before, after):
        if not arm.levels(column):
            raise not_steady(arm)
    if len(before.steady_boots(column)) == len(after.steady_boots(column)) == 1:
        one, other = (stretch_of(arm.steady_boots(column)[0], metric) for arm in (before, after))
        return difference_of_series(one, other, confidence).interval
    first, second = ([level.mean for level in arm.levels(column)] for arm in (before, after))
    return difference(first, second, confidence)


def _named(names: Sequence[str] | frozenset[str]) -> Said:
    return said("{names:setting}", names=sorted(names, key=_order))


def _statement(
    metric: Metric, whole: Estimate, parts: Sequence[Part], rest: Estimate | None
) -> tuple[list[str], Numbers]:
    scale, unit = (2.0**20, "MiB") if UNITS[metric] == "bytes" else (1.0, "cores")
    told = [
        said(
            _SWITCH if part.instrument_switch else _PART,
            names=part.names,
            change=part.change.estimate,
            low=part.change.low,
            high=part.change.high,
            scale=scale,
            unit=unit,
        )
        for part in parts
    ]
    together = [_named(part.names) for part in parts if len(part.names) > 1]
    numbers: dict[str, Filling] = {
        "metric": metric,
        "whole": whole.estimate,
        "parts": told,
        "scale": scale,
        "unit": unit,
    }
    messages = [_SUM]
    if rest is not None:
        numbers |= {"rest": rest.estimate, "low": rest.low, "high": rest.high}
        messages.append(_REST)
    if together:
        numbers["together"] = together
        messages.append(_TOGETHER)
    return messages, numbers


_SUM = N_("{metric:metric}: the whole change is {whole:quantity}. Of it, by part: {parts}.")
_PART = N_("{names:setting}: {change:quantity} ({low:quantity} to {high:quantity})")
_SWITCH = N_(
    "{names:setting}: {change:quantity} ({low:quantity} to {high:quantity}), a change of what makes the figure and not "
    "of memory"
)
_REST = N_("What these do not add up to is {rest:quantity} ({low:quantity} to {high:quantity}).")
_TOGETHER = N_("These cannot be told apart, because no configuration has one without the other: {together}.")
_MISSING = N_(
    "No driver configuration lies between the sides, so these cannot be told apart: {names}. Record one that has some "
    "of them."
)
