"""Every write of a command in turn fails, for want of room or by an error of the disk."""

import errno
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paths import ROOT
from small import write_small
from synthetic import analyse
from synthetic import make_study as made_up
from torture.attack import Conditions, Outcome
from torture.crash import FREEZE, NOW, study_of, token
from torture.processes import Forks
from virtio_study.errors import DataError
from virtio_study.sources.responses import read_answers
from virtio_study.study import load_study
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = ["fails"]

HALVES = re.compile(r"\.(part|new)$|\.commit\.json$")
SAYS = re.compile(r"not written|room|disk|no (whole )?answer was stored", re.IGNORECASE)
OTHER_EACH_TIME = {".lock", "listing.lock", "environment.json"}


class Command:
    """A command whose writes fail, with a folder that is made anew each time."""

    def __init__(self, words: tuple[str, ...], folder: Path, forks: Forks, chance: random.Random) -> None:
        self.words, self.folder, self.forks = words, folder, forks
        self.counted = folder.with_name(f"{folder.name}-counted")
        self.before = folder.with_name(f"{folder.name}-before")
        shutil.copytree(folder, self.before)
        code = self.run()
        self.faults = [] if code == 0 else [f"{words[0]}: {code}: {forks.printed()}"]
        self.whole = _content(folder)
        steps = self.counted.stat().st_size
        self.cases = [(number, error) for number in range(steps) for error in (errno.ENOSPC, errno.EIO)]
        chance.shuffle(self.cases)

    def prepare(self) -> None:
        """The folder as it was before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)

    def run(self, number: int = -1, error: int = errno.EIO) -> int:
        """Run the command with one step, or none, that fails."""
        harm = {"folder": str(self.folder), "counted": str(self.counted), "number": number, "error": error}
        return self.forks.run(*self.words, harm=harm)


def _imports(place: Path, forks: Forks) -> tuple[str, ...]:
    study = place / "data" / "study"
    study.mkdir(parents=True)
    shutil.copy(FREEZE / "study.yaml", study)
    forks.run("files", "answers", study, FREEZE / "first.jsonl.zst")
    return "files", "answers", str(study), str(FREEZE / "later.jsonl.zst")


def _export(place: Path) -> tuple[str, ...]:
    shutil.copytree(ROOT / "data" / "published", place / "data" / "published")
    study = made_up(place, boots=3)
    analyse(study)
    return "export", str(study.folder), "-o", str(place / "x.zip")


@contextmanager
def _commands(folder: Path) -> Iterator[tuple[Forks, dict[str, Callable[[Path], tuple[str, ...]]]]]:
    """Commands that write, by name: each a function that prepares an empty folder and returns the words."""
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(folder / "forks", token(host)) as forks:
        yield (
            forks,
            {
                "files answers": lambda place: _imports(place, forks),
                "init": lambda place: ("init", str(place / "mine")),
                "export": _export,
                "collect": lambda place: ("collect", str(study_of(place, host).folder)),
                "run": lambda place: ("run", str(write_small(place).folder), "--server", "alpha", "--workers", "1"),
            },
        )


def fails(given: Conditions) -> Outcome:
    """Let one write after another of every command fail; then it says so, and the same command does all."""
    done, chance = Outcome("every write in turn fails: no room, EIO", given.seed), given.chance()
    with _commands(given.folder) as (forks, prepared):
        commands: dict[str, Command] = {}
        for number in given.tries():
            name = [*prepared][number % len(prepared)]
            if name not in commands:
                place = given.folder / f"of-{number}"
                place.mkdir()
                commands[name] = Command(prepared[name](place), place, forks, chance)
                done.judge(*commands[name].faults)
            if not commands[name].cases:
                continue
            step, error = commands[name].cases.pop()
            faults = _one(commands[name], step, error)
            done.judge(*[f"{name}, step {step}, {errno.errorcode[error]}: {fault}" for fault in faults])
    return done


def _one(command: Command, step: int, error: int) -> list[str]:
    """What is wrong after one failure, and after the same command without one."""
    command.prepare()
    code, whole = command.run(step, error), command.whole
    printed = command.forks.printed()
    faults = []
    if "Traceback" in printed or "not foreseen" in printed:
        faults.append(f"not foreseen: {printed[-600:]}")
    if code not in (0, 1, 2, 3):
        faults.append(f"exit code {code}: {printed[-300:]}")
    if code == 2 and not SAYS.search(printed):
        faults.append(f"it does not say what is wrong: {printed[-300:]}")
    if code == 0 and (differing := _differing(_content(command.folder), whole)):
        faults.append(f"it says nothing, and {differing} are not as they should be: {printed[-300:]}")
    faults += [f"damaged after the failure: {problem}" for problem in _damage(command.folder)]
    if code == 0:  # what failed does not matter, such as making sure of a folder; all was compared above
        return faults
    again = command.run()
    if again:
        faults.append(f"the same command then ends with {again}: {command.forks.printed()[-300:]}")
    elif differing := _differing(_content(command.folder), whole):
        faults.append(f"after the same command {differing} are not as they should be")
    faults += [f"left behind: {path.name}" for path in command.folder.rglob("*") if HALVES.search(path.name)]
    return faults


def _damage(folder: Path) -> list[str]:
    """Listed files that are not as listed."""
    found = []
    for path in folder.glob("data/*/study.yaml"):
        try:
            problems = check_study(load_study(path.parent)).problems
        except DataError as error:
            found.append(str(error))
            continue
        found += [str(problem) for problem in problems if re.search("SHA-256|changed|damaged", str(problem))]
        read_answers(sorted(path.parent.glob("raw/api-*.jsonl*")))
    return found


def _content(folder: Path) -> dict[str, bytes]:
    """Files that are the same whenever they are made."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in OTHER_EACH_TIME)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if "/.run/" not in str(path)}


def _differing(found: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """Names of files that are missing, and those of recordings, reports and zips that have another content."""
    same = re.compile(r"\.(zip|html|svg|yaml)$")
    missing = [name for name in whole.keys() - found.keys() if not Path(name).name.startswith(".api-")]
    return sorted(
        missing + [name for name in whole.keys() & found.keys() if same.search(name) and found[name] != whole[name]]
    )
