"""The questions that readers have, each answered in a plain sentence with the verdict that it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from virtio_study.analysis.audit import AuditedMetric
from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.decomposition import Decomposition
from virtio_study.analysis.effects import Effect
from virtio_study.analysis.plausibility import Counts
from virtio_study.analysis.results import Results
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Filling, Numbers, said
from virtio_study.pve.ingredients import CARD, DISK, INGREDIENTS, REPORTING

__all__ = ["MARKS", "PUBLISHED", "Answered", "Line", "answers", "disk_reads", "finding", "none_passes", "worst"]

FEW = 3
"""So many servers are named in an answer; of more the table of differences says which."""

NEARLY_ALL, MOST = 0.8, 0.5
"""Shares of a whole change from which on a part of it is called its origin, or that of most of it."""

MARKS = ("not_believable", "not_an_effect", "with_reservations", "believable", "counted")
"""Marks of what the page says, the least first."""


PUBLISHED = N_("Was the published saving real?")
"""The question that is one for all studies."""


class Line(NamedTuple):
    """Sentences of an answer, and the verdict that they rest on, if any."""

    mark: str | None
    messages: tuple[str, ...]
    fields: Numbers


class Answered(NamedTuple):
    """A reader's question and what the study says to it."""

    question: str
    lines: list[Line]


class _Seen(NamedTuple):
    """A metric of one server's whole change, sorted."""

    server: str
    comparison: ServerComparison
    effect: Effect
    case: str
    mark: str | None


def answers(*studies: Results) -> list[Answered]:
    """What a reader wants to know first, from the comparisons of the whole change and the published study.

    Of several studies, what they say together. A question about what they do not have is left out.
    """
    metrics = ("cpu", "mem_displayed", "mem_host", "mem_guest")
    cpu, displayed, host, guest = ([item for study in studies for item in _seen(study, m)] for m in metrics)
    counts = next((study.counts for study in studies if study.counts), None)
    found = [
        Answered(N_("Did CPU use fall?"), [*_lines("cpu", cpu), *_counted(counts, cpu)]),
        Answered(
            N_("Did RAM use fall?"),
            [*_lines("mem_displayed", displayed), *_lines("mem_guest", guest)],
        ),
        Answered(N_("Does the host get RAM back, and from what?"), _host(host)),
        Answered(PUBLISHED, list(_published(studies))),
        Answered(N_("What should I do?"), list(_advice(cpu, host))),
    ]
    return [answer for answer in found if answer.lines]


def finding(results: Results, server: str) -> Line | None:
    """What is said of the host's memory of one server, for a heading; None where that was not compared."""
    found = [item for item in _seen(results, "mem_host") if item.server == server]
    return _line(_HEADINGS, found, found) if found else None


def worst(results: Results, metric: str) -> str | None:
    """The least verdict of any server on a metric's whole change."""
    return min((item.mark for item in _seen(results, metric) if item.mark), key=MARKS.index, default=None)


def disk_reads(counts: Counts | None) -> tuple[float, float] | None:
    """Accesses for one disk request with IDE and with VirtIO Block."""
    rows = {row.device: row.boots[0] for row in (counts.rows if counts else ()) if row.operation == "read_4k"}
    return (rows["ide"], rows["virtio-blk"]) if {"ide", "virtio-blk"} <= set(rows) else None


def _seen(results: Results, metric: str) -> list[_Seen]:
    found = []
    for server, of_server in results.servers.items():
        for comparison in of_server.comparisons.values():
            if comparison.purpose == "total" and metric in comparison.effects:
                verdict = comparison.verdicts.get(metric)
                effect = comparison.effects[metric]
                mark = verdict.status if verdict else None
                found.append(_Seen(server, comparison, effect, _case(effect, mark), mark))
    return found


