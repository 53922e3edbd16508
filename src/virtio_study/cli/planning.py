"""The command `plan`: how much to record, from what was recorded already."""

import json
from dataclasses import asdict
from typing import Any

import click

__all__ = ["plan"]

BOOTS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
DAYS = (2, 3, 5, 7, 10, 14, 21, 28)
BAR = 20


@click.command()
@click.argument("study")
@click.option("--server", required=True, help="The server whose recording is the pilot.")
@click.option("--driver-config", "driver_config", help="Its driver configuration (default: the first of the study).")
@click.option("--metric", default="cpu", show_default=True, help="cpu, mem_displayed, mem_host or mem_guest.")
@click.option("--drop", default=0.3, show_default=True, type=click.FloatRange(0, 1, min_open=True, max_open=True))
@click.option("--json", "as_json", is_flag=True, help="Numbers for a program.")
def plan(study: str, server: str, driver_config: str | None, metric: str, drop: float, as_json: bool) -> None:
    """How many boots or days a side a study needs, from a pilot recording.

    Boots if the pilot has three or more of them, else days of the one recording. --drop is the relative fall of the
    level that the study should be able to show.
    """
    from virtio_study.study import load_study

    found = planned(load_study(study), server, driver_config, metric, drop)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(_table(found))


def planned(study: Any, server: str, driver_config: str | None, metric: str, drop: float) -> dict[str, Any]:
    """The plans as plain values, with what they were made from."""
    from virtio_study.analysis.comparison import metric_levels
    from virtio_study.errors import StudyError
    from virtio_study.stats.levels import steady_stretch
    from virtio_study.stats.planning import enough, plan_boots, plan_days
    from virtio_study.study import METRICS
    from virtio_study.workflow.steps import read_clean

    if metric not in METRICS:
        raise StudyError(f"--metric is {metric!r}; expected one of {', '.join(METRICS)}")
    config = driver_config or next(iter(study.driver_configs))
    clean = read_clean(study, server, config)
    levels = metric_levels(clean, metric)  # type: ignore[arg-type]
    if levels is None or levels.empty:
        raise StudyError(f"{server} under {config}: {metric} was not measured or never steady; choose another --metric")
    if len(levels) > 1:
        unit, plans = "boots", plan_boots(levels["mean"].to_numpy(), BOOTS, drop, study.confidence)
    else:
        pilot = steady_stretch(clean, METRICS[metric], f"{server} under {config}, {metric}")
        unit, plans = "days", plan_days(pilot, DAYS, drop, study.confidence)
    chosen = enough(plans)
    return {
        "server": server,
        "driver_config": config,
        "metric": metric,
        "unit": unit,
        "drop": drop,
        "confidence": study.confidence,
        "plans": [asdict(item) for item in plans],
        "enough": chosen.amount if chosen else None,
    }


def _table(found: dict[str, Any]) -> str:
    unit = found["unit"]
    lines = [
        f"{found['server']} under {found['driver_config']}, {found['metric']}: power to show a fall of "
        f"{found['drop']:.0%} at {found['confidence']:.0%} confidence",
        f"{unit + ' a side':>14}  {'half-width':>10}  {'shown in 4 of 5':>15}  {'power':>5}",
    ]
    for item in found["plans"]:
        bar = "#" * round(BAR * item["power"])
        lines.append(
            f"{item['amount']:>14}  {item['relative_half_width']:>10.1%}  {item['detectable']:>15.1%}  "
            f"{item['power']:>5.0%}  {bar}"
        )
    if found["enough"] is not None:
        lines.append(f"{found['enough']} {unit} a side are enough (power 80 % or more).")
    elif unit == "boots":
        lines.append("None of these is enough: boots of this server differ too much for a fall of this size.")
    else:
        lines.append(
            "None of these is enough, and more days will not help: the level wanders. Switch back and forth (several "
            "boots of each configuration), or study more servers."
        )
    return "\n".join(lines)
