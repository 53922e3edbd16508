"""
Would another analyst say the same?
===================================

Every defensible way to calculate the same effect, in order, each with its interval; the one that the report prints is
marked.
"""

import virtio_study as vs
from virtio_study.report.ways_figure import specification_curve

effect = vs.load_study("lab-qemu").compare("versat", "total").effects["mem_host"]
figure = specification_curve(effect.sensitivity, effect.difference, "mem_host")
