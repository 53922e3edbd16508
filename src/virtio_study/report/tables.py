"""Tables for the notebooks, in readers' units and language: data frames of provenance, levels, effects and checks.

Their cells are texts and numbers as readers see them; whoever calculates takes the numbers from the objects themselves.

>>> table = vs.tables.levels(vs.load_study("lab-qemu").describe("versat", "virtio"))
>>> table.loc["CPU", "sustained"]
'0.047 cores [0.044, 0.05]'
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.description import Description
from virtio_study.analysis.records import Estimate
from virtio_study.analysis.results import Results
from virtio_study.cleaning.transients import PeriodSummary, period_table
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.recording import Provenance

if TYPE_CHECKING:
    from IPython.display import HTML

__all__ = [
    "boots",
    "checks",
    "columns",
    "effects",
    "levels",
    "load",
    "parts",
    "periods",
    "provenance",
    "verdicts",
    "whole",
]

SHOWN = {"bytes": (2**20, "MiB"), "cores": (1.0, "cores"), "share": (0.01, "%")}
NOTHING = "–"


def _interval(entry: Estimate | None, words: Words) -> str:
    if entry is None:
        return NOTHING
    scale, unit = SHOWN[entry.unit]
    middle, low, high = (words.number(value / scale) for value in (entry.estimate, entry.low, entry.high))
    between = ", " if words.language == "en" else "; "
    return f"{middle} {words.term('unit', unit)} [{low}{between}{high}]"


def _number(value: float | None, words: Words) -> str:
    return NOTHING if value is None or value != value else words.number(value)


def _table(rows: Iterable[Sequence[str]], headings: Sequence[str], words: Words, index: int = 1) -> pd.DataFrame:
    """Rows under their headings, which come marked and are translated; the first columns are the index."""
    names = [words.gettext(heading) for heading in headings]
    return pd.DataFrame(list(rows), columns=names).set_index(names[:index])


def provenance(items: Sequence[Provenance], words: Words = ENGLISH) -> pd.DataFrame:
    """One row a recording: when, by what, on which devices."""
    headings = [
        N_("boot"),
        N_("kind of data"),
        N_("accelerator"),
        N_("started"),
        N_("disk"),
        N_("network"),
        N_("balloon"),
    ]
    rows = [
        (
            item.replicate,
            words.term("recording", item.kind),
            item.accelerator or NOTHING,
            item.started_at,
            item.devices.get("disk") or NOTHING,
            item.devices.get("network") or item.devices.get("nic") or NOTHING,
            words.term("balloon", item.devices.get("balloon_driver", NOTHING)),
        )
        for item in items
    ]
    return _table(rows, headings, words)


def columns(collected: pd.DataFrame, words: Words = ENGLISH) -> pd.DataFrame:
    """One row a column of numbers: how many rows have it, and its least, median and greatest value."""
    headings = [N_("column"), N_("rows"), N_("least"), N_("median"), N_("greatest")]
    numbers = collected.select_dtypes("number")
    rows = [
        (words.term("column", str(name)), values.count(), values.min(), values.median(), values.max())
        for name, values in numbers.items()
        if values.count()
    ]
    shown = [(name, *(words.number(float(value)) for value in values)) for name, *values in rows]
    return _table(shown, headings, words)


def periods(clean: pd.DataFrame, words: Words = ENGLISH) -> pd.DataFrame:
    """Rows by period of the cleaned rows, one row a boot."""
    headings = [N_("boot"), N_("rows"), N_("steady rows"), N_("steady (s)"), N_("start-up rows"), N_("start-up (s)")]
    headings += [N_("start-up with other batches (s)"), N_("rows left out"), N_("state"), N_("rows by reason")]
    return _table([_period(item, words) for item in period_table(clean)], headings, words)


def _period(item: PeriodSummary, words: Words) -> tuple[str, ...]:
    numbers = (item.rows, item.steady_rows, item.steady_s, item.transient_rows, item.transient_s)
    other = NOTHING if item.start_up_range_s is None else " – ".join(map(words.number, item.start_up_range_s))
    reasons = (f"{words.term('reason', name)}: {words.number(count)}" for name, count in item.reasons.items())
    state = words.term("reason", "" if item.status == "steady" else item.status)
    return (
        item.replicate,
        *map(words.number, numbers),
        other,
        words.number(item.excluded_rows),
        state,
        "; ".join(reasons),
    )


def levels(described: Description, words: Words = ENGLISH) -> pd.DataFrame:
    """Sustained level, median and peak of every metric over boots, with intervals."""
    headings = [N_("metric"), N_("sustained"), N_("median"), N_("peak"), N_("boots"), N_("note")]
    rows = [
        (
            words.term("metric", metric),
            *(_interval(entry, words) for entry in (level.sustained, level.median, level.peak)),
            words.number(level.sustained.n if level.sustained else 0),
            words.plain(level.note.message, level.note.said["numbers"]) if level.note else "",
        )
        for metric, level in described.levels.items()
    ]
    return _table(rows, headings, words)


def boots(described: Description, words: Words = ENGLISH) -> pd.DataFrame:
    """Sustained level of every metric, boot by boot, in cores and MiB."""
    heading = words.gettext(N_("boot"))
    rows = [
        {heading: boot.replicate}
        | {
            f"{words.term('metric', metric)} ({words.term('unit', 'cores' if metric == 'cpu' else 'MiB')})": _number(
                None if level.mean is None else level.mean / (1 if metric == "cpu" else 2**20), words
            )
            for metric, level in boot.levels.items()
        }
        for boot in described.boots
    ]
    return pd.DataFrame(rows).set_index(heading)


def effects(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> pd.DataFrame:
    """Every effect of every comparison with its status and verdict."""
    headings = [N_("comparison"), N_("metric"), N_("state"), N_("before"), N_("after")]
    headings += [N_("difference"), N_("relative"), N_("verdict")]
    rows = [
        (
            words.own(found.question),
            words.term("metric", metric),
            words.term("effect", effect.status),
            *(_interval(entry, words) for entry in (effect.before, effect.after, effect.difference, effect.relative)),
            words.term("verdict", found.verdicts[metric].status) if metric in found.verdicts else NOTHING,
        )
        for found in compared.values()
        for metric, effect in found.effects.items()
    ]
    return _table(rows, headings, words, 2)


def checks(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> pd.DataFrame:
    """Every check that did not pass, with its sentence in a language."""
    headings = [N_("comparison"), N_("metric"), N_("check"), N_("outcome"), N_("why")]
    rows = [
        (
            words.own(found.question),
            words.term("metric", metric),
            words.term("check", check.name),
            words.term("status", check.status),
            words.plain(check.messages, check.fields),
        )
        for found in compared.values()
        for metric, made in found.checks.items()
        for check in made
        if check.status != "pass"
    ]
    return _table(rows, headings, words, 2)


def parts(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> pd.DataFrame:
    """What each part of a whole change changed, by metric; or what is missing to tell them apart."""
    headings = [N_("metric"), N_("What changed"), N_("From"), N_("To"), N_("Change"), N_("remark")]
    rows: list[tuple[str, ...]] = []
    for found in compared.values():
        for metric, taken_apart in found.decomposition.items():
            name = words.term("metric", metric)
            if not taken_apart.parts:
                told = words.plain(taken_apart.messages, taken_apart.fields)
                rows.append((name, NOTHING, found.before, found.after, NOTHING, told))
            for part in taken_apart.parts:
                named = ", ".join(words.term("setting", one) for one in part.names)
                remark = words.gettext("change of instrument") if part.instrument_switch else ""
                rows += [(name, named, s.before, s.after, _interval(s.change, words), remark) for s in part.steps]
                if part.interaction:
                    mean_of = words.gettext("mean of these")
                    rows.append((name, named, mean_of, "", _interval(part.change, words), remark))
                    interaction = words.gettext("interaction: last less first")
                    rows.append((name, named, interaction, "", _interval(part.interaction, words), remark))
    return _table(rows, headings, words, 2)


def load(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> pd.DataFrame:
    """Load of every comparison: ratio of both sides and whether they are the same within the margin."""
    headings = [N_("comparison"), N_("load"), N_("ratio"), N_("margin"), N_("same load")]
    answers = {None: N_("not assessable"), "same": N_("yes"), "different": N_("no"), "not_shown": N_("not shown")}
    rows = [
        (
            words.own(found.question),
            words.term("column", entry.column),
            _number(entry.ratio, words),
            words.number(entry.margin),
            words.gettext(answers[entry.answer]),
        )
        for found in compared.values()
        for entry in found.load
    ]
    return _table(rows, headings, words, 2)


def verdicts(found: Results, words: Words = ENGLISH) -> pd.DataFrame:
    """Verdict of every server and metric on the comparisons of the whole change, with reasons in a language."""
    headings = [N_("server"), N_("metric"), N_("verdict"), N_("why")]
    rows = [
        (
            name,
            words.term("metric", metric),
            words.term("verdict", made.status),
            " ".join(words.plain(reason.messages, reason.fields) for reason in made.reasons),
        )
        for name, server in found.servers.items()
        for comparison in server.comparisons.values()
        if comparison.purpose == "total"
        for metric, made in comparison.verdicts.items()
    ]
    return _table(rows, headings, words, 2)


def whole(table: pd.DataFrame) -> "HTML":
    """A table whose sentences are shown to their end; whatever is in it is text and never markup."""
    from IPython.display import HTML

    # Otherwise pandas names its elements at random, and no notebook would come out the same twice.
    named = table.style.set_uuid(sha256(table.to_csv().encode(errors="replace")).hexdigest()[:12])
    styled = named.format(escape="html").format_index(escape="html")
    return HTML(  # type: ignore[no-untyped-call]
        styled.set_table_styles([{"selector": "th, td", "props": "text-align: left; white-space: normal;"}]).to_html()
    )
