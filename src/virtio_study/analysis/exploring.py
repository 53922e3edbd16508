"""One effect under other choices: other rows, another statistic, another interval; and which check a choice breaks.

Nothing is estimated here: the ways to calculate are those of the sensitivity table (`multiverse`), the checks those of
the comparison, on the rows that a choice leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from virtio_study.analysis.arms import Arm, Boot
from virtio_study.analysis.comparison import ServerComparison, checks_of, load_of, sides_of
from virtio_study.analysis.effects import Effect, restarts_of
from virtio_study.analysis.evidence import Surroundings, surroundings_of
from virtio_study.analysis.load import LoadComparison
from virtio_study.analysis.multiverse import START_UPS, Specification, ways
from virtio_study.analysis.scheduled import assigned_arms
from virtio_study.analysis.validity import Check
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.stats.stretch import Statistic
from virtio_study.study import METRICS, Metric, Study

__all__ = ["WHOLE", "Choices", "Explorable", "Explored", "Window"]

Window = tuple[float, float]
"""Seconds since the start of a recording: rows count that end after the first and not after the second."""

WHOLE: Window = (0.0, float("inf"))
WORSE = {"pass": 0, "not_assessable": 1, "warn": 2, "fail": 3}


@dataclass(frozen=True)
class Choices:
    """Which rows of both sides, and which way to calculate; the defaults are the study's own.

    `daily_cycle` and `method` count where there are several; None is that of the study's own answer.
    """

    start_up: str = START_UPS[0]
    windows: tuple[Window, Window] = (WHOLE, WHOLE)
    statistic: Statistic = "mean"
    rows_averaged: int = 1
    daily_cycle: str | None = None
    method: str | None = None


@dataclass(frozen=True)
class Explored:
    """What comes out under a choice.

    `way` is None where none can be had, and `why` then says it. `ways` are all that the same rows allow; `agrees` says
    whether the conclusion is that of the study.
    """

    way: Specification | None
    why: Said | None = None
    ways: tuple[Specification, ...] = ()
    agrees: bool | None = None


@dataclass(frozen=True)
class _Rows:
    """Both sides as a choice leaves them, and what is the same for every metric."""

    arms: tuple[Arm, Arm]
    around: tuple[Surroundings, Surroundings]
    load: tuple[LoadComparison, ...]


@dataclass(frozen=True, eq=False)
class Explorable:
    """A server whose effects can be calculated anew.

    Parameters
    ----------
    recorded : mapping of driver configuration to Arm
        The boots of the server.
    compared : mapping
        The comparisons of the server, as the study has them.
    """

    study: Study
    server: str
    recorded: Mapping[str, Arm]
    compared: Mapping[str, ServerComparison]

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """The boots, or the blocks of the schedule, by driver configuration."""
        return dict(assigned_arms(self.study, self.server, self.recorded))

    def sides(self, comparison: str) -> tuple[Arm, Arm]:
        """Both arms of a comparison, with all of their rows."""
        found = self.study.comparison(comparison)
        return self.arms[found.before], self.arms[found.after]

    def longest_s(self, comparison: str) -> tuple[float, float]:
        """Seconds of the longest recording of each side."""
        before, after = (
            max(float(boot.ends_s[-1] - boot.start_s) for boot in arm.boots) for arm in self.sides(comparison)
        )
        return before, after

    def chosen(self, comparison: str, choice: Choices) -> tuple[Arm, Arm]:
        """Both arms of a comparison, with those rows steady that a choice takes."""
        return self._arms(comparison, choice.start_up, choice.windows)

    def answer(self, comparison: str, metric: Metric, choice: Choices) -> Explored:
        """The effect of a comparison on a metric under a choice."""
        main = self.compared[comparison].effects[metric]
        if main.status == "instrument_switch":
            return Explored(None, said(_REFUSED))
        study, arms = self.study, self.chosen(comparison, choice)
        column = METRICS[metric]
        if not all(arm.measured(column) for arm in arms):
            return Explored(None, main.phrase)
        # the rule for the start-up is in the rows already
        known = tuple(ways(arms, column, study.confidence, study.daily_cycle, START_UPS[0], choice.rows_averaged))
        way = _chosen(known, choice, main)
        if way is None:
            return Explored(None, said(_NO_WAY))
        return Explored(way, None, known, _same_conclusion(way, main))

    def broken(self, comparison: str, metric: Metric, choice: Choices) -> tuple[Check, ...]:
        """Checks that come out worse under a choice than under the study's own."""
        usual = {check.name: check.status for check in self._judged(comparison, metric, Choices())}
        return tuple(
            check
            for check in self._judged(comparison, metric, choice)
            if check.name in usual and WORSE[check.status] > WORSE[usual[check.name]]
        )

    def _judged(self, comparison: str, metric: Metric, choice: Choices) -> list[Check]:
        rows = self._rows(comparison, choice.start_up, choice.windows)
        restarts = len(restarts_of(self.arms.values(), metric))
        try:
            sides = sides_of(*rows.arms, self.study, metric, rows.around, restarts)
        except DataError:  # the answer says it
            return []
        return checks_of(self.study, self.study.comparison(comparison), sides, rows.load)

    @lru_cache(maxsize=8)  # noqa: B019 - of one explorer, which lives as long as its study is looked at
    def _rows(self, comparison: str, start_up: str, windows: tuple[Window, Window]) -> _Rows:
        before, after = self._arms(comparison, start_up, windows)
        around = surroundings_of(before, self.study), surroundings_of(after, self.study)
        return _Rows((before, after), around, load_of(self.study, before, after))

    @lru_cache(maxsize=8)  # noqa: B019 - as above
    def _arms(self, comparison: str, start_up: str, windows: tuple[Window, Window]) -> tuple[Arm, Arm]:
        before, after = self.sides(comparison)
        return _under(before, start_up, windows[0]), _under(after, start_up, windows[1])


