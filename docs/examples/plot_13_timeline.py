"""
What was recorded when?
=======================

Runs of every server of the study on a genuine Proxmox VE, by driver configuration, their start-up pale.
"""

import virtio_study as vs
from virtio_study.report.timeline_figure import timeline

study = vs.load_study("pve-rig")
labels = {name: config.label.en for name, config in study.driver_configs.items()}
figure = timeline(study.results().timeline, labels)
