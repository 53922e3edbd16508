"""The bundled studies come out the same to the last byte where numpy, BLAS and libm themselves answer otherwise."""

import sys
from pathlib import Path

import pytest

from reproducibility import ENVIRONMENTS, Place, copied, different, differing_libraries, files, made

OLDEST = Place(sys.executable, ENVIRONMENTS["all of the oldest at once"])
NEWEST = Place(sys.executable, {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "2"})
STEPS = """
import sys
from virtio_study.study import load_study
from virtio_study.workflow import steps
study = load_study(sys.argv[1])
for server in study.servers:
    for config in study.driver_configs:
        steps.collect(study, server, config)
        steps.clean(study, server, config)
        steps.describe(study, server, config)
    steps.compare(study, server)
for language in ("en", "es"):
    steps.write_report(study, language)
"""
"""The notebooks' calls in one process, without their kernels."""


def test_every_byte_that_differs_is_counted(tmp_path: Path) -> None:
    for side, texts in {"one": {"a": b"abc", "b": b"x"}, "other": {"a": b"axcd", "c/d": b"yz"}}.items():
        for name, text in texts.items():
            (tmp_path / side / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / side / name).write_bytes(text)
    (tmp_path / "one" / "environment.json").write_text("here")
    assert different(tmp_path / "one", tmp_path / "other") == {"a": 2, "b": 1, "c/d": 2}
    assert list(files(tmp_path / "one")) == ["a", "b"]
    assert different(tmp_path / "one", tmp_path / "one") == {}


def test_the_libraries_do_answer_otherwise_there() -> None:
    assert differing_libraries(OLDEST, OLDEST) == "nothing on this machine"
    assert differing_libraries(OLDEST, NEWEST) != "nothing on this machine"


@pytest.mark.slow
def test_every_step_gives_the_same_bytes(tmp_path: Path) -> None:
    sides = [tmp_path / "oldest", tmp_path / "newest"]
    for place, folder in zip((OLDEST, NEWEST), sides, strict=True):
        copied(["lab-qemu"], folder)
        place.run("-c", STEPS, "lab-qemu", cwd=folder)
    reports = [folder / "reports" for folder in sides]
    assert len(list(files(reports[0]))) > 50
    assert different(*reports) == {}


@pytest.mark.slow
def test_notebooks_and_pages_are_the_same_bytes(tmp_path: Path) -> None:
    reports = [made(place, ["pve-rig"], tmp_path / str(place is OLDEST)) for place in (OLDEST, NEWEST)]
    assert len([name for name in files(reports[0]) if name.endswith(".ipynb")]) > 10
    assert different(*reports) == {}
