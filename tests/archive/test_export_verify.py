"""A study packed, unpacked, checked, analysed again and compared; and zips that are damaged or mean harm."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from synthetic import analyse, make_study
from virtio_study.archive import export as archive_export
from virtio_study.archive import verify as archive_verify
from virtio_study.archive.export import CHECKSUMS, METADATA, export, safe_name
from virtio_study.archive.verify import FileDifference, repeat, unpack
from virtio_study.cli.main import main
from virtio_study.errors import DataError, PipelineError, StudyError
from virtio_study.i18n.sentences import said
from virtio_study.study import Study, load_study
from virtio_study.workflow.runner import Outcome

RESULTS = "reports/made-up/results.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    shutil.copytree(ROOT / "data" / "published", root / "data" / "published")
    study = make_study(root, boots=3)
    analyse(study)
    return root


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Study:
    shutil.copytree(made, tmp_path / "root")
    return load_study(tmp_path / "root" / "data" / "made-up")


@pytest.fixture(scope="module")
def packed(made: Path) -> Path:
    return export(load_study(made / "data" / "made-up"), made / "packed.zip").path


@pytest.fixture
def quick(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that make the report of the good archive, without kernels."""

    def run(study: Study, **_: Any) -> Outcome:
        shutil.copytree(made / "reports" / "made-up", study.reports)
        return Outcome()

    monkeypatch.setattr("virtio_study.workflow.runner.run", run)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def changed(source: Path, target: Path, *, checksums: bool = True, **changes: bytes | None) -> Path:
    """A copy of a zip with other contents (None: without the file); with `checksums`, their list is made to fit."""
    with zipfile.ZipFile(source) as before:
        contents = {name: before.read(name) for name in before.namelist()}
    for name, content in changes.items():
        contents.pop(name, None)
        if content is not None:
            contents[name] = content
    if checksums:
        listed = sorted(set(contents) - {CHECKSUMS})
        lines = (f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in listed)
        contents[CHECKSUMS] = "".join(lines).encode()
    with zipfile.ZipFile(target, "w") as after:
        for name, content in contents.items():
            after.writestr(name, content)
    return target


# --- export -----------------------------------------------------------------------------------------------------------


def test_an_archive_has_all_that_the_numbers_were_made_from_and_nothing_else(study: Study, tmp_path: Path) -> None:
    (study.folder / "work").mkdir(exist_ok=True)
    for stray in ("work/x.parquet", "guest/kernel", ".token", "notes.txt", "recordings/unlisted.parquet"):
        (study.folder / stray).parent.mkdir(exist_ok=True)
        (study.folder / stray).write_text("stray")
    for stray in (".run/manifest.json", "earlier.zip"):
        (study.reports / stray).parent.mkdir(exist_ok=True)
        (study.reports / stray).write_text("stray")
    written = export(study, tmp_path / "x.zip")
    with zipfile.ZipFile(written.path) as file:
        names = set(file.namelist())
        assert not [name for name in names if file.read(name) == b"stray"]
    assert written.files == len(names)
    assert {
        CHECKSUMS,
        METADATA,
        "CITATION.cff",
        "LICENSE",
        "README.es.md",
        "README.md",
        "data/made-up/manifest.json",
        "data/made-up/recordings/versat/virtio/boot-03.parquet",
        "data/made-up/study.yaml",
        "data/published/study.yaml",
        "data/published/values.csv",
        "environment.yml",
        "notebooks/5_report.ipynb",
        "pyproject.toml",
        RESULTS,
        "reports/made-up/figures/versat-ram.en.svg",
        "reports/made-up/index.en.html",
        "reports/made-up/manifest.json",
        "reports/made-up/notebooks/4_compare-versat.ipynb",
        "requirements.lock",
        "src/virtio_study/cli/main.py",
        "src/virtio_study/report/templates/report.html.j2",
    } <= names


def test_the_same_files_make_the_same_zip(study: Study, packed: Path, tmp_path: Path) -> None:
    os.utime(study.folder / "study.yaml", (0, 0))
    (study.reports / "results.json").chmod(0o600)
    first, second = export(study, tmp_path / "a.zip"), export(study, tmp_path / "b.zip")
    assert first.sha256 == second.sha256 == hashlib.sha256(packed.read_bytes()).hexdigest()


