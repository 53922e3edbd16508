"""The command line in the pseudo-language: help, errors and output hold no word that is neither marked nor data."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pseudo
import pytest
import yaml
from test_pseudo_language import left as unmarked_in

from paths import ROOT
from virtio_study.analysis.results import Results
from virtio_study.cli import main
from virtio_study.cli.main import cli
from virtio_study.study import METRICS
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers

pytestmark = pytest.mark.usefixtures("pseudo_language", "speak_pseudo")

CODE = re.compile(
    r"(?<!\w)--?[a-z][\w-]*|\b[A-Z][A-Z_.]+\b|[\w./~-]*/[\w./~-]*|'[^']*'|\b\w+\.(?:yaml|json|csv|zip)\b|0<x<1|x>=?\d+"
)
"""Options, names of arguments, paths, quoted values and ranges: code that is shown as code."""
SERVERS = {"versat", "dominio", "archivos"}
CHOICES = {"https", "local", "openssh", "table", "csv", "json", "cpu", "before", "during", "after", "pairs", "bojinov"}


@pytest.fixture
def speak_pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_LANGUAGE", pseudo.PSEUDO)
    monkeypatch.chdir(ROOT)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command writes, to both ends."""
    with pytest.raises(SystemExit):
        main(arguments)
    captured = capsys.readouterr()
    return captured.out + captured.err


def commands(group: click.Group = cli, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*above, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


def left(text: str, *data: str) -> set[str]:
    return pseudo.unmarked(CODE.sub(" ", pseudo.MARKED.sub(" ", text)), {"virtio-study", *data})


@pytest.mark.parametrize("command", [(), *commands()], ids=" ".join)
def test_help_is_marked(capsys: pytest.CaptureFixture[str], command: tuple[str, ...]):
    text = said(capsys, *command, "--help")
    listed = {name for path in commands() for name in path}
    assert "⟦" in text
    assert not left(text, *listed, *CHOICES)


@pytest.mark.parametrize(
    "arguments",
    [
        ("foo",),
        ("run",),
        ("run", "lab-qemu", "extra"),
        ("run", "lab-qemu", "--workers", "0"),
        ("run", "lab-qemu", "--workers", "x"),
        ("run", "lab-qemu", "--wrokers", "1"),
        ("run", "lab-qemu", "--workers"),
        ("run", "lab-qemu", "--server", "versta"),
        ("run", "nowhere"),
        ("inventory",),
        ("explain",),
        ("explain", "--answers", "nowhere"),
        ("inventory", "--host", "pve", "--format", "xml"),
        ("plan", "lab-qemu", "--server", "versat", "--metric", "ram"),
    ],
    ids=" ".join,
)
def test_errors_are_marked(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]):
    text = said(capsys, *arguments)
    assert "⟦" in text
    assert not left(text, *arguments, *SERVERS, *METRICS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "lab-qemu"),
        ("plan", "lab-qemu", "--server", "versat"),
        ("plausible", "lab-qemu"),
        ("diff", "lab-qemu", "lab-qemu"),
        ("plan", "pve-rig", "--server", "versat", "--metric", "mem_host"),
    ],
    ids=" ".join,
)
def test_output_is_marked(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]):
    text = said(capsys, *arguments)
    assert "⟦" in text
    assert not left(text, *arguments, *SERVERS, "emulated", "µs", "VirtIO")


NOW = 1_772_409_600.0
OF_HOST = {
    "GiB",
    "MiB",
    "simulated",
    "study@pve",
    "collector",
    "pve",
    "UTC",
    "TLS",
    "virtio",
    "ide",
    "e1000",
    "scsi",
    "net",
    "usb-tablet",
}
OF_HOST |= {
    "status",
    "current",
    "config",
    "pending",
    "rrddata",
    "tasks",
    "agent",
    "std",
    "vga",
    "tablet",
    "qemu-server",
}
OF_HOST |= {
    "guest agent is not running",
    "Proxmox",
    "emulated",
    "balloon",
    "VirtIO",
    "scsi0",
    "net0",
    "virtio-scsi",
    "virtio-net",
    "virtio-balloon",
    "virtio-serial",
}


@pytest.fixture
def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SimulatedHost, str]]:
    """A simulated host, and the folder of a study of it."""
    story = two_servers(now=NOW)
    with serve(story, clock=Clock(NOW)) as host:
        made = make_study(tmp_path, story)
        path = made.folder / "study.yaml"
        protocol = yaml.safe_load(path.read_text())
        protocol["proxmox"] = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
        path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
        monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
        yield host, str(made.folder)


def test_what_a_host_says_is_marked(
    hosted: tuple[SimulatedHost, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    host, folder = hosted
    place = ("--host", host.host, "--port", str(host.port), "--ca-file", str(host.ca_file))
    calls = [
        ("doctor", folder),
        ("inventory", *place, "--all"),
        ("explain", *place, "--forecast"),
        ("new", str(tmp_path / "more"), *place),
        ("collect", folder),
        ("watch", folder, "--hours", "0.0001"),
        ("files", "answers", folder),
    ]
    for arguments in calls:
        text = said(capsys, *arguments)
        assert "⟦" in text, arguments
        assert not left(text, *arguments, *SERVERS, *OF_HOST), arguments


@pytest.mark.slow
def test_the_demonstration_and_its_executed_notebooks_are_marked(
    pseudo_language: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # papermill's kernels are other processes, which must speak the language too
    (tmp_path / "sitecustomize.py").write_text(pseudo.startup_code(pseudo_language))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT / "src")]))
    text = said(capsys, "demo", str(tmp_path / "demo"))
    data = {*SERVERS, *OF_HOST, str(tmp_path), "https", "en", "es", "eo"}
    data |= {"1_collect", "2_clean", "3_describe", "4_compare", "5_report"}
    assert not left(text, *data)
    reports = tmp_path / "demo" / "reports" / "simulated"
    results = Results.model_validate_json((reports / "results.json").read_text(encoding="utf-8"))
    page = (reports / f"index.{pseudo.PSEUDO}.html").read_text(encoding="utf-8")
    assert not unmarked_in(pseudo.sentences_of_page(page), results)
    notebook = json.loads((reports / "notebooks" / f"5_report-{pseudo.PSEUDO}.ipynb").read_text(encoding="utf-8"))
    tables = [data["text/html"] for cell in notebook["cells"] for data in shown_by(cell) if "text/html" in data]
    assert tables
    for table in tables:
        assert not unmarked_in(pseudo.sentences_of_page("".join(table)), results)


def shown_by(cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (output["data"] for output in cell.get("outputs", []) if "data" in output)
