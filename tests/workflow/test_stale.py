"""One truth about staleness: nothing made of another protocol, other code or other recordings is used or passed on."""

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import virtio_study as vs
from paths import ROOT
from synthetic import analyse, make_study
from virtio_study.archive.export import export
from virtio_study.cli.main import main
from virtio_study.errors import DataError
from virtio_study.study import Study, load_study
from virtio_study.workflow import keys, steps
from virtio_study.workflow.check import check_study
from virtio_study.workflow.reports import list_made, withdraw


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole study with its report: every artefact is today's."""
    root = tmp_path_factory.mktemp("stale")
    shutil.copytree(ROOT / "data" / "published", root / "data" / "published")
    analyse(make_study(root, boots=2))
    return root


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Study:
    shutil.copytree(made, tmp_path / "root")
    return load_study(tmp_path / "root" / "data" / "made-up")


def stricter(study: Study) -> Study:
    path = study.folder / "study.yaml"
    path.write_text(path.read_text() + "confidence: 0.99\npractical_margin: 0.2\n")
    return load_study(study.folder)


def fresh(folder: Path) -> Study:
    """The same study under the stricter protocol, of which nothing was made yet."""
    made = make_study(folder, boots=2)
    shutil.copytree(ROOT / "data" / "published", folder / "data" / "published")
    return stricter(made)


def only_recording_gone(study: Study) -> Path:
    folder = study.folder / "recordings" / "versat" / "virtio"
    manifest = study.folder / "manifest.json"
    listed = json.loads(manifest.read_text())
    del listed["files"]["recordings/versat/virtio/boot-02.parquet"]
    manifest.write_text(json.dumps(listed))
    (folder / "boot-02.parquet").unlink()
    steps.compare(study, "versat")
    (folder / "boot-01.parquet").rename(study.folder.parent / "elsewhere.parquet")
    return folder / "boot-01.parquet"


# --- results that are read ------------------------------------------------------------------------------------------


def test_results_of_a_study_are_read_if_they_are_of_today_and_a_file_as_it_stands(study: Study) -> None:
    file = study.reports / "results.json"
    assert vs.read_results(study.folder).study.confidence == vs.read_results(file).study.confidence == 0.95
    stricter(study)
    with pytest.raises(DataError, match=r"results\.json: made before study\.yaml changed; make it again with"):
        vs.read_results(study.folder)
    assert vs.read_results(file).study.confidence == 0.95


def test_results_of_a_study_that_were_edited_are_not_read_as_its(study: Study) -> None:
    file = study.reports / "results.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"seed": 1', '"seed": 2', 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"results\.json: changed since it was made"):
        vs.read_results(study.folder)


# --- a notebook by itself ---------------------------------------------------------------------------------------------


def test_a_changed_protocol_reaches_every_number_whatever_is_run_alone(study: Study, tmp_path: Path) -> None:
    expected = steps.write_report(fresh(tmp_path / "fresh"))
    assert steps.write_report(stricter(study)).model_dump() == expected.model_dump()
    pages = [root / "reports/made-up/index.en.html" for root in (tmp_path / "root", tmp_path / "fresh")]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    levels = set(re.findall(r"(\d+)\s%\s(?:confidence )?interval", pages[0].read_text(encoding="utf-8")))
    assert levels == {"99"}


@pytest.mark.slow
def test_notebook_5_alone_by_papermill_mixes_nothing(study: Study, tmp_path: Path) -> None:
    stricter(study)
    root = tmp_path / "root"
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks/5_report.ipynb"), "out.ipynb"]
    subprocess.run([*command, "-p", "study", "made-up"], cwd=root, check=True, capture_output=True)
    steps.write_report(fresh(tmp_path / "fresh"))
    page = "reports/made-up/index.en.html"
    assert (root / page).read_bytes() == (tmp_path / "fresh" / page).read_bytes()


@pytest.mark.parametrize("what", ["clean", "read_arm", "read_provenance", "describe"])
def test_without_its_recording_nothing_is_said_of_a_driver_configuration(study: Study, what: str) -> None:
    gone = only_recording_gone(study)
    with pytest.raises(DataError, match=f"{gone}: listed in the manifest but missing; restore it"):
        getattr(steps, what)(study, "versat", "virtio")


