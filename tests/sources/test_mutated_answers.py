"""Answers of every path of the API, spoilt at random: a sentence or a row less, and no other number anywhere."""

import contextlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from spoiling import spoil
from virtio_study import recording
from virtio_study.errors import VirtioStudyError
from virtio_study.pve.devices import agent_enabled, devices, unclassifiable
from virtio_study.sources.api import response_log
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.cluster import Cluster
from virtio_study.sources.api.collecting import collect
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.importers import import_answers, record_rrddata
from virtio_study.sources.api.watching import watch
from virtio_study.sources.responses import read_answers
from virtio_study.study import Endpoint, Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import Clock, serve, two_servers
from virtio_study.testing.story import Story

NOW = 1_772_409_600.0
STEP_S = 60.0
MEASURED = ["cpu_cores", "mem_displayed_bytes", "mem_host_bytes", "disk_read_bytes_per_s", "net_in_bytes_per_s"]


def story() -> Story:
    return two_servers(now=NOW, hours=(1, 1, 1))


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A study that was watched and collected, and its answers."""
    clock, polls = Clock(NOW - 3 * 3600), 0
    study = make_study(tmp_path_factory.mktemp("genuine"), story())

    def slept(seconds: float) -> None:
        nonlocal polls
        polls += 1
        clock.advance(seconds)

    with serve(story(), clock=clock) as host:
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        client = Client(endpoint, Credential(*host.token_id.split("!"), host.token_secret), clock=clock)
        watch(study, client, lambda line: None, lambda: polls >= 179, poll_s=STEP_S, sleep=slept)
        collect(study.model_copy(update={"windows": []}), client)
    lines = b"".join(path.read_bytes() for path in response_log.stored(study.folder) if path.suffix == ".jsonl")
    assert not [path for path in response_log.stored(study.folder) if path.suffix == ".zst"]
    answers = [json.loads(line) for line in lines.splitlines()]
    return study.folder, [answer for answer in answers if "timeframe=year" not in answer["path"]]


def write(folder: Path, like: Path, answers: list[dict[str, Any]]) -> Study:
    made = folder / "data" / "simulated"
    (made / "raw").mkdir(parents=True)
    shutil.copy(like / "study.yaml", made)
    (made / "raw" / "api-20260302.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    return load_study(made)


def frames(study: Study, end: str) -> dict[str, pd.DataFrame]:
    """Server -> rows of all its recordings of an import, in order of time."""
    found: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(study.folder.glob(f"recordings/**/{end}-*.parquet")):
        frame = recording.read(path, study.folder).frame
        found.setdefault(path.parent.parent.name, []).append(frame)
    return {server: pd.concat(parts).set_index("time").sort_index() for server, parts in found.items()}


IMPORTS: dict[str, Callable[[Study], Any]] = {
    "api": lambda study: import_answers(study, response_log.stored(study.folder)),
    "rrddata": record_rrddata,
}


class Known:
    """A study, its answers, and the rows of its recordings by import and server; no dataclass, which would be shown."""

    def __init__(self, study: Path, answers: list[dict[str, Any]], rows: dict[str, dict[str, pd.DataFrame]]) -> None:
        self.study, self.answers, self.rows = study, answers, rows


@pytest.fixture(scope="module")
def known(genuine: tuple[Path, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory) -> Known:
    rows = {}
    for end, run in IMPORTS.items():
        study = write(tmp_path_factory.mktemp(f"whole-{end}"), *genuine)
        run(study)
        rows[end] = frames(study, end)
        assert len([*study.folder.glob("recordings/**/*.parquet")]) == 6
    return Known(*genuine, rows)


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(seed=st.integers(0, 2**32), number=st.integers(1, 10))
def test_a_spoilt_answer_of_any_path_is_a_sentence_or_a_row_less(
    known: Known, tmp_path_factory: pytest.TempPathFactory, seed: int, number: int
) -> None:
    choice = random.Random(seed)
    answers = list(known.answers)
    kinds = sorted({answer["path"] for answer in answers})
    touched = set()
    for _ in range(number):  # every path is as likely, however often it was asked
        path = choice.choice(kinds)
        place = choice.choice([n for n, answer in enumerate(answers) if answer["path"] == path])
        answer = answers[place]
        if answer["status"] == 200:
            body = {"data": spoil(answer["body"]["data"], choice)}
            answers[place] = answer | {"body": body}
            touched.add((path, answer["t"]))
            check_plain_functions(body["data"])
    polls_s = [at for path, at in touched if path.endswith("current")]
    for end, run in IMPORTS.items():
        study = write(tmp_path_factory.mktemp(f"spoilt-{end}"), known.study, answers)
        with contextlib.suppress(VirtioStudyError):
            run(study)
        if end == "api" or not any("rrddata" in path for path, _ in touched):
            check_numbers(frames(study, end), known.rows[end], polls_s if end == "api" else [])


def check_plain_functions(data: Any) -> None:
    Cluster.of(data)
    if isinstance(data, dict):
        devices(data)
        unclassifiable(data)
        agent_enabled(data)


def check_numbers(found: dict[str, pd.DataFrame], whole: dict[str, pd.DataFrame], spoilt_s: list[float]) -> None:
    """Rows away from what was spoilt have the numbers that they have without it, or none."""
    for server, frame in found.items():
        both = frame.join(whole[server].add_suffix("_whole"), how="inner")
        seconds = (both.index - pd.Timestamp(0, tz="UTC")).total_seconds()
        for at in spoilt_s:
            away = abs(seconds - at) > 2.5 * STEP_S
            both, seconds = both[away], seconds[away]
        for name in MEASURED:
            pair = both[[name, f"{name}_whole"]].dropna()
            pd.testing.assert_series_equal(pair[name], pair[f"{name}_whole"], check_names=False)


def test_the_answers_that_are_spoilt_are_of_every_kind(genuine: tuple[Path, list[dict[str, Any]]]) -> None:
    kinds = {answer["path"].split("?")[0].rsplit("/", 1)[-1] for answer in genuine[1]}
    assert kinds >= {"current", "config", "pending", "tasks", "status", "rrddata", "resources", "version", "get-osinfo"}
    assert len(read_answers(response_log.stored(genuine[0]))) >= len(genuine[1])
    assert yaml.safe_load((genuine[0] / "study.yaml").read_text())["windows"]
