"""Whether a plan comes true: half-widths that a pilot week promises against those of the weeks that follow it.

Writes docs/planning.md. The traces (GWA-T-12 Rnd; Shen, van Beek & Iosup, CCGRID 2015) are kept elsewhere.

    python benchmarks/planning.py --traces FOLDER [--servers 120]
"""

import argparse
from pathlib import Path

import numpy as np

from gwa import load_traces
from virtio_study.errors import DataError
from virtio_study.stats.hours import same_hours
from virtio_study.stats.planning import plan_days
from virtio_study.stats.series import difference_of_series
from virtio_study.stats.stretch import Stretch

ROOT = Path(__file__).parents[1]
ROWS_A_DAY, PILOT_DAYS, DAYS = 288, 7, (2, 3, 7, 10)


def ratios(values: np.ndarray, start: float) -> dict[int, float]:
    """Realised over promised half-width for every number of days, of one server."""
    pilot = Stretch(values[: PILOT_DAYS * ROWS_A_DAY], start, 300.0)
    found = {}
    for days in DAYS:
        begin, length = PILOT_DAYS * ROWS_A_DAY, days * ROWS_A_DAY
        later = values[begin : begin + 2 * length]
        if len(later) < 2 * length or any(np.isnan(part).mean() > 0.05 for part in (pilot.values, later)):
            continue
        before = Stretch(later[:length], start + 300.0 * begin, 300.0)
        after = Stretch(later[length:], before.end_s, 300.0)
        try:
            promised = plan_days(pilot, [days], 0.3, 0.95)[0].half_width
            interval = difference_of_series(*same_hours(before, after, True), 0.95).interval
        except DataError:
            continue
        if promised > 0:
            found[days] = (interval.high - interval.low) / 2 / promised
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--servers", type=int, default=120, help="servers, evenly spread over the trace (120)")
    wanted = parser.parse_args()
    traces = load_traces(wanted.traces)
    month = sorted(traces["month"].unique())[-1]
    of_month = traces[traces["month"] == month]
    numbers = np.sort(of_month["vm"].unique())
    chosen = numbers[:: max(1, len(numbers) // wanted.servers)]
    lines = []
    for metric, name in (("cpu_percent", "CPU"), ("mem_used_kb", "RAM")):
        realised: dict[int, list[float]] = {days: [] for days in DAYS}
        for vm in chosen:
            rows = of_month[of_month["vm"] == vm]
            values = rows[metric].to_numpy(dtype=np.float64)
            if len(values) and np.nanmax(values) > np.nanmin(values):
                for days, ratio in ratios(values, rows["time"].iloc[0].timestamp()).items():
                    realised[days].append(ratio)
        for days, found in realised.items():
            low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
            lines.append(f"| {name} | {days} | {len(found)} | {middle:.2f} | {low:.2f} to {high:.2f} |")
            print(lines[-1], flush=True)
    page = f"""# Does a plan come true?

Written by `python benchmarks/planning.py`; do not edit. `virtio-study plan` says from a pilot recording how wide the
interval of a longer study will be. Here a pilot of {PILOT_DAYS} days of each of {len(chosen)} real servers
(GWA-T-12 trace Rnd, {month}; Shen, van Beek & Iosup, CCGRID 2015) made the promise, and the days that followed it kept
it or not: realised half-width over promised half-width, for two neighbouring sides of the given length.

| metric | days a side | servers | median ratio | middle half of the servers |
| --- | --- | --- | --- | --- |
{chr(10).join(lines)}

Above 1 the study came out less precise than planned. The middle half shows how little one server's plan binds: the
level of a real server wanders over days and weeks, and a pilot of one week cannot know how far.
"""
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs/planning.md").write_text(page)


if __name__ == "__main__":
    main()