def _case(effect: Effect, mark: str | None) -> str:
    if effect.status == "emulator_only":
        return "emulator"
    if effect.status == "instrument_switch" and effect.before and effect.after:
        return "switch" if effect.after.estimate < effect.before.estimate else "switch up"
    if effect.difference is None:
        return "too little"
    if mark == "not_believable":
        return "refused"
    if effect.practical and effect.practical.equivalent:
        return "same"
    if not effect.difference.excludes_zero:
        return "not shown"
    falls = effect.difference.estimate < 0
    if effect.robust is False:
        return "seems to fall" if falls else "seems to rise"
    return "fell" if falls else "rose"


def _lines(metric: str, seen: Sequence[_Seen]) -> list[Line]:
    """One line for all servers of which the same is said with the same verdict."""
    groups: dict[tuple[str, str | None], list[_Seen]] = {}
    for item in seen:
        groups.setdefault((item.case, item.mark), []).append(item)
    return [_line(_SENTENCES[metric], group, seen) for group in groups.values()]


def _line(sentences: Mapping[str, tuple[str, ...]], group: Sequence[_Seen], seen: Sequence[_Seen]) -> Line:
    case = group[0].case
    sizes = [item.effect.relative.estimate for item in group if item.effect.relative]
    forms = sentences.get(case) or (_OTHERWISE[case],)
    rounded = {round(100 * size) for size in sizes}
    how = 0 if len(forms) == 1 or len(sizes) < len(group) else 1 if len(rounded) == 1 else 2
    practical = group[0].effect.practical
    fields: dict[str, Filling] = {"servers": _named(group, seen), "margin": practical.margin if practical else None}
    if sizes:
        fields |= {"least": min(sizes, key=abs), "most": max(sizes, key=abs)}
    return Line(group[0].mark, (forms[how],), fields)


def _named(group: Sequence[_Seen], seen: Sequence[_Seen]) -> Filling:
    names = list(dict.fromkeys(item.server for item in group))
    if len(group) == len(seen) > 1:
        return said(N_("every server"))
    if len(names) > FEW:
        return said(N_("some servers"))
    return names if len(names) == 1 else said(N_("{first} and {last}"), first=names[:-1], last=names[-1])


def _settings(names: Sequence[str]) -> Filling:
    if len(names) == 1:
        return said("{name:ingredient}", name=names[0])
    return said(N_("{first:ingredient} and {last:ingredient}"), first=list(names[:-1]), last=names[-1])


def _counted(counts: Counts | None, cpu: Sequence[_Seen]) -> Iterator[Line]:
    """Where CPU time cannot be had, what was counted instead, which any host with KVM shares."""
    reads = disk_reads(counts)
    if reads and any(item.case == "emulator" for item in cpu):
        message = N_("For a disk request the guest stops {ide} times with IDE, {virtio} with VirtIO.")
        yield Line("counted", (message,), {"ide": reads[0], "virtio": reads[1]})


def _host(host: Sequence[_Seen]) -> list[Line]:
    """What the host spends, and with the servers that spend less, what that comes with."""
    lines = _lines("mem_host", host)
    fell = [item.comparison for item in host if item.case == "fell"]
    if not fell:
        return lines
    messages, fields = _origin(fell)
    at = max(place for place, line in enumerate(lines) if line.messages[0] in _SENTENCES["mem_host"]["fell"])
    line = lines[at]
    lines[at] = Line(line.mark, line.messages + messages, {**line.fields, **fields})
    return lines


def _origin(fell: Sequence[ServerComparison]) -> tuple[tuple[str, ...], dict[str, Filling]]:
    """What a fall of the host's memory comes with, as far as the study has taken it apart."""
    apart = [c.decomposition["mem_host"] for c in fell if "mem_host" in c.decomposition]
    apart = [item for item in apart if item.parts and item.whole]
    if not apart:
        changed = [d.name for d in fell[0].differs if d.before != d.after and d.name in INGREDIENTS]
        if len(changed) == 1:
            return (N_("It comes with {names}."),), {"names": _settings(changed)}
        return (N_("Its origin is not known: several things changed together."),), {}
    mains = [_main(item) for item in apart]
    first, share = min(mains, key=lambda main: main[1])
    names = tuple(name for name in first if all(name in main[0] for main in mains))
    if not names or share < MOST:
        return (N_("It has no single origin; the waterfall of every server shows its parts."),), {}
    if REPORTING in names:
        whence = (
            N_("It comes from {names}: guests hand back unused memory.")
            if share >= NEARLY_ALL
            else N_("Most of it comes from {names}: guests hand back unused memory.")
        )
    else:
        whence = N_("It comes with {names}.") if share >= NEARLY_ALL else N_("Most of it comes with {names}.")
    devices = [part for item in apart for part in item.parts if {DISK, CARD} & set(part.names)]
    if devices and not {DISK, CARD} & set(names) and all(part.change.high >= 0 for part in devices):
        return (whence, N_("VirtIO's disk and network card seem to give none back.")), {"names": _settings(names)}
    return (whence,), {"names": _settings(names)}


