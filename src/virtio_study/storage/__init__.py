"""Files of a study: atomic writing, checksums, and the manifest that lists what was recorded.

Needs nothing but the standard library, so that finding out that nothing changed is quick.
"""

from virtio_study.storage.files import (
    append_whole,
    cut_unfinished,
    json_bytes,
    replacing,
    saying_why,
    sha256,
    sweep,
    write_atomically,
    write_json,
)
from virtio_study.storage.listing import manifest_bytes, plain_bytes, written_otherwise
from virtio_study.storage.locks import locked, scratch_folder
from virtio_study.storage.manifest import (
    add_file,
    commit,
    compact,
    manifest,
    one_writer,
    read_verified,
    verify_file,
)
from virtio_study.storage.places import PACKAGE, SHIPPED, shipped
from virtio_study.storage.sums import as_summed, files_summed, summed, sums_of

__all__ = [
    "PACKAGE",
    "SHIPPED",
    "add_file",
    "append_whole",
    "as_summed",
    "commit",
    "compact",
    "cut_unfinished",
    "files_summed",
    "json_bytes",
    "locked",
    "manifest",
    "manifest_bytes",
    "one_writer",
    "plain_bytes",
    "read_verified",
    "replacing",
    "saying_why",
    "scratch_folder",
    "sha256",
    "shipped",
    "summed",
    "sums_of",
    "sweep",
    "verify_file",
    "write_atomically",
    "write_json",
    "written_otherwise",
]
