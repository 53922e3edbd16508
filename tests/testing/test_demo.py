"""The demonstration: what it prints works as printed, and what was interrupted goes on."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from virtio_study.cli.main import main
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import Said
from virtio_study.study import load_study
from virtio_study.testing import demo
from virtio_study.testing.demo import run_demo
from virtio_study.testing.standing import Moment, standing, to_paste
from virtio_study.testing.versions import VersionName
from virtio_study.workflow.check import unfinished
from virtio_study.workflow.runner import Outcome


@pytest.mark.parametrize(
    ("moment", "version", "servers"),
    [
        ("during", "9.2", {100, 101}),
        pytest.param("before", "8.4", {100, 101}, marks=pytest.mark.slow),
        ("after", "9.2", {102}),
        pytest.param("during", "4.4", {100, 101}, marks=pytest.mark.slow),
    ],
)
def test_the_commands_work_as_printed(
    moment: Moment,
    version: VersionName,
    servers: set[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with standing(moment, version) as host:
        for line in to_paste(host, moment, version):
            words = shlex.split(line.command)
            if line.step == "secret":
                for setting in words[1:]:
                    monkeypatch.setenv(*setting.split("=", 1))
            elif line.step == "complete":
                subprocess.run(words, check=True)
            elif line.step != "record":  # which needs more polls than this test waits for
                with pytest.raises(SystemExit) as ended:
                    main([*words[1:-1], "0.000001"] if line.step == "watch" else words[1:])
                assert ended.value.code == 0, (line, capsys.readouterr())
    study = load_study("mine")
    assert {server.vmid for server in study.servers.values()} == servers
    assert unfinished(study) == []
    assert [*(study.folder / "raw").iterdir()]


def test_the_host_stays_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "virtio_study", "demo", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=UNBUFFERED) as host:
        assert host.stdout is not None
        for line in host.stdout:
            if line.startswith("virtio-study files answers mine"):
                break
        host.send_signal(signal.SIGINT)
        _, err = host.communicate(timeout=30)
    assert (host.returncode, err) == (0, "the simulated host has ended\n")


UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}


def test_an_interrupted_demonstration_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "HOURS", (3, 3, 3))
    runs: list[Path] = []

    def interrupted(study: Any, say: Any) -> Outcome:
        runs.append(study.folder)
        if len(runs) == 1:
            raise KeyboardInterrupt
        return Outcome()

    monkeypatch.setattr("virtio_study.workflow.runner.run", interrupted)
    said: list[Said] = []
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path, said.append)
    manifest = (tmp_path / "data" / "simulated" / "manifest.json").read_bytes()
    assert len(said) > 1
    said.clear()
    assert run_demo(tmp_path, said.append) == tmp_path / "reports" / "simulated" / "index.en.html"
    assert said == []  # nothing was collected again
    assert (tmp_path / "data" / "simulated" / "manifest.json").read_bytes() == manifest
    for path in (tmp_path / "data" / "simulated" / "recordings").rglob("*.parquet"):
        path.unlink()
        break
    run_demo(tmp_path, said.append)
    assert len(said) > 1  # what is not there is collected again
    protocol = tmp_path / "data" / "simulated" / "study.yaml"
    protocol.write_text(protocol.read_text().replace("A simulated demonstration", "My own"))
    with pytest.raises(DataError, match="there is a study already"):
        run_demo(tmp_path, said.append)
