"""A map over nodes: in this process, on a cluster of processes of this machine, or on a scheduler that is running."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import islice
from typing import Any

from virtio_study.environment import without_secrets
from virtio_study.errors import ClusterError
from virtio_study.i18n.marks import N_

__all__ = ["Walk", "disagreement", "processes_for", "walking"]

FEWEST_NODES = 64
"""A fleet of fewer nodes is done in one process before two have started, imported and done it."""

AHEAD = 2
"""So many tasks for each worker are on their way: none waits for work, and no more than these are in memory."""

TOGETHER, LEAST_TASKS = 4, 4
"""So many items at most are one task, for a task costs both sides processor time; and so many tasks at least are for
each worker, so that none of them is done long before the others.
"""

PATIENCE_S, CONNECTING_S = 60.0, 10.0
"""How long a cluster may be without any worker at work, and a scheduler without an answer."""

LEAN = {
    "distributed.admin.large-graph-warning-threshold": "1TB",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
}
"""Settings of Dask: what a node is sent with is large, and waits nowhere but in its own task; workers keep memory that
they need again for the next node (giving it back and asking for it each time costs processor time); nobody looks at
profiles, nor at what a process writes down of itself fifty times a second.
"""

SAME = ("python", "virtio-study", "numpy", "pandas", "scipy", "dask", "distributed", "cloudpickle")
"""What has one version everywhere: the numbers depend on it, or the understanding of one another."""

ABSENT = N_("more than one process needs the package distributed: pip install 'virtio-study[cluster]'")
ABSENT_HERE = N_("{scheduler}: a scheduler is asked by the package distributed: pip install 'virtio-study[cluster]'")
LOST = N_(
    "{scheduler}: the connection to the scheduler was lost; start the scheduler and its workers, and give the same "
    "command: it goes on from the nodes that are done"
)

FULL = N_(
    "{worker}: has taken nothing for {seconds:.0f} s, nor has any other worker, for its memory is nearly full; give "
    "workers more (--memory-limit of dask worker, or fewer --workers) and give the same command"
)
IDLE = N_("{scheduler}: no worker for {seconds:.0f} s; start workers and give the same command")

Walk = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Like `map` over one iterable: answers in order, items taken as they are needed."""


def processes_for(nodes: int) -> int:
    """How many processes a fleet of so many nodes is worth on this machine: 1 where none would help."""
    if nodes < FEWEST_NODES or find_spec("distributed") is None:
        return 1
    return min(len(os.sched_getaffinity(0)), nodes)


@contextmanager
def walking(items: int, workers: int = 1, scheduler: str = "") -> Iterator[Walk]:
    """What walks over nodes, whose answers depend neither on the number of workers nor on where they are.

    Parameters
    ----------
    items : int
        How many there are, about.
    workers : int
        Processes on this machine; 1 is this one. Their connections are encrypted with a certificate of this run.
    scheduler : str
        Address of a Dask scheduler, `tcp://host:port` or `tls://host:port`, whose workers are taken instead. Files of
        TLS are those of Dask's own configuration.

    Raises
    ------
    ClusterError
        If the extra is not installed, the scheduler or its workers are not there or have other versions, or while
        walking, if they are lost for good.
    """
    if workers < 2 and not scheduler:
        yield map
        return
    with _quiet(), without_secrets(), _client(workers, scheduler) as client:
        yield _Ahead(client, scheduler, items)


