"""How many servers fit on a host: by allocation (overcommit rule and RAM), and by what they were measured to spend."""

import math
from typing import Literal

from virtio_study.analysis.records import Recorded
from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.study import Host

__all__ = ["OVERCOMMIT", "Capacity", "MeasuredCapacity", "fits", "fits_measured"]

OVERCOMMIT = 4.0
"""At most this many virtual cores for each real core (García Perellada & Garófalo Hernández 2015, as cited)."""


class Capacity(Recorded):
    """Servers of one size that fit by allocation; `by_physical_cores` is None where the host's cores are not known."""

    by_logical_cpus: int
    by_physical_cores: int | None
    by_memory: int
    servers: int
    limited_by: Literal["cpu", "memory"]


class MeasuredCapacity(Recorded):
    """Servers that fit if each spends what one was measured to spend; None where CPU was not given."""

    by_cpu: int | None
    by_memory: int
    servers: int


def fits(host: Host, vcpus: int, memory_bytes: int, overcommit: float = OVERCOMMIT) -> Capacity:
    """Servers of one allocation that fit on a host.

    Parameters
    ----------
    host : Host
    vcpus, memory_bytes : int
        Allocation of one server.
    overcommit : float
        Virtual cores for each real core.

    Returns
    -------
    Capacity
        `servers` is the least of all limits, with physical cores where they are known: a thread is not a core.

    Raises
    ------
    DataError
        If an argument is not above 0.
    """
    for name, value in (("vcpus", vcpus), ("memory_bytes", memory_bytes), ("overcommit", overcommit)):
        if value <= 0:
            raise DataError(N_("{name} is {value}; expected more than 0"), name=name, value=value)
    logical = math.floor(host.logical_cpus * overcommit / vcpus)
    physical = math.floor(host.physical_cores * overcommit / vcpus) if host.physical_cores else None
    cpu = logical if physical is None else physical
    memory = int(host.memory_bytes) // int(memory_bytes)
    return Capacity(
        by_logical_cpus=logical,
        by_physical_cores=physical,
        by_memory=memory,
        servers=min(cpu, memory),
        limited_by="cpu" if cpu < memory else "memory",
    )


def fits_measured(host: Host, host_bytes: float, cpu_cores: float | None = None) -> MeasuredCapacity:
    """Servers that fit if each spends `host_bytes` of the host's memory and, where given, `cpu_cores` of its CPUs.

    Nothing is kept back for the host or for peaks: an upper bound, and only of value for comparing two configurations.

    Raises
    ------
    DataError
        If a measured value is not above 0.
    """
    for name, value in (("host memory", host_bytes), ("CPU", cpu_cores)):
        if value is not None and not value > 0:
            raise DataError(N_("measured {name} is {value:g}; expected more than 0"), name=name, value=value)
    memory = math.floor(int(host.memory_bytes) / host_bytes)
    cpu = None if cpu_cores is None else math.floor(host.logical_cpus / cpu_cores)
    return MeasuredCapacity(by_cpu=cpu, by_memory=memory, servers=memory if cpu is None else min(cpu, memory))
