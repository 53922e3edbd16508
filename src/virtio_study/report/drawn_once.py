"""The figure that three notebooks of a run show, drawn once: a run keeps it where the next notebook looks."""

import hashlib
import os
from pathlib import Path

import pandas as pd

from virtio_study.environment import DRAWN
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.report.figures import RAM, over_time
from virtio_study.report.svg import raw_svg

__all__ = ["over_time_written"]

DRAWN_OF = ["replicate", "time", "uptime_s", "period", "cpu_cores", "mem_allocated_bytes", *(f"{m}_bytes" for m in RAM)]


def over_time_written(clean: pd.DataFrame, words: Words = ENGLISH) -> str:
    """`over_time` as matplotlib writes it to SVG; see `report.svg.raw_svg`.

    A run has one code and one protocol from its start to its end, so the rows and the language tell figures apart.
    """
    folder = os.environ.get(DRAWN)
    if not folder:
        return raw_svg(over_time(clean, words))
    rows = pd.util.hash_pandas_object(clean[DRAWN_OF], index=False).to_numpy()
    made_of = hashlib.sha256(rows.tobytes() + words.language.encode()).hexdigest()
    kept = Path(folder) / f"{made_of}.svg"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    drawn = raw_svg(over_time(clean, words))
    partial = kept.with_suffix(f".{os.getpid()}")
    partial.write_text(drawn, encoding="utf-8")
    partial.replace(kept)
    return drawn
