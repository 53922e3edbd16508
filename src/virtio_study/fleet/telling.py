"""What a fleet says together, in sentences: for the command line and for the page."""

from virtio_study.fleet.foreseen import Totals
from virtio_study.fleet.results import FleetResults, PooledChange
from virtio_study.i18n.marks import N_, plural
from virtio_study.i18n.sentences import Said, said

__all__ = ["PAST_UNKNOWN", "said_about", "said_answers", "said_counts", "said_totals"]

_ABOUT = N_("{fleet}: {servers} on {nodes} over {days} days; {changed} of them with a change, {changes} in all.")

PAST_UNKNOWN = N_(
    "Proxmox VE holds no configuration of the past: of a live host, only the moments in which another instrument began "
    "to display the memory can be told. So that changes of disks, network cards and drivers are told, and what they "
    "did, let virtio-study watch run from now on."
)
_BACK = N_("The hosts would get {low} to {high} GiB of RAM back by VirtIO on {count} of them.")
_CPU = N_("They would save {low} to {high} cores by VirtIO on {count} of them.")
_BOUND = N_("Of {count} there is a bound of the RAM alone: {most} GiB at most in all.")


_ANSWER = N_(
    "{metric:metric}: {mean:percent} ({low:percent} to {high:percent}) on average over the {servers} servers with the "
    "most frequent change: {change} ({direction:direction})."
)
ANSWERED = ("cpu", "mem_host")


def said_answers(results: FleetResults) -> list[Said]:
    """What the most frequent change to VirtIO did over the fleet to CPU and to the host's memory.

    Not the change with the largest effect: what is chosen by its effect is largest by chance too.
    """
    lines = []
    for metric in ANSWERED:
        pooled = [item for item in results.pooled if item.metric == metric and item.mean]
        if pooled:
            most = max(pooled, key=lambda item: (item.direction == "to VirtIO", item.servers, len(item.parts)))
            lines.append(_said_answer(most))
    return lines


def _said_answer(found: PooledChange) -> Said:
    assert found.mean is not None
    return said(
        _ANSWER,
        change=[said("{part:setting}", part=part) for part in found.parts],
        direction=found.direction,
        metric=found.metric,
        mean=found.mean.estimate,
        low=found.mean.low,
        high=found.mean.high,
        servers=found.servers,
    )


def said_about(results: FleetResults) -> Said:
    """What was looked at."""
    return said(
        _ABOUT,
        fleet=results.fleet,
        servers=_counted(results.servers, plural(results.servers, "{count} server", "{count} servers")),
        nodes=_counted(results.nodes, plural(results.nodes, "{count} node", "{count} nodes")),
        days=round(results.days, 1),
        changed=results.changed,
        changes=_counted(results.changes, plural(results.changes, "{count} change", "{count} changes")),
    )


def _counted(count: int, message: str) -> Said:
    return said(message, count=count)


def said_counts(results: FleetResults) -> Said:
    """How many effects were estimated, and how many of them are shown."""
    message = plural(
        results.effects,
        "Of {count} effect that could be estimated, {one_by_one} excludes zero by itself, and {discoveries} holds at a "
        "false discovery rate of {rate:percent}.",
        "Of {count} effects that could be estimated, {one_by_one} exclude zero one by one, and {discoveries} hold at a "
        "false discovery rate of {rate:percent}.",
    )
    return said(
        message,
        count=results.effects,
        **results.model_dump(include={"one_by_one", "discoveries", "rate"}),
    )


def said_totals(found: Totals) -> list[Said]:
    """What forecasts come to: no sentence of what nothing is forecast of."""
    count = found.servers
    unchanged = plural(
        count,
        "{count} server changed neither devices nor balloon driver.",
        "{count} servers changed neither devices nor balloon driver.",
    )
    lines = [said(unchanged, count=count)]
    if found.returned:
        low, high = found.returned.low / 2**30, found.returned.high / 2**30
        lines.append(said(_BACK, low=low, high=high, count=found.of_returned))
    if found.of_at_most:
        lines.append(said(_BOUND, count=found.of_at_most, most=found.at_most / 2**30))
    if found.cpu:
        lines.append(said(_CPU, low=found.cpu.low, high=found.cpu.high, count=found.of_cpu))
    return lines