class _Ahead:
    """A walk over the workers of a client."""

    def __init__(self, client: Any, scheduler: str, items: int) -> None:
        self._client, self._scheduler = client, scheduler or client.scheduler.address
        self._items = items

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        waiting: deque[Any] = deque()
        workers = max(len(self._asked(self._client.nthreads)), 1)
        together = max(1, min(TOGETHER, self._items // (LEAST_TASKS * workers)))
        left = iter(items)
        while task := list(islice(left, together)):
            waiting.append(self._asked(partial(self._client.submit, _each, function, task, pure=False)))
            if len(waiting) >= AHEAD * workers:
                yield from self._answer(waiting.popleft())
        while waiting:
            yield from self._answer(waiting.popleft())

    def _answer(self, future: Any) -> Any:
        idle = 0
        while True:
            try:
                return self._asked(partial(future.result, timeout=PATIENCE_S / 2))
            except TimeoutError:
                # a worker that has just begun, or ended, is seen in neither state: only the second look counts
                idle = 0 if self._at_work() else idle + 1
                if idle == 2:
                    raise self._nobody() from None

    def _workers(self) -> dict[str, Any]:
        found: dict[str, Any] = self._asked(self._client.scheduler_info)["workers"]
        return found

    def _at_work(self) -> bool:
        """Whether any worker computes anything; one that has no memory left takes nothing, and says so to nobody."""
        return any(item["metrics"].get("task_counts", {}).get("executing") for item in self._workers().values())

    def _nobody(self) -> ClusterError:
        full = [address for address, item in sorted(self._workers().items()) if item["status"] == "paused"]
        if full:
            return ClusterError(FULL, worker=full[0], seconds=PATIENCE_S)
        return ClusterError(IDLE, scheduler=self._scheduler, seconds=PATIENCE_S)

    def _asked(self, call: Callable[[], Any]) -> Any:
        """What a call of the client answers; `TimeoutError` is the caller's matter as long as there is a connection."""
        from distributed import KilledWorker

        try:
            return call()
        except KilledWorker as error:
            raise ClusterError(
                N_(
                    "{worker}: a node ended {count} workers one after the other, this was the last; most often it "
                    "needs more memory than they may have: give them more (--memory-limit of dask worker, or fewer "
                    "--workers) and give the same command"
                ),
                worker=error.last_worker.address,
                count=error.allowed_failures + 1,
            ) from None
        except (CancelledError, OSError, RuntimeError) as error:
            if isinstance(error, TimeoutError) and self._client.status == "running":
                raise
            if isinstance(error, OSError | CancelledError) or self._client.status != "running":
                raise ClusterError(LOST, scheduler=self._scheduler) from error
            raise


def _each(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    return [function(item) for item in items]


@contextmanager
def _client(workers: int, scheduler: str) -> Iterator[Any]:
    """A client of a scheduler, or of a cluster that lives as long as it."""
    try:
        import dask
        from distributed import Client, LocalCluster, Security
    except ImportError:
        raise (ClusterError(ABSENT_HERE, scheduler=scheduler) if scheduler else ClusterError(ABSENT)) from None
    with dask.config.set(LEAN):
        if not scheduler:
            with (
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    memory_limit=1 / workers,  # Dask's own is a processor's share, also where there are few workers
                    security=Security.temporary(),
                    dashboard_address="127.0.0.1:0",  # None would take a port that another one may have
                    silence_logs=logging.CRITICAL,
                ) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):
                yield client
            return
        try:
            client = Client(scheduler, timeout=CONNECTING_S, set_as_default=False)
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise ClusterError(
                N_(
                    "{scheduler}: no scheduler answers ({error}); start it (dask scheduler), or with tls:// name the "
                    "files of TLS to Dask: https://distributed.dask.org/en/stable/tls.html"
                ),
                scheduler=scheduler,
                error=" ".join(str(error).split())[:200],
            ) from error
        try:
            _agreed(client, scheduler)
            yield client
        finally:
            client.close(timeout=2)


def _agreed(client: Any, scheduler: str) -> None:
    """Make sure that there are workers, and that all have the versions of this process."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE_S)
    except TimeoutError:
        raise ClusterError(
            N_("{scheduler}: has no worker; start one: dask worker {scheduler}"), scheduler=scheduler
        ) from None
    found = client.get_versions(packages=list(SAME[1:]))
    places = {f"scheduler {scheduler}": found["scheduler"], **found["workers"]}
    if other := disagreement(
        {place: item["packages"] for place, item in places.items()}, found["client"]["packages"], scheduler
    ):
        raise other


def disagreement(
    places: Mapping[str, Mapping[str, str | None]], own: Mapping[str, str | None], scheduler: str
) -> ClusterError | None:
    """The first place whose version of something differs from this process', if any.

    Parameters
    ----------
    places : mapping
        Scheduler and workers by address: package -> version, None where it is not installed.
    own : mapping
        The same of this process; `python` has five parts, of which two count.
    """
    for place, known in sorted(places.items()):
        for name in SAME:
            if place.startswith("scheduler") and name not in {"python", "dask", "distributed", "cloudpickle"}:
                continue  # it passes on what the others say
            there, here = (_shown(name, versions.get(name)) for versions in (known, own))
            if there != here:
                return ClusterError(
                    N_(
                        "{place}: has {name} {there} and this computer has {here}; numbers would differ: install the "
                        "same requirements.lock on both ({scheduler})"
                    ),
                    place=place,
                    name=name,
                    there=there,
                    here=here,
                    scheduler=scheduler,
                )
    return None


def _shown(name: str, version: str | None) -> str:
    if version is None:
        return "-"
    return ".".join(version.split(".")[:2]) if name == "python" else version


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what Dask logs: what matters of it comes as an error."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
