"""The package installed from its wheel, where no checkout is: what works there, and that it gives the same."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from paths import ROOT
from synthetic import make_study
from virtio_study.archive.export import ENVIRONMENT, code_files
from virtio_study.workflow.keys import BESIDE, code_digest

BESIDE_THE_CODE = [
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))),
    *(f"data/published/{name}" for name in BESIDE),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked where Python finds it before the checkout: what installing it without its needs comes to."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def call(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)


def test_a_wheel_has_the_code_of_the_checkout_and_what_stands_beside_it(site: Path, tmp_path: Path) -> None:
    code = (
        "import json\n"
        "from virtio_study.archive.export import code_files\n"
        "from virtio_study.storage import PACKAGE, shipped\n"
        "from virtio_study.workflow.keys import BESIDE, code_digest\n"
        "files = sorted(code_files(shipped('notebooks')))\n"
        "print(json.dumps([str(PACKAGE), code_digest(), files]))"
    )
    done = call(site, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    package, digest, files = json.loads(done.stdout)
    assert Path(package) == site / "virtio_study"
    assert digest == code_digest()
    assert files == sorted(code_files(ROOT / "notebooks"))
    shipped = site / "virtio_study" / "shipped"
    for name in (*ENVIRONMENT, *BESIDE_THE_CODE):
        assert (shipped / name).read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.slow
def test_a_study_of_ones_own_is_laid_out_run_exported_and_verified_without_a_checkout(
    site: Path, tmp_path: Path
) -> None:
    done = call(site, tmp_path, "-m", "virtio_study", "init", "mine")
    assert done.returncode == 0, done.stderr
    make_study(tmp_path / "mine", boots=2)
    for words in (["run", "made-up"], ["check", "made-up"], ["export", "made-up"], ["verify", "made-up.zip"]):
        done = call(site, tmp_path / "mine", "-m", "virtio_study", *words)
        assert done.returncode == 0, done.stderr
    assert "is the same" in done.stdout
    assert "of the installed program are not" not in done.stderr
