"""The public face: a study opened for JupyterLab, and results read and compared."""

from virtio_study.public.exploring import explore
from virtio_study.public.opened import OpenStudy, load_study
from virtio_study.public.written import diff, read_results, verify

__all__ = ["OpenStudy", "diff", "explore", "load_study", "read_results", "verify"]
