"""The short version of every attack: a few seconds each, with another seed each time, which is told where it fails."""

import random
from pathlib import Path

import pytest

from torture.attack import Conditions, tell
from torture.attacks import ATTACKS

SECONDS = 5.0
TAKE_MINUTES = {"soak"}
SEED = random.SystemRandom().randrange(10**6)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - TAKE_MINUTES))
def test_an_attack_is_survived(name: str, tmp_path: Path) -> None:
    try:
        outcome = ATTACKS[name](Conditions(SEED, SECONDS, tmp_path))
    except PermissionError as error:
        pytest.skip(str(error))
    again = f"make torture SEED={SEED} ONLY={name}"
    print(tell([outcome]))
    assert outcome.withstood, "\n".join([tell([outcome]), *outcome.faults[:20], again])
