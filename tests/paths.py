"""Where the checkout and the tests' own data are, for tests of any depth."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent

ONCE = (
    "cleaning",
    "design",
    "pve",
    "sources/api/test_collecting_watching.py",
    "sources/api/test_explaining.py",
    "sources/api/test_hostile_host.py",
    "sources/api/test_imported_early.py",
    "sources/api/test_importers.py",
    "sources/api/test_pvesh.py",
    "sources/api/test_words_of_a_host.py",
    "sources/files",
    "sources/test_disturbed_rig.py",
    "sources/test_mutated_answers.py",
    "sources/test_what_a_run_is.py",
    "sources/test_zeros.py",
    "stats",
    "storage/test_commit.py",
    "testing/test_demo.py",
    "testing/test_pve_server.py",
    "testing/test_simulated_fleet.py",
    "testing/test_simulated_switchback.py",
    "analysis/test_one_error_model.py",
    "analysis/test_plausibility.py",
    "i18n/test_glossary.py",
    "report/test_browser.py",
    "report/test_hostile_texts.py",
    "test_limits.py",
    "test_readme.py",
)
"""Tests that say the same on every interpreter (mark `anywhere`): rules of Proxmox, of files and of
formulas, programs other than Python. What did differ once (messages, numbers, commands, docstrings) is not here."""
