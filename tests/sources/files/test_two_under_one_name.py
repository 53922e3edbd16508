"""Two servers under one number in a dump: refused, or asked for with `--match`; one server that moves is one."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from imports import windowed
from virtio_study import recording
from virtio_study.cli.main import cli
from virtio_study.errors import DataError
from virtio_study.sources.files.dumps import Dump, of_one_server
from virtio_study.sources.files.influx import read_influx
from virtio_study.sources.files.prometheus import read_prometheus
from virtio_study.study import Study

T = 1_795_441_200
WINDOW = ("2026-11-23T13:40:00Z", "2026-11-23T14:10:00Z")
KALI = {"host": "Kali-Linux", "nodename": "masterserver", "cpu": 0.02, "cpus": 2, "uptime": 50_000, "at": 0}
MIRROR = {"host": "mirror-benchmark", "nodename": "MasterServer", "cpu": 0.8, "cpus": 8, "uptime": 900_000, "at": 3}


def points(of: dict[str, object], first: int = 0, last: int = 180, vmid: int = 100) -> Iterator[str]:
    """Points of a server, each 10 s, as Proxmox VE writes them."""
    tags = ",".join(f"{name}={of[name]}" for name in ("host", "nodename") if name in of)
    for n in range(first, last):
        counted = f"diskread={5_000_000 + n * 1000},diskwrite={n * 500},netin={n * 10},netout={n * 3}"
        known = f"cpu={of['cpu']},cpus={of['cpus']},maxmem=4294967296,mem=1000000000,uptime={of['uptime'] + 10 * n}"  # type: ignore[operator]
        stamp = (T + 10 * n + int(str(of["at"]))) * 10**9
        yield f'system,{tags},object=qemu,vmid={vmid} {known},{counted},status="running" {stamp}'


def save(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def study_of(tmp_path: Path) -> Study:
    return windowed(tmp_path, ("alpha", "virtio", *WINDOW), given="vcpus: 2, memory_bytes: 4 GiB")


def command(study: Study, dump: Path, *match: str) -> list[str]:
    return ["files", "influx", str(study.folder), str(dump), *(word for text in match for word in ("--match", text))]


def test_two_hosts_in_one_bucket_are_asked_for_and_one_is_taken(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    mixed = [line for pair in zip(points(KALI), points(MIRROR), strict=True) for line in pair]
    dump = save(tmp_path / "a.lp", *mixed)
    asked = (
        r"points of two servers have the number 100, host 'Kali-Linux' and 'mirror-benchmark'; choose one with --match"
    )
    with pytest.raises(DataError, match=asked):
        CliRunner().invoke(cli, command(study, dump), catch_exceptions=False)
    assert not (study.folder / "recordings").exists()
    CliRunner().invoke(cli, command(study, dump, "host=Kali-Linux"), catch_exceptions=False)
    (made,) = recording.recordings(study.folder, "alpha", "virtio")
    np.testing.assert_allclose(made.frame["cpu_cores"], 0.04)
    assert set(made.frame["cpu_allocated_cores"]) == {2}
    assert len(made.frame) == 179


def test_a_number_that_was_given_to_another_server_is_asked_for(tmp_path: Path) -> None:
    dump = save(tmp_path / "a.lp", *points(KALI, 0, 90), *points(KALI | {"host": "shop"}, 90, 180))
    with pytest.raises(DataError, match="host 'Kali-Linux' and 'shop'"):
        read_influx([dump])
    assert len(read_influx([dump], {"host": ["shop"]}).servers[100]) == 90
    assert len(read_influx([dump], {"host": ["shop", "Kali-Linux"]}).servers[100]) == 180  # it was renamed


@pytest.mark.parametrize("apart", [{"cluster": "north"}, {"nodename": "pve2"}])
def test_other_tags_tell_two_servers_of_one_name(tmp_path: Path, apart: dict[str, str]) -> None:
    second = MIRROR | {"host": "Kali-Linux", "nodename": "masterserver"} | apart
    lines = [*points(KALI), *points(second)]
    if "cluster" in apart:
        lines = [line.replace("host=Kali", "cluster=north,host=Kali", int("cpus=8" in line)) for line in lines]
    with pytest.raises(DataError, match=f"points of two servers have the number 100, {next(iter(apart))}"):
        read_influx([save(tmp_path / "a.lp", *lines)])


def test_a_server_that_moves_between_nodes_is_one(tmp_path: Path) -> None:
    there, here = KALI | {"nodename": "pve2"}, KALI | {"nodename": "pve1"}
    dump = save(tmp_path / "a.lp", *points(here, 0, 60), *points(there, 60, 120), *points(here, 120, 180))
    assert len(read_influx([dump]).servers[100]) == 180


def test_two_servers_of_another_number_do_not_matter(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    dump = save(tmp_path / "a.lp", *points(KALI), *points(KALI, vmid=101), *points(MIRROR, vmid=101))
    done = CliRunner().invoke(cli, command(study, dump), catch_exceptions=False)
    assert "recordings/alpha/virtio/influx-01.parquet: 179 rows of 10 s" in done.output


def test_two_servers_with_the_same_names_are_told_by_their_starts(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    twin = MIRROR | {"host": "Kali-Linux", "nodename": "masterserver", "cpus": 2}
    dump = save(tmp_path / "a.lp", *points(KALI), *points(twin))
    with pytest.raises(
        DataError, match="the server's start goes back 180 times: they are of two servers of one number"
    ):
        CliRunner().invoke(cli, command(study, dump), catch_exceptions=False)


def test_restarts_and_a_clock_that_is_set_are_no_second_server() -> None:
    samples = [{"time": T + 10.0 * n, "uptime": 5000.0 + 10 * n if n < 50 else 10.0 * (n - 50)} for n in range(100)]
    samples[70]["time"] += 4000  # one late answer
    of_one_server(samples, "influx")
    of_one_server([{**sample, "maxmem": 4e9 if n < 30 else 8e9} for n, sample in enumerate(samples)], "influx")


def test_two_servers_without_names_or_starts_are_told_by_their_allocations() -> None:
    samples = [{"time": T + 10.0 * n, "maxmem": 4e9, "cpus": 2 if n % 2 else 8} for n in range(100)]
    with pytest.raises(DataError, match="the allocation changes there and back 49 times: they are of two servers"):
        of_one_server(samples, "influx")


def test_two_values_of_one_moment_are_refused(tmp_path: Path) -> None:
    lines = [*points(KALI, 0, 20)]
    twice = lines[5].replace("cpu=0.02", "cpu=0.03")
    with pytest.raises(DataError, match=r"line 21: cpu is 0\.03, and was 0\.02 at the same moment"):
        read_influx([save(tmp_path / "a.lp", *lines, twice)])
    assert len(read_influx([save(tmp_path / "a.lp", *lines, *lines)]).servers[100]) == 20


@pytest.mark.parametrize("kind", ["influx", "prometheus"])
def test_a_container_given_for_a_server_is_named(tmp_path: Path, kind: str) -> None:
    study = study_of(tmp_path)
    if kind == "influx":
        lines = [line.replace("object=qemu", "object=lxc") for line in points(KALI)]
        dump = save(tmp_path / "a", *lines, *points(KALI, vmid=102))
    else:
        dump = save(tmp_path / "a", json.dumps(exported("lxc/100", "qemu/102")))
    line = ["files", kind, str(study.folder), str(dump)]
    with pytest.raises(
        DataError, match=r"nothing was recorded; alpha: not recorded: 100 is a container in the dump; .* 102"
    ):
        CliRunner().invoke(cli, line, catch_exceptions=False)


def exported(*things: str, instance: str = "pve1", at: int = 0) -> dict[str, object]:
    """An answer of the query API."""
    series = [
        {
            "metric": {"__name__": name, "id": thing, "instance": instance},
            "values": [[T + 10 * n + at, str(value)] for n in range(120)],
        }
        for thing in things
        for name, value in (("pve_cpu_usage_ratio", 0.1), ("pve_cpu_usage_limit", 2), ("pve_memory_usage_bytes", 1e9))
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": series}}


def test_two_prometheus_answers_in_a_file_or_with_headers_are_read(tmp_path: Path) -> None:
    first, second = (json.dumps(exported(f"qemu/{vmid}")) for vmid in (100, 101))
    dump = read_prometheus([save(tmp_path / "a", "HTTP/1.1 200 OK", "", first, second)])
    assert {vmid: len(samples) for vmid, samples in dump.servers.items()} == {100: 120, 101: 120}


def test_labels_that_are_listed_are_one_server_s(tmp_path: Path) -> None:
    first, second = exported("qemu/100"), exported("qemu/100", instance="pve1:9221", at=5)
    dump = save(tmp_path / "a", json.dumps(first), json.dumps(second))

    def read(*instances: str) -> Dump:
        return read_prometheus([dump], {"instance": instances} if instances else None)

    with pytest.raises(
        DataError, match="two series of pve_cpu_usage_ratio of qemu/100, instance 'pve1' and 'pve1:9221'"
    ):
        read()
    assert len(read("pve1").servers[100]) == 120
    assert len(read("pve1", "pve1:9221").servers[100]) == 240
