"""Everything that the report prints, as one structure: levels, comparisons, counts, audit, capacity, provenance."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict
from importlib import resources
from importlib.metadata import version
from typing import Any

import pandas as pd

from virtio_study.analysis.capacity import OVERCOMMIT, fits, fits_measured
from virtio_study.analysis.comparison import compare_sides, level_dict
from virtio_study.analysis.evidence import INSTRUMENT_COLUMNS
from virtio_study.analysis.meta_analysis import pooled
from virtio_study.analysis.plausibility import accesses, plausibility
from virtio_study.analysis.variance import spread
from virtio_study.cleaning.transients import LATE_GAIN, period_table
from virtio_study.errors import DataError
from virtio_study.pve.devices import unclassifiable
from virtio_study.pve.instruments import instrument
from virtio_study.recording import Provenance
from virtio_study.stats.controls import controls
from virtio_study.stats.elementary import total
from virtio_study.stats.interval import Interval
from virtio_study.stats.levels import PEAK_QUANTILE, boot_levels
from virtio_study.stats.stretch import BATCHES
from virtio_study.study import METRICS, Study

__all__ = ["SCHEMA_VERSION", "compare", "describe", "gather", "recorded_runs"]

SCHEMA_VERSION = 1
"""1 - first version."""

OPERATIONS = {"disk": ("disk_reads_per_s", "disk_writes_per_s"), "network": ("requests_answered_per_s",)}
"""Kind of device -> load columns that count its operations."""

PACKAGES = ("numpy", "pandas", "pyarrow", "pydantic", "scipy", "virtio-study")


def describe(study: Study, driver_config: str, clean: pd.DataFrame, provenances: list[Provenance]) -> dict[str, Any]:
    """Levels of a server under a driver configuration, boot by boot and over boots.

    Parameters
    ----------
    study : Study
    driver_config : str
    clean : DataFrame
        Every row with its `replicate`, `period` and `reason`, as `label_periods` leaves them.
    provenances : list of Provenance
        Of every recording, in order of replicate.
    """
    config = study.driver_config(driver_config)
    return {
        "label": config.label.model_dump(),
        "devices": _devices(provenances),
        "instruments": _instruments(clean, study),
        "kind": _common(item.kind for item in provenances),
        "accelerator": _common(item.accelerator for item in provenances),
        "kernel_module": _common(item.kernel_module for item in provenances),
        "versions": _versions(provenances),
        "boots": _boots(clean, study),
        "levels": {metric: level_dict(clean, metric, study.confidence) for metric in study.metrics},
        "spread": {
            metric: spread(clean, METRICS[metric]) for metric in study.metrics if METRICS[metric] in clean.columns
        },
    }


def _common(values: Iterable[str | None]) -> str | None:
    """The value that all share, or all of them joined, so that a mixture is seen."""
    names = sorted({value for value in values if value is not None})
    return ", ".join(names) or None


def _devices(provenances: list[Provenance]) -> dict[str, str]:
    keys = sorted({key for item in provenances for key in item.devices})
    return {key: _common(item.devices.get(key) for item in provenances) or "" for key in keys}


def _versions(provenances: list[Provenance]) -> dict[str, str]:
    keys = sorted({key for item in provenances for key in item.versions})
    return {key: _common(item.versions.get(key) for item in provenances) or "" for key in keys}


def _instruments(clean: pd.DataFrame, study: Study) -> dict[str, str]:
    steady = clean[clean["period"] == "steady"]
    found = {"cpu": "process_ticks"}
    for metric in study.metrics:
        if metric in INSTRUMENT_COLUMNS and INSTRUMENT_COLUMNS[metric] in clean.columns:
            names = sorted(set(steady[INSTRUMENT_COLUMNS[metric]]))
            found[metric] = names[0] if len(names) == 1 else "mixed" if names else "unknown"
    return found


def _boots(clean: pd.DataFrame, study: Study) -> list[dict[str, Any]]:
    boots = {entry["replicate"]: {**entry, "levels": {}} for entry in period_table(clean)}
    start_up = clean[clean["period"] == "transient"]
    for metric in study.metrics:
        column = METRICS[metric]
        if column not in clean.columns or clean[column].isna().all():
            continue
        peaks = start_up.groupby("replicate")[column].max()
        for row in boot_levels(clean, column).to_dict("records"):
            replicate = str(row["replicate"])
            peak = peaks.get(replicate)
            boots[replicate]["levels"][metric] = {
                "rows": int(row["rows"]),
                **{name: float(row[name]) if row["rows"] else None for name in ("mean", "median", "peak")},
                "start_up_peak": None if peak is None or pd.isna(peak) else float(peak),
            }
    return [boots[name] for name in sorted(boots)]


def compare(
    study: Study, server: str, frames: dict[str, pd.DataFrame], provenances: dict[str, list[Provenance]]
) -> dict[str, Any]:
    """Every comparison of a server by name: effects, load, checks, verdicts.

    Parameters
    ----------
    study : Study
    server : str
    frames, provenances : dict
        Driver configuration -> rows with their periods, and provenance of every recording.
    """
    compared: dict[str, Any] = {}
    restarts: dict[str, list[float]] = {}
    # restarts first: single recordings are judged by what a restart alone was seen to change
    for name, item in sorted(study.comparisons.items(), key=lambda pair: pair[1].purpose != "restart"):
        found = compare_sides(study, server, item, frames, provenances, restarts)
        compared[name] = {**found, "question": item.question.model_dump()}
        for metric, effect in found["effects"].items():
            if item.purpose == "restart" and effect["difference"] and effect["replication"] == "batches":
                restarts.setdefault(metric, []).append(effect["difference"]["estimate"])
    return compared


def gather(
    study: Study,
    described: dict[str, dict[str, Any]],
    compared: dict[str, dict[str, Any]],
    *,
    runs: dict[str, list[dict[str, Any]]] | None,
    counts: dict[str, Any] | None,
    audit: dict[str, Any] | None,
    inputs: dict[str, str],
) -> dict[str, Any]:
    """Everything that the report prints, as one structure.

    Parameters
    ----------
    study : Study
    described : dict
        Server -> driver configuration -> what `describe` returns; empty for a published study.
    compared : dict
        Server -> what `compare` returns.
    runs : dict, optional
        Server -> its runs in the form of `timeline.json`.
    counts : dict, optional
        As in `counts.json`.
    audit : dict, optional
        As `audit_published` returns it.
    inputs : dict
        Name of a file of the study -> its SHA-256.
    """
    servers = {name: _server(study, name, described[name], compared[name]) for name in described}
    return {
        "schema": SCHEMA_VERSION,
        "study": study.model_dump(mode="json") | {"name": study.name},
        "order": {key: list(getattr(study, key)) for key in ("servers", "driver_configs", "comparisons", "metrics")},
        "servers": servers,
        "counts": counts,
        "plausibility": _plausibility(study, servers, audit, counts),
        "published": audit,
        "timeline": _timeline(runs, servers),
        "capacity": _capacity(study, servers),
        "controls": _controls(study, servers),
        "synthesis": pooled(servers, study.confidence),
        "calibration": json.loads(resources.files("virtio_study.stats").joinpath("calibration.json").read_text()),
        "methods": {
            "confidence": study.confidence,
            "peak_quantile": PEAK_QUANTILE,
            "batches": BATCHES,
            "transient": "MSER-5 on the CPU series",
            "transient_late_gain": LATE_GAIN,
            "difference": "Welch t over boots, Satterthwaite df",
            "relative": "Fieller over boots, Satterthwaite df",
            "equivalence": "two one-sided Welch t tests over boots on the ratio",
            "series": f"AR(1) over {BATCHES} batches a side, phi averaged over; robust bound: Welch t over half sides",
        },
        "provenance": _provenance(study, servers, inputs),
    }


def _server(study: Study, name: str, described: dict[str, Any], compared: dict[str, Any]) -> dict[str, Any]:
    server = study.server(name)
    return {
        "role": server.role.model_dump(),
        "allocation": {
            "vcpus": server.vcpus,
            "memory_bytes": int(server.memory_bytes),
            "disk_bytes": int(server.disk_bytes),
        },
        "configurations": described,
        "comparisons": {key: compared[key] for key in study.comparisons if key in compared},
    }


def _capacity(study: Study, servers: dict[str, Any]) -> dict[str, Any]:
    """What fits on the study's host by allocation, and by the host memory measured under each configuration."""
    found: dict[str, Any] = {"overcommit": OVERCOMMIT, "servers": {}}
    for name, server in study.servers.items():
        measured: dict[str, Any] = {}
        for config, described in servers.get(name, {}).get("configurations", {}).items():
            level = described["levels"].get("mem_host", {}).get("sustained")
            cpu = described["levels"].get("cpu", {}).get("sustained")
            usable = cpu if described["accelerator"] == "kvm" else None
            if level is not None:
                cores = usable["estimate"] if usable else None
                measured[config] = {
                    "host_bytes": level["estimate"],
                    "cpu_cores": cores,
                    **asdict(fits_measured(study.host, level["estimate"], cores)),
                }
        allocation = fits(study.host, server.vcpus, int(server.memory_bytes))
        found["servers"][name] = {"allocation": asdict(allocation), "measured": measured}
    return found


