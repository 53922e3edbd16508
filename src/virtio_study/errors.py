"""Errors whose message is one line for the user: what, where, what was expected, what to do next."""

from collections.abc import Mapping
from typing import Any

from virtio_study.i18n.sentences import Numbers, clipped, render, sayable

__all__ = [
    "BusyError",
    "ClusterError",
    "DataError",
    "LabError",
    "NoRoomError",
    "PipelineError",
    "PlugInError",
    "StudyError",
    "VirtioStudyError",
]


LONGEST = 600
"""So many characters of a text that fills a message are shown: it may be all that stands in a file."""


def _short(value: Any) -> Any:
    """What fills a message with every text in it, also of messages within it, cut to a readable length."""
    if isinstance(value, str):
        return clipped(value, LONGEST)
    if isinstance(value, Mapping):
        return {**value, "numbers": {key: _short(inner) for key, inner in value["numbers"].items()}}
    return [_short(inner) for inner in value] if isinstance(value, list) else value


class VirtioStudyError(Exception):
    """Base of every error that the user can act on; the command line prints its text alone.

    The message is a template for `sentences.render` with the numbers that fill it, so that a report or the command line
    can say it in its reader's language; the error's own text is English. Without numbers it is taken to the letter.

    Examples
    --------
    >>> try:
    ...     vs.load_study("lab-qemu").compare("versatt")
    ... except vs.VirtioStudyError as error:
    ...     print(str(error).partition(": ")[2])
    unknown server 'versatt' (did you mean 'versat'?); known: versat, dominio, archivos
    """

    def __init__(self, message: str = "", /, **numbers: object) -> None:
        self.message = message if numbers else message.replace("{", "{{").replace("}", "}}")
        self.numbers: Numbers = {key: _short(sayable(value)) for key, value in numbers.items()}
        super().__init__(render(self.message, self.numbers))


class StudyError(VirtioStudyError):
    """The protocol (`study.yaml`) or a name in it is wrong."""


class DataError(VirtioStudyError):
    """A recording, manifest or table is missing, damaged or does not keep the schema."""


class NoRoomError(DataError):
    """A disk is full; what was stored before is whole, and the same can be tried again."""


class BusyError(DataError):
    """Another program writes the same study."""


class LabError(VirtioStudyError):
    """QEMU, the guest or a program that the lab needs did not do what it should."""


class ClusterError(VirtioStudyError):
    """The workers of a cluster, or their scheduler, are not there, were lost, or are of other versions."""


class PipelineError(VirtioStudyError):
    """A notebook failed or could not be run."""


class PlugInError(VirtioStudyError):
    """A function that another package adds fails, or gives something else than it should."""
