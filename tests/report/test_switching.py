"""The switchback on the page and in notebooks: its numbers, marks and words."""

from functools import partial
from pathlib import Path

import pytest

from switching import Run, followed, in_order, switched, write_study
from virtio_study.i18n.language import words
from virtio_study.report.page import make_page
from virtio_study.report.switching import (
    block_table,
    blocks_over_time,
    distribution_table,
    draws_distribution,
    show_adherence,
    show_blocks,
    show_draws,
)
from virtio_study.workflow.keys import Keys
from virtio_study.workflow.steps import _cleaned, results

PLAN = in_order(["ev", "ve", "ve", "ev", "ev", "ve"])
REFUSED = [*followed(PLAN)[:2], Run(PLAN[2], 6, 12), *followed(PLAN)[4:]]
LABELS = {"emulated": "Emulated", "virtio": "VirtIO"}


def test_a_block_has_the_colour_of_what_was_in_force_and_a_hollow_mark_if_another_was_planned() -> None:
    rows = switched(PLAN, REFUSED).blocks()
    (axes,) = blocks_over_time(rows, "cpu", "cores", LABELS).axes
    marks = [line for line in axes.lines if line.get_marker() not in ("None", "") and len(line.get_xdata())]
    assert len(marks) == 12
    hollow = [number for number, line in enumerate(marks, 1) if line.get_markerfacecolor() == "white"]
    assert hollow == [4]
    assert {line.get_color() for line in (marks[2], marks[3])} == {marks[1].get_color()}
    table = block_table(rows)
    assert table.loc[3, ["assigned", "received", "status"]].tolist() == ["emulated", "virtio", "missed"]
    assert table.loc[0, "cpu"] == rows[0].levels["cpu"]


def test_the_distribution_marks_what_was_seen() -> None:
    found = switched(PLAN).compared().effects["cpu"].randomised
    assert found is not None
    table = distribution_table(found)
    assert table["probability"].sum() == pytest.approx(1)
    assert table.loc[table["observed"], "share_of_rises"].tolist() == [0.0]
    (axes,) = draws_distribution(found, words("es")).axes
    assert next(label.get_text() for label in axes.get_xticklabels()) == "todos los pares bajaron"


def test_notebooks_show_the_same_and_nothing_where_there_is_no_schedule() -> None:
    study = switched(PLAN, REFUSED)
    assert "11 of 12 blocks followed the schedule" in show_blocks(study.blocks()).data
    assert "Switching at random" in show_draws({"total": study.compared()}).data
    shown = show_adherence(study.blocks(), words("es")).data
    assert "Tocaba «emulated», pero siguió en vigor «virtio»" in shown
    assert (show_blocks(()), show_draws({}), show_adherence(())) == (None, None, None)


@pytest.mark.slow
def test_the_page_has_blocks_both_analyses_the_distribution_and_one_plain_sentence(tmp_path: Path) -> None:
    study = write_study(tmp_path, PLAN, REFUSED)
    found = results(study)
    page = make_page(found, partial(_cleaned, Keys(study)))
    effect = found.servers["alpha"].comparisons["total"].effects["cpu"]
    assert effect.randomised is not None
    assert "The drivers were switched at random, not always as planned" in page.html
    assert f'so much or more would come up in <data value="{effect.randomised.p!r}">6.25</data>' in page.html
    assert "“emulated” was due, but “VirtIO” stayed in force: the switch did not happen." in page.html
    assert page.html.count("as received") >= 2
    assert {"alpha-blocks", "alpha-total-draws"} <= page.figures.keys()
