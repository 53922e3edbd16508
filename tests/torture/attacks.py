"""Every attack by its name."""

from torture import crash
from torture.attack import Attack

__all__ = ["ATTACKS"]

ATTACKS: dict[str, Attack] = {
    "crash-live": crash.collect_and_watch,
}
