"""
Which ingredient did it?
========================

"VirtIO" is several things: the balloon driver, its free page reporting, the disk and the card. The whole change is
taken apart, step by step.
"""

import virtio_study as vs

study = vs.load_study("lab-qemu")
found = vs.waterfall.taken_apart(study.compare("versat", "total"))
figure, bars = vs.waterfall.waterfall(found)
print(bars.round(1).to_string(index=False))
