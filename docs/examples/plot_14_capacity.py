"""
How many more such servers fit on the host?
===========================================

By the rule of four virtual cores to a core, and by the memory that each server was seen to spend.
"""

import matplotlib.pyplot as plt

import virtio_study as vs
from virtio_study.analysis import capacity

study = vs.load_study("lab-qemu")
sides = {"emulated": "before", "virtio": "after"}
spent = {name: study.describe("versat", name).levels["mem_host"].sustained.estimate for name in sides}
fitting = [capacity.fits_measured(study.host, spent[name]).by_memory for name in sides]
figure, axes = plt.subplots(figsize=(7, 2), layout="constrained")
bars = axes.barh(list(sides.values()), fitting, color=["#d55e00", "#009e73"])
axes.bar_label(bars, padding=4)
axes.invert_yaxis()
axes.set_xlabel("servers that the host's memory holds")
