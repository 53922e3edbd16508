"""
What does one disk request cost an emulated disk?
=================================================

Accesses to device registers for each 4 KiB read and each packet, counted in QEMU. Under KVM each is an exit from the
guest, so these numbers carry over where the emulator's CPU seconds do not.
"""

import virtio_study as vs

counts = vs.load_study("lab-qemu").results().counts
figure = vs.figures.accesses(counts)
