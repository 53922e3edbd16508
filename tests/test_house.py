"""The house: the rules that hold for every file of the repository, and the files that must agree with one another."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> list[str]:
    return [normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", LOCK, re.MULTILINE)]


def supported_pythons() -> list[str]:
    return re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def test_every_locked_package_has_hashes_and_no_address() -> None:
    requirements = re.split(r"(?<!\\)\n", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE).strip())
    assert len(requirements) > 100
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", requirement), requirement[:80]
        assert "--hash=sha256:" in requirement, requirement[:80]
    assert "://" not in LOCK
    assert not re.search(r"^\s*--(?!hash)", LOCK, re.MULTILINE)


def test_the_lock_has_every_dependency_and_the_build_backend() -> None:
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"], "hatchling", "editables"]
    names = {normal(re.match(r"[A-Za-z0-9._-]+", item).group()) for item in declared}  # type: ignore[union-attr]
    assert names <= set(locked())


def test_every_python_gets_the_same_version_of_a_package() -> None:
    assert [name for name, times in Counter(locked()).items() if times > 1] == []


def test_the_supported_pythons_are_the_same_everywhere() -> None:
    makefile = (ROOT / "Makefile").read_text()
    oldest = supported_pythons()[0]
    assert PROJECT["requires-python"] == f">={oldest}"
    assert re.findall(r"--python-version (\S+)", makefile) == [oldest]
    candidates = re.findall(r"for python in (.*) python3;", makefile)
    assert candidates == [" ".join(f"python{version}" for version in reversed(supported_pythons()))]
    for readme in ("README.md", "README.es.md"):
        assert f"Python {oldest} " in (ROOT / readme).read_text()


def test_environment_yml_agrees_with_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    pip = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert pip == [["-r requirements.lock"]]
    after = f"3.{int(supported_pythons()[-1].split('.')[1]) + 1}"
    assert conda[0] == f"python {PROJECT['requires-python']},<{after}"
    assert [item.split()[0] for item in conda] == ["python", "pip"]


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_and_functions_are_short_and_have_a_public_list(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, node.name
    if tree.body and path.name not in {"__init__.py", "__main__.py"}:
        assigned = [t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
        assert "__all__" in assigned


COMPUTING = [p for p in SOURCES if {"stats", "cleaning", "analysis", "report"} & set(p.parts)]
NOT_THE_SAME_EVERYWHERE = re.compile(
    r"(np|math)\.(exp|exp2|expm1|log|log2|log10|log1p|power|float_power|sin|cos|tan|tanh|cbrt|pow|lgamma|gamma|erf"
    r"|dot|vdot|inner|outer|matmul|einsum|linalg|cov|corrcoef|polyfit|convolve|correlate|argsort|sum|mean|average"
    r"|var|std|nansum|nanmean|nanvar|nanstd)"
)
METHODS = {"var", "std", "mean", "dot", "argsort", "cov", "corr"}
"""Functions whose last bit, or whose order of equals, depends on the processor, BLAS, libm or the order of a sum."""
LEFT_TO_LIBRARIES = {
    "stats/hierarchical.py": {"OLS"},  # a crossover's least squares; no result of a report is made of it
    "stats/methods.py": {"StationaryBootstrap", "optimal_block_length"},  # rows drawn, and how many at a time
    "stats/planning.py": {"nctdtr"},  # the power of a plan, shown with two digits
    "stats/synthesis.py": {"multipletests"},  # p values held against multiples of the rate: truths come of it
}


@pytest.mark.parametrize("path", COMPUTING, ids=relative)
def test_what_is_computed_comes_out_the_same_on_every_machine(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum":
            # of floats it is compensated from Python 3.12 on, and was not before
            assert counts(node.args[0]), f"{where}: a sum that may be of floats; take stats.elementary.total"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in METHODS, f"{where}: {ast.unparse(node)}"
        elif isinstance(node, ast.Attribute):
            assert not NOT_THE_SAME_EVERYWHERE.fullmatch(ast.unparse(node)), f"{where}: {ast.unparse(node)}"
        elif isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.MatMult), f"{where}: BLAS"
            constant = isinstance(node, ast.BinOp) and all(
                isinstance(side, ast.Constant) for side in (node.left, getattr(node.right, "operand", node.right))
            )
            assert constant or not isinstance(node.op, ast.Pow), f"{where}: libm's power"
        elif isinstance(node, ast.ImportFrom | ast.Import) and path.parent.name in {"stats", "cleaning", "analysis"}:
            names = {alias.name for alias in node.names}
            if re.match(r"scipy|statsmodels|arch|sklearn", getattr(node, "module", None) or next(iter(names))):
                assert names <= LEFT_TO_LIBRARIES.get(f"{path.parent.name}/{path.name}", set()), f"{where}: {names}"


def counts(summed: ast.expr) -> bool:
    """Whether what is summed is truths or lengths, as far as one can see."""
    if not isinstance(summed, ast.GeneratorExp | ast.ListComp):
        return ast.unparse(summed) in {"reasons.values()"} or "false_discoveries" in ast.unparse(summed)
    each = summed.elt
    of_call = isinstance(each, ast.Call) and ast.unparse(each.func).split(".")[-1] in {"len", "bool", "excludes"}
    return of_call or isinstance(each, ast.Compare) or ast.unparse(each) == "1"


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    named = {relative(path) for path in SOURCES if path.stem in sys.stdlib_module_names}
    assert named == set()


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if not {"cli", "lab", "sources", "testing"} & set(p.parts)], ids=relative
)
def test_recordings_do_not_know_where_they_come_from(path: Path) -> None:
    outside = re.compile(r"virtio_study\.(lab|sources|fleet)\b")
    assert not [name for name in imports(path) if outside.match(name)]


@pytest.mark.parametrize("path", sorted((ROOT / "src" / "virtio_study" / "stats").glob("*.py")), ids=relative)
def test_statistics_know_arrays_and_frames_alone(path: Path) -> None:
    own = {name for name in imports(path) if name.startswith("virtio_study")}
    assert all(name.startswith(("virtio_study.stats", "virtio_study.errors", "virtio_study.i18n")) for name in own), own


@pytest.mark.parametrize("path", sorted((ROOT / "src" / "virtio_study" / "i18n").glob("*.py")), ids=relative)
def test_the_words_are_the_ground_floor(path: Path) -> None:
    own = {name for name in imports(path) if name.startswith("virtio_study")}
    assert all(name.startswith("virtio_study.i18n") for name in own), own


BEFORE_WORKFLOW = {"analysis", "cleaning", "i18n", "pve", "report", "sources", "stats"}


@pytest.mark.parametrize("path", [p for p in SOURCES if BEFORE_WORKFLOW & set(p.parts)], ids=relative)
def test_what_the_steps_call_knows_no_steps_and_no_artefacts(path: Path) -> None:
    assert not [name for name in imports(path) if name.startswith("virtio_study.workflow")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=relative)
def test_notebooks_hold_prose_and_calls(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert cells[0]["cell_type"] == "markdown"
    assert len(code) <= 12
    assert [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    for cell in code:
        source = "".join(cell["source"])
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert source.count("\n") < 15
        assert not re.search(r"^\s*(def|class|for|while|if) ", source, re.MULTILINE), source


def test_no_file_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    # In pieces, so that this file does not match itself.
    hosts = ["pypi" + r"\.org", "python" + "hosted", r"deb\.debian" + r"\.org", "registry" + r"\.npmjs"]
    wrong = re.compile("|".join([r"(?<![\w.])/(?:" + r"work|farm)/\w", r"\.\./" + "shared", *hosts]).encode())
    named = {}
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix != ".parquet" and (found := wrong.search(path.read_bytes())):
            named[name] = found.group()
    assert named == {}