def _main(apart: Decomposition) -> tuple[tuple[str, ...], float]:
    """The part of a whole change that made most of it, and its share."""
    whole = apart.whole.estimate if apart.whole else 0.0
    part = max(apart.parts, key=lambda part: part.change.estimate / whole)
    return part.names, part.change.estimate / whole


def none_passes(results: Results) -> bool:
    """Whether the study has a published one beside it of which no figure passes the checks."""
    audited = _audited(results)
    return bool(audited) and all(audit.verdict.status == "not_believable" for audit in audited)


def _audited(results: Results) -> list[AuditedMetric]:
    servers = results.published.servers if results.published else {}
    return [audit for metrics in servers.values() for audit in metrics.values()]


def _published(studies: Sequence[Results]) -> Iterator[Line]:
    """Whether the published figures pass the checks that recordings go through, and the plainest of what fails."""
    study = next((study for study in studies if study.published), None)
    audited = _audited(study) if study else []
    marks = [audit.verdict.status for audit in audited]
    if study is None or not audited:
        return
    if "not_believable" not in marks:
        yield Line(min(marks, key=MARKS.index), (N_("None of the paper's figures fails our checks."),), {})
        return
    none, some = (
        N_("Nobody can know: none of the paper's figures passes our checks."),
        N_("Some of the paper's figures fail our checks."),
    )
    messages: tuple[str, ...] = (none if none_passes(study) else some,)
    checks = (check for audit in audited for check in audit.checks)
    beyond = next((check for check in checks if (check.name, check.status) == ("possible_values", "fail")), None)
    if beyond:
        messages += (N_("One server uses {largest:quantity} of its {allocated:quantity}."),)
    yield Line("not_believable", messages, beyond.fields if beyond else {})


def _advice(cpu: Sequence[_Seen], host: Sequence[_Seen]) -> Iterator[Line]:
    """What the answers on the host's memory and on CPU come to for an administrator."""
    for seen, by_case in ((host, _MEMORY_ADVICE), (cpu, _CPU_ADVICE)):
        cases = [item.case for item in seen]
        case = next((case for case in by_case if case in cases and case != "same"), "" if seen else None)
        if case is None:
            continue
        marks = [item.mark for item in seen if item.mark and (not case or item.case == case)]
        message = by_case.get(case) or by_case["same" if set(cases) == {"same"} else "else"]
        reported = any(d.name == REPORTING and d.before != d.after for item in seen for d in item.comparison.differs)
        if case == "fell" and seen is host and reported:
            message = N_("In Linux guests load the balloon driver, and judge it by the host's figure.")
        yield Line(min(marks, key=MARKS.index, default=None), (message,), {})


_MEMORY_ADVICE = {
    "fell": N_("Make the change for memory, and judge it by the host's own figure."),
    "rose": N_("Do not make the change to save memory."),
    "same": N_("For memory the change brings nothing."),
    "else": N_("For memory nothing here says to change a driver: record longer, or repeat the change."),
}
_CPU_ADVICE = {
    "fell": N_("Make the change for CPU."),
    "rose": N_("Do not make the change to save CPU."),
    "emulator": N_("For CPU, measure on a host with hardware virtualisation."),
    "same": N_("For CPU the change brings nothing."),
    "else": N_("For CPU nothing here says to change a driver: record longer, or repeat the change."),
}

_SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "cpu": {
        "fell": (
            N_("Yes: it fell on {servers}."),
            N_("Yes: it fell by {most:size} on {servers}."),
            N_("Yes: it fell by {least:size} to {most:size} on {servers}."),
        ),
        "rose": (
            N_("No: it rose on {servers}."),
            N_("No: it rose by {most:size} on {servers}."),
            N_("No: it rose by {least:size} to {most:size} on {servers}."),
        ),
        "same": (N_("No: on {servers} it stays within a margin of {margin:percent}."),),
        "emulator": (N_("Nobody can tell: it was measured on a software emulator."),),
    },
    "mem_displayed": {
        "fell": (
            N_("What Proxmox VE shows fell on {servers}."),
            N_("What Proxmox VE shows fell by {most:size} on {servers}."),
            N_("What Proxmox VE shows fell by {least:size} to {most:size} on {servers}."),
        ),
        "rose": (
            N_("What Proxmox VE shows rose on {servers}."),
            N_("What Proxmox VE shows rose by {most:size} on {servers}."),
            N_("What Proxmox VE shows rose by {least:size} to {most:size} on {servers}."),
        ),
        "same": (N_("What Proxmox VE shows stayed the same on {servers}, within a margin of {margin:percent}."),),
        "switch": (N_("Proxmox VE shows less, but now measures something else: no saving."),),
        "switch up": (N_("Proxmox VE shows more, but now measures something else: no cost."),),
    },
    "mem_guest": {
        "fell": (
            N_("The guest itself uses less on {servers}."),
            N_("The guest itself uses {most:size} less on {servers}."),
            N_("The guest itself uses {least:size} to {most:size} less on {servers}."),
        ),
        "rose": (
            N_("The guest itself uses more on {servers}."),
            N_("The guest itself uses {most:size} more on {servers}."),
            N_("The guest itself uses {least:size} to {most:size} more on {servers}."),
        ),
        "same": (N_("The guest itself uses as much as before."),),
        "not shown": (N_("In the guest itself no change can be seen."),),
        "too little": (N_("The guest's own use was not measured on both sides."),),
    },
    "mem_host": {
        "fell": (
            N_("Yes: it spends less on {servers}."),
            N_("Yes: it spends {most:size} less on {servers}."),
            N_("Yes: it spends {least:size} to {most:size} less on {servers}."),
        ),
        "rose": (
            N_("No: it spends more on {servers}."),
            N_("No: it spends {most:size} more on {servers}."),
            N_("No: it spends {least:size} to {most:size} more on {servers}."),
        ),
        "same": (N_("No: on {servers} it stays within a margin of {margin:percent}."),),
    },
}
"""Metric -> case -> a sentence without a size, with one, and with the least and the greatest of several servers."""

_HEADINGS = {
    "fell": (N_("less host memory"), N_("{most:size} less host memory"), N_("less host memory")),
    "rose": (N_("more host memory"), N_("{most:size} more host memory"), N_("more host memory")),
    "same": (N_("as much host memory as before"),),
    "not shown": (N_("no change can be seen"),),
    "refused": (N_("figures that fail our checks"),),
    "too little": (N_("too little data to tell"),),
    "seems to fall": (N_("a fall of host memory, not confirmed"),),
    "seems to rise": (N_("a rise of host memory, not confirmed"),),
    "switch": (N_("two measures of memory that cannot be compared"),),
    "switch up": (N_("two measures of memory that cannot be compared"),),
}

_OTHERWISE = {
    "seems to fall": N_("It seems to fall on {servers}, but the careful test does not confirm it."),
    "seems to rise": N_("It seems to rise on {servers}, but the careful test does not confirm it."),
    "not shown": N_("No change can be seen on {servers}."),
    "refused": N_("Nobody can tell on {servers}: the figures fail our checks."),
    "too little": N_("There is too little data of {servers} to tell."),
    "switch": N_("On {servers} the figure now measures something else, so nobody can tell."),
    "switch up": N_("On {servers} the figure now measures something else, so nobody can tell."),
    "emulator": N_("Nobody can tell on {servers}: it was measured on a software emulator."),
}
