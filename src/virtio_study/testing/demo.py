"""The demonstration: a simulated host, a study of its two servers collected from it live, and the report.

Every number in it is invented by `virtio_study.testing.story`; title, host and driver configurations say so.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from virtio_study.errors import DataError
from virtio_study.study import Study, load_study
from virtio_study.testing.pve import Host, Story, serve, two_servers
from virtio_study.testing.truth import boots

__all__ = ["HOURS", "make_study", "run_demo"]

HOURS = (72, 72, 72)
"""How long each configuration is in force: more than two whole days, which a server with a daily cycle needs."""

NAME, QEMU_SERVER = "simulated", "9.2.6"
LABELS = {
    "emulated": ("emulated devices (simulated)", "dispositivos emulados (simulado)"),
    "balloon": ("emulated devices and balloon driver (simulated)", "dispositivos emulados y driver balloon (simulado)"),
    "virtio": ("VirtIO devices (simulated)", "dispositivos VirtIO (simulado)"),
}
COMPARISONS = {
    "total": ("emulated", "virtio", "What changed in all?", "¿Qué cambió en total?"),
    "instrument": (
        "emulated",
        "balloon",
        "What changed when the balloon driver began to answer, with the same devices?",
        "¿Qué cambió cuando el driver balloon empezó a responder, con los mismos dispositivos?",
    ),
    "devices": (
        "balloon",
        "virtio",
        "What did the VirtIO devices change, measured with the same instrument?",
        "¿Qué cambiaron los dispositivos VirtIO, medido con el mismo instrumento?",
    ),
}


def make_study(folder: Path, story: Story) -> Study:
    """Write the protocol of the simulated study to `folder/data/simulated/study.yaml` and return it.

    Raises
    ------
    DataError
        If there is such a study already.
    """
    path = folder / "data" / NAME / "study.yaml"
    if path.exists():
        raise DataError(f"{path}: there is a study already; give the demonstration another folder")
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(_protocol(story), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_study(path)


def run_demo(folder: Path, say: Callable[[str], None]) -> Path:
    """Serve the story, collect a study from it over HTTPS, run its notebooks and return the report.

    Parameters
    ----------
    folder : Path
        Where `data/simulated` and `reports/simulated` are made.
    say : callable
        Is told one line about each step.

    Raises
    ------
    DataError
        If the folder has such a study already, or the collection fails.
    PipelineError
        If a notebook fails.
    """
    from virtio_study.errors import PipelineError
    from virtio_study.pipeline import run

    story = two_servers(hours=HOURS)
    study = make_study(folder, story)
    with serve(story) as host:
        say(f"a simulated Proxmox VE 9.2 answers at https://{host.host}:{host.port}; nothing it says was measured")
        for _, sentence in collect(study, story, host):
            say(sentence)
    outcome = run(study, say=say)
    failed = outcome.error | outcome.skipped
    if failed:
        raise PipelineError("; ".join(f"{name}: {reason}" for name, reason in failed.items()))
    return study.reports / "index.en.html"


def collect(study: Study, story: Story, host: Host) -> list[tuple[str, str]]:
    """Ask the host for every server's rrddata, keep the answers, and record the study's windows from them."""
    from virtio_study.sources import exports, intake, rows

    written = []
    for name, server in study.servers.items():
        answers = []
        for timeframe in ("day", "month"):
            path = f"nodes/{story.node}/qemu/{server.vmid}/rrddata?timeframe={timeframe}&cf=AVERAGE"
            file = study.folder / "answers" / f"{name}-{timeframe}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(_get(host, path)), encoding="utf-8")
            answers.append(file)
        frames = {
            float(step): rows.rrd_frame(found, step, "AVERAGE", f"rrddata of {name}", QEMU_SERVER)
            for step, found in exports.read_rrddata(answers).items()
        }
        said = {"kind": "simulated", "source": "rrddata of a simulated Proxmox VE host, over its API, AVERAGE"}
        about = {"inputs": intake.keep_raw(study, answers), "versions": {"qemu-server": f"{QEMU_SERVER} (simulated)"}}
        written += intake.write_windows(study, name, frames, "rrddata", said | about)
    return written


def _get(host: Host, path: str) -> Any:
    """Return the `data` of an answer; the certificate is verified with the host's own CA."""
    import requests

    try:
        answer = requests.get(
            f"https://{host.host}:{host.port}/api2/json/{path}",
            headers={"Authorization": f"PVEAPIToken={host.token_id}={host.token_secret}"},
            verify=str(host.ca_file),
            timeout=35,
        )
        answer.raise_for_status()
        return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise DataError(f"{path}: the simulated host did not answer: {error}") from error


def _protocol(story: Story) -> dict[str, Any]:
    named = {name: {"label": {"en": en, "es": es}} for name, (en, es) in LABELS.items()}
    comparisons = {
        purpose: {"before": before, "after": after, "purpose": purpose, "question": {"en": en, "es": es}}
        for purpose, (before, after, en, es) in COMPARISONS.items()
    }
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
        for boot in boots(server):
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
        "windows": windows,
        "seed": story.seed,
    }


def _instant(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
