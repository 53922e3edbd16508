"""What fits on a host by allocation and by measurement."""

import pytest

from virtio_study.analysis.capacity import fits, fits_measured
from virtio_study.errors import DataError
from virtio_study.study import Host

PAPER = Host(name="h", cpu_model="c", logical_cpus=16, physical_cores=8, memory_bytes="16 GB", hypervisor="p")


def test_paper_host_by_allocation():
    found = fits(PAPER, vcpus=3, memory_bytes=4 * 10**9)
    assert (found.by_logical_cpus, found.by_physical_cores, found.by_memory) == (21, 10, 4)
    assert (found.servers, found.limited_by) == (4, "memory")


def test_cores_limit_when_memory_is_plenty():
    found = fits(PAPER, vcpus=8, memory_bytes=10**9)
    assert (found.servers, found.limited_by) == (4, "cpu")


def test_unknown_physical_cores_fall_back_to_logical():
    host = PAPER.model_copy(update={"physical_cores": None})
    found = fits(host, vcpus=3, memory_bytes=10**8)
    assert found.by_physical_cores is None
    assert found.servers == 21


def test_measured():
    found = fits_measured(PAPER, host_bytes=3e9, cpu_cores=0.75)
    assert (found.by_cpu, found.by_memory, found.servers) == (21, 5, 5)
    assert fits_measured(PAPER, host_bytes=3e9).by_cpu is None


@pytest.mark.parametrize(("vcpus", "memory"), [(0, 1), (1, 0), (-3, 1)])
def test_allocation_must_be_positive(vcpus, memory):
    with pytest.raises(DataError, match="expected more than 0"):
        fits(PAPER, vcpus, memory)


def test_measured_must_be_positive():
    with pytest.raises(DataError, match="measured host memory is 0"):
        fits_measured(PAPER, 0.0)
    with pytest.raises(DataError, match="measured CPU is nan"):
        fits_measured(PAPER, 1.0, float("nan"))
