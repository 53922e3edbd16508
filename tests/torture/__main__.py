"""`make torture`: every attack for its time, and the table of what became of it."""

import random
import sys
import tempfile
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from torture.attack import Conditions, Outcome, tell
from torture.attacks import ATTACKS

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table: make torture WRITE=1 -->\n", "<!-- end of the table -->\n"


@click.command()
@click.option("--seed", type=int, help="Of what is drawn (default: another one each time; it is printed).")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="For each attack.")
@click.option("--only", multiple=True, type=click.Choice(sorted(ATTACKS)), help="This attack (may be repeated).")
@click.option("--write", is_flag=True, help="Write the table to docs/reliability.md.")
def main(seed: int | None, seconds: float, only: tuple[str, ...], write: bool) -> None:
    """Attack real processes, and print what was tried, survived, lost and leaked. Exit code 1 if anything was."""
    drawn = random.SystemRandom().randrange(10**6) if seed is None else seed
    outcomes: list[Outcome] = []
    for name in only or ATTACKS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            outcome = ATTACKS[name](Conditions(drawn, seconds, Path(folder)))
        outcomes.append(outcome)
        for fault in outcome.faults[:20]:
            click.echo(f"{name}: {fault}")
        click.echo(f"{name}: {outcome.survived} of {outcome.tried} in {time.monotonic() - begun:.0f} s", err=True)
    click.echo(tell(outcomes))
    click.echo(f"again: make torture SEED={drawn} SECONDS={seconds:g}")
    if write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        again = f"\nAgain: `make torture SEED={drawn} SECONDS={seconds:g}`\n"
        PAGE.write_text(before + BEGIN + tell(outcomes) + again + END + rest.partition(END)[2], encoding="utf-8")
    sys.exit(not all(outcome.withstood for outcome in outcomes))


if __name__ == "__main__":
    main()
