"""What listing one more file of a study costs, and reading one server of it, as the study grows.

    python benchmarks/manifests.py [--files 10 100 1000 10000 100000] [--repeats 30]

Each row is a study that lists so many files, 30 of each simulated server. `change` commits one new file (it is written,
synced and listed), `fresh` does so in a process that has not read the list yet, and `server` reads and verifies the 30
files of one server. The plain way, in the same run, is to read, change and write one JSON list with each change, to
look through the study's folder for what a killed writer left, and to read the list with each file. Times are medians in
milliseconds; `grows as` is the exponent between the rows before and behind.
"""

import argparse
import hashlib
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from virtio_study import storage
from virtio_study.storage import listing

EACH = 30
CONTENT = b"x" * 200


def name_of(number: int) -> str:
    return f"recordings/vm{number // EACH:06d}/virtio/api-{number % EACH:02d}.parquet"


def make(folder: Path, files: int) -> None:
    """A study that lists so many files, which are there."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    for number in range(files):
        path = folder / name_of(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    names = {name_of(number): digest for number in range(files)}
    storage.write_atomically(folder / "manifest.json", storage.manifest_bytes(names))
    storage.commit(folder, {"recordings/other/virtio/first.parquet": CONTENT})


def plain_change(folder: Path, name: str) -> None:
    for pattern in ("*", "raw/*", "recordings/**/*"):
        for ending in (".part", ".new"):
            assert not [*folder.glob(f"{pattern}{ending}")]
    storage.write_atomically(folder / name, CONTENT)
    path = folder / "plain.json"
    files = json.loads((path if path.exists() else folder / "manifest.json").read_bytes())["files"]
    files[name] = hashlib.sha256(CONTENT).hexdigest()
    storage.write_atomically(
        path, (json.dumps({"version": 1, "files": dict(sorted(files.items()))}, indent=1)).encode()
    )


def plain_server(folder: Path, names: list[str]) -> None:
    for name in names:
        files = json.loads((folder / "manifest.json").read_bytes())["files"]
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == files[name]


def median_ms(work: Callable[[int], None], repeats: int) -> float:
    times = []
    for number in range(repeats):
        begun = time.perf_counter()
        work(number)
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def measure(files: int, repeats: int) -> dict[str, float]:
    def fresh(number: int) -> None:
        listing._known.clear()
        storage.commit(folder, {f"recordings/other/virtio/fresh-{number}.parquet": CONTENT})

    def server(_number: int) -> None:
        for name in own:
            storage.read_verified(folder / name, folder)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, files)
        own = [name_of(number) for number in range(min(files, EACH))]
        before = _list_bytes(folder)
        made = {
            "change": median_ms(lambda n: storage.commit(folder, {f"recordings/other/x/{n}": CONTENT}), repeats),
            "written": abs(_list_bytes(folder) - before) / repeats,
            "plain change": median_ms(lambda n: plain_change(folder, f"recordings/other/p/{n}"), max(3, repeats // 5)),
            "fresh": median_ms(fresh, repeats),
            "server": median_ms(server, max(3, repeats // 5)),
            "plain server": median_ms(lambda _: plain_server(folder, own), 3),
        }
        begun = time.perf_counter()
        storage.compact(folder)
        return made | {"compact": 1000 * (time.perf_counter() - begun)}


def _list_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("manifest.json*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[10, 100, 1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    before: tuple[int, dict[str, float]] | None = None
    for files in given.files:
        found = measure(files, given.repeats)
        ratios = ", ".join(f"{each} {found[f'plain {each}'] / found[each]:.1f} times" for each in ("change", "server"))
        print(f"{files} files: " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()) + f"; {ratios}")
        if before:
            steps = math.log(files / before[0])
            told = ", ".join(f"{key} {math.log(value / before[1][key]) / steps:.2f}" for key, value in found.items())
            print(f"  grows as: {told}")
        before = files, found


if __name__ == "__main__":
    main()
