"""A schedule into `study.yaml`, beside what a person wrote there, which stays as it is."""

import os
import tempfile
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.storage import write_atomically
from virtio_study.study import Schedule, Study, load_study

__all__ = ["add_schedule", "first_midnight", "local_zone"]

LOCALTIME = Path("/etc/localtime")

COMMENT = """\

# The switchback: which driver configuration each server is to have when. It stays as virtio-study drew it: what really
# happened is found from the recordings, and held against this.
"""


def add_schedule(study: Study, schedule: Schedule) -> Study:
    """Write a schedule at the end of a study's `study.yaml`, and return the study with it.

    Raises
    ------
    StudyError
        If the study has a schedule already, which is not drawn twice, or the file cannot take one at its end.
    """
    path = study.folder / "study.yaml"
    if study.schedule is not None:
        form = N_("{path}: there is a schedule already, which is not drawn again; take it out to draw another")
        raise StudyError(form, path=path)
    text = path.read_text(encoding="utf-8-sig").rstrip("\n") + "\n" + COMMENT + _as_yaml(schedule)
    with tempfile.TemporaryDirectory() as folder:
        tried = Path(folder) / "study.yaml"
        tried.write_text(text, encoding="utf-8")
        if load_study(tried).schedule != schedule:
            raise StudyError(N_("{path}: cannot take a schedule at its end; write the file in lines"), path=path)
    write_atomically(path, text.encode())
    return load_study(path)


def _as_yaml(schedule: Schedule) -> str:
    lines = [
        "schedule:",
        f"  law: {schedule.law}",
        f"  seed: {schedule.seed}",
        f"  washout_s: {schedule.washout_s:g}",
        f"  zone: {schedule.zone}",
        *([f'  no_restart: "{schedule.no_restart}"'] if schedule.no_restart else []),
        "  blocks:",
    ]
    for server, blocks in schedule.blocks.items():
        lines.append(f"    {server}:")
        for block in blocks:
            pair = "" if block.pair is None else f", pair: {block.pair}"
            start, end = block.start.isoformat(), block.end.isoformat()
            lines.append(f"      - {{start: {start}, end: {end}, driver_config: {block.driver_config}{pair}}}")
    return "\n".join(lines) + "\n"


def local_zone() -> str:
    """The time zone of this machine, by its name; UTC where it has none."""
    named = os.environ.get("TZ", "").lstrip(":") or str(LOCALTIME.resolve()).partition("zoneinfo/")[2]
    try:
        ZoneInfo(named)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
    return named


def first_midnight(now: datetime, zone: str) -> datetime:
    """The first midnight by the clock of a zone that is a day away at least."""
    later = (now + timedelta(days=1)).astimezone(ZoneInfo(zone))
    return datetime.combine(later.date() + timedelta(days=1), time(), ZoneInfo(zone))
