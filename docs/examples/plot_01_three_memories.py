"""
Which of the three memories fell?
=================================

Proxmox VE displays one figure. What it means changes when the balloon driver begins to report, so there are three:
the displayed one, what the host spends, and what the guest uses.
"""

import virtio_study as vs

study = vs.load_study("lab-qemu")
path = ["emulated", "balloon", "reporting", "virtio"]
levels = {name: study.describe("versat", name) for name in path}
labels = {name: study.driver_config(name).label.en for name in path}
figure = vs.figures.ram_by_instrument(levels, labels)
