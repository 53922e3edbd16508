"""Functions of other installed packages, found by their entry points: checks of validity and sources of files.

Nothing of a package runs before something of its group is asked for. What fails in one is said with its package's name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from virtio_study.errors import PlugInError
from virtio_study.i18n.marks import N_

__all__ = ["CHECKS", "SOURCES", "PlugIn", "plug_ins"]

CHECKS = "virtio_study.checks"
"""Group of `(before: Side, after: Side) -> Check`; a check has the name of its entry point."""

SOURCES = "virtio_study.sources"
"""Group of `(paths: Sequence[Path], server: Server) -> DataFrame` of the schema; each is a command of `files`."""


@dataclass(frozen=True)
class PlugIn:
    """A function that a package adds under a name."""

    name: str
    package: str
    version: str
    entry: metadata.EntryPoint

    def call(self, *arguments: Any) -> Any:
        """What the function gives.

        Raises
        ------
        PlugInError
            If it cannot be imported or fails.
        """
        try:
            function: Callable[..., Any] = self.entry.load()
            return function(*arguments)
        except Exception as error:  # code of others can fail in any way: the user is told whose it is, with the cause
            raise self.wrong(f"{type(error).__name__}: {error}") from error

    def wrong(self, why: str) -> PlugInError:
        """The error that names the function, its package and what is wrong with it."""
        text = N_("{name} of the package {package} {version}: {why}; mend the package, or uninstall it")
        return PlugInError(text, name=self.name, package=self.package, version=self.version, why=why)


@cache
def plug_ins(group: str) -> dict[str, PlugIn]:
    """What installed packages add to a group, in order of name.

    Raises
    ------
    PlugInError
        If two packages add the same name.
    """
    found: dict[str, PlugIn] = {}
    for entry in sorted(metadata.entry_points(group=group), key=lambda entry: entry.name):
        package, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")
        added = PlugIn(entry.name, package, version, entry)
        if entry.name in found and found[entry.name].entry.value != entry.value:
            raise added.wrong(f"{found[entry.name].package} adds the same name")
        found[entry.name] = added
    return found
