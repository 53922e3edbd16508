"""Checks and sources of other packages: an example package is installed, used, named where it fails, in the key."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from paths import ROOT
from synthetic import make_study
from virtio_study.analysis.validity import checks
from virtio_study.cli.main import cli
from virtio_study.errors import PlugInError
from virtio_study.plug_ins import CHECKS, SOURCES, PlugIn, plug_ins
from virtio_study.recording import read
from virtio_study.workflow.keys import code_digest
from virtio_study.workflow.steps import compare

METER = "".join(
    f"2026-02-01T0{minute // 60}:{minute % 60:02}:00Z 0.25 {300 + minute % 3}\n" for minute in range(1, 300)
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    words = [
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        str(folder),
        str(ROOT / "tests/data/plug_in"),
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *words], check=True, capture_output=True)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which it is installed, and after it one in which it is not."""
    monkeypatch.syspath_prepend(str(site))
    for cached in (plug_ins, code_digest):
        cached.cache_clear()
    yield
    for cached in (plug_ins, code_digest):
        cached.cache_clear()


@pytest.mark.slow
def test_a_check_of_another_package_stands_beside_the_others_and_is_in_the_key(
    tmp_path: Path, installed: None, site: Path
) -> None:
    study = make_study(tmp_path, boots=3)
    with_it = code_digest()
    found = compare(study, "versat")["total"]
    added = [check for check in found.checks["cpu"] if check.name == "an_hour_or_more"]
    assert [check.status for check in added] == ["warn"]
    assert "our house wants an hour" in added[0].sentence
    sys.path.remove(str(site))
    plug_ins.cache_clear()
    code_digest.cache_clear()
    assert code_digest() != with_it


@pytest.mark.slow
def test_a_source_of_another_package_is_a_command_of_files(tmp_path: Path, installed: None) -> None:
    study = make_study(tmp_path, boots=2)
    protocol = study.folder / "study.yaml"
    window = '{server: versat, driver_config: virtio, start: "2026-02-01T00:00:00Z", end: "2026-02-01T05:00:00Z"}'
    protocol.write_text(protocol.read_text() + f"windows:\n  - {window}\n")
    (tmp_path / "meter.txt").write_text(METER)
    said = CliRunner().invoke(cli, ["files", "--help"]).output
    assert "our-site" in said
    done = CliRunner().invoke(cli, ["files", "meter", str(study.folder), "versat", str(tmp_path / "meter.txt")])
    assert done.exit_code == 0, (done.output, done.exception)
    (path,) = study.folder.glob("recordings/versat/virtio/meter-*.parquet")
    recorded = read(path, study.folder)
    assert len(recorded.frame) == 299
    assert recorded.provenance.source == "meter of our-site 2.1, meter.txt"


def test_what_fails_in_another_package_is_named_with_it() -> None:
    entry = metadata.EntryPoint("broken", "no_such_module:check", CHECKS)
    with pytest.raises(PlugInError, match=r"broken of the package other 0\.3: ModuleNotFoundError.*uninstall it"):
        PlugIn("broken", "other", "0.3", entry).call(None, None)


def test_a_check_that_gives_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = metadata.EntryPoint("strange", "builtins:max", CHECKS)
    monkeypatch.setattr(
        "virtio_study.analysis.validity.plug_ins", lambda group: {"s": PlugIn("strange", "o", "1", entry)}
    )
    from virtio_study.analysis.evidence import Side

    side = Side("versat", "emulated", "mem_host", 1.0, "bytes", "mean")
    with pytest.raises(PlugInError, match="strange of the package o 1: "):
        checks(side, side, [], 0.95)


def test_without_other_packages_nothing_is_added() -> None:
    assert plug_ins(CHECKS) == {}
    assert plug_ins(SOURCES) == {}
