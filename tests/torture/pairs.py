"""Two at once: every pair of commands on one study."""

import re
import shutil
import signal
import time
from itertools import combinations_with_replacement

from small import write_small
from torture.attack import Conditions, Outcome
from torture.crash import FREEZE, NOW, rows_of, study_of, token
from torture.processes import Forks
from virtio_study.errors import DataError
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.workflow.check import check_study

__all__ = ["of_imports", "of_live", "of_runs"]

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


def of_live(given: Conditions) -> Outcome:
    """Every pair of collect, watch, import and check: each is done, or says who is at work; all is as it should be."""
    done = Outcome("pairs of collect, watch, files, check", given.seed)
    with serve(two_servers(now=NOW), clock=Clock(NOW)) as host, Forks(given.folder / "forks", token(host)) as forks:
        study = study_of(given.folder, host)
        forks.run("collect", study.folder)
        pairs = [*combinations_with_replacement(("collect", "watch", "files answers", "check"), 2)]
        given.chance().shuffle(pairs)
        for number in given.tries():
            children = [(words, forks.start(*words.split(), study.folder)) for words in pairs[number % len(pairs)]]
            time.sleep(1.0)
            codes = [
                forks.kill(child, signal.SIGTERM) if words == "watch" else forks.wait(child)
                for words, child in children
            ]
            faults = [
                f"{words}: exit code {code}" for (words, _), code in zip(children, codes, strict=True) if code < 0
            ]
            faults += ["a traceback"] if "Traceback" in forks.printed() else []
            faults += [str(problem) for problem in check_study(study).problems]
            done.judge(*faults)
    return done


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
