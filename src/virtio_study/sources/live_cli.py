"""The commands that ask a Proxmox VE host: `new`, `doctor`, `inventory`, `collect` and `watch`."""

import json
from pathlib import Path

import click

__all__ = ["collect", "doctor", "inventory", "new", "watch"]

PARTIAL, FOUND_FAULTS = 3, 1
HOST = click.option("--host", required=True, help="Name or address of the host.")
PORT = click.option("--port", type=click.IntRange(1, 65535), default=8006, show_default=True)
CA_FILE = click.option("--ca-file", type=click.Path(path_type=Path), help="Copy of its /etc/pve/pve-root-ca.pem.")
FINGERPRINT = click.option("--fingerprint", help="SHA-256 fingerprint of its certificate, as AB:CD:...")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("vmids", type=click.IntRange(min=100), nargs=-1, required=True)
@HOST
@PORT
@CA_FILE
@FINGERPRINT
def new(
    folder: Path, vmids: tuple[int, ...], host: str, port: int, ca_file: Path | None, fingerprint: str | None
) -> None:
    """Write the study.yaml of a new study from a live host.

    FOLDER is that of the study, such as data/mine; VMIDS are the numbers of its servers (virtio-study inventory shows
    them).
    """
    from virtio_study.errors import DataError
    from virtio_study.sources.inventory import draft
    from virtio_study.sources.proxmox import Client
    from virtio_study.storage import write_atomically
    from virtio_study.study import Endpoint, load_study

    path = folder / "study.yaml"
    if path.exists():
        raise DataError(f"{path}: there already; give another folder")
    endpoint = Endpoint(host=host, port=port, ca_file=ca_file and ca_file.resolve(), fingerprint=fingerprint)
    write_atomically(path, draft(Client(endpoint), endpoint, vmids).encode())
    load_study(path)
    click.echo(f"{path}: read it, complete it, then: virtio-study doctor {folder}")


@click.command()
@HOST
@PORT
@CA_FILE
@FINGERPRINT
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help="VirtIO devices too, not only what is not VirtIO.")
def inventory(host: str, port: int, ca_file: Path | None, fingerprint: str | None, form: str, everything: bool) -> None:
    """Every server of a cluster, and which of its devices are not VirtIO."""
    from virtio_study.labels import harmless
    from virtio_study.sources.inventory import inventory as take
    from virtio_study.sources.proxmox import Client
    from virtio_study.study import Endpoint

    found = take(Client(Endpoint(host=host, port=port, ca_file=ca_file, fingerprint=fingerprint)))
    shown = found if everything else found[found["device_class"].ne("virtio")]
    if form == "csv":
        click.echo(shown.to_csv(index=False, lineterminator="\n"), nl=False)
    elif form == "json":
        click.echo(json.dumps(shown.to_dict("records"), indent=1, default=str))
    else:
        if len(shown):
            click.echo(shown.map(lambda value: harmless(str(value))).to_string(index=False))
        servers = found["vmid"].nunique()
        other = shown[shown["device_class"].ne("")]["vmid"].nunique()
        click.echo(f"{servers} servers, {other} with a device that is not VirtIO", err=True)


@click.command()
@click.argument("study")
def doctor(study: str) -> None:
    """Whether the study's host can answer: version, token, permissions, clock, retention, TLS, servers.

    Exit code 1 if something has to be mended first.
    """
    from virtio_study.sources.doctor import examine
    from virtio_study.sources.live import client_of
    from virtio_study.study import load_study

    protocol = load_study(study)
    failed = 0
    for item in examine(client_of(protocol), protocol.servers):
        failed += item.status == "fail"
        click.echo(f"{item.status:4}  {item.what}: {item.says}")
        if item.remedy:
            click.echo(f"      {item.remedy}")
    if failed:
        raise click.exceptions.Exit(FOUND_FAULTS)


@click.command()
@click.argument("study")
def collect(study: str) -> None:
    """Ask the host once for everything, store it, and record the study's windows.

    Exit code 3 if something could not be had; what came is kept.
    """
    from virtio_study.sources.live import client_of
    from virtio_study.sources.live import collect as collect_once
    from virtio_study.study import load_study

    protocol = load_study(study)
    done = collect_once(protocol, client_of(protocol))
    click.echo(f"{done.answers} answers stored in {protocol.folder / 'raw'}")
    for place, note in done.written:
        click.echo(f"{place}: {note}")
    if not protocol.windows:
        click.echo("no windows in study.yaml, so nothing was recorded: add them, or see virtio-study files answers")
    for item in done.missing:
        click.echo(f"missing: {item.server or 'host'}: {item.path}: {item.cause}\n  {item.remedy}", err=True)
    if done.missing:
        raise click.exceptions.Exit(PARTIAL)


@click.command()
@click.argument("study")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="End after so many hours.")
def watch(study: str, hours: float | None) -> None:
    """Poll the host every 10 s until ended, through reboots and lost networks; start it again and it goes on.

    Then: virtio-study files answers STUDY
    """
    import sys
    import time

    from virtio_study.sources.live import client_of
    from virtio_study.sources.live import watch as poll
    from virtio_study.study import load_study

    protocol = load_study(study)
    end = time.monotonic() + hours * 3600 if hours else float("inf")
    terminal = sys.stderr.isatty()

    def say(line: str) -> None:
        click.echo(f"\r\x1b[2K{line}" if terminal else line, err=True, nl=not terminal)

    polls = poll(protocol, client_of(protocol), say, lambda: time.monotonic() >= end)
    click.echo(f"{polls} polls stored in {protocol.folder / 'raw'}")
