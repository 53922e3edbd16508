"""What is kept from kernels: whatever of the user's environment would change a notebook."""

import json
import os
import sys
from pathlib import Path

from virtio_study.environment import DRAWN

__all__ = ["KERNEL", "isolate"]

KERNEL = "python3"

FOREIGN = ("PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONINSPECT", "MPLBACKEND")
"""Variables that would run code of the user's in a kernel, or put warnings and other figures into a notebook."""


def isolate(scratch: Path) -> None:
    """Let kernels that this process starts be of its own interpreter, with nothing of the user's but the packages.

    Parameters
    ----------
    scratch : Path
        A temporary folder of the run; the kernel's specification, whatever it wants to write in a home, and the
        figures that several notebooks show are there.
    """
    for name in FOREIGN:
        os.environ.pop(name, None)
    own = scratch / f"jupyter-{os.getpid()}"
    spec = own / "kernels" / KERNEL / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    launched = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": launched, "display_name": "Python 3", "language": "python"}), encoding="utf-8")
    drawn = scratch / "drawn"
    drawn.mkdir(exist_ok=True)
    os.environ[DRAWN] = str(drawn)
    os.environ.update(
        IPYTHONDIR=str(own / "ipython"),
        JUPYTER_PATH=str(own),  # before every other place where a kernel of this name may be
        JUPYTER_RUNTIME_DIR=str(own / "runtime"),
        PYTHONHASHSEED="0",
    )
    if not _fonts_are_kept():
        os.environ["MPLCONFIGDIR"] = str(own / "matplotlib")
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")  # several notebooks run at a time; who says otherwise is heard


def _fonts_are_kept() -> bool:
    """Whether matplotlib has a place for its list of fonts; without one it warns in the notebook (`get_cachedir`)."""
    home = os.path.expanduser("~/.cache")  # noqa: PTH111 - of a user without a home it is left as it is
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home) / "matplotlib"
    named = Path(os.environ.get("MPLCONFIGDIR") or cache)
    if not named.is_absolute():
        return False
    try:
        named.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(named, os.W_OK | os.X_OK)
