"""The simulated switchback: its servers live by the schedule, and its effect is known."""

import shutil
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from virtio_study.sources.api.client import Client
from virtio_study.sources.api.collecting import collect
from virtio_study.sources.api.credentials import Credential
from virtio_study.sources.api.importers import record_rrddata, stored_rows
from virtio_study.study import Endpoint
from virtio_study.testing.demo import make_study
from virtio_study.testing.pve import serve
from virtio_study.testing.switchback import SWITCHED, switched_story, true_changes
from virtio_study.testing.truth import lives_of
from virtio_study.workflow import steps


def test_its_servers_live_by_the_schedule_and_restart_at_every_block() -> None:
    story, schedule = switched_story(datetime(2026, 3, 29, 12, 34, 56, tzinfo=UTC))
    for server in story.servers:
        blocks, lives = schedule.blocks[server.name], lives_of(server)
        assert [life.configuration.name for life in lives] == [block.driver_config for block in blocks]
        assert len(blocks) == 24
        assert {block.driver_config for block in blocks} == set(SWITCHED)
        stops = [life.stop for life in lives[:-1]]
        assert stops == [block.start.timestamp() for block in blocks[1:]]
    assert true_changes(story) == pytest.approx({"versat": 0.13 / 0.22 - 1, "dominio": 0.045 / 0.07 - 1})


def test_its_study_has_the_schedule_and_the_one_comparison_between_its_configurations(tmp_path: Path) -> None:
    story, schedule = switched_story(datetime(2026, 3, 29, 12, 34, 56, tzinfo=UTC))
    study = make_study(tmp_path, story, schedule)
    assert study.schedule == schedule
    assert {name: item.purpose for name, item in study.comparisons.items()} == {"devices": "total"}, (
        "what is asked first"
    )
    assert study.title.en.startswith("A simulated demonstration")


@pytest.mark.slow
def test_what_is_true_of_it_is_found_through_its_api(tmp_path: Path) -> None:
    story, schedule = switched_story(datetime.now(UTC))
    study = make_study(tmp_path, story, schedule)
    with serve(story) as host:
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        user, name = host.token_id.split("!")
        done = collect(study, Client(endpoint, Credential(user, name, host.token_secret)))
    assert not done.missing
    alone = study.model_copy(update={"folder": tmp_path / "data" / "alone", "windows": []})
    shutil.copytree(study.folder, alone.folder, ignore=shutil.ignore_patterns("recordings", "manifest.json", "work"))
    outcomes, failed = record_rrddata(alone)
    assert not failed
    assert alone.schedule is not None
    seen = [item.place.split("/")[2] for item in outcomes if item.place.split("/")[1] == "versat"]
    assert seen == [block.driver_config for block in alone.schedule.blocks["versat"]]
    kept = [block.status for block in steps.blocks(alone, "versat")]
    assert kept == ["followed"] * len(kept)
    stored = stored_rows(study, "versat")
    assert {60.0, 1800.0} <= stored.keys()
    assert stored[60.0]["cpu_cores"].notna().sum() > 1300
    for (server, change), which in product(true_changes(story).items(), (study, alone)):
        found = steps.compare(which, server)["devices"].effects["cpu"].relative
        assert found is not None
        assert found.low - 0.05 < change < found.high + 0.05
        assert found.high - found.low < 0.25
