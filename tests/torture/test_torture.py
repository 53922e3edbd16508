"""The short version of every attack: a few seconds each, with another seed each time, which the run's header says."""

import os
from pathlib import Path

import pytest

from torture.attack import Conditions, Outcome, tell, told_anew
from torture.attacks import ATTACKS
from torture.inputs import judged

SECONDS = 5.0
TAKE_MINUTES = {"soak", "crash-lab"}

WRONG_ONCE = {
    # a byte that is no text between the digits of a number, which was read without it
    "api-20260302.jsonl": b'{"t": 1772409600.0, "path": "/nodes/a/qemu/100/status/current", "status": 200, "body": '
    b'{"data": {"cpu": 0.5, "mem": 12\xff34, "uptime": 10, "status": "running"}}}\n',
}
"""Inputs by the name of their file that an attack found to be read wrongly; what finds another adds it here."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - TAKE_MINUTES))
def test_an_attack_is_survived(name: str, tmp_path: Path) -> None:
    seed = int(os.environ["TORTURE_SEED"])
    try:
        outcome = ATTACKS[name](Conditions(seed, SECONDS, tmp_path))
    except PermissionError as error:
        pytest.skip(str(error))
    again = f"again: make torture SEED={seed} ONLY={name}, or TORTURE_SEED={seed} pytest tests/torture -k {name}"
    assert outcome.withstood, "\n".join([tell([outcome]), *outcome.faults[:20], again])


@pytest.mark.parametrize("name", WRONG_ONCE)
def test_an_input_that_was_read_wrongly_once_is_not_again(name: str, tmp_path: Path) -> None:
    assert judged(tmp_path / name, name, WRONG_ONCE[name]) == ""


def test_the_rows_of_one_attack_take_the_place_of_its_own_alone() -> None:
    table = tell([Outcome("one", 1, tried=3, survived=3, seconds=40), Outcome("two", 2, tried=4, survived=4)])
    anew = told_anew(table, [Outcome("two", 9, tried=5, survived=4, lost=1, seconds=2.5), Outcome("three", 3)])
    assert anew.splitlines()[2:] == [
        "| one | 3 | 3 | 0 | 0 | 1 | 40 |",
        "| two | 5 | 4 | 1 | 0 | 9 | 2.5 |",
        "| three | 0 | 0 | 0 | 0 | 3 | 0 |",
    ]
