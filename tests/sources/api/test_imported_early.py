"""An import of what is still going on costs nothing: whatever was imported when, at the end all is known."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import zstandard

from paths import ROOT, TESTS
from virtio_study import recording, storage
from virtio_study.i18n.sentences import english
from virtio_study.sources.api.importers import import_answers
from virtio_study.sources.outcomes import Imported
from virtio_study.study import Study, load_study

RIG = ROOT / "data" / "pve-rig"
RAW = next((RIG / "raw").glob("*.zst"))
FREEZE = TESTS / "data" / "answers" / "freeze"


def study_in(folder: Path, protocol: Path) -> Study:
    home = folder / "data" / "a"
    home.mkdir(parents=True)
    shutil.copy(protocol, home / "study.yaml")
    return load_study(home)


def told(outcomes: list[Imported]) -> list[str]:
    return [english(item.told) for item in outcomes]


def frames(study: Study) -> dict[str, pd.DataFrame]:
    listed = [place for place in storage.manifest(study.folder) if place.startswith("recordings/")]
    assert sorted(listed) == sorted(
        path.relative_to(study.folder).as_posix() for path in study.folder.glob("recordings/**/*.parquet")
    )
    return {place: recording.read(study.folder / place, study.folder).frame for place in listed}


def same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for place, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[place])


def test_a_run_of_a_genuine_host_that_was_imported_early_is_recorded_whole_later(tmp_path: Path) -> None:
    fresh, grown = (study_in(tmp_path / name, FREEZE / "study.yaml") for name in ("fresh", "grown"))
    import_answers(fresh, [FREEZE / "later.jsonl.zst"])
    import_answers(grown, [FREEZE / "first.jsonl.zst"])
    assert frames(grown).keys() == frames(fresh).keys()
    shorter = [place for place, frame in frames(grown).items() if len(frame) < len(frames(fresh)[place])]
    assert len(shorter) == 2
    lines = [line for line in told(import_answers(grown, [FREEZE / "later.jsonl.zst"])) if "not recorded" not in line]
    assert len(lines) == len(frames(fresh))
    assert sum("It had" in line or "made anew" in line for line in lines) == len(shorter)
    assert not [line for line in lines if "\n" in line]
    same(frames(grown), frames(fresh))
    # and looking again, or at less, changes nothing
    for again in ("later.jsonl.zst", "first.jsonl.zst"):
        lines = [line for line in told(import_answers(grown, [FREEZE / again])) if "not recorded" not in line]
        assert set(lines) == {"was recorded already; recordings are never rewritten"}
    same(frames(grown), frames(fresh))


@pytest.fixture(scope="module")
def lines() -> list[str]:
    text = zstandard.ZstdDecompressor().stream_reader(RAW.read_bytes()).read().decode()
    return [line for line in text.splitlines() if "/qemu/101/" not in line]


def part(lines: list[str], folder: Path, start: float, end: float) -> Path:
    path = folder / f"{start}-{end}.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines[int(start * len(lines)) : int(end * len(lines))]))
    return path


@pytest.mark.parametrize("early", [0.05, 0.35, 0.63])
def test_parts_that_are_imported_one_after_another_are_the_whole(
    tmp_path: Path, lines: list[str], early: float
) -> None:
    whole, parts = (study_in(tmp_path / name, RIG / "study.yaml") for name in ("whole", "parts"))
    import_answers(whole, [part(lines, tmp_path, 0, 1)])
    import_answers(parts, [part(lines, tmp_path, 0, early)])
    import_answers(parts, [part(lines, tmp_path, early - 0.02, 1)])  # a part of it again
    same(frames(parts), frames(whole))


def test_polls_that_came_twice_cost_no_configuration(tmp_path: Path, lines: list[str]) -> None:
    """They moved the last rows of a run into the time of the next one."""
    study = study_in(tmp_path, RIG / "study.yaml")
    polls = [json.loads(line) for line in lines if "status/current" in line]
    again = [json.dumps(one | {"t": one["t"] + 3}) for one in polls[::6]]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, *again]))
    import_answers(study, [tmp_path / "a.jsonl"])
    found = frames(study)
    assert len(found) == 3
    for place, frame in found.items():
        pd.testing.assert_series_equal(frame["time"], recording.read(RIG / place, RIG).frame["time"])


def test_what_is_learned_later_of_a_run_that_is_over_is_told(tmp_path: Path, lines: list[str]) -> None:
    """The tasks are asked for every five minutes, so that a backup may be known after the run's last poll."""
    study = study_in(tmp_path, RIG / "study.yaml")
    import_answers(study, [part(lines, tmp_path, 0, 1)])
    rows = [{"upid": "u", "type": "vzdump", "id": "100", "starttime": 1795441200, "endtime": 1795441300}]
    task = {"t": 1795450000.0, "path": "/nodes/pve1/tasks?limit=500", "status": 200, "body": {"data": rows}}
    (tmp_path / "late.jsonl").write_text(json.dumps(task))
    outcomes = import_answers(study, [tmp_path / "late.jsonl"])
    assert sum("made anew" in line for line in told(outcomes)) == 1
    found = recording.read(study.folder / "recordings/versat/emulated/api-01.parquet", study.folder)
    assert (1795441200.0, 1795441300.0, "backup") in found.provenance.contaminated
