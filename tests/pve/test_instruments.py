"""The table of what an answer shows of its displayed memory, against answers of a genuine Proxmox VE 9.2.11."""

import json
from typing import Any

import pytest

from paths import TESTS
from virtio_study.pve.instruments import MEMORY_STATES, STALE_S, host_instrument, memory_state, memory_states

GENUINE = TESTS / "data" / "pve-genuine"
SENT: dict[str, Any] = {"actual": 1, "total_mem": 1, "free_mem": 1, "last_update": 1}


def genuine(name: str) -> Any:
    text = (GENUINE / f"{name}.http").read_bytes().decode()
    return json.loads(text[text.index("{") : text.rindex("}") + 1])["data"]


def test_genuine_answers_with_statistics_and_without_a_balloon_device() -> None:
    assert memory_state(genuine("vm101-status-current")).name == "statistics"
    assert memory_state(genuine("vm100-status-current")).name == "no balloon"
    listed = {row["vmid"]: row for row in genuine("cluster-resources-vm")}
    assert memory_state(listed[101]).name == "row, guest"
    assert memory_state(listed[100]).name == "row, host"


@pytest.mark.parametrize(
    ("sample", "name", "view"),
    [
        ({"ballooninfo": SENT}, "statistics", "guest"),
        ({"ballooninfo": {"actual": 1, "max_mem": 1}}, "no driver", "host"),
        ({"ballooninfo": {"actual": 1, "last_update": 1}}, "silent driver", "host"),
        ({"ballooninfo": {"actual": 1, "last_update": 1, "total_mem": 1}}, "silent driver", "host"),
        ({"ballooninfo": SENT | {"free_mem": None}}, "silent driver", "host"),
        ({"qmpstatus": "running"}, "no balloon", "host"),
        ({"mem": 5, "memhost": "5"}, "row, host", "host"),
        ({"mem": 4, "memhost": 5}, "row, guest", "guest"),
        ({"mem": 4}, "not told", "unknown"),
        ({"ballooninfo": "?"}, "no balloon", "host"),
        ({}, "not told", "unknown"),
    ],
)
def test_every_state_has_its_signs(sample: dict[str, Any], name: str, view: str) -> None:
    state = memory_state(sample)
    assert (state.name, state.view) == (name, view)


def test_every_state_of_the_table_can_be_reached() -> None:
    """A state whose signs contain those of one above it would never be found."""
    for place, state in enumerate(MEMORY_STATES):
        assert not any(above.shows <= state.shows for above in MEMORY_STATES[:place]), state.name


def test_statistics_that_stand_still_are_stale_whatever_the_collectors_clock_says() -> None:
    for skew in (0.0, 86400.0, -86400.0):
        samples = [{"time": 1e9 + t, "ballooninfo": SENT | {"last_update": 1e9 + t - skew}} for t in range(0, 600, 10)]
        assert {state.name for state in memory_states(samples)} == {"statistics"}
        stuck = [sample | {"ballooninfo": SENT} for sample in samples]
        assert {state.name for state in memory_states(stuck)} == {"stale statistics"}, "they never moved"
        names = [state.name for state in memory_states(samples[:1] + stuck)]
        assert names.index("stale statistics") == STALE_S / 10 + 2
        assert set(names[names.index("stale statistics") :]) == {"stale statistics"}


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("8.4.5", "host_rss_scaled"),
        ("9.0.10", "host_rss_scaled"),
        ("9.0.11", "host_pss"),
        ("9.1.3", "host_pss"),
        ("9.1.4", "host_cgroup"),
        ("9.1.4-1", "host_cgroup"),
        ("nine", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_hosts_figure_is_told_by_the_version_of_qemu_server(version: str | None, name: str) -> None:
    assert host_instrument(version) == name