def _timeline(runs: dict[str, list[dict[str, Any]]] | None, servers: dict[str, Any]) -> dict[str, Any] | None:
    """Runs of every server, with how long each took to start."""
    if runs is None:
        return None
    start_up = {
        (server, config, boot["replicate"]): round(boot["transient_s"])
        for server, found in servers.items()
        for config, described in found["configurations"].items()
        for boot in described["boots"]
    }
    return {
        server: [run | {"start_up_s": start_up.get((server, run["driver_config"], run["replicate"]))} for run in found]
        for server, found in runs.items()
    }


def recorded_runs(recorded: dict[str, tuple[pd.DataFrame, list[Provenance]]]) -> list[dict[str, Any]]:
    """Recordings of a server in the form of `timeline.json`, in order of time.

    Parameters
    ----------
    recorded : dict
        Driver configuration -> rows with their periods, and provenance of every recording.
    """
    runs = []
    for config, (clean, provenances) in recorded.items():
        for known in provenances:
            rows = clean[clean["replicate"] == known.replicate]
            ends = rows["time"].map(pd.Timestamp.timestamp)
            views = [instrument(str(name)).view for name in rows["mem_instrument"]]
            start_s = float(ends.iloc[0] - rows["step_s"].iloc[0])
            changed = [row for row, view in enumerate(views) if row == 0 or view != views[row - 1]]
            runs.append(
                {
                    "driver_config": config,
                    "replicate": known.replicate,
                    "started_s": start_s,
                    "start_s": start_s,
                    "end_s": float(ends.iloc[-1]),
                    "devices": {"disk": "", "network": "", **known.devices},
                    "balloon_driver": "guest" in views,
                    "instruments": [[float(ends.iloc[row] - rows["step_s"].iloc[row]), views[row]] for row in changed],
                    "contaminated": [
                        {"start_s": start, "end_s": end, "reason": reason, "detail": ""}
                        for start, end, reason in known.contaminated
                        if reason != "start-up"  # it is in the rows' own
                    ],
                    "waiting": [],
                    "hidden": unclassifiable(dict(line.partition(": ")[::2] for line in known.vm_config)),
                    "why": "",
                    "digest": known.config_digest,
                }
            )
    return sorted(runs, key=lambda run: run["start_s"])


