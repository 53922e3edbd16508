"""`make torture`: every attack for its time, and the table of what became of it."""

import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from torture.attack import SPEED, Conditions, Outcome, tell, told_anew
from torture.attacks import ALONE, ATTACKS, SHARES

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- table: make torture WRITE=1 -->\n"


@click.command()
@click.option("--seed", type=int, help="Of what is drawn (default: another one each time; it is printed).")
@click.option(
    "--seconds", type=float, default=60.0, show_default=True, help="For an attack; some take more, some less."
)
@click.option("--only", multiple=True, type=click.Choice(sorted(ATTACKS)), help="This attack (may be repeated).")
@click.option("--speed", type=float, default=SPEED, show_default=True, help="Of the clock of `soak`.")
@click.option("--write", is_flag=True, help="Write the rows of what was attacked to the table of docs/reliability.md.")
def main(seed: int | None, seconds: float, only: tuple[str, ...], speed: float, write: bool) -> None:
    """Attack real processes, and print what was tried, survived, lost and leaked. Exit code 1 if anything was."""
    drawn = random.SystemRandom().randrange(10**6) if seed is None else seed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that an attack ends what it began
    click.echo(f"seed {drawn}, {seconds:g} s for an attack, some more and some less")
    outcomes: list[Outcome] = []
    for name in only or [name for name in ATTACKS if name not in ALONE]:
        begun = time.monotonic()
        outcome = _attacked(name, drawn, seconds * SHARES.get(name, 1.0), speed)
        outcome.seconds = seconds
        outcomes.append(outcome)
        for fault in outcome.faults[:20]:
            click.echo(f"{name}: {fault}")
        click.echo(f"{name}: {outcome.survived} of {outcome.tried} in {time.monotonic() - begun:.0f} s", err=True)
        if write:  # one after another, so that what was attacked is told of when the rest is ended
            _write([outcome])
    click.echo(tell(outcomes))
    click.echo(f"again: make torture SEED={drawn} SECONDS={seconds:g}{f' ONLY={only[0]}' if len(only) == 1 else ''}")
    sys.exit(not all(outcome.withstood for outcome in outcomes))


def _attacked(name: str, seed: int, seconds: float, speed: float) -> Outcome:
    """What became of an attack; one that broke off itself is one try that was not survived."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        try:
            outcome = ATTACKS[name](Conditions(seed, seconds, Path(folder), speed))
        except Exception as error:
            outcome = Outcome(f"{name} (broken off)", seed)
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome.judge(f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[:600])
    return outcome


def _write(outcomes: list[Outcome]) -> None:
    """Bring the rows of these attacks into the table; those of others stay with their seeds and seconds."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, blank, after = rest.partition("\n\n")
    PAGE.write_text(before + BEGIN + told_anew(f"{table}\n", outcomes).rstrip("\n") + blank + after, encoding="utf-8")


if __name__ == "__main__":
    main()
