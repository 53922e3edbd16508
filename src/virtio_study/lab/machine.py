"""A lab machine: QEMU started as Proxmox VE starts it, spoken to over QMP and a serial line, never left behind."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtio_study.errors import LabError
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Said, said
from virtio_study.lab.guest import Guest
from virtio_study.lab.models import DISKS, NICS

__all__ = ["Accelerator", "Machine", "Running", "command_line", "probe", "running"]

QEMU = "qemu-system-x86_64"
BOOT_DEADLINE_S = 120.0
PROBE_DEADLINE_S = 20.0
CGROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))


@dataclass(frozen=True)
class Accelerator:
    """What runs the guest's instructions, and the kernel module behind it; found by booting, never by looking."""

    name: str
    kernel_module: str | None = None
    reason: str | Said = ""


@dataclass(frozen=True)
class Machine:
    """A server of the lab under one driver configuration."""

    name: str
    vmid: int
    vcpus: int
    memory_bytes: int
    disk: str | None
    disk_bytes: int
    nic: str | None
    balloon_driver: bool
    free_page_reporting: bool
    machine_type: str = "pc"
    iothread: bool = False
    count_kicks: bool = False

    @property
    def mac(self) -> str:
        """The address of the network card."""
        return f"BC:24:11:00:00:{self.vmid % 256:02X}"

    def modules(self) -> list[str]:
        """Guest modules that this machine loads, before their dependencies are added."""
        names = [*(DISKS[self.disk].modules if self.disk else ()), *(NICS[self.nic].modules if self.nic else ())]
        if self.balloon_driver:
            names += ["virtio_pci", "virtio_balloon"]
        return [*names, "crc32c_generic", "ext4"]


