"""
How much disk work would a published fall of CPU need?
======================================================

If 26 register accesses become one, so many requests a second, all day, explain a fall of the CPU. The published fall
is 19 % of 3 vCPUs.
"""

import matplotlib.pyplot as plt

from virtio_study.analysis.plausibility import implied_rate

falls = [0.1, 0.2, 0.3, 0.4, 0.5, 0.57, 0.7]
needed = [implied_rate(fall, before=26, after=1) for fall in falls]
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.fill_between(
    falls,
    [n.high for n in needed],
    [n.low for n in needed],
    color="#56b4e9",
    alpha=0.35,
    label="dearest to cheapest exit",
)
axes.plot(falls, [n.typical for n in needed], color="#0072b2", label="typical exit")
axes.axvline(0.57, color="#222222", linewidth=0.8, linestyle=":")
axes.set_xlabel("fall of the CPU (cores)")
axes.set_ylabel("disk requests a second")
axes.set_yscale("log")
axes.legend(frameon=False)
