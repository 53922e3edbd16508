"""The lab guest: Debian's kernel and busybox, downloaded and unpacked, and an initramfs made of them.

Same kernel and initramfs in every arm; which modules a boot loads is said on its kernel command line.
"""

import gzip
import hashlib
import io
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from virtio_study.errors import LabError
from virtio_study.i18n.marks import N_
from virtio_study.storage import sha256, write_atomically

__all__ = ["Guest", "build_guest", "initramfs", "module_closure"]

MODULES = (
    "ata_piix",
    "ahci",
    "sym53c8xx",
    "sd_mod",
    "e1000",
    "e1000e",
    "8139cp",
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_balloon",
    "crc32c_generic",
    "ext4",
)


@dataclass(frozen=True)
class Guest:
    """Kernel, initramfs and what they were made of.

    `dependencies` maps each module to the modules that must be loaded before it, in order.
    """

    kernel: Path
    initramfs: Path
    kernel_release: str
    packages: dict[str, str]
    dependencies: dict[str, list[str]]

    def load_order(self, modules: list[str]) -> list[str]:
        """Modules with everything they need, each once, in an order that loads."""
        return module_closure(modules, self.dependencies)

    def digests(self) -> dict[str, str]:
        """SHA-256 of kernel and initramfs."""
        return {"kernel": sha256(self.kernel), "initramfs": sha256(self.initramfs)}


def build_guest(folder: Path) -> Guest:
    """Download and unpack the newest Debian kernel and busybox into a folder, and make the initramfs.

    What is there already is used again. Nothing is installed; no root is needed.

    Raises
    ------
    LabError
        If apt-get or dpkg-deb is absent, or a download fails.
    """
    for program in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(program) is None:
            raise LabError(
                N_("{program} not found: the lab guest is made from Debian packages; run it on Debian or Ubuntu"),
                program=program,
            )
    folder.mkdir(parents=True, exist_ok=True)
    packages = {name: _unpack(name, folder) for name in (_kernel_package(), "busybox-static")}
    kernel_root = next(path for name, path in packages.items() if name.startswith("linux-image"))
    release = next((kernel_root / "lib/modules").iterdir()).name
    available = {path.name.split(".ko")[0].replace("-", "_"): path for path in kernel_root.rglob("*.ko*")}
    dependencies = {name: [d for d in _depends(path) if d] for name, path in available.items() if name in MODULES}
    todo = [d for needed in dependencies.values() for d in needed]
    while todo:
        name = todo.pop()
        if name not in dependencies:
            dependencies[name] = _depends(available[name])
            todo += dependencies[name]
    contents = {f"lib/modules/{name}.ko": _module(available[name]) for name in sorted(dependencies)}
    contents["bin/busybox"] = (packages["busybox-static"] / "bin/busybox").read_bytes()
    contents["init"] = files("virtio_study.lab").joinpath("guest-init.sh").read_bytes()
    image = initramfs(contents)
    path = folder / f"initramfs-{hashlib.sha256(image).hexdigest()[:12]}.gz"
    if not path.exists():
        write_atomically(path, image)
    versions = {name: re.sub(r"^(\d+)~", r"\1:", root.name.split("_")[1]) for name, root in packages.items()}
    return Guest(kernel_root / f"boot/vmlinuz-{release}", path, release, versions, dependencies)


def _kernel_package() -> str:
    shown = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", "linux-image-amd64"], capture_output=True, text=True, check=False
    )
    found = re.search(r"^Depends:.*?(linux-image-[0-9][^ ,]*-amd64)", shown.stdout, re.MULTILINE)
    if not found:
        raise LabError(N_("apt knows no linux-image-amd64; run 'apt-get update' and try again"))
    return found[1]


def _unpack(package: str, folder: Path) -> Path:
    """Folder with a package's files, named `<package>_<version>_<architecture>`."""
    ready = sorted(path for path in folder.glob(f"{package}_*") if path.is_dir())
    if ready:
        return ready[-1]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as name:
        got = subprocess.run(["apt-get", "download", package], cwd=name, capture_output=True, text=True, check=False)
        archives = list(Path(name).glob("*.deb"))
        if got.returncode or not archives:
            reason = (got.stderr.strip().splitlines() or ["no package came"])[-1]
            raise LabError(
                N_("apt-get download {package} failed: {reason}; run 'apt-get update' and try again"),
                package=package,
                reason=reason,
            )
        root = Path(name) / archives[0].stem.replace("%3a", "~")
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), str(root)], check=True)
        return Path(root.rename(folder / root.name))


def _module(path: Path) -> bytes:
    if path.suffix == ".xz":
        import lzma

        return lzma.decompress(path.read_bytes())
    return path.read_bytes()


def _depends(path: Path) -> list[str]:
    """Direct dependencies of a kernel module, from its `.modinfo` section."""
    found = re.search(rb"\0depends=([^\0]*)\0", _module(path))
    names = found[1].decode().split(",") if found else []
    return [name.replace("-", "_") for name in names if name]


def module_closure(modules: list[str], dependencies: dict[str, list[str]]) -> list[str]:
    """Modules with all they depend on, each once, dependencies first."""
    order: list[str] = []

    def visit(name: str) -> None:
        for needed in dependencies.get(name, []):
            visit(needed)
        if name not in order:
            order.append(name)

    for module in modules:
        visit(module)
    return order


def initramfs(contents: dict[str, bytes]) -> bytes:
    """A gzip-compressed `newc` cpio archive; the same contents give the same bytes.

    Parameters
    ----------
    contents : dict
        Path in the guest -> bytes. Everything is executable and belongs to root; folders are made.

    Notes
    -----
    Format: Linux `Documentation/driver-api/early-userspace/buffer-format.rst`.
    """
    folders = sorted({parent.as_posix() for name in contents for parent in Path(name).parents} - {"."})
    entries: list[tuple[str, int, bytes]] = [(name, 0o040755, b"") for name in [*folders, "dev", "proc", "sys", "tmp"]]
    entries += [(name, 0o100755, contents[name]) for name in sorted(contents)]
    entries.append(("TRAILER!!!", 0, b""))
    archive = io.BytesIO()
    for inode, (name, mode, data) in enumerate(entries, start=1):
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        archive.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        archive.write(b"\0" * (-archive.tell() % 4))
        archive.write(data + b"\0" * (-len(data) % 4))
    return gzip.compress(archive.getvalue(), mtime=0)
