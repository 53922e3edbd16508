"""The bundled studies made anew in one environment after another, every byte of their reports compared.

    python benchmarks/reproducibility.py [--python OTHER/bin/python ...] [--study STUDY ...]

Works in temporary copies, and writes the table of docs/reproducibility.md alone. An environment is other processor
features for numpy, another kernel of OpenBLAS, other numbers of threads, another libm, or another Python, which must
have the versions of requirements.lock. What the libraries themselves answer differently there is asked first, so that
the table also says whether an environment differs at all on this machine. Ends with 1 if any byte differs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reproducibility.md"
BEGIN, END = "<!-- made by benchmarks/reproducibility.py -->\n", "<!-- end -->\n"
STUDIES = ("lab-qemu", "pve-rig")
OUTSIDE = {"environment.json", ".run"}
"""Files and folders of a report that say where it was made."""

NO_FEATURES = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
NO_FMA = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-AVX512F"}
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "numpy without AVX2 and AVX-512": NO_FEATURES,
    "numpy without AVX-512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"},
    "OpenBLAS kernel Prescott (SSE3)": {"OPENBLAS_CORETYPE": "Prescott"},
    "OpenBLAS kernel Haswell (AVX2)": {"OPENBLAS_CORETYPE": "Haswell"},
    "OpenBLAS kernel SkylakeX (AVX-512)": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "one thread": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "two threads": {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
    "libm without FMA and AVX2": NO_FMA,
    "all of the oldest at once": {**NO_FEATURES, **NO_FMA, "OPENBLAS_CORETYPE": "Prescott"},
}

LIBRARIES = """
import hashlib, json, math
import numpy as np
draw = np.random.default_rng(0)
x, square = draw.random(4000) * 30 + 0.1, draw.random((300, 300))
answers = {
    "numpy's exp, log and power": [np.exp(x), np.log(x), x**0.37],
    "numpy's order of equals": [np.argsort(np.round(x))],
    "BLAS": [square @ square, [x[i:] @ x[i:] for i in range(99)]],
    "LAPACK": [np.linalg.svd(square[:40, :40])[1]],
    "libm": [[math.exp(v) for v in x], [math.log(v) for v in x], [v**0.37 for v in x]],
    "Python's sum": [[sum(x[i:].tolist()) for i in range(99)]],
}
bytes_of = lambda values: b"".join(np.asarray(each, float).tobytes() for each in values)
print(json.dumps({name: hashlib.sha256(bytes_of(values)).hexdigest() for name, values in answers.items()}))
"""


class Place(NamedTuple):
    """Where a report is made: an interpreter and what is set in its environment."""

    python: str
    settings: Mapping[str, str]

    def run(self, *words: str, cwd: Path | None = None) -> str:
        environment = {**os.environ, **self.settings, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run([self.python, *words], cwd=cwd, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join([self.python, *words])[:200]}: {done.stderr.strip()[-2000:]}")
        return done.stdout


def copied(studies: list[str], folder: Path) -> None:
    """What a study is made from, in a folder: protocol, recordings, the published numbers and the notebooks."""
    ignored = shutil.ignore_patterns("work", "guest")
    for name in ("published", *studies):
        shutil.copytree(ROOT / "data" / name, folder / "data" / name, ignore=ignored)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")


def made(place: Place, studies: list[str], folder: Path) -> Path:
    """Reports of the studies, made anew from their recordings in a folder."""
    copied(studies, folder)
    for study in studies:
        place.run("-m", "virtio_study", "run", study, cwd=folder)
    return folder / "reports"


def files(reports: Path) -> Iterator[str]:
    """Files of reports that are promised to be the same everywhere."""
    for path in sorted(reports.rglob("*")):
        name = path.relative_to(reports)
        if path.is_file() and not OUTSIDE & set(name.parts):
            yield name.as_posix()


def promised(path: Path) -> bytes:
    """Bytes of a file, of the list of a report without the checksum of what says where it was made; b"" of no file."""
    if not path.is_file():
        return b""
    content = path.read_bytes()
    if path.name != "manifest.json":
        return content
    listed = json.loads(content)
    listed["files"].pop("environment.json", None)
    return json.dumps(listed, indent=1, sort_keys=True).encode()


def different(one: Path, other: Path) -> dict[str, int]:
    """Bytes that differ, file by file; of a file that is on one side only, all."""
    found = {}
    for name in sorted({*files(one), *files(other)}):
        first, second = (promised(side / name) for side in (one, other))
        count = len([1 for a, b in zip(first, second, strict=False) if a != b]) if first != second else 0
        if first != second:
            found[name] = count + abs(len(first) - len(second))
    return found


def differing_libraries(place: Place, usual: Place) -> str:
    here, there = (json.loads(side.run("-c", LIBRARIES)) for side in (place, usual))
    return ", ".join(name for name in here if here[name] != there.get(name)) or "nothing on this machine"


def rows(places: Mapping[str, Place], studies: list[str]) -> Iterator[tuple[str, str, int, int]]:
    """Environment, the libraries that answer otherwise there, files compared and bytes different."""
    usual = Place(sys.executable, {})
    with tempfile.TemporaryDirectory() as folder:
        expected = made(usual, studies, Path(folder) / "usual")
        count = len(list(files(expected)))
        for number, (name, place) in enumerate(places.items()):
            libraries = differing_libraries(place, usual)
            found = different(expected, made(place, studies, Path(folder) / str(number)))
            for path, size in found.items():
                print(f"{name}: {path}: {size} bytes", file=sys.stderr)
            yield name, libraries, count, sum(found.values())
            shutil.rmtree(Path(folder) / str(number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="OTHER/bin/python")
    parser.add_argument("--study", action="append", metavar="STUDY", choices=STUDIES)
    options = parser.parse_args()
    places = {name: Place(sys.executable, settings) for name, settings in ENVIRONMENTS.items()}
    for python in options.python:
        version = Place(python, {}).run("-c", "import platform; print(platform.python_version())").strip()
        places[f"Python {version}"] = Place(python, {})
    table = ["| Environment | What the libraries answer otherwise there | Files compared | Bytes different |"]
    table.append("|---|---|--:|--:|")
    wrong = 0
    for name, libraries, count, size in rows(places, options.study or list(STUDIES)):
        table.append(f"| {name} | {libraries} | {count} | {size} |")
        print(table[-1], flush=True)
        wrong += size
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n".join(table) + "\n" + END + rest.partition(END)[2], encoding="utf-8")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
