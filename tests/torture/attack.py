"""What an attack is given, and what it gives back.

An attack is a function of `Conditions` that starts real processes, harms them or what they work on, looks at what is
left, and returns an `Outcome`. The same seed draws the same harm; when it hits differs with the machine.
"""

import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = ["SPEED", "Attack", "Conditions", "Outcome", "in_lanes", "tell", "told_anew"]

LANES = 2
"""An attack that waits for other processes does so twice at once, on the two cores that it may have."""

LEAST_TRIES = 3
SPEED = 600.0


@dataclass(frozen=True)
class Conditions:
    """A seed, the seconds that an attack may take, an empty folder of its own, and the speed of a fast clock.

    `lane` is the number of this one of as many as do the same beside one another; `over` is set when all have to end.
    """

    seed: int
    seconds: float
    folder: Path
    speed: float = SPEED
    lane: int = 0
    lanes: int = 1
    over: threading.Event = field(default_factory=threading.Event)

    def chance(self) -> random.Random:
        """Draws of this seed and lane, from their beginning."""
        return random.Random(f"{self.seed} {self.lane}" if self.lane else self.seed)

    def tries(self, most: int = 1_000_000) -> Iterator[int]:
        """Numbers of the tries until the time is over: a few at least, so that a slow machine attacks too."""
        begun = time.monotonic()
        for number in range(most):
            late = number * self.lanes >= LEAST_TRIES and time.monotonic() - begun > self.seconds
            if late or self.over.is_set():
                return
            yield number


@dataclass
class Outcome:
    """How often it was tried and survived, what was lost or leaked, seconds given to it, and a line for each fault.

    `all` is how many different tries there are, where they can be counted; 0: as many as one likes.
    """

    attack: str
    seed: int
    tried: int = 0
    all: int = 0
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

    def remark(self, *faults: str, lost: int = 0) -> None:
        """Tell what is wrong, or lost, before or after all tries, which is no try."""
        self.lost += lost
        self.faults += faults

    @property
    def withstood(self) -> bool:
        """Whether something was tried, all of it survived, and nothing else is wrong."""
        return 0 < self.tried == self.survived and not (self.faults or self.lost or self.leaked)


Attack = Callable[[Conditions], Outcome]


def in_lanes(attack: Attack) -> Attack:
    """The attack done by two at once, each with a folder and draws of its own, told of as one."""

    @functools.wraps(attack)
    def done(given: Conditions) -> Outcome:
        ways = [replace(given, folder=given.folder / f"lane-{lane}", lane=lane, lanes=LANES) for lane in range(LANES)]
        for way in ways:
            way.folder.mkdir()
        with ThreadPoolExecutor(LANES) as pool:
            try:
                first, *others = pool.map(attack, ways)
            finally:
                given.over.set()
        for other in others:
            first.tried, first.survived = first.tried + other.tried, first.survived + other.survived
            first.lost, first.leaked = first.lost + other.lost, first.leaked + other.leaked
            first.faults += other.faults
        return first

    return done


HEAD = (
    "| attack | tried | survived | lost | leaked | seed | seconds |\n",
    "|---|---:|---:|---:|---:|---:|---:|\n",
)


def tell(outcomes: list[Outcome]) -> str:
    """The table of outcomes, in Markdown."""
    return "".join([*HEAD, *map(_row, outcomes)])


def _row(o: Outcome) -> str:
    tried = f"{o.tried} of {o.all}" if o.all else o.tried
    return f"| {o.attack} | {tried} | {o.survived} | {o.lost} | {o.leaked} | {o.seed} | {o.seconds:g} |\n"


def told_anew(table: str, outcomes: list[Outcome]) -> str:
    """A table with the rows of these outcomes in it: in place of those of the same attack, new ones at its end."""
    rows = {line.split(" | ")[0]: line for line in table.splitlines(keepends=True) if line not in HEAD}
    rows |= {row.split(" | ")[0]: row for row in map(_row, outcomes)}
    return "".join([*HEAD, *rows.values()])
