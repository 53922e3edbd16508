"""The notebooks as people run them: each by itself, by plain papermill, from a checkout without any earlier run."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from paths import ROOT
from synthetic import make_study
from virtio_study.i18n.language import LANGUAGES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SPANISH = ROOT / "notebooks" / "es"


def test_there_are_five_and_a_playground():
    names = ["1_collect", "2_clean", "3_describe", "4_compare", "5_report", "playground"]
    assert [path.stem for path in NOTEBOOKS] == names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_spanish_notebooks_do_the_same(path: Path):
    english, spanish = (nbformat.read(folder / path.name, 4).cells for folder in (path.parent, SPANISH))
    assert [cell.cell_type for cell in english] == [cell.cell_type for cell in spanish]
    for one, other in zip(english, spanish, strict=True):
        if one.cell_type == "markdown":
            assert one.source != other.source
        else:
            assert one.metadata == other.metadata
            assert statements(one.source) == statements(other.source)


def statements(source: str) -> str:
    """What a cell does: its code without comments, words for readers and the language."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if " " in text or text in LANGUAGES:
            node.value = ""
    return ast.dump(tree)


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
@pytest.mark.parametrize("name", ["playground", "es/playground", "es/4_compare"])
def test_the_playground_and_the_spanish_notebooks_run(tmp_path: Path, name: str):
    for folder in ("notebooks", "data/lab-qemu/recordings"):
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder).symlink_to(ROOT / folder)
    for file in ("study.yaml", "manifest.json"):
        shutil.copy(ROOT / "data" / "lab-qemu" / file, tmp_path / "data" / "lab-qemu")
    command = [sys.executable, "-m", "papermill", f"notebooks/{name}.ipynb", "out.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", 4).cells
    if name.endswith("playground"):
        assert len(cells) == 11
        assert all(cell.outputs for cell in cells if cell.cell_type == "code" and cell.id != "playground-1")
    if name.startswith("es/"):
        assert any(
            "software emulator" not in str(cell.outputs) and "del propio emulador" in str(cell.outputs)
            for cell in cells
            if cell.cell_type == "code"
        )


@pytest.mark.slow
def test_an_unknown_server_ends_a_notebook_with_a_sentence(checkout: Path):
    command = [sys.executable, "-m", "papermill", "notebooks/4_compare.ipynb", "out.ipynb", "-p", "study", "made-up"]
    done = subprocess.run(
        [*command, "-p", "server", "versta"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "unknown server 'versta' (did you mean 'versat'?)" in done.stderr
