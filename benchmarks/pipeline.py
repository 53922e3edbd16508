"""Seconds of `virtio-study run`, on copies in a temporary folder; writes nothing else.

    python benchmarks/pipeline.py [STUDY]                         against one `papermill` command after another
    python benchmarks/pipeline.py [STUDY] --against CHECKOUT/src  against the code of another checkout, in pairs

Both are from scratch, on the same recordings and in the same run. In pairs, each checkout runs its own notebooks, and
they take turns at being first, so that a machine that gets slower harms both alike.
"""

import argparse
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

ROOT = Path(__file__).parents[1]
PAIRS = 3


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


def timed(*words: str | Path, cwd: Path, src: Path = ROOT / "src") -> Cost:
    """`python -m` with these words, with the package of this source folder."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", *(str(word) for word in words)]
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(src)})
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def one_after_another(study: str, root: Path) -> tuple[int, float]:
    """Number of notebooks and seconds with the papermill command alone."""
    tasks = plan(load_study(root / "data" / study))
    (root / "out").mkdir()
    seconds = 0.0
    for task in tasks:
        words = [word for name, value in task.parameters.items() for word in ("-p", name, value)]
        notebook = f"notebooks/{task.notebook}.ipynb"
        seconds += timed("papermill", notebook, f"out/{task.name}.ipynb", *words, cwd=root).wall_s
    return len(tasks), seconds


def against_papermill(study: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = copy(study, Path(folder) / "a"), copy(study, Path(folder) / "b")
        run = timed("virtio_study", "run", study, cwd=first).wall_s
        again = timed("virtio_study", "run", study, cwd=first).wall_s
        number, papermill = one_after_another(study, second)
    print(f"{number} notebooks of {study}")
    print(f"virtio-study run             {run:7.1f} s")
    print(f"papermill, one after another {papermill:7.1f} s   ratio {papermill / run:.1f}")
    print(f"virtio-study run, no change  {again:7.1f} s   ratio {papermill / again:.0f}")


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
    if arguments.against is None:
        against_papermill(arguments.study)
    else:
        against_checkout(arguments.study, arguments.against.resolve())


if __name__ == "__main__":
    main()
