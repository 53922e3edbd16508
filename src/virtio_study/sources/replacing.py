"""What becomes of a recording beside those that are there: new ones, and those that take others' places in one step."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from virtio_study import storage
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.recording import (
    Beside,
    Provenance,
    Recording,
    beside_rows,
    check_frame,
    names_of_recordings,
    read_times,
    share_time,
    verified_provenance,
    write_all,
)
from virtio_study.sources.bounds import hold
from virtio_study.sources.outcomes import ANEW, Imported, NotRecorded, RecordedFile
from virtio_study.study import Study

__all__ = ["ANSWERS", "Recordable", "answered_before", "keep_all", "keep_window"]

ANSWERS = "api-"
"""What the names of recordings of saved answers begin with."""


@dataclass(frozen=True)
class Recordable:
    """A recording that may be written, and what to say of it then."""

    frame: pd.DataFrame
    provenance: Provenance
    told: Said

    @property
    def place(self) -> str:
        """Its file, relative to the study's folder."""
        of = self.provenance
        return f"recordings/{of.server}/{of.driver_config}/{of.replicate}.parquet"


def answered_before(study: Study) -> list[Path]:
    """Files of answers in the study's `raw/` of which its recordings were made, in order of name.

    They are read again beside new ones: what is known of a run then only grows, however the answers are given.
    """
    listed = names_of_recordings(storage.manifest(study.folder))
    places = [place for place in listed if Path(place).name.startswith(ANSWERS)]
    named = {name for place in places for name in verified_provenance(study.folder / place, study.folder).inputs}
    # the file of a day is compressed when the day is over
    found = {path for name in named for path in (study.folder / name, study.folder / f"{name}.zst") if path.exists()}
    return sorted(found)


def keep_all(study: Study, server: str, made: Sequence[Recordable | NotRecorded]) -> list[Imported]:
    """Write recordings of a server's runs, each made of all answers that are known.

    A recording of answers in whose time a new one lies was made of less: it is replaced, and that is said. One of
    another source stays, and what lies in its time is not written: it would count as a replicate.

    Returns
    -------
    list of Imported
        One for each of `made`, in order.
    """
    listed = names_of_recordings(storage.manifest(study.folder), f"recordings/{server}/")
    outcomes: list[Imported | Recordable] = []
    replaced: dict[str, int] = {}
    for item in made:
        if isinstance(item, NotRecorded):
            outcomes.append(item)
            continue
        try:
            outcome, olds = _against(study, item, listed)
        except DataError as error:  # a recording that was damaged since; it is named, and costs no other
            outcome, olds = NotRecorded(server, said(error.message, **error.numbers), item.place), {}
        outcomes.append(outcome)
        replaced |= olds
    taken = set(listed) - replaced.keys()
    numbered = [item if isinstance(item, RecordedFile | NotRecorded) else _numbered(item, taken) for item in outcomes]
    return _write(study, numbered, replaced)


def keep_window(study: Study, item: Recordable, all_known: bool = False) -> Imported:
    """Write the recording of a window; one that is there stays, unless what it holds has gone on since.

    What lies in the time of another recording of the server is not written: it would count as a replicate.

    Parameters
    ----------
    study : Study
    item : Recordable
    all_known : bool
        Whether it was made of all that the study ever had from its source: then one of as many rows at least is made
        anew where what is known now judges its rows otherwise.
    """
    server, place = item.provenance.server, item.place
    try:
        item = Recordable(*hold(study, item.frame, item.provenance, item.told))
    except DataError as error:
        return NotRecorded(server, said(error.message, **error.numbers), place)
    with storage.one_writer(study.folder):
        listed = names_of_recordings(storage.manifest(study.folder), f"recordings/{server}/")
        others = (name for name in listed if name != place and share_time(item.frame, read_times(study.folder / name)))
        if other := next(others, ""):
            return _elsewhere(item, other)
        if place not in listed:
            return _write(study, [item], ())[0]
        old = beside_rows(study.folder / place, study.folder, check_frame(item.frame, place))
        outcome = _beside_itself(item, old, all_known)
        return _write(study, [outcome], [place])[0] if isinstance(outcome, Recordable) else outcome


