"""A design for a study: what is asked of it as names and numbers, checked, and the draw of its schedule."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from virtio_study.design.choosing import Choice, choose_design
from virtio_study.design.scheduling import Design, drawn_schedule
from virtio_study.design.writing import add_schedule, first_midnight, local_zone
from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.stats.stretch import Stretch
from virtio_study.study import Law, Study, hours_of

__all__ = ["draw_schedule", "recommend"]


def recommend(
    study: Study,
    histories: Mapping[str, Stretch | None],
    *,
    driver_configs: Sequence[str],
    drop: float,
    law: Law,
    days: int | None,
    block_h: int | None,
    washout_s: float,
    zone: str | None,
    no_restart: str | None,
) -> Choice:
    """Try before/after and switchbacks on the histories of servers, and recommend one.

    Parameters
    ----------
    histories : mapping
        Server -> rows of it untouched; None without any.
    driver_configs : sequence of str
        To switch between; empty: the two of the first comparison.
    drop : float
        The fall that is to be shown, relative to the level.
    days, block_h : int or None
        Days in all, and hours of a block; None: several are tried.
    washout_s : float
        Seconds left out after each restart.
    zone : str or None
        By whose clock days begin; None: that of this machine.
    no_restart : str or None
        Hours of the day in which no server restarts.

    Raises
    ------
    StudyError
        If a name, the zone or the hours are none.
    DataError
        As `choose_design`.
    """
    if no_restart is not None:
        try:
            hours_of(no_restart)
        except ValueError as error:
            form = N_("no hours of a day: {hours!r}; expected hours such as 08:00-18:00")
            raise StudyError(form, hours=no_restart) from error
    first = next(iter(study.comparisons.values()))
    configs = tuple(driver_configs or (first.before, first.after))
    for config in configs:
        study.driver_config(config)
    if len(set(configs)) < 2 or (law == "bojinov" and len(set(configs)) > 2):
        form = N_("{number} driver configurations; a switchback is between two or more, of the law bojinov between two")
        raise StudyError(form, number=len(set(configs)))
    like = Design(law, days or 0, block_h or 0, tuple(dict.fromkeys(configs)), washout_s, no_restart)
    known = {server: history for server, history in histories.items() if history is not None}
    return choose_design(known, like, drop, study.confidence, _checked(zone), study.seed)


def draw_schedule(
    study: Study, design: Design, servers: Sequence[str], *, start: datetime | None, zone: str | None, seed: int | None
) -> Study:
    """Draw a schedule, write it into `study.yaml`, and return the study with it.

    Raises
    ------
    StudyError
        As `add_schedule`; if the study has no such server, or the zone is none.
    """
    for server in servers:
        study.server(server)
    named = _checked(zone)
    day = first_midnight(datetime.now(UTC), named) if start is None else datetime.combine(start.date(), time())
    drawn = drawn_schedule(design, servers, day, named, secrets.randbelow(2**31) if seed is None else seed)
    return add_schedule(study, drawn)


def _checked(zone: str | None) -> str:
    named = zone or local_zone()
    try:
        ZoneInfo(named)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise StudyError(
            N_("no time zone {zone!r}; expected a name such as UTC or America/Lima"), zone=named
        ) from error
    return named
