"""
How much does a restart alone change?
=====================================

Every dot is the level of one boot. Two of these configurations are the same one, started again: their distance is
what a restart alone does, and no effect of a driver should be believed that is not larger.
"""

import virtio_study as vs

study = vs.load_study("lab-qemu")
chosen = ["emulated", "emulated-again", "virtio"]
levels = {name: study.describe("versat", name) for name in chosen}
labels = {name: study.driver_config(name).label.en for name in chosen}
figure = vs.figures.boot_levels(levels, "mem_host", labels)
