"""proxmoxer as this package uses it: what is called of it, and the one place that touches its private attributes."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_

__all__ = ["CHECKED", "Api", "prepare", "run_by"]

CHECKED = "2.3.0"
"""The version of proxmoxer whose private attributes were looked at."""


class Asked(Protocol):
    """A path of the API."""

    def get(self, **params: str) -> object:
        """The data of its answer."""


class Api(Protocol):
    """A `proxmoxer.ProxmoxAPI`."""

    def __call__(self, place: str) -> Asked:
        """A path, such as `nodes/pve1/status`."""


def prepare(
    api: Api, answered: "Callable[..., None]", fingerprint: str | None, login: tuple[str, str] | None = None
) -> None:
    """Do to the HTTPS session of an API what proxmoxer has no option for.

    Parameters
    ----------
    answered : callable
        Gets every `requests.Response`.
    fingerprint : str, optional
        SHA-256 of the one certificate that is accepted, instead of a chain.
    login : pair of str, optional
        User and password to ask with, in place of the token that the API was made with.

    Raises
    ------
    StudyError
        If this version of proxmoxer keeps its session elsewhere.
    """
    import requests
    from proxmoxer.backends.https import ProxmoxHTTPAuthBase

    from virtio_study.sources.api.transport import Login, only_to

    store = getattr(api, "_store", None)
    session = store.get("session") if isinstance(store, dict) else None
    auth = session.auth if isinstance(session, requests.Session) else None
    if (
        session is None
        or not isinstance(store, dict)
        or not isinstance(auth, ProxmoxHTTPAuthBase)
        or not hasattr(auth, "verify_ssl")
    ):
        raise StudyError(
            N_(
                "proxmoxer {version} keeps its session elsewhere than version {checked}, so certificates could "
                "not be verified as the study says; run: pip install proxmoxer=={checked}"
            ),
            version=version("proxmoxer"),
            checked=CHECKED,
        )
    address = str(store["base_url"])
    only_to(session, address, fingerprint)
    session.hooks["response"].append(answered)
    if fingerprint:
        auth.verify_ssl = False  # the fingerprint is checked instead of the chain, never nothing
    if login:
        door = requests.Session()
        only_to(door, address, fingerprint)
        session.auth = Login(door, *login, address, verify_ssl=auth.verify_ssl, timeout=auth.timeout)


def run_by(api: Api, execute: Callable[[list[str]], tuple[str, str, int]]) -> Any:
    """Let an API that asks through a command run it by a function, and return the API's session.

    Parameters
    ----------
    execute : callable
        Of the words of a command: what it printed to standard output and standard error, and its exit code.

    Raises
    ------
    StudyError
        If this version of proxmoxer runs it elsewhere.
    """
    store = getattr(api, "_store", None)
    session = store.get("session") if isinstance(store, dict) else None
    if not hasattr(session, "_exec"):
        raise StudyError(
            N_(
                "proxmoxer {version} runs pvesh otherwise than version {checked} does; run: pip install "
                "proxmoxer=={checked}"
            ),
            version=version("proxmoxer"),
            checked=CHECKED,
        )
    setattr(session, "_exec", execute)  # noqa: B010  a private attribute of another package's class
    return session
