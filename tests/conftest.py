"""What every test may ask for: a program that must be there, and a small study."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paths import ONCE, TESTS
from small import needs, write_small
from virtio_study.study import Study

# What tests expect is English, whatever language the developer's terminal speaks.
os.environ["VIRTIO_STUDY_LANGUAGE"] = "en"

# Whoever runs in the background ignores interrupts, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# One for a run and all its workers, which inherit it, and another each time.
os.environ.setdefault("TORTURE_SEED", str(random.SystemRandom().randrange(10**6)))


def pytest_report_header() -> str:
    return f"seed of the attacks: TORTURE_SEED={os.environ['TORTURE_SEED']}"


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    once = [TESTS / name for name in ONCE]
    for item in items:
        if any(item.path.is_relative_to(path) for path in once):
            item.add_marker("anywhere")


@pytest.fixture(name="needs")
def needs_fixture() -> Callable[[str], str]:
    return needs


@pytest.fixture
def small(tmp_path: Path) -> Study:
    """A study of two servers and two driver configurations, two boots each, with notebooks beside `data/`."""
    return write_small(tmp_path)


@pytest.fixture(scope="module")
def pseudo_language(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the catalogue of the pseudo-language, which is spoken while a module of tests runs."""
    import pseudo

    folder = pseudo.write(tmp_path_factory.mktemp("locale"))
    pseudo.register(folder)
    yield folder
    pseudo.withdraw(folder)
