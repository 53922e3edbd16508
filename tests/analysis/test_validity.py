"""Every check passes, warns, fails and admits that it cannot tell; verdicts follow from the checks alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paths import ROOT
from virtio_study.analysis.arms import Arm, arm_of
from virtio_study.analysis.evidence import Side, Surroundings
from virtio_study.analysis.load import LoadComparison, compare_load
from virtio_study.analysis.validity import (
    check_accelerator,
    check_co_interventions,
    check_contention,
    check_drift,
    check_enough_replicates,
    check_enough_rows,
    check_guest_memory,
    check_interruptions,
    check_order,
    check_plausible_floor,
    check_possible_values,
    check_quantum,
    check_same_allocation,
    check_same_hours,
    check_same_instrument,
    check_same_load,
    check_same_statistic,
    check_vhost,
    checked,
    checks,
    emulator_only,
    verdict,
)
from virtio_study.errors import DataError
from virtio_study.i18n.terms import TERMS
from virtio_study.pve.instruments import INSTRUMENTS, comparable, instrument
from virtio_study.recording import INSTRUMENTS as MEMORY_INSTRUMENTS
from virtio_study.stats.interval import Interval
from virtio_study.study import Purpose

LOAD = (20.0, 20.1, 19.9, 20.0, 20.05, 19.95)
SIDE = Side(
    server="versat",
    driver_config="emulated",
    metric="cpu",
    value=0.3,
    unit="cores",
    statistic="sustained mean",
    instrument="process_ticks",
    largest=0.5,
    allocated=1.0,
    replicates=8,
    rows=50,
    seconds=100.0,
    quantum=0.005,
    shown_unit="cores",
    drift=Interval(0.001, -0.01, 0.012, 0.95, 8, 7.0, "m"),
    boots=((0.0, 0.3), (200.0, 0.31), (400.0, 0.29)),
    around=Surroundings(
        hours=frozenset({9, 10}),
        host_busy=0.4,
        host_full=0.0,
        interruptions={},
        settings={"machine": "pc", "qemu": "10.0"},
        accelerator="kvm",
        host_kernel=(6, 14),
        guest_os="linux",
    ),
)
AROUND = {field.name for field in fields(Surroundings)}
MARGINS = {"disk_reads_per_s": 0.05}


def with_facts(**facts: Any) -> Side:
    """`SIDE` with other facts, of its own or of its surroundings."""
    around = {key: value for key, value in facts.items() if key in AROUND}
    own = {key: value for key, value in facts.items() if key not in AROUND}
    return replace(SIDE, **own, around=replace(SIDE.around, **around))


def arm(load: Mapping[str, Sequence[float] | None]) -> Arm:
    """Boots of four rows each, whose load columns have these levels; None: a column without values."""
    boots = max((len(values) for values in load.values() if values), default=1)
    parts = [
        pd.DataFrame(
            {"replicate": f"boot-{n}", "period": "steady", "reason": "", "step_s": 2.0}, index=range(4)
        ).assign(
            time=pd.date_range(f"2026-01-0{n + 1}", periods=4, freq="2s", tz="UTC"),
            **{name: np.nan if values is None else values[n] for name, values in load.items()},
        )
        for n in range(boots)
    ]
    return arm_of("versat", "emulated", pd.concat(parts, ignore_index=True))


def loads(
    after: Mapping[str, Sequence[float] | None], margins: Mapping[str, float] = MARGINS
) -> tuple[LoadComparison, ...]:
    return compare_load(arm({"disk_reads_per_s": LOAD}), arm(after), margins, 0.95, False)


SAME_LOAD = loads({"disk_reads_per_s": LOAD})


def test_a_good_pair_is_believable():
    done = checks(SIDE, SIDE, SAME_LOAD, 0.95)
    assert {c.status for c in done} == {"pass"}
    assert [c.name for c in done] == [
        *("same_instrument", "possible_values", "same_statistic", "same_allocation", "same_load", "same_hours"),
        *("enough_replicates", "enough_rows", "drift", "order", "contention", "interruptions", "co_interventions"),
        *("quantum", "vhost", "accelerator"),
    ]
    assert verdict(done).status == "believable"
    assert verdict(done).reasons == ()


@pytest.mark.parametrize(
    ("check", "before", "after", "status"),
    [
        (check_same_hours, {}, {}, "pass"),
        (check_same_hours, {"hours": None}, {}, "not_assessable"),
        (check_same_hours, {"hours": frozenset({9, 10})}, {"hours": frozenset({33, 34})}, "warn"),
        (check_same_hours, {"hours": frozenset({9, 10})}, {"hours": frozenset({11, 12})}, "fail"),
        (
            check_same_hours,
            {"hours": frozenset({9}), "randomised": True},
            {"hours": frozenset({11}), "randomised": True},
            "pass",
        ),
        (
            check_same_hours,
            {"hours": frozenset({9}), "follows_day": False},
            {"hours": frozenset({11}), "follows_day": False},
            "pass",
        ),
        (check_contention, {}, {}, "pass"),
        (check_contention, {"host_busy": None}, {}, "not_assessable"),
        (check_contention, {}, {"host_busy": 0.6}, "warn"),
        (check_contention, {}, {"host_full": 0.2}, "warn"),
        (check_drift, {}, {"drift": None}, "not_assessable"),
        (check_drift, {}, {"drift": Interval(-0.1, -0.12, -0.08, 0.95, 8, 7.0, "m")}, "warn"),
        (check_drift, {}, {"drift": Interval(-0.01, -0.012, -0.008, 0.95, 8, 7.0, "m")}, "pass"),
        (
            check_drift,
            {"value": 0.6},
            {"drift": Interval(-0.1, -0.12, -0.08, 0.95, 8, 7.0, "m")},
            "pass",
        ),
        (check_interruptions, {}, {}, "pass"),
        (check_interruptions, {}, {"interruptions": {"restart": 12}}, "warn"),
        (check_interruptions, {"interruptions": None}, {}, "not_assessable"),
        (check_co_interventions, {}, {}, "pass"),
        (check_co_interventions, {}, {"settings": {"machine": "q35", "qemu": "10.0"}}, "fail"),
        (check_co_interventions, {}, {"settings": {"machine": "pc"}}, "fail"),
        (check_co_interventions, {"settings": None}, {}, "not_assessable"),
        (
            check_co_interventions,
            {"settings": {"qemu": "9.2, 10.0"}},
            {"settings": {"qemu": "9.2, 10.0"}},
            "warn",
        ),
        (check_vhost, {}, {}, "pass"),
        (check_vhost, {}, {"host_kernel": (6, 2)}, "warn"),
        (check_vhost, {}, {"host_kernel": None}, "not_assessable"),
        (check_guest_memory, {}, {}, "pass"),
        (check_guest_memory, {"guest_os": None}, {}, "not_assessable"),
        (check_guest_memory, {}, {"guest_os": "windows"}, "fail"),
        (check_plausible_floor, {"value": 2.0**30}, {"value": 2.0**31}, "pass"),
        (check_plausible_floor, {"value": 2.0**28}, {"value": 2.0**31}, "pass"),
        (check_plausible_floor, {"value": 2.0**28, "guest_os": None}, {"value": 2.0**31}, "warn"),
        (check_plausible_floor, {"value": 2.0**28, "guest_os": "windows"}, {"value": 2.0**31}, "fail"),
        (check_same_instrument, {"instrument": "host_pss"}, {"instrument": "host_pss"}, "pass"),
        (check_same_instrument, {"instrument": "host_pss"}, {"instrument": "guest_stats"}, "fail"),
        (check_same_instrument, {"instrument": "host_pss"}, {"instrument": "host_cgroup"}, "fail"),
        (check_same_instrument, {"instrument": "mixed"}, {"instrument": "mixed"}, "fail"),
        (check_same_instrument, {"instrument": "unknown"}, {"instrument": "host_pss"}, "not_assessable"),
        (check_same_instrument, {"instrument": None}, {}, "not_assessable"),
        (check_possible_values, {}, {"largest": 1.2}, "warn"),
        (check_possible_values, {}, {"largest": 1.2, "instrument": "guest_stats"}, "fail"),
        (
            check_possible_values,
            {"largest": None, "value": 1.05, "instrument": "unknown", "prefix_factor": 1.07},
            {},
            "warn",
        ),
        (
            check_possible_values,
            {"largest": None, "value": 1.08, "instrument": "unknown", "prefix_factor": 1.07},
            {},
            "fail",
        ),
        (check_possible_values, {"allocated": None}, {}, "not_assessable"),
        (check_same_statistic, {"statistic": "maximum"}, {}, "fail"),
        (check_same_statistic, {"statistic": "sustained (by eye)"}, {"statistic": "sustained (by eye)"}, "warn"),
        (check_same_statistic, {"statistic": "sustained"}, {"statistic": "minimum sustained"}, "warn"),
        (check_same_statistic, {"statistic": ""}, {}, "not_assessable"),
        (check_same_allocation, {"allocated": 2.0}, {}, "fail"),
        (check_same_allocation, {"allocation_constant": False}, {}, "fail"),
        (check_same_allocation, {"declared": 2.0}, {"declared": 2.0}, "fail"),
        (check_same_allocation, {"declared": 1.0}, {"declared": 1.0}, "pass"),
        (check_same_allocation, {}, {"allocated": None}, "not_assessable"),
        (check_enough_replicates, {"replicates": 1}, {}, "fail"),
        (check_enough_replicates, {"replicates": 3}, {}, "warn"),
        (check_enough_replicates, {"replicates": None}, {}, "not_assessable"),
        (check_enough_rows, {"rows": 5}, {}, "fail"),
        (check_enough_rows, {"rows": 20}, {}, "warn"),
        (check_enough_rows, {"seconds": None}, {}, "not_assessable"),
        (check_quantum, {"value": 0.02}, {}, "warn"),
        (check_quantum, {"value": 0.004}, {}, "fail"),
        (check_quantum, {"quantum": None}, {"quantum": None}, "not_assessable"),
        (check_accelerator, {"accelerator": "tcg"}, {"accelerator": "tcg"}, "fail"),
        (check_accelerator, {"accelerator": "tcg", "metric": "mem_host"}, {"metric": "mem_host"}, "fail"),
        (check_accelerator, {"accelerator": None}, {"accelerator": None}, "not_assessable"),
    ],
)
def test_statuses(check, before, after, status):
    found = check(with_facts(**before), with_facts(**after))
    assert found.status == status
    assert found.sentence.endswith((".", "against."))
    assert "{" not in found.sentence


class TestLoad:
    def test_different(self):
        found = check_same_load(loads({"disk_reads_per_s": [2 * x for x in LOAD]}), 0.95)
        assert found.status == "fail"
        assert found.numbers["disk_reads_per_s_ratio"] == pytest.approx(2)
        assert "disk reads a second" in found.sentence

    def test_too_noisy_to_tell(self):
        assert check_same_load(loads({"disk_reads_per_s": (10.0, 30.0, 20.0)}), 0.95).status == "warn"

    def test_a_ratio_outside_the_margin_is_no_difference_while_its_interval_is_not(self):
        (noisy,) = loads({"disk_reads_per_s": (22.0, 23.0, 19.0)})
        assert noisy.ratio is not None
        assert noisy.ratio > 1.05
        assert noisy.answer == "not_shown"
        assert check_same_load((noisy,), 0.95).status == "warn"
        assert [item.answer for item in loads({"disk_reads_per_s": [2 * x for x in LOAD]})] == ["different"]
        assert [item.answer for item in loads({"disk_reads_per_s": LOAD})] == ["same"]

    @pytest.mark.parametrize("load", [{}, {"disk_reads_per_s": None}])
    def test_not_recorded(self, load):
        found = check_same_load(loads(load), 0.95)
        assert found.status == "not_assessable"
        assert "The load was not recorded" in found.sentence

    def test_recorded_in_one_boot(self):
        found = check_same_load(loads({"disk_reads_per_s": (20.0,)}), 0.95)
        assert found.status == "not_assessable"
        assert "too few boots" in found.sentence

    def test_study_without_load(self):
        assert check_same_load((), 0.95).status == "not_assessable"

    def test_partly_recorded(self):
        found = check_same_load(loads({"disk_reads_per_s": LOAD}, {**MARGINS, "disk_writes_per_s": 0.05}), 0.95)
        assert found.status == "warn"
        assert "disk writes a second" in found.sentence


class TestVerdict:
    def one(self, name, status):
        return checked(name, status, "x.", {})

    @pytest.mark.parametrize(
        ("done", "expected"),
        [
            ([("same_load", "pass")], "believable"),
            ([("same_load", "warn")], "with_reservations"),
            ([("same_load", "not_assessable")], "with_reservations"),
            ([("same_load", "warn"), ("quantum", "fail")], "not_believable"),
            ([("quantum", "fail"), ("same_instrument", "fail")], "not_an_effect"),
            ([("accelerator", "fail")], "not_an_effect"),
            ([("same_instrument", "not_assessable")], "with_reservations"),
        ],
    )
    def test_rule(self, done, expected):
        assert verdict([self.one(*item) for item in done]).status == expected

    def test_reasons_are_those_that_decided(self):
        found = verdict([self.one("same_load", "warn"), self.one("quantum", "fail")])
        assert [check.name for check in found.reasons] == ["quantum"]


def test_cpu_under_tcg_is_the_emulators_own():
    assert emulator_only("cpu", "tcg", "tcg")
    assert emulator_only("cpu", "kvm", "tcg")
    assert not emulator_only("cpu", "kvm", "kvm")
    assert not emulator_only("mem_host", "tcg", "tcg")


class TestInstruments:
    def test_every_instrument_of_a_recording_is_described(self):
        assert set(MEMORY_INSTRUMENTS) <= set(INSTRUMENTS)
        assert set(INSTRUMENTS) == set(TERMS["instrument"])

    def test_only_one_known_instrument_is_comparable_with_itself(self):
        for first in INSTRUMENTS:
            for second in INSTRUMENTS:
                expected = first == second and INSTRUMENTS[first].view != "unknown"
                assert comparable(first, second) == expected

    def test_unknown_name(self):
        with pytest.raises(DataError, match="unknown instrument 'rss'; known: guest_stats"):
            instrument("rss")


class TestTemplates:
    def test_no_template_names_a_number_that_is_not_there(self):
        for check in checks(SIDE, replace(SIDE, value=0.01), SAME_LOAD, 0.95):
            assert set(re.findall(r"{(\w+)", " ".join(check.messages))) <= set(check.numbers)


@pytest.mark.parametrize(
    ("purpose", "before", "after", "status"),
    [
        ("total", {"disk": "virtio-scsi", "card": "virtio-net"}, {"disk": "ide", "card": "e1000"}, "fail"),
        ("devices", {"disk": "ide", "card": "virtio-net"}, {"disk": "ide", "card": "e1000"}, "fail"),
        ("instrument", {"balloon driver": "loaded"}, {"balloon driver": "not loaded"}, "fail"),
        ("total", {"disk": "ide", "card": "e1000"}, {"disk": "virtio-scsi", "card": "virtio-net"}, "pass"),
        ("devices", {"disk": "virtio-blk"}, {"disk": "virtio-scsi"}, "pass"),
    ],
)
def test_sides_whose_recordings_are_swapped_are_not_believed(
    purpose: Purpose, before: dict[str, str], after: dict[str, str], status: str
) -> None:
    sides = [replace(SIDE, around=replace(SIDE.around, settings=settings)) for settings in (before, after)]
    check = check_co_interventions(*sides, purpose=purpose)
    assert check.status == status
    swapped = "Before and after are swapped: VirtIO was taken away" in check.sentence
    assert swapped == (status == "fail")


def test_the_hours_that_a_side_lacks_are_named():
    week = frozenset(range(168))
    backup = week - {2, 3, 26, 27}
    found = check_same_hours(with_facts(hours=week), with_facts(driver_config="virtio", hours=backup))
    assert found.status == "warn", "hours that both sides have can be compared"
    assert "“virtio”: Monday, 2-4 h" in found.sentence
    assert "“virtio”: Tuesday, 2-4 h" in found.sentence


@pytest.mark.parametrize(
    ("order", "slope", "status"),
    [("ABABABAB", 1.0, "pass"), ("AAAABBBB", 1.0, "fail"), ("AAAABBBB", 0.0, "warn"), ("AABB", 0.0, "warn")],
)
def test_boots_that_did_not_take_turns_are_looked_at_for_a_drift(order: str, slope: float, status: str):
    noise = np.random.default_rng(1).normal(0, 0.05, len(order))
    levels = {name: [] for name in "AB"}
    for place, name in enumerate(order):
        levels[name].append((100.0 * place, 0.5 + 0.1 * slope * place + 0.1 * noise[place]))
    sides = [replace(SIDE, boots=tuple(levels[name]), replicates=len(levels[name])) for name in "AB"]
    found = check_order(*sides, 0.95)
    assert found.status == status
    assert check_order(replace(SIDE, boots=None), SIDE, 0.95).status == "not_assessable"
    if status == "fail":
        assert abs(found.numbers["effect"]) < 0.05, "all of the difference is the drift"


def test_every_check_has_a_name_for_readers() -> None:
    folder = ROOT / "src" / "virtio_study" / "analysis" / "validity"
    named = {name for path in folder.glob("*.py") for name in re.findall(r'checked\(\s*"(\w+)"', path.read_text())}
    assert len(named) > 12
    assert named <= TERMS["check"].keys()
