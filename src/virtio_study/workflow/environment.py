"""What made the results of a study here: interpreter, packages, processor features and BLAS.

None of it may change a result; if one comes out otherwise somewhere, this is what is compared.
"""

import os
import platform
import re
import sys
from importlib import metadata
from typing import Any

__all__ = ["environment"]

SETTINGS = (
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
)
"""Settings that choose how numpy and its BLAS compute."""


def environment() -> dict[str, Any]:
    """Interpreter, platform, processor features that numpy uses, BLAS, settings of both, and versions of packages."""
    import numpy as np

    built: Any = np.show_config(mode="dicts")
    blas = built["Build Dependencies"]["blas"]
    simd = built["SIMD Extensions"]
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": {"system": platform.system(), "machine": platform.machine(), "libc": "-".join(platform.libc_ver())},
        "processor": sorted({*simd.get("baseline", []), *simd.get("found", [])}),
        "blas": f"{blas['name']} {blas['version']}",
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "packages": _packages(),
    }


def _packages() -> dict[str, str]:
    """Versions of this package and of those that it declares to need."""
    needed = [item for item in metadata.requires("virtio-study") or [] if "extra ==" not in item]
    names = ["virtio-study", *(re.split(r"[^A-Za-z0-9._-]", item)[0] for item in needed)]
    return {name: metadata.version(name) for name in sorted(names)}
