"""
How many boots does a study need?
=================================

From a pilot: the share of studies that would show a fall of the host's memory, by the number of boots a side.
"""

import matplotlib.pyplot as plt

import virtio_study as vs

study = vs.load_study("lab-qemu")
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for drop, marker in ((0.02, "o"), (0.05, "s"), (0.1, "^")):
    plans = study.plan("versat", metric="mem_host", drop=drop).plans
    axes.plot([p.amount for p in plans], [p.power for p in plans], marker + "-", label=f"a fall of {drop:.0%}")
axes.axhline(0.8, color="#222222", linewidth=0.8, linestyle=":")
axes.set_xlabel("boots a side")
axes.set_ylabel("studies that show it")
axes.set_ylim(0, 1.02)
axes.legend(frameon=False)
