"""
Do the published numbers fit into their servers?
================================================

Printed memory of a paper's two servers beside the 4 GB that each was given.
"""

import matplotlib.pyplot as plt

import virtio_study as vs

audit = vs.load_study("lab-qemu").results().published
memory = [
    value for value in audit.values if value.metric == "mem_displayed" and value.driver_config and not value.repeats
]
names = [f"{value.server}, {value.driver_config}" for value in memory]
sizes = [value.value * {"GB": 1, "MB": 1e-3}[value.unit] for value in memory]
figure, axes = plt.subplots(figsize=(7, 0.32 * len(memory) + 1), layout="constrained")
axes.barh(names, sizes, color=["#d55e00" if size > 4 else "#0072b2" for size in sizes])
axes.axvline(4, color="#222222", linewidth=0.8, linestyle=":")
axes.invert_yaxis()
axes.set_xlabel("GB; dotted: what the server has")
