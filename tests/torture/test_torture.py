"""The short version of every attack: a few seconds each, with one seed; `make torture` takes another each time."""

from pathlib import Path

import pytest

from torture.attack import Conditions, tell
from torture.attacks import ATTACKS

SECONDS = 5.0
TAKE_MINUTES = {"soak", "crash-lab"}
SEED = 895771
"""The first whose answers had a byte that is no text between the digits of a number, which was read without it."""


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
