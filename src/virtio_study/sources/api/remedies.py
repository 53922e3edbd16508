"""What kept an answer away, in words, and what to do about it: the lines of `pveum`, the service, the address."""

import re

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.sources.api.client import THIS_MACHINE, Client, Reply

__all__ = ["cause", "good", "is_permission", "permission", "remedy", "unseen"]

SUPERUSER = "root@pam"
"""May do everything, so that only a token of it can lack a role."""

NO_ROLES = "Unable to load access control list"
"""What every answer says while pmxcfs, the cluster's file system, is down (`PVE/RPCEnvironment.pm`)."""

PORT = 8006


def cause(reply: Reply) -> Said:
    """What kept a request from an answer: the status, where one came, and the reason."""
    form = "{status} {reason:cause}" if reply.status and reply.reason else "{reason:cause}"
    return said(form, status=reply.status, reason=reply.reason or str(reply.status))


def is_permission(reply: Reply) -> bool:
    """Whether a request was refused for want of a permission."""
    return reply.status == 403 or "Permission check failed" in reply.reason


def permission(who: str) -> Said:
    """Lines that give a token or a user the right to read.

    A token has at most the rights of its user: with `--privsep 1` those that both have, with `--privsep 0` the user's
    whatever the token was given (pve-access-control, `PVE/RPCEnvironment.pm`, `permissions`). A token cannot tell which
    of both it is, so the lines are for user and token; neither line does harm.
    """
    user, _, token = who.partition("!")
    lines = [] if user == SUPERUSER and token else [f"pveum acl modify / --users '{user}' --roles PVEAuditor"]
    if token:
        lines.append(f"pveum acl modify / --tokens '{who}' --roles PVEAuditor")
        return said(
            N_("run on the host: {lines} (a token can do no more than its user, so both need the role)")
            if len(lines) > 1
            else N_("run on the host: {lines}"),
            lines=" && ".join(lines),
        )
    return said(N_("run on the host: {lines}"), lines=lines[0])


def unseen(who: str) -> Said:
    """What to do about a server that the host does not show."""
    return said(N_("compare with qm list on the host; or {permission}"), permission=permission(who))


def remedy(reply: Reply, client: Client) -> Said:
    """What to do about a request that failed."""
    who, place = client.secret.token_id, f"{client.endpoint.host}:{client.endpoint.port}"
    if is_permission(reply):
        return permission(who)
    if reply.status == 401:
        return _refused(client)
    if NO_ROLES in reply.reason:
        return said(N_("the cluster's file system is down; on the host: systemctl status pve-cluster"))
    if reply.status == 0:
        return said(_unheard(client), place=place)
    if reply.status in (595, 596):
        return _unreached(reply)
    if 300 <= reply.status < 400:
        form = N_(
            "a redirection is never followed; give the host itself (proxmox.host, proxmox.port), not what redirects"
        )
        return said(form)
    if reply.status == 501:
        return said(N_("this version of Proxmox VE does not have it"))
    if reply.status in (200, 404) and client.https and client.endpoint.port != PORT:
        return said(N_("is {place} the API of Proxmox VE? Its own port is 8006"), place=place)
    return said(N_("collect again; if it stays, look at journalctl -u pvedaemon -u pvestatd on the host"))


def _unheard(client: Client) -> str:
    """What to ask oneself where nothing answered at all."""
    if client.endpoint.port == PORT or not client.https:
        return N_("is the host up, and is {place} its address and port?")
    if client.endpoint.host in THIS_MACHINE:
        return N_(
            "is the host up, and is {place} its address and port? Proxmox VE's own port is 8006; if it was virtio-"
            "study demo serve, it has ended: start it again and paste what it prints (recordings stay)"
        )
    return N_("is the host up, and is {place} its address and port? Proxmox VE's own port is 8006")


def _refused(client: Client) -> Said:
    if client.secret.name:
        return said(
            N_(
                "the token is wrong, expired or deleted; make one: pveum user token add {user} virtio-study "
                "--privsep 1 && pveum acl modify / --users '{user}' --roles PVEAuditor && pveum acl modify / --tokens "
                "'{user}!virtio-study' --roles PVEAuditor"
            ),
            user=client.secret.user,
        )
    return said(
        N_(
            "the user or the password is wrong: {user} has to be a user with its realm, such as root@pam, that may "
            "log in without a second factor; a token needs neither"
        ),
        user=client.secret.user,
    )


def _unreached(reply: Reply) -> Said:
    """What to do where pveproxy could not hand a request on: the node is off, or a service on it is stopped."""
    found = re.search(r"/nodes/([^/]+)", reply.path)
    node = found[1] if found else ""
    if "refused" in reply.reason:
        form = N_("the node is up and its API is stopped; on it: systemctl restart pvedaemon pveproxy")
        named = N_("{node} is up and its API is stopped; on it: systemctl restart pvedaemon pveproxy")
        return said(named if node else form, node=node)
    if node:
        return said(N_("node {node} does not answer; is it up? collect again when it is"), node=node)
    return said(N_("the node of this server does not answer; is it up? collect again when it is"))


def good(reply: Reply, what: Said, client: Client) -> object:
    """The data of a reply that nothing goes on without; `DataError` names what it was for, the cause and the remedy."""
    if not reply.good:
        raise DataError(
            "{what}: {path}: {status}, {reason:cause}; {remedy}",
            what=what,
            path=reply.path,
            status=reply.status or said(N_("no answer")),
            reason=reply.reason,
            remedy=remedy(reply, client),
        )
    return reply.data
