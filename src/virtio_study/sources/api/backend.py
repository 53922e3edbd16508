"""proxmoxer as this package uses it: what is called of it, and the one place that touches its private attributes."""

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

__all__ = ["CHECKED", "Api", "prepare"]

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


def prepare(api: Api, answered: "Callable[..., None]", fingerprint: str | None) -> None:
    """Do to the HTTPS session of an API what proxmoxer has no option for.

    Parameters
    ----------
    answered : callable
        Gets every `requests.Response`.
    fingerprint : str, optional
        SHA-256 of the one certificate that is accepted, instead of a chain.

    Raises
    ------
    StudyError
        If this version of proxmoxer keeps its session elsewhere.
    """
    import requests
    from proxmoxer.backends.https import ProxmoxHTTPAuthBase

    store = getattr(api, "_store", None)
    session = store.get("session") if isinstance(store, dict) else None
    auth = session.auth if isinstance(session, requests.Session) else None
    if session is None or not isinstance(auth, ProxmoxHTTPAuthBase) or not hasattr(auth, "verify_ssl"):
        raise StudyError(
            N_(
                "proxmoxer {version} keeps its session elsewhere than version {checked}, so that certificates "
                "could not be verified as the study says; run: pip install proxmoxer=={checked}"
            ),
            version=version("proxmoxer"),
            checked=CHECKED,
        )
    # Otherwise REQUESTS_CA_BUNDLE and .netrc of the environment would stand above what the study says.
    session.trust_env = False
    session.hooks["response"].append(answered)
    if fingerprint:
        auth.verify_ssl = False  # the fingerprint below is checked instead of the chain, never nothing
        session.mount("https://", _pinned(fingerprint))


def _pinned(fingerprint: str) -> "HTTPAdapter":
    """An adapter that accepts one certificate alone."""
    from requests.adapters import HTTPAdapter

    class Pinned(HTTPAdapter):
        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **how: object) -> None:
            super().init_poolmanager(connections, maxsize, block, assert_fingerprint=fingerprint, **how)

    return Pinned()
