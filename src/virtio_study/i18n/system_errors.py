"""What the operating system refused, in words that say what to do; its own are a number and a few words."""

import errno

from virtio_study.i18n.marks import N_

__all__ = ["REASONS"]

FULL = N_("the disk is full; make room there and run the same command again, it goes on from there")

REASONS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: N_("the quota of disk space is used up; make room there and run the same command again"),
    errno.EROFS: N_("it is on a disk that can only be read; choose another folder, or mount it for writing"),
    errno.EACCES: N_("this user has no right to it; give the right, or run as its owner"),
    errno.EPERM: N_("this user has no right to it; give the right, or run as its owner"),
    errno.EIO: N_("the disk reports an error (EIO); look at dmesg, and restore the file from a copy"),
    errno.ENOENT: N_("it is not there"),
    errno.EISDIR: N_("it is a folder, not a file"),
    errno.ENOTDIR: N_("part of its path is a file, not a folder"),
    errno.ENAMETOOLONG: N_("its name is longer than this disk can hold; choose a shorter one"),
    errno.ELOOP: N_("its links lead round in a circle"),
    errno.EMFILE: N_("too many files are open; raise the limit with: ulimit -n 4096"),
    errno.ENFILE: N_("too many files are open on this machine; end other programs"),
    errno.ENOMEM: N_("there is no memory left; end other programs, or give it more"),
    errno.EFBIG: N_("it grew beyond what this disk or user may have in a file (ulimit -f)"),
    errno.ESTALE: N_("the network disk that it is on was lost; mount it again"),
    errno.EBUSY: N_("another program is using it; end that one first"),
    errno.EEXIST: N_("it is there already"),
    errno.ECONNREFUSED: N_("nothing answers at that address and port"),
    errno.EADDRINUSE: N_("another program has that address and port"),
}
"""Number of an error of the system -> what it is, and what to do. Others keep the system's words."""
