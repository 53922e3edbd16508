"""docs/calibration.md, from the numbers that coverage.py measured."""

from collections.abc import Iterable
from typing import Any

import numpy as np

NAMES = {
    "series": "**ours**",
    "halves": "robust bound",
    "welch": "Welch on rows",
    "hac": "HAC",
    "bootstrap": "stationary bootstrap",
    "mann_whitney": "Mann-Whitney",
    "series_and_halves": "**ours and bound**",
}


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [list(row) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def grid(cells: list[dict[str, Any]], daily: bool) -> str:
    columns = ("series", "halves", "welch", "hac", "bootstrap")
    rows = []
    for c in cells:
        if c["kind"] != "grid" or c["daily"] != daily:
            continue
        common = [str(c["rows"]), f"{c['phi']:g}"]
        if daily:
            rows.append(
                [
                    *common,
                    percent(c["refused"]),
                    *(percent(c["covered"][k]) for k in columns),
                    percent(c["covered_if_not_refused"]),
                ]
            )
        else:
            rows.append([*common, *(percent(c["covered"][k]) for k in columns), f"{c['width_of_reml']:.2f}"])
    last = (
        ["refused", *(NAMES[k] for k in columns), "ours, had it not refused"]
        if daily
        else [*(NAMES[k] for k in columns), "width, of REML's"]
    )
    return table(["rows a side", "phi", *last], rows)


def stress(cells: list[dict[str, Any]]) -> str:
    columns = ("series", "halves", "welch", "hac", "bootstrap")
    return table(
        ["process", "rows a side", "refused", *(NAMES[k] for k in columns), "ours, had it not refused"],
        (
            [
                c["process"],
                str(c["rows"]),
                percent(c["refused"]),
                *(percent(c["covered"][k]) for k in columns),
                percent(c["covered_if_not_refused"]),
            ]
            for c in cells
            if c["kind"] == "stress"
        ),
    )


def placebo(rows: list[dict[str, Any]]) -> str:
    columns = ("series", "halves", "series_and_halves", "bootstrap", "hac", "welch", "mann_whitney")
    return table(
        ["month", "metric", "days a side", "compared", "refused", *(NAMES[k] for k in columns), "widening"],
        (
            [
                r["month"],
                {"cpu_percent": "CPU", "mem_used_kb": "RAM"}[r["metric"]],
                f"{r['days']:g}",
                str(r["compared"]),
                percent(r["refused"]),
                *(percent(r["alarms"][k]) for k in columns),
                "-" if r["widening"] is None else f"{r['widening']:.2f}",
            ]
            for r in rows
        ),
    )


def received(rows: list[dict[str, Any]]) -> str:
    metrics = {"cpu": "CPU", "mem_displayed": "RAM"}
    return table(
        [
            "month",
            "metric",
            "days a side",
            "pairs",
            "refused",
            "of them short",
            "**ours**",
            "robust bound",
            "**both**",
            "estimator alone",
        ],
        (
            [
                row["month"],
                metrics[row["metric"]],
                _days(row["days"]),
                str(row["pairs"]),
                percent(row["refused"]),
                percent(row.get("short")),
                *(percent(row["alarms"][name]) for name in ("received", "bound", "robust")),
                percent(row["estimator_alarms"]),
            ]
            for row in rows
        ),
    )


def received_simulated(cells: list[dict[str, Any]]) -> str:
    names = ("received", "bound", "robust")
    return table(
        ["process", "daily cycle", "rows a side", "answers", "refused", "**ours**", "robust bound", "**both**"],
        (
            [
                cell["process"] or f"AR(1), phi {cell['phi']:g}",
                "yes" if cell["daily"] else "no",
                str(cell["rows"]),
                str(cell["answers"]),
                percent(cell["refused"]),
                *(percent(cell["alarms"][name]) for name in names),
            ]
            for cell in cells
        ),
    )


def power(rows: list[dict[str, Any]]) -> str:
    metrics = {"cpu": "CPU", "mem_displayed": "RAM"}
    falls = list(next(row["power"] for row in rows if row["power"]))
    return table(
        ["month", "metric", "days a side", "pairs", *(f"fall of {100 * float(fall):g} %" for fall in falls)],
        (
            [
                row["month"],
                metrics[row["metric"]],
                _days(row["days"]),
                str(row["fallen"]),
                *(
                    " / ".join(percent(row["power"][fall][k]) for k in ("received", "robust", "estimator", "rival"))
                    for fall in falls
                ),
            ]
            for row in rows
            if row["power"]
        ),
    )


def gaps(rows: list[dict[str, Any]]) -> str:
    cells = {(row["gap"], row["metric"], row["days"]): row for row in rows}
    columns = [(metric, days) for metric in ("cpu", "mem_displayed") for days in (3.5, 7.0, 14.0)]
    return table(
        ["gap", *(f"{'CPU' if metric == 'cpu' else 'RAM'}, {days:g} d" for metric, days in columns)],
        (
            [gap, *(f"{percent(cells[gap, *c]['alarms'])} ({percent(cells[gap, *c]['refused'])})" for c in columns)]
            for gap in dict.fromkeys(row["gap"] for row in rows)
        ),
    )


def loads(rows: list[dict[str, Any]]) -> str:
    names = ("same", "different", "not_shown", "plain_alarms", "equal_alarms", "plain_power", "equal_power")
    return table(
        ["days a side", "pairs", "shown the same", "shown different", "neither", *("alarms", "**at equal load**"),
         "fall of 30 % shown", "**at equal load**"],
        ([f"{row['days']:g}", str(row["pairs"]), *(percent(row[name]) for name in names)] for row in rows),
    )  # fmt: skip


def _days(days: float) -> str:
    return f"{days:g}" if days >= 1 else f"{24 * days:g} h"


def of_users(rows: list[dict[str, Any]]) -> list[str]:
    """What a user receives: the part that the report quotes."""
    return [
        "## What a user receives\n",
        "The same servers through the product's own path: each side written as a recording, cleaned, compared by the "
        "study's steps, and the answer read from their results. Every third server of a month is cut at one random "
        "place for each length (seeds: month, server, draw, length); gaps stay in, pairs that are constant on both "
        "sides are left out, and a side without any row is no side. Percentages of false alarms are of answered pairs. "
        "Sides of less than three whole days, so also of 1 h and 6 h, are refused by the rule, and a longer side that "
        "has rows for less than three days because the servers were out (short: percent of pairs; they are no part of "
        "the next table). Of sides of hours or a day, the column of "
        "the estimator is what the interval beneath would have said. It needs 24 rows a side, and an hour of these "
        "traces has 12: no method here answers.\n",
        received(rows),
        "Percent of pairs in which a fall put into the side after is shown: received / robust / by the estimator alone "
        "(as above) / by HAC's interval, stretched until it has as many false alarms in the same pairs as ours (of "
        "sides that are refused: as the interval beneath).\n",
        power(rows),
    ]


def of_users_simulated(cells: list[dict[str, Any]]) -> list[str]:
    """The simulated cells by the same path."""
    known = [cell for cell in cells if cell["alarms"]["received"] is not None]
    grid = [cell for cell in known if cell["kind"] == "grid"]
    most = max(known, key=lambda cell: cell["alarms"]["received"])
    return [
        "The simulated series of the tables above by the same path (two independent series a study, false alarms in "
        f"percent, standard error some 2.5 points a cell): over the {len(grid)} cells of the grid that are answered "
        f"{percent(mean_alarms(grid))} on average, over all {len(known)} {percent(mean_alarms(known))}; most "
        f"{percent(most['alarms']['received'])} ({most['process'] or 'AR(1)'}, {most['rows']} rows a side).\n",
        received_simulated(cells),
    ]


LAWS = {"pairs": "pairs", "bojinov": "single draws"}


def of_switchbacks(found: dict[str, Any], before_after: list[dict[str, Any]]) -> list[str]:
    """Randomised switchbacks: exactness, coverage, and power beside that of a before/after of as many days."""
    first = found["simulated"][0]
    traces = [
        [
            row["month"],
            f"{row['days']} days, blocks of {row['block_h']} h, {LAWS[row['law']]}", str(row["studies"]),
            *(
                " / ".join(map(percent, shares))
                for shares in zip(row["ranks"], row["logs"], row["students"], strict=True)
            ),
        ]
        for row in [*found["chosen_on"], *found["traces"]]
    ]  # fmt: skip
    simulated = [
        [row["process"], *(percent(row[name]) for name in ("pairs", "bojinov", "relative", "added"))]
        for row in found["simulated"]
    ]
    return [
        "## Randomised switchbacks\n",
        "Fisher's randomisation test of `stats/randomisation.py`: exact over all draws of the schedule, whatever the "
        f"series does. {first['series']} series of each process, two weeks in blocks of 6 h (28 pairs), the first hour "
        "of each left out; the series is the exponential of 0.3 times the process. False alarms at 5 % for pairs and "
        "for blocks that are drawn one by one, and coverage of a relative effect of -30 % and of an additive one as "
        "great as the median level, by inverting the test of pairs (standard error 0.7 points). Where not every rank "
        "sum can be met at 5 %, a test of ranks stays below.\n",
        table(["process", "alarms, pairs", "alarms, single draws", "covered, relative", "covered, added"], simulated),
        "On untouched servers (CPU; two places a server, 15 minutes of each block left out): false alarms, and how "
        "often falls of the level under one configuration are shown; **the test** (signed ranks of differences within "
        "pairs, of log ratios to the neighbours of single draws) / signed ranks of log ratios / Student's t on pairs "
        "(on single draws, Welch's t). The statistic of pairs was chosen on 2013-7 and then measured on 2013-8.\n",
        table(["month", "design", "studies", "alarms", *(f"fall of {fall} %" for fall in (20, 30, 50, 88))], traces),
        "As a user receives it, on some of the servers (column studies): each block a run of its own that begins with "
        "a restart (each row of the trace as five of one minute), cleaned by the product, with the start-up that is "
        "found and 15 minutes at least left out, cut at the schedule and tested as the study's steps do it; for one "
        "server in twenty also as a study in files, whose `compare` gave the same answer. A study that is refused "
        "shows nothing. Beside it the before/after of as many days in all, from above.\n",
        table(
            ["metric", "design", "studies", "refused", "alarms", *(f"fall of {fall} %" for fall in (30, 50))],
            [*_switched(found["received"]), *_not_switched(before_after)],
        ),
    ]


def _switched(rows: list[dict[str, Any]]) -> Iterable[list[str]]:
    for row in rows:
        yield [
            "CPU" if row["metric"] == "cpu" else "RAM",
            f"**switchback, {row['days']} days in all, blocks of {row['block_h']} h**",
            str(row["studies"]), percent(row["refused"]), percent(row["alarms"]),
            *(percent(row["shown"][fall]) for fall in ("0.3", "0.5")),
        ]  # fmt: skip


def _not_switched(rows: list[dict[str, Any]]) -> Iterable[list[str]]:
    for row in rows:
        if row["month"] == "2013-8" and row["days"] == 3.5 and row["power"]:
            yield [
                "CPU" if row["metric"] == "cpu" else "RAM",
                f"before/after, {row['days']:g} + {row['days']:g} days",
                str(row["pairs"]), percent(row["refused"]), percent(row["alarms"]["received"]),
                *(percent(row["power"][fall]["received"]) for fall in ("0.3", "0.5")),
            ]  # fmt: skip


def mean_alarms(cells: list[dict[str, Any]]) -> float:
    return float(np.mean([cell["alarms"]["received"] for cell in cells]))


def page(found: dict[str, Any], speed: dict[str, float]) -> str:
    cells = found["cells"]
    answered = [c for c in cells if c["kind"] == "grid" and c["covered"]["series"] is not None]
    covered = np.array([c["covered"]["series"] for c in answered])
    parts = [
        "# What the intervals cover\n",
        "Written by `python benchmarks/coverage.py`; do not edit. Nominal confidence "
        f"{percent(found['confidence'])} %; numbers are percentages unless said otherwise. The rule is in "
        "`src/virtio_study/stats/series.py`; the usual methods are in `stats/methods.py`. Series are simulated unless "
        "a section says that they are traces of real servers.\n",
        "## Two sides of one series, nothing changed\n",
        f"AR(1) series of unit variance, cut in two sides; {answered[0]['series']} series a cell "
        "(standard error 0.5 points; HAC and bootstrap 400 series, 1 point). Width: median width over that "
        "of an AR(1) model with a step fitted by REML, which knows the truth's form.\n",
        grid(cells, False),
        "## With a daily cycle\n",
        "Two harmonics, amplitude 1 and 0.5, random phase; 48 rows a day for 70 and 336 rows, 1440 a day for 1440 and "
        '10080. Sides of less than three whole days are refused ("not enough data"): nothing in them tells a cycle '
        "and a change from a difference between two days (see the stress set). The last column is what the interval "
        "beneath the refusal would have covered.\n",
        grid(cells, True),
        f"Over the {len(answered)} cells of both tables that are answered: least {percent(covered.min())}, mean "
        f"{percent(covered.mean())}, most {percent(covered.max())}.\n",
        "## Stress set\n",
        '"A level for every day" draws a new level each day: 7 days a side at 336 and 10080 rows, 1 day at 1440.\n',
        stress(cells),
        "## Other answers of the same machinery\n",
        "Positive, skewed series (exponential of an AR(1)), 1440 rows a side: difference of means, medians and peaks "
        "(0.95 quantiles), relative difference, and the level of one side.\n",
        table(
            ["phi", "mean", "median", "peak", "relative", "level"],
            (
                [f"{o['phi']:g}", *(percent(o["covered"][k]) for k in ("mean", "median", "peak", "ratio", "level"))]
                for o in found["other"]
            ),
        ),
        "Difference, relative difference, bound, equivalence, median, peak and the sentence about them "
        "never contradicted each other in 10,000 random studies of boots, 4,056 of which show a change "
        "(`python benchmarks/contradictions.py`, seeds 0 to 9999).\n",
        "## Real servers that nobody touched\n",
    ]
    if found["placebo"]:
        parts += [
            "False alarms (the interval excludes zero though nothing was done) on 500 production servers, GWA-T-12 "
            "trace Rnd (Shen, van Beek & Iosup, CCGRID 2015; five-minute rows; not part of this repository), "
            "each cut at four random places a month; real changes inside a month count as false alarms, so the numbers "
            "are upper bounds. One day a side is refused by the rule; its row shows what the intervals would have "
            "said. Widening: the factor that negative controls such as these would put on our interval.\n",
            placebo(found["placebo"]),
        ]
    else:
        parts.append("Not measured in this run: give `--traces`.\n")
    if found.get("received"):
        parts += of_users(found["received"])
    if found.get("received_simulated"):
        parts += of_users_simulated(found["received_simulated"])
    if found.get("gaps"):
        parts += [
            "## Gaps\n",
            "Rows taken away from the same pairs: one stretch of one side, or 72 minutes every night of both. "
            "False alarms of those that are answered (and refused), by the estimator.\n",
            gaps(found["gaps"]),
            "## Load\n",
            "Load of untouched servers (network in, margin 10 %): shown the same, shown different, or neither; and the "
            "CPU's plain interval beside that at equal load, without a change and with a fall of 30 % after.\n",
            loads(found["load"]),
        ]
    if found.get("switchback"):
        parts += of_switchbacks(found["switchback"], found.get("received", []))
    parts += [
        "## Speed\n",
        f"One effect with interval and bound, {speed['rows_a_side']:.0f} rows a side: "
        f"{1000 * speed['effect_cpu_s']:.1f} ms of CPU; arch's StationaryBootstrap with 10,000 draws on the same two "
        f"sides in the same run takes {speed['ratio']:.0f} times as long. (The only numbers here that depend on the "
        "machine.)\n",
    ]
    return "\n".join(parts)
