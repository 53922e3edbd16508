"""The documentation: what it tells a reader to type is understood, and what is made of the code is whole."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import generated_pages
import links
import virtio_study
from paths import ROOT
from virtio_study.cli.main import cli

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "gallery"} & set(path.relative_to(DOCS).parts))
MADE = {DOCS / "reference" / f"{name}.md" for name in generated_pages.PAGES}


def written_commands(path: Path) -> Iterator[list[str]]:
    """Every `virtio-study ...` of a page, in a line or within a text, without comments and variables."""
    text = path.read_text(encoding="utf-8")
    for found in re.findall(r"(?:^ {4,}(?:.*\s)?|`)(virtio-study [a-z][^`\n]*)", text, re.MULTILINE):
        for part in re.split(r"&&|\|(?= )|;|\s#|\s{2,}", found):
            if part.strip().startswith("virtio-study ") and not re.search(r"\.\.\.|<|=>", part):
                yield shlex.split(part)[1:]


def understood(words: list[str]) -> None:
    """Parse words as the command line does, without calling anything."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        context = click.Context(command)
        if command.name == "demo" and words[0] not in command.list_commands(context):
            words = ["report", *words]  # demo [--design DESIGN] [FOLDER]
        if words[0].startswith("-"):
            break
        _name, below, words = command.resolve_command(context, words)
        assert below is not None
        command = below
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in options | {"--help", "--debug"}, f"{command.name} has no {word}"


@pytest.mark.parametrize("path", [page for page in PAGES if page not in MADE], ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_is_understood(path: Path) -> None:
    for words in written_commands(path):
        try:
            understood(list(words))
        except click.ClickException as error:
            pytest.fail(f"{' '.join(words)}: {error.message}")


def test_every_page_can_be_reached() -> None:
    listed = set()
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for tree in re.findall(r"^```{toctree}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            names = re.findall(r"^(?:.*<)?([\w./*-]+)>?$", tree, re.MULTILINE)
            listed |= {found.resolve() for name in names for found in path.parent.glob(f"{name}.md")}
    left = [path.relative_to(DOCS).as_posix() for path in PAGES if path not in listed and path not in MADE]
    assert left == ["index.md"], "name it in a toctree, such as that of docs/explanation/index.md"


def test_a_page_that_tells_what_is_not_there_is_found() -> None:
    with pytest.raises(click.ClickException):
        understood(["recollect", "mine"])
    with pytest.raises(AssertionError, match="no --hour"):
        understood(["watch", "mine", "--hour", "3"])


def test_the_reference_has_every_command_key_field_and_name() -> None:
    made = {name: page() for name, page in generated_pages.PAGES.items()}
    assert "## virtio-study watch\n" in made["command-line"]
    assert "### virtio-study files csv\n" in made["command-line"]
    assert "| `practical_margin` | The relative change" in made["study-yaml"]
    assert (
        "| `confidence` | Confidence of every interval. | number, > 0.5, < 1 (share) | `0.95` |" in made["study-yaml"]
    )
    assert "## ServerComparison\n" in made["results-json"]
    assert "| `mem_host_bytes` | number |" in made["columns"]
    assert "## vs.load_study\n" in made["python"]


def test_a_key_without_its_meaning_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "study_keys.yaml").read_text(encoding="utf-8")
    (tmp_path / "study_keys.yaml").write_text(re.sub(r"^  seed: .*\n", "", text, count=1, flags=re.MULTILINE))
    monkeypatch.setattr(generated_pages, "HERE", tmp_path)
    with pytest.raises(ValueError, match=r"Study: .*seed"):
        generated_pages.study_keys()


def test_links_that_lead_nowhere_and_what_a_page_loads_from_elsewhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#there">x</a><a href="c.html">y</a><a href="#no">z</a>')
    (tmp_path / "b.html").write_text('<h1 id="there">B</h1><script src="https://cdn.example.org/x.js"></script>')
    assert links.broken(tmp_path) == [
        "a.html: no such page: c.html",
        "a.html: no such place: #no",
        "b.html: loads https://cdn.example.org/x.js from another site",
    ]


def test_the_gallery_has_a_dozen_examples_each_with_a_question_and_a_picture() -> None:
    examples = sorted((DOCS / "examples").glob("plot_*.py"))
    assert len(examples) >= 12
    for path in examples:
        text = path.read_text(encoding="utf-8")
        assert text.splitlines()[1].endswith("?"), path.name
        assert re.search(r"^figure\b.* = ", text, re.MULTILINE), path.name
        assert text.count("\n") <= 50, path.name


def test_every_name_that_is_offered_has_an_example_under_its_heading() -> None:
    for name in virtio_study.__all__:
        offered = getattr(virtio_study, name)
        assert ">>> " in (inspect.getdoc(offered) or ""), name
        # A value beside the methods has its type's docstring (Python 3.13 keeps a line number there).
        within = vars(offered).values() if isinstance(offered, type) else []
        own = [offered, *(one for one in within if inspect.isroutine(one))]
        for text in (inspect.getdoc(one) or "" for one in own if not inspect.ismodule(one)):
            assert ">>> " not in text or "\nExamples\n--------\n" in f"\n{text}", f"{name}: numpydoc needs the heading"


def test_the_lock_of_the_documentation_agrees_with_that_of_the_package() -> None:
    versions = {}
    for name in ("requirements.lock", "requirements-docs.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        versions[name] = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))
        assert text.count("--hash=sha256:") >= len(versions[name]) > 20
    package, site = versions["requirements.lock"], versions["requirements-docs.lock"]
    assert {name: version for name, version in site.items() if package.get(name, version) != version} == {}
