"""The protocol: what is wrong is named by file, line, key and value, with what was expected and the nearest key."""

from pathlib import Path

import pytest

from small import PROTOCOL
from virtio_study.errors import StudyError
from virtio_study.i18n.language import words
from virtio_study.study import Study, load_study

BUNDLED = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("name", ["lab-qemu", "pve-rig", "published"])
def test_bundled_studies_are_valid(name: str) -> None:
    study = load_study(BUNDLED / name)
    assert study.name == name
    assert study.reports == BUNDLED.parent / "reports" / name


def test_driver_configurations_keep_the_order_of_the_file(small: Study) -> None:
    assert list(small.driver_configs) == ["emulated", "virtio"]
    assert small.servers["alpha"].memory_bytes == 512 * 2**20
    assert (small.confidence, small.seed) == (0.95, 1)


def test_found_by_folder_file_and_name_from_a_folder_below(
    small: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "notebooks")
    for given in ("small", small.folder, small.folder / "study.yaml", "../data/small"):
        assert load_study(given) == small


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 1", "sead: 1", r"study.yaml:13: unknown key 'sead' \(did you mean 'seed'\?\); valid: title, source"),
        ("seed: 1\n", "", r"study.yaml:1: missing key 'seed'; add it"),
        ("seed: 1", "seed: -1", r"study.yaml:13: seed is -1: input should be greater than or equal to 0"),
        ("seed: 1", "seed: many", r"study.yaml:13: seed is 'many': input should be a valid integer"),
        ("vmid: 101", "vmidd: 101", r"study.yaml:6: unknown key 'servers.beta.vmidd' \(did you mean 'vmid'\?\)"),
        (
            "vcpus: 1, memory_bytes: 512 MiB",
            "vcpus: 0, memory_bytes: 512 MiB",
            r"study.yaml:5: servers.alpha.vcpus is 0",
        ),
        ("memory_bytes: 4 GiB", "memory_bytes: lots", r"study.yaml:3: host.memory_bytes is 'lots'"),
        (
            "after: virtio",
            "after: virtoi",
            r"unknown driver configuration 'virtoi' \(did you mean 'virtio'\?\); known: em",
        ),
        ("[cpu, mem_displayed]", "[cpu, ram]", r"study.yaml:12: metrics.1 is 'ram': .*'cpu', 'mem_displayed'"),
        ("source: recordings", "source: lab", r"source: lab needs the key lab"),
        ("  alpha:", "  Alpha!:", r"study.yaml:5: servers.Alpha! is 'Alpha!': a name here has small letters a to z"),
        ("title: {en", "title: {{en", r"study.yaml:\d+: not valid YAML"),
        ("seed: 1", "seed: 1\nload: {gamma: []}", r"load: unknown server 'gamma'; known: alpha, beta"),
        ("vcpus: 1, memory_bytes: 512 MiB", "vcpus: 1, memory_bytes: 512", r"a number without a unit .* as in 512 MiB"),
        ("disk_bytes: 1 GiB", "disk_bytes: 1", r"study.yaml:5: servers.alpha.disk_bytes is 1: a number without a unit"),
        ("disk_bytes: 1 GiB", "disk_bytes: '32.5'", "write the unit, as in 32.5 MiB"),
        ("memory_bytes: 4 GiB", "memory_bytes: 4", r"study.yaml:3: host.memory_bytes is 4: a number without a unit"),
        ("vcpus: 1", "vcpus: 1_0", r"study.yaml:5: 1_0 is not what YAML reads; write the number with digits alone"),
        ("vcpus: 1", "vcpus: '1_0'", r"study.yaml:5: servers.alpha.vcpus is '1_0': expected a number, in digits"),
        ("vcpus: 1", "vcpus: yes", r"study.yaml:5: servers.alpha.vcpus is True: expected a number, in digits"),
        ("seed: 1", "seed: no", r"study.yaml:13: seed is False: expected a number, in digits"),
        ("vmid: 100", "vmid: 0100", r"study.yaml:5: 0100 is not what YAML reads"),
        ("vmid: 100", f"vmid: 0x{'9' * 5000}", r"study.yaml:5: expected a number of at most 18 digits"),
        ("  alpha:", "  010:", r"study.yaml:5: 010 is not what YAML reads"),
        ("seed: 1", "seed: 1:30", r"study.yaml:13: 1:30 is not what YAML reads"),
        ("seed: 1", "seed: 1\npractical_margin: .nan", r"study.yaml:14: .nan is not what YAML reads"),
        ("seed: 1", "seed: 1\nseed: 2", r"study.yaml:14: key 'seed' is there twice \(first in line 13\); keep one"),
        ("seed: 1", "seed: 1\nwindows: []\nwindows: []", r"study.yaml:15: key 'windows' is there twice"),
        ("vcpus: 1", "vcpus: 1, vcpus: 4", r"study.yaml:5: key 'vcpus' is there twice \(first in line 5\)"),
        ("  beta:", "  alpha:", r"study.yaml:6: key 'alpha' is there twice \(first in line 5\)"),
        ("{en: e, es: e}", "{en: e, es: e, en: f}", r"study.yaml:8: key 'en' is there twice"),
        (
            "after: virtio",
            "after: emulated",
            r"study.yaml:11: comparisons.total: before and after are both “emulated”; an effect is between",
        ),
        (
            "seed: 1",
            "seed: 1\nwindows:\n"
            "  - {server: alpha, driver_config: virtio, start: 2026-11-02T08:00:00Z, end: 2026-11-04T00:00:00Z}\n"
            "  - {server: alpha, driver_config: emulated, start: 2026-11-01T00:00:00Z, end: 2026-11-02T09:00:00Z}",
            r"study.yaml:14: windows: alpha has emulated until 2026-11-02T09:00:00\+00:00, and virtio from",
        ),
        ("vmid: 101", "vmid: 100", r"study.yaml:6: servers.beta: vmid 100 is that of alpha; a host or cluster gives"),
    ],
)
def test_what_is_wrong_is_named(small: Study, old: str, new: str, expected: str) -> None:
    path = small.folder / "study.yaml"
    assert old in PROTOCOL
    path.write_text(PROTOCOL.replace(old, new, 1))
    with pytest.raises(StudyError, match=expected) as caught:
        load_study(small.folder)
    assert "\n" not in str(caught.value)


