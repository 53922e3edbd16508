"""The command line, thin: every command is one call of the library."""

from virtio_study.cli.main import main

__all__ = ["main"]
