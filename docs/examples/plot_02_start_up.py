"""
When has a server started?
==========================

A server's first minutes are not its level. The start-up is found in the rows and left out; it is shaded here.
"""

import virtio_study as vs

study = vs.load_study("lab-qemu")
rows = study.clean("versat", "virtio")
figure = vs.figures.over_time(rows)
