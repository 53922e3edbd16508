"""The boots of both sides whose configuration was drawn at random: by a switchback schedule, or in a lab's blocks."""

from collections.abc import Callable
from dataclasses import dataclass

from virtio_study.analysis.arms import Arm, Boot, blocks_of, named_alike
from virtio_study.analysis.scheduled import schedule_of
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.randomisation import Contrasts, of_pairs, of_turns
from virtio_study.study import Law, Schedule, Study

__all__ = ["Draws", "draws_of"]


@dataclass(frozen=True, eq=False)
class Draws:
    """Boots of two sides by draw, in order of time.

    Under `pairs` two boots a draw, the first before and the second after. Under `bojinov` `turns` has each boot and
    whether it is one after. `previous` says of each draw whether the block before its first one had the configuration
    after; None where it had neither, or there is none.
    """

    law: Law
    pairs: tuple[tuple[Boot, Boot], ...] = ()
    turns: tuple[tuple[Boot, bool], ...] = ()
    previous: tuple[bool | None, ...] = ()
    scheduled: bool = False

    @property
    def sides(self) -> tuple[list[Boot], list[Boot]]:
        """Boots before and after."""
        if self.law == "pairs":
            return [pair[0] for pair in self.pairs], [pair[1] for pair in self.pairs]
        return [boot for boot, after in self.turns if not after], [boot for boot, after in self.turns if after]

    def contrasts(self, level: Callable[[Boot], float]) -> Contrasts:
        """The change of a level in each draw.

        Raises
        ------
        DataError
            Without a draw that has blocks of both sides, or with a level that is not finite.
        """
        before, after = ([level(boot) for boot in side] for side in self.sides)
        if not before or not after:
            raise DataError(N_("no draw of the schedule has blocks of both configurations with enough rows"))
        if self.law == "pairs":
            return of_pairs(before, after)
        return of_turns([level(boot) for boot, _ in self.turns], [after for _, after in self.turns])

    def by_previous(self, level: Callable[[Boot], float], ratio: float) -> Contrasts:
        """The levels without the effect, sorted by the configuration of the block before: what a carry-over leaves.

        Parameters
        ----------
        ratio : float
            Level after over level before, which is taken out.

        Raises
        ------
        DataError
            As `contrasts`.
        """
        if self.law == "pairs":
            sorted_levels: tuple[list[float], list[float]] = [], []
            for (one, other), late in zip(self.pairs, self.previous, strict=True):
                if late is not None:
                    own = {id(one): level(one), id(other): level(other) / ratio}
                    first, second = sorted((one, other), key=lambda boot: boot.start_s)
                    sorted_levels[late].append(own[id(first)])
                    sorted_levels[not late].append(own[id(second)])
            return of_pairs(*sorted_levels)
        known = [(*turn, late) for turn, late in zip(self.turns, self.previous, strict=True) if late is not None]
        freed = [level(boot) / (ratio if after else 1.0) for boot, after, _ in known]
        return of_turns(freed, [late for *_, late in known])


def draws_of(study: Study, before: Arm, after: Arm, column: str) -> Draws | None:
    """The draws of a comparison; None where its boots were not assigned at random.

    Parameters
    ----------
    before, after : Arm
        Where the study has a schedule for the server, cut at it; see `scheduled.assigned_arms`.
    """
    schedule = schedule_of(study, before.server)
    sides = before.driver_config, after.driver_config
    if schedule and set(sides) <= set(schedule.configurations(before.server)):
        return _of_schedule(schedule, before, after, column)
    if study.source != "lab":
        return None
    pairs = blocks_of(before, after, column)
    return Draws("pairs", pairs, previous=(None,) * len(pairs)) if pairs else None


def _of_schedule(schedule: Schedule, before: Arm, after: Arm, column: str) -> Draws:
    blocks = schedule.blocks[before.server]
    starts = [block.start.timestamp() for block in blocks]
    sides = before.driver_config, after.driver_config

    def previous(boot: Boot) -> bool | None:
        place = sum(start <= float(boot.ends_s[0]) for start in starts) - 2
        config = blocks[place].driver_config if place >= 0 else ""
        return sides.index(config) == 1 if config in sides else None

    if schedule.law == "pairs":
        pairs = named_alike(before, after, column)
        firsts = [min(pair, key=lambda boot: boot.start_s) for pair in pairs]
        return Draws("pairs", tuple(pairs), previous=tuple(map(previous, firsts)), scheduled=True)
    each = [(boot, side is after) for side in (before, after) for boot in side.steady_boots(column)]
    turns = sorted(each, key=lambda turn: turn[0].start_s)
    return Draws("bojinov", (), tuple(turns), tuple(previous(boot) for boot, _ in turns), scheduled=True)
