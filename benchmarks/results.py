"""Every measured claim in one table, read from the pages into which the benchmarks write: benchmarks/RESULTS.md.

    python benchmarks/results.py          the table anew, what is said of the machine stays
    python benchmarks/results.py --here   also this machine, its versions and today, after measuring on it

A number that its page does not have is not measured; one that misses what was wanted is said to.
"""

import argparse
import datetime
import os
import platform
import re
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "RESULTS.md"
BEGIN, END = "<!-- machine -->\n", "<!-- end of machine -->\n"
PACKAGES = ("numpy", "pandas", "pyarrow", "scipy", "matplotlib", "papermill", "distributed")
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")

Found = tuple[str, bool | None]
"""What was measured in words, and whether it is what was wanted; None where nothing was."""

TITLE = """# What was measured

Written by `python benchmarks/results.py` from the pages that the last column names; a test holds it against them. Each
page says how it was measured, and the command measures it again. Seconds and their ratios depend on the machine and on
what else it did, which is said below of the last time; counts, coverage and bytes do not.

"""

TAIL = """
What is missed is still wanted; its page says what stands in the way, where that is known. A dash: nothing was measured
yet, or no bound was wanted.
"""


def text(page: str) -> str:
    """A page of `docs/` on one line a paragraph."""
    return re.sub(r"(?<=[^\n|>])\n(?=[^\n|<#])", " ", (ROOT / "docs" / page).read_text(encoding="utf-8"))


def rows(page: str, *columns: str) -> list[dict[str, str]]:
    """Rows of every table of a page that has these columns.

    Raises
    ------
    LookupError
        If there is none.
    """
    found: list[dict[str, str]] = []
    heads: list[str] = []
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            heads = []
            continue
        cells = [cell.strip().replace("**", "").replace("`", "") for cell in line.strip().strip("|").split("|")]
        if not heads:
            heads = cells
        elif set(columns) <= set(heads) and not set("".join(cells)) <= set("-: "):
            found.append(dict(zip(heads, cells, strict=True)))
    if not found:
        raise LookupError(page)
    return found


def numbers(cell: str) -> list[float]:
    """Every number in a cell or sentence."""
    return [float(item.replace(",", "")) for item in NUMBER.findall(cell)]


def sentence(page: str, pattern: str) -> list[float]:
    """The numbers of a sentence of a page.

    Raises
    ------
    LookupError
        If the page does not say it.
    """
    match = re.search(pattern, text(page), re.DOTALL)
    if match is None:
        raise LookupError(page)
    return numbers(match[0])


def column(found: Iterable[dict[str, str]], name: str) -> list[float]:
    """First number of a column in each row that has one."""
    return [numbers(row[name])[0] for row in found if numbers(row[name])]


class Claim(NamedTuple):
    """What was to be shown, how much of it, what was, by which command, and the page that has it."""

    shown: str
    wanted: str
    found: Callable[[], Found]
    command: str
    page: str

    def row(self) -> str:
        """Its row of the table."""
        try:
            told, held = self.found()
        except LookupError:
            told, held = "not measured", None
        verdict = "–" if held is None else "yes" if held else "**missed**"
        where = f"[{self.page}](../docs/{self.page})"
        return f"| {self.shown} | {self.wanted} | {told} | {verdict} | `{self.command}` | {where} |"


def table(groups: dict[str, list[Claim]]) -> str:
    """One table, with a row for the name of each group."""
    lines = ["| Shown | Wanted | Measured | Held | Command | Where |", "|---|---|---|---|---|---|"]
    for name, claims in groups.items():
        lines += [f"| **{name}** | | | | | |", *(claim.row() for claim in claims)]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """This machine, its versions and today."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} processors ({model[1] if model else platform.machine()}), {memory:.0f} GiB; "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}, {packages}; "
        f"{datetime.datetime.now(tz=datetime.UTC).date()}, load {os.getloadavg()[0]:.1f}.\n"
    )


def page(told: str) -> str:
    """The page, with what is said of the machine."""
    from claims import CLAIMS

    return TITLE + BEGIN + told + END + "\n" + table(CLAIMS) + TAIL


def told(content: str) -> str:
    """What a page says of the machine."""
    return content.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="also this machine, its versions and today")
    new = parser.parse_args().here or not PAGE.exists()
    PAGE.write_text(page(machine() if new else told(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
