"""proxmoxer's private attributes: where they are touched, in which version, and what if they are gone."""

import re
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI

from paths import ROOT
from virtio_study.errors import StudyError
from virtio_study.sources.api.backend import CHECKED, prepare
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.credentials import Credential
from virtio_study.study import Endpoint

TOKEN: dict[str, Any] = {"user": "a@pve", "token_name": "b", "token_value": "c"}


def test_the_private_attributes_are_those_of_the_version_that_was_looked_at() -> None:
    assert version("proxmoxer") == CHECKED, (
        f"proxmoxer is {version('proxmoxer')}; see in its core.py and backends/https.py that "
        f"ProxmoxAPI._store['session'] and its auth.verify_ssl are what they were in {CHECKED}, then name the new one"
    )
    api = ProxmoxAPI("pve1", verify_ssl=True, **TOKEN)
    prepare(api, print, "00:11")
    session = api._store["session"]
    assert (session.trust_env, session.auth.verify_ssl, session.hooks["response"]) == (False, False, [print])


@pytest.mark.parametrize(
    "kept", [{}, {"_store": {}}, {"_store": {"session": object()}}, {"_session": None}], ids=lambda kept: str(kept)[:12]
)
def test_another_proxmoxer_is_refused_before_anything_is_asked(
    kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxmoxer.ProxmoxAPI", lambda *_args, **_how: SimpleNamespace(**kept))
    asked = Client(Endpoint(host="pve1", fingerprint=":".join(["00"] * 32)), Credential("a@pve", "b", "c"))
    with pytest.raises(StudyError, match=f"elsewhere than version {CHECKED}.*pip install proxmoxer=="):
        asked.get("/version")


def test_one_module_alone_touches_them() -> None:
    private = re.compile(r'\._store\b|"_store"|\bauth\.verify_ssl')
    touching = [path.name for path in (ROOT / "src").rglob("*.py") if private.search(path.read_text())]
    assert touching == ["backend.py"]
