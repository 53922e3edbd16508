"""Whatever a host or a file says - markup, quotes, directions, length, emoji, formulas - is text and stays in place."""

import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import html5lib
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from synthetic import STUDY, make_study
from virtio_study.analysis.description import Description
from virtio_study.analysis.effects import Effect, Practical
from virtio_study.analysis.plausibility import Counted, CountedGuest, Counts
from virtio_study.analysis.records import Estimate
from virtio_study.analysis.results import Results
from virtio_study.errors import StudyError
from virtio_study.i18n.labels import harmless, shortened
from virtio_study.report import figures
from virtio_study.report.drawings import Drawn
from virtio_study.report.page import render_page
from virtio_study.report.tables import whole
from virtio_study.study import Study, load_study
from virtio_study.workflow import steps

HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;&lt;b&gt;",
    "close": "</title></text></svg></style></td></table><!-- --> ]]> -->",
    "quotes": '"\' onmouseover="alert(1)" x=\'` id="spoof" url(#spoof) xlink:href="#spoof"',
    "directions": "\u202eevil\u2066\u202b\u200f\u061c",
    "controls": "a\x00b\x1b[2J\x07\x85\u2028c\ud800",
    "formula": r"$\frac{1}{0}$ $x_1$ 50$ \alpha {braces} {0} {x!r} %s %(x)s {{ 7*7 }} {% raw %}",
    "long": "W" * 300,
    "words": "many words " * 30,
    "emoji": "👩‍👩‍👧‍👦🏴‍☠️😀" * 4,
    "letters": "خادم שרת 服务器 Ñandú",
    "path": "../../etc/passwd\\..\\con: *?",
}
SVG = "{http://www.w3.org/2000/svg}"
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("hostile"), boots=2)


@pytest.fixture(scope="module")
def levels(study: Study) -> dict[str, Description]:
    return {name: steps.describe(study, "versat", name) for name in study.driver_configs}


# --- text -------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_harmless_text_has_no_controls_and_no_directions_and_keeps_the_rest(text: str) -> None:
    found = harmless(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u2028\u2029]", found)
    assert harmless(found) == found
    kept = [character for character in text if character.isalnum()]
    assert [character for character in found if character.isalnum()] == kept
    ET.fromstring(f"<a>{found.replace('&', '').replace('<', '')}</a>")


@given(st.text(), st.integers(1, 50))
def test_shortened_text_is_one_line_that_fits(text: str, longest: int) -> None:
    found = shortened(text, longest)
    assert len(found) <= longest
    assert found == shortened(found, longest)
    assert len(found.splitlines()) <= 1


def test_what_is_short_and_harmless_is_left_alone() -> None:
    for text in ("emulada (IDE, e1000)", HOSTILE["letters"], "$x$ <b>", ""):
        assert shortened(text, 60) == harmless(text) == text


# --- figures ----------------------------------------------------------------------------------------------------------


def drawings(levels: dict[str, Description], text: str) -> dict[str, Callable[[], Any]]:
    labels = dict.fromkeys(levels, text)
    estimate = Estimate(estimate=-0.05, low=-0.1, high=0.0, confidence=0.95, n=2, df=1.0, method="m", unit="cores")
    effect = Effect(
        status="estimated",
        unit="cores",
        difference=estimate,
        before=estimate.model_copy(update={"estimate": 0.3}),
        practical=Practical(margin=0.05, equivalent=False, p=0.5),
        messages=(),
        numbers={},
        sentence="",
    )
    amounts = {"boots": (26.0,), "operations_per_boot": (1,), "internal_per_operation": (0.0,), "by_region": {}}
    counted = Counted.model_validate({"device": text, "operation": text, **amounts})
    counts = Counts(method="", qemu="", guest=CountedGuest(release="", kernel="", initramfs=""), rows=(counted,))
    sides = ("emulated", "virtio")
    return {
        "boots": lambda: figures.boot_levels(levels, "cpu", labels),
        "estimation": lambda: figures.estimation(levels, "cpu", effect, sides, labels),
        "ram": lambda: figures.ram_by_instrument(levels, labels),
        "accesses": lambda: figures.accesses(counts),
    }


@pytest.fixture(scope="module")
def plain(levels: dict[str, Description]) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    """Elements of every figure with a harmless label of two lines."""
    found = drawings(levels, "plain words (two lines)").items()
    return {kind: elements(ET.fromstring(figures.svg(draw(), "n", "t", "d"))) for kind, draw in found}


@hostile
def test_a_label_in_a_figure_is_text_and_nothing_else(
    levels: dict[str, Description], plain: dict[str, set[tuple[str, tuple[str, ...]]]], text: str
) -> None:
    for kind, draw in drawings(levels, text).items():
        figure = draw()
        source = figures.svg(figure, "name", text, text)
        found = ET.fromstring(source)
        assert elements(found) <= plain[kind]
        assert 'id="name-spoof"' not in source
        assert found.findtext(f"{SVG}title") == found.findtext(f"{SVG}desc") == harmless(text)
        shown = "".join("".join(item.itertext()) for item in found.iter(f"{SVG}text"))
        assert squeezed(shortened(text, 12 if kind == "accesses" else figures.LONGEST)) in squeezed(shown)
        assert figure.axes[0].get_position().width > 0.25, "no room is left for the data"


