"""Every attack by its name."""

from torture import canary, crash, disk, every_write, inputs, lab, long, network, page, pairs
from torture.attack import Attack

__all__ = ["ATTACKS"]

ATTACKS: dict[str, Attack] = {
    "crash-live": crash.collect_and_watch,
    "crash-files": crash.answers,
    "crash-run": crash.runs,
    "crash-archive": crash.exports_and_verifications,
    "crash-lab": lab.records,
    "disk-files": disk.full_for_imports,
    "disk-watch": disk.full_for_watch,
    "disk-every-write": every_write.fails,
    "disk-unreadable": disk.unreadable,
    "one-byte": disk.changed_bytes,
    "pairs-files": pairs.of_imports,
    "pairs-commands": pairs.of_commands,
    "pairs-run": pairs.of_runs,
    "inputs": inputs.every_reader,
    "network-answers": network.hostile_host,
    "network-strangers": network.strangers,
    "page": page.hostile_texts,
    "page-live": page.hostile_host,
    "secrets": canary.every_command,
    "clock": long.jumping_clock,
    "soak": long.soak,
}
