"""No word reaches a reader that no catalogue knows: pages, figures and tables in a language of marks."""

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pseudo
import pytest
from IPython.display import HTML, SVG
from markupsafe import Markup

from paths import ROOT
from synthetic import make_study
from virtio_study.analysis.results import Results
from virtio_study.i18n.labels import shortened
from virtio_study.i18n.terms import TERMS
from virtio_study.report import figures
from virtio_study.report.drawings import Drawn
from virtio_study.report.page import render_page
from virtio_study.study import Study
from virtio_study.workflow import steps

pytestmark = pytest.mark.usefixtures("pseudo_language")

NAMES = {
    *(
        "VirtIO SCSI single",
        "CPU",
        "RAM",
        "vCPU",
        "KiB",
        "MiB",
        "GiB",
        "GB",
        "GHz",
        "MB",
        "ms",
        "µs",
        "UTC",
        "SHA",
        "CSV",
        "JSON",
        "KVM",
        "PSS",
        "RSS",
    ),
    *("Welch", "HAC", "AR", "Mann", "Whitney", "Python", "QEMU", "Linux", "Windows", "VirtIO", "Proxmox", "VE", "IDE"),
    *("AHCI", "SATA", "LSI", "SCSI", "Block", "Net", "RTL8139", "Intel", "virtio-study", "tcg", "kvm"),
    # of the formula of an interval
    *("n₁", "n₂", "s₁²", "s₂²"),
    # of every page: its other languages, by their own names
    *("English", "Español"),
}
"""Units, abbreviations and proper names, which are the same in every language."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of SIMULATED boots, up to its results."""
    study = make_study(tmp_path_factory.mktemp("made"))
    (study.folder.parent / "published").symlink_to(ROOT / "data" / "published")
    for server in study.servers:
        steps.compare(study, server)
    return study


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def data_of(results: Results) -> set[str]:
    """Names and texts of the study itself, of its devices and settings, and of what it was made with."""
    plain = results.model_dump(mode="json")
    own = {key: value for key, value in plain["study"].items() if key not in ("metrics", "load", "source", "lab")}
    found = {*texts(own), *texts(plain["provenance"]), results.name}
    found |= {row.device for row in results.counts.rows} | {results.counts.guest.release} if results.counts else set()
    if results.published:
        found |= {*texts(results.published.citation), *results.published.servers}
        found |= {value.driver_config for value in results.published.values}
    for server in results.servers.values():
        found |= {text for described in server.configurations.values() for text in texts(described.versions)}
        found |= {boot.replicate for described in server.configurations.values() for boot in described.boots}
        for comparison in server.comparisons.values():
            # settings and versions as a host or QEMU calls them; those that the catalogue knows are to be said
            own_words = {text for item in comparison.differs for text in dict(item).values()}
            found |= {text for text in own_words if text not in TERMS["setting"]}
    for run in (run for runs in (results.timeline or {}).values() for run in runs):
        found |= {
            *run.waiting,
            *run.hidden,
            *(item.detail for item in run.contaminated),
            *run.devices.model_dump().values(),
        }
    for config in results.study.driver_configs.values():  # a figure has no room for a long label
        short = shortened(config.label.en, figures.LONGEST)
        found |= {short, *figures.wrapped(config.label.en).split("\n")}
    return {text for text in found if len(text) > 1} | NAMES


class EveryFigure(dict[str, Drawn]):
    """A figure for every name, for pages whose figures are not in question."""

    def __missing__(self, name: str) -> Drawn:
        return Drawn(Markup("<svg></svg>"), b"")


def left(said: Iterable[str], results: Results) -> dict[str, set[str]]:
    data = data_of(results)
    # a line that only ends a marked text is the second line of a label that was too long for one
    whole = (text for text in said if not (text.endswith("⟧") and "⟦" not in text))
    return {text: words for text in whole if (words := pseudo.unmarked(text, data))}


@pytest.mark.parametrize("name", ["lab-qemu", "pve-rig"])
def test_a_bundled_page_says_nothing_that_is_not_marked(name: str):
    content = (ROOT / "reports" / name / "results.json").read_text(encoding="utf-8")
    results = Results.model_validate_json(content)
    page = render_page(results, EveryFigure(), pseudo.PSEUDO)
    assert not left(pseudo.sentences_of_page(page), results)


def test_pages_and_figures_of_a_study_say_nothing_that_is_not_marked(made: Study):
    results = steps.write_report(made, pseudo.PSEUDO)
    page = (made.reports / f"index.{pseudo.PSEUDO}.html").read_text(encoding="utf-8")
    assert not left(pseudo.sentences_of_page(page), results)
    figures = sorted((made.reports / "figures").glob(f"*.{pseudo.PSEUDO}.svg"))
    assert figures
    for path in figures:
        assert not left(pseudo.outside_of_svg(path.read_text(encoding="utf-8")), results), path.name


NOTEBOOKS = [*sorted((ROOT / "notebooks").glob("*.ipynb"))]
IN_CODE = {"low", "typical", "high", "Range", "Capacity", "by_logical_cpus", "by_memory", "by_physical_cores", "None"}
IN_CODE |= {"servers", "limited_by", "memory"}
"""Fields of the objects with which the playground ends."""


def outputs(notebook: Path, parameters: dict[str, str]) -> Iterator[str]:
    """Texts of what the cells of a notebook show, run one after another with parameters."""
    space: dict[str, Any] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            *statements, last = ast.parse("".join(cell["source"])).body
            shown = isinstance(last, ast.Expr)
            exec(compile(ast.Module([*statements, *([] if shown else [last])], []), notebook.name, "exec"), space)
            if isinstance(last, ast.Expr):
                yield from texts_of(eval(compile(ast.Expression(last.value), notebook.name, "eval"), space))
            space |= {name: value for name, value in parameters.items() if name in space}


def texts_of(shown: Any) -> Iterator[str]:
    if isinstance(shown, SVG):
        yield from pseudo.outside_of_svg(shown.data)
    elif hasattr(shown, "to_html"):
        yield from pseudo.sentences_of_page(shown.to_html())
    elif isinstance(shown, HTML):
        yield from pseudo.sentences_of_page(shown.data)
    elif isinstance(shown, pd.Series):
        yield from shown
    elif shown is not None:
        yield repr(shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_show_nothing_that_is_not_marked(made: Study, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(made.folder.parents[1])
    parameters = {"study": made.name, "server": "versat", "driver_config": "virtio", "language": pseudo.PSEUDO}
    data = data_of(steps.results(made)) | IN_CODE | {f"boot-{number:02d}" for number in range(1, 7)}
    data |= {"ide", "CPU and RAM of versat under virtio since start"}
    shown = [text for text in outputs(path, parameters) if text]
    assert any("⟦" in text for text in shown)
    assert not {text: found for text in shown if (found := pseudo.unmarked(text, data))}
