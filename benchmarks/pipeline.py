"""`virtio-study run` against one `papermill` command after another, on the same notebooks in the same run.

Works on copies in a temporary folder and prints the ratio; writes nothing else.

    python benchmarks/pipeline.py [STUDY]
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from virtio_study.study import load_study
from virtio_study.workflow.graph import plan

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def copy(study: str, to: Path) -> Path:
    """A copy of the study, the published numbers and the notebooks, without anything that was computed."""
    for name in dict.fromkeys((study, "published")):
        if (ROOT / "data" / name).is_dir():
            shutil.copytree(ROOT / "data" / name, to / "data" / name, ignore=shutil.ignore_patterns("work", "guest"))
    shutil.copytree(ROOT / "notebooks", to / "notebooks")
    return to


def timed(*command: str | Path, cwd: Path) -> float:
    start = time.perf_counter()
    subprocess.run([str(word) for word in command], cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - start


def one_after_another(study: str, root: Path) -> tuple[int, float]:
    """Number of notebooks and seconds with the papermill command alone."""
    tasks = plan(load_study(root / "data" / study))
    (root / "out").mkdir()
    seconds = 0.0
    for task in tasks:
        words = [word for name, value in task.parameters.items() for word in ("-p", name, value)]
        notebook = f"notebooks/{task.notebook}.ipynb"
        seconds += timed(BIN / "papermill", notebook, f"out/{task.name}.ipynb", *words, cwd=root)
    return len(tasks), seconds


def main() -> None:
    study = sys.argv[1] if len(sys.argv) > 1 else "lab-qemu"
    with tempfile.TemporaryDirectory() as folder:
        first, second = copy(study, Path(folder) / "a"), copy(study, Path(folder) / "b")
        run = timed(BIN / "virtio-study", "run", study, cwd=first)
        again = timed(BIN / "virtio-study", "run", study, cwd=first)
        number, papermill = one_after_another(study, second)
    print(f"{number} notebooks of {study}")
    print(f"virtio-study run             {run:7.1f} s")
    print(f"papermill, one after another {papermill:7.1f} s   ratio {papermill / run:.1f}")
    print(f"virtio-study run, no change  {again:7.1f} s   ratio {papermill / again:.0f}")


if __name__ == "__main__":
    main()
