"""The command line: one clear line for each mistake, exit code 2, nothing lost and nothing half-written."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from small import PROTOCOL, THREE, write_notebook
from virtio_study import storage
from virtio_study.cli.main import cli
from virtio_study.storage import listing
from virtio_study.study import Study
from virtio_study.workflow.runner import Outcome

COMMAND = [sys.executable, "-c", "from virtio_study.cli.main import main; main()"]


def call(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, cwd=cwd, check=False, timeout=120
    )


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def boot(study: Study) -> Path:
    return study.folder / "recordings" / "alpha" / "virtio" / "boot-01.parquet"


def _break_yaml(study: Study) -> None:
    (study.folder / "study.yaml").write_text(PROTOCOL.replace("seed: 1", "seed: [1"))


def _misspell_a_key(study: Study) -> None:
    (study.folder / "study.yaml").write_text(PROTOCOL.replace("seed", "sead"))


def _truncate(study: Study) -> None:
    boot(study).write_bytes(boot(study).read_bytes()[:-100])


def _change_a_byte(study: Study) -> None:
    content = bytearray(boot(study).read_bytes())
    content[200] ^= 1
    boot(study).write_bytes(content)


def _lose_a_recording(study: Study) -> None:
    boot(study).unlink()


def _damage_the_manifest(study: Study) -> None:
    (study.folder / "manifest.json").write_text("{")


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (_break_yaml, "study.yaml:14: not valid YAML"),
        (_misspell_a_key, "unknown key 'sead' (did you mean 'seed'?)"),
        (_truncate, "boot-01.parquet: changed since it was recorded"),
        (_change_a_byte, "boot-01.parquet: changed since it was recorded"),
        (_lose_a_recording, "boot-01.parquet: listed in the manifest but missing"),
        (_damage_the_manifest, "manifest.json: not a manifest"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    small: Study, command: str, mistake: Callable[[Study], None], expected: str
) -> None:
    mistake(small)
    before = files(small.folder)
    done = call(command, small.folder)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert files(small.folder) == before
    assert not small.reports.exists()


def test_unknown_server_and_study(small: Study, tmp_path: Path) -> None:
    done = call("run", small.folder, "--server", "alfa")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "unknown server 'alfa' (did you mean 'alpha'?); known: alpha, beta" in done.stderr
    done = call("run", "smal", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no study 'smal'" in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(small: Study) -> None:
    for words in (["--debug", "run", small.folder], ["run", small.folder, "--debug"]):
        done = call(*words, "--server", "x")
        assert "Traceback" in done.stderr
        assert done.returncode == 2


def test_check_of_a_good_study_and_of_an_unlisted_file(small: Study) -> None:
    done = call("check", small.folder)
    assert (done.returncode, done.stdout) == (
        0,
        "small: the protocol, 8 recorded files and 0 files of the report are as they should be\n",
    )
    boot(small).with_name("boot-07.parquet").write_bytes(b"x")
    done = call("check", small.folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "boot-07.parquet: not in the manifest" in done.stderr


def test_run_then_nothing_to_do_loads_neither_papermill_nor_pandas(small: Study) -> None:
    done = call("run", small.folder, "--server", "alpha", "--workers", "2")
    assert (done.returncode, done.stdout) == (0, "small: 7 ran, 0 up to date, 0 failed, 0 skipped\n"), done.stderr
    done = call("run", small.folder, "--server", "alpha")
    assert (done.stdout, done.stderr) == ("small: 0 ran, 7 up to date, 0 failed, 0 skipped\n", "")
    words = ["-X", "importtime", "-m", "virtio_study", "run", str(small.folder), "--server", "alpha"]
    loaded = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stderr
    assert "virtio_study.workflow.runner" in loaded
    assert not re.search(r"\| +(papermill|pandas|nbformat)$", loaded, re.MULTILINE)


def test_run_ends_with_where_the_pages_are_unless_it_made_none(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("virtio_study.workflow.runner.run", lambda *given, **options: Outcome(ran=["5_report-en"]))
    first, *rest = CliRunner().invoke(cli, ["run", str(small.folder)]).stdout.splitlines()
    assert "1 ran" in first
    assert rest == [f"Report: {small.reports / 'index.en.html'}, {small.reports / 'index.es.html'}"]
    assert CliRunner().invoke(cli, ["run", str(small.folder), "--server", "alpha"]).stdout.splitlines() == [first]


@pytest.mark.slow
def test_a_failed_notebook_is_exit_code_1(small: Study) -> None:
    write_notebook(small.folder.parents[1] / "notebooks" / "3_describe.ipynb", THREE, "raise ValueError('no\\nlevels')")
    done = call("run", small.folder, "--server", "alpha")
    assert done.returncode == 1
    assert "error: 3_describe-alpha-virtio: cell 2: ValueError: no levels\n" in done.stderr
    # Both fail at about the same time; the first one is named.
    assert re.search("skipped: 4_compare-alpha: needs 3_describe-alpha-(emulated|virtio), which failed\n", done.stderr)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_no_process_and_no_half_file(
    small: Study, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    note = tmp_path / "pids"
    slow = f"import os, time\n_ = open({str(note)!r}, 'a').write(str(os.getpid()) + '\\n')\ntime.sleep(60)"
    write_notebook(small.folder.parents[1] / "notebooks" / "1_collect.ipynb", THREE, slow)
    process = subprocess.Popen([*COMMAND, "run", str(small.folder)], stderr=subprocess.PIPE, text=True)
    _until(lambda: note.exists() and note.read_text() != "")
    process.send_signal(number)
    _, errors = process.communicate(timeout=45)
    assert process.returncode == code
    assert "Traceback" not in errors
    pids = [int(line) for line in note.read_text().split()]
    _until(lambda: not any(_alive(pid) for pid in pids))
    assert not list((small.reports / "notebooks").glob("*"))
    assert [path.name for path in small.folder.rglob(".*")] in ([], [".lock"])


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom virtio_study.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('pandas', 'papermill', 'pydantic', 'matplotlib', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert all(word in done.stdout for word in ("run ", "check ", "lab "))


def test_compact_folds_what_was_listed_since_and_the_study_stays_as_it_is(
    small: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SHORT", 100)
    storage.commit(small.folder, {"counts.json": b"{}"})
    storage.commit(small.folder, {}, instead_of=["counts.json"])
    assert (small.folder / "manifest.jsonl").exists()
    listed = storage.manifest(small.folder)
    done = call("compact", small.folder)
    assert done.stdout == "small: the manifest lists all 8 files (changes folded into it: 1)\n"
    assert not (small.folder / "manifest.jsonl").exists()
    assert storage.manifest(small.folder) == listed
