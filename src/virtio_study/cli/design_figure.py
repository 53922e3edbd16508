"""The curves of the designs that `design` tried, as figures beside the schedule."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from virtio_study.design.power import FALLS, WANTED
from virtio_study.i18n.language import LANGUAGES, words
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.report.power_figure import Curve, power_svg
from virtio_study.storage import write_atomically

if TYPE_CHECKING:
    from virtio_study.design.choosing import Choice, Tried

__all__ = ["draw_power"]

MOST_OTHERS = 4
"""Switchbacks beside the recommended one that a figure has room for."""


def draw_power(found: "Choice", folder: Path) -> list[Path]:
    """Write the curves of a choice as `power.en.svg` and `power.es.svg`; nothing where nothing was simulated."""
    chosen = found.tried_of_recommended
    if chosen is None:
        return []
    best = found.best_of_each_length()
    others = [item for item in best if item.design and item is not chosen]
    apart = max(1, math.ceil(len(others) / MOST_OTHERS))
    drawn = [chosen, *others[::apart], *(item for item in best if not item.design)]
    curves = [Curve(_name(item, item is chosen), item.shown, item.design is not None, item is chosen) for item in drawn]
    paths = []
    for language in LANGUAGES:
        path = folder / f"power.{language}.svg"
        write_atomically(path, power_svg(FALLS, curves, WANTED, _described(found, chosen), words(language)).encode())
        paths.append(path)
    return paths


def _name(item: "Tried", chosen: bool) -> Said:
    if item.design is None:
        return said(N_("before/after, {days} + {days} days"), days=item.days // 2)
    if chosen:
        return said(N_("recommended: {days} days, blocks of {hours} h"), days=item.days, hours=item.design.block_h)
    return said(N_("{days} days, blocks of {hours} h"), days=item.days, hours=item.design.block_h)


def _described(found: "Choice", chosen: "Tried") -> Said:
    if chosen.least is None:
        form = N_("The recommended design, {days} days in blocks of {hours} h, shows no fall in four of five studies.")
    else:
        form = N_(
            "The recommended design, {days} days in blocks of {hours} h, shows a fall of {least:.0%} in four of five "
            "studies, and one of {fall:.0%} in {power:.0%}."
        )
    assert chosen.design is not None
    return said(
        form,
        days=chosen.days,
        hours=chosen.design.block_h,
        least=chosen.least,
        fall=found.fall,
        power=chosen.power(found.fall),
    )
