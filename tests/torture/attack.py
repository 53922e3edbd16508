"""What an attack is given, and what it gives back.

An attack is a function of `Conditions` that starts real processes, harms them or what they work on, looks at what is
left, and returns an `Outcome`. The same seed draws the same harm; when it hits differs with the machine.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Attack", "Conditions", "Outcome", "tell"]

LEAST_TRIES = 3


@dataclass(frozen=True)
class Conditions:
    """A seed, the seconds that an attack may take, and an empty folder of its own."""

    seed: int
    seconds: float
    folder: Path

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
    """How often it was tried and survived, how many things were lost or leaked, and a line for each fault."""

    attack: str
    seed: int
    tried: int = 0
    survived: int = 0
    lost: int = 0
    leaked: int = 0
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


def tell(outcomes: list[Outcome]) -> str:
    """The table of outcomes, in Markdown."""
    head = "| attack | tried | survived | lost | leaked | seed |\n|---|---:|---:|---:|---:|---:|\n"
    rows = (f"| {o.attack} | {o.tried} | {o.survived} | {o.lost} | {o.leaked} | {o.seed} |\n" for o in outcomes)
    return head + "".join(rows)
