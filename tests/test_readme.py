"""README.md and README.es.md say the same, and only what was measured."""

import csv
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENGLISH, SPANISH = ((ROOT / name).read_text() for name in ("README.md", "README.es.md"))
NAMES = {
    "ESTUDIO": "STUDY",
    "<estudio>": "<study>",
    "CARPETA": "FOLDER",
    "SECRETO": "SECRET",
    "mio": "mine",
    "salida.ipynb": "out.ipynb",
    "notebooks/es/": "notebooks/",
    ".es.svg": ".en.svg",
    "README.es.md": "README.md",
    "docs/es/": "docs/",
}
MIB = 2**20


def said(text: str) -> str:
    """A text with the names that are free to choose as the English text has them."""
    for spanish, english in NAMES.items():
        text = re.sub(rf"(?<!\w){re.escape(spanish)}" if spanish[0] != "." else re.escape(spanish), english, text)
    return text


def commands(text: str) -> list[str]:
    blocks = [line.partition(" # ")[0].split() for line in re.findall("^    .*$", text, re.MULTILINE)]
    return [said(" ".join(line)) for line in blocks if "->" not in line]


def prose(text: str) -> str:
    return re.sub("^    .*$", "", text, flags=re.MULTILINE)


def numbers(text: str) -> Counter[str]:
    without = re.sub(r"\]\([^)]*\)|`[^`]*`|x86-64|SHA-256", "", prose(text))
    return Counter(number.replace(",", ".") for number in re.findall(r"\d+(?:[.,]\d+)?", without))


def test_both_languages_have_the_same_headings_commands_links_and_numbers() -> None:
    levels = [re.findall("^#+ ", text, re.MULTILINE) for text in (ENGLISH, SPANISH)]
    assert levels[0] == levels[1]
    assert commands(ENGLISH) == commands(SPANISH)
    assert numbers(ENGLISH) == numbers(SPANISH)
    links = [Counter(re.findall(r"\]\(([^)]*)\)", said(text))) for text in (ENGLISH, SPANISH)]
    assert links[0] == links[1]
    code = [{said(one) for one in re.findall(r"`([^`]+)`", prose(text))} for text in (ENGLISH, SPANISH)]
    assert code[0] == code[1]


def test_every_file_that_is_named_is_there() -> None:
    for text in (ENGLISH, SPANISH):
        assert [link for link in re.findall(r"\]\(([^)#:]*)\)", text) if not (ROOT / link).exists()] == []


def test_the_figure_says_what_its_data_say() -> None:
    with (ROOT / "reports/lab-qemu/figures/at-a-glance.csv").open() as table:
        rows = list(csv.DictReader(table))
    levels = {(row["metric"], row["driver_config"]): float(row["sustained"]) / MIB for row in rows}
    configs = ("emulated", "balloon", "virtio")
    expected = [round(levels[metric, one]) for metric in ("mem_displayed", "mem_host", "mem_guest") for one in configs]
    for text in (ENGLISH, SPANISH):
        alternative = re.search(r"!\[([^]]*)\]", text)
        assert alternative
        assert [int(one) for one in re.findall(r"\d+", alternative.group(1))] == expected
    less = 1 - levels["mem_displayed", "balloon"] / levels["mem_displayed", "emulated"]
    assert f"{less:.0%}".replace("%", " %") in ENGLISH
    assert abs(levels["mem_host", "balloon"] / levels["mem_host", "emulated"] - 1) < 0.01


def test_the_table_of_designs_is_that_of_the_calibration() -> None:
    measured: dict[str, dict[str, list[str]]] = {}
    for line in (ROOT / "docs/calibration.md").read_text().splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if cells[0] in ("CPU", "RAM") and len(cells) == 7:
            measured.setdefault(cells[1], {})[cells[0]] = cells[4:6]
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in ENGLISH.splitlines() if line[:2] == "| "
    ]
    assert len(rows[1:]) == 2
    for design, *columns in rows[1:]:
        both = measured[design]
        assert columns == [f"{both['CPU'][place]} % and {both['RAM'][place]} %" for place in (0, 1)]
