"""Forecasts of the servers of a fleet that changed nothing: those of a host, node by node."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from virtio_study.analysis.unchanged import Unchanged, outlooks
from virtio_study.fleet.experiments import INSTRUMENT_ONLY, Change
from virtio_study.fleet.foreseen import foreseen, totals
from virtio_study.fleet.histories import ServerHistory, Setup
from virtio_study.fleet.survey import survey
from virtio_study.testing.awaited import awaited
from virtio_study.testing.fleet import SimulatedFleet

CHANGE = Change(0.0, ("disk",), "to VirtIO")
FLEET = SimulatedFleet(30, seed=3, days=8, per_node=15)


def models(server: ServerHistory) -> list[str]:
    return [server.setups[-1].parts[part] for part in ("disk", "card")]


def test_every_server_that_changed_nothing_is_forecast_as_on_a_host() -> None:
    found = survey(FLEET, 0.95)
    unchanged = {f"vm{100 + number}" for number in range(FLEET.count) if FLEET.truth(number) is None}
    assert {item.name for item in found.outlooks} == unchanged
    assert len(unchanged) == found.servers - found.changed
    node = FLEET.servers("node0001")
    steady = {server.server: server.rows[server.rows["uptime_s"] - server.rows["step_s"] >= 3600] for server in node}
    by_hand = outlooks(
        [
            Unchanged(
                item.server,
                steady[item.server],
                *(item.setups[-1].parts[key] for key in ("disk", "card")),
                item.reporting,
            )
            for item in node
            if item.server in unchanged
        ],
        [steady[item.server] for item in node if item.reporting == "on"],
    )
    of_node = [item for item in found.outlooks if item.node == "node0001"]
    assert [item.model_dump(exclude={"node"}) for item in of_node] == [item.model_dump() for item in by_hand]
    assert {item.cpu is None for item in of_node if item.reason.startswith("free page")} == {True}


def told(server: ServerHistory, spent: float) -> ServerHistory:
    """A server whose guest's use is known, and whose host spends so many bytes more than the guest uses."""
    rows = server.rows.assign(mem_guest_bytes=2.0**31, mem_host_bytes=2.0**31 + spent)
    return ServerHistory(server.server, server.node, rows, server.setups, reporting=server.reporting)


def test_what_comes_back_is_what_the_host_spends_more_than_on_reporting_neighbours() -> None:
    node = FLEET.servers("node0000")
    reporting = [told(item, 50 * 2.0**20) for item in node if item.reporting == "on"][:3]
    waiting = [told(item, 1074 * 2.0**20) for item in node if item.reporting == "possible"][:2]
    found = foreseen("node0000", [*reporting, *waiting], [[CHANGE]] * 3 + [[]] * 2)
    assert [item.returned.typical for item in found if item.returned] == [pytest.approx(2.0**30)] * 2
    together = totals(found)
    assert (together.of_returned, together.of_at_most, together.servers) == (2, 0, 2)
    assert together.returned
    assert together.returned.typical == pytest.approx(2.0**31)


def test_nobody_saves_more_cpu_than_it_uses() -> None:
    rows = FLEET.server(0).rows.assign(cpu_cores=0.01, disk_read_bytes_per_s=1e9)
    server = ServerHistory("vm100", "node0000", rows, (Setup(0.0, {"disk": "ide", "card": "e1000"}),))
    (found,) = foreseen("node0000", [server], [[]])
    assert found.cpu
    assert found.cpu.high == pytest.approx(0.01)


def test_after_a_switch_of_the_instrument_alone_the_rows_since_then_are_taken() -> None:
    server = next(item for item in FLEET.servers("node0000") if item.reporting == "possible")
    at = server.rows["time"].iloc[200]
    later = (server.rows["time"] > at).to_numpy()
    rows = server.rows.assign(mem_host_bytes=np.where(later, 2.0**31, 2.0**33))
    switched = Change(at.timestamp(), (INSTRUMENT_ONLY,), "other")
    history = ServerHistory(server.server, server.node, rows, server.setups, reporting="possible")
    (found,) = foreseen("node0000", [history], [[switched]])
    assert found.at_most == pytest.approx(2.0**31)
    assert foreseen("node0000", [history], [[switched, CHANGE]]) == []


def held(drift: float) -> tuple[float, float]:
    """Shares of forecasts of RAM and of CPU that hold what comes in as many days afterwards."""
    memory, cpu = [], []
    for node in ("a", "b", "c", "d"):
        servers = {item.history.server: item for item in awaited(node, 15, seed=3, drift=drift)}
        for found in foreseen(node, [item.history for item in servers.values()], [()] * len(servers)):
            came = servers[found.name]
            if found.returned and found.cpu:
                memory.append(found.returned.low <= came.returned <= found.returned.high)
                cpu.append(found.cpu.low <= came.saved <= found.cpu.high)
    assert len(memory) == 40
    return sum(memory) / 40, sum(cpu) / 40


def test_forecasts_hold_what_comes_where_the_use_stays_what_it_was() -> None:
    assert min(held(0.0)) >= 0.95
    assert held(0.2)[0] < 0.8


def test_of_a_long_past_the_last_thirty_days_are_taken() -> None:
    server = SimulatedFleet(1, days=50, changed=0.0).server(0)
    old = (server.rows["time"] <= server.rows["time"].iloc[-1] - pd.Timedelta(days=30)).to_numpy()
    rows = server.rows.assign(mem_host_bytes=np.where(old, 2.0**33, 2.0**31))
    history = ServerHistory(server.server, server.node, rows, server.setups, reporting="possible")
    (found,) = foreseen("node0000", [replace(history, rows=rows.assign(mem_guest_bytes=np.nan))], [[]])
    assert old.sum() > 100
    assert found.at_most == pytest.approx(2.0**31)
