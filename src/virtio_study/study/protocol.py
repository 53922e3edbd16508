"""The protocol of a study: servers, driver configurations, comparisons, load, margins and seed, in one YAML file."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ByteSize, Field, ValidationError, model_validator

from virtio_study.errors import StudyError
from virtio_study.i18n.marks import N_
from virtio_study.study.faults import (
    FaultError,
    contradictions,
    fault,
    in_order,
    read_yaml,
    unknown_comparison,
    unknown_config,
    unknown_server,
)
from virtio_study.study.schedule import Block, Schedule
from virtio_study.study.values import Address, Fingerprint, KernelVersion, Line, Name, Real, Size, Strict, Whole

__all__ = [
    "METRICS",
    "SAME_ALLOCATION",
    "Comparison",
    "DriverConfiguration",
    "Endpoint",
    "Host",
    "LabPlan",
    "Load",
    "LoadMetric",
    "LogEntry",
    "Metric",
    "Purpose",
    "Server",
    "Study",
    "Text",
    "Window",
    "load_study",
]

Metric = Literal["cpu", "mem_displayed", "mem_host", "mem_guest"]
METRICS: dict[str, str] = {
    "cpu": "cpu_cores",
    "mem_displayed": "mem_displayed_bytes",
    "mem_host": "mem_host_bytes",
    "mem_guest": "mem_guest_bytes",
}
"""Metric of a study -> column of a recording. RAM is three estimands, never one."""

SAME_ALLOCATION = 0.08
"""Two sizes within this share may be the same, one in GB and the other in GiB."""


class Text(Strict):
    """A text for readers in English and Spanish."""

    en: Line
    es: Line


class Host(Strict):
    """What is known of the physical machine; anything unknown is left out, never guessed."""

    name: Line
    cpu_model: Line
    logical_cpus: Whole = Field(gt=0)
    physical_cores: Whole | None = Field(default=None, gt=0)
    memory_bytes: Size = Field(gt=0)
    hypervisor: Line


ADDRESS = re.compile(r"(?:https?://)?(?P<host>[^/:\[\]]+|\[[^\]]+\])(?::(?P<port>\d{1,9}))?(?:[/#?].*)?")


class Endpoint(Strict):
    """Where the API of Proxmox VE answers, and what its certificate is verified with; never a secret.

    `ca_file` is a copy of the host's `/etc/pve/pve-root-ca.pem`, `fingerprint` the SHA-256 of its certificate; with
    neither, the system's certificate authorities are trusted. `backend` is proxmoxer's: `local` and `openssh` run
    `pvesh` on this machine or as `user` on another, with SSH's own configuration or that of `ssh_config`.
    """

    host: Address = "localhost"
    port: Whole = Field(default=8006, gt=0, lt=65536)
    backend: Literal["https", "local", "openssh"] = "https"
    user: str = "root"
    ssh_config: Path | None = None
    ca_file: Path | None = None
    fingerprint: Fingerprint | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_address(cls, given: Any) -> Any:
        """Take an address as a browser has it, such as `https://pve1:8006/#v1` or `pve1:8006`, for host and port."""
        if isinstance(given, dict) and (found := ADDRESS.fullmatch(str(given.get("host") or ""))):
            port = {"port": int(found["port"])} if found["port"] else {}
            return {**port, **given, "host": found["host"]}
        return given

    @model_validator(mode="before")
    @classmethod
    def _port_of_ssh(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("backend") == "openssh":
            return {"port": 22, **given}
        return given


class Server(Strict):
    """A virtual machine under study and its allocation, constant over all driver configurations."""

    vmid: Whole = Field(ge=100)
    role: Text
    vcpus: Whole = Field(gt=0)
    memory_bytes: Size = Field(gt=0)
    disk_bytes: Size | None = Field(default=None, gt=0)
    guest_os: Literal["linux", "windows", "other"] | None = None
    guest_kernel: KernelVersion | None = None


class DriverConfiguration(Strict):
    """A driver configuration: which devices the server has and whether the balloon driver is loaded."""

    label: Text
    disk: Line | None = None
    nic: Line | None = None
    balloon_driver: bool | None = None
    free_page_reporting: bool | None = None
    machine: Line | None = None
    iothread: bool | None = None


Purpose = Literal["total", "instrument", "reporting", "devices", "restart", "setting"]


class Comparison(Strict):
    """An ordered pair of driver configurations; the effect is `after` minus `before`.

    `purpose` is what it is about, see `analysis.ingredients.ABOUT`; `with_change` names what else changed by protocol,
    such as `balloon driver` or `disk 0 iothread`.
    """

    before: Name
    after: Name
    purpose: Purpose
    question: Text
    with_change: list[str] = Field(default_factory=list)


class LoadMetric(Strict):
    """A column that measures the imposed load and the relative margin within which both sides count as equal."""

    column: str
    margin: Real = Field(gt=0, lt=1)


class Window(Strict):
    """A stretch of wall-clock time, with its time zone, in which a driver configuration is studied."""

    server: Name
    driver_config: Name
    start: datetime
    end: datetime

    @model_validator(mode="after")
    def _aware_and_ordered(self) -> Self:
        in_order(self.start, self.end)
        return self


class LogEntry(Strict):
    """What the researcher did or saw that Proxmox VE does not show, on one server or (without `server`) on all.

    With `end`, rows of the stretch are left out. Without it, `start` is the moment of a change inside the guest, such
    as a reboot or a driver, and another run begins there.
    """

    server: Name | None = None
    start: datetime
    end: datetime | None = None
    what: Line = Field(min_length=1, max_length=120)

    @model_validator(mode="after")
    def _aware_and_ordered(self) -> Self:
        in_order(self.start, self.end)
        return self


class Load(Strict):
    """The load that the lab puts on a server: operations a second, and files read over and over from its page cache."""

    disk_reads_per_s: Whole = Field(default=0, ge=0)
    disk_writes_per_s: Whole = Field(default=0, ge=0)
    requests_per_s: Whole = Field(default=0, ge=0)
    file_set_bytes: ByteSize = Field(default=ByteSize(0), ge=0)


class LabPlan(Strict):
    """How the lab records; `side_by_side` driver configurations run at the same time, each with all servers."""

    boots: Whole = Field(ge=2)
    steady_s: Whole = Field(ge=10)
    step_s: Real = Field(gt=0)
    side_by_side: Whole = Field(default=1, ge=1)
    start_up_fill_bytes: ByteSize
    loads: dict[Name, Load]


class Study(Strict):
    """A validated protocol with the folder that holds it.

    `driver_configs` keeps the order of the file: before to after. `daily_cycle` says that the servers' work follows the
    day, so that single recordings are compared over whole days, three or more a side.
    """

    title: Text
    source: Literal["lab", "published", "recordings"]
    host: Host
    servers: dict[Name, Server] = Field(min_length=1)
    driver_configs: dict[Name, DriverConfiguration] = Field(min_length=2)
    comparisons: dict[Name, Comparison] = Field(min_length=1)
    metrics: list[Metric] = Field(min_length=1)
    load: dict[Name, list[LoadMetric]] = Field(default_factory=dict)
    windows: list[Window] = Field(default_factory=list)
    log: list[LogEntry] = Field(default_factory=list)
    schedule: Schedule | None = None
    proxmox: Endpoint | None = None
    daily_cycle: bool = True
    lab: LabPlan | None = None
    confidence: Real = Field(default=0.95, gt=0.5, lt=1)
    practical_margin: Real = Field(default=0.05, gt=0, lt=1)
    seed: Whole = Field(ge=0)
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, comparison in self.comparisons.items():
            for side in (comparison.before, comparison.after):
                if side not in self.driver_configs:
                    raise FaultError(f"comparisons.{name}: {{error}}", error=unknown_config(side, self.driver_configs))
        for problem in contradictions(self.servers, self.driver_configs, self.comparisons, self.windows):
            raise problem
        scheduled = self.schedule.blocks if self.schedule else {}
        servers = [("load", server) for server in self.load] + [
            *(("log", entry.server) for entry in self.log if entry.server),
            *(("windows", window.server) for window in self.windows),
            *(("schedule.blocks", server) for server in scheduled),
        ]
        for place, server in servers:
            if server not in self.servers:
                raise FaultError(f"{place}: {{error}}", error=unknown_server(server, self.servers))
        configs = [("windows", window.driver_config) for window in self.windows] + [
            (f"schedule.blocks.{server}", block.driver_config) for server in scheduled for block in scheduled[server]
        ]
        for place, config in configs:
            if config not in self.driver_configs:
                raise FaultError(f"{place}: {{error}}", error=unknown_config(config, self.driver_configs))
        if self.source == "lab" and self.lab is None:
            raise FaultError(N_("source: lab needs the key lab (boots, steady_s, step_s, ...)"))
        if self.lab is not None and set(self.lab.loads) != set(self.servers):
            raise FaultError(N_("lab.loads: expected a load for each of {servers}"), servers=", ".join(self.servers))
        return self

    @property
    def name(self) -> str:
        """The study's name: that of its folder."""
        return self.folder.name

    @property
    def _file(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def reports(self) -> Path:
        """Where results go: `reports/<study>` beside `data/`."""
        parent = self.folder.parent
        root = parent.parent if parent.name == "data" else parent
        return root / "reports" / self.name

    @property
    def work(self) -> Path:
        """Where notebooks leave tables for the next notebook (not kept in git)."""
        return self.folder / "work"

    def logged(self, server: str) -> list[tuple[float, float, str]]:
        """Log entries of a server: first and last second (Unix; the same for a moment) and what it says."""
        entries = (entry for entry in self.log if entry.server in (None, server))
        return [(item.start.timestamp(), (item.end or item.start).timestamp(), item.what) for item in entries]

    def server(self, name: str) -> Server:
        """Return a server by name; `StudyError` with the nearest name if there is none."""
        if name not in self.servers:
            raise StudyError("{path}: {error}", path=self._file, error=unknown_server(name, self.servers))
        return self.servers[name]

    def driver_config(self, name: str) -> DriverConfiguration:
        """Return a driver configuration by name; `StudyError` with the nearest name if there is none."""
        if name not in self.driver_configs:
            raise StudyError("{path}: {error}", path=self._file, error=unknown_config(name, self.driver_configs))
        return self.driver_configs[name]

    def comparison(self, name: str) -> Comparison:
        """Return a comparison by name; `StudyError` with the nearest name if there is none."""
        if name not in self.comparisons:
            raise StudyError("{path}: {error}", path=self._file, error=unknown_comparison(name, self.comparisons))
        return self.comparisons[name]


def load_study(study: str | Path) -> Study:
    """Read and validate the protocol of a study.

    Parameters
    ----------
    study : str or Path
        A study's folder, its `study.yaml`, or its name: `data/<name>` is looked for in the working directory
        and in the directories above it.

    Raises
    ------
    StudyError
        If there is no such study, the file is not YAML, a key is unknown, or a value is not what the protocol
        expects. The message names file, line, key, value, expectation and the nearest valid key.
    """
    path = _find(Path(str(study)))  # papermill -p gives a name of digits as a number
    node, data = read_yaml(path)
    if not isinstance(data, dict):
        raise StudyError(
            N_("{path}:1: expected keys such as title, servers, driver_configs; found {found}"),
            path=path,
            found=type(data).__name__,
        )
    try:
        return Study.model_validate({**data, "folder": path.parent.resolve()})
    except ValidationError as error:
        faults = [fault(path, node, item, _fields) for item in error.errors()[:5]]
        raise StudyError("{faults}", faults=faults) from error


def _find(study: Path) -> Path:
    if study.suffix in {".yaml", ".yml"}:
        candidates = [study]
    else:
        here = Path.cwd()
        candidates = [
            study / "study.yaml",
            *(d / "data" / study / "study.yaml" for d in (here, *here.parents)),
        ]
    for path in candidates:
        if path.is_file():
            return path
    raise StudyError(
        N_(
            "no study {study!r}: looked for {first} and for data/{name}/study.yaml here and above; "
            "give a study's folder or the name of a folder in data/"
        ),
        study=str(study),
        first=candidates[0],
        name=study,
    )


def _fields(location: Sequence[Any]) -> list[str]:
    """Valid keys of the model at a location of the file."""
    models: dict[str, type[BaseModel]] = {
        "title": Text,
        "role": Text,
        "label": Text,
        "question": Text,
        "host": Host,
        "servers": Server,
        "driver_configs": DriverConfiguration,
        "comparisons": Comparison,
        "load": LoadMetric,
        "windows": Window,
        "log": LogEntry,
        "schedule": Schedule,
        "blocks": Block,
        "lab": LabPlan,
        "loads": Load,
        "proxmox": Endpoint,
    }
    for part in reversed(location):
        if part in models:
            return [*models[part].model_fields]
    return [name for name in Study.model_fields if name != "folder"]
