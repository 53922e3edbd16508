"""What a token or user may see, as the host itself lists it: what it may not see is in no list, and nothing says so."""

from collections.abc import Mapping, Sequence

from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.sources.api.client import Client
from virtio_study.sources.api.remedies import permission

__all__ = ["Rights", "rights_of"]

ANY_SERVER = "/vms/-"
"""Stands for a server that has no entry of its own in the list of permissions."""


class Rights:
    """Privileges by path, as `/access/permissions` lists them (path -> privilege -> inherited below)."""

    def __init__(self, listed: Mapping[str, object], who: str) -> None:
        self.listed, self.who = listed, who

    def has(self, path: str, name: str) -> bool:
        """Whether a privilege is in force on a path, by the longest path listed."""
        above = [place for place in self.listed if place == "/" or f"{path}/".startswith(f"{place}/")]
        nearest = max(above, key=len, default="")
        privileges = self.listed.get(nearest)
        return isinstance(privileges, dict) and bool(name in privileges if nearest == path else privileges.get(name))

    @property
    def sees_every_server(self) -> bool:
        """Whether no server can be hidden, but by an entry of its own that takes the privilege away."""
        return self.has(ANY_SERVER, "VM.Audit")

    def blind_spot(self, shown: int) -> tuple[Said, Said] | None:
        """What is wrong where servers may be hidden, with the remedy; `shown` is how many are not."""
        if self.sees_every_server:
            return None
        if not shown:
            return said(N_("{who} may see no server (it lacks VM.Audit)"), who=self.who), permission(self.who)
        only = sorted(path for path in self.listed if path.startswith("/vms/") and self.has(path, "VM.Audit"))
        form = N_("{who} may see only some servers; others, if there are any, are hidden from it")
        named = N_("{who} may see only {places}; other servers, if there are any, are hidden from it")
        places = [path.removeprefix("/vms/") for path in only]
        return said(named if only else form, who=self.who, places=places), permission(self.who)

    def unaudited(self, nodes: Sequence[str]) -> list[str]:
        """Nodes whose tasks and status are not shown, or not all."""
        return [node for node in nodes if not self.has(f"/nodes/{node}", "Sys.Audit")]


def rights_of(client: Client) -> Rights | None:
    """Rights of the token or user that a client has; None where the host does not tell (before Proxmox VE 6.1)."""
    reply = client.get("/access/permissions")
    if not reply.good or not isinstance(reply.data, dict):
        return None
    return Rights(reply.data, client.secret.token_id)