def test_without_its_recording_a_server_is_neither_compared_nor_reported(study: Study) -> None:
    gone = only_recording_gone(study)
    for what in (
        lambda: steps.compare(study, "versat"),
        lambda: steps.results(study),
        lambda: steps.write_report(study),
    ):
        with pytest.raises(DataError, match=f"{gone}: listed in the manifest but missing; restore it"):
            what()


def test_a_recording_that_no_manifest_lists_is_no_recording(study: Study) -> None:
    only_recording_gone(study)
    (study.folder / "manifest.json").write_text('{"version": 1, "files": {}}')
    with pytest.raises(DataError, match="no recording of server 'versat' under 'virtio'; record it first"):
        steps.describe(study, "versat", "virtio")


def test_a_changed_recording_is_used_by_no_step(study: Study) -> None:
    path = study.folder / "recordings" / "versat" / "virtio" / "boot-01.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"boot-01\.parquet: changed since it was recorded"):
        steps.compare(study, "versat")


def test_each_recording_is_read_once_a_step(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    sys.addaudithook(lambda event, found: opened.append(str(found[0])) if event == "open" else None)
    monkeypatch.setattr(keys, "code_digest", lambda: "other")  # so that everything is made anew
    before = len(opened)
    steps.write_report(study)
    read = [name for name in opened[before:] if name.endswith(".parquet") and "/recordings/" in name]
    assert len(read) == len(set(read)) == 4


# --- keys -------------------------------------------------------------------------------------------------------------


def test_the_same_study_elsewhere_has_the_same_artefacts_and_list(study: Study, tmp_path: Path) -> None:
    other = make_study(tmp_path / "elsewhere", boots=2)
    shutil.copytree(ROOT / "data" / "published", tmp_path / "elsewhere" / "data" / "published")
    analyse(other)
    for one, two in ((study.reports, other.reports), (study.work, other.work)):
        names = {path.relative_to(one) for path in one.rglob("*") if path.is_file() and ".run" not in path.parts}
        assert len(names) > 5
        assert {name: (one / name).read_bytes() for name in names} == {
            name: (two / name).read_bytes() for name in names
        }


def test_code_that_makes_results_is_in_the_key_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "virtio_study"
    shutil.copytree(keys.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "PACKAGE", package)
    digest: Callable[[], str] = keys.code_digest.__wrapped__
    before = digest()
    for name in (
        "cli/main.py",
        "lab/guest.py",
        "sources/runs.py",
        "testing/demo.py",
        "__pycache__/x.pyc",
        "stats/.x.swp",
        "stats/.old/x.py",
    ):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("changed")
        assert digest() == before, name
    for name in (
        "stats/series.py",
        "report/templates/style.css",
        "recording/schema.py",
        "i18n/locale/es/LC_MESSAGES/virtio_study.po",
    ):
        (package / name).write_text("changed")
        assert digest() != before, name
        before = digest()


# --- check and export -------------------------------------------------------------------------------------------------


def other_protocol(study: Study) -> None:
    stricter(study)


def other_words(study: Study) -> None:
    path = study.folder / "study.yaml"
    path.write_text(path.read_text() + "# a comment\n")


def counts(study: Study) -> None:
    (study.folder / "counts.json").write_text('{"rows": []}')


def published_values(study: Study) -> None:
    path = study.folder.parent / "published" / "values.csv"
    path.write_text(path.read_text() + "\n")


def published_gone(study: Study) -> None:
    shutil.rmtree(study.folder.parent / "published")


STALE = {
    other_protocol: r"made before study\.yaml changed",
    other_words: r"made before study\.yaml changed",
    counts: r"made before counts\.json changed",
    published_values: r"made before published/values\.csv changed",
    published_gone: r"made before published/study\.yaml, published/values\.csv changed",
}


@pytest.mark.parametrize("spoil", STALE)
def test_a_report_of_another_protocol_or_input_is_found_and_not_exported(
    study: Study, tmp_path: Path, spoil: Callable[[Study], None]
) -> None:
    assert check_study(study).problems == []
    spoil(study)
    protocol = load_study(study.folder)
    found = [line for line in map(str, check_study(protocol).problems) if "results.json" in line or "index.en" in line]
    assert len(found) == 1
    assert "make it again with: virtio-study run made-up" in found[0]
    with pytest.raises(DataError, match=STALE[spoil]):
        export(protocol, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_a_report_of_other_code_is_found_and_not_exported(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "code_digest", lambda: "other")
    with pytest.raises(DataError, match="made before src/virtio_study changed; make it again with"):
        export(study, tmp_path / "x.zip")
    assert len(check_study(study).problems) == 1


FILES = [
    "results.json",
    "index.es.html",
    "figures/versat-ram.en.svg",
    "figures/versat-ram.csv",
    "notebooks/4_compare-versat.ipynb",
]


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_and_a_missing_file_are_found_and_not_exported(
    study: Study, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study.reports / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    expected = f"{path}: changed since it was made (SHA-256 differs from the manifest); make it again with: "
    assert [str(problem) for problem in check_study(study).problems] == [f"{expected}virtio-study run made-up"]
    with pytest.raises(DataError, match="changed since it was made"):
        export(study, tmp_path / "x.zip")
    path.unlink()
    with pytest.raises(DataError, match="missing; make it again with: virtio-study run made-up"):
        export(study, tmp_path / "x.zip")
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(study.folder)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"{path}: missing; make it again with: virtio-study run made-up\n"


def test_a_file_that_no_step_made_is_found_and_not_exported(study: Study, tmp_path: Path) -> None:
    (study.reports / "figures" / "more.svg").write_text("<svg/>")
    with pytest.raises(DataError, match=r"more\.svg: not in .*manifest\.json, so no step made it; remove it"):
        export(study, tmp_path / "x.zip")


@pytest.mark.parametrize("content", [None, b"{", b'{"files": {"a": {}}, "keys": {}}'])
def test_a_list_that_is_not_there_or_damaged_is_one_line(study: Study, content: bytes | None) -> None:
    path = study.reports / "manifest.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (problem,) = map(str, check_study(study).problems)
    assert problem.startswith(f"{path}: ")
    assert problem.endswith("make it again with: virtio-study run made-up")
    analyse(study)
    assert check_study(study).problems == []


def test_a_study_without_a_report_is_as_it_should_be(tmp_path: Path) -> None:
    found = check_study(make_study(tmp_path, boots=1))
    assert (found.recorded, found.made, found.problems) == (2, 0, [])


# --- what an earlier run left -----------------------------------------------------------------------------------------


def test_figures_that_the_protocol_no_longer_asks_for_go(study: Study) -> None:
    path = study.folder / "study.yaml"
    path.write_text(path.read_text().replace("mem_host, ", ""))
    analyse(load_study(study.folder))
    assert not list((study.reports / "figures").glob("*mem_host*"))
    assert check_study(load_study(study.folder)).problems == []


def test_a_file_that_somebody_changed_is_never_removed(study: Study) -> None:
    key = keys.Keys(study).reported
    for name in ("notebooks/4_compare-old.ipynb", "notebooks/4_compare-older.ipynb"):
        (study.reports / name).write_text("{}")
        list_made(study, key, name)
    (study.reports / "notebooks/4_compare-old.ipynb").write_text("{ }")
    withdraw(study, "notebooks/4_compare-*.ipynb", ["notebooks/4_compare-versat.ipynb"])
    left = sorted(path.name for path in (study.reports / "notebooks").glob("4_*"))
    assert left == ["4_compare-old.ipynb", "4_compare-versat.ipynb"]


# --- where results were made ------------------------------------------------------------------------------------------


def test_the_environment_stands_beside_the_results_and_in_none_of_them(study: Study) -> None:
    made = json.loads((study.reports / "environment.json").read_text())
    assert {"numpy", "pandas", "scipy", "virtio-study"} <= set(made["packages"])
    assert made["python"] == platform.python_version()
    assert made["processor"]
    assert "openblas" in made["blas"]


def test_the_same_results_made_elsewhere_leave_the_environment_as_it_is(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study.reports / "environment.json"
    before = path.read_bytes()
    monkeypatch.setattr(steps, "environment", lambda: {"python": "9.9"})
    steps.write_results(study)
    assert path.read_bytes() == before
    steps.write_results(stricter(study))
    assert json.loads(path.read_text()) == {"python": "9.9"}
