"""The pipeline with real kernels: failures are named, what needs them is skipped, only what changed runs."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from small import NOTEBOOKS, make_recording, write_notebook
from virtio_study import recording
from virtio_study.errors import DataError, PipelineError, StudyError
from virtio_study.study import Study, load_study
from virtio_study.workflow.check import check_study
from virtio_study.workflow.graph import plan
from virtio_study.workflow.notebook import Job, Pool
from virtio_study.workflow.reports import check_reports
from virtio_study.workflow.runner import Outcome, run

REPORTS = ("5_report-en", "5_report-es")
ALL = 2 * 2 * 3 + 2 + 2


def go(study: Study, **options: object) -> Outcome:
    return run(study, workers=2, say=lambda line: None, **options)  # type: ignore[arg-type]


def root(study: Study) -> Path:
    return study.reports.parent.parent


def test_plan_puts_every_task_after_those_it_needs(small: Study) -> None:
    seen: set[str] = set()
    for task in plan(small):
        assert set(task.needs) <= seen
        seen.add(task.name)
    assert len(seen) == ALL


def test_unknown_server_names_the_nearest(small: Study) -> None:
    with pytest.raises(StudyError, match=r"unknown server 'alfa' \(did you mean 'alpha'\?\); known: alpha, beta"):
        go(small, servers=["alfa"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{en: a, es: a}",
            "{en: web (say what it does), es: web (diga qué hace)}",
            r"servers\.alpha\.role is 'web \(say wh",
        ),
        (
            "{en: a, es: a}",
            "{en: the shop, es: web (diga qué hace)}",
            r"servers\.alpha\.role is 'web \(diga qué hace\)'",
        ),
        (
            "vmid: 101",
            "vmid: 101, guest_os: null",
            r"servers\.beta\.guest_os is null: write linux, windows or other, or",
        ),
    ],
)
def test_a_protocol_that_is_not_finished_is_neither_run_nor_as_it_should_be(
    small: Study, old: str, new: str, message: str
) -> None:
    path = small.folder / "study.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    study = load_study(small.folder)  # recording may begin
    with pytest.raises(StudyError, match=rf"study\.yaml: {message}") as caught:
        go(study)
    assert "\n" not in str(caught.value)
    assert str(check_study(study).problems[0]) == str(caught.value)


@pytest.mark.slow
def test_only_what_changed_runs(small: Study) -> None:
    assert len(go(small).ran) == ALL
    executed = sorted((small.reports / "notebooks").iterdir())
    before = [path.read_bytes() for path in executed]
    assert len(executed) == ALL
    assert not any(str(root(small)).encode() in text for text in before)

    again = go(small)
    assert (again.ran, len(again.current)) == ([], ALL)

    (small.work / "beta-virtio.levels.json").unlink()
    assert go(small).ran == ["3_describe-beta-virtio"]  # its output is as before, so nothing after it runs

    recording.write(make_recording(small.folder, "alpha", "virtio", 3), small.folder)
    about = {f"{step}-alpha-virtio" for step in ("1_collect", "2_clean", "3_describe")}
    assert set(go(small).ran) == {*about, "4_compare-alpha", *REPORTS}

    parameters, code = NOTEBOOKS["4_compare"]
    write_notebook(root(small) / "notebooks" / "4_compare.ipynb", parameters, code.replace("{}'", "{ }'"))
    assert set(go(small).ran) == {"4_compare-alpha", "4_compare-beta", *REPORTS}

    page = small.reports / "index.es.html"
    page.write_text("<p>77.77</p>")
    assert go(small).ran == ["5_report-es"]
    assert page.read_text() == "<p>"

    (small.reports / "manifest.json").unlink()
    for path in executed:
        path.unlink()
    assert len(go(small).ran) == ALL
    assert check_reports(small) == []
    unchanged = [path.read_bytes() == old for path, old in zip(executed, before, strict=True)]
    assert unchanged.count(False) == 2  # the two copies of 4_compare, whose source changed


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    scratch = tmp_path_factory.mktemp("s")
    with Pool(1, scratch, scratch / "log") as pool:
        yield pool


def attempt(pool: Pool, folder: Path, *cells: str, parameters: str = "x: int = 1", **given: str) -> Job:
    """Run one notebook in a worker process, with a product that it should write."""
    scratch = folder / "scratch"
    scratch.mkdir()
    write_notebook(folder / "n.ipynb", parameters, *cells)
    job = Job(folder / "n.ipynb", given, folder, folder / "out" / "n.ipynb", (folder / "product",), scratch)
    pool.submit(job).result()
    return job


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", r"^cell 1: ZeroDivisionError: division by zero$"),
        ("raise ValueError('two\\nlines')", r"^cell 1: ValueError: two lines$"),
        ("import os\nos.kill(os.getpid(), 9)", r"^DeadKernelError: Kernel died$"),
        ("raise SystemExit(0)", r"^cell 1: SystemExit: 0 ended the notebook$"),
        ("pass", r"^ran to its end but did not write product$"),
    ],
)
def test_a_notebook_that_did_not_do_its_work_leaves_no_copy(pool: Pool, tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises(PipelineError, match=reason):
        attempt(pool, tmp_path, code, "after = True")
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "scratch").glob("*.ipynb")) == []


def test_the_executed_copy_has_no_path_of_the_machine_and_no_time(pool: Pool, tmp_path: Path) -> None:
    job = attempt(pool, tmp_path, "from pathlib import Path\nprint(Path.cwd())\n_ = Path('product').write_text('')")
    text = job.output.read_text()
    assert str(tmp_path) not in text
    assert not re.search("start_time|iopub|papermill", text)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ('other: str = ""', "parameter 'server' is not declared in n.ipynb; it has: other"),
        ("server: int = 1", "parameter 'server' is 'alpha'; n.ipynb declares int"),
    ],
)
def test_parameters_are_checked_before_a_kernel_starts(
    pool: Pool, tmp_path: Path, parameters: str, reason: str
) -> None:
    with pytest.raises(PipelineError, match=reason):
        attempt(pool, tmp_path, "open('started', 'w')", parameters=parameters, server="alpha")
    assert not (tmp_path / "started").exists()


@pytest.mark.slow
def test_a_failed_notebook_is_named_while_the_others_finish(small: Study) -> None:
    clean, write = NOTEBOOKS["2_clean"]
    path = root(small) / "notebooks" / "2_clean.ipynb"
    write_notebook(path, clean, "_ = 1 / ((server, driver_config) != ('alpha', 'virtio'))", write)
    outcome = go(small)
    assert [*outcome.error] == ["2_clean-alpha-virtio"]
    assert str(outcome.error["2_clean-alpha-virtio"]) == "cell 2: ZeroDivisionError: division by zero"
    assert set(outcome.skipped) == {"3_describe-alpha-virtio", "4_compare-alpha", *REPORTS}
    assert str(outcome.skipped["4_compare-alpha"]) == "needs 2_clean-alpha-virtio, which failed"
    assert len(outcome.ran) == ALL - 5
    record = json.loads((small.reports / ".run" / "manifest.json").read_text())["tasks"]
    assert record["2_clean-alpha-virtio"]["status"] == "error"
    assert record["5_report-en"]["status"] == "skipped"
    write_notebook(path, clean, write)
    assert go(small).ok


def test_a_changed_recording_stops_the_run_before_anything_runs(small: Study) -> None:
    path = small.folder / "recordings" / "alpha" / "virtio" / "boot-01.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match=r"boot-01\.parquet: changed since it was recorded"):
        go(small)
    assert not small.reports.exists()


def test_two_runs_at_once_are_refused(small: Study) -> None:
    import fcntl

    folder = small.reports / ".run"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(PipelineError, match="another run of this study is under way"):
            go(small)


@pytest.mark.slow
def test_a_damaged_run_manifest_costs_a_run_only(small: Study) -> None:
    folder = small.reports / ".run"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{")
    assert go(small, servers=["alpha"]).ok


def test_a_protocol_that_recordings_contradict_is_named(small: Study) -> None:
    (made, *_) = sorted(small.folder.glob("recordings/alpha/*/*.parquet"))
    assert check_study(small).recorded == 8
    path = small.folder / "study.yaml"
    path.write_text(path.read_text().replace("vcpus: 1, memory_bytes: 512 MiB", "vcpus: 2, memory_bytes: 1 GiB", 1))
    found = [str(problem) for problem in check_study(load_study(small.folder)).problems]
    assert found[0] == f"{made}: its rows have vcpus 1, study.yaml says 2: correct study.yaml"
    assert "its rows have memory_bytes 512000000, study.yaml says 1073741824" in found[1]


def test_no_process_of_a_run_holds_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the notebook, not its kernel's parent, not the worker: their first environment is readable in /proc."""
    monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", "root@pam!x=canary-7c1f")
    code = (
        "import os\nfrom pathlib import Path\nfound = ['canary-7c1f' in str(os.environ)]\n"
        "for path in Path('/proc').glob('[0-9]*/environ'):\n"
        "    try:\n        found.append(b'canary-7c1f' in path.read_bytes())\n"
        "    except OSError:\n        pass\n"
        "assert len(found) > 3 and not any(found)\n"
        "Path('product').write_text('1')"
    )
    with Pool(1, tmp_path, tmp_path / "log") as pool:
        attempt(pool, tmp_path, code)
    assert os.environ["VIRTIO_STUDY_PVE_TOKEN"].endswith("canary-7c1f")


