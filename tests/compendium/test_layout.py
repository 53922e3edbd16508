"""A folder for a study of one's own: what is laid out, that it works, and that nothing is overwritten."""

import sys
import time
from pathlib import Path

import pytest
import yaml

from paths import ROOT
from virtio_study.cli.main import main
from virtio_study.compendium import layout
from virtio_study.errors import NoRoomError
from virtio_study.study import load_study
from virtio_study.testing.pve import serve, two_servers
from virtio_study.workflow.check import unfinished
from virtio_study.workflow.graph import find_notebooks


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_a_folder_has_all_that_a_study_needs_and_says_what_is_left_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "Hospital 2026"
    code, out, err = run(capsys, "init", folder)
    assert code == 0, err
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert out.splitlines() == [f"wrote {folder / name}" for name in sorted(written)]
    notebooks = {path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").rglob("*.ipynb")}
    texts = {".gitignore", "Makefile", "README.md", "README.es.md", "environment.yml", "requirements.lock"}
    data = {"data/hospital-2026/study.yaml", "data/published/study.yaml", "data/published/values.csv"}
    assert written == notebooks | texts | data
    assert (folder / "requirements.lock").read_bytes() == (ROOT / "requirements.lock").read_bytes()
    study = load_study(folder / "data" / "hospital-2026")
    assert find_notebooks(study) == folder / "notebooks"
    left = " ".join(str(problem) for problem in unfinished(study))
    for key in ("host.name", "host.cpu_model", "host.hypervisor", "servers.server.role", "servers.server.guest_os"):
        assert key in left
    assert "virtio-study run hospital-2026" in (folder / "README.md").read_text()
    assert "STUDY := hospital-2026\n" in (folder / "Makefile").read_text()
    assert {"data/*/work/", "data/*/raw/.lock"} <= {*(folder / ".gitignore").read_text().splitlines()}
    environment = yaml.safe_load((folder / "environment.yml").read_text())
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.lock"]}


def test_what_a_full_disk_ended_goes_on_with_the_same_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, written = tmp_path / "mine", layout.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.name == "2_clean.ipynb":
            raise NoRoomError("{path}: not written: no room", path=path)
        written(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_atomically", full)
        assert run(capsys, "init", folder)[0] == 2
    assert (folder / ".gitignore").exists()
    assert run(capsys, "init", folder)[0] == 0
    assert (folder / "notebooks/2_clean.ipynb").exists()
    assert run(capsys, "init", folder)[0] == 2


@pytest.mark.parametrize("present", ["README.md", "data/mine/study.yaml", "notebooks/es/2_clean.ipynb"])
def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str], present: str) -> None:
    folder = tmp_path / "mine"
    kept = folder / present
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    code, out, err = run(capsys, "init", folder)
    assert (code, out) == (2, "")
    assert err == f"error: {kept}: there already; give another folder\n"
    assert [path for path in folder.rglob("*") if path.is_file()] == [kept]
    assert kept.read_text() == "mine"


def test_other_files_are_no_hindrance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine" / ".git").mkdir(parents=True)
    assert run(capsys, "init", tmp_path / "mine")[0] == 0


def test_the_protocol_is_made_from_a_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(two_servers(time.time() + 9 * 3600, hours=(12, 4, 4))) as host:  # the first change is an hour away
        monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
        where = ("--host", host.host, "--port", host.port, "--ca-file", host.ca_file)
        code, _, err = run(capsys, "init", tmp_path / "mine", 100, 101, *where)
        assert code == 0, err
        code, _, err = run(capsys, "init", tmp_path / "other", *where)
        assert code == 2
        assert "virtio-study inventory" in err
    assert [*load_study(tmp_path / "mine" / "data" / "mine").servers] == ["versat", "dominio"]
    assert not (tmp_path / "other").exists()


def test_the_protocol_is_made_from_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["pve7", "8.4", "EPYC 7302", "32", "128", "128 GiB", "Mail!", "mail", "takes letters", "90", "120", "4"]
    answers += ["8 GiB", "windows", "y", "mail", "db", "keeps them", "", "", "", "linux", "n", "lsi", "rtl8139"]
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: answers.pop(0))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, err = run(capsys, "init", tmp_path / "mine")
    assert code == 0, err
    assert answers == []
    study = load_study(tmp_path / "mine" / "data" / "mine")
    assert (study.host.name, study.host.hypervisor, study.host.logical_cpus) == ("pve7", "Proxmox VE 8.4", 32)
    assert {name: (server.vmid, server.vcpus, server.guest_os) for name, server in study.servers.items()} == {
        "mail": (120, 4, "windows"),
        "db": (101, 2, "linux"),
    }
    assert (study.driver_configs["before"].disk, study.driver_configs["before"].nic) == ("lsi", "rtl8139")
    assert unfinished(study) == []
    assert "'mail' is taken" in out + err
