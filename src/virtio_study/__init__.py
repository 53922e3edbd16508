"""What do VirtIO drivers change in the CPU and RAM of Proxmox virtual servers, and can it be believed?

>>> import virtio_study as vs
>>> study = vs.load_study("lab-qemu")
>>> study.compare("versat", "total").effects["mem_host"].status
'estimated'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from virtio_study.errors import VirtioStudyError
    from virtio_study.i18n.language import words
    from virtio_study.public import OpenStudy, diff, explore, load_study, read_results, verify
    from virtio_study.report import figures, pictures, switching, tables, waterfall

__all__ = [
    "OpenStudy",
    "VirtioStudyError",
    "diff",
    "explore",
    "figures",
    "load_study",
    "pictures",
    "read_results",
    "switching",
    "tables",
    "verify",
    "waterfall",
    "words",
]

__version__ = "0.1.0"

_HOMES = {
    "VirtioStudyError": "errors",
    "words": "i18n.language",
    "figures": "report",
    "pictures": "report",
    "switching": "report",
    "tables": "report",
    "waterfall": "report",
}
"""Public name -> where it is, if not in `public`."""


def __getattr__(name: str) -> Any:
    # Every name is imported when it is first used: the command line's help must not wait for pandas.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'public')}")
    found = getattr(home, name, None) or importlib.import_module(f"{home.__name__}.{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
