"""The demonstration: a simulated host, a study of its two servers collected from it live, and the report.

Every number in it is invented by `virtio_study.testing.story`; title, host and driver configurations say so.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.pve.devices import devices, models
from virtio_study.study import Endpoint, Schedule, Study, load_study
from virtio_study.testing.pve import Story, serve, two_servers
from virtio_study.testing.truth import lives_of
from virtio_study.workflow.keys import Keys

__all__ = ["HOURS", "make_study", "one_after_another", "run_demo"]

HOURS = (72, 72, 72)
"""How long each configuration is in force: three whole days, which a server with a daily cycle needs."""

NAME = "simulated"
LOAD = ("disk_read_bytes_per_s", "disk_write_bytes_per_s", "net_in_bytes_per_s")
LABELS = {
    "emulated": ("emulated devices (simulated)", "dispositivos emulados (simulado)"),
    "balloon": (
        "emulated devices and balloon driver (simulated)",
        "dispositivos emulados y controlador balloon (simulado)",
    ),
    "virtio": ("VirtIO devices (simulated)", "dispositivos VirtIO (simulado)"),
}
COMPARISONS = {
    "total": ("emulated", "virtio", "What changed in all?", "¿Qué cambió en total?"),
    "instrument": (
        "emulated",
        "balloon",
        "What changed when the balloon driver began to answer, with the same devices?",
        "¿Qué cambió cuando el controlador balloon empezó a responder, con los mismos dispositivos?",
    ),
    "devices": (
        "balloon",
        "virtio",
        "What did the VirtIO devices change, measured with the same instrument?",
        "¿Qué cambiaron los dispositivos VirtIO, medido con el mismo instrumento?",
    ),
}


def make_study(folder: Path, story: Story, schedule: Schedule | None = None) -> Study:
    """Write the protocol of the simulated study to `folder/data/simulated/study.yaml` and return it.

    Raises
    ------
    DataError
        If there is such a study already.
    """
    path = folder / "data" / NAME / "study.yaml"
    if path.exists():
        raise DataError(N_("{path}: there is a study already; give the demonstration another folder"), path=path)
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(_protocol(story, schedule), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_study(path)


def one_after_another(now: float) -> tuple[Story, None]:
    """Three configurations one after another until `now` (epoch seconds), by no schedule."""
    return two_servers(now // 60 * 60, hours=HOURS), None


def run_demo(
    folder: Path,
    say: Callable[[Said], None],
    language: str = "en",
    told: Callable[[float], tuple[Story, Schedule | None]] = one_after_another,
) -> Path:
    """Serve the story, collect a study from it over HTTPS, run its notebooks and return the report.

    A demonstration that was interrupted goes on where it was.

    Parameters
    ----------
    folder : Path
        Where `data/simulated` and `reports/simulated` are made.
    say : callable
        Is told one line about each step.
    language : str
        Of the page whose path is returned.
    told : callable
        Present in epoch seconds -> the story, and the schedule that its servers followed.

    Raises
    ------
    DataError
        If the folder has another study of that name, or the collection fails.
    PipelineError
        If a notebook fails.
    """
    from virtio_study.errors import PipelineError
    from virtio_study.workflow.runner import run

    study, story = _begun(folder, told) or _new(folder, told)
    if not _recorded(study):
        _collect(study, story, say)
    outcome = run(study, say=say)
    failed = outcome.error | outcome.skipped
    if failed:
        reasons = [said("{name}: {reason}", name=name, reason=reason) for name, reason in failed.items()]
        raise PipelineError("{reasons}", reasons=reasons)
    return study.reports / f"index.{language}.html"


def _new(folder: Path, told: Callable[[float], tuple[Story, Schedule | None]]) -> tuple[Study, Story]:
    story, schedule = told(time.time())
    return make_study(folder, story, schedule), story


def _begun(folder: Path, told: Callable[[float], tuple[Story, Schedule | None]]) -> tuple[Study, Story] | None:
    """A demonstration that was begun in a folder, with its story, whose present is the end of the last window."""
    path = folder / "data" / NAME / "study.yaml"
    if not path.exists():
        return None
    study = load_study(path)
    story, schedule = told(max((window.end.timestamp() for window in study.windows), default=0.0))
    return (study, story) if yaml.safe_load(path.read_bytes()) == _protocol(story, schedule) else None


def _recorded(study: Study) -> bool:
    try:
        Keys(study).verify_all()
    except DataError:
        return False
    return True


def _collect(study: Study, story: Story, say: Callable[[Said], None]) -> None:
    from virtio_study.sources.api.client import Client
    from virtio_study.sources.api.collecting import collect
    from virtio_study.sources.api.credentials import Credential

    with serve(story) as host:
        address = f"https://{host.host}:{host.port}"
        say(said(N_("a simulated Proxmox VE 9.2 answers at {address}; nothing it says was measured"), address=address))
        endpoint = Endpoint(host=host.host, port=host.port, ca_file=host.ca_file)
        user, name = host.token_id.split("!")
        done = collect(study, Client(endpoint, Credential(user, name, host.token_secret)))
    for item in done.written:
        say(item.told)
    for lost in done.missing:
        form = N_("missing: {server}: {path}: {cause}; {remedy}")
        say(said(form, server=lost.server, path=lost.path, cause=lost.cause, remedy=lost.remedy))


def _protocol(story: Story, schedule: Schedule | None) -> dict[str, Any]:
    named = {}
    for configuration in story.servers[0].configurations:
        en, es = LABELS[configuration.name]
        kinds = devices(configuration.config)
        named[configuration.name] = {
            "label": {"en": en, "es": es},
            "disk": models(kinds, "disk"),
            "nic": models(kinds, "network"),
            "balloon_driver": configuration.balloon_driver,
        }
    comparisons = {
        purpose: {"before": before, "after": after, "purpose": purpose, "question": {"en": en, "es": es}}
        | ({} if purpose == "instrument" else {"with_change": ["balloon driver", "agent", "disk 0 iothread"]})
        for purpose, (before, after, en, es) in COMPARISONS.items()
        if {before, after} <= named.keys()
    }
    if "total" not in comparisons:  # of these configurations the devices are all that differs
        comparisons["devices"]["purpose"] = "total"
    servers, windows = {}, []
    for server in story.servers:
        config = server.configurations[0].config
        servers[server.name] = {
            "vmid": server.vmid,
            "role": {"en": "a simulated server", "es": "un servidor simulado"},
            "vcpus": config["cores"],
            "memory_bytes": f"{config['memory']} MiB",
            "disk_bytes": "32 GiB",
            "guest_os": "windows",
        }
        for boot in lives_of(server):
            start, end = boot.start, min(boot.stop, story.now)
            span = {"start": _instant(start), "end": _instant(end)}
            windows.append({"server": server.name, "driver_config": boot.configuration.name} | span)
    return {
        "title": {
            "en": "A simulated demonstration: nothing was measured",
            "es": "Demostración simulada: nada se midió",
        },
        "source": "recordings",
        "host": {
            "name": "simulated",
            "cpu_model": "simulated processor",
            "logical_cpus": story.host_cpus,
            "memory_bytes": story.host_mem_bytes,
            "hypervisor": "Proxmox VE 9.2 (simulated)",
        },
        "servers": servers,
        "driver_configs": named,
        "comparisons": comparisons,
        "metrics": ["cpu", "mem_displayed", "mem_host"],
        "load": {server.name: [{"column": column, "margin": 0.1} for column in LOAD] for server in story.servers},
        "windows": windows,
        "seed": story.seed,
        **({"daily_cycle": False, "schedule": schedule.model_dump(mode="json")} if schedule else {}),
    }


def _instant(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
