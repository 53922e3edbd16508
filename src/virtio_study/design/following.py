"""The files of a schedule for people and hosts: a table, a calendar, and the script `switch.sh`."""

import csv
import io
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from virtio_study.design.switch_script import switch_script
from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.spoken import _, language
from virtio_study.storage import manifest, write_atomically
from virtio_study.study import Study

__all__ = ["FOLDER", "never_recorded", "schedule_calendar", "schedule_table", "write_schedule_files"]

FOLDER = "schedule"
"""Folder of a study in which these files are written."""


def write_schedule_files(study: Study) -> list[Path]:
    """Write `schedule.csv`, `schedule.ics` and `switch.sh` of a study's schedule, in `data/<study>/schedule/`.

    Raises
    ------
    StudyError
        If the study has no schedule, or as `switch_script`.
    """
    schedule = study.schedule
    if schedule is None:
        raise StudyError(
            N_("{path}: no schedule; write one with virtio-study design {study} --write"),
            path=study.folder / "study.yaml",
            study=shlex.quote(study.name),
        )
    contents = {
        "schedule.csv": schedule_table(study).encode(),
        "schedule.ics": schedule_calendar(study),
        "switch.sh": switch_script(study.name, schedule, study.servers, study.driver_configs).encode(),
    }
    for name, content in contents.items():
        write_atomically(study.folder / FOLDER / name, content)
    return [study.folder / FOLDER / name for name in contents]


def never_recorded(study: Study) -> list[tuple[str, str]]:
    """Servers of the schedule and configurations of theirs under which there is no recording.

    Whether a guest starts under them cannot be seen from outside before it did.
    """
    assert study.schedule is not None
    listed = [name.split("/") for name in manifest(study.folder)]
    known = {(parts[1], parts[2]) for parts in listed if parts[0] == "recordings" and len(parts) > 2}
    wanted = [(server, config) for server in study.schedule.blocks for config in study.schedule.configurations(server)]
    return [item for item in wanted if item not in known]


def schedule_table(study: Study) -> str:
    """The blocks as CSV, with start and end by the clock of the schedule's zone."""
    assert study.schedule is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["server", "vmid", "block", "pair", "start", "end", "driver_config"])
    zone = ZoneInfo(study.schedule.zone)
    for server, blocks in study.schedule.blocks.items():
        for number, block in enumerate(blocks, start=1):
            times = (moment.astimezone(zone).isoformat(timespec="minutes") for moment in (block.start, block.end))
            pair = "" if block.pair is None else block.pair
            writer.writerow([server, study.servers[server].vmid, number, pair, *times, block.driver_config])
    return text.getvalue()


def schedule_calendar(study: Study) -> bytes:
    """The restarts as a calendar (RFC 5545): an event of a quarter of an hour each, with a reminder an hour before."""
    from icalendar import Alarm, Calendar, Event

    assert study.schedule is not None
    zone = ZoneInfo(study.schedule.zone)
    calendar = Calendar()
    calendar.add("prodid", "-//virtio-study//schedule//EN")
    calendar.add("version", "2.0")
    for server, blocks in study.schedule.blocks.items():
        vmid = study.servers[server].vmid
        texts = [(number, block.start, block.driver_config) for number, block in enumerate(blocks, start=1)]
        texts.append((len(blocks) + 1, blocks[-1].end, ""))
        for number, moment, config in texts:
            event = Event()
            label = getattr(study.driver_configs[config].label, language()) if config else _("as before the study")
            event.add("uid", f"{study.name}-{vmid}-{number}@virtio-study")
            event.add("dtstamp", datetime(2000, 1, 1, tzinfo=UTC))
            event.add("dtstart", moment.astimezone(zone))
            event.add("duration", timedelta(minutes=15))
            event.add(
                "summary", _("{server} (VM {vmid}) restarts: {label}", server=server, vmid=str(vmid), label=label)
            )
            alarm = Alarm()
            alarm.add("action", "DISPLAY")
            alarm.add("description", _("{server} restarts in an hour", server=server))
            alarm.add("trigger", timedelta(hours=-1))
            event.add_component(alarm)
            calendar.add_component(event)
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())
