"""Forecasts for servers that have not changed, where truth is known: lab cells, and simulated fleets."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import virtio_study as vs
from paths import ROOT
from virtio_study.analysis.plausibility import Counts, Range, mean_accesses
from virtio_study.analysis.unchanged import (
    ACCESSES,
    UNKNOWN_OVERHEAD,
    Unchanged,
    cpu_saved,
    outlooks,
    overheads,
    ram_returned,
)

MIB = 2.0**20
NOISE = 4 * MIB
"""A boot's level differs by that much from the next one's."""


@pytest.fixture(scope="module")
def lab() -> dict[tuple[str, str], dict[str, pd.DataFrame]]:
    """Rows of the second half of every boot, by server and configuration."""
    study = vs.load_study("lab-qemu")
    found = {}
    for server in study.servers:
        for config in ("emulated", "reporting"):
            rows = study.collect(server, config)
            late = rows[rows["uptime_s"] > rows["uptime_s"].max() / 2]
            found[server, config] = dict(list(late.groupby("replicate")))
    return found


@pytest.mark.parametrize("known", [True, False], ids=["neighbours", "no neighbour"])
def test_what_came_back_in_the_lab_lies_in_the_forecast_from_boots_without_reporting(lab, known: bool) -> None:
    for server in ("versat", "dominio", "archivos"):
        others = [pd.concat(boots.values()) for (name, config), boots in lab.items()
                  if name != server and config == "reporting"]  # fmt: skip
        overhead = overheads(others if known else [])
        came = lab[server, "reporting"]
        for boot, rows in lab[server, "emulated"].items():
            found = ram_returned(rows, overhead)
            assert found is not None
            back = rows["mem_host_bytes"].mean() - came[boot]["mem_host_bytes"].mean()
            assert found.low - NOISE <= back <= found.high + NOISE, (server, boot)
    assert overheads([]) == overheads(others[:1]) == UNKNOWN_OVERHEAD


def test_the_accesses_are_those_that_the_lab_counted() -> None:
    counted = mean_accesses(Counts.model_validate_json((ROOT / "data/lab-qemu/counts.json").read_text()).rows)
    for device, accesses in ACCESSES.items():
        assert accesses == pytest.approx(counted[device], rel=0.01), device
    assert counted["virtio-blk"] == 1
    assert counted["virtio-net"] == pytest.approx(1, rel=0.05)


def test_the_cpu_of_the_lab_is_that_of_its_plausibility(lab) -> None:
    results = json.loads((ROOT / "reports/lab-qemu/results.json").read_text())
    told = results["plausibility"]["predicted"]["versat"]["disk"]
    rows = pd.DataFrame({"disk_reads_per_s": [told["rate"]], "disk_writes_per_s": [0.0]})
    found = cpu_saved(Unchanged("a", rows, "ide", "virtio-net", "possible"))
    assert found is not None
    for price in ("low", "typical", "high"):
        assert getattr(found, price) == pytest.approx(-told[price], rel=0.01)


def simulated(seed: int, count: int = 300) -> list[tuple[pd.DataFrame, float]]:
    """Rows of servers without reporting, and what would come back of each at a moment of its own."""
    random, found = np.random.default_rng(seed), []
    for _ in range(count):
        size = float(random.choice([2, 4, 8])) * 1024 * MIB
        use = size * (random.uniform(0.1, 0.6) + 0.05 * np.sin(np.arange(336) / 336 * 14 * np.pi))
        guest = use + random.normal(0, 0.01 * size, 336)
        host = size * random.uniform(0.85, 0.98) + random.normal(0, 0.002 * size, 336)
        overhead = random.normal(120, 15) * MIB
        found.append((pd.DataFrame({"mem_host_bytes": host, "mem_guest_bytes": guest}), overhead))
    return found


def test_intervals_hold_in_a_simulated_fleet() -> None:
    """The level that follows is the mean of the use, whatever of it falls on the peak."""
    fleet = simulated(1)
    neighbours = [
        pd.DataFrame({"mem_guest_bytes": rows["mem_guest_bytes"], "mem_host_bytes": rows["mem_guest_bytes"] + overhead})
        for rows, overhead in fleet[:30]
    ]
    overhead_of_one, held = overheads(neighbours), 0
    for rows, overhead in fleet[30:]:
        back = (rows["mem_host_bytes"] - rows["mem_guest_bytes"]).mean() - overhead
        span = ram_returned(rows, overhead_of_one)
        assert span is not None
        held += span.low <= back <= span.high
    assert held >= 0.93 * len(fleet[30:])


def server(name: str, reporting: str, **columns: float) -> Unchanged:
    rows = pd.DataFrame({key: [value] * 3 for key, value in columns.items()})
    return Unchanged(name, rows, "ide", "e1000", reporting)  # type: ignore[arg-type]


def test_what_is_not_told_is_a_bound_or_a_reason_and_never_a_prediction() -> None:
    host, guest, shown = 4096 * MIB, 1024 * MIB, 4096 * MIB
    known = {"mem_host_bytes": host, "mem_guest_bytes": guest, "mem_displayed_bytes": shown}
    found = {item.name: item for item in outlooks([
        server("all", "possible", **known),
        server("no guest", "possible", mem_host_bytes=host, mem_displayed_bytes=shown),
        server("windows", "impossible", **known),
        server("on", "on", **known),
        server("no host", "possible", mem_displayed_bytes=shown),
    ])}  # fmt: skip
    assert found["all"].returned == Range(low=2882 * MIB, typical=2982 * MIB, high=3072 * MIB)
    assert found["all"].shown_less is not None
    assert found["all"].shown_less.high == pytest.approx(190 * MIB)
    assert found["all"].shown_less.low < MIB
    assert found["no guest"].returned is None
    assert found["no guest"].at_most == pytest.approx(host)
    assert found["windows"].returned is None
    assert found["windows"].shown_less is not None
    assert found["windows"].shown_less.low == found["windows"].shown_less.high == pytest.approx(3072 * MIB)
    for name, word in (
        ("no guest", "bound"),
        ("windows", "not possible"),
        ("on", "is on"),
        ("no host", "not recorded"),
    ):
        assert word in found[name].reason


def test_sizes_bound_the_cpu_and_the_most_valuable_come_first() -> None:
    busy = server("busy", "impossible", disk_read_bytes_per_s=4096e3, disk_write_bytes_per_s=0.0, cpu_cores=0.6)
    idle = server("idle", "impossible", disk_read_bytes_per_s=4096.0, disk_write_bytes_per_s=0.0, cpu_cores=0.5)
    found = outlooks([idle, busy])
    assert [item.name for item in found] == ["busy", "idle"]
    assert found[0].cpu is not None
    assert found[0].cpu.high == pytest.approx(1000 * (26 * 21e-6 - 6.4e-6), rel=1e-6), "1000 requests of 4 KiB"
    spans = [found[0].cpu.low, found[0].cpu.typical, found[0].cpu.high]
    assert all(low < high for low, high in pairwise(spans))
    virtio = Unchanged("a", busy.rows, "virtio-scsi", "virtio-net", "on")
    assert cpu_saved(virtio) is None


@pytest.mark.parametrize(("rows", "most"), [(240, 3.0), (20, 2.0)])
def test_the_most_that_comes_back_is_what_is_spare_in_the_twelfth_with_most(rows: int, most: float) -> None:
    # less than two rows a twelfth tell no twelfth: the mean
    guest = np.where(np.arange(rows) < rows // 2, 1.0, 3.0) * 2**30
    found = ram_returned(
        pd.DataFrame({"mem_host_bytes": 4.0 * 2**30, "mem_guest_bytes": guest}), Range(low=0.0, typical=0.0, high=0.0)
    )
    assert found == Range(low=2**30, typical=2**30, high=most * 2**30)