def test_any_checksum_tool_verifies_the_archive(packed: Path, tmp_path: Path, needs: Callable[[str], str]) -> None:
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path)
    checked = subprocess.run([needs("sha256sum"), "--check", "--quiet", CHECKSUMS], cwd=tmp_path, check=False)
    assert checked.returncode == 0
    (tmp_path / "LICENSE").write_text("other")
    assert subprocess.run([needs("sha256sum"), "--status", "--check", CHECKSUMS], cwd=tmp_path, check=False).returncode


def test_the_metadata_is_an_ro_crate_that_describes_every_file(packed: Path, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path)
    crate = ROCrate(tmp_path)
    present = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    described = {entity.id for entity in crate.data_entities}
    assert described == present - {METADATA, CHECKSUMS}
    for entity in crate.data_entities:
        content = (tmp_path / entity.id).read_bytes()
        assert (entity["contentSize"], entity["sha256"]) == (str(len(content)), hashlib.sha256(content).hexdigest())
    root = crate.root_dataset
    assert root["name"] == "made up"
    assert root["license"].id == "LICENSE"
    assert root["mainEntity"].id == RESULTS
    assert root["datePublished"] == "2026-01-01"
    assert crate.dereference("#analysis")["instrument"]["softwareVersion"]
    assert crate.dereference("#paper")["datePublished"] == "2024"


