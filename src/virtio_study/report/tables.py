"""Tables for the notebooks, in readers' units: data frames made of provenance, levels, effects and checks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING

import pandas as pd

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.description import Description
from virtio_study.analysis.records import Estimate
from virtio_study.analysis.results import Results
from virtio_study.cleaning.transients import period_table
from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.recording import Provenance

if TYPE_CHECKING:
    from IPython.display import HTML

__all__ = ["boots", "checks", "columns", "effects", "levels", "load", "periods", "provenance", "verdicts", "whole"]

SHOWN = {"bytes": (2**20, "MiB"), "cores": (1.0, "cores"), "share": (0.01, "%")}


def _interval(entry: Estimate | None) -> str:
    if entry is None:
        return "–"
    scale, unit = SHOWN[entry.unit]
    middle, low, high = (value / scale for value in (entry.estimate, entry.low, entry.high))
    return f"{middle:.4g} {unit} [{low:.4g}, {high:.4g}]"


def provenance(items: Sequence[Provenance]) -> pd.DataFrame:
    """One row a recording: when, by what, on which devices."""
    rows = [
        {"replicate": p.replicate, "kind": p.kind, "accelerator": p.accelerator, "started": p.started_at, **p.devices}
        for p in items
    ]
    return pd.DataFrame(rows).set_index("replicate")


def columns(collected: pd.DataFrame) -> pd.DataFrame:
    """One row a column of numbers: how many rows have it, and its least, median and greatest value."""
    numbers = collected.select_dtypes("number")
    summary = numbers.agg(["count", "min", "median", "max"]).T
    return summary[summary["count"] > 0].rename(columns={"count": "rows"})


def periods(clean: pd.DataFrame) -> pd.DataFrame:
    """Rows by period of the cleaned rows, one row a boot."""
    return pd.json_normalize([asdict(summary) for summary in period_table(clean)]).set_index("replicate")


def levels(described: Description) -> pd.DataFrame:
    """Sustained level, median and peak of every metric over boots, with intervals."""
    rows = {
        metric: {
            "sustained": _interval(level.sustained),
            "median": _interval(level.median),
            "peak": _interval(level.peak),
            "boots": level.sustained.n if level.sustained else 0,
            "note": level.note or "",
        }
        for metric, level in described.levels.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def boots(described: Description) -> pd.DataFrame:
    """Sustained level of every metric, boot by boot, in cores and MiB."""
    rows = {
        boot.replicate: {
            metric: None if level.mean is None else level.mean / (1 if metric == "cpu" else 2**20)
            for metric, level in boot.levels.items()
        }
        for boot in described.boots
    }
    names = {"cpu": "cpu (cores)"}
    table = pd.DataFrame.from_dict(rows, orient="index").astype("float64").round(4)
    return table.rename(columns=lambda name: names.get(name, f"{name} (MiB)"))


def effects(compared: Mapping[str, ServerComparison]) -> pd.DataFrame:
    """Every effect of every comparison with its status and verdict."""
    rows = [
        {
            "comparison": name,
            "metric": metric,
            "status": effect.status,
            "before": _interval(effect.before),
            "after": _interval(effect.after),
            "difference": _interval(effect.difference),
            "relative": _interval(effect.relative),
            "verdict": found.verdicts[metric].status if metric in found.verdicts else "–",
        }
        for name, found in compared.items()
        for metric, effect in found.effects.items()
    ]
    return pd.DataFrame(rows).set_index(["comparison", "metric"])


def checks(compared: Mapping[str, ServerComparison], words: Words = ENGLISH) -> pd.DataFrame:
    """Every check that did not pass, with its sentence in a language."""
    rows = [
        {
            "comparison": name,
            "metric": metric,
            "check": check.name,
            "status": check.status,
            "sentence": words.plain(check.messages, check.fields),
        }
        for name, found in compared.items()
        for metric, made in found.checks.items()
        for check in made
        if check.status != "pass"
    ]
    columns = ["comparison", "metric", "check", "status", "sentence"]
    return pd.DataFrame(rows, columns=columns).set_index(["comparison", "metric"])


def load(compared: Mapping[str, ServerComparison]) -> pd.DataFrame:
    """Load of every comparison: ratio of both sides and whether they are the same within the margin."""
    rows = [
        {"comparison": name, **{key: getattr(entry, key) for key in ("column", "ratio", "margin", "equivalent")}}
        for name, found in compared.items()
        for entry in found.load
    ]
    return pd.DataFrame(rows, columns=["comparison", "column", "ratio", "margin", "equivalent"])


def verdicts(found: Results, words: Words = ENGLISH) -> pd.DataFrame:
    """Verdict of every server and metric on the comparisons of the whole change, with reasons in a language."""
    rows = [
        {
            "server": name,
            "metric": metric,
            "verdict": made.status,
            "why": " ".join(words.plain(reason.messages, reason.fields) for reason in made.reasons),
        }
        for name, server in found.servers.items()
        for comparison in server.comparisons.values()
        if comparison.purpose == "total"
        for metric, made in comparison.verdicts.items()
    ]
    return pd.DataFrame(rows, columns=["server", "metric", "verdict", "why"]).set_index(["server", "metric"])


def whole(table: pd.DataFrame) -> "HTML":
    """A table whose sentences are shown to their end; whatever is in it is text and never markup."""
    from IPython.display import HTML

    # Otherwise pandas names its elements at random, and no notebook would come out the same twice.
    named = table.style.set_uuid(sha256(table.to_csv().encode(errors="replace")).hexdigest()[:12])
    styled = named.format(escape="html").format_index(escape="html")
    return HTML(  # type: ignore[no-untyped-call]
        styled.set_table_styles([{"selector": "th, td", "props": "text-align: left; white-space: normal;"}]).to_html()
    )