def _under(arm: Arm, start_up: str, window: Window) -> Arm:
    """An arm whose rows are steady where a choice takes them; rows that were left out stay so."""
    if start_up == START_UPS[0] and window == WHOLE:
        return arm
    boots = tuple(_boot_under(boot, start_up, window) for boot in arm.boots)
    return Arm(arm.server, arm.driver_config, boots, arm.provenances)


def _boot_under(boot: Boot, start_up: str, window: Window) -> Boot:
    since = boot.ends_s - boot.start_s
    rows = boot.rows
    period = rows["period"].to_numpy(dtype=object).copy()
    outside = (since <= window[0]) | (since > window[1])
    inside = np.flatnonzero((period != "excluded") & ~outside)
    if start_up != START_UPS[0]:
        cut = len(inside) // 4 if start_up == "first quarter" else 0
        period[inside[:cut]], period[inside[cut:]] = "transient", "steady"
    period[outside] = "excluded"
    reason = rows["reason"].to_numpy(dtype=object).copy()
    reason[outside], reason[period == "steady"] = "outside the window", ""
    return Boot(boot.replicate, rows.assign(period=period, reason=reason))


def _chosen(found: tuple[Specification, ...], choice: Choices, main: Effect) -> Specification | None:
    """The way of a choice; where it names no interval, or one that is not to be had, that nearest to the study."""
    of_statistic = [way for way in found if way.statistic == choice.statistic]
    of_cycle = [way for way in of_statistic if way.daily_cycle == choice.daily_cycle] or of_statistic
    named = [way for way in of_cycle if way.method == choice.method]
    own = main.difference.estimate if main.difference else 0.0
    return min(named or of_cycle, key=lambda way: abs(way.estimate - own), default=None)


def _same_conclusion(way: Specification, main: Effect) -> bool | None:
    if way.low is None or way.high is None or main.difference is None:
        return None
    return _sign(way.low, way.high) == _sign(main.difference.low, main.difference.high)


def _sign(low: float, high: float) -> int:
    return 1 if low > 0 else -1 if high < 0 else 0


_REFUSED = N_("Both sides were measured by different instruments: no choice of rows makes their difference an effect.")
_NO_WAY = N_("These rows are too few for this way to calculate; choose more of them, or another way.")
