"""Errors whose message is one line for the user: what, where, what was expected, what to do next."""

__all__ = ["DataError", "LabError", "PipelineError", "StudyError", "VirtioStudyError"]


class VirtioStudyError(Exception):
    """Base of every error that the user can act on; the command line prints its text alone."""


class StudyError(VirtioStudyError):
    """The protocol (`study.yaml`) or a name in it is wrong."""


class DataError(VirtioStudyError):
    """A recording, manifest or table is missing, damaged or does not keep the schema."""


class LabError(VirtioStudyError):
    """QEMU, the guest or a program that the lab needs did not do what it should."""


class PipelineError(VirtioStudyError):
    """A notebook failed or could not be run."""
