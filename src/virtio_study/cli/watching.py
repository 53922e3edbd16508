"""What `watch` shows: one line that moves towards the declared end in a terminal, lines where there is none."""

import contextlib
import re
import time
from typing import TYPE_CHECKING

import click

from virtio_study.i18n.spoken import _, told

if TYPE_CHECKING:
    from virtio_study.i18n.sentences import Said
    from virtio_study.study import Study

__all__ = ["WatchLines", "declared_span"]

QUIET_S = 3600.0
"""A journal gets a line when something changed, and one so often."""

CELLS = 20


def declared_span(study: "Study") -> tuple[float, float] | None:
    """From when to when the study wants to be recorded, Unix seconds; None if it has neither windows nor blocks."""
    spans = [(window.start, window.end) for window in study.windows]
    if study.schedule:
        spans += [(block.start, block.end) for blocks in study.schedule.blocks.values() for block in blocks]
    if not spans:
        return None
    return min(start.timestamp() for start, _end in spans), max(end.timestamp() for _start, end in spans)


class WatchLines:
    """Says the state of a watch and the changes that it sees.

    Parameters
    ----------
    terminal : bool
        Whether somebody looks at a terminal, in which one line is written anew and anew.
    hours : float, optional
        When the watch ends; otherwise `span`, Unix seconds, is what the study declares.
    """

    def __init__(self, terminal: bool, hours: float | None, span: tuple[float, float] | None) -> None:
        self._terminal, self._hours, self._span = terminal, hours, span
        self._begun = time.monotonic()
        self._kind, self._said = "", 0.0

    def state(self, state: "Said") -> None:
        """The state after a poll."""
        line = told(state)
        now, kind = time.monotonic(), re.sub(r"\d+", "", line)
        if not self._terminal and kind == self._kind and now - self._said < QUIET_S:
            return
        self._kind, self._said = kind, now
        passed = (now - self._begun) / 3600
        line += (
            _(", {passed:.1f} of {hours:g} h", passed=passed, hours=self._hours)
            if self._hours
            else _(", {passed:.1f} h", passed=passed)
        )
        self._write(f"{self._bar()}{line}" if self._terminal else line, nl=not self._terminal)

    def change(self, seen: "Said") -> None:
        """A change of a server, on a line that stays."""
        self._write(told(seen), nl=True)

    def _bar(self) -> str:
        """How far it is to the end, or nothing if none is declared."""
        share = self._share()
        if share is None:
            return ""
        done = int(CELLS * share)
        return f"[{'#' * done}{'-' * (CELLS - done)}] {share:.0%}  "

    def _share(self) -> float | None:
        if self._hours:
            share = (time.monotonic() - self._begun) / (self._hours * 3600)
        elif self._span:
            start, end = self._span
            share = (time.time() - start) / (end - start)
        else:
            return None
        return min(1.0, max(0.0, share))

    def _write(self, line: str, nl: bool) -> None:
        with contextlib.suppress(OSError):  # what is said may go to a disk that is full
            click.echo(f"\r\x1b[2K{line}" if self._terminal else line, err=True, nl=nl)
