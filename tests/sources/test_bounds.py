"""Rows held against the protocol: what no server of it can have is left out, or the protocol is said to be wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small import make_frame
from virtio_study.errors import DataError
from virtio_study.i18n.sentences import english
from virtio_study.sources.bounds import held_against
from virtio_study.sources.responses import read_answers
from virtio_study.study import Host, Server, Text

HOST = Host(name="h", cpu_model="c", logical_cpus=2, memory_bytes=128 * 2**30, hypervisor="none")  # type: ignore[arg-type]
LARGE = HOST.model_copy(update={"logical_cpus": 64})
SERVER = Server(vmid=100, role=Text(en="a", es="a"), vcpus=1, memory_bytes=512 * 2**20, disk_bytes=2**30)  # type: ignore[arg-type]


def frame(**changes: object) -> pd.DataFrame:
    return make_frame(20).assign(mem_allocated_bytes=512 * 2.0**20, **changes)


def at(row: int, value: float, otherwise: float) -> list[float]:
    return [value if n == row else otherwise for n in range(20)]


@pytest.mark.parametrize(
    ("column", "value", "usual", "host", "says"),
    [
        ("cpu_cores", 114.0, 0.5, HOST, "cpu_cores 114 at 2026-01-01 00:00:10 UTC, more than 2"),
        ("cpu_cores", 1e308, 0.5, HOST, r"cpu_cores 1e\+308 at .*, more than 2"),
        ("cpu_cores", 2.5, 0.5, LARGE, "cpu_cores 2.5 at .*, more than 2"),  # 250 % of the virtual CPUs
        ("mem_displayed_bytes", 97 * 2.0**30, 3e8, HOST, r"mem_displayed_bytes 1.042e\+11 at .*, more than 1.879e\+09"),
        ("mem_displayed_bytes", 0.0, 3e8, HOST, r"mem_displayed_bytes 0 at .*, less than 4.194e\+06"),
        ("mem_displayed_bytes", 1.35 * 2**20, 3e8, HOST, "mem_displayed_bytes .*, less than"),
        ("disk_read_bytes_per_s", 1e300, 5e6, HOST, r"disk_read_bytes_per_s 1e\+300 at .*, more than 1e\+11"),
        ("net_in_bytes_per_s", 3e12, 5e6, HOST, r"net_in_bytes_per_s 3e\+12"),
        ("pressure_cpu_some_percent", 3000.0, 5.0, HOST, "pressure_cpu_some_percent 3000 at .*, more than 100.5"),
    ],
)
def test_one_impossible_value_is_left_out_and_named(
    column: str, value: float, usual: float, host: Host, says: str
) -> None:
    held = held_against(SERVER, host, frame(**{column: at(5, value, usual)}))
    assert np.flatnonzero(held.frame[column].isna()).tolist() == [5]
    (stretch,) = held.disturbed
    assert (stretch.end_s - stretch.start_s, stretch.reason) == (2.0, "impossible value")
    (remark,) = map(english, held.remarks)
    assert pd.Series(remark).str.contains(says).all(), remark


def test_guests_use_no_more_than_they_have_and_the_host_s_figure_has_qemu_s_own() -> None:
    memory = at(5, 600 * 2.0**20, 3e8)
    assert held_against(SERVER, HOST, frame(mem_displayed_bytes=memory)).disturbed == []
    guest = frame(mem_displayed_bytes=memory, mem_instrument="guest_stats")
    assert len(held_against(SERVER, HOST, guest).disturbed) == 1


def test_what_is_possible_stays_as_it_is() -> None:
    rows = frame(cpu_cores=at(5, 1.9, np.nan), disk_read_bytes_per_s=at(5, 9e9, 0.0))
    held = held_against(SERVER, LARGE, rows)
    assert (held.disturbed, held.remarks) == ([], [])
    pd.testing.assert_frame_equal(held.frame, rows)


def test_a_full_host_may_read_a_little_more() -> None:
    two = SERVER.model_copy(update={"vcpus": 2})
    assert held_against(two, HOST, frame(cpu_cores=at(5, 2.1, 1.9), cpu_allocated_cores=2.0)).disturbed == []


def test_neighbouring_rows_are_one_stretch() -> None:
    cpu = [9.0 if n in (4, 5, 6, 12) else 0.5 for n in range(20)]
    held = held_against(SERVER, HOST, frame(cpu_cores=cpu))
    assert [item.end_s - item.start_s for item in held.disturbed] == [6.0, 2.0]
    assert english(held.remarks[0]).startswith("4 impossible rows are left out")


def test_a_column_that_is_mostly_impossible_is_another_unit_or_server() -> None:
    with pytest.raises(DataError, match=r"20 of 20 values cannot be: cpu_cores 21.4 at .*; are unit, server and study"):
        held_against(SERVER, HOST, frame(cpu_cores=21.4))


def test_a_protocol_of_another_allocation_is_said_to_be_wrong() -> None:
    held = held_against(SERVER, HOST, frame(cpu_allocated_cores=2.0).assign(mem_allocated_bytes=256 * 2.0**20))
    assert [*map(english, held.remarks)] == [
        "study.yaml says vcpus 1, the rows 2: correct study.yaml",
        "study.yaml says memory_bytes 512 MiB, the rows 256 MiB: correct study.yaml",
    ]
    assert held.disturbed == []


def test_a_few_rows_of_another_allocation_are_left_out() -> None:
    held = held_against(SERVER, HOST, frame(cpu_allocated_cores=at(5, 8.0, 1.0)))
    assert [*map(english, held.remarks)] == ["1 rows of vcpus 8, not 1, are left out"]
    assert [item.reason for item in held.disturbed] == ["another allocation"]


def test_a_byte_that_is_no_text_never_shortens_a_number(tmp_path: Path) -> None:
    """In a last line without its end it was left out, and 370225716 bytes became 37225716."""
    path = tmp_path / "api-20260302.jsonl"
    line = b'{"t": %d, "path": "/version", "status": 200, "body": {"data": {"mem": 370%s225716}}}'
    path.write_bytes(line % (1, b"") + b"\n" + line % (2, b"\x98"))
    assert [answer.data for answer in read_answers([path])] == [{"mem": 370225716}]
