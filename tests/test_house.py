"""The house: the rules that hold for every file of the repository, and the files that must agree with one another."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

import architecture
import dependencies
from paths import ONCE, TESTS

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
    assert set(re.findall(r"--python-version (\S+)", makefile)) == {oldest}
    candidates = re.findall(r"for python in (.*) python3;", makefile)
    assert candidates == [" ".join(f"python{version}" for version in reversed(supported_pythons()))]
    for readme in ("README.md", "README.es.md"):
        assert f"Python {oldest} " in (ROOT / readme).read_text()


def test_what_one_interpreter_answers_for_all_is_there_and_no_house_rule() -> None:
    assert [name for name in ONCE if not (TESTS / name).exists()] == []
    assert not {"test_house.py", "i18n", "report", "cli", "docs"} & set(ONCE), "these differed between interpreters"


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


def test_the_citation_keeps_the_schema_of_its_format() -> None:
    # The schema is that of the Citation File Format project (Druskat et al., CC BY 4.0), as published, without spaces.
    schema = json.loads((ROOT / "tests/data/citation-file-format-1.2.0.schema.json").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    jsonschema.Draft7Validator(schema).validate(json.loads(json.dumps(citation, default=str)))


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


COMPUTING = [p for p in SOURCES if {"stats", "cleaning", "analysis", "report", "fleet"} & set(relative(p).split("/"))]
NOT_THE_SAME_EVERYWHERE = re.compile(
    r"(np|math)\.(exp|exp2|expm1|log|log2|log10|log1p|power|float_power|sin|cos|tan|tanh|cbrt|pow|lgamma|gamma|erf"
    r"|dot|vdot|inner|outer|matmul|einsum|linalg|cov|corrcoef|polyfit|convolve|correlate|argsort|sum|mean|average"
    r"|var|std|nansum|nanmean|nanvar|nanstd)"
)
METHODS = {"var", "std", "mean", "dot", "argsort", "cov", "corr"}
"""Functions whose last bit, or whose order of equals, depends on the processor, BLAS, libm or the order of a sum."""
LEFT_TO_LIBRARIES = {
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


KNOWS = {
    "cli": "public archive compendium testing workflow report fleet analysis design sources lab pve study "
    "storage plug_ins errors i18n",
    "public": "archive workflow report analysis design stats sources recording study errors i18n",
    "archive": "workflow stats recording study storage limits environment errors i18n",
    "compendium": "sources study storage errors i18n",
    "testing": "workflow fleet analysis design sources pve study errors i18n",
    "workflow": "report analysis cleaning stats recording study storage plug_ins environment errors i18n",
    "report": "fleet analysis cleaning stats pve recording study environment errors i18n",
    "fleet": "analysis cleaning stats sources pve recording study storage environment errors i18n",
    "analysis": "cleaning stats pve recording study storage plug_ins errors i18n",
    "cleaning": "stats errors i18n",
    "design": "stats study storage errors i18n",
    "stats": "errors i18n",
    "sources": "pve recording study storage limits plug_ins errors i18n",
    "lab": "recording study storage errors i18n",
    "pve": "recording errors i18n",
    "recording": "storage limits errors i18n",
    "study": "limits errors i18n",
    "storage": "errors i18n",
    "limits": "errors i18n",
    "plug_ins": "errors i18n",
    "environment": "",
    "errors": "i18n",
    "i18n": "",
}
"""Room -> rooms that it imports from, each below it. A room is a folder, or a module at the root."""


def test_every_room_knows_those_that_it_may_know_and_no_other() -> None:
    rooms = list(architecture.ORDER)
    assert rooms == list(KNOWS)
    for number, (room, known) in enumerate(KNOWS.items()):
        assert set(known.split()) <= set(rooms[number + 1 :]), f"{room} knows a room above it"
    found = architecture.neighbours()
    assert found.keys() == KNOWS.keys()
    allowed = {room: set(known.split()) for room, known in KNOWS.items()}
    assert [(room, other) for room in rooms for other in sorted(found[room] - allowed[room])] == []
    assert [(room, other) for room in rooms for other in sorted(allowed[room] - found[room])] == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    known = architecture.modules()
    left = {module: architecture.imported(module, known) - {module} for module in known}
    while left:
        free = [module for module, others in left.items() if not others & left.keys()]
        assert free, f"these import one another: {sorted(left)}"
        for module in free:
            del left[module]


def test_what_all_sources_share_knows_neither_the_api_nor_the_files() -> None:
    known = architecture.modules()
    for module in (name for name in known if name.startswith("virtio_study.sources")):
        above = {"files": ("api",), "api": ()}.get(".".join(module.split(".")[2:3]), ("api", "files"))
        others = {".".join(other.split(".")[1:3]) for other in architecture.imported(module, known)}
        assert not others & {f"sources.{room}" for room in above}, module


def test_the_root_holds_few_modules() -> None:
    package = ROOT / "src" / "virtio_study"
    modules = {path.stem for path in package.glob("*.py")}
    assert modules == {"__init__", "__main__", "environment", "errors", "limits", "plug_ins"}
    folders = {path.name for path in package.iterdir() if path.is_dir() and any(path.glob("*.*"))} - {"__pycache__"}
    assert folders == KNOWS.keys() - modules


def test_the_tests_mirror_the_rooms() -> None:
    package, tests = ROOT / "src" / "virtio_study", ROOT / "tests"
    for path in tests.rglob("test_*.py"):
        place = path.parent.relative_to(tests).as_posix()
        if place == ".":
            assert path.stem.removeprefix("test_") in {*KNOWS, "architecture", "house", "readme"}
        else:
            assert (package / place / "__init__.py").is_file() or place in {"benchmarks", "docs", "torture"}, place


CALLERS = {"cli", "public", "workflow/steps.py", "report/tables.py", "report/figures.py", "report/pictures.py"}
"""Where a name is that of what it calls or shows: commands, public face, steps, tables, figures, pictures."""


def test_one_name_is_one_class_or_function() -> None:
    homes: dict[str, set[str]] = {}
    for path in SOURCES:
        place = path.relative_to(ROOT / "src" / "virtio_study").as_posix()
        if place in CALLERS or place.split("/")[0] in CALLERS:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, set()).add(place)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def test_no_module_has_a_name_that_says_nothing_or_that_the_standard_library_has() -> None:
    vague = {"base", "common", "core", "helpers", "lib", "misc", "util", "utils"}
    assert [relative(path) for path in SOURCES if path.stem in vague | sys.stdlib_module_names] == []


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


RUN_BY_NAME = {"jupyterlab"}
"""What users of the package open notebooks with; nothing of it is imported."""
NAMES = {"beautifulsoup4": "bs4", "ipython": "IPython", "pyyaml": "yaml"}
ASKED_FOR = {"keyring", "openssh_wrapper"}
"""Optional packages that are not declared, because they are of the user's system or of some Pythons alone."""