IDE, VIRTIO = "disk: ide, nic: e1000", "disk: virtio-scsi, nic: virtio-net"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (VIRTIO, IDE),
        ("disk: virtio-blk", "disk: ahci"),
        ("disk: ide, nic: virtio-net", "disk: ide, nic: e1000"),
        ("balloon_driver: true", "balloon_driver: false"),
        (f"{VIRTIO}, balloon_driver: true", f"{IDE}, balloon_driver: false"),
    ],
)
def test_sides_that_are_swapped_are_named(small: Study, first: str, second: str) -> None:
    path = small.folder / "study.yaml"
    configs = PROTOCOL.replace("{en: e, es: e}", f"{{en: e, es: e}}, {first}").replace(
        "{en: v, es: v}", f"{{en: v, es: v}}, {second}"
    )
    path.write_text(configs)
    with pytest.raises(
        StudyError, match=r"study.yaml:11: comparisons\.total: before and after are swapped: emulated has the VirtIO dr"
    ):
        load_study(small.folder)
    path.write_text(configs.replace("before: emulated, after: virtio", "before: virtio, after: emulated"))
    assert load_study(small.folder).comparison("total").after == "emulated"


@pytest.mark.parametrize("second", ["disk: virtio-blk, nic: virtio-net", VIRTIO, "disk: virtio-scsi", ""])
def test_sides_that_keep_or_gain_virtio_are_not_swapped(small: Study, second: str) -> None:
    lines = PROTOCOL.replace("{en: v, es: v}", f"{{en: v, es: v}}{second and ', '}{second}")
    (small.folder / "study.yaml").write_text(lines.replace("{en: e, es: e}", f"{{en: e, es: e}}, {VIRTIO}"))
    load_study(small.folder)


@pytest.mark.parametrize(
    ("content", "expected"), [(b"", "found NoneType"), (b"- a", "found list"), (b"\xff\xfe\x00", "not UTF-8 text")]
)
def test_a_file_that_is_no_protocol(small: Study, content: bytes, expected: str) -> None:
    (small.folder / "study.yaml").write_bytes(content)
    with pytest.raises(StudyError, match=expected):
        load_study(small.folder)


def test_no_such_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"no study 'lab-kemu': looked for lab-kemu/study.yaml and for data/lab-kemu"):
        load_study("lab-kemu")


@pytest.mark.parametrize(
    ("old", "new", "spanish"),
    [
        ("logical_cpus: 2", "logical_cpus: 0", "host.logical_cpus es 0: debe ser mayor que 0"),
        (
            "purpose: total",
            "purpose: all",
            "debe ser 'total', 'instrument', 'reporting', 'devices', 'restart' o 'setting'",
        ),
        ("seed: 1", "sed: 1", "clave desconocida 'sed' (¿quiso decir 'seed'?)"),
        (
            "after: virtio",
            "after: virto",
            "configuración de controladores desconocida 'virto' (¿quiso decir 'virtio'?)",
        ),
    ],
)
def test_faults_are_said_in_the_language_of_the_reader(small: Study, old: str, new: str, spanish: str) -> None:
    path = small.folder / "study.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StudyError) as caught:
        load_study(small.folder)
    assert spanish in words("es").line(caught.value.message, caught.value.numbers)
