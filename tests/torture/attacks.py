"""Every attack by its name."""

from torture import canary, crash, disk, every_write, inputs, lab, long, network, page, pairs
from torture.attack import Attack

__all__ = ["ALONE", "ATTACKS", "SHARES"]

ATTACKS: dict[str, Attack] = {
    "crash-collect": crash.collect,
    "crash-watch": crash.watch,
    "crash-files": crash.answers,
    "crash-run": crash.runs,
    "crash-export": crash.exports,
    "crash-verify": crash.verifications,
    "crash-fleet": crash.fleets,
    "crash-explain": crash.pages,
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

ALONE = {"soak"}
"""Attacks that only take place when they are named: a watch of days says nothing after a minute."""

SHARES = {
    "crash-collect": 1.5,
    "crash-run": 1.5,
    "crash-export": 0.5,
    "crash-explain": 0.5,
    "disk-files": 0.5,
    "disk-watch": 0.5,
    "disk-every-write": 6.0,
    "disk-unreadable": 0.5,
    "one-byte": 0.3,
    "pairs-files": 0.3,
    "pairs-commands": 1.5,
    "pairs-run": 0.5,
    "inputs": 1.5,
    "network-answers": 0.5,
    "network-strangers": 0.5,
    "page": 0.5,
    "page-live": 0.5,
    "clock": 0.4,
}
"""How many times the seconds that are given an attack takes, where it is not once; it ends before when all is tried."""