def test_metadata_and_readme_say_what_the_recordings_are(packed: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        graph = json.loads(file.read(METADATA))["@graph"]
        english, spanish = file.read("README.md").decode(), file.read("README.es.md").decode()
    recordings = [item for item in graph if "/recordings/" in item["@id"]]
    assert len(recordings) == 6
    assert {item["measurementTechnique"] for item in recordings} == {"simulated; source test, accelerator tcg"}
    assert "made up by a program" in next(item for item in graph if item["@id"] == "./")["description"]
    assert "# made up\n" in english
    assert "simulated: made up by a program" in english
    assert "# inventado\n" in spanish
    assert "simuladas: inventadas por un programa" in spanish
    assert "$" not in english + spanish


def test_a_title_stays_one_line_of_text_in_the_readme(study: Study, tmp_path: Path) -> None:
    protocol = study.folder / "study.yaml"
    protocol.write_text(protocol.read_text().replace("en: made up", r'en: "<b>[x](y)</b>\n# two $name"'))
    analyse(load_study(study.folder))
    with zipfile.ZipFile(export(load_study(study.folder), tmp_path / "x.zip").path) as file:
        text = file.read("README.md").decode()
    assert text.splitlines()[0] == r"# &lt;b&gt;\[x\](y)&lt;/b&gt; \# two $name"


def stale_protocol(study: Study) -> Path:
    path = study.folder / "study.yaml"
    path.write_text(path.read_text() + "# a comment\n")
    return path


def stale_counts(study: Study) -> Path:
    path = study.folder / "counts.json"
    path.write_text("{}")
    return path


def stale_published(study: Study) -> Path:
    path = study.folder.parent / "published" / "values.csv"
    path.write_text(path.read_text() + "\n")
    return path


def gone_published(study: Study) -> Path:
    path = study.folder.parent / "published" / "study.yaml"
    path.unlink()
    return path


def old_schema(study: Study) -> Path:
    path = study.reports / "results.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    return path


def no_page(study: Study) -> Path:
    path = study.reports / "index.en.html"
    path.unlink()
    return path


@pytest.mark.parametrize("spoil", [stale_protocol, stale_counts, stale_published, gone_published, old_schema, no_page])
def test_results_out_of_date_are_refused_with_the_command_to_run(
    study: Study, tmp_path: Path, spoil: Callable[[Study], Path]
) -> None:
    path = spoil(study)
    with pytest.raises(DataError, match="make it again with: virtio-study run made-up") as refused:
        export(load_study(study.folder), tmp_path / "x.zip")
    assert path.name in str(refused.value)
    assert not list(tmp_path.glob("*.zip"))


def test_what_cannot_be_archived_is_said(study: Study, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="a published study has no recordings"):
        export(load_study(study.folder.parent / "published"), tmp_path / "x.zip")
    recording = study.folder / "recordings" / "versat" / "virtio" / "boot-01.parquet"
    recording.write_bytes(recording.read_bytes() + b"x")
    with pytest.raises(DataError, match="changed since it was recorded"):
        export(study, tmp_path / "x.zip")
    shutil.rmtree(study.reports)
    recording.write_bytes(recording.read_bytes()[:-1])
    with pytest.raises(DataError, match="no results yet; make them with: virtio-study run made-up"):
        export(study, tmp_path / "x.zip")


def test_a_file_that_changes_meanwhile_leaves_the_earlier_archive(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "x.zip"
    before = export(study, target)
    real = archive_export.sha256
    monkeypatch.setattr(
        archive_export, "sha256", lambda path: "0" * 64 if path.name == "versat-ram.en.svg" else real(path)
    )
    with pytest.raises(DataError, match=r"versat-ram\.en\.svg: changed while it was archived; export again"):
        export(study, target)
    assert real(target) == before.sha256
    assert [path.name for path in target.parent.iterdir()] == ["x.zip"]


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_good_archive_comes_out_the_same(
    packed: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, out, err = run(capsys, "verify", str(packed))
    assert code == 0
    assert "every checksum is right" in err
    assert "installed program" not in err
    assert "first:  the archived results of made-up" in out
    assert re.search(
        r"Every one of \d+ values is the same\.\n\d+ files of the report are the same to the last byte", out
    )
    assert list(tmp_path.iterdir()) == []


def edited(packed: Path, target: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    with zipfile.ZipFile(packed) as file:
        results = json.loads(file.read(RESULTS))
    edit(results)
    return changed(packed, target, **{RESULTS: json.dumps(results).encode()})


def test_a_number_that_comes_out_otherwise_is_named(
    packed: Path, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(results: dict[str, Any]) -> None:
        results["servers"]["versat"]["configurations"]["virtio"]["levels"]["cpu"]["sustained"]["estimate"] *= 2

    place = str(edited(packed, tmp_path / "x.zip", edit))
    code, out, _ = run(capsys, "verify", place)
    assert code == 1
    assert "1 of " in out
    assert "servers/versat/configurations/virtio/levels/cpu/sustained/estimate: " in out
    assert "(-50 %)" in out
    assert f"{RESULTS} differs from what the archived inputs give" in out
    assert "edited" not in out
    code, out, _ = run(capsys, "verify", "--json", place)
    assert (code, json.loads(out)["differing"]) == (1, 1)


def test_a_number_within_the_promise_is_no_difference(
    packed: Path, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(results: dict[str, Any]) -> None:
        results["servers"]["versat"]["configurations"]["virtio"]["levels"]["cpu"]["sustained"]["estimate"] *= 1 + 2e-9

    code, out, _ = run(capsys, "verify", str(edited(packed, tmp_path / "x.zip", edit)))
    assert code == 0
    assert "the same within the promise" in out


def first_number_of_a_table(content: bytes) -> bytes:
    """A page whose first number in a table is another."""
    text, count = re.subn(r"(<td[^>]*>[^<]*?)\d+(?:\.\d+)?", r"\g<1>77.77", content.decode(), count=1)
    assert count == 1
    return text.encode()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("index.en.html", first_number_of_a_table),
        ("index.es.html", first_number_of_a_table),
        ("figures/versat-ram.en.svg", lambda content: content + b"<!-- -->"),
        ("figures/versat-ram.csv", lambda content: content.replace(b"1", b"7", 1)),
        ("notebooks/4_compare-versat.ipynb", lambda content: content.replace(b"versat", b"dominio", 1)),
    ],
)
def test_a_file_of_the_report_that_comes_out_otherwise_is_named(
    packed: Path,
    quick: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    change: Callable[[bytes], bytes],
) -> None:
    name = f"reports/made-up/{name}"
    with zipfile.ZipFile(packed) as file:
        content = file.read(name)
    assert change(content) != content
    place = str(changed(packed, tmp_path / "x.zip", **{name: change(content)}))
    code, out, _ = run(capsys, "verify", place)
    assert code == 1
    assert f"\n{name} differs from what the archived inputs give\n" in out
    assert "values is the same." in out
    code, out, _ = run(capsys, "verify", "--json", place)
    found = json.loads(out)
    assert (code, found["agreement"], found["reports"]) == (1, "different", [{"name": name, "kind": "changed"}])


def test_a_page_too_many_and_one_too_few_are_named(packed: Path, quick: None, tmp_path: Path) -> None:
    more, less = "reports/made-up/figures/more.csv", "reports/made-up/index.en.html"
    found = repeat(changed(packed, tmp_path / "x.zip", **{more: b"x", less: None}), say=lambda _: None)
    assert found.differing == (FileDifference(more, "removed"), FileDifference(less, "added"))
    assert found.agreement == "different"


def test_another_environment_and_other_code_are_said_and_nobody_is_accused(
    packed: Path, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "reports/made-up/environment.json"
    with zipfile.ZipFile(packed) as file:
        made = json.loads(file.read(name))
    made["packages"] |= {"numpy": "0.0", "gone": "1.0"}
    files = {name: json.dumps(made).encode(), "src/virtio_study/audit.py": b"# other\n", "notebooks/6.ipynb": b"{}"}
    place = changed(packed, tmp_path / "x.zip", **files)
    found = repeat(place, say=lambda _: None)
    assert found.agreement == "identical"
    assert found.other_code == ("notebooks/6.ipynb", "src/virtio_study/audit.py")
    assert {item.cause for item in found.differences.causes} == {"environment"}
    code, out, err = run(capsys, "verify", str(place))
    assert code == 0
    assert "environment/packages/gone: only in the first: '1.0'" in out
    assert "environment/packages/numpy: '0.0' -> " in out
    assert "2 files of the installed program are not those of the archive" in err


def test_an_archive_without_environment_and_list_is_compared_all_the_same(
    packed: Path, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {f"reports/made-up/{name}": None for name in ("environment.json", "manifest.json")}
    code, out, _ = run(capsys, "verify", str(changed(packed, tmp_path / "x.zip", **gone)))
    assert code == 0
    assert "environment: only in the second: " in out


def test_a_notebook_that_fails_is_exit_1(
    packed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = Outcome(error={"4_compare-versat": said("cell {index}: {error}", index=3, error="ValueError: no")})
    monkeypatch.setattr("virtio_study.workflow.runner.run", lambda *_, **__: failed)
    code, _, err = run(capsys, "verify", str(packed))
    assert code == 1
    assert err.splitlines()[-1] == "error: 4_compare-versat: cell 3: ValueError: no"


def flipped(packed: Path, target: Path) -> Path:
    data = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as file:
        entry = file.getinfo(RESULTS)
    data[entry.header_offset + 30 + len(RESULTS) + entry.compress_size // 2] ^= 0xFF
    target.write_bytes(data)
    return target


def truncated(packed: Path, target: Path) -> Path:
    target.write_bytes(packed.read_bytes()[:-200])
    return target


def no_zip(packed: Path, target: Path) -> Path:
    target.write_text("hello")
    return target


def changed_byte(packed: Path, target: Path) -> Path:
    return changed(packed, target, checksums=False, **{"LICENSE": b"other"})


def missing(packed: Path, target: Path) -> Path:
    return changed(packed, target, checksums=False, **{"LICENSE": None, "README.md": None})


def extra(packed: Path, target: Path) -> Path:
    return changed(packed, target, checksums=False, **{"more.txt": b"x"})


def no_checksums(packed: Path, target: Path) -> Path:
    return changed(packed, target, checksums=False, **{CHECKSUMS: None})


def odd_checksums(packed: Path, target: Path) -> Path:
    return changed(packed, target, checksums=False, **{CHECKSUMS: b"\x1b[2J LICENSE\n"})


def two_studies(packed: Path, target: Path) -> Path:
    return changed(packed, target, **{"reports/other/results.json": b"{}"})


def no_results(packed: Path, target: Path) -> Path:
    return changed(packed, target, **{RESULTS: b"{}"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flipped, f"'{RESULTS}' is damaged"),
        (truncated, "damaged, or not a zip"),
        (no_zip, "damaged, or not a zip"),
        (changed_byte, "'LICENSE' changed since it was archived (SHA-256 differs)"),
        (missing, "'LICENSE' is missing (2 such files)"),
        (extra, f"'more.txt' is not listed in {CHECKSUMS}"),
        (no_checksums, f"no {CHECKSUMS} in it"),
        (odd_checksums, "is no checksum and name"),
        (two_studies, "expected one study with its results; found 2"),
        (no_results, "not results of virtio-study"),
    ],
)
def test_a_damaged_archive_is_one_line_and_exit_2(
    packed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path, Path], Path],
    message: str,
) -> None:
    code, out, err = run(capsys, "verify", str(damage(packed, tmp_path / "x.zip")))
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, out, len(errors)) == (2, "", 1)
    assert message in errors[0]
    assert errors[0].isprintable()


def test_no_file_at_all_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "verify", str(tmp_path / "none.zip"))
    assert (code, err.count("\n")) == (2, 1)


# --- zips that mean harm ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "/etc/out",
        "//host/out",
        "a\\..\\out",
        "C:out",
        "a//b",
        "a/./b",
        "folder/",
        "a\nb",
        "a\u202eb",
        "x" * 256,
    ],
)
def test_names_that_leave_the_folder_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    assert not safe_name(name)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr(CHECKSUMS, f"{hashlib.sha256(b'x').hexdigest()}  {name}\n")
        file.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(DataError, match=r"refused at .* its name could lead out"):
        unpack(tmp_path / "x.zip", tmp_path / "in" / "crate")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def entry(name: str, **attributes: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("a", external_attr=0o120777 << 16)], "a link or a device"),
        ([entry("a", external_attr=0o020666 << 16)], "a link or a device"),
        ([entry("a"), entry("a")], "two files have that name"),
        ([entry("a/B"), entry("A/b")], "two files have that name"),
        ([entry("a"), entry("a/b")], "'a' is a file"),
        ([entry("a", compress_type=zipfile.ZIP_LZMA)], "compressed in a way"),
    ],
)
def test_links_doubles_and_odd_compression_are_refused(
    tmp_path: Path, entries: list[zipfile.ZipInfo], message: str
) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for info in entries:
            file.writestr(info, b"x", compress_type=info.compress_type)
    with pytest.raises(DataError, match=message):
        unpack(tmp_path / "x.zip", tmp_path / "crate")
    assert not (tmp_path / "crate").exists()


