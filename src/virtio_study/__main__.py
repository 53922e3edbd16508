"""`python -m virtio_study`: the command line."""

from virtio_study.cli import main

main()
