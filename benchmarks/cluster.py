"""What more processes bring to a fleet, and what the scheduler between them costs.

    python benchmarks/cluster.py [--servers 1000] [--turns 3]

In each turn the same fleet is surveyed in every way, in the opposite order of the turn before: by the command on one
and on two processes, from start to pages; and by the survey alone, warmed up, in one process, on one worker and on two
workers of a scheduler, and on two of Python's own processes, which shows what the machine gives at that moment. Writes
the medians into docs/how-to/cluster.md between its two marks. Takes three minutes on two quiet cores; the load beside
each line that is printed says how busy the machine was.
"""

import argparse
import compileall
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import dask
import psutil
from distributed import LocalCluster

from pipeline import Cost, adopt_orphans, timed
from virtio_study.fleet.survey import survey
from virtio_study.fleet.walking import LEAN
from virtio_study.testing.fleet import SimulatedFleet

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "cluster.md"
MARKS = "<!-- processes -->", "<!-- end of processes -->"
CONFIDENCE, WARMING = 0.95, 100
CROWDED = 2.5
"""At this load of two cores others were at work beside; the two processes that are measured make 2 of it."""

Job = Callable[[int, int], object]


def surveyed(scheduler: str, servers: int, seed: int) -> int:
    """Survey a fleet here or on a scheduler; the number of findings."""
    return len(survey(SimulatedFleet(servers, seed=seed), CONFIDENCE, scheduler=scheduler).findings)


@contextmanager
def here() -> Iterator[Job]:
    """One process, and nothing between."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield lambda servers, seed: pool.submit(surveyed, "", servers, seed).result()


@contextmanager
def scheduled(workers: int) -> Iterator[Job]:
    """Workers of a scheduler, as `fleet --workers` starts them."""
    with (
        dask.config.set(LEAN),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield partial(surveyed, cluster.scheduler_address)


@contextmanager
def pooled() -> Iterator[Job]:
    """Two processes of Python's own pool, which gives each the next node."""
    with (
        ProcessPoolExecutor(2, get_context("spawn")) as pool,
        patch("virtio_study.fleet.survey.walking", lambda *_: nullcontext(pool.map)),
    ):
        yield partial(surveyed, "")


WALKS: dict[str, Callable[[], contextmanager]] = {  # type: ignore[type-arg]
    "survey, one process": here,
    "survey, one worker": partial(scheduled, 1),
    "survey, two workers": partial(scheduled, 2),
    "survey, Python's own pool of two": pooled,
}
COMMANDS = {"command, `--workers 1`": 1, "command, `--workers 2`": 2}


def spent() -> float:
    """CPU seconds of this process and of those that it has now."""
    times = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(item.user + item.system for item in times)


def walked(kind: str, servers: int, seed: int) -> Cost:
    """The cost of a survey on processes that are there and have imported everything."""
    with WALKS[kind]() as job:
        job(WARMING, 10_000 + seed)
        cpu, wall = spent(), time.perf_counter()
        job(servers, seed)
        return Cost(time.perf_counter() - wall, spent() - cpu)


def commanded(kind: str, servers: int, seed: int) -> Cost:
    """The cost of the command from its start to its pages."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--simulated", str(servers), "--seed", str(seed), "--workers", str(COMMANDS[kind])]
        return timed("virtio_study", "fleet", *words, "--output", folder, cwd=Path(folder))


def turn(servers: int, seed: int) -> dict[str, Cost]:
    """Every way once; each second turn from the last to the first."""
    found = {}
    for kind in [*COMMANDS, *WALKS][:: 1 if seed % 2 else -1]:
        found[kind] = (commanded if kind in COMMANDS else walked)(kind, servers, seed)
        print(f"{kind:34} {found[kind]}   load {os.getloadavg()[0]:.1f}", flush=True)
    return found


def text(servers: int, turns: list[dict[str, Cost]]) -> list[str]:
    """The table and what it says."""

    def ratio(kind: str, other: str, unit: int) -> float:
        return statistics.median(one[kind][unit] / one[other][unit] for one in turns)

    command, alone, load = [*COMMANDS], [*WALKS], os.getloadavg()[0]
    lines = [
        f"| {servers:,} servers, {len(SimulatedFleet(servers).nodes)} nodes | seconds | CPU seconds | times as fast |",
        "| --- | ---: | ---: | ---: |",
    ]
    for kind in [*command, *alone]:
        wall, cpu = (statistics.median(one[kind][unit] for one in turns) for unit in (0, 1))
        first = (command if kind in COMMANDS else alone)[0]
        lines.append(f"| {kind} | {wall:.1f} | {cpu:.1f} | {ratio(first, kind, 0):.2f} |")
    return [
        *lines,
        "",
        f"The scheduler's overhead: {100 * (ratio(alone[1], alone[0], 0) - 1):+.1f} % of the seconds and "
        f"{100 * (ratio(alone[1], alone[0], 1) - 1):+.1f} % of the CPU seconds of one process. Two workers against "
        f"one: {ratio(alone[1], alone[2], 0):.2f} times as fast.",
        f"Medians of {len(turns)} turns, ratios within a turn, on {os.cpu_count()} cores; load of the machine at the "
        f"end {load:.1f}{', so that its seconds say little and its CPU seconds more' if load > CROWDED else ''}.",
    ]


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    adopt_orphans()
    compileall.compile_dir(PAGE.parents[2] / "src", quiet=1)  # what is installed is compiled
    turns = [turn(given.servers, seed) for seed in range(1, given.turns + 1)]
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.split(MARKS[0])[0], page.split(MARKS[1])[1]
    lines = text(given.servers, turns)
    PAGE.write_text("\n".join([head + MARKS[0], "", *lines, "", MARKS[1]]) + tail, encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
