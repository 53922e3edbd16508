"""What the page says is plain: no sentence is longer than a reader's breath."""

import ast
import re
from pathlib import Path

from virtio_study.i18n.catalogue import FIELD

PACKAGE = Path(__file__).parents[2] / "src" / "virtio_study"
LONGEST = 25
SPOKEN = (
    "analysis/effects.py",
    "analysis/meta_analysis.py",
    "analysis/forecast.py",
    "analysis/switchback.py",
    "report/answers.py",
)


def marked(path: Path) -> set[str]:
    """The texts that a module or a template marks for translation."""
    text = path.read_text()
    if path.suffix == ".j2":
        return set(re.findall(r'_\(\s*"((?:[^"\\]|\\.)*)"', text))
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    words = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("N_", "_")]
    return {word.value for word in words if isinstance(word, ast.Constant)}


def test_a_sentence_of_the_page_has_twenty_five_words_at_most() -> None:
    paths = [*sorted(PACKAGE.glob("report/templates/*.j2")), *sorted(PACKAGE.glob("analysis/validity/*.py"))]
    texts = set().union(*(marked(path) for path in [*paths, *(PACKAGE / name for name in SPOKEN)]))
    assert len(texts) > 300
    sentences = [one for text in texts for one in re.split(r"(?<=[.?!])\s+", FIELD.sub("field", text))]
    assert [one for one in sentences if len(one.split()) > LONGEST] == []
