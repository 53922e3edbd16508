"""Every write of a command in turn fails, for want of room or by an error of the disk."""

import errno
import hashlib
import json
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
from torture.attack import Conditions, Outcome, in_lanes
from torture.crash import FREEZE, NOW, STILL, study_of, there, timeless, token
from torture.processes import Forks
from virtio_study.errors import DataError
from virtio_study.sources.responses import read_answers
from virtio_study.storage.locks import LET_GO
from virtio_study.study import load_study
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = ["fails"]

HALVES = re.compile(r"\.(part|new)$|\.commit\.json$")
SAYS = re.compile(r"not written|room|disk|no (whole )?answer was stored", re.IGNORECASE)
OTHER_EACH_TIME = {".lock", "listing.lock", "environment.json"}
STORY = two_servers(now=NOW, hours=(1, 1, 1))
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)


class Command:
    """A command whose writes fail, with a folder that is made anew each time.

    `cases` are its steps with the errors by which each fails, `all` how many; `judged` is what became of the states
    that failures left, by their content: where one leaves what another left, the same follows.
    """

    def __init__(self, words: tuple[str, ...], folder: Path, forks: Forks, given: Conditions) -> None:
        self.words, self.folder, self.forks = words, folder, forks
        self.counted = folder.with_name(f"{folder.name}-counted")
        self.before = folder.with_name(f"{folder.name}-before")
        self.judged: dict[str, list[str]] = {}
        shutil.copytree(folder, self.before)
        code = self.run()
        self.faults = [] if code == 0 else [f"{words[0]}: {code}: {forks.printed()}"]
        self.whole = _content(folder)
        cases = [(number, error) for number in range(self.counted.stat().st_size) for error in ERRORS]
        random.Random(given.seed).shuffle(cases)  # the same in all lanes, which take turns
        self.all, self.cases = len(cases), cases[given.lane :: given.lanes]

    def prepare(self) -> None:
        """The folder as it was before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)

    def run(self, number: int = -1, error: int = errno.EIO) -> int:
        """Run the command with one step, or none, that fails."""
        harm = {"folder": str(self.folder), "counted": str(self.counted), "number": number, "error": error}
        return self.forks.run(*self.words, harm=harm, clock=STILL, kernels=False)


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


def _fleet(place: Path, host: SimulatedHost, forks: Forks) -> tuple[str, ...]:
    study = study_of(place, host, STORY)
    forks.run("collect", study.folder, clock=STILL)
    return "fleet", str(study.folder), "--workers", "1"


@contextmanager
def _commands(folder: Path) -> Iterator[tuple[Forks, dict[str, Callable[[Path], tuple[str, ...]]]]]:
    """Commands that write, by name: each a function that prepares an empty folder and returns the words."""
    with serve(STORY, clock=Clock(NOW)) as host, Forks(folder / "forks", token(host)) as forks:
        yield (
            forks,
            {
                "files answers": lambda place: _imports(place, forks),
                "init": lambda place: ("init", str(place / "mine")),
                "explain": lambda place: ("explain", *there(host), "--page", str(place / "explain.html")),
                "fleet": lambda place: _fleet(place, host, forks),
                "export": _export,
                "collect": lambda place: ("collect", str(study_of(place, host, STORY).folder)),
                "run": lambda place: ("run", str(write_small(place).folder), "--server", "alpha", "--workers", "1"),
            },
        )


@in_lanes
def fails(given: Conditions) -> Outcome:
    """Let one write after another of every command fail; then it says so, and the same command does all."""
    done = Outcome("every write in turn fails: no room, EIO, read-only", given.seed)
    with _commands(given.folder) as (forks, prepared):
        commands: dict[str, Command] = {}
        for name, prepare in prepared.items():
            place = given.folder / name.replace(" ", "-")
            place.mkdir()
            commands[name] = Command(prepare(place), place, forks, given)
            done.remark(*commands[name].faults)
        done.all = sum(command.all for command in commands.values())
        for number in given.tries(max(len(command.cases) for command in commands.values()) * len(commands)):
            name = [*commands][number % len(commands)]
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
    printed, left = command.forks.printed(), _content(command.folder)
    faults = []
    if "Traceback" in printed or "not foreseen" in printed:
        faults.append(f"not foreseen: {printed[-600:]}")
    if code not in (0, 1, 2, 3):
        faults.append(f"exit code {code}: {printed[-300:]}")
    if code == 2 and not SAYS.search(printed):
        faults.append(f"it does not say what is wrong: {printed[-300:]}")
    if code == 0 and (differing := _differing(left, whole)):
        faults.append(f"it says nothing, and {differing} are not as they should be: {printed[-300:]}")
    state = f"{_state(command.folder)} {code != 0}"
    if state not in command.judged:
        command.judged[state] = _follows(command, goes_on=code != 0)
    return faults + command.judged[state]


def _follows(command: Command, *, goes_on: bool) -> list[str]:
    """What is wrong with what a failure left, and with what the same command then makes of it."""
    faults = [f"damaged after the failure: {problem}" for problem in _damage(command.folder)]
    if not goes_on:  # what failed does not matter, such as making sure of a folder; all was compared
        return faults
    again = command.run()
    if again:
        faults.append(f"the same command then ends with {again}: {command.forks.printed()[-300:]}")
    elif differing := _differing(_content(command.folder), command.whole):
        faults.append(f"after the same command {differing} are not as they should be")
    return faults + [f"left behind: {path.name}" for path in command.folder.rglob("*") if HALVES.search(path.name)]


def _state(folder: Path) -> str:
    """Digest of all that stands in a folder; of a lock whether it was let go, of answers which there are."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = re.sub(r"\.\w{8}\.part$", ".part", path.relative_to(folder).as_posix())  # drawn each time
        content = timeless(path) if path.is_file() else b"/"
        if path.name in {".lock", "listing.lock", "lock"}:
            content = content if content == LET_GO else b"held"
        elif path.name in OTHER_EACH_TIME:
            content = b""
        elif path.suffix == ".sums":
            content = re.sub(rb"[0-9a-f]{64}|\d+", b"", content)
        elif path.suffix == ".jsonl":
            *lines, unfinished = content.split(b"\n")
            content = "\n".join(json.loads(line)["path"] for line in lines).encode() + bool(unfinished) * b"half"
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


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
    return {path.relative_to(folder).as_posix(): timeless(path) for path in files if "/.run/" not in str(path)}


def _differing(found: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """Names of files that are missing, and those of recordings, reports and zips that have another content."""
    same = re.compile(r"\.(zip|html|svg|yaml)$")
    missing = [name for name in whole.keys() - found.keys() if not Path(name).name.startswith(".api-")]
    return sorted(
        missing + [name for name in whole.keys() & found.keys() if same.search(name) and found[name] != whole[name]]
    )
