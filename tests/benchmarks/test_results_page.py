"""The table of what was measured says what the pages say, names every benchmark, and a miss is said to be one."""

import re

import results
from claims import CLAIMS
from paths import ROOT

HELPING = {"claims", "results", "gwa", "received", "untouched", "coverage_page"}
"""Modules that benchmarks use."""


def test_the_committed_table_is_what_the_pages_say() -> None:
    committed = results.PAGE.read_text(encoding="utf-8")
    assert committed == results.page(results.told(committed)), "run: python benchmarks/results.py"


def test_every_benchmark_is_in_the_table_and_every_command_is_one() -> None:
    named = {
        name
        for claims in CLAIMS.values()
        for claim in claims
        for name in re.findall(r"benchmarks/(\w+)", claim.command)
    }
    assert named == {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - HELPING


def test_a_miss_is_said_and_so_is_what_was_not_measured() -> None:
    def gone() -> results.Found:
        return str(results.rows("fleet.md", "no such column")), True

    def unsaid() -> results.Found:
        return str(results.sentence("fleet.md", "no such words")), True

    told = [
        results.Claim("speed", ">= 2", found, "make fast", "fleet.md").row().split(" | ")[2:4]
        for found in (lambda: ("3", True), lambda: ("1", False), lambda: ("1.5", None), gone, unsaid)
    ]
    nothing = ["not measured", "–"]
    assert told == [["3", "yes"], ["1", "**missed**"], ["1.5", "–"], nothing, nothing]