@dataclass
class Running:
    """A QEMU process with its channels; valid inside `running(...)` only."""

    process: subprocess.Popen[bytes]
    folder: Path
    command: list[str]
    started: float
    cgroup: Path | None
    qmp_socket: socket.socket = field(init=False)
    serial: socket.socket = field(init=False)
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """Run a QMP command and return its answer; `LabError` if QEMU refuses or is gone."""
        message = json.dumps({"execute": execute, "arguments": arguments}) + "\n"
        self._send(self.qmp_socket, message)
        while True:
            answer = json.loads(self._line(self.qmp_socket, time.monotonic() + 30))
            if "error" in answer:
                raise LabError(N_("QEMU refused {command}: {reason}"), command=execute, reason=answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def ask(self, line: str, reply: str, deadline_s: float = 30.0) -> list[str]:
        """Send a line to the guest and return the words after its `@REPLY`; `LabError` after the deadline."""
        self._send(self.serial, line + "\n")
        return self.wait_for(reply, deadline_s)

    def greet(self, deadline_s: float) -> None:
        """Open the QMP conversation and have the balloon polled as Proxmox VE does at every start.

        Source: qemu-server `QemuServer.pm`, `guest-stats-polling-interval` of 2 s since 2013.
        """
        self._line(self.qmp_socket, time.monotonic() + deadline_s)
        self.qmp("qmp_capabilities")
        self.qmp("qom-set", path="/machine/peripheral/balloon0", property="guest-stats-polling-interval", value=2)

    def tell(self, line: str) -> None:
        """Send a line to the guest without waiting for its answer."""
        self._send(self.serial, line + "\n")

    def line_if_any(self) -> str | None:
        """The guest's next line if it has begun to write one, else None."""
        readable, _, _ = select.select([self.serial], [], [], 0)
        if readable or b"\n" in self._buffers.get(self.serial.fileno(), b""):
            return self._line(self.serial, time.monotonic() + 5)
        if self.process.poll() is not None:
            raise self.failure(said(N_("QEMU ended with status {status}"), status=self.process.returncode))
        return None

    def wait_for(self, reply: str, deadline_s: float) -> list[str]:
        """Words after the guest's next `@REPLY` line."""
        deadline = time.monotonic() + deadline_s
        while True:
            words = self._line(self.serial, deadline).split()
            if words and words[0] == f"@{reply}":
                return words[1:]

    def _send(self, channel: socket.socket, text: str) -> None:
        try:
            channel.sendall(text.encode())
        except OSError as error:
            raise self.failure(said(N_("QEMU is gone ({error})"), error=error)) from error

    def _line(self, channel: socket.socket, deadline: float) -> str:
        buffer = self._buffers.get(channel.fileno(), b"")
        while b"\n" not in buffer:
            channel.settimeout(max(0.01, min(1.0, deadline - time.monotonic())))
            try:
                more = channel.recv(65536)
            except TimeoutError:
                if self.process.poll() is not None:
                    raise self.failure(
                        said(N_("QEMU ended with status {status}"), status=self.process.returncode)
                    ) from None
                if time.monotonic() > deadline:
                    raise self.failure(said(N_("the guest did not answer in time"))) from None
                continue
            except OSError as error:
                raise self.failure(said(N_("QEMU is gone ({error})"), error=error)) from error
            if not more:
                raise self.failure(said(N_("QEMU closed the line")))
            buffer += more
        line, _, self._buffers[channel.fileno()] = buffer.partition(b"\n")
        return line.decode(errors="replace").strip()

    def failure(self, what: str | Said) -> LabError:
        """An error with the last lines that QEMU and the guest's console wrote."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        tail: list[str] = []
        for name in ("stderr", "console"):
            path = self.folder / name
            if path.exists():
                tail += path.read_text(errors="replace").strip().splitlines()[-3:]
        return LabError(
            N_("{what}; last lines: {lines}"),
            what=what,
            lines=" | ".join(line.strip() for line in tail) or said(N_("(none)")),
        )


def command_line(machine: Machine, guest: Guest, accelerator: str, folder: Path) -> list[str]:
    """QEMU's arguments in the shape of Proxmox VE's own.

    Source: qemu-server `src/test/cfg2cmd/*.conf.cmd` (9.2.6). Proxmox VE writes `free-page-reporting=on` from machine
    version 6.2 on and nothing before, which QEMU takes as off. Departures: stock QEMU has no `-id` and no `+pve0`
    machine; the kernel is given directly; the network is a UNIX datagram socket instead of a tap; no VNC. Under
    software emulation the CPU is `qemu64`, as Proxmox VE chooses with `kvm: 0`, and the translation buffer is held
    at 64 MiB so that it stays a small constant in host memory.
    """
    kicks = ",ioeventfd=off" if machine.count_kicks else ""
    with_iothread = machine.iothread and not machine.count_kicks  # an I/O thread is woken by ioeventfd alone
    iothread = ",iothread=iothread0" if with_iothread else ""
    devices: list[str] = ["piix3-usb-uhci,id=uhci,bus=pci.0,addr=0x1.0x2", "usb-tablet,id=tablet,bus=uhci.0,port=1"]
    devices.append("VGA,id=vga,bus=pci.0,addr=0x2")
    reporting = ",free-page-reporting=on" if machine.free_page_reporting else ""
    devices.append(f"virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3{reporting}")
    backends: list[str] = []
    if machine.disk:
        image = f"file={folder / 'disk.raw'},if=none,id=drive0,format=raw,cache=none,aio=threads,detect-zeroes=on"
        backends += ["-drive", image]
        devices += [option.format(kicks=kicks, iothread=iothread) for option in DISKS[machine.disk].options]
    if machine.nic:
        ends = f"local.type=unix,local.path={folder / 'net-guest'},remote.type=unix,remote.path={folder / 'net-host'}"
        backends += ["-netdev", f"dgram,id=net0,{ends}"]
        devices += [option.format(kicks=kicks, mac=machine.mac) for option in NICS[machine.nic].options]
    disk = DISKS[machine.disk].guest_disk if machine.disk else "none"
    words = f"console=ttyS0 quiet panic=-1 lab.disk={disk} lab.modules={','.join(guest.load_order(machine.modules()))}"
    accel = "tcg,tb-size=64" if accelerator == "tcg" else accelerator
    return [
        *(QEMU, "-name", f"{machine.name},debug-threads=on", "-no-shutdown", "-no-reboot"),
        *("-chardev", f"socket,id=qmp,path={folder / 'qmp'},server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
        *("-smp", f"{machine.vcpus},sockets=1,cores={machine.vcpus},maxcpus={machine.vcpus}", "-nodefaults"),
        *("-boot", "menu=on,strict=on,reboot-timeout=1000", "-display", "none"),
        *("-cpu", "qemu64" if accelerator == "tcg" else "kvm64,enforce,+kvm_pv_eoi,+kvm_pv_unhalt,+lahf_lm,+sep"),
        *("-m", str(machine.memory_bytes // 2**20)),
        *(("-object", "iothread,id=iothread0") if with_iothread else ()),
        *backends,
        *(word for device in devices for word in ("-device", device)),
        *("-chardev", f"file,id=console,path={folder / 'console'}", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=agent,path={folder / 'agent'},server=on,wait=off", "-serial", "chardev:agent"),
        *("-kernel", str(guest.kernel), "-initrd", str(guest.initramfs), "-append", words),
        *("-machine", f"hpet=off,type={machine.machine_type}", "-accel", accel),
    ]


@contextlib.contextmanager
def running(
    machine: Machine, guest: Guest, accelerator: str, trace: bool = False, deadline_s: float = 10.0
) -> Iterator[Running]:
    """Start a machine and yield it; on leaving, however that happens, process, sockets, disk image and cgroup are gone.

    The kernel ends QEMU when this process dies, and a watching shell then removes the folder, so not even a kill -9
    leaves anything behind. Call it from the main thread: the kernel's promise is tied to the thread that starts QEMU.

    Raises
    ------
    LabError
        If QEMU or setpriv is absent, or QEMU does not open its channels in time.
    """
    for program in (QEMU, "setpriv"):
        if shutil.which(program) is None:
            raise LabError(
                N_("{program} not found; install it (Debian: apt-get install qemu-system-x86 util-linux)"),
                program=program,
            )
    with contextlib.ExitStack() as stack:
        folder, cgroup = stack.enter_context(_run_folder(machine.name))
        with (folder / "disk.raw").open("wb") as image:
            image.truncate(machine.disk_bytes)
        command = command_line(machine, guest, accelerator, folder)
        logged = [*command, "-D", str(folder / "trace.log")] if trace else command
        process = stack.enter_context(_process(logged, folder, cgroup))
        up = Running(process, folder, command, time.monotonic(), cgroup)
        up.qmp_socket = stack.enter_context(_connect(up, folder / "qmp", deadline_s))
        up.serial = stack.enter_context(_connect(up, folder / "agent", deadline_s))
        up.greet(deadline_s)
        yield up


@contextlib.contextmanager
def _run_folder(name: str) -> Iterator[tuple[Path, Path | None]]:
    """A folder and a control group for one machine; a shell removes both as soon as this process lets go or dies."""
    folder = Path(tempfile.mkdtemp(prefix=f"virtio-study-{name}-"))
    cgroup = _make_cgroup(folder.name)
    clean_up = 'read _; sleep 0.2; rm -rf -- "$1"; [ -z "$2" ] || rmdir -- "$2"'
    janitor = subprocess.Popen(
        ["sh", "-c", clean_up, "janitor", folder, cgroup or ""], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield folder, cgroup
    finally:
        assert janitor.stdin is not None
        janitor.stdin.close()
        janitor.wait()


@contextlib.contextmanager
def _process(command: list[str], folder: Path, cgroup: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    """QEMU in its control group, ended by the kernel if this process dies and by us when left."""
    enter = 'test -z "$1" || echo $$ > "$1/cgroup.procs"; shift; exec setpriv --pdeathsig KILL "$@"'
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            ["sh", "-c", enter, "start", str(cgroup or ""), *command],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _connect(machine: Running, path: Path, deadline_s: float) -> socket.socket:
    deadline = time.monotonic() + deadline_s
    while True:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.connect(str(path))
            return channel
        except OSError:
            channel.close()
        if machine.process.poll() is not None:
            what = said(N_("QEMU ended with status {status} before it was up"), status=machine.process.returncode)
            raise machine.failure(what)
        if time.monotonic() > deadline:
            what = said(N_("QEMU did not open {name} within {deadline:g} s"), name=path.name, deadline=deadline_s)
            raise machine.failure(what)
        time.sleep(0.02)


def _make_cgroup(name: str) -> Path | None:
    """A memory control group for one machine (v1 or v2), or None where this user may not make one."""
    for root in CGROUPS:
        if not (root / "memory.usage_in_bytes").exists() and not (root / "cgroup.controllers").exists():
            continue
        path = root / name
        try:
            path.mkdir()
        except OSError:
            continue
        if (path / "memory.stat").exists():
            return path
        path.rmdir()
    return None


def probe(guest: Guest) -> Accelerator:
    """Find the accelerator that works, by booting the lab guest with KVM to its marker within 20 s; else `tcg`.

    A `/dev/kvm` that opens proves nothing: it can belong to a software implementation that fails in the guest's kernel.
    """
    module = next((name for name in ("kvm_intel", "kvm_amd", "kvm_pvm") if Path(f"/sys/module/{name}").exists()), None)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Accelerator("tcg", module, said(N_("/dev/kvm cannot be opened")))
    machine = Machine("probe", 999, 1, 256 * 2**20, None, 2**20, None, False, False)
    try:
        with running(machine, guest, "kvm") as up:
            up.wait_for("READY", PROBE_DEADLINE_S)
            if up.qmp("query-status")["status"] != "running":
                return Accelerator("tcg", module, said(N_("the guest stopped under KVM")))
    except LabError as error:
        return Accelerator("tcg", module, said(N_("the guest does not boot under KVM ({error})"), error=error))
    return Accelerator("kvm", module, said(N_("booted to the marker")))
