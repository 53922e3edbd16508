"""The notebooks as people run them: each by itself, by plain papermill, from a checkout without any earlier run."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from synthetic import make_study

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[1-5]_*.ipynb"))


def test_there_are_five():
    assert [path.stem for path in NOTEBOOKS] == ["1_collect", "2_clean", "3_describe", "4_compare", "5_report"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_has_a_type_a_default_and_a_meaning(path: Path):
    from papermill.inspection import inspect_notebook

    parameters = inspect_notebook(str(path))
    assert {"study"} <= set(parameters)
    for found in parameters.values():
        assert found["inferred_type_name"] == "str"
        assert found["default"]
        assert found["help"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    make_study(tmp_path, boots=3)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["3_describe", "5_report"])
def test_a_notebook_runs_by_itself_through_plain_papermill(checkout: Path, name: str):
    command = [sys.executable, "-m", "papermill", f"notebooks/{name}.ipynb", "out.ipynb", "-p", "study", "made-up"]
    if name == "3_describe":
        command += ["-p", "server", "versat", "-p", "driver_config", "virtio"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = [cell for cell in nbformat.read(checkout / "out.ipynb", 4).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    if name == "3_describe":
        assert (checkout / "data/made-up/work/versat-virtio.levels.json").exists()
        assert any("image/svg+xml" in output.get("data", {}) for cell in cells for output in cell.outputs)
    else:
        assert (checkout / "reports/made-up/index.en.html").exists()


@pytest.mark.slow
def test_an_unknown_server_ends_a_notebook_with_a_sentence(checkout: Path):
    command = [sys.executable, "-m", "papermill", "notebooks/4_compare.ipynb", "out.ipynb", "-p", "study", "made-up"]
    done = subprocess.run(
        [*command, "-p", "server", "versta"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "unknown server 'versta' (did you mean 'versat'?)" in done.stderr
