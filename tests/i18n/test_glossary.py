"""The glossary docs/glosario.md holds: one Spanish term for one thing, in everything that a Spanish reader sees."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from virtio_study.i18n.catalogue import catalogue_file, read_catalogue

ROOT = Path(__file__).parents[2]
NOT_PROSE = re.compile(
    "|".join(
        (
            r"`[^`\n]*`",
            r"\w+\.\{\w+\}|\{[^{}\n]*\}|%\(\w+\)s",
            r"\]\([^)]*\)|https?://\S+|\S+@\S+",
            r"!+\w[\w-]*|--design switchback|--[\w-]+",
            r"[\w.*-]*[/_][\w./*-]*|\w+\.\w[\w.]*|(?<=\W)\w+=\S+",
        )
    )
)
"""Code, fields, addresses, options and names of files and keys: no words of Spanish."""


def glossary() -> list[tuple[list[str], str, list[str]]]:
    """Each row: English terms; Spanish as written; variants that are not used."""
    rows = [
        line.strip("|").split("|") for line in (ROOT / "docs/glosario.md").read_text().splitlines() if line[:1] == "|"
    ]
    listed = [[cell.strip() for cell in row] for row in rows[2:]]
    return [(row[0].split(", "), row[1], [one for one in row[4].split(", ") if one]) for row in listed]


def variant(text: str) -> str:
    return r"(?<![\w-])" + re.escape(text).replace(r"\*", r"\w*") + r"(?![\w-])"


NOT_USED = re.compile("|".join(variant(one) for *_, variants in glossary() for one in variants), re.IGNORECASE)
IN_EVERY_SENTENCE = [
    (re.compile(rf"(?<![\w-])[{english[0].upper()}{english[0]}]{english[1:]}s?(?![\w-])"), spanish.strip("*"))
    for terms, spanish, _ in glossary()
    if spanish.startswith("**")
    for english in terms
]


def translations() -> Iterator[tuple[str, str]]:
    for item in read_catalogue(catalogue_file("es")):
        if item.id:
            ids, strings = ((one,) if isinstance(one, str) else one for one in (item.id, item.string))
            yield from zip(ids, strings, strict=True)


def other_texts() -> Iterator[tuple[str, str]]:
    pages = [ROOT / "README.es.md", *(ROOT / "src").rglob("README.es.md"), *sorted((ROOT / "docs/es").glob("*.md"))]
    for path in pages:
        text = re.sub(r"^```.*?^```|^\s*:\w+:.*?$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        yield path.name, re.sub(r"^    .*$", lambda line: line.group().partition(" # ")[2], text, flags=re.MULTILINE)
    for path in sorted((ROOT / "notebooks/es").glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            text = "".join(cell["source"])
            yield path.name, text if cell["cell_type"] == "markdown" else "\n".join(re.findall("# (.*)", text))
    for path in sorted((ROOT / "data").glob("*/study.yaml")):
        yield from ((str(path.relative_to(ROOT)), text) for text in spanish_of(yaml.safe_load(path.read_text())))


def spanish_of(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "title" and tree.get("source") == "published":
                continue  # the title of the paper, as its authors wrote it
            if key == "es":
                yield str(value)
            else:
                yield from spanish_of(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from spanish_of(value)


def test_no_variant_is_used_that_the_glossary_rules_out() -> None:
    texts = [*translations(), *other_texts()]
    found = [(where, hit.group(), text) for where, text in texts if (hit := NOT_USED.search(NOT_PROSE.sub(" ", text)))]
    assert found == []


@pytest.mark.parametrize(("english", "spanish"), IN_EVERY_SENTENCE, ids=[es for _, es in IN_EVERY_SENTENCE])
def test_a_term_of_the_glossary_has_its_translation_in_every_sentence(english: re.Pattern[str], spanish: str) -> None:
    first, *others = spanish.split(" ", 1)
    stem = re.escape(first[:-1]) + r"\w*"  # veredicto, veredictos; controlador, controladores
    inflected = re.compile(rf"\b{' '.join([stem, *map(re.escape, others)])}", re.IGNORECASE)
    concerned = [(one, text) for one, text in translations() if english.search(NOT_PROSE.sub(" ", one))]
    assert concerned
    assert [pair for pair in concerned if not inflected.search(pair[1])] == []


def test_spanish_has_its_own_marks() -> None:
    prose = [(one, NOT_PROSE.sub(" ", text)) for one, text in translations()]
    assert [pair for pair in prose if pair[1].count("?") != pair[1].count("¿")] == []
    assert [pair for pair in prose if pair[1].count("!") != pair[1].count("¡")] == []
    assert [pair for pair in prose if re.search(r"\d%(?!\()", pair[1])] == []
    assert [pair for pair in prose if re.search(r'(?<![=\w])"\w[^"]*"', pair[1])] == []