def squeezed(text: str) -> str:
    return "".join(text.split())


def elements(root: ET.Element) -> set[tuple[str, tuple[str, ...]]]:
    """Kinds of elements in a figure with the names of their attributes."""
    return {(item.tag, tuple(sorted(item.attrib))) for item in root.iter()}


def test_labels_that_are_alike_do_not_merge_what_they_name(levels: dict[str, Description]) -> None:
    found = drawings(levels, "the same" * 40)["boots"]()
    assert len(found.axes[0].get_yticks()) == len(levels)
    places = {round(float(y)) for dots in found.axes[0].collections for _, y in dots.get_offsets()}
    assert places == {0, 1}


# --- file names -------------------------------------------------------------------------------------------------------


@hostile
def test_no_text_becomes_a_name_of_a_server_or_configuration(tmp_path: Path, text: str) -> None:
    for key in ("versat:", "emulated:", "total:"):
        folder = tmp_path / key.strip(":")
        folder.mkdir()
        name = json.dumps(text)
        (folder / "study.yaml").write_text(STUDY.replace(f"  {key}", f"  {name}:", 1), encoding="utf-8")
        with pytest.raises(StudyError) as refused:
            load_study(folder)
        assert str(folder) in str(refused.value)


@hostile
def test_texts_of_a_study_reach_no_file_name(tmp_path: Path, text: str) -> None:
    made = make_study(tmp_path, boots=1)
    protocol = yaml.safe_load((made.folder / "study.yaml").read_text())
    keep = text.encode("utf-8", "ignore").decode()
    spoil(protocol, keep)
    (made.folder / "study.yaml").write_text(yaml.safe_dump(protocol))
    before = files(tmp_path)
    steps.describe(load_study(made.folder), "versat", "virtio")
    new = files(tmp_path) - before
    assert new
    assert all(re.fullmatch(r"data/made-up/work/versat-virtio\.[a-z]+\.[a-z]+", name) for name in new), new


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def spoil(protocol: dict[str, Any], text: str) -> None:
    """Put a text wherever a protocol has free text."""
    both = {"en": text, "es": text}
    protocol["title"] = both
    protocol["host"] |= {"name": text, "cpu_model": text, "hypervisor": text}
    protocol["servers"]["versat"]["role"] = both
    for config in protocol["driver_configs"].values():
        config |= {"label": both, "disk": text, "nic": text}
    protocol["comparisons"]["total"]["question"] = both


# --- the page ---------------------------------------------------------------------------------------------------------


class NoFigures(dict[str, Drawn]):
    """An empty figure for every name."""

    def __missing__(self, name: str) -> Drawn:
        return Drawn(Markup("<svg></svg>"), b"")


@pytest.fixture(scope="module")
def page_results(study: Study) -> Results:
    return steps.results(study)


@pytest.fixture(scope="module")
def plain_page(page_results: Results) -> list[tuple[str, tuple[str, ...]]]:
    return tags(render_page(spoiled(page_results, "plain words"), NoFigures(), "en"))


@hostile
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_text_in_the_page_is_text_and_nothing_else(
    page_results: Results, plain_page: list[tuple[str, tuple[str, ...]]], text: str, language: str
) -> None:
    page = render_page(spoiled(page_results, text), NoFigures(), language)
    assert tags(page) == plain_page
    if not re.search("[\ud800-\udfff]", text):
        assert squeezed(harmless(text)) in squeezed(html.unescape(re.sub("<[^>]*>", "", page)))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page)


def spoiled(results: Results, text: str) -> Results:
    """Results with a text wherever a host or a protocol has a say."""
    found = results.model_dump(mode="json")
    both = {"en": text, "es": text}
    found["study"]["title"] = both
    found["study"]["host"] |= {"name": text, "cpu_model": text, "hypervisor": text}
    found["provenance"]["recordings"] = {"qemu": text}
    for config in found["study"]["driver_configs"].values():
        config["label"] = both
    for server in found["servers"].values():
        server["role"] = both
        for described in server["configurations"].values():
            described |= {"label": both, "versions": {"qemu": text}, "devices": {"disk": text}}
        for comparison in server["comparisons"].values():
            comparison["question"] = both
            for checks in comparison["checks"].values():
                for check in checks:
                    check["numbers"] = {
                        key: text if isinstance(value, str) and key not in {"unit"} else value
                        for key, value in check["numbers"].items()
                    }
    return Results.model_validate(found)


def tags(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every element of a page with the names of its attributes, as a browser would see them."""
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    return [(item.tag, tuple(sorted(item.attrib))) for item in tree.iter() if isinstance(item.tag, str)]


def test_a_table_of_sentences_is_text_and_the_same_every_time() -> None:
    table = pd.DataFrame({"sentence": pd.Series(HOSTILE, dtype=object)})
    made = [whole(table).data for _ in range(2)]
    assert made[0] == made[1]
    assert "<script" not in made[0]
    assert "<img" not in made[0]
