"""The public face: its examples run as they stand, its names are listed, and importing it costs nothing."""

import doctest
import inspect
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import virtio_study as vs
from paths import ROOT
from virtio_study import public
from virtio_study.errors import StudyError
from virtio_study.public import designing, exploring, opened, written
from virtio_study.study import load_study
from virtio_study.workflow.keys import Keys

EXAMPLES = {
    test.name.removeprefix(f"{module.__name__}."): test
    for module in (vs, designing, exploring, opened, written)
    for test in doctest.DocTestFinder(exclude_empty=False).find(module, extraglobs={"vs": vs})
    if module is not vs or test.name == vs.__name__
} | {
    name: doctest.DocTestFinder(recurse=False).find(getattr(vs, name), name, extraglobs={"vs": vs})[0]
    for name in ("VirtioStudyError", "figures", "pictures", "switching", "tables", "waterfall", "words")
}
OF_A_REPORT = (
    "OpenStudy.run",
    "OpenStudy.report",
    "OpenStudy.check",
    "read_results",
    "diff",
    "OpenStudy.export",
    "verify",
)
"""Examples that need a report of today, in an order in which each leaves what the next one needs."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled studies without their reports, in a folder where examples may write."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("lab-qemu", "pve-rig"):
        study = folder / "data" / name
        study.mkdir(parents=True)
        for part in (ROOT / "data" / name).iterdir():
            if part.is_file():
                shutil.copy(part, study)
            elif part.name in ("raw", "recordings"):
                (study / part.name).symlink_to(part)
    (folder / "data" / "published").symlink_to(ROOT / "data" / "published")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    return folder


def run(example: doctest.DocTest) -> str:
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(example, out=said.append, clear_globs=False)
    return "".join(said)


QUICK = sorted(name for name in EXAMPLES if name not in OF_A_REPORT)


@pytest.mark.parametrize("name", QUICK)
def test_an_example_does_what_it_says(name: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    assert run(EXAMPLES[name]) == ""


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_the_lines_of_the_readme_run(readme: str, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(checkout)
    found = re.search(r"(?:^    .*\n)+", (ROOT / readme).read_text().partition("import ([docs")[2], re.MULTILINE)
    assert found
    exec(textwrap.dedent(found.group()), {})
    out = capsys.readouterr().out
    assert "The sustained level changed by -169 MiB" in out
    assert "not_an_effect" in out


@pytest.mark.slow
def test_the_examples_of_a_report_do_what_they_say(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    for name in OF_A_REPORT:
        assert run(EXAMPLES[name]) == "", name


def test_every_public_name_is_there_and_explained_by_an_example() -> None:
    assert dir(vs) == sorted(vs.__all__)
    assert set(public.__all__) <= set(vs.__all__)
    for name in vs.__all__:
        assert getattr(vs, name).__doc__
    both = {**vars(public.OpenStudy), **vars(designing.DesigningStudy)}
    own = {name for name, value in both.items() if inspect.isfunction(value) and name[0] != "_"}
    shown = {name for name, test in EXAMPLES.items() if test.examples}
    shown |= {name.replace("DesigningStudy", "OpenStudy") for name in shown}
    assert {f"OpenStudy.{name}" for name in own} | set(public.__all__) <= shown


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'virtio_study' has no attribute 'load_studdy'"):
        vs.load_studdy  # noqa: B018


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    heavy = "print([m for m in ('pandas', 'pydantic', 'numpy', 'yaml', 'babel', 'matplotlib') if m in sys.modules])"
    code = f"import sys, virtio_study as vs; dir(vs); {heavy}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_opened_study_is_the_study_itself() -> None:
    folder = ROOT / "data" / "lab-qemu"
    opened, study = vs.load_study(folder), load_study(folder)
    assert Keys(opened).reported == Keys(study).reported
    assert opened.folder == study.folder


def test_an_unknown_comparison_is_named_before_anything_is_computed(tmp_path: Path) -> None:
    for file in ("study.yaml", "manifest.json"):
        shutil.copy(ROOT / "data" / "lab-qemu" / file, tmp_path)
    with pytest.raises(StudyError, match=r"unknown comparison 'totl' \(did you mean 'total'\?\); known: total, "):
        vs.load_study(tmp_path).compare("versat", "totl")