def test_a_flood_is_refused_before_it_is_unpacked(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value in (("MOST_FILES", 10), ("MOST_BYTES", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(archive_verify, limit, value)
            with pytest.raises(DataError, match="more than a study packs"):
                unpack(packed, tmp_path / "crate")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 10}))
    with pytest.raises(DataError, match="set TMPDIR to a larger one"):
        unpack(packed, tmp_path / "crate")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_code_in_an_archive_does_not_run_unless_asked(packed: Path, quick: None, tmp_path: Path) -> None:
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch(); raise SystemExit(7)\n".encode()
    place = changed(packed, tmp_path / "x.zip", **{"src/virtio_study/__init__.py": trap})
    assert repeat(place, say=lambda _: None).agreement == "identical"
    assert not (tmp_path / "ran").exists()
    with pytest.raises(PipelineError, match="archived program ended with exit code 7"):
        repeat(place, archived_code=True, say=lambda _: None)
    assert (tmp_path / "ran").exists()


def test_archived_code_is_given_no_secret_no_home_and_no_network(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", "root@pam!x=canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        trap = (
            "import os, pathlib, socket\n"
            f"seen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
            "seen.write_text(repr(dict(os.environ)))\n"
            f"socket.create_connection(('127.0.0.1', {listening.getsockname()[1]}), 2)\n"
            "seen.write_text(seen.read_text() + 'CONNECTED')\n"
        ).encode()
        place = changed(packed, tmp_path / "x.zip", **{"src/virtio_study/__init__.py": trap})
        with pytest.raises(PipelineError, match="archived program ended"):
            repeat(place, archived_code=True, say=lambda _: None)
    seen = (tmp_path / "seen").read_text()
    assert "canary" not in seen
    assert str(Path.home()) not in seen.partition("HOME")[2][:40]
    assert ("CONNECTED" in seen) == (not archive_verify._without_network())


# --- the whole of it --------------------------------------------------------------------------------------------------


def virtio_study(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "virtio_study", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_small_study_is_run_packed_and_repeated_by_its_notebooks(tmp_path: Path) -> None:
    make_study(tmp_path, boots=2)
    verified = [("verify", "made-up.zip"), ("verify", "made-up.zip", "--archived-code")]
    for command in (("run", "made-up"), ("export", "made-up"), *verified):
        done = virtio_study(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert command[0] != "verify" or "values is the same." in done.stdout


@pytest.mark.slow
def test_a_bundled_study_is_repeated_to_the_last_digit(tmp_path: Path) -> None:
    """The smaller one; `make report`, whose bytes the continuous integration compares, repeats both."""
    for name in ("pve-rig", "published"):
        shutil.copytree(ROOT / "data" / name, tmp_path / "data" / name, ignore=shutil.ignore_patterns("work"))
    for command in (("run", "pve-rig"), ("export", "pve-rig"), ("verify", "pve-rig.zip")):
        done = virtio_study(tmp_path, *command)
        assert done.returncode == 0, done.stderr
    assert "values is the same." in done.stdout
