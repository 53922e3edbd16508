"""Where the checkout and the tests' own data are, for tests of any depth."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
