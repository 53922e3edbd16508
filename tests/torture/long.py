"""Attacks by time: a watch of months, and a clock that jumps."""

import json
import time
from collections import Counter
from pathlib import Path

from torture.attack import SPEED, Conditions, Outcome
from torture.crash import NOW, raw_lines, study_of, token
from torture.processes import Forks
from virtio_study.sources.api import response_log
from virtio_study.sources.responses import read_answers
from virtio_study.testing.faults import Fault
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = ["jumping_clock", "soak"]

SETTLED = 0.25
"""Share of the time after which memory should grow no more."""

MORE_MEMORY = 1.10
POLL = "/status/current"

SUMMER = 1_772_946_000.0
"""2026-03-08 05:00 UTC, when clocks are set forward in Havana."""

ON_THEIR_WAY = 9
"""Answers of one server that the host counts as given, and that were spoilt on their way or came after the end."""

GOES_ON_IN_S = 60.0
"""Real seconds in which a watch has to store something, on a busy machine too."""


def soak(given: Conditions) -> Outcome:
    """Watch a host in fast motion, with faults every day: memory and open files stay, every row is stored once.

    Rows are counted where the host's answer was whole, but for those that were on their way at the end.
    """
    done, chance = Outcome(f"watch at {given.speed:g} times real time", given.seed), given.chance()
    day_s = 86400.0 / given.speed
    with serve(two_servers(now=NOW), clock=Clock(NOW, given.speed)) as host:
        study = study_of(given.folder, host)
        with Forks(given.folder / "forks", token(host)) as forks:
            child = forks.start("watch", study.folder, clock={"now": NOW, "speed": given.speed})
            until = time.monotonic() + GOES_ON_IN_S
            while not raw_lines(study.folder) and time.monotonic() < until:
                time.sleep(0.1)
            begun, seen = time.monotonic(), list[tuple[float, int, int]]()
            next_fault = begun + chance.uniform(0, day_s / 2)
            while (now := time.monotonic()) < begun + max(given.seconds, 5.0):
                time.sleep(min(1.0, given.seconds / 20))
                if Path(f"/proc/{child}/status").exists():
                    seen.append((now - begun, *_held(child)))
                if now > next_fault:
                    _harm(host, chance.choice(("down", "error", "reset", "truncated", "unauthorized")))
                    next_fault += chance.uniform(0.5, 1.5) * day_s
            forks.kill(child)
        done.judge(*_grown(seen))
        stored = Counter((line["path"], line["t"]) for line in map(json.loads, raw_lines(study.folder).splitlines()))
        twice = sum(number > 1 for number in stored.values())
        polled = sum(POLL in path for path, _ in stored)
        offered = sum(status == 200 and POLL in path for _, path, status in host.requests)
        done.judge(*([] if polled else ["no row was stored"]))
        done.judge(lost=max(0, offered - polled - len(study.servers) * ON_THEIR_WAY) + twice)
        done.judge(*[str(problem) for problem in check_study(study).problems])
        done.faults.append(_told(seen, polled)) if not done.withstood else None
    return done


def _held(pid: int) -> tuple[int, int]:
    """Resident memory in kB, and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return memory, len([*Path(f"/proc/{pid}/fd").iterdir()])


def _harm(host: SimulatedHost, kind: str) -> None:
    if kind == "down":
        with host.down():
            time.sleep(0.3)
    else:
        host.inject(Fault(kind, times=3))  # type: ignore[arg-type]


def _grown(seen: list[tuple[float, int, int]]) -> list[str]:
    """What grew after the time in which a process fills its caches."""
    settled = [item for item in seen if item[0] >= SETTLED * seen[-1][0]]
    early, late = settled[: len(settled) // 3 + 1], settled[-(len(settled) // 3 + 1) :]
    (memory, files), (more, more_files) = (
        (max(item[1] for item in part), max(item[2] for item in part)) for part in (early, late)
    )
    found = [f"memory grew from {memory} to {more} kB"] if more > MORE_MEMORY * memory else []
    return found + ([f"open files grew from {files} to {more_files}"] if more_files > files + 2 else [])


def _told(seen: list[tuple[float, int, int]], polled: int) -> str:
    shown = ", ".join(f"{at:.0f} s {memory} kB {files} files" for at, memory, files in seen[:: max(1, len(seen) // 12)])
    return f"{polled} rows; {shown}"


def jumping_clock(given: Conditions) -> Outcome:
    """Watch with a clock that jumps by two days at most, over ends of days and of summer time: nothing is lost."""
    done = Outcome("watch with a jumping clock", given.seed)
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host:
        study = study_of(given.folder, host)
        with Forks(given.folder / "forks", {**token(host), "TZ": "America/Havana"}) as forks:
            for number in given.tries():
                before = Counter(raw_lines(study.folder).splitlines())
                clock = {
                    "now": SUMMER,
                    "speed": SPEED,
                    "jump_s": 2 * 86400.0,
                    "every_s": 0.3,
                    "seed": given.seed + number,
                }
                child = forks.start("watch", study.folder, clock=clock)
                until = time.monotonic() + GOES_ON_IN_S
                while Counter(raw_lines(study.folder).splitlines()) == before and time.monotonic() < until:
                    time.sleep(0.05)
                time.sleep(1.0)
                forks.kill(child)
                after = Counter(raw_lines(study.folder).splitlines())
                faults = [f"it goes no more: {forks.printed()}"] if after == before else []
                faults += ["a traceback"] if "Traceback" in forks.printed() else []
                done.judge(*faults, lost=(before - after).total())
        problems = [str(problem) for problem in check_study(study).problems]
        done.judge(*problems)
        read = len(read_answers(response_log.stored(study.folder)))
        done.judge(*([] if read else ["nothing can be read"]))
    return done
