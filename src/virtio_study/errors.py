"""Errors whose message is one line for the user: what, where, what was expected, what to do next."""

from virtio_study.i18n.sentences import Number, Numbers, render

__all__ = ["DataError", "LabError", "PipelineError", "StudyError", "VirtioStudyError"]


class VirtioStudyError(Exception):
    """Base of every error that the user can act on; the command line prints its text alone.

    With numbers, the message is a template for `sentences.render`, so that a report can say it in its language.
    """

    def __init__(self, message: str = "", **numbers: Number) -> None:
        super().__init__(render(message, numbers) if numbers else message)
        self.message = message if numbers else "{reason}"
        self.numbers: Numbers = numbers or {"reason": message}


class StudyError(VirtioStudyError):
    """The protocol (`study.yaml`) or a name in it is wrong."""


class DataError(VirtioStudyError):
    """A recording, manifest or table is missing, damaged or does not keep the schema."""


class LabError(VirtioStudyError):
    """QEMU, the guest or a program that the lab needs did not do what it should."""


class PipelineError(VirtioStudyError):
    """A notebook failed or could not be run."""
