"""Processes that end with the one that started them, however that ends, and from their first moment on."""

import ctypes
import os
import signal
import sys

__all__ = ["end_with"]

SET_PARENT_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux `prctl(2)`; it is of the thread that started this process."""


def end_with(parent: int) -> None:
    """Let the kernel end this process when its parent is gone, and end it now if that is gone already.

    Where there is no such call, what reads from a pipe of its parent ends with that.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
