"""The API token or password, from where a secret may be: the environment, a file of its owner, or a keyring."""

import importlib
import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_

__all__ = ["Credential", "credential", "parse"]

TOKEN, TOKEN_FILE, PASSWORD = "VIRTIO_STUDY_PVE_TOKEN", "VIRTIO_STUDY_PVE_TOKEN_FILE", "VIRTIO_STUDY_PVE_PASSWORD"
USER = "VIRTIO_STUDY_PVE_USER"
DEFAULT_FILE = "~/.config/virtio-study/token"
KEYRING_SERVICE = "virtio-study"
NEW_TOKEN = (
    "pveum user add study@pve && pveum user token add study@pve collector --privsep 1 && "
    "pveum acl modify / --users study@pve --roles PVEAuditor && "
    "pveum acl modify / --tokens 'study@pve!collector' --roles PVEAuditor"
)
"""Lines for a root shell of the host, as in docs/proxmox.md; the second prints the secret once."""
FORM = re.compile(r"(?P<user>[^@=\s]+@[^!@=\s]+)!(?P<name>[\w.-]+)=(?P<secret>\S+)")
HEADER = re.compile(r"(?:Authorization:\s*)?PVEAPIToken[= ]", re.I)
"""What a request's header has before a token; examples of curl have it too."""


@dataclass(frozen=True)
class Credential:
    """A token (`name` and secret) or a password (`name` empty); the secret is in no text that is made of it."""

    user: str
    name: str
    secret: str = field(repr=False)

    @property
    def token_id(self) -> str:
        """What Proxmox VE calls it: `user@realm!name`, or the user."""
        return f"{self.user}!{self.name}" if self.name else self.user


def parse(text: str, where: str) -> Credential:
    """Read `user@realm!name=uuid`; the error says where it is and never what is in it."""
    plain = text.strip().strip("'\"")
    found = FORM.fullmatch(HEADER.sub("", plain, count=1) if HEADER.match(plain) else plain)
    if found is None:
        raise StudyError(
            N_("{where}: not a token; expected user@realm!name=secret, as pveum user token add prints it"), where=where
        )
    return Credential(found["user"], found["name"], found["secret"])


def credential(host: str, environment: Mapping[str, str] | None = None) -> Credential:
    """Find the token or password for a host.

    Looked for in `VIRTIO_STUDY_PVE_TOKEN`; in `VIRTIO_STUDY_PVE_USER` with `VIRTIO_STUDY_PVE_PASSWORD` (Proxmox VE
    before 6.2 has no tokens); in the file that `VIRTIO_STUDY_PVE_TOKEN_FILE` names, or `~/.config/virtio-study/token`,
    which nobody but its owner may read; and in the keyring, where the package `keyring` is installed.

    Raises
    ------
    StudyError
        If there is none, it has another form, or others may read the file.
    """
    known = os.environ if environment is None else environment
    if known.get(TOKEN):
        return parse(known[TOKEN], TOKEN)
    if known.get(USER) and known.get(PASSWORD):
        return Credential(known[USER], "", known[PASSWORD])
    path = Path(os.path.expanduser(known.get(TOKEN_FILE) or DEFAULT_FILE))  # noqa: PTH111 - a user may have no home
    if path.is_file():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise StudyError(
                N_("{path}: mode {mode:04o} lets others read the token; run: chmod 600 {quoted}"),
                path=path,
                mode=mode,
                quoted=shlex.quote(str(path)),
            )
        try:
            return parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(N_("{path}: cannot be read: {error}"), path=path, error=type(error).__name__) from None
    if stored := _from_keyring(host):
        return parse(stored, f"keyring, {KEYRING_SERVICE} {host}")
    raise StudyError(
        N_(
            "no token for {host}: make one on it, that can only read: {lines}; then here: export "
            "{token}='study@pve!collector=SECRET', or write study@pve!collector=SECRET to {path} and chmod 600 it"
        ),
        lines=NEW_TOKEN,
        host=host,
        token=TOKEN,
        path=path,
    )


def _from_keyring(host: str) -> str | None:
    try:  # optional, and without types
        keyring, errors = importlib.import_module("keyring"), importlib.import_module("keyring.errors")
    except ImportError:
        return None
    try:
        found = keyring.get_password(KEYRING_SERVICE, host)
    except errors.KeyringError:  # such as on a server, which has none
        return None
    return found if isinstance(found, str) else None
