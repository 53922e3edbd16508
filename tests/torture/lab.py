"""Kills of `lab record` while its QEMUs run."""

import shutil
import time
from pathlib import Path

from paths import ROOT
from small import SHORT_LAB
from torture.attack import Conditions, Outcome
from torture.crash import GONE_IN_S, is_gone, rows_of, within
from torture.processes import Forks, family
from virtio_study.lab.guest import build_guest
from virtio_study.study import load_study
from virtio_study.workflow.check import check_study

__all__ = ["records"]

BOOTS = 4
STARTS_IN_S = 120.0
LASTS_S = 20.0
"""About the time of a boot and its steady stretch."""


def records(given: Conditions) -> Outcome:
    """Kill `lab record` when its QEMU runs: QEMU ends too, recordings stay, no half is left, and the next goes on."""
    if missing := [name for name in ("qemu-system-x86_64", "setpriv", "apt-get") if shutil.which(name) is None]:
        raise PermissionError(f"needs {missing[0]}, which is not installed")
    done, chance = Outcome("kill -9 of lab record under QEMU", given.seed), given.chance()
    guest = build_guest(ROOT / "data" / "lab-qemu" / "guest").initramfs.parent
    folder, temporary = given.folder / "data" / "short", given.folder / "tmp"
    folder.mkdir(parents=True)
    temporary.mkdir()
    (folder / "study.yaml").write_text(SHORT_LAB.replace("128 MiB", "32 MiB"))
    (folder / "guest").symlink_to(guest)
    with Forks(given.folder / "forks", {"TMPDIR": str(temporary)}) as forks:
        for _ in given.tries():
            before = rows_of(folder)
            child = forks.start("lab", "record", folder)
            runs = within(STARTS_IN_S, lambda child=child: _machines(child) or is_gone(child))
            time.sleep(chance.uniform(0.0, LASTS_S))
            of_it = family(child)
            forks.kill(child) if not is_gone(child) else forks.wait(child)
            faults = [] if runs else [f"no QEMU was started: {forks.printed()}"]
            if not within(GONE_IN_S, lambda of_it=of_it: all(map(is_gone, of_it))):
                faults.append(f"{[pid for pid in of_it if not is_gone(pid)]} outlive their program")
            now = rows_of(folder)
            halves = [
                path.name for path in folder.rglob("recordings/**/*") if path.is_file() and ".raw." not in path.name
            ]
            faults += [f"{halves} stand beside {len(now)} recordings"] if len(halves) != len(now) else []
            faults += [f"left behind: {path.name}" for path in _left(temporary)]
            done.judge(*faults, lost=sum(now.get(name) != rows for name, rows in before.items()))
            if len(now) == BOOTS:
                shutil.rmtree(folder / "recordings")
                (folder / "manifest.json").unlink()
        code = forks.run("lab", "record", folder)
        faults = [] if code == 0 and len(rows_of(folder)) == BOOTS else [f"ended with {code}: {forks.printed()}"]
        problems = [str(problem) for problem in check_study(load_study(folder)).problems]
        done.remark(*faults, *(problem for problem in problems if "recordings" in problem))
    return done


def _machines(pid: int) -> bool:
    """Whether a QEMU runs below a process."""
    for each in family(pid):
        try:
            if "qemu-system" in Path(f"/proc/{each}/cmdline").read_text():
                return True
        except OSError:  # it ended meanwhile
            continue
    return False


def _left(temporary: Path) -> list[Path]:
    """Folders of machines that are there still."""
    within(GONE_IN_S, lambda: not [*temporary.iterdir()])
    return [*temporary.iterdir()]
