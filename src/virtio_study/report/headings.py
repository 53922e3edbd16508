"""Headings of the page's sections that state what the section found, with the verdict that it rests on."""

from collections.abc import Iterator

from virtio_study.analysis.effects import Effect
from virtio_study.analysis.results import Results
from virtio_study.i18n.marks import N_
from virtio_study.report.answers import MARKS, Line

__all__ = ["capacity_found", "methods_found", "plausibility_found", "sensitivity_found"]


def capacity_found(results: Results) -> Line:
    """What limits the number of servers on the host, and whether the change moves that limit."""
    servers = results.capacity.servers
    if not servers:
        return Line(None, (N_("No server was measured that could fit"),), {})
    for name, of_server in servers.items():
        measured = [fits for config, fits in of_server.measured.items() if config in _sides(results, name)]
        if any(fits.by_memory < of_server.allocation.servers for fits in measured):
            return Line(None, (N_("Some servers spend more than they are allocated: fewer fit"),), {})
    bound = [of_server.allocation.servers for of_server in servers.values()]
    cores = all(of_server.allocation.limited_by == "cpu" for of_server in servers.values())
    one, several = _CORES if cores else _ALLOCATED
    message = one if min(bound) == max(bound) else several
    return Line(None, (message,), {"least": min(bound), "most": max(bound)})


_CORES = (
    N_("The cores limit the host to {least} servers of a kind, before and after"),
    N_("The cores limit the host to {least} to {most} servers of a kind, before and after"),
)
_ALLOCATED = (
    N_("What is allocated limits the host to {least} servers of a kind, before and after"),
    N_("What is allocated limits the host to {least} to {most} servers of a kind, before and after"),
)


def _sides(results: Results, server: str) -> set[str]:
    """Driver configurations before and after a server's whole change."""
    comparisons = results.servers[server].comparisons.values()
    return {side for c in comparisons if c.purpose == "total" for side in (c.before, c.after)}


def plausibility_found(results: Results) -> Line | None:
    """How many disk requests the published falls of CPU need, or what the recorded load explains."""
    found = results.plausibility
    if found is None:
        return None
    needed = [rates.disk.typical for rates in found.implied.values()]
    if needed and results.published:
        audits = [metrics["cpu"] for metrics in results.published.servers.values() if "cpu" in metrics]
        mark = min((audit.verdict.status for audit in audits), key=MARKS.index, default=None)
        message = N_("By disk alone, the published fall of CPU needs {least:.0f} requests a second or more, all day")
        return Line(mark, (message,), {"least": min(needed)})
    return Line(None, (N_("What the recorded load explains of the CPU"),), {})


def sensitivity_found(results: Results) -> Line:
    """How many answers stay the same in every way to calculate them; what an emulator gave is none."""
    judged = list(_judged(results))
    same = [mark for mark, effect in judged if effect.sensitivity and effect.sensitivity.same_conclusion == 1]
    mark = min((mark for mark, _ in judged if mark), key=MARKS.index, default=None)
    if not judged:
        return Line(None, (N_("No answer yet that could hang on how it was calculated"),), {})
    message = (
        N_("Every answer stays the same, however it is calculated")
        if len(same) == len(judged)
        else N_("{same} of {all} answers stay the same, however they are calculated")
    )
    return Line(mark, (message,), {"same": len(same), "all": len(judged)})


def _judged(results: Results) -> Iterator[tuple[str | None, Effect]]:
    for server in results.servers.values():
        for comparison in server.comparisons.values():
            for metric, effect in comparison.effects.items() if comparison.purpose == "total" else ():
                ways = effect.sensitivity
                if effect.status != "emulator_only" and ways and ways.count and ways.same_conclusion is not None:
                    verdict = comparison.verdicts.get(metric)
                    yield verdict.status if verdict else None, effect


def methods_found(results: Results) -> Line:
    """How often the method calls it a change where nothing changed."""
    alarms = [share for cell in results.calibration.received if (share := cell.alarms.get("robust")) is not None]
    if not alarms:
        return Line(None, (N_("How it was measured and calculated"),), {})
    message = N_("How it was calculated: where nothing changed, at most {most:percent} of comparisons call it a change")
    return Line(None, (message,), {"most": max(alarms)})
