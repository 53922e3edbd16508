"""What came of an import."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, english, said
from virtio_study.sources.runs import SHORTEST_S, Run

__all__ = ["ANEW", "Imported", "NotRecorded", "RecordedFile", "of_run", "some_recorded"]

ANEW = N_("to record all anew, import into a new folder")


@dataclass(frozen=True)
class RecordedFile:
    """A recording that is in the study: its file, relative to the study's folder, and a sentence on what it holds."""

    place: str
    told: Said


@dataclass(frozen=True)
class NotRecorded:
    """A run or window of a server that is not recorded, and why; `place` is the file that it would have had, if known.

    `str` of it is the English sentence for people.
    """

    server: str
    reason: Said
    place: str = ""

    @property
    def told(self) -> Said:
        """The sentence for people."""
        if self.place:
            return said(N_("not recorded as {place}: {reason}"), place=self.place, reason=self.reason)
        return said(N_("not recorded: {reason}"), reason=self.reason)

    def __str__(self) -> str:
        return english(self.told)


Imported = RecordedFile | NotRecorded


def some_recorded(outcomes: Sequence[Imported], of_runs: Sequence[Said] | None = None) -> None:
    """Nothing if anything was recorded.

    Parameters
    ----------
    outcomes : sequence of Outcome
    of_runs : sequence of Said, optional
        What became of each run, where runs were found (`of_run`).

    Raises
    ------
    DataError
        If nothing was; the message has every reason, and what a run needs.
    """
    if any(isinstance(outcome, RecordedFile) for outcome in outcomes):
        return
    left = [item for item in outcomes if isinstance(item, NotRecorded)]
    reasons = of_runs or [said("{server}: {told}", server=item.server, told=item.told) for item in left]
    if not of_runs:
        raise DataError(N_("nothing was recorded; {reasons}"), reasons=reasons)
    least = N_("nothing was recorded (a run is {least:.0f} s of one configuration at least); {reasons}")
    raise DataError(least, least=SHORTEST_S, reasons=reasons)


def of_run(server: str, run: Run, outcome: Imported) -> Said:
    """A sentence on what became of a run, with its time."""
    first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}" for at in (run.start_s, run.end_s))
    told = N_("{server}, {first} to {last} UTC: {told}")
    return said(told, server=server, first=first, last=last, told=outcome.told)
