"""Seconds of `virtio-study run`, on copies in a temporary folder; writes nothing else.

    python benchmarks/pipeline.py [STUDY]                         against one `papermill` command after another, and
                                                                  against all cells in one warm process
    python benchmarks/pipeline.py [STUDY] --against CHECKOUT/src  against the code of another checkout, in pairs

Both are from scratch, on the same recordings and in the same run. In pairs, each checkout runs its own notebooks, and
they take turns at being first, so that a machine that gets slower harms both alike.
"""

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from virtio_study.study import load_study
from virtio_study.workflow.graph import plan
from virtio_study.workflow.kernels import NEEDED

ROOT = Path(__file__).parents[1]
PAIRS = 3
SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of Linux `prctl(2)`."""


class Cost(NamedTuple):
    """Of one command with everything that it started."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:6.1f} s, {self.cpu_s:6.1f} s of CPU"


def copy(study: str, to: Path, checkout: Path = ROOT) -> Path:
    """A copy of the study, the published numbers and a checkout's notebooks, without anything that was computed."""
    for name in dict.fromkeys((study, "published")):
        if (ROOT / "data" / name).is_dir():
            shutil.copytree(ROOT / "data" / name, to / "data" / name, ignore=shutil.ignore_patterns("work", "guest"))
    shutil.copytree(checkout / "notebooks", to / "notebooks")
    return to


def adopt_orphans() -> None:
    """Make this process the parent of those whose parent ended before them, so that their processor time counts."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)


def await_orphans() -> None:
    """Wait until every adopted process has ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def timed(*words: str | Path, cwd: Path, src: Path = ROOT / "src") -> Cost:
    """`python -m` with these words, with the package of this source folder."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", *(str(word) for word in words)]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(src)})
    wall = time.perf_counter() - start
    await_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def one_after_another(study: str, root: Path) -> Cost:
    """With the papermill command alone."""
    (root / "out").mkdir()
    costs = []
    for task in plan(load_study(root / "data" / study)):
        words = [word for name, value in task.parameters.items() for word in ("-p", name, value)]
        notebook = f"notebooks/{task.notebook}.ipynb"
        costs.append(timed("papermill", notebook, f"out/{task.name}.ipynb", *words, cwd=root))
    return Cost(sum(cost.wall_s for cost in costs), sum(cost.cpu_s for cost in costs))


def in_one_process(study: str, root: Path) -> Cost:
    """Every cell of every notebook in this process, which has imported everything: no pipeline costs less."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    os.chdir(root)
    for name in NEEDED:
        importlib.import_module(name)
    shell = InteractiveShell.instance()
    wall, cpu = time.perf_counter(), time.process_time()
    for task in plan(load_study(root / "data" / study)):
        shell.reset(new_session=False)  # type: ignore[no-untyped-call]
        for cell in json.loads(Path("notebooks", f"{task.notebook}.ipynb").read_bytes())["cells"]:
            if cell["cell_type"] != "code":
                continue
            with capture_output():
                shell.run_cell("".join(cell["source"])).raise_error()  # type: ignore[no-untyped-call]
                if "parameters" in cell["metadata"].get("tags", []):
                    shell.user_ns.update(task.parameters)
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def against_papermill(study: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second, third = (copy(study, Path(folder) / name) for name in "abc")
        costs = {"virtio-study run": timed("virtio_study", "run", study, cwd=first)}
        costs["virtio-study run, no change"] = timed("virtio_study", "run", study, cwd=first)
        for word in ("--help", "--version"):
            costs[f"virtio-study {word}"] = timed("virtio_study", word, cwd=first)
        costs["virtio-study check"] = timed("virtio_study", "check", study, cwd=first)
        costs["papermill, one after another"] = one_after_another(study, second)
        number = len(plan(load_study(first / "data" / study)))
        costs["all cells in one warm process"] = in_one_process(study, third)
        os.chdir(ROOT)
    run = costs["virtio-study run"]
    print(f"{number} notebooks of {study}; ratios to the run from scratch: seconds, CPU seconds")
    for name, cost in costs.items():
        print(f"{name:30} {cost}   {cost.wall_s / run.wall_s:.2f} {cost.cpu_s / run.cpu_s:.2f}")


def from_scratch(study: str, src: Path) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        return timed("virtio_study", "run", study, cwd=copy(study, Path(folder) / "a", src.parent), src=src)


def against_checkout(study: str, other: Path) -> None:
    pairs: list[tuple[Cost, Cost]] = []
    for number in range(PAIRS):
        order = (ROOT / "src", other) if number % 2 == 0 else (other, ROOT / "src")
        cost = {src: from_scratch(study, src) for src in order}
        pairs.append((cost[ROOT / "src"], cost[other]))
        this, that = pairs[-1]
        print(f"this {this}   other {that}")
    wall, cpu = (statistics.median(this[unit] / that[unit] for this, that in pairs) for unit in (0, 1))
    print(f"this / other, median of {PAIRS} pairs of {study}: {wall:.2f} of the seconds, {cpu:.2f} of the CPU seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?", default="lab-qemu")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT/src")
    arguments = parser.parse_args()
    adopt_orphans()
    if arguments.against is None:
        against_papermill(arguments.study)
    else:
        against_checkout(arguments.study, arguments.against.resolve())


if __name__ == "__main__":
    main()
