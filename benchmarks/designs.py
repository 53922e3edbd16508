"""Whether the power of a design comes true: simulated on a pilot of each server, against the days that followed it.

Writes docs/designs.md. The traces (GWA-T-12 Rnd; Shen, van Beek & Iosup, CCGRID 2015) are kept elsewhere.

    python benchmarks/designs.py --traces FOLDER [--servers 125]
"""

import argparse
from pathlib import Path

import numpy as np

from gwa import STEP_S, load_traces
from virtio_study.design.power import FALLS, Power, power_of_before_after, power_of_switchback
from virtio_study.design.scheduling import Design
from virtio_study.errors import DataError
from virtio_study.stats.hours import DAY_S
from virtio_study.stats.stretch import Stretch

ROOT = Path(__file__).parents[1]
PILOT_DAYS, CONFIDENCE, WASHOUT_S = 10, 0.95, 1800.0
SHOWN = (0.2, 0.3, 0.5, 0.88)
PAIR = ("before", "after")
DESIGNS = [
    Design("pairs", 2, 3, PAIR, WASHOUT_S),
    Design("pairs", 3, 3, PAIR, WASHOUT_S),
    Design("pairs", 6, 6, PAIR, WASHOUT_S),
    Design("pairs", 6, 6, PAIR, WASHOUT_S, "08:00-18:00"),
    Design("pairs", 14, 6, PAIR, WASHOUT_S),
    Design("bojinov", 6, 6, PAIR, WASHOUT_S),
]
NAMES = {"pairs": "pairs", "bojinov": "independent draws (Bojinov et al.)"}


def name_of(design: Design) -> str:
    limits = ", no restart from 8 to 18 h" if design.no_restart else ""
    return f"{NAMES[design.law]}, {design.days} days, blocks of {design.block_h} h{limits}"


def both(pilot: Stretch, later: Stretch, design: Design) -> tuple[Power, Power] | None:
    try:
        return tuple(power_of_switchback(side, design, 0.0, CONFIDENCE, 1) for side in (pilot, later))  # type: ignore[return-value]
    except DataError:
        return None


def both_sides(pilot: Stretch, later: Stretch) -> tuple[Power, Power] | None:
    found = [power_of_before_after(side, 3, CONFIDENCE) for side in (pilot, later)]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def line(name: str, found: list[tuple[Power, Power]]) -> str:
    promised = np.array([pair[0].shown for pair in found])
    kept = np.array([pair[1].shown for pair in found])
    cells = []
    for fall in SHOWN:
        one, other = (float(np.interp(fall, FALLS, side.mean(axis=0))) for side in (promised, kept))
        cells.append(f"{100 * one:.0f} / {100 * other:.0f}")
    mean = 100 * float(np.mean(kept - promised))
    apart = 100 * float(np.mean(np.abs(kept - promised)))
    return f"| {name} | {len(found)} | {' | '.join(cells)} | {mean:+.1f} | {apart:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--servers", type=int, default=125, help="servers, evenly spread over the trace (125)")
    wanted = parser.parse_args()
    traces = load_traces(wanted.traces)
    month = sorted(traces["month"].unique())[-1]
    of_month = traces[traces["month"] == month]
    numbers = np.sort(of_month["vm"].unique())
    results: dict[str, list[tuple[Power, Power]]] = {"before/after, 3 + 3 days": []}
    results |= {name_of(design): [] for design in DESIGNS}
    for vm in numbers[:: max(1, len(numbers) // wanted.servers)]:
        rows = of_month[of_month["vm"] == vm]
        values, start = rows["cpu_percent"].to_numpy(dtype=np.float64), rows["time"].iloc[0].timestamp()
        if not len(values) or not np.nanmax(values) > np.nanmin(values):
            continue
        cut = round(PILOT_DAYS * DAY_S / STEP_S)
        pilot, later = Stretch(values[:cut], start, STEP_S), Stretch(values[cut:], start + cut * STEP_S, STEP_S)
        pairs = [(name_of(design), both(pilot, later, design)) for design in DESIGNS]
        for name, pair in [("before/after, 3 + 3 days", both_sides(pilot, later)), *pairs]:
            if pair is not None:
                results[name].append(pair)
    lines = [line(name, found) for name, found in results.items()]
    print("\n".join(lines))
    (ROOT / "docs/designs.md").write_text(page(month, lines))


def page(month: str, lines: list[str]) -> str:
    return f"""# Does the power of a design come true?

Written by `python benchmarks/designs.py`; do not edit. `virtio-study design` simulates each design on the rows that it
has of a server. Here these were the first {PILOT_DAYS} days of real servers (GWA-T-12 trace Rnd, {month}; Shen, van
Beek & Iosup, CCGRID 2015), and the design was then tried on the days that followed, wherever it fits and with new
draws. The level falls by the given share under one configuration; {WASHOUT_S / 60:.0f} minutes after each restart are
left out.

Each cell: share of studies in % that show the fall, promised by the pilot / kept by the later days, mean over servers.

| design | servers | a fall of 20 % | 30 % | 50 % | 88 % | kept less promised, points | apart, one server, points |
|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

The last columns are means over all falls from 5 to 95 %: how far the promise is off on average, and how far off it is
for one server, whose later days may be busier or quieter than its pilot. "Shown" is what the study itself decides: of a
switchback a two-sided 95 % interval below zero by the randomisation test of `stats/randomisation.py`, of a before/after
the interval that the report gives two single recordings. A design that is longer than the rows is drawn from their
blocks with replacement; the command marks it with a star.
"""


if __name__ == "__main__":
    main()
