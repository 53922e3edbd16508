"""The boots of a server under one driver configuration, as one object that checks and estimators take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from virtio_study.cleaning.left_out import edges
from virtio_study.cleaning.transients import LONGEST_START_UP_S
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said
from virtio_study.recording import Provenance
from virtio_study.stats.blocks import FEWEST_BLOCKS
from virtio_study.stats.levels import Level, level
from virtio_study.stats.stretch import Array, Stretch, stretch

__all__ = ["Arm", "Boot", "arm_of", "blocks_of", "named_alike", "not_steady"]


MOST_OF_THEM = 0.75
"""Boots of the same name are blocks if so many have one: a lost boot costs its block, not the design."""


@dataclass(frozen=True, eq=False)
class Boot:
    """One boot (or one recording, where a server ran through): the unit of replication.

    `rows` are all of its cleaned rows in order of time, with `period` and `reason`.
    """

    replicate: str
    rows: pd.DataFrame

    @cached_property
    def steady(self) -> pd.DataFrame:
        """Rows that may be analysed."""
        return self.rows[self.rows["period"] == "steady"]

    @cached_property
    def ends_s(self) -> Array:
        """End of the interval of each of `rows`, Unix seconds."""
        return edges(self.rows)[1]

    @cached_property
    def periods(self) -> NDArray[np.object_]:
        """Period of each of `rows`."""
        return np.asarray(self.rows["period"], dtype=object)

    @cached_property
    def _values(self) -> dict[str, Array]:
        return {}

    def values(self, column: str) -> Array:
        """A column of `rows` as numbers; not to be written to."""
        if column not in self._values:
            self._values[column] = self.rows[column].to_numpy(dtype=np.float64)
        return self._values[column]

    @property
    def start_s(self) -> float:
        """Beginning of the first row, Unix seconds."""
        return float(self.ends_s[0] - self.rows["step_s"].iloc[0])

    @cached_property
    def _levels(self) -> dict[str, Level]:
        return {}

    def level(self, column: str) -> Level:
        """Sustained level and peak of a column over the steady rows; see `stats.levels.level`."""
        if column not in self._levels:
            self._levels[column] = level(self.steady[column].to_numpy(dtype=np.float64), column)
        return self._levels[column]

    def stretch(self, column: str, name: str | Said) -> Stretch:
        """Steady rows of a column on their regular grid; what lies between them and may not be analysed is NaN.

        Raises
        ------
        DataError
            If there is no steady row, or as `stats.stretch.stretch`.
        """
        steady = self.periods == "steady"
        if not steady.any():
            raise DataError(N_("{name}: no steady state was reached; nothing may be averaged"), name=name)
        return stretch(self.ends_s[steady], self.steady[column].to_numpy(), self.steady["step_s"].to_numpy(), name)


@dataclass(frozen=True, eq=False)
class Arm:
    """Every boot of a server under one driver configuration, in order of name, with the recordings' provenance."""

    server: str
    driver_config: str
    boots: tuple[Boot, ...]
    provenances: tuple[Provenance, ...] = field(default=(), repr=False)

    def measured(self, column: str) -> bool:
        """Whether any row of any boot has a value of a column."""
        return any(column in boot.rows and boot.rows[column].notna().any() for boot in self.boots)

    def steady_boots(self, column: str) -> tuple[Boot, ...]:
        """Boots with a steady value of a column."""
        return tuple(boot for boot in self.boots if boot.level(column).rows)

    def levels(self, column: str) -> tuple[Level, ...]:
        """Level of every boot that has a steady value of a column; empty if it was not measured."""
        return tuple(boot.level(column) for boot in self.steady_boots(column)) if self.measured(column) else ()

    def steady_values(self, column: str) -> Iterator[Array]:
        """Steady values of a column, boot by boot, without gaps."""
        for boot in self.steady_boots(column):
            values = boot.steady[column].to_numpy(dtype=np.float64)
            yield values[~np.isnan(values)]

    @cached_property
    def steady(self) -> pd.DataFrame:
        """Steady rows of all boots."""
        return pd.concat([boot.steady for boot in self.boots])


def arm_of(server: str, driver_config: str, clean: pd.DataFrame, provenances: Sequence[Provenance] = ()) -> Arm:
    """Make the arm of a server's cleaned rows under a driver configuration.

    Parameters
    ----------
    clean : DataFrame, shape (rows, columns)
        From `cleaning.label_periods`: columns of the schema with `replicate`, `period` and `reason`.
    provenances : sequence of Provenance
        Of the recordings.

    Raises
    ------
    DataError
        If the rows were not cleaned.
    """
    for name in ("replicate", "period", "reason"):
        if name not in clean.columns:
            raise DataError(N_("column {name!r} is missing; clean the recordings first (2_clean)"), name=name)
    boots = tuple(Boot(str(name), rows) for name, rows in clean.groupby("replicate", sort=True))
    return Arm(server, driver_config, boots, tuple(provenances))


def not_steady(arm: Arm) -> DataError:
    """The error of an arm without a steady state."""
    return DataError(
        N_(
            "{server} under {driver_config:configuration}: no boot reached a steady state; record longer boots: "
            "rows later than {hours} h after a start are always used"
        ),
        server=arm.server,
        driver_config=arm.driver_config,
        hours=LONGEST_START_UP_S / 3600,
    )


def blocks_of(before: Arm, after: Arm, column: str) -> tuple[tuple[Boot, Boot], ...]:
    """Pairs of steady boots, one a side, that ran next to each other, block after block; empty if they did not.

    Blocks are boots of the same name, as a lab gives them, or else boots that took turns.
    """
    first, second = (arm.steady_boots(column) for arm in (before, after))
    named = named_alike(before, after, column)
    ran = sorted([*first, *second], key=lambda boot: boot.start_s)
    own = set(map(id, first))
    turns = [pair if id(pair[0]) in own else pair[::-1] for pair in zip(ran[::2], ran[1::2], strict=False)]
    enough = len(named) >= max(FEWEST_BLOCKS, MOST_OF_THEM * min(len(first), len(second)))
    if enough and _one_after_another(named):
        return tuple(sorted(named, key=lambda pair: pair[0].start_s))
    mixed = all((id(one) in own) != (id(other) in own) for one, other in turns)
    return tuple(turns) if len(ran) % 2 == 0 and len(turns) >= FEWEST_BLOCKS and mixed else ()


def named_alike(before: Arm, after: Arm, column: str) -> list[tuple[Boot, Boot]]:
    """Pairs of steady boots of the same name, one a side."""
    first, second = ({boot.replicate: boot for boot in arm.steady_boots(column)} for arm in (before, after))
    return [(first[name], second[name]) for name in first if name in second]


def _one_after_another(pairs: Sequence[tuple[Boot, Boot]]) -> bool:
    """Whether no block begins before the one before it has ended."""
    spans = sorted((min(b.start_s for b in pair), max(float(b.ends_s[-1]) for b in pair)) for pair in pairs)
    return all(later[0] >= earlier[1] for earlier, later in pairwise(spans))