def _plausibility(
    study: Study, servers: dict[str, Any], audit: dict[str, Any] | None, counts: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The bridge from counted accesses to CPU: forwards with the recorded rates, backwards with the published falls."""
    try:
        accesses(counts or {"rows": []})
    except DataError:
        return None
    totals = [name for name, item in study.comparisons.items() if item.purpose == "total"]
    rates: dict[str, dict[str, float]] = {}
    for name, server in servers.items():
        load = {item["column"]: item["before"] for item in server["comparisons"][totals[0]]["load"] if item["recorded"]}
        kinds = {
            kind: total(load[column] for column in columns if column in load) for kind, columns in OPERATIONS.items()
        }
        rates[name] = {kind: rate for kind, rate in kinds.items() if rate > 0}
    falls = {
        name: metrics["cpu"]["before"]["value"] - metrics["cpu"]["after"]["value"]
        for name, metrics in (audit or {"servers": {}})["servers"].items()
        if "cpu" in metrics
    }
    return plausibility(counts or {}, falls, rates)


def _controls(study: Study, servers: dict[str, Any]) -> dict[str, Any] | None:
    """The comparisons of a restart alone, in which no driver changed: how many of them show a change."""
    intervals = [
        Interval(**{key: value for key, value in effect["difference"].items() if key != "unit"})
        for server in servers.values()
        for name, comparison in study.comparisons.items()
        if comparison.purpose == "restart"
        for effect in server["comparisons"][name]["effects"].values()
        if effect["difference"]
    ]
    return asdict(controls(intervals)) if intervals else None


def _provenance(study: Study, servers: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
    recorded: dict[str, set[str]] = {}
    for server in servers.values():
        for described in server["configurations"].values():
            for key, value in described["versions"].items():
                recorded.setdefault(key, set()).add(value)
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "recordings": {key: ", ".join(sorted(values)) for key, values in sorted(recorded.items())},
        "inputs": inputs,
        "seed": study.seed,
    }
