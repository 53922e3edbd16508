"""Seconds of `virtio-study run`, on copies in a temporary folder.

    python benchmarks/pipeline.py [STUDY]                         against one `papermill` command after another, and
                                                                  against all cells in one warm process; writes the
                                                                  table of docs/decisions/005-kernels-are-forked.md
    python benchmarks/pipeline.py [STUDY] --against CHECKOUT/src  against the code of another checkout, in pairs

Both are from scratch, on the same recordings and in the same run. In pairs, each checkout runs its own notebooks, and
they take turns at being first, so that a machine that gets slower harms both alike. papermill runs the notebooks of one
server and the reports, where the other servers' are done; those of one server count once for each server.
"""

import argparse
import compileall
import ctypes
import importlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

import psutil

from virtio_study.environment import DRAWN
from virtio_study.study import load_study
from virtio_study.workflow.graph import plan
from virtio_study.workflow.kernels import NEEDED

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "decisions" / "005-kernels-are-forked.md"
BEGIN, END = "<!-- made by benchmarks/pipeline.py -->\n", "<!-- end -->\n"
PAIRS = 3
TURNS = 5
"""How often a command that takes less than a second is measured; its median counts."""

SET_CHILD_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER` of Linux `prctl(2)`."""


class Cost(NamedTuple):
    """Of one command with everything that it started."""

    wall_s: float
    cpu_s: float

    def times(self, number: int) -> "Cost":
        return Cost(number * self.wall_s, number * self.cpu_s)

    def and_of(self, other: "Cost") -> "Cost":
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

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


def await_orphans(own: Set[int]) -> None:
    """Wait until every adopted process has ended: the children that are not among one's own."""
    while adopted := {child.pid for child in psutil.Process().children()} - own:
        os.waitpid(min(adopted), 0)


def timed(*words: str | Path, cwd: Path, src: Path = ROOT / "src") -> Cost:
    """`python -m` with these words, with the package of this source folder."""
    environment = {**os.environ, "PYTHONPATH": str(src)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
    own = {child.pid for child in psutil.Process().children()}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", *(str(word) for word in words)]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env=environment)
    wall = time.perf_counter() - start
    await_orphans(own)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def usual(*words: str | Path, cwd: Path) -> Cost:
    """The median of some turns of a command that takes less than a second."""
    turns = [timed(*words, cwd=cwd) for _ in range(TURNS)]
    return Cost(*(statistics.median(turn[unit] for turn in turns) for unit in (0, 1)))


def one_after_another(study: str, root: Path) -> Cost:
    """With the papermill command alone, where everything was run before: one server's notebooks, and the reports."""
    (root / "out").mkdir()
    protocol = load_study(root / "data" / study)
    measured = next(iter(protocol.servers))
    found = Cost(0.0, 0.0)
    for task in plan(protocol):
        of = task.parameters.get("server")
        if of not in (measured, None):
            continue
        words = [word for name, value in task.parameters.items() for word in ("-p", name, value)]
        cost = timed("papermill", f"notebooks/{task.notebook}.ipynb", f"out/{task.name}.ipynb", *words, cwd=root)
        found = found.and_of(cost.times(len(protocol.servers) if of else 1))
    return found


def in_one_process(study: str, root: Path) -> Cost:
    """Every cell of every notebook in this process, which has imported everything: no pipeline costs less."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    os.chdir(root)
    (root / "drawn").mkdir()
    os.environ[DRAWN] = str(root / "drawn")  # a run draws a figure that several notebooks show once
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
    """Measure, print and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (copy(study, Path(folder) / name) for name in "ab")
        costs = {"`virtio-study run`, from scratch": timed("virtio_study", "run", study, cwd=first)}
        costs["`virtio-study run`, nothing changed"] = usual("virtio_study", "run", study, cwd=first)
        costs["`virtio-study --help`"] = usual("virtio_study", "--help", cwd=first)
        costs["`papermill`, one after another"] = one_after_another(study, first)
        number = len(plan(load_study(first / "data" / study)))
        costs["all cells in one warm process"] = in_one_process(study, second)
        os.chdir(ROOT)
    run = next(iter(costs.values()))
    table = [
        f"{number} notebooks of `{study}`, {os.cpu_count()} processors, Python {platform.python_version()}:",
        "",
        "| | Seconds | CPU seconds | Seconds / those of the run | CPU seconds / those of the run |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, cost in costs.items():
        ratios = f"{cost.wall_s / run.wall_s:.2f} | {cost.cpu_s / run.cpu_s:.2f}"
        table.append(f"| {name} | {cost.wall_s:.2f} | {cost.cpu_s:.2f} | {ratios} |")
    print("\n".join(table))
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n".join(table) + "\n" + END + rest.partition(END)[2], encoding="utf-8")


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
    compileall.compile_dir(ROOT / "src", quiet=1)
    if arguments.against is None:
        against_papermill(arguments.study)
    else:
        against_checkout(arguments.study, arguments.against.resolve())


if __name__ == "__main__":
    main()
