"""`virtio-study collect` in every version with every fault of the embedded host: kept, named, and no traceback."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from click.testing import CliRunner

from virtio_study.cli.main import cli
from virtio_study.i18n.sentences import english
from virtio_study.sources.api import client as api_client
from virtio_study.sources.api import response_log
from virtio_study.sources.api.collecting import client_of
from virtio_study.sources.api.watching import watch
from virtio_study.sources.responses import read_answers
from virtio_study.study import Study, load_study
from virtio_study.testing.demo import make_study
from virtio_study.testing.faults import Fault, FaultKind
from virtio_study.testing.pve import Clock, SimulatedHost, serve, two_servers
from virtio_study.testing.versions import VERSIONS

pytestmark = pytest.mark.slow

NOW = 1_772_409_600.0
KINDS = get_args(FaultKind)
HARMLESS = {"hung_qemu", "pvestatd_down", "slow_drip"}
"""Faults under which the host answers everything, though late or with less in it."""


@pytest.fixture(scope="module", params=list(VERSIONS))
def version(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def host(version: Any) -> Iterator[SimulatedHost]:
    with serve(two_servers(now=NOW), version=version, clock=Clock(NOW), delay_scale=0.001) as running:
        yield running


@pytest.fixture
def study(host: SimulatedHost, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr(api_client, "FIRST_WAIT_S", 0.01)
    if version == "4.4":
        monkeypatch.setenv("VIRTIO_STUDY_PVE_USER", host.user)
        monkeypatch.setenv("VIRTIO_STUDY_PVE_PASSWORD", host.password)
    else:
        monkeypatch.setenv("VIRTIO_STUDY_PVE_TOKEN", f"{host.token_id}={host.token_secret}")
    path = make_study(tmp_path, two_servers(now=NOW)).folder / "study.yaml"
    endpoint = {"host": host.host, "port": host.port, "ca_file": str(host.ca_file)}
    protocol = yaml.safe_load(path.read_text()) | {"proxmox": endpoint}
    path.write_text(yaml.safe_dump(protocol, allow_unicode=True, sort_keys=False))
    return load_study(path)


def collected(study: Study, host: SimulatedHost, fault: Fault) -> Any:
    """What the command says with the fault in force, after what holds for every fault."""
    host.inject(fault)
    try:
        done = CliRunner().invoke(cli, ["collect", str(study.folder)])
    finally:
        host.heal()
    assert done.exit_code in (0, 3), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output
    assert host.token_secret not in done.output
    lines = done.output.splitlines()
    missing = [place for place, line in enumerate(lines) if line.startswith("missing: ")]
    assert bool(missing) == (done.exit_code == 3)
    for place in missing:
        assert re.fullmatch(r"missing: (host|versat|dominio): \S+: \S.*", lines[place])
        assert re.fullmatch(r"  \S.*", lines[place + 1]), "no remedy"
    stored = [answer for answer in read_answers(response_log.stored(study.folder)) if answer.status == 200]
    assert len([answer for answer in stored if answer.data is not None]) == int(lines[0].split()[0])
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_one_server_leaves_the_other_whole(host: SimulatedHost, study: Study, kind: FaultKind) -> None:
    whole = kind in ("no_sys_audit", "pmxcfs_down", "pvestatd_down", "pvedaemon_down")
    of_vmid = kind in ("no_permission", "hung_qemu")
    path = "" if whole or of_vmid else "/qemu/101/"
    done = collected(study, host, Fault(kind, path, vmid=101 if of_vmid else None, seconds=0.001, since=NOW - 7200))
    if kind not in HARMLESS:
        assert done.exit_code == 3, done.output
    if not whole:
        assert "missing: versat" not in done.output
        assert len(list(study.folder.glob("recordings/versat/**/*.parquet"))) == len(study.windows) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_everything_is_named_and_the_next_collection_is_whole(
    host: SimulatedHost, study: Study, kind: FaultKind
) -> None:
    done = collected(study, host, Fault(kind, seconds=0.001, since=NOW - 365 * 86400))
    if kind not in HARMLESS - {"pvestatd_down"}:
        assert done.exit_code == 3, done.output
    again = CliRunner().invoke(cli, ["collect", str(study.folder)])
    assert again.exit_code == 0, again.output
    assert len(list(study.folder.glob("recordings/**/*.parquet"))) == len(study.windows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_watch_goes_through_every_fault_and_on_after_it(host: SimulatedHost, study: Study, kind: FaultKind) -> None:
    clock = Clock(NOW)
    client = client_of(study, tries=1)
    client.clock = clock
    said: list[str] = []

    def say(line: object) -> None:
        said.append(english(line))
        if len(said) == 1:
            host.inject(Fault(kind, seconds=0.001, since=NOW - 7200))
        if len(said) == 4:
            host.heal()

    try:
        watch(study, client, say, lambda: len(said) >= 12, sleep=clock.advance)
    finally:
        host.heal()
    assert all("\n" not in line and host.token_secret not in line for line in said)
    assert "2 of 2 servers" in said[-1]
    assert "refused" not in said[-1]
    if kind in ("unauthorized", "reset", "pmxcfs_down"):
        assert "waiting" in said[2]
    answers = read_answers(response_log.stored(study.folder))
    asked = [answer.time_s for answer in answers if answer.path.endswith("100/status/current")]
    assert len(asked) == len(set(asked)) >= 8
