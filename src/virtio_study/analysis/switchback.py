"""A switchback in the results: every block as it was planned and as it was, and what its servers show together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import pandas as pd

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.analysis.randomised import limits_of
from virtio_study.analysis.records import Estimate, Line, Moment, Number, Recorded, Statement
from virtio_study.analysis.scheduled import FEWEST_SHARE, BlockRows, block_rows, schedule_of
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Filling, Said, said
from virtio_study.stats.elementary import total
from virtio_study.stats.randomisation import Contrasts, joined, of_pairs, of_turns
from virtio_study.study import METRICS, Law, Study

__all__ = ["ScheduledBlock", "Switchback", "Together", "blocks_of_server", "switchback"]

Adherence = Literal["followed", "late", "early", "missed", "doubtful", "interrupted", "nothing"]

MOST_STEPS_LATE = 2
"""A switch is late if it comes later than the wash-out and than so many rows after the block's start."""


class ScheduledBlock(Statement):
    """One block of the schedule, and what was found in it; its sentence says how the plan was kept.

    `received` was in force for the most of it after the wash-out; None if nothing was recorded. `switched_s` is when
    the assigned configuration was first seen in force. `left_out` are seconds by reason, those without any row under
    `not recorded`. `counted`: enough of it is steady. `levels` are of its steady rows as assigned, by metric.
    """

    number: int
    pair: int | None
    start_s: Moment
    end_s: Moment
    assigned: str
    received: str | None
    status: Adherence
    switched_s: Moment | None
    steady_s: Number
    left_out: dict[Line, Number]
    counted: bool
    levels: dict[str, Number]


class Together(Recorded):
    """The same change on several servers, each with a randomisation of its own, in one exact test.

    Of servers that switched in the same order at the same times one alone is counted.
    """

    comparison: str
    metric: str
    servers: tuple[str, ...]
    draws: int
    p: Number
    relative: Estimate | None


class Switchback(Recorded):
    """The schedule's law and its blocks by server, and what the servers show together."""

    law: Law
    seed: int
    washout_s: Number
    zone: str
    servers: dict[str, tuple[ScheduledBlock, ...]]
    together: tuple[Together, ...]


def blocks_of_server(study: Study, server: str, arms: Mapping[str, Arm]) -> tuple[ScheduledBlock, ...]:
    """What was planned for a server, block by block, beside what was recorded; none if it has no schedule.

    Parameters
    ----------
    arms : mapping of driver configuration to Arm
        All that was recorded of the server.
    """
    found: list[ScheduledBlock] = []
    for item in block_rows(study, server, arms):
        found.append(_block(study, item, found[-1].received if found else None))
    return tuple(found)


def switchback(study: Study, blocks: Mapping[str, Sequence[ScheduledBlock]]) -> Switchback | None:
    """The switchback of a study; None if it has no schedule."""
    schedule = study.schedule
    if schedule is None:
        return None
    return Switchback(
        law=schedule.law,
        seed=schedule.seed,
        washout_s=schedule.washout_s,
        zone=schedule.zone,
        servers={server: tuple(items) for server, items in blocks.items() if items},
        together=tuple(_together(study, blocks)),
    )


def _together(study: Study, blocks: Mapping[str, Sequence[ScheduledBlock]]) -> Iterator[Together]:
    # servers that switched in the same order share one draw, which counts once
    orders: dict[tuple[tuple[float, str], ...], str] = {}
    for server, items in blocks.items():
        orders.setdefault(tuple((item.start_s, item.assigned) for item in items), server)
    blocks = {server: blocks[server] for server in orders.values()}
    for name, comparison in study.comparisons.items():
        for metric in study.metrics:
            parts = {
                server: part
                for server, items in blocks.items()
                if (part := _contrasts(study, server, items, (comparison.before, comparison.after), metric))
            }
            if len(parts) > 1:
                found = joined(list(parts.values()))
                relative = Estimate.of_any(limits_of(found.relative, study.confidence), "share")
                servers = tuple(parts)
                yield Together(
                    comparison=name, metric=metric, servers=servers, draws=found.draws, p=found.p, relative=relative
                )


def _contrasts(
    study: Study, server: str, blocks: Sequence[ScheduledBlock], sides: tuple[str, str], metric: str
) -> Contrasts | None:
    schedule = schedule_of(study, server)
    own = [item for item in blocks if item.assigned in sides and item.counted and metric in item.levels]
    try:
        if schedule is None or {item.assigned for item in own} != set(sides):
            return None
        if schedule.law == "bojinov":
            return of_turns([item.levels[metric] for item in own], [item.assigned == sides[1] for item in own])
        first, second = ({item.pair: item.levels[metric] for item in own if item.assigned == side} for side in sides)
        both = [pair for pair in first if pair in second]
        return of_pairs([first[pair] for pair in both], [second[pair] for pair in both])
    except DataError:
        return None


