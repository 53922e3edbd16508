"""Whose memory is displayed, by which instrument and why: over every state of the balloon and every version."""

from typing import Any

import pytest

from virtio_study.i18n.sentences import english
from virtio_study.pve.explanation import Explanation, Seen, explanation_of, notes_on
from virtio_study.pve.instruments import memory_state

GIB = 2**30
SENT: dict[str, Any] = {"actual": 8 * GIB, "total_mem": 8 * GIB, "free_mem": 5 * GIB, "last_update": 1000}
LINUX: dict[str, Any] = {"ostype": "l26", "memory": "8192"}


def seen(sample: dict[str, Any], **how: Any) -> Explanation:
    status = {"status": "running", "qmpstatus": "running", "maxmem": 8 * GIB, "running-machine": "pc-i440fx-9.2+pve1"}
    given = {"config": LINUX, "qemu_server": "9.2.6", "release": "9.2.11"} | how
    return explanation_of(Seen(100, "a", "pve1", "running", sample=status | sample, **given))


@pytest.mark.parametrize(
    ("memhost", "qemu_server", "expected"),
    [
        (False, "4.0-110", "host_rss_scaled"),
        (False, "7.4-3", "host_rss_scaled"),
        (False, None, "host_rss_scaled"),  # no `memhost` in a status: older than qemu-server 9.0.11, whatever it is
        (False, "9.2.6", "host_rss_scaled"),  # its services were not restarted after the upgrade
        (True, "9.0.18", "host_pss"),
        (True, "9.1.4", "host_cgroup"),
        (True, None, "unknown"),  # either of both, and nothing tells which
    ],
)
def test_the_hosts_figure_has_the_instrument_that_the_answers_prove(
    memhost: bool, qemu_server: str | None, expected: str
) -> None:
    sample = {"mem": 8.1 * GIB, "ballooninfo": {"actual": 8 * GIB}} | ({"memhost": 8.1 * GIB} if memhost else {})
    found = seen(sample, qemu_server=qemu_server)
    assert (found.instrument, found.host_instrument, found.state) == (expected, expected, "no driver")
    assert (found.displayed_bytes, found.host_bytes, found.guest_bytes) == (8.1 * GIB, 8.1 * GIB, None)


def test_with_statistics_all_three_figures_stand_side_by_side() -> None:
    found = seen({"mem": 3 * GIB, "memhost": 7.5 * GIB, "ballooninfo": SENT})
    assert (found.displayed_bytes, found.host_bytes, found.guest_bytes) == (3 * GIB, 7.5 * GIB, 3 * GIB)
    assert (found.instrument, found.host_instrument) == ("guest_stats", "host_cgroup")
    assert "Without the driver" in english(found.would[0])
    assert "would end too" in english(found.would[1]), "free page reporting goes with the driver"
    older = seen({"mem": 3 * GIB, "ballooninfo": SENT}, qemu_server="8.4.1", release="8.4.1")
    assert older.host_bytes is None, "Proxmox VE 8 does not tell the host's figure beside the guest's"
    assert "do not tell" in english(older.would[0])


@pytest.mark.parametrize(
    ("config", "machine", "release", "expected"),
    [
        (LINUX, "pc-i440fx-9.2+pve1", "9.2.11", "a true gain"),
        (LINUX, "pc-q35-6.1", "9.2.11", "not offered"),
        (LINUX, "", "6.4-15", "not offered"),
        (LINUX, "", "8.4.1", "not told"),
        ({"ostype": "win10"}, "pc-i440fx-9.2+pve1", "9.2.11", "Windows has no free page reporting"),
        ({"ostype": "other"}, "pc-i440fx-9.2+pve1", "9.2.11", "not told"),
    ],
)
def test_memory_comes_back_only_where_guest_and_machine_allow_it(
    config: dict[str, Any], machine: str, release: str, expected: str
) -> None:
    sample = {"mem": 8 * GIB, "memhost": 8 * GIB, "ballooninfo": {"actual": 1}, "running-machine": machine}
    assert expected in english(seen(sample, config=config, release=release).would[1])