def test_a_notebook_leaves_nothing_in_the_next_one(pool: Pool, tmp_path: Path) -> None:
    """Kernels are forked from one parent: what a notebook changes in modules, environment or folder ends with it."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    spoil = (
        "import os, pandas, numpy, random, matplotlib, virtio_study.study\n"
        "pandas.DataFrame = numpy.sum = None\nvirtio_study.study.METRICS.clear()\n"
        "os.environ['LEFT'] = '1'\nmatplotlib.rcParams['font.size'] = 99\nrandom.seed(1)\n"
        "open('product', 'w').write(str(random.random()))\nos.chdir('/')"
    )
    look = (
        "import os, pandas, numpy, random, matplotlib, virtio_study.study\n"
        "assert pandas.DataFrame and numpy.sum and virtio_study.study.METRICS\n"
        "assert 'LEFT' not in os.environ and matplotlib.rcParams['font.size'] == 10.0\n"
        "assert os.getcwd().endswith('2'), os.getcwd()\n"
        "open('product', 'w').write(str(random.random()))"
    )
    attempt(pool, first, spoil)
    attempt(pool, second, look)
    assert (first / "product").read_text() != (second / "product").read_text()


def test_a_kernel_is_forked_from_one_thread_and_searches_no_garbage_of_others(pool: Pool, tmp_path: Path) -> None:
    """Whatever lock another thread holds would be held for ever in what is forked; and no debugger is loaded."""
    code = (
        "import gc, os, sys\nfrom pathlib import Path\n"
        "threads = len(os.listdir(f'/proc/{os.getppid()}/task'))\n"
        "assert threads == 1, threads\n"
        "assert gc.isenabled() and gc.get_freeze_count() > 10**5, gc.get_freeze_count()\n"
        "assert sys.modules.get('debugpy') is None\n"
        "Path('product').write_text('1')"
    )
    attempt(pool, tmp_path, code)


def test_nothing_outlives_a_killed_run(tmp_path: Path) -> None:
    """Workers, the parents of their kernels and the kernels are gone 5 s after the program is."""
    script = (
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[2])\n"
        "from test_runner import attempt\nfrom virtio_study.workflow.notebook import Pool\n"
        "if __name__ == '__main__':\n"
        "    here = Path(sys.argv[1])\n"
        "    with Pool(1, here, here / 'log') as pool:\n"
        "        attempt(pool, here, Path(sys.argv[3]).read_text())\n"
    )
    (tmp_path / "program.py").write_text(script)
    code = "import os, time\nopen('started', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    (tmp_path / "code").write_text(code)
    words = [sys.executable, tmp_path / "program.py", tmp_path, Path(__file__).parent, tmp_path / "code"]
    program = subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True
    )
    try:
        wait_for(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text())
        kernel = int((tmp_path / "started").read_text())
        family = [kernel, parent_of(kernel), parent_of(parent_of(kernel))]
        assert parent_of(family[-1]) in (program.pid, 1) or family[-1] == program.pid
    finally:
        program.kill()
        program.wait()
    wait_for(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], 5)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_program_that_is_ended_does_not_wait_for_its_notebooks_or_for_a_worker_that_was_killed(
    tmp_path: Path,
) -> None:
    write_notebook(tmp_path / "n.ipynb", "x: int = 1", "import os, time\nopen('on', 'w').close()\ntime.sleep(600)")
    job = Job(tmp_path / "n.ipynb", {}, tmp_path, tmp_path / "out.ipynb", (tmp_path / "product",), tmp_path)
    with contextlib.suppress(KeyboardInterrupt), Pool(2, tmp_path, tmp_path / "log") as own:
        own.submit(job)
        wait_for(lambda: (tmp_path / "on").exists())
        ended = time.monotonic()
        os.kill(max(child.pid or 0 for child in multiprocessing.active_children()), signal.SIGTERM)
        raise KeyboardInterrupt
    assert time.monotonic() - ended < 15