def _block(study: Study, item: BlockRows, previous: str | None) -> ScheduledBlock:
    rows, block = item.rows, item.block
    boot, start_s = Boot(item.name, rows), block.start.timestamp()
    own = [begin for config, begin, _ in item.in_force if config == block.driver_config]
    left_out = {str(reason): total(part["step_s"]) for reason, part in _excluded(boot).groupby("reason", sort=True)}
    lacking = item.length_s - total(rows["step_s"])
    step_s = float(rows["step_s"].median()) if len(rows) else 0.0
    if lacking > MOST_STEPS_LATE * step_s:
        left_out["not recorded"] = lacking
    levels: dict[str, float] = {
        metric: boot.level(METRICS[metric]).mean
        for metric in study.metrics
        if METRICS[metric] in rows and boot.level(METRICS[metric]).rows
    }
    counted = item.counts(rows)
    status, sentences = _adherence(item, previous, step_s)
    if left_out and status != "nothing":
        sentences.append(_LEFT_OUT)
    if not counted:
        sentences.append(_NOT_COUNTED)
    return ScheduledBlock(
        number=item.number,
        pair=block.pair,
        start_s=start_s,
        end_s=block.end.timestamp(),
        assigned=block.driver_config,
        received=item.received,
        status=status,
        switched_s=start_s + max(own[0], 0.0) if own else None,
        steady_s=total(boot.steady["step_s"]),
        left_out=left_out,
        counted=counted,
        levels=levels,
        **Statement.said(sentences, {**_numbers(item), "left_out": [*map(_stretch, left_out.items())]}),
    )


def _excluded(boot: Boot) -> pd.DataFrame:
    return boot.rows[boot.rows["period"] == "excluded"]


def _stretch(left_out: tuple[str, float]) -> Said:
    reason, seconds = left_out
    return said(N_("{reason:reason} {minutes:.0f} min"), reason=reason, minutes=seconds / 60)


def _numbers(item: BlockRows) -> dict[str, Filling]:
    assigned, forces = item.block.driver_config, item.in_force
    own = [(begin, end) for config, begin, end in forces if config == assigned]
    others = [config for config, *_ in forces if config != assigned]
    return {
        "assigned": assigned,
        "other": list(dict.fromkeys(others)),
        "late": own[0][0] / 60 if own else None,
        "early": (item.length_s - own[-1][1]) / 60 if own else None,
        "recorded": total(item.rows["step_s"]) / 60,
        "length": item.length_s / 60,
    }


def _adherence(item: BlockRows, previous: str | None, step_s: float) -> tuple[Adherence, list[str]]:
    """How a block kept to the schedule, and the sentences that say it."""
    assigned, forces = item.block.driver_config, item.in_force
    own = [(begin, end) for config, begin, end in forces if config == assigned]
    slack = max(item.washout_s, MOST_STEPS_LATE * step_s)
    if not forces:
        return "nothing", [_NOTHING]
    if not own:
        return "missed", [_MISSED]
    if forces[0][0] != assigned and own[0][0] > slack:
        return "late", [_LATE]
    if forces[-1][0] != assigned and item.length_s - own[-1][1] > slack:
        return "early", [_EARLY]
    if previous not in (None, assigned) and _ran_on(item, slack):
        return "doubtful", [_DOUBTFUL]
    if total(item.rows["step_s"]) < FEWEST_SHARE * item.length_s:
        return "interrupted", [_INTERRUPTED]
    return "followed", [_FOLLOWED]


def _ran_on(item: BlockRows, slack: float) -> bool:
    """Whether the server had been running for longer than the block, by the first uptime that is told in it."""
    known = item.rows.dropna(subset="uptime_s") if "uptime_s" in item.rows else item.rows[:0]
    if known.empty:
        return False
    started_s = known["time"].iloc[0].timestamp() - float(known["uptime_s"].iloc[0])
    return bool(started_s < item.block.start.timestamp() - slack)


_FOLLOWED = N_("{assigned:configuration} was in force as planned.")
_LATE = N_("{assigned:configuration} came {late:.0f} min late; until then {other:configuration} stayed in force.")
_EARLY = N_("{assigned:configuration} ended {early:.0f} min early; then {other:configuration} was in force.")
_MISSED = N_("{assigned:configuration} was due, but {other:configuration} stayed in force: the switch did not happen.")
_DOUBTFUL = N_("{assigned:configuration} was due, but no restart was seen; what was in force is not certain.")
_INTERRUPTED = N_(
    "Only {recorded:.0f} of {length:.0f} min were recorded: the server or its host was off, or nothing measured."
)
_NOTHING = N_("Nothing was recorded: the server or its host was off, or nothing measured.")
_LEFT_OUT = N_("Left out: {left_out}.")
_NOT_COUNTED = N_("The block does not count, nor does its draw.")
