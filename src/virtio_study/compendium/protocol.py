"""The protocol of a new compendium from what a person knows, where no host is asked."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from virtio_study.i18n.language import ENGLISH, Words
from virtio_study.i18n.marks import N_
from virtio_study.sources.api.drafting import TAIL, TITLE, configs_of, questions_of

__all__ = ["EXAMPLE", "Known", "KnownServer", "written"]


@dataclass(frozen=True)
class KnownServer:
    """A server as its researcher describes it; memory with its unit, such as `4 GiB`."""

    vmid: int
    role: tuple[str, str]
    vcpus: int
    memory: str
    guest_os: str | None


@dataclass(frozen=True)
class Known:
    """A host, its servers by name, and the models of the disks and cards that they have before the change."""

    host: str
    cpu_model: str
    logical_cpus: int
    memory: str
    hypervisor: str
    servers: Mapping[str, KnownServer]
    disk: str = "ide"
    card: str = "e1000"


EXAMPLE = Known(
    host="pve1 (say which it is)",
    cpu_model="(say which it is)",
    logical_cpus=8,
    memory="64 GiB",
    hypervisor="Proxmox VE 9 (say which it is)",
    servers={"server": KnownServer(100, ("(say what it does)", "(diga qué hace)"), 2, "4 GiB", None)},
)
"""What stands in a protocol of which nothing is known yet; `workflow.check.unfinished` names every text of it."""


def written(known: Known, words: Words = ENGLISH) -> str:
    """Commented `study.yaml` of what is known, with comments in a language."""
    protocol = {
        "title": TITLE,
        "source": "recordings",
        "host": {
            "name": known.host,
            "cpu_model": known.cpu_model,
            "logical_cpus": known.logical_cpus,
            "memory_bytes": known.memory,
            "hypervisor": known.hypervisor,
        },
        "servers": {
            name: {
                "vmid": server.vmid,
                "role": {"en": server.role[0], "es": server.role[1]},
                "vcpus": server.vcpus,
                "memory_bytes": server.memory,
                "guest_os": server.guest_os,
            }
            for name, server in known.servers.items()
        },
        "driver_configs": configs_of(known.disk, known.card),
        **questions_of([*known.servers]),
    }
    text = yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False, width=110)
    return words.gettext(HEAD) + text + words.gettext(TAIL)


HEAD = N_("""\
# A protocol to complete. No host was asked: hold every value against it. What says "(say ...)" is named by
# virtio-study check until it is said. So that doctor, collect and watch find the host, add, and never the token:
# proxmox: {host: pve1, ca_file: pve-root-ca.pem}
""")