def _beside_itself(item: Recordable, old: Beside, all_known: bool) -> RecordedFile | Recordable:
    """What becomes of the recording of a window that has one."""
    rows = old.rows
    same = _goes_on(old, min(rows, len(item.frame)))
    if not same and not (all_known and rows <= len(item.frame)):
        return RecordedFile(item.place, said(N_("has {rows} other rows and stays; {anew}"), rows=rows, anew=said(ANEW)))
    if same and rows >= len(item.frame):
        return RecordedFile(item.place, said(N_("was recorded already; recordings are never rewritten")))
    form = N_("{told} It had {rows}.") if same else N_("{told} It is made anew: it had {rows}, judged otherwise.")
    return replace(item, told=said(form, told=item.told, rows=rows))


def _goes_on(old: Beside, known: int) -> bool:
    """Whether so many rows are the same; the last row of a recording that went on may have been another's half."""
    return old.begun >= known - 1


def _against(study: Study, item: Recordable, listed: Iterable[str]) -> tuple[Imported | Recordable, dict[str, int]]:
    """What becomes of a recording beside those that are there, and which it replaces, with their rows."""
    sharing = [place for place in listed if share_time(item.frame, read_times(study.folder / place))]
    if others := [place for place in sharing if not Path(place).name.startswith(ANSWERS)]:
        return _elsewhere(item, others[0]), {}
    item = replace(item, frame=check_frame(item.frame, item.place))  # what cannot be written takes nothing's place
    olds = {place: beside_rows(study.folder / place, study.folder, item.frame) for place in sharing}
    if not olds:
        return item, {}
    (place, old), *more = olds.items()
    if not more and Path(place).parent == Path(item.place).parent and _says_the_same(item, old):
        known = RecordedFile(place, said(N_("was recorded already; recordings are never rewritten")))
        return known if place == item.place else _elsewhere(item, place), {}
    return replace(item, told=_replacing(item, olds)), {place: old.rows for place, old in olds.items()}


def _elsewhere(item: Recordable, other: str) -> NotRecorded:
    reason = said(N_("the same time is in {other}, and counts once; {anew}"), other=other, anew=said(ANEW))
    return NotRecorded(item.provenance.server, reason, item.place)


def _says_the_same(item: Recordable, old: Beside) -> bool:
    """Whether a recording has the same rows, and tells the same of them."""
    one, other = (
        known.model_dump(exclude={"inputs", "replicate", "collector_version"})
        for known in (item.provenance, old.provenance)
    )
    return old.equal and one == other


def _replacing(item: Recordable, olds: dict[str, Beside]) -> Said:
    (first, old), *more = olds.items()
    same = _goes_on(old, old.rows)
    if not more and first == item.place and same and old.rows < len(item.frame):
        return said(N_("{told} It had {rows}."), told=item.told, rows=old.rows)
    return said(
        N_("{told} It is made anew in place of {others}: more is known now than when that was recorded."),
        told=item.told,
        others=", ".join(f"{place} ({one.rows})" for place, one in olds.items()),
    )


def _numbered(item: Recordable, taken: set[str]) -> Recordable:
    """A recording under the next number where a recording of another time has its name; it takes that name."""
    number = int(item.provenance.replicate.removeprefix(ANSWERS))
    while item.place in taken:
        number += 1
        known = item.provenance.model_copy(update={"replicate": f"{ANSWERS}{number:02d}"})
        item = replace(item, provenance=known)
    taken.add(item.place)
    return item


def _write(study: Study, items: Sequence[Imported | Recordable], instead_of: Collection[str]) -> list[Imported]:
    """Write in one step what is to be written, in place of others."""
    made = [
        Recording(item.frame, item.provenance, study.folder / item.place)
        for item in items
        if isinstance(item, Recordable)
    ]
    write_all(made, study.folder, instead_of)
    return [RecordedFile(item.place, item.told) if isinstance(item, Recordable) else item for item in items]
