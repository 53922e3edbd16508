"""A whole change taken apart into its ingredients: the numbers, what cannot be told apart, and what names an effect."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from paths import ROOT
from virtio_study.analysis.arms import arm_of
from virtio_study.analysis.decomposition import decompose
from virtio_study.analysis.evidence import Surroundings
from virtio_study.analysis.ingredients import settings_of, what_differs
from virtio_study.analysis.validity import check_co_interventions
from virtio_study.recording import Provenance
from virtio_study.study import Study, load_study

MIB = 2.0**20
LAB = ROOT / "data" / "lab-qemu"
CELLS = {
    "emulated": ("ide", "e1000", False, False),
    "balloon": ("ide", "e1000", True, False),
    "reporting": ("ide", "e1000", True, True),
    "devices": ("virtio-blk", "virtio-net", False, False),
    "devices-balloon": ("virtio-blk", "virtio-net", True, False),
    "virtio": ("virtio-blk", "virtio-net", True, True),
    "emulated-again": ("ide", "e1000", False, False),
}
BLOCK = [0.0, 3.0, -2.0, 5.0]
"""What every boot of a block has in common, MiB: it must not widen a contrast."""


def a_study(tmp_path: Path, cells: tuple[str, ...] = tuple(CELLS), source: str = "lab", **total: object) -> Study:
    protocol = {
        "title": {"en": "made up", "es": "inventado"},
        "source": source,
        "host": {"name": "h", "cpu_model": "c", "logical_cpus": 2, "memory_bytes": "8 GiB", "hypervisor": "QEMU"},
        "servers": {
            "versat": {
                "vmid": 100,
                "role": {"en": "a", "es": "a"},
                "vcpus": 1,
                "memory_bytes": "512 MiB",
                "disk_bytes": "1 GiB",
                "guest_os": "linux",
                "guest_kernel": "6.1",
            }
        },
        "driver_configs": {
            name: {
                "label": {"en": name, "es": name},
                "disk": CELLS[name][0],
                "nic": CELLS[name][1],
                "balloon_driver": CELLS[name][2],
                "free_page_reporting": CELLS[name][3],
            }
            for name in cells
        },
        "comparisons": {
            "total": {"before": "emulated", "after": "virtio", "purpose": "total", "question": {"en": "q", "es": "q"}}
            | total
        },
        "metrics": ["cpu", "mem_displayed", "mem_host"],
        "seed": 1,
    }
    if source == "lab":
        protocol["lab"] = {
            "boots": 4,
            "steady_s": 10,
            "step_s": 2,
            "start_up_fill_bytes": "1 MiB",
            "loads": {"versat": {}},
        }
    (tmp_path / "made-up").mkdir()
    (tmp_path / "made-up" / "study.yaml").write_text(yaml.safe_dump(protocol))
    return load_study(tmp_path / "made-up")


def an_arm(config: str, host_mib: float, displayed_mib: float, boots: int = 4, rows: int = 5):
    """Boots whose host memory is the cell's and the block's, to the byte."""
    disk, card, driver, reporting = CELLS[config]
    frames = []
    day = 4 * list(CELLS).index(config)
    wobble = np.random.default_rng(day).normal(0, 0.02, rows)
    wobble -= wobble.mean()
    for number in range(boots):
        frames.append(
            pd.DataFrame(
                {
                    "time": pd.date_range("2026-01-01", periods=rows, freq="2s", tz="UTC")
                    + pd.Timedelta(days=day + number),
                    "step_s": 2.0,
                    "replicate": f"boot-{number + 1:02d}",
                    "period": "steady",
                    "reason": "",
                    "cpu_cores": 0.1,
                    "mem_host_bytes": (host_mib + BLOCK[number] + wobble) * MIB,
                    "mem_host_instrument": "host_cgroup",
                    "mem_displayed_bytes": (displayed_mib + BLOCK[number] + wobble) * MIB,
                    "mem_instrument": "guest_stats" if driver else "host_cgroup",
                }
            )
        )
    provenance = Provenance(
        study="made-up",
        server="versat",
        driver_config=config,
        replicate="boot-01",
        kind="simulated",
        source="made up",
        collector_version="0",
        started_at="2026-01-01T00:00:00+00:00",
        devices={"disk": disk, "nic": card, "balloon_driver": "loaded" if driver else "not loaded"},
        vm_config=["-device", "virtio-balloon-pci,id=balloon0" + (",free-page-reporting=on" if reporting else "")],
    )
    return arm_of("versat", config, pd.concat(frames, ignore_index=True), [provenance])


HOST = {"emulated": 400, "balloon": 398, "reporting": 230, "devices": 401, "devices-balloon": 399, "virtio": 236}
HOST |= {"emulated-again": 400}
SHOWN = {"emulated": 400, "balloon": 60, "reporting": 61, "devices": 401, "devices-balloon": 60, "virtio": 61}
SHOWN |= {"emulated-again": 400}


def arms_of(cells=tuple(CELLS), **facts):
    return {name: an_arm(name, HOST[name], SHOWN[name], **facts) for name in cells}


def mib(estimate) -> float:
    return round(estimate.estimate / MIB, 6)


def test_six_cells_give_every_ingredient_its_own_part_and_the_parts_add_up(tmp_path):
    study = a_study(tmp_path)
    found = decompose(study, study.comparison("total"), arms_of())["mem_host"]
    parts = {part.names: part for part in found.parts}
    assert list(parts) == [("balloon driver",), ("free page reporting",), ("disk", "card")]
    assert mib(parts["balloon driver",].change) == -2.0  # -2 with emulated devices, -2 with VirtIO's
    assert mib(parts["free page reporting",].change) == -165.5  # -168 and -163
    assert [mib(step.change) for step in parts["free page reporting",].steps] == [-168.0, -163.0]
    assert mib(parts["free page reporting",].interaction) == 5.0
    assert mib(parts["disk", "card"].change) == pytest.approx(8 / 3, abs=1e-6)  # +1, +1, +6
    assert [(step.before, step.after) for step in parts["disk", "card"].steps] == [
        ("emulated", "devices"),
        ("balloon", "devices-balloon"),
        ("reporting", "virtio"),
    ]
    assert mib(found.whole) == -164.0
    assert sum(mib(part.change) for part in found.parts) + mib(found.rest) == pytest.approx(-164.0, abs=1e-5)


def test_a_boot_without_a_steady_state_costs_its_own_contrasts_only(tmp_path):
    study = a_study(tmp_path)
    arms = arms_of()
    lost = arms["devices"].boots[0].rows
    rows = pd.concat([lost.assign(period="excluded"), *(boot.rows for boot in arms["devices"].boots[1:])])
    arms["devices"] = arm_of("versat", "devices", rows, arms["devices"].provenances)
    found = decompose(study, study.comparison("total"), arms)["mem_host"]
    counts = {part.names: [step.change.n for step in part.steps] for part in found.parts}
    assert counts == {
        ("balloon driver",): [4, 3],
        ("free page reporting",): [4, 4],
        ("disk", "card"): [3, 4, 4],
    }
    assert found.whole.n == 4
    assert sum(mib(part.change) for part in found.parts) + mib(found.rest) == pytest.approx(mib(found.whole), abs=1e-5)


def test_what_a_block_has_in_common_does_not_widen_a_contrast(tmp_path):
    study = a_study(tmp_path)
    found = decompose(study, study.comparison("total"), arms_of())["mem_host"]
    assert all(part.change.high - part.change.low < 1e-3 * MIB for part in found.parts)
    assert found.before.high - found.before.low > 5 * MIB


def test_the_displayed_figure_changes_its_instrument_with_the_driver_and_says_so(tmp_path):
    study = a_study(tmp_path)
    found = decompose(study, study.comparison("total"), arms_of())["mem_displayed"]
    assert {part.names: part.instrument_switch for part in found.parts} == {
        ("balloon driver",): True,
        ("free page reporting",): False,
        ("disk", "card"): False,
    }
    assert "a change of what makes the figure and not of memory" in found.sentence


def test_what_no_configuration_separates_is_one_part_and_named(tmp_path):
    cells = ("emulated", "reporting", "virtio")
    study = a_study(tmp_path, cells, source="recordings")
    found = decompose(study, study.comparison("total"), arms_of(cells, boots=1, rows=60))["mem_host"]
    assert [part.names for part in found.parts] == [("balloon driver", "free page reporting"), ("disk", "card")]
    assert [mib(part.change) for part in found.parts] == [-170.0, 6.0]
    assert found.rest is None
    assert "These cannot be told apart" in found.sentence
    assert "balloon driver, free page reporting" in found.sentence


def test_without_a_configuration_between_the_sides_it_says_what_to_record(tmp_path):
    cells = ("emulated", "virtio")
    study = a_study(tmp_path, cells)
    found = decompose(study, study.comparison("total"), arms_of(cells))["mem_host"]
    assert found.parts == ()
    assert "Record one that has some of them" in found.sentence


def sides(study, before, after):
    arms = arms_of()
    first, second = (Surroundings(settings=settings_of(arms[name], study)) for name in (before, after))
    return first, second


@pytest.mark.parametrize(
    ("before", "after", "purpose", "with_change", "status", "words"),
    [
        ("emulated", "virtio", "total", [], "fail", "Not VirtIO's disk or card alone changed"),
        ("balloon", "virtio", "devices", [], "fail", "free page reporting: off → on"),
        ("emulated", "virtio", "total", ["balloon driver", "free page reporting"], "warn", "alone: by protocol"),
        ("reporting", "virtio", "devices", [], "pass", "no"),
        ("balloon", "reporting", "reporting", [], "pass", "no"),
        ("emulated", "balloon", "instrument", [], "pass", "no"),
        ("emulated", "reporting", "instrument", [], "fail", "free page reporting: off → on"),
        ("emulated", "emulated-again", "restart", [], "pass", "no"),
    ],
)
def test_an_effect_has_the_name_of_what_differs_and_of_nothing_else(
    tmp_path, side, before, after, purpose, with_change, status, words
):
    study = a_study(tmp_path)
    first, second = sides(study, before, after)
    done = check_co_interventions(side(first), side(second), purpose, with_change)
    assert done.status == status, done.sentence
    assert words in done.sentence


def test_what_neither_side_can_know_is_said_and_is_no_difference(side):
    settings = {"disk": "virtio-blk", "free page reporting": "not known"}
    (item,) = what_differs(settings, settings)
    assert (item.name, item.before, item.after) == ("free page reporting", "not known", "not known")
    around = side(Surroundings(settings=settings))
    assert check_co_interventions(around, around, "restart").status == "pass"


@pytest.fixture
def side():
    from virtio_study.analysis.evidence import Side

    def made(around: Surroundings) -> Side:
        return Side("versat", "c", "mem_host", 1.0, "bytes", "sustained mean", around=around)

    return made


def test_a_difference_names_both_values():
    found = what_differs({"disk": "ide", "cpu": "host"}, {"disk": "virtio-blk", "cpu": "host", "machine": "q35"})
    assert [(item.name, item.before, item.after) for item in found] == [
        ("disk", "ide", "virtio-blk"),
        ("machine", "-", "q35"),
    ]


def test_the_bundled_studies_do_not_contradict_each_other():
    """Where both share a contrast, no part is shown to rise in one and to fall in the other."""
    signs: dict[frozenset[str], dict[str, set[int]]] = {}
    for name in ("lab-qemu", "pve-rig"):
        results = json.loads((ROOT / "reports" / name / "results.json").read_text())
        for server in results["servers"].values():
            for metric in ("mem_displayed", "mem_host"):
                parts = server["comparisons"]["total"]["decomposition"][metric]["parts"]
                contrasts = {frozenset(part["names"]): part["change"] for part in parts}
                both = [contrasts.get(frozenset({one})) for one in ("balloon driver", "free page reporting")]
                if all(both):
                    summed = {key: sum(part[key] for part in both) for key in ("low", "high")}
                    contrasts[frozenset({"balloon driver", "free page reporting"})] = summed
                for contrast, change in contrasts.items():
                    sign = int(np.sign(change["low"])) if change["low"] * change["high"] > 0 else 0
                    signs.setdefault(contrast, {}).setdefault(metric, set()).add(sign)
    shared = signs[frozenset({"balloon driver", "free page reporting"})]
    assert shared["mem_displayed"] == {-1}
    for by_metric in signs.values():
        for found in by_metric.values():
            assert not {-1, 1} <= found