def imported_packages() -> set[str]:
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"virtio_study"}


def module_of(declared: str) -> str:
    name = normal(re.split(r"[^A-Za-z0-9._-]", declared)[0])
    return NAMES.get(name, name.replace("-", "_"))


def test_what_is_declared_is_imported_and_what_is_imported_is_declared() -> None:
    running = {module_of(item) for item in PROJECT["dependencies"]}
    optional = {module_of(item) for extra in ("cluster", "demo") for item in PROJECT["optional-dependencies"][extra]}
    assert imported_packages() - ASKED_FOR == (running - RUN_BY_NAME) | optional
    assert running >= RUN_BY_NAME
    assert not running & optional


def test_the_page_of_dependencies_has_every_locked_version() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    rows = dict(re.findall(r"^\| (\S+) \| (\S+) \| ", page, re.MULTILINE))
    rows.pop("package", None)
    rows = {name: version for name, version in rows.items() if name != "---"}
    assert rows == dependencies.locked()


def test_the_bill_of_materials_names_every_package_and_what_needs_it() -> None:
    bill = json.loads(dependencies.bill_of_materials())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [item["name"] for item in bill["components"]] == sorted(dependencies.locked())
    references = {item["bom-ref"] for item in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {item["ref"] for item in bill["dependencies"]} == references
    assert {one for item in bill["dependencies"] for one in item["dependsOn"]} <= references
    assert all(item["licenses"][0]["license"]["name"] for item in bill["components"])
    assert dependencies.bill_of_materials() == dependencies.bill_of_materials()


def test_contributing_names_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:src|tests|docs|notebooks|\.ci)/[\w./-]*|[\w.]+\.(?:py|toml|md|cff))`", text)
    named += re.findall(r"\]\(([^)]+)\)", text)
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []
    targets = re.findall(r"`make ([a-z-]+)`", text)
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
