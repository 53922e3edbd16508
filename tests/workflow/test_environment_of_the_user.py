"""The user's own environment changes nothing: paths with braces, other kernels, homes that cannot be written."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from small import write_notebook
from virtio_study.errors import StudyError
from virtio_study.study import load_study
from virtio_study.workflow.isolation import isolate
from virtio_study.workflow.notebook import Job, Pool

FOREIGN_KERNEL = '{"argv": ["/bin/false"], "display_name": "x", "language": "python"}'
CELLS = (
    "import sys, warnings\nimport matplotlib.pyplot\nprint(sys.executable)",
    "from pathlib import Path\nprint('own' in globals(), warnings.filters[0][0])\n_ = Path('product').write_text('')",
)


def ran(folder: Path) -> list[Any]:
    """What the cells of a notebook said that ran in a worker process, from a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "s"
    scratch.mkdir()
    write_notebook(folder / "n.ipynb", "x: int = 1", *CELLS)
    with Pool(1, scratch, folder / "log") as pool:
        product, output = folder / "product", folder / "out" / "n.ipynb"
        pool.submit(Job(folder / "n.ipynb", {}, folder, output, (product,), scratch)).result()
    cells = json.loads(output.read_text())["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def test_the_users_own_environment_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ran(tmp_path / "plain")
    for folder in ("path", "data"):
        spec = tmp_path / folder / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(FOREIGN_KERNEL)
    (tmp_path / "own.py").write_text("own = 1\nprint('hello')")
    for name, value in {
        "JUPYTER_PATH": tmp_path / "path",
        "JUPYTER_DATA_DIR": tmp_path / "data",
        "PYTHONSTARTUP": tmp_path / "own.py",
        "PYTHONWARNINGS": "always",
        "MPLBACKEND": "template",
        **dict.fromkeys(("HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/dev/null/nowhere"),
    }.items():
        monkeypatch.setenv(name, str(value))
    assert ran(tmp_path / "tesis {final} {0} a}b{{c { ñ") == plain


def test_a_place_for_fonts_is_given_only_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path)})
    isolate(tmp_path / "s")
    assert "MPLCONFIGDIR" not in os.environ
    os.environ["XDG_CACHE_HOME"] = "/dev/null/x"
    isolate(tmp_path / "s")
    assert Path(os.environ["MPLCONFIGDIR"]).is_relative_to(tmp_path / "s")


def test_a_number_in_place_of_a_name_is_a_sentence(small: object) -> None:
    study = load_study(small.folder)  # type: ignore[attr-defined]
    for ask, words in (
        (study.server, r"unknown server 100 \(did you mean 'alpha'\?\); known: alpha, beta"),
        (study.driver_config, r"unknown driver configuration 100; known: emulated, virtio"),
        (study.comparison, r"unknown comparison 100; known: total"),
    ):
        with pytest.raises(StudyError, match=words):
            ask(100)  # type: ignore[operator]
    with pytest.raises(StudyError, match=r"unknown server '101' \(did you mean 'beta'\?\)"):
        study.server("101")
    with pytest.raises(StudyError, match="100"):
        load_study(100)  # type: ignore[arg-type]


def test_a_locale_without_accents_is_no_matter(tmp_path: Path, small: object) -> None:
    folder = tmp_path / "año"
    folder.mkdir()
    (folder / "study.yaml").write_bytes((small.folder / "study.yaml").read_bytes())  # type: ignore[attr-defined]
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "virtio_study", "check", str(folder)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert b"Traceback" not in done.stderr
    assert "año" in (done.stdout + done.stderr).decode()


KEEPS_ACCOUNT = """
import sys
import time
from multiprocessing import resource_tracker
from pathlib import Path
from virtio_study.workflow.notebook import Pool
with Pool(1, Path(sys.argv[1]), Path(sys.argv[1]) / "log"):
    place = Path(f"/proc/{resource_tracker._resource_tracker._pid}/environ")
    while not (text := place.read_text()):  # its program is not loaded yet
        time.sleep(0.01)
    print(text)
"""


def test_no_process_that_a_run_starts_beside_its_kernels_has_the_token(tmp_path: Path) -> None:
    given = {**os.environ, "VIRTIO_STUDY_PVE_TOKEN": "study@pve!a=canary-7c1d"}
    words = [sys.executable, "-c", KEEPS_ACCOUNT, str(tmp_path)]
    found = subprocess.run(words, env=given, capture_output=True, text=True, check=True)
    assert "PATH=" in found.stdout
    assert "canary" not in found.stdout
