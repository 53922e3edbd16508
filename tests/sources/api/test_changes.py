"""What a watch says when a server changes: in its own line, as it is seen, and nothing where nothing changed."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from virtio_study.cli.main import main
from virtio_study.i18n.language import ENGLISH
from virtio_study.i18n.sentences import Said, said
from virtio_study.sources.api.changes import Changes
from virtio_study.sources.api.client import Client, Reply
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.watching import watch
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.testing.story import around_a_change

NOW = 1_772_409_600.0


def english(line: Said) -> str:
    return ENGLISH.line("{message}", {"message": line})


def study_at(folder: Path, host: SimulatedHost) -> Study:
    path = make_study(folder, two_servers(now=NOW)).folder / "study.yaml"
    protocol = yaml.safe_load(path.read_text())
    protocol["proxmox"] = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    return load_study(path)


def test_a_change_is_said_as_it_is_seen(tmp_path: Path) -> None:
    clock, polls, lines = Clock(NOW), [0], list[str]()
    with serve(around_a_change(NOW, NOW + 330, history_s=1800), clock=clock) as host:
        study = study_at(tmp_path, host)
        assert study.proxmox is not None
        client = Client(study.proxmox, Credential(*host.token_id.split("!"), host.token_secret), clock=clock)

        def ended() -> bool:
            polls[0] += 1
            return polls[0] > 90

        watch(
            study,
            client,
            lambda state: None,
            ended,
            sleep=lambda seconds: clock.advance(max(seconds, 1.0)),
            changed=lambda change: lines.append(english(change)),
        )
    of_versat = [re.sub(r"^(\d\d:\d\d):\d\d UTC  100: ", r"\1 ", line) for line in lines if "  100: " in line]
    assert of_versat == [
        "00:05 waits for a shutdown and start: agent, balloon, boot, ide0, net0, scsi0, scsihw",
        "00:05 is off",
        "00:05 changed from ide + e1000 to virtio-scsi + virtio-net (agent, balloon, ide0, net0, scsi0, scsihw)",
        "00:06 has started",
        "00:07 its balloon driver answers, so the displayed memory is the guest's from now on",
    ]
    assert {line.split()[2] for line in lines} == {"100:", "101:"}


def replies(*configs: dict[str, Any]) -> list[Reply]:
    return [Reply(NOW, "/nodes/n/qemu/100/config?current=1", 200, config) for config in configs]


def test_what_makes_no_other_server_is_no_change() -> None:
    config = {"ide0": "local:1,size=1G", "net0": "e1000=AA:AA", "memory": 512, "description": "a", "digest": "1"}
    noted = config | {"description": "b", "digest": "2"}
    grown = noted | {"memory": 1024}
    assert [english(line) for line in Changes().among(replies(config, noted, grown))] == [
        "00:00:00 UTC  100: changed: memory"
    ]
    refused = Reply(NOW, "/nodes/n/qemu/100/config?current=1", 403, reason="refused")
    assert Changes().among([*replies(config), refused, *replies(config)]) == []


def test_a_restart_from_inside_is_a_start() -> None:
    path = "/nodes/n/qemu/100/status/current"
    states = [{"status": "running", "uptime": uptime} for uptime in (50, 60, 5, 15)]
    lines = Changes().among(Reply(NOW, path, 200, state) for state in states)
    assert [english(line) for line in lines] == ["00:00:00 UTC  100: has started"]


@pytest.mark.parametrize(
    ("options", "bar"),
    [(["--hours", "2"], "[----------] 0%  "), ([], "[#####-----] 50%  ")],
)
def test_a_terminal_shows_how_far_it_is_to_the_declared_end(
    options: list[str], bar: str, small: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = "windows:\n"
    for config, start, end in (("emulated", "2026-01-01", "2026-01-03"), ("virtio", "2026-01-03", "2026-01-05")):
        windows += f"  - {{server: {next(iter(small.servers))}, driver_config: {config}, "
        windows += f"start: {start}T00:00:00Z, end: {end}T00:00:00Z}}\n"
    path = small.folder / "study.yaml"
    path.write_text(path.read_text() + windows)
    monkeypatch.setattr(
        "virtio_study.sources.api.watching.watch", lambda study, client, say, *_, **__: say(said("on")) or 1
    )
    monkeypatch.setattr("virtio_study.sources.api.collecting.client_of", lambda study, tries: Endpoint())
    monkeypatch.setattr("virtio_study.cli.watching.CELLS", 10)
    monkeypatch.setattr("virtio_study.cli.watching.time.time", lambda: datetime(2026, 1, 3, tzinfo=UTC).timestamp())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit):
        main(["watch", str(small.folder), *options])
    assert capsys.readouterr().err.replace("\r\x1b[2K", "|").startswith(f"|{bar}on, ")


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command_gives_a_change_a_line_of_its_own(
    terminal: bool, small: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def watched(study: Study, client: object, say: Callable[[Said], None], *_: object, **told: Any) -> int:
        for number in (1, 2, 3):
            if number == 2:
                told["changed"](said("100: is off"))
            say(said("poll {number}", number=number))
        return 3

    monkeypatch.setattr("virtio_study.sources.api.watching.watch", watched)
    monkeypatch.setattr("virtio_study.sources.api.collecting.client_of", lambda study, tries: Endpoint())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with pytest.raises(SystemExit):
        main(["watch", str(small.folder)])
    shown = capsys.readouterr().err.replace("\r\x1b[2K", "|")
    if terminal:
        assert shown == "|poll 1, 0.0 h|100: is off\n|poll 2, 0.0 h|poll 3, 0.0 h\n"
    else:
        assert shown == "poll 1, 0.0 h\n100: is off\n"
