"""Who may do what on the embedded host, by Proxmox VE's own rules, and the lines of `pveum` that change it.

References
----------
pve-access-control, `src/PVE/AccessControl.pm` (`roles`: the deepest path with an entry for a user counts) and
`src/PVE/RPCEnvironment.pm` (`permissions`: a token has at most the privileges of its user).
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Access", "Privileges"]

AUDIT = ("Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit")
AUDIT_9 = ("SDN.Audit", "Mapping.Audit", "VM.GuestAgent.Audit")
ROLES: dict[str, tuple[str, ...]] = {
    "PVEAuditor": (*AUDIT, *AUDIT_9),
    "PVEVMUser": ("VM.Audit", "VM.Console", "VM.PowerMgmt"),
    "NoAccess": (),
}
PLACES = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")


@dataclass
class Access:
    """The user's and the token's roles by path, and whether the token is separated from its user's privileges."""

    user_roles: dict[str, str] = field(default_factory=lambda: {"/": "PVEAuditor"})
    token_roles: dict[str, str] = field(default_factory=lambda: {"/": "PVEAuditor"})
    privilege_separation: bool = True

    def run(self, lines: str, user: str, token_id: str) -> None:
        """Do what lines of `pveum acl modify` do, one after another; `ValueError` for any other line."""
        for line in lines.split("&&"):
            words = shlex.split(line)
            if words[:3] != ["pveum", "acl", "modify"] or words[6] != "--roles" or words[7] not in ROLES:
                raise ValueError(line)
            holders = {("--users", user): self.user_roles, ("--tokens", token_id): self.token_roles}
            holders[words[4], words[5]][words[3]] = words[7]


@dataclass(frozen=True)
class Privileges:
    """Privileges of who asks: the user, or the token."""

    access: Access
    with_token: bool

    def has(self, path: str, privilege: str) -> bool:
        """Whether a privilege is in force on a path."""
        user = self._of(self.access.user_roles, path)
        if self.with_token and self.access.privilege_separation:
            return privilege in user and privilege in self._of(self.access.token_roles, path)
        return privilege in user

    def listed(self, nine: bool) -> dict[str, dict[str, int]]:
        """What `/access/permissions` answers: privileges by path, of the usual paths and of those with an entry."""
        known = (*AUDIT, *(AUDIT_9 if nine else ()))
        paths = dict.fromkeys([*PLACES, *self.access.user_roles, *self.access.token_roles])
        found = {path: {name: 1 for name in known if self.has(path, name)} for path in paths}
        return {path: names for path, names in found.items() if names}

    def _of(self, roles: dict[str, str], path: str) -> Iterable[str]:
        above = [place for place in roles if place == "/" or f"{path}/".startswith(f"{place}/")]
        return ROLES[roles[max(above, key=len)]] if above else ()
