"""An error that nobody foresaw, at every command: one line, a file to send, and no secret in either."""

import errno
import os
import re
from pathlib import Path

import click
import pytest

from virtio_study.cli.main import cli, main
from virtio_study.i18n.sentences import english
from virtio_study.i18n.system_errors import REASONS

SECRET = "6e1b2c30-1111-4222-8333-cccccccccccc"
TOKEN = f"study@pve!collector={SECRET}"
COMMANDS = sorted(cli.list_commands(click.Context(cli)))


def ended(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert isinstance(end.value.code, int)
    return end.value.code, capsys.readouterr().err


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return tmp_path


def broken(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def invoke(*_args: object) -> None:
        raise error

    monkeypatch.setattr(click.Command, "invoke", invoke)
    monkeypatch.setattr(click.Command, "parse_args", lambda self, ctx, args: args)


@pytest.mark.parametrize("command", COMMANDS)
def test_at_every_command_it_is_one_line_and_a_file_without_secrets(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", TOKEN)
    broken(RecursionError(f"x{TOKEN} {SECRET} PVE:study@pve:65F0::ticket== " + "y" * 140_000), monkeypatch)
    code, said = ended([command], capsys)
    assert (code, said.count("\n")) == (1, 1)
    assert len(said) < 600
    place = re.search(r"please send the file (\S+)", said)
    assert place is not None
    text = Path(place[1]).read_text()
    assert "RecursionError" in text
    assert f"command: {command}" in text
    assert Path(place[1]).stat().st_mode & 0o077 == 0
    for one in (said, text):
        assert SECRET not in one
        assert "65F0" not in one


def test_with_debug_the_traceback_has_no_secret_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_PVE_PASSWORD", "hunter-2-canary")
    broken(KeyError("login of study@pve with hunter-2-canary"), monkeypatch)
    code, said = ended(["check", "x", "--debug"], capsys)
    assert (code, "Traceback" in said, "hunter-2" in said) == (1, True, False)


def test_where_no_file_can_be_written_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    broken(AssertionError("so"), monkeypatch)
    assert "AssertionError: so); please send what the same command prints with --debug" in ended(["check"], capsys)[1]


@pytest.mark.parametrize("number", sorted(REASONS))
def test_what_the_system_refused_is_said_in_words(
    number: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, os.strerror(number), "data/mine/manifest.json")
    broken(error, monkeypatch)
    code, said = ended(["check", "mine"], capsys)
    assert (code, said) == (2, f"error: data/mine/manifest.json: {REASONS[number]}\n")
    assert "Errno" not in english(error)


def test_another_refusal_keeps_the_systems_words() -> None:
    assert english(OSError(errno.ENOTTY, "Inappropriate ioctl for device")) == "Inappropriate ioctl for device"


def test_what_a_host_says_cannot_give_a_terminal_orders(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from virtio_study.errors import DataError

    broken(DataError("{reason}", reason="\x1b]0;owned\x07\x1b[2J\u202eevil"), monkeypatch)
    assert ended(["check"], capsys)[1] == "error: ]0;owned [2Jevil\n"