def test_a_guest_without_device_needs_more_than_a_driver_and_an_unanswered_question_is_no_missing_device() -> None:
    sample = {"mem": 8 * GIB, "memhost": 8 * GIB}
    without, unanswered = seen(sample, config=LINUX | {"balloon": 0}), seen(sample)
    assert "There is no balloon device" in english(without.why)
    assert "A driver alone would change nothing" in english(without.would[0])
    assert "QEMU told nothing" in english(unanswered.why)
    assert "not told" in english(unanswered.would[0])


def test_a_figure_that_is_neither_guests_nor_hosts_is_nobodys() -> None:
    overwritten = seen({"mem": 1 * GIB, "memhost": 8 * GIB, "ballooninfo": SENT})
    assert (overwritten.instrument, overwritten.guest_bytes) == ("unknown", 3 * GIB)
    sample = {"mem": 3 * GIB, "memhost": 8 * GIB, "ballooninfo": SENT}
    stale = seen(sample, state=memory_state(sample, 3600.0))
    assert (stale.instrument, stale.guest_bytes) == ("unknown", None)
    assert "stands still" in english(stale.why)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"power": "stopped"}, "off"),
        ({"power": "stopped", "template": True}, "A template never runs"),
        ({"power": "running", "container": True}, "A container is no virtual machine"),
        ({"power": "unknown"}, "Nothing tells"),
    ],
)
def test_what_displays_nothing_says_why(how: dict[str, Any], expected: str) -> None:
    sample = {} if how["power"] == "unknown" else {"mem": 0, "maxmem": GIB}
    found = explanation_of(Seen(100, "a", "pve1", sample=sample, **how))
    assert expected in english(found.why)
    assert (found.displayed_bytes, found.instrument, found.would) == (None, "unknown", ())


def test_memory_of_0_is_no_measurement() -> None:
    found = seen({"mem": 0, "memhost": 0, "ballooninfo": {"actual": 1}})
    assert (found.displayed_bytes, found.host_bytes, found.instrument) == (None, None, "unknown")
    assert "says 0" in english(found.why)


def test_more_than_the_allocation_is_a_share_above_one_and_alike_is_said_once() -> None:
    sample = {"mem": 8.05 * GIB, "memhost": 8.05 * GIB, "ballooninfo": {"actual": 1}}
    found = [seen(sample), seen(sample | {"mem": 7 * GIB, "memhost": 7 * GIB}), seen(sample, config={"ostype": "w2k"})]
    assert found[0].share == pytest.approx(1.00625)
    assert [len(note.vmids) for note in notes_on(found)] == [2, 1]


def test_requests_are_counted_by_qemu_since_the_start_and_only_those_of_disks() -> None:
    counts = {"rd_operations": 5000, "wr_operations": 1000}
    found = seen({"mem": GIB, "uptime": 100, "blockstat": {"ide0": counts, "pflash0": counts, "scsi1": None}})
    assert found.requests_per_s == 60
    assert seen({"mem": GIB, "uptime": 0, "blockstat": {"ide0": counts}}).requests_per_s is None


def test_free_pages_can_be_reported_where_guest_and_host_can() -> None:
    quiet: dict[str, Any] = {"mem": 8 * GIB, "memhost": 8 * GIB, "ballooninfo": {"actual": 1}}
    sent: dict[str, Any] = {"mem": 3 * GIB, "memhost": 8 * GIB, "ballooninfo": SENT}
    assert seen(quiet).reporting == "possible"
    assert seen(quiet | {"running-machine": "pc-i440fx-6.1"}).reporting == "possible", "with a newer machine version"
    assert seen(sent).reporting == "on"
    assert seen(sent | {"running-machine": "pc-i440fx-6.1"}).reporting == "possible"
    assert seen(quiet, config={"ostype": "win11"}).reporting == "impossible"
    assert seen(quiet, release="6.4-15").reporting == "impossible"
    assert seen(quiet, config={"ostype": "other"}).reporting == "not known"
