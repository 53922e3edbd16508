"""The API of the embedded host: which path answers what, to whom, with which error.

Paths, reasons and error bodies as recorded from Proxmox VE's own API code (see the tests), for the reading calls that
a study needs. There is nothing to write: every other method is not implemented.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from virtio_study.testing import guest, history, node
from virtio_study.testing.access import Privileges
from virtio_study.testing.faults import Faults
from virtio_study.testing.rows import rrddata_rows, timeframes
from virtio_study.testing.story import SimulatedServer
from virtio_study.testing.truth import Truth
from virtio_study.testing.versions import Version

__all__ = ["ApiError", "Call", "Payload", "State", "answer", "protected"]

AGENT_READS = (
    "get-fsinfo",
    "get-host-name",
    "get-osinfo",
    "get-time",
    "get-timezone",
    "get-users",
    "get-vcpus",
    "info",
    "network-get-interfaces",
)
EVERYTHING = -1
"""In place of a server's number: what hangs on no server."""
PVEDAEMON_S = 3.0
RRD_LAG_S = 3.0
SILENT_FOR_S = 300.0


@dataclass(frozen=True)
class Call:
    """One request: method, path below /api2/json without slashes at its ends, parameters, and the whole path?query."""

    method: str
    path: str
    params: Mapping[str, str]
    url: str


