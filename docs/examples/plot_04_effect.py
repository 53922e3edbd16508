"""
Did the host's memory fall, and by how much?
============================================

Both sides with their boots, and below the difference with its interval on an axis of its own. The grey band is what
does not matter in practice.
"""

import virtio_study as vs

study = vs.load_study("lab-qemu")
total = study.compare("versat", "total")
effect = total.effects["mem_host"]
sides = ("emulated", "virtio")
levels = {name: study.describe("versat", name) for name in sides}
labels = {name: study.driver_config(name).label.en for name in sides}
print(effect.sentence)
figure = vs.figures.estimation(levels, "mem_host", effect, sides, labels)
