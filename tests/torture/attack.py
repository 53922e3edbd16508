"""What an attack is given, and what it gives back.

An attack is a function of `Conditions` that starts real processes, harms them or what they work on, looks at what is
left, and returns an `Outcome`. The same seed draws the same harm; when it hits differs with the machine.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SPEED", "Attack", "Conditions", "Outcome", "tell", "told_anew"]

LEAST_TRIES = 3
SPEED = 600.0


@dataclass(frozen=True)
class Conditions:
    """A seed, the seconds that an attack may take, an empty folder of its own, and the speed of a fast clock."""

    seed: int
    seconds: float
    folder: Path
    speed: float = SPEED

    def chance(self) -> random.Random:
        """Draws of this seed, from their beginning."""
        return random.Random(self.seed)

    def tries(self, most: int = 1_000_000) -> Iterator[int]:
        """Numbers of the tries until the time is over: a few at least, so that a slow machine attacks too."""
        begun = time.monotonic()
        for number in range(most):
            if number >= LEAST_TRIES and time.monotonic() - begun > self.seconds:
                return
            yield number


@dataclass
class Outcome:
    """How often it was tried and survived, what was lost or leaked, seconds given to it, and a line for each fault."""

    attack: str
    seed: int
    tried: int = 0
    survived: int = 0
    lost: int = 0
    leaked: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def judge(self, *faults: str, lost: int = 0, leaked: int = 0) -> None:
        """Count one try: it was survived if there is no fault, nothing lost and nothing leaked."""
        self.tried += 1
        self.survived += not (faults or lost or leaked)
        self.lost += lost
        self.leaked += leaked
        self.faults += faults

    @property
    def withstood(self) -> bool:
        """Whether something was tried and all of it survived."""
        return 0 < self.tried == self.survived


Attack = Callable[[Conditions], Outcome]


HEAD = (
    "| attack | tried | survived | lost | leaked | seed | seconds |\n",
    "|---|---:|---:|---:|---:|---:|---:|\n",
)


def tell(outcomes: list[Outcome]) -> str:
    """The table of outcomes, in Markdown."""
    return "".join([*HEAD, *map(_row, outcomes)])


def _row(o: Outcome) -> str:
    return f"| {o.attack} | {o.tried} | {o.survived} | {o.lost} | {o.leaked} | {o.seed} | {o.seconds:g} |\n"


def told_anew(table: str, outcomes: list[Outcome]) -> str:
    """A table with the rows of these outcomes in it: in place of those of the same attack, new ones at its end."""
    rows = {line.split(" | ")[0]: line for line in table.splitlines(keepends=True) if line not in HEAD}
    rows |= {row.split(" | ")[0]: row for row in map(_row, outcomes)}
    return "".join([*HEAD, *rows.values()])
