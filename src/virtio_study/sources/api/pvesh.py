"""Asking through the command `pvesh`, on the host itself or over SSH, with proxmoxer's own backends for it.

A fresh `pvesh` has seen no CPU time before, so that `cpu` of its `status/current` is always 0 (qemu-server, `vmstatus`:
the figure is the difference to the same process' last call). rrddata, which `pvestatd` writes, are as through the API.
"""

import contextlib
import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import astuple

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import said
from virtio_study.limits import ANSWER_BYTES, Printed, TooMuchPrintedError, output_of
from virtio_study.sources.api.backend import Api, run_by
from virtio_study.study import Endpoint

__all__ = ["PveshError", "ask", "connect"]

STATUS = re.compile(r"^([1-5]\d\d) (\S.*)", re.MULTILINE)
"""An HTTP status as pvesh writes it."""

REFUSED = (
    ("Permission denied", N_("SSH as {user} is refused; allow this user's key there: ssh-copy-id {user}@{host}")),
    ("Host key verification failed", N_("its SSH key is not known here; run ssh {user}@{host} once and compare it")),
)


SSH_FAILED = 255
"""Exit code of ssh itself."""


class SshError(Exception):
    """What ssh says where it cannot log in, or loses its connection."""


class PveshError(Exception):
    """A request that pvesh or the way to it refused: the HTTP status (0 for no answer), and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status, self.reason = status, reason


def connect(endpoint: Endpoint, timeout_s: float) -> Api:
    """A proxmoxer API over `pvesh`; `StudyError` if the package for SSH is not installed."""
    from proxmoxer import ProxmoxAPI

    if endpoint.backend == "local":
        local: Api = ProxmoxAPI(backend="local", timeout=timeout_s)
        run_by(local, lambda words: astuple(_printed(words, timeout_s)))
        return local
    try:
        importlib.import_module("openssh_wrapper")  # proxmoxer ends the program where it cannot be imported
    except ImportError:
        raise StudyError(
            N_(
                "proxmox.backend: openssh needs the package openssh-wrapper, and Python before 3.13; run: pip "
                "install openssh-wrapper; or use backend: https"
            )
        ) from None
    config = endpoint.ssh_config.expanduser() if endpoint.ssh_config else None
    if config and not config.is_file():
        raise StudyError(
            N_("proxmox.ssh_config: {path} is not there; expected a file in the form of ssh_config(5)"), path=config
        )
    how = {"user": endpoint.user, "port": endpoint.port, "config_file": config and str(config)}
    over_ssh: Api = ProxmoxAPI(endpoint.host, backend="openssh", timeout=int(timeout_s), **how)
    way = run_by(over_ssh, lambda words: _over_ssh(way, words, timeout_s)).ssh_client.ssh_command("/bin/bash", False)
    return over_ssh


def _over_ssh(way: list[bytes], words: list[str], timeout_s: float) -> tuple[str, str, int]:
    done = _printed(way, timeout_s, shlex.join(words).encode())
    if done.code == SSH_FAILED:
        raise SshError(done.error.strip())
    return done.out, done.error, done.code


def _printed(words: Sequence[str | bytes], timeout_s: float, given: bytes = b"") -> Printed:
    try:
        return output_of(words, timeout_s, ANSWER_BYTES, given)
    except TooMuchPrintedError:
        raise PveshError(0, f"the answer is longer than {ANSWER_BYTES >> 20} MiB") from None


def ask(api: Api, endpoint: Endpoint, place: str, params: dict[str, str]) -> object:
    """Data of one path.

    Raises
    ------
    StudyError
        If there is no `pvesh` here, or SSH is refused: asking again changes nothing.
    PveshError
        If the request is.
    """
    from proxmoxer.core import ResourceException

    try:
        return api(place).get(**params)
    except ResourceException as error:
        text = str(error.content)
        if error.exit_code == 0:  # warnings of Perl on its standard error are no failure
            with contextlib.suppress(ValueError):
                data: object = json.loads(text)
                return data
        found = STATUS.search(text)
        status, reason = (int(found[1]), found[2]) if found else (int(error.status_code), text)
        if "pvesh: command not found" in reason or "pvesh: not found" in reason:
            raise StudyError(N_("{host}: has no pvesh; is it a Proxmox VE host?"), host=endpoint.host) from None
        raise PveshError(status, reason) from None
    except FileNotFoundError:
        raise StudyError(
            N_(
                "proxmox.backend: local needs pvesh, which is on a Proxmox VE host only; run there, or use "
                "backend: https"
            )
        ) from None
    except PermissionError as error:
        raise StudyError(
            N_("proxmox.backend: local: pvesh cannot be run: {reason}; run as root"), reason=error
        ) from None
    except subprocess.TimeoutExpired:
        raise PveshError(0, "no answer in time") from None
    except SshError as error:
        text = str(error)
        for sign, says in REFUSED:
            if sign in text:
                raise StudyError(
                    "{host}: {says}", host=endpoint.host, says=said(says, user=endpoint.user, host=endpoint.host)
                ) from None
        raise PveshError(0, text.splitlines()[-1] if text.strip() else "connection lost") from None
