"""`python -m virtio_study`: the command line."""

from virtio_study.cli.main import main

__all__: list[str] = []

main()
