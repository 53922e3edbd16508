"""What randomised switchbacks promise and show: on simulated series, on untouched servers, and as a user receives it.

`coverage.py --switchback FOLDER` writes the tables into docs/calibration.md; alone it prints them:

    python benchmarks/switching.py FOLDER [--every 12] [--series 1000]
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from scipy.stats import ttest_1samp, ttest_ind

from virtio_study import recording
from virtio_study.analysis.arms import arm_of
from virtio_study.analysis.draws import draws_of
from virtio_study.analysis.randomised import Randomised, randomised
from virtio_study.analysis.scheduled import assigned_arms
from virtio_study.cleaning.transients import label_periods
from virtio_study.recording import Provenance
from virtio_study.stats.assignments import drawn_assignments
from virtio_study.stats.randomisation import Contrasts, joined, of_pairs, of_turns
from virtio_study.study import METRICS, Study, load_study
from virtio_study.workflow import steps

CONFIDENCE, ALPHA = 0.95, 1 - 0.95
FALLS = (0.2, 0.3, 0.5, 0.88)
CHOSEN_ON, MONTH, ROWS_A_DAY, DRAWS = "2013-7", "2013-8", 288, 2
"""The statistic of pairs was chosen on the first month, and is measured on the second."""
WASHOUT_ROWS = 3
"""Of five minutes each."""

EVERY, FILES_EVERY = 6, 120
"""So manieth servers are received, and of those so manieth also through files, which must give the same answer."""


class Plan(NamedTuple):
    """A design: its law, days in all, hours a block."""

    law: str
    days: int
    block_h: int


ON_TRACES = (
    Plan("pairs", 3, 3), Plan("pairs", 6, 6), Plan("pairs", 14, 6), Plan("bojinov", 3, 3), Plan("bojinov", 14, 6),
)  # fmt: skip
RECEIVED = (Plan("pairs", 7, 6),)
RECEIVED_FALLS = (0.3, 0.5)


def assigned(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Whether each block has the configuration after."""
    blocks = plan.days * 24 // plan.block_h
    groups = [number // 2 if plan.law == "pairs" else number for number in range(blocks)]
    return drawn_assignments(groups, 2, 1, int(rng.integers(2**31)))[0].astype(bool)


def contrasts(law: str, levels: np.ndarray, after: np.ndarray) -> Contrasts:
    """What the draws show; of pairs without a level on one side nothing is left."""
    if law == "bojinov":
        known = ~np.isnan(levels)
        return of_turns(levels[known], after[known].tolist())
    pairs = np.column_stack([levels[~after], levels[after]])
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    return of_pairs(pairs[:, 0], pairs[:, 1])


def students(law: str, levels: np.ndarray, after: np.ndarray) -> bool:
    """Whether Student's t on pairs, or Welch's on blocks, shows a difference."""
    before, late = levels[~after], levels[after]
    if law == "pairs":
        apart = (late - before)[~np.isnan(late - before)]
        return bool(apart.std() > 0 and ttest_1samp(apart, 0).pvalue < ALPHA)
    found = ttest_ind(late, before, equal_var=False, nan_policy="omit").pvalue
    return bool(found < ALPHA)


def on_traces(folder: Path, wanted: str, plans: tuple[Plan, ...]) -> list[dict[str, Any]]:
    """The test on every server of a month, without a change and with falls, beside ranks of log ratios and t."""
    from gwa import load_traces

    traces = load_traces(folder)
    series = [
        rows["cpu_percent"].to_numpy(dtype=np.float64)
        for (month, _), rows in traces.groupby(["month", "vm"], observed=True, sort=True)
        if month == wanted
    ]
    found = []
    for plan in plans:
        shown: dict[str, list[list[bool]]] = {"ranks": [], "logs": [], "students": []}
        rng = np.random.default_rng([plan.days, plan.block_h, len(plan.law)])
        block = plan.block_h * ROWS_A_DAY // 24
        for values in (item for item in series if len(item) >= 29 * ROWS_A_DAY):
            for _ in range(DRAWS):
                first = int(rng.integers(0, len(values) - plan.days * ROWS_A_DAY + 1))
                rows = values[first : first + plan.days * ROWS_A_DAY].reshape(-1, block)[:, WASHOUT_ROWS:]
                after = assigned(plan, rng)
                known = ~np.isnan(rows).all(axis=1)
                means = np.full(len(rows), np.nan)
                means[known] = np.nanmean(rows[known], axis=1)
                answers: dict[str, list[bool]] = {name: [] for name in shown}
                for fall in (0.0, *FALLS):
                    levels = means * np.where(after, 1 - fall, 1.0)
                    test = contrasts(plan.law, levels, after)
                    answers["ranks"].append(test.p <= ALPHA)
                    answers["logs"].append(joined([test]).p <= ALPHA)
                    answers["students"].append(students(plan.law, levels, after))
                for name, answer in answers.items():
                    shown[name].append(answer)
        shares = {name: np.mean(answer, axis=0).tolist() for name, answer in shown.items()}
        found.append({"month": wanted, **plan._asdict(), "studies": len(shown["ranks"]), **shares})
        print("traces", found[-1], flush=True)
    return found


def processes() -> dict[str, Callable[[np.random.Generator, int], np.ndarray]]:
    """The stress set of coverage.py, its grid, and what moves slowly."""
    from coverage import STRESS, ar1

    def cycles(rng: np.random.Generator, rows: int) -> np.ndarray:
        angle = 2 * np.pi * np.arange(2 * rows) / 48
        return 2 * np.cos(angle) + 2 * np.cos(angle / 7) + ar1(rng, 0.9, 2 * rows)

    slow: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
        "a drift of 6 standard deviations": lambda rng, n: np.linspace(0, 6, 2 * n) + ar1(rng, 0.5, 2 * n),
        "a cycle of a day and one of a week": cycles,
        "a random walk": lambda rng, n: np.cumsum(rng.standard_normal(2 * n)) / 10,
    }
    grid = {f"AR(1) {phi:g}": lambda rng, n, phi=phi: ar1(rng, phi, 2 * n) for phi in (0.0, 0.5, 0.9, 0.95)}
    return {**grid, **STRESS, **slow}


