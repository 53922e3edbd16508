"""Two at once: every pair of commands on one study."""

import random
import re
import shutil
import signal
import time
from itertools import combinations_with_replacement
from zipfile import is_zipfile

from small import NOTEBOOKS, write_notebook, write_small
from torture.attack import Conditions, Outcome, in_lanes
from torture.crash import FREEZE, NOW, rows_of, study_of, token
from torture.processes import Forks
from virtio_study.errors import DataError
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = ["of_commands", "of_imports", "of_runs"]

OF_FILES = ("check", "run", "export", "fleet", "explain --answers")
HARM = re.compile("SHA-256|not in the manifest|nowhere else|changed since|damaged")
"""A report that is not of the newest recordings is no harm."""

UNREADY = re.compile("no results yet|nothing was recorded|not up to date|out of date|not complete|missing")
"""What is said of a study whose report is being made, or that has no row yet."""

BUSY = re.compile(r"(is|are) (writing this study|at work|under way) \(.*process \d+ on |was recorded anew meanwhile")


def of_imports(given: Conditions) -> Outcome:
    """Import two sets of answers at once: no recording is lost, and importing both again changes nothing."""
    done = Outcome("two imports at once", given.seed)
    chance, imports = given.chance(), [FREEZE / "first.jsonl.zst", FREEZE / "later.jsonl.zst"]
    with Forks(given.folder / "forks") as forks:
        whole = given.folder / "data" / "whole"
        whole.mkdir(parents=True)
        shutil.copy(FREEZE / "study.yaml", whole)
        for path in imports:
            forks.run("files", "answers", whole, path)
        expected = rows_of(whole)
        for number in given.tries():
            folder = given.folder / "data" / f"try-{number}"
            folder.mkdir()
            shutil.copy(FREEZE / "study.yaml", folder)
            children = []
            for path in chance.sample(imports, 2):
                children.append(forks.start("files", "answers", folder, path))
                time.sleep(chance.uniform(0, 0.3))
            codes = [forks.wait(child) for child in children]
            try:
                left = rows_of(folder)
                kept = len([*(folder / "raw").glob("*.zst")])
                faults = [] if codes == [0, 0] else [f"exit codes {codes}: {forks.printed()}"]
                done.judge(*faults, lost=sum(left.get(name) != rows for name, rows in expected.items()) + 2 - kept)
            except DataError as error:
                done.judge(str(error), lost=1)
            shutil.rmtree(folder)
    return done


@in_lanes
def of_commands(given: Conditions) -> Outcome:
    """Every pair of commands on one study: each is done, or says who is at work; all is as it should be."""
    done, words = Outcome("every pair of commands", given.seed), ("collect", "watch", "files answers", *OF_FILES)
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(given.folder / "forks", token(host)) as forks:
        study = study_of(given.folder, host)
        for name, (parameters, code) in NOTEBOOKS.items():
            write_notebook(given.folder / "notebooks" / f"{name}.ipynb", parameters, code)
        forks.run("collect", study.folder)
        page = given.folder / "explain.html"
        options = {
            "export": ["-o", given.folder / "x.zip"],
            "run": ["--server", "versat", "--workers", 1],
            "fleet": ["--workers", 1, "--output", given.folder / "fleet"],
            "explain --answers": ["--page", page],
        }
        pairs = [*combinations_with_replacement(words, 2)]
        random.Random(given.seed).shuffle(pairs)  # the same in all lanes, which take turns
        pairs = pairs[given.lane :: given.lanes]
        for number in given.tries():
            children = []
            for each in pairs[number % len(pairs)]:
                child = forks.start(*each.split(), study.folder, *options.get(each, []))
                children.append((each, child, forks.latest))
            time.sleep(1.0)
            faults = []
            for each, child, printed in children:
                code = forks.kill(child, signal.SIGTERM) if each == "watch" else forks.wait(child)
                faults += [f"{each}: {fault}" for fault in _ended_well(code, printed.read_text(errors="replace"))]
            faults += [str(problem) for problem in check_study(study).problems if HARM.search(str(problem))]
            zip_is_whole = not (given.folder / "x.zip").exists() or is_zipfile(given.folder / "x.zip")
            page_is_whole = not page.exists() or page.read_text().rstrip().endswith("</html>")
            faults += [] if page_is_whole else ["the page is a half"]
            done.judge(*faults, *([] if zip_is_whole else ["the zip is a half"]))
    return done


def _ended_well(code: int, printed: str) -> list[str]:
    """What is wrong with how one of two commands ended."""
    if code == -signal.SIGTERM and BUSY.search(printed):  # a watch that was refused, and was ended as it went
        return []
    if code < 0 or "Traceback" in printed or "not foreseen" in printed:
        return [f"exit code {code}: {printed[-400:]}"]
    if code not in (0, 3, 128 + signal.SIGTERM) and not (BUSY.search(printed) or UNREADY.search(printed)):
        return [f"exit code {code}: {printed[-400:]}"]
    return []


def of_runs(given: Conditions) -> Outcome:
    """Two runs at once, and a check beside them: the second run says who is at work, and the first comes to its end."""
    done, chance = Outcome("pairs of run and check", given.seed), given.chance()
    study = write_small(given.folder)
    words = ("run", study.folder, "--server", "alpha")
    with Forks(given.folder / "forks") as forks:
        for _ in given.tries():
            for made_before in (study.reports, study.work):
                shutil.rmtree(made_before, ignore_errors=True)
            first = forks.start(*words, "--workers", 2)
            until = time.monotonic() + 60.0
            while not (study.reports / ".run" / "lock").exists() and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(chance.uniform(0.0, 1.0))
            code = forks.run(*words)
            faults = [] if code == 1 and BUSY.search(forks.printed()) else [f"exit code {code}: {forks.printed()}"]
            forks.run("check", study.folder)
            faults += ["a traceback"] if "Traceback" in forks.printed() else []
            code = forks.wait(first)
            done.judge(*faults, *([f"the first run ended with {code}"] if code else []))
    return done
