"""The schedule in a protocol: what it keeps, and what is wrong with one in one line."""

import pytest

from small import PROTOCOL
from virtio_study.errors import StudyError
from virtio_study.study import Study, load_study

SCHEDULE = """\
schedule:
  law: pairs
  seed: 5
  washout_s: 1800
  zone: America/Lima
  blocks:
    alpha:
      - {start: 2026-12-01T00:00:00-05:00, end: 2026-12-01T06:00:00-05:00, driver_config: virtio, pair: 1}
      - {start: 2026-12-01T06:00:00-05:00, end: 2026-12-01T12:00:00-05:00, driver_config: emulated, pair: 1}
"""


def test_a_schedule_is_read(small: Study) -> None:
    path = small.folder / "study.yaml"
    path.write_text(PROTOCOL + SCHEDULE)
    schedule = load_study(path).schedule
    assert schedule is not None
    assert schedule.configurations("alpha") == ["emulated", "virtio"]
    assert schedule.groups("alpha") == [1, 1]
    assert schedule.blocks["alpha"][0].start.isoformat() == "2026-12-01T00:00:00-05:00"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("law: pairs", "law: coin", r"study.yaml:15: schedule.law is 'coin': input should be 'pairs' or 'bojinov'"),
        ("zone: America/Lima", "zone: Lima/Peru", r"study.yaml:18: schedule.zone is 'Lima/Peru': expected a name such"),
        ("    alpha:", "    alhpa:", r"schedule.blocks: unknown server 'alhpa' \(did you mean 'alpha'\?\)"),
        ("config: virtio", "config: virtoi", r"schedule.blocks.alpha: unknown driver configuration 'virtoi' \(did you"),
        ("config: virtio", "config: emulated", r"study.yaml:21: .*pair 1 has emulated, emulated; expected each of"),
        (
            "virtio, pair: 1",
            "virtio",
            r"study.yaml:21: .*blocks of the law pairs need the number",
        ),
        (
            "law: pairs",
            "law: bojinov",
            r"study.yaml:21: .*blocks of the law bojinov are in no pair",
        ),
        (
            "end: 2026-12-01T06",
            "end: 2026-12-01T07",
            r"yaml:22: .*block from 2026-12-01T06:00:00-05:00 on begins",
        ),
        ("T06:00:00-05:00, driver", "T06:00:00, driver", r"study.yaml:21: .*start and end need a time zone"),
        ("washout_s: 1800", "washout_s: 21600", r"the block from 2026-12-01T00:00:00-05:00 on is not longer than wash"),
        ("pair: 1}", "pear: 1}", r"study.yaml:21: unknown key .*pear' \(did you mean 'pair'\?\); valid: start, end"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_named(small: Study, old: str, new: str, expected: str) -> None:
    path = small.folder / "study.yaml"
    assert old in SCHEDULE
    path.write_text(PROTOCOL + SCHEDULE.replace(old, new, 1))
    with pytest.raises(StudyError, match=expected) as caught:
        load_study(path)
    assert "\n" not in str(caught.value)
