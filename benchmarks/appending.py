"""What a day more of a recording costs, and reading one server of a study, as recording and study grow.

    python benchmarks/appending.py [--days 10 30 90 365] [--servers 10 100 1000]

A simulated server is polled every ten seconds; its recording has all days but the last, and an import gives all. In the
same run the plain way: one file a recording, which is read, compared and written whole. Both go through `keep_all`, as
`files answers` does; reading the answers is not in it (`benchmarks/weeks.py`). A server of a study is read with a day
of rows of a minute, and the plain way is one Parquet file of all servers, read with a filter. Seconds are processor
time, the least of three; `grows as` is the exponent between the rows before and behind.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from virtio_study import recording, storage
from virtio_study.i18n.sentences import said
from virtio_study.recording import months
from virtio_study.sources.replacing import Recordable, keep_all
from virtio_study.study import Study, load_study

PROTOCOL = """
title: {en: simulated, es: simulado}
source: recordings
host: {name: host, cpu_model: none, logical_cpus: 8, memory_bytes: 32 GiB, hypervisor: none}
servers:
  a: {vmid: 100, role: {en: none, es: ninguna}, vcpus: 4, memory_bytes: 4 GiB, disk_bytes: 8 GiB, guest_os: linux}
driver_configs:
  virtio: {label: {en: VirtIO, es: VirtIO}}
  emulated: {label: {en: emulated, es: emulada}}
comparisons:
  total: {before: emulated, after: virtio, purpose: total, question: {en: what, es: qué}}
metrics: [cpu]
seed: 1
"""


def frame_of(rows: int, step_s: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    shown = np.round(2e9 + 1e8 * rng.standard_normal(rows) / 4096) * 4096
    columns = {
        "time": pd.date_range("2025-01-01", periods=rows, freq=f"{step_s}s", tz="UTC").astype("datetime64[us, UTC]"),
        "step_s": float(step_s),
        "cpu_cores": np.round(rng.gamma(2, 0.05, rows), 6),
        "cpu_allocated_cores": 4.0,
        "mem_displayed_bytes": shown,
        "mem_instrument": "guest_stats",
        "mem_host_bytes": shown + 4e8,
        "mem_host_instrument": "host_pss",
        "mem_guest_bytes": shown,
        "mem_guest_instrument": "guest_stats",
        "mem_allocated_bytes": 2.0**32,
        "uptime_s": np.arange(rows) * float(step_s),
        "consolidation": "status",
        "node_cpu_cores": np.round(rng.gamma(2, 0.5, rows), 6),
    }
    rates = ("disk_read", "disk_write", "net_in", "net_out")
    return pd.DataFrame(columns | {f"{name}_bytes_per_s": np.round(rng.gamma(1, 1e4, rows), 1) for name in rates})


def known_of(study: str, server: str) -> recording.Provenance:
    made = {"study": study, "server": server, "driver_config": "virtio", "replicate": "api-01", "kind": "simulated"}
    return recording.Provenance(**made, source="benchmark", collector_version="0", started_at="2025-01-01T00:00:00Z")


@contextmanager
def least_rows(rows: int) -> Iterator[None]:
    before, months.LEAST = months.LEAST, rows
    yield
    months.LEAST = before


def least_s(prepare: Callable[[], object], work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        prepare()
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def append(study: Study, frame: pd.DataFrame, rows: int) -> dict[str, float]:
    """Processor seconds, and MB written, of a day more than so many rows."""
    known = known_of(study.name, "a")

    def keep(some: pd.DataFrame) -> None:
        keep_all(study, "a", [Recordable(some, known, said("{rows} rows.", rows=len(some)))])

    def before() -> None:
        storage.commit(study.folder, {}, [*storage.manifest(study.folder)])
        keep(frame.iloc[:rows])
        nonlocal there
        there = {path.stat().st_ino for path in study.folder.rglob("*.parquet")}

    there: set[int] = set()
    seconds = least_s(before, lambda: keep(frame))
    written = [path for path in study.folder.rglob("*.parquet") if path.stat().st_ino not in there]
    found = recording.read(study.folder / "recordings/a/virtio/api-01.parquet", study.folder)
    assert len(found.frame) == len(frame)
    return {"seconds": seconds, "MB": sum(path.stat().st_size for path in written) / 1e6}


def measure_days(days: int) -> dict[str, float]:
    frame, least = frame_of(8640 * days, 10), months.LEAST
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "study.yaml").write_text(PROTOCOL)
        study = load_study(Path(name))
        found = {}
        for way, rows in (("", least), ("plain ", 10**9)):
            with least_rows(rows):
                found |= {f"{way}{key}": value for key, value in append(study, frame, 8640 * (days - 1)).items()}
    return found


def measure_servers(servers: int) -> dict[str, float]:
    frame = frame_of(1440, 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = folder / "recordings/vm00000/virtio/api-01.parquet"
        recording.write(recording.Recording(frame, known_of("s", "vm00000"), first), folder)
        places = [first.relative_to(folder).as_posix().replace("00000", f"{number:05d}") for number in range(servers)]
        content, digest = first.read_bytes(), storage.sha256(first)
        for place in places:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(content)
        storage.write_atomically(folder / "manifest.json", storage.manifest_bytes(dict.fromkeys(places, digest)))
        others = (
            frame.sample(frac=1, random_state=number) for number in range(servers)
        )  # equal rows would pack to none
        names = [place.split("/")[1] for place in places]
        each = [rows.assign(server=name) for name, rows in zip(names, others, strict=True)]
        pd.concat(each, ignore_index=True).to_parquet(folder / "all.parquet", compression="zstd")
        server = names[servers // 2]
        read = lambda: next(recording.recordings(folder, server, "virtio"))  # noqa: E731
        filtered = lambda: pq.read_table(folder / "all.parquet", filters=[("server", "=", server)])  # noqa: E731
        assert len(read().frame) == len(filtered()) == len(frame)
        return {
            "seconds": least_s(lambda: None, read, 10),
            "plain seconds": least_s(lambda: None, filtered, 5),
            "MB": sum(path.stat().st_size for path in (folder / places[0], *folder.glob("manifest.json*"))) / 1e6,
            "plain MB": (folder / "all.parquet").stat().st_size / 1e6,
        }


def show(kind: str, sizes: list[int], measure: Callable[[int], dict[str, float]]) -> None:
    before: tuple[int, dict[str, float]] | None = None
    for size in sizes:
        found = measure(size)
        ratios = ", ".join(f"{key} {found[f'plain {key}'] / found[key]:.1f} times" for key in ("seconds", "MB"))
        print(f"{size} {kind}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()) + f"; {ratios}")
        if before:
            steps = math.log(size / before[0])
            told = ", ".join(f"{key} {math.log(value / before[1][key]) / steps:.2f}" for key, value in found.items())
            print(f"  grows as: {told}")
        before = size, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=[10, 30, 90, 365])
    parser.add_argument("--servers", type=int, nargs="+", default=[10, 100, 1000])
    given = parser.parse_args()
    show("days", given.days, measure_days)
    show("servers", given.servers, measure_servers)


if __name__ == "__main__":
    main()