def on_process(job: tuple[str, int]) -> dict[str, Any]:
    """False alarms and coverage on one process: two weeks in blocks of 6 h, 12 rows each, two of them left out."""
    name, count = job
    make, block = processes()[name], 12
    alarms: dict[str, list[bool]] = {"pairs": [], "bojinov": []}
    covered: dict[str, list[bool]] = {"relative": [], "added": []}
    for number in range(count):
        rng = np.random.default_rng([*name.encode(), number])
        rows = np.exp(0.3 * make(rng, 336))
        levels = rows[: len(rows) // (2 * block) * 2 * block].reshape(-1, block)[:, 2:].mean(axis=1)
        groups = np.arange(len(levels)) // 2
        for law in alarms:
            drawn = drawn_assignments((groups if law == "pairs" else np.arange(len(levels))).tolist(), 2, 1, number)
            after = drawn[0].astype(bool)
            alarms[law].append(contrasts(law, levels, after).p <= ALPHA)
            if law == "pairs":
                relative = contrasts(law, levels * np.where(after, 0.7, 1.0), after).relative(CONFIDENCE)
                covered["relative"].append(relative is not None and not relative.excludes(-0.3))
                more = float(np.median(levels))
                added = contrasts(law, levels + more * after, after).difference(CONFIDENCE)
                covered["added"].append(not added.excludes(more))
    shares = {key: float(np.mean(values)) for key, values in {**alarms, **covered}.items()}
    return {"process": name, "series": count, **shares}


def simulated(count: int) -> list[dict[str, Any]]:
    """Every process."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = list(pool.imap(on_process, [(name, count) for name in processes()]))
    for row in found:
        print(row, flush=True)
    return found


PROTOCOL: dict[str, Any] = {
    "title": {"en": "untouched", "es": "intacto"},
    "source": "recordings",
    "host": {
        "name": "h", "cpu_model": "unknown", "logical_cpus": 64, "memory_bytes": "1024 GiB", "hypervisor": "unknown",
    },
    "servers": {
        "server": {
            "vmid": 100, "role": {"en": "unknown", "es": "desconocido"}, "vcpus": 1, "memory_bytes": "1024 GiB",
        }
    },
    "driver_configs": {
        "before": {"label": {"en": "before", "es": "antes"}},
        "after": {"label": {"en": "after", "es": "después"}},
    },
    "comparisons": {
        "total": {
            "before": "before", "after": "after", "purpose": "total",
            "question": {"en": "what changed", "es": "qué cambió"},
        }
    },
    "metrics": ["cpu", "mem_displayed"],
    "seed": 1,
}  # fmt: skip
COLUMNS = {"cpu": "cpu_percent", "mem_displayed": "mem_used_kb"}


class Job(NamedTuple):
    """One server, one design: rows of five minutes from `start_s` on, and which block is after."""

    vm: int
    plan: Plan
    start_s: float
    cpu: np.ndarray
    memory: np.ndarray
    after: np.ndarray


def jobs(folder: Path, every: int) -> Iterator[Job]:
    """Every `every`-th server of the month at one random place for each design."""
    from gwa import load_traces

    traces = load_traces(folder)
    for (month, vm), rows in traces.groupby(["month", "vm"], observed=True, sort=True):
        if month != MONTH or int(vm) % every:
            continue
        for plan in RECEIVED:
            rng = np.random.default_rng([int(vm), plan.days, plan.block_h])
            count = plan.days * ROWS_A_DAY
            if len(rows) < count:
                continue
            first = int(rng.integers(0, len(rows) - count + 1))
            cpu, memory = (rows[name].to_numpy(np.float64)[first : first + count] for name in COLUMNS.values())
            start_s = rows["time"].iloc[0].timestamp() + 300.0 * first
            yield Job(int(vm), plan, start_s, cpu, memory, assigned(plan, rng))


def laid_out(job: Job) -> tuple[list[float], list[str], dict[str, Any]]:
    """Starts and configurations of the blocks of a study, and its protocol."""
    length = 3600 * job.plan.block_h
    starts = [job.start_s + length * number for number in range(len(job.after))]
    configs = ["after" if after else "before" for after in job.after]
    blocks = [
        {
            "start": pd.Timestamp(start, unit="s", tz="UTC").isoformat(),
            "end": pd.Timestamp(start + length, unit="s", tz="UTC").isoformat(),
            "driver_config": config,
            "pair": number // 2 + 1,
        }
        for number, (start, config) in enumerate(zip(starts, configs, strict=True))
    ]
    schedule = {"law": job.plan.law, "seed": 1, "washout_s": 900, "blocks": {"server": blocks}}
    return starts, configs, {**PROTOCOL, "schedule": schedule}


def frames_of(job: Job, fall: float) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Replicate, configuration and rows of each block: a run of its own, begun by a restart, `after` less by a fall.

    Each row of the trace stands for five of a minute.
    """
    starts, configs, _ = laid_out(job)
    for number, (start, config) in enumerate(zip(starts, configs, strict=True), 1):
        frame = _frame(job, start, 3600 * job.plan.block_h, 1 - fall if config == "after" else 1.0)
        if len(frame) > 1:
            yield f"api-{number:03d}", config, frame


def as_received(job: Job, fall: float) -> dict[str, Randomised | None]:
    """The answer of the product's own cleaning, cutting and test, by metric; without files."""
    study = Study.model_validate(laid_out(job)[2])
    assert study.schedule is not None
    washouts = study.schedule.washouts("server")
    frames: dict[str, list[pd.DataFrame]] = {"before": [], "after": []}
    for name, config, frame in frames_of(job, fall):
        frames[config].append(frame.assign(replicate=name))
    arms = {
        config: arm_of("server", config, label_periods(pd.concat(own, ignore_index=True), washouts=washouts))
        for config, own in frames.items()
    }
    cut = assigned_arms(study, "server", arms)
    drawn = {metric: draws_of(study, cut["before"], cut["after"], METRICS[metric]) for metric in study.metrics}
    return {metric: randomised(study, "server", metric, draws) for metric, draws in drawn.items() if draws}


def through_files(job: Job, fall: float) -> dict[str, Randomised | None]:
    """The same through a study in files: its protocol, one recording a block, and `compare`."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "data" / "untouched"
        home.mkdir(parents=True)
        (home / "study.yaml").write_text(yaml.safe_dump(laid_out(job)[2], allow_unicode=True))
        for name, config, frame in frames_of(job, fall):
            provenance = Provenance(
                study="untouched", server="server", driver_config=config, replicate=name, kind="measured",
                source="GWA-T-12 Rnd", collector_version="0", started_at=frame["time"].iloc[0].isoformat(),
            )  # fmt: skip
            path = home / "recordings" / "server" / config / f"{name}.parquet"
            recording.write(recording.Recording(frame, provenance, path), home)
        effects = steps.compare(load_study(home), "server")["total"].effects
    return {metric: effect.randomised for metric, effect in effects.items()}


def _frame(job: Job, start_s: float, length: float, factor: float) -> pd.DataFrame:
    ends = np.arange(60.0, length + 1, 60.0)
    places = ((start_s - job.start_s + ends - 1) // 300).astype(int)
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(start_s + ends, unit="s", utc=True).astype("datetime64[us, UTC]"),
            "step_s": 60.0,
            "cpu_cores": job.cpu[places] / 100 * factor,
            "cpu_allocated_cores": 1.0,
            "mem_displayed_bytes": job.memory[places] * 1024 * factor,
            "mem_instrument": "host_cgroup",
            "mem_allocated_bytes": 2.0**40,
            "uptime_s": ends,
            "consolidation": "AVERAGE",
        }
    )
    return frame[~np.isnan(job.cpu[places])]


def answers(job: Job) -> list[dict[str, Any]]:
    """One row a metric: whether it was answered, and whether a change was shown without and with a fall."""
    found = [{**job.plan._asdict(), "vm": job.vm, "metric": metric} for metric in COLUMNS]
    for row in found:
        values = job.cpu if row["metric"] == "cpu" else job.memory
        row["constant"] = bool(np.nanmax(values) == np.nanmin(values))
    for fall in (0.0, *RECEIVED_FALLS):
        received_now = as_received(job, fall)
        if fall == RECEIVED_FALLS[0] and job.vm % FILES_EVERY == 0:
            assert through_files(job, fall) == received_now, f"server {job.vm}: files give another answer"
        for row in found:
            test = received_now.get(row["metric"])
            row[f"answered_{fall:g}"] = test is not None and test.difference is not None
            row[f"shown_{fall:g}"] = bool(test and test.difference and test.difference.excludes_zero)
            row["draws"] = test.draws if test else 0
    return found


def received(folder: Path, every: int) -> list[dict[str, Any]]:
    """False alarms of those answered, refusals, and how often a fall is shown, by design and metric."""
    rows: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for done in pool.imap(answers, jobs(folder, every)):
            rows += done
            print(".", end="", flush=True)
    found = []
    table = pd.DataFrame(rows)
    for (law, days, hours, metric), cell in table[~table["constant"]].groupby(
        ["law", "days", "block_h", "metric"], sort=False
    ):
        known = cell[cell["answered_0"]]
        found.append(
            {
                "law": law, "days": int(days), "block_h": int(hours), "metric": metric, "studies": len(cell),
                "refused": 1 - len(known) / len(cell),
                "alarms": float(known["shown_0"].mean()),
                "shown": {f"{fall:g}": float(cell[f"shown_{fall:g}"].mean()) for fall in RECEIVED_FALLS},
                "draws": float(known["draws"].mean()),
            }
        )  # fmt: skip
        print(found[-1], flush=True)
    return found


def measure(folder: Path, every: int = EVERY, series: int = 1000) -> dict[str, Any]:
    """Everything that docs/calibration.md says of switchbacks."""
    chosen = tuple(plan for plan in ON_TRACES if plan.law == "pairs")
    return {
        "traces": on_traces(folder, MONTH, ON_TRACES),
        "chosen_on": on_traces(folder, CHOSEN_ON, chosen),
        "simulated": simulated(series),
        "received": received(folder, every),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=EVERY, help="every so manieth server is received")
    parser.add_argument("--series", type=int, default=1000, help="series a process")
    wanted = parser.parse_args()
    measure(wanted.folder, wanted.every, wanted.series)


if __name__ == "__main__":
    main()
