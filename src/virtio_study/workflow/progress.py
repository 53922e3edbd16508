"""How far something is: a bar in a terminal or in a notebook that somebody looks at, and nothing anywhere else."""

import time
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Any, Protocol, Self

from virtio_study.report.front_end import somebody_looks

__all__ = ["Progress", "progress", "progressing"]

DELAY_S = 0.5
"""What is done sooner needs no bar."""


class Progress(Protocol):
    """A bar: how many of `total` are done, and what is being done; `disable` where nobody sees it."""

    n: float
    disable: bool

    def update(self, n: float = 1) -> Any:
        """Say that so many more are done."""

    def set_postfix_str(self, s: str = "") -> None:
        """Say what is being done."""

    def refresh(self) -> Any:
        """Show it as it is now."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> Any: ...


def progress(total: int, unit: str) -> Progress:
    """A bar for so many of something; `unit` is in the reader's language."""
    if somebody_looks():
        return _InNotebook(total, unit)
    from tqdm import tqdm

    made: Any = tqdm(total=total, unit=f" {unit}", disable=None, dynamic_ncols=True)
    bar: Progress = made
    return bar


def progressing(unit: str) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """What lets somebody who looks at a notebook see how far a loop is; everywhere else the loop as it is."""

    def watched(items: Iterable[Any]) -> Iterator[Any]:
        if not somebody_looks():
            yield from items
            return
        every = list(items)
        with _InNotebook(len(every), unit) as bar:
            for item in every:
                bar.refresh()
                yield item
                bar.update()

    return watched


class _InNotebook:
    """A bar in the output of a cell, gone when all is done."""

    disable = False

    def __init__(self, total: int, unit: str) -> None:
        self.n: float = 0
        self._total, self._unit, self._now = total, unit, ""
        self._begun = time.monotonic()
        self._shown: Any = None

    def update(self, n: float = 1) -> None:
        self.n += n
        self.refresh()

    def set_postfix_str(self, s: str = "") -> None:
        self._now = s
        self.refresh()

    def refresh(self) -> None:
        bar = f'<progress value="{self.n:g}" max="{self._total}"></progress>'
        text = escape(f"{self.n:g}/{self._total} {self._unit}  {self._now}")
        if self._shown is not None or time.monotonic() - self._begun >= DELAY_S:
            self._show(f"{bar} {text}")

    def _show(self, html: str) -> None:
        from IPython import display

        made: Any = display
        if self._shown is None:
            self._shown = made.display(made.HTML(html), display_id=True)
        else:
            self._shown.update(made.HTML(html))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown is not None:
            self._show("")