@dataclass(frozen=True)
class Payload:
    """What the body's `data` is, what stands beside it, and how long Proxmox takes for it."""

    data: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class ApiError(Exception):
    """An error that Proxmox answers with a status, its reason, perhaps errors by parameter, and a delay."""

    def __init__(self, status: int, reason: str, errors: Mapping[str, str] | None = None, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.reason, self.errors, self.seconds = status, reason, errors, seconds


@dataclass(frozen=True)
class State:
    """What the host knows beside the call: its truth, version, faults and clock, and what who asks may do."""

    truth: Truth
    version: Version
    faults: Faults
    now: float
    fingerprint: str
    rights: Privileges


Handler = Callable[[State, Call, re.Match[str]], Payload]


def _invalid(**errors: str) -> ApiError:
    return ApiError(400, "Parameter verification failed.", errors)


def _refuse(what: str, privilege: str) -> ApiError:
    return ApiError(403, f"Permission check failed ({what}, {privilege})")


def _may_see(host: State, vmid: int) -> bool:
    path = "/" if vmid == EVERYTHING else f"/vms/{vmid}"
    return host.rights.has(path, "VM.Audit") and host.faults.hit(["no_permission"], "", vmid) is None


def _may_audit(host: State) -> bool:
    right = host.rights.has(f"/nodes/{host.truth.story.node}", "Sys.Audit")
    return right and host.faults.hit(["no_permission", "no_sys_audit"], "", EVERYTHING) is None


def _audited(host: State, call: Call) -> None:
    if not _may_audit(host):
        raise _refuse(f"/nodes/{host.truth.story.node}", "Sys.Audit")


def _here(host: State, match: re.Match[str]) -> None:
    name = match["node"]
    if name != host.truth.story.node:
        reason = f"hostname lookup '{name}' failed - failed to get address info for: {name}: "
        raise ApiError(500, reason + "Temporary failure in name resolution")


def _server(host: State, call: Call, match: re.Match[str], privilege: str = "VM.Audit") -> guest.ServerNow:
    """The server that is asked for, if its number is one, the user may see it and it is here."""
    vmid = _vmid(host, match, privilege)
    _here(host, match)
    server = host.truth.story.server(vmid)
    if server is None:
        conf = f"nodes/{host.truth.story.node}/qemu-server/{vmid}.conf"
        raise ApiError(500, f"Configuration file '{conf}' does not exist")
    return guest.ServerNow(server, host.now)


def _vmid(host: State, match: re.Match[str], privilege: str = "VM.Audit") -> int:
    text = match["vmid"]
    if not text.isdigit():
        raise _invalid(vmid=f"type check ('integer') failed - got '{text}'")
    if int(text) < 100:
        raise _invalid(vmid="invalid format - value does not look like a valid VM ID\n")
    if not _may_see(host, int(text)):
        raise _refuse(f"/vms/{text}", privilege)
    return int(text)


def _visible(host: State) -> list[guest.ServerNow]:
    servers: tuple[SimulatedServer, ...] = host.truth.story.servers
    return [guest.ServerNow(server, host.now) for server in servers if _may_see(host, server.vmid)]


def _silent(host: State) -> tuple[float, float] | None:
    fault = host.faults.hit(["pvestatd_down"], "")
    return None if fault is None else (fault.since if fault.since is not None else host.truth.story.now, host.now)


def _unknown(host: State) -> bool:
    silent = _silent(host)
    return silent is not None and silent[1] - silent[0] > SILENT_FOR_S


def _rrddata(host: State, call: Call, match: re.Match[str]) -> Payload:
    is_node = "vmid" not in match.groupdict()
    vmid = None if is_node else _vmid(host, match)
    if is_node:
        _audited(host, call)
    reader, errors = host.version.reader, dict[str, str]()
    frames, chosen = timeframes(reader, node=is_node), call.params.get("timeframe")
    consolidation = call.params.get("cf", "AVERAGE")
    if chosen is None:
        errors["timeframe"] = "property is missing and it is not optional"
    elif chosen not in frames:
        errors["timeframe"] = f"value '{chosen}' does not have a value in the enumeration '{', '.join(frames)}'"
    if consolidation not in ("AVERAGE", "MAX"):
        errors["cf"] = f"value '{consolidation}' does not have a value in the enumeration 'AVERAGE, MAX'"
    if errors:
        raise _invalid(**errors)
    seen, silent, truth = host.now - RRD_LAG_S, _silent(host), host.truth
    server = None if vmid is None else truth.story.server(vmid)
    if (is_node and match["node"] != truth.story.node) or (not is_node and server is None):
        kind, name = ("node", match["node"]) if is_node else ("vm", match["vmid"])
        folder = f"pve-{kind}-9.0" if host.version.host_memory else f"pve2-{kind}"
        path = f"/var/lib/rrdcached/db/{folder}/{name}"
        reason = f"RRD error: rrdcached@unix:/var/run/rrdcached.sock: rrd_fetch_r failed: opening '{path}': "
        raise ApiError(500, reason + "No such file or directory")
    series = (
        node.node_series(truth, host.version, seen, silent)
        if server is None
        else guest.series(truth, server, host.version, seen, silent)
    )
    assert chosen is not None
    upgraded_at = truth.story.upgraded_at
    if chosen == "decade" and upgraded_at is not None:
        raise ApiError(
            500, "Can't use an undefined value as an ARRAY reference at /usr/share/perl5/PVE/RRD.pm line 95."
        )
    return Payload(rrddata_rows(series, chosen, consolidation, reader=reader, now=host.now, upgraded_at=upgraded_at))


def _current(host: State, call: Call, match: re.Match[str]) -> Payload:
    moment = _server(host, call, match)
    hung = moment.boot is not None and host.faults.hit(["hung_qemu"], call.url, moment.server.vmid) is not None
    seconds = PVEDAEMON_S if hung else 0.0
    return Payload(guest.current(host.truth, moment, host.version, hung=hung), seconds=seconds)


def _config(host: State, call: Call, match: re.Match[str]) -> Payload:
    current = call.params.get("current", "0") not in ("0", "")
    return Payload(guest.configuration(_server(host, call, match), host.version, current=current))


def _list(host: State, call: Call, match: re.Match[str]) -> Payload:
    _here(host, match)
    full = call.params.get("full", "0") not in ("0", "")
    return Payload([guest.resource_row(host.truth, moment, host.version, full=full) for moment in _visible(host)])


def _resources(host: State, call: Call, match: re.Match[str]) -> Payload:
    kind, kinds = call.params.get("type"), ("vm", "storage", "node", "sdn")
    if kind is not None and kind not in kinds:
        raise _invalid(type=f"value '{kind}' does not have a value in the enumeration '{', '.join(kinds)}'")
    rows, unknown, name = [], _unknown(host), host.truth.story.node
    if kind in (None, "vm"):
        rows += [guest.resource(host.truth, one, host.version, name, unknown=unknown) for one in _visible(host)]
    if kind in (None, "node"):
        row = node.node_resource(host.truth, host.now, unknown=unknown, audited=_may_audit(host))
        rows.append(row if unknown or host.version.number < (7, 0) else row | {"cgroup-mode": 2})
    if _may_see(host, EVERYTHING):
        types = {"network": "sdn"}
        others = node.other_resources(host.truth)
        rows += [row for row in others if kind in (None, types.get(row["type"], row["type"]))]
    return Payload(rows)


def _nodes(host: State, call: Call, match: re.Match[str]) -> Payload:
    row = node.node_resource(host.truth, host.now, unknown=_unknown(host), audited=_may_audit(host))
    return Payload([row | ({"ssl_fingerprint": host.fingerprint} if host.version.number >= (5, 0) else {})])


def _node_status(host: State, call: Call, match: re.Match[str]) -> Payload:
    _here(host, match)
    _audited(host, call)
    return Payload(node.node_status(host.truth, host.now, host.version))


def _packages(host: State, call: Call, match: re.Match[str]) -> Payload:
    _here(host, match)
    _audited(host, call)
    return Payload(node.packages(host.version))


def _tasks(host: State, call: Call, match: re.Match[str]) -> Payload:
    _here(host, match)
    if not _may_audit(host):
        return Payload([])
    rows, total = history.node_rows(host.truth.story, dict(call.params), host.now)
    return Payload(rows, {"total": total})


def _task(host: State, call: Call, match: re.Match[str]) -> Payload:
    try:
        task = history.find_task(host.truth.story, match["upid"], host.now)
    except ValueError:
        raise _invalid(upid="unable to parse worker upid") from None
    if task is None:
        raise _invalid(upid="no such task")
    _audited(host, call)
    if match["what"] == "log":
        lines = [{"n": n + 1, "t": text} for n, text in enumerate(task.log)]
        return Payload(lines, {"total": len(lines)})
    row = task.row(host.now)
    status = "running" if row["status"] == "RUNNING" else "stopped"
    ended = {"exitstatus": row["status"]} if status == "stopped" else {}
    return Payload({k: v for k, v in row.items() if k != "endtime"} | {"status": status} | ended)


def _agent(host: State, call: Call, match: re.Match[str]) -> Payload:
    moment = _server(host, call, match, host.version.agent_privilege)
    if host.version.number < (9, 0):  # PVEAuditor does not have VM.Monitor
        raise _refuse(f"/vms/{moment.server.vmid}", host.version.agent_privilege)
    if str(moment.config.get("agent", "0")).split(",")[0] not in ("1", "enabled=1"):
        raise ApiError(500, "No QEMU guest agent configured")
    if moment.boot is None:
        raise ApiError(500, f"VM {moment.server.vmid} is not running")
    if not moment.server.agent_answers:
        raise ApiError(500, "QEMU guest agent is not running", seconds=PVEDAEMON_S)
    return Payload({"result": guest.agent_result(match["command"], moment)})


def _permissions(host: State, call: Call, match: re.Match[str]) -> Payload:
    if host.faults.hit(["no_permission"], "", EVERYTHING):
        return Payload({})
    listed = host.rights.listed(nine=host.version.number >= (9, 0))
    if host.faults.hit(["no_sys_audit"], "", EVERYTHING):
        listed = {path: {name: 1 for name in names if name != "Sys.Audit"} for path, names in listed.items()}
    return Payload(listed)


def _plain(make: Callable[[State], Any]) -> Handler:
    return lambda host, call, match: Payload(make(host))


def _of_server(make: Callable[[guest.ServerNow, State], Any]) -> Handler:
    return lambda host, call, match: Payload(make(_server(host, call, match), host))


def _names(*names: str) -> list[dict[str, str]]:
    return [{"subdir": name} for name in names]


def _cluster_status(host: State) -> list[dict[str, Any]]:
    name = host.truth.story.node
    row = {"id": f"node/{name}", "type": "node", "name": name, "ip": "192.0.2.10", "nodeid": 0, "level": ""}
    return [row | {"local": 1, "online": 1}]


def _node_time(host: State) -> dict[str, Any]:
    return {"timezone": "UTC", "time": int(host.now), "localtime": int(host.now)}


NODE, VM = r"nodes/(?P<node>[^/]+)", r"nodes/(?P<node>[^/]+)/qemu/(?P<vmid>[^/]+)"
TASK_PARAMS = frozenset(
    ["start", "limit", "userfilter", "vmid", "errors", "typefilter", "source", "since", "until", "statusfilter"]
)
VM_CHILDREN = ("config", "pending", "status", "rrddata", "agent", "snapshot")
DAEMON = True
ROUTES: list[tuple[str, Handler, frozenset[str], bool]] = [
    ("", _plain(lambda h: _names("version", "cluster", "nodes", "storage", "access", "pools")), frozenset(), False),
    ("version", _plain(lambda h: h.version.answer), frozenset(), False),
    ("access/permissions", _permissions, frozenset({"path", "userid"}), False),
    ("access/ticket", _plain(lambda h: None), frozenset(), False),
    ("cluster/resources", _resources, frozenset({"type"}), False),
    (
        "cluster/tasks",
        _plain(lambda h: history.cluster_rows(h.truth.story, h.now) if _may_audit(h) else []),
        frozenset(),
        False,
    ),
    ("cluster/status", _plain(_cluster_status), frozenset(), DAEMON),
    ("nodes", _nodes, frozenset(), False),
    (NODE, _plain(lambda h: node.node_index(h.version)), frozenset(), False),
    (f"{NODE}/version", _plain(lambda h: h.version.answer), frozenset(), False),
    (f"{NODE}/status", _node_status, frozenset(), False),
    (f"{NODE}/apt/versions", _packages, frozenset(), False),
    (f"{NODE}/time", _plain(_node_time), frozenset(), DAEMON),
    (f"{NODE}/rrddata", _rrddata, frozenset({"timeframe", "cf"}), DAEMON),
    (f"{NODE}/tasks", _tasks, TASK_PARAMS, False),
    (f"{NODE}/tasks/(?P<upid>[^/]+)/(?P<what>status|log)", _task, frozenset({"start", "limit"}), DAEMON),
    (f"{NODE}/lxc", _plain(lambda h: []), frozenset(), DAEMON),
    (f"{NODE}/qemu", _list, frozenset({"full"}), DAEMON),
    (VM, _of_server(lambda m, h: _names(*VM_CHILDREN)), frozenset(), False),
    (f"{VM}/status", _of_server(lambda m, h: _names("current")), frozenset(), False),
    (f"{VM}/status/current", _current, frozenset(), DAEMON),
    (f"{VM}/config", _config, frozenset({"current", "snapshot"}), False),
    (f"{VM}/pending", _of_server(lambda m, h: guest.pending(m, h.version)), frozenset(), False),
    (f"{VM}/snapshot", _of_server(lambda m, h: guest.snapshots(m)), frozenset(), False),
    (f"{VM}/rrddata", _rrddata, frozenset({"timeframe", "cf"}), DAEMON),
    (f"{VM}/agent/(?P<command>{'|'.join(AGENT_READS)})", _agent, frozenset(), DAEMON),
]


def _route(host: State, call: Call) -> tuple[re.Match[str], Handler, frozenset[str], bool]:
    if call.method == "GET":
        for pattern, handler, allowed, daemon in ROUTES:
            match = re.fullmatch(pattern, call.path)
            if match and not ("/agent/" in call.path and host.version.number < (5, 0)):
                return match, handler, allowed, daemon
    raise ApiError(501, f"Method '{call.method} /{call.path}' not implemented")


def protected(host: State, call: Call) -> bool:
    """Return whether pveproxy hands this call on to pvedaemon."""
    try:
        return _route(host, call)[3]
    except ApiError:
        return False


def answer(host: State, call: Call) -> Payload:
    """Return the answer to a call of an authenticated user.

    Raises
    ------
    ApiError
        With the status and reason that Proxmox VE gives.
    """
    match, handler, allowed, _ = _route(host, call)
    unwanted = "property is not defined in schema and the schema does not allow additional properties"
    if extra := {name: unwanted for name in call.params if name not in allowed}:
        raise _invalid(**extra)
    return handler(host, call, match)
