"""Where this package is, and what comes with it."""

from pathlib import Path

__all__ = ["PACKAGE", "SHIPPED", "shipped"]

PACKAGE = Path(__file__).parents[1]
"""Folder of this package."""

SHIPPED = "shipped"
"""Folder of an installed package that holds what stands beside `src/` in a checkout; see `hatch_build.py`."""


def shipped(name: str) -> Path:
    """Where something stands that comes with this package and is none of its code, such as `notebooks`."""
    inside = PACKAGE / SHIPPED / name
    return inside if inside.exists() else PACKAGE.parents[1] / name
