"""From recordings to results, step by step, on a made-up study; the same bytes every time."""

import json
import shutil

import numpy as np
import pytest

from paths import ROOT
from synthetic import MIB, boot, make_study
from virtio_study.errors import DataError, StudyError
from virtio_study.recording import Recording, recordings, write
from virtio_study.study import load_study
from virtio_study.workflow import artefacts, steps


def run(study):
    for config in study.driver_configs:
        steps.collect(study, "versat", config)
        steps.clean(study, "versat", config)
        steps.describe(study, "versat", config)
    steps.compare(study, "versat")
    return steps.write_results(study)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("made-up"))


@pytest.fixture(scope="module")
def found(study):
    return run(study)


@pytest.fixture(scope="module")
def total(found):
    return found.servers["versat"].comparisons["total"]


def test_host_memory_is_estimated(total):
    effect = total.effects["mem_host"]
    assert effect.status == "estimated"
    assert effect.difference.low < -180 * 2**20 + 6 * 2**20
    assert effect.relative.estimate == pytest.approx(-0.45, abs=0.02)
    # all boots before ran before all boots after
    assert [reason.name for reason in total.verdicts["mem_host"].reasons] == ["order"]


def test_displayed_memory_is_an_instrument_switch(total):
    effect = total.effects["mem_displayed"]
    assert effect.status == "instrument_switch"
    assert effect.difference is None
    assert effect.relative is None
    assert effect.before.estimate > effect.after.estimate
    assert total.verdicts["mem_displayed"].status == "not_an_effect"


def test_cpu_under_tcg_is_labelled(total):
    effect = total.effects["cpu"]
    assert effect.status == "emulator_only"
    assert effect.difference.estimate == pytest.approx(-0.05, abs=0.02)
    assert "emulator" in effect.sentence
    assert total.verdicts["cpu"].status == "not_an_effect"


def test_cpu_under_kvm_is_an_effect(tmp_path):
    study = make_study(tmp_path, accelerator="kvm")
    total = run(study).servers["versat"].comparisons["total"]
    assert total.effects["cpu"].status == "estimated"
    assert [reason.name for reason in total.verdicts["cpu"].reasons] == ["order"]


def test_unchanged_guest_memory_is_equivalent(total):
    effect = total.effects["mem_guest"]
    assert effect.practical.equivalent
    assert "same within 5 %" in effect.sentence


def test_load_is_given_column_by_column(total):
    assert [(item.column, item.equivalent) for item in total.load] == [("disk_reads_per_s", True)]


def test_boots_have_their_start_up(found):
    boots = found.servers["versat"].configurations["virtio"].boots
    assert len(boots) == 6
    for one in boots:
        assert one.transient_s >= 20
        assert one.levels["cpu"].start_up_peak > 0.9
        assert one.levels["cpu"].peak < 0.5


def test_same_bytes_again(study, found):
    files = [study.reports / "results.json", *sorted(study.work.iterdir())]
    first = {path.name: path.read_bytes() for path in files}
    run(study)
    assert {path.name: path.read_bytes() for path in files} == first


def test_no_path_and_no_nan_in_results(study, found):
    text = (study.reports / "results.json").read_text()
    assert str(study.folder.parent.parent) not in text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in results.json"))


def test_provenance(study, found):
    provenance = found.provenance
    assert provenance.seed == 1
    assert provenance.recordings == {"qemu": "0", "host_kernel": "6.8.12-4-pve"}
    assert set(provenance.inputs) == {"study.yaml", "manifest.json"}


def test_published_study_beside_is_audited(tmp_path):
    study = make_study(tmp_path, boots=2)
    shutil.copytree(ROOT / "data" / "published", study.folder.parent / "published")
    assert run(study).published.servers["dominio"]["mem_displayed"].verdict.status == "not_believable"


def test_published_study_alone(tmp_path):
    folder = tmp_path / "data" / "published"
    shutil.copytree(ROOT / "data" / "published", folder)
    found = steps.results(load_study(folder))
    assert found.servers == {}
    assert found.published.name == "published"


def test_counts_are_passed_on(tmp_path):
    study = make_study(tmp_path, boots=2)
    shutil.copy(ROOT / "data" / "lab-qemu" / "counts.json", study.folder)
    assert run(study).counts.rows[0].device == "ide"


def test_one_short_recording_a_side_of_a_server_with_days_is_refused(tmp_path):
    study = make_study(tmp_path, boots=1, daily_cycle=True)
    total = run(study).servers["versat"].comparisons["total"]
    assert total.effects["mem_host"].status == "not_estimable"
    assert "at least 3 whole days a side are needed" in total.effects["mem_host"].sentence
    assert total.verdicts["mem_host"].status == "not_believable"


def test_one_recording_a_side_under_a_constant_load_has_an_interval_and_a_robust_bound(tmp_path):
    study = make_study(tmp_path, boots=1)
    server = run(study).servers["versat"]
    level = server.configurations["virtio"].levels["mem_host"].sustained
    assert level.low < level.estimate < level.high < level.low + 5 * MIB
    total = server.comparisons["total"]
    effect = total.effects["mem_host"]
    assert (effect.status, effect.replication, effect.robust) == ("estimated", "batches", True)
    assert effect.difference.estimate == pytest.approx(-180 * MIB, abs=15 * MIB)
    assert effect.difference.high < effect.bound.high < 0
    assert "one recording a side" in effect.sentence
    assert "The bound that trusts no model excludes zero too" in effect.sentence
    assert effect.about == "stretches"
    # an interval is no replicate: the verdict says so
    assert total.verdicts["mem_host"].status == "with_reservations"
    assert "enough_replicates" in [reason.name for reason in total.verdicts["mem_host"].reasons]
    assert total.effects["mem_displayed"].status == "instrument_switch"


def test_a_study_with_windows_has_its_runs_in_order_with_the_view_of_the_displayed_memory(tmp_path):
    study = make_study(tmp_path, boots=2)
    path = study.folder / "study.yaml"
    windows = [("emulated", "2026-01-01"), ("virtio", "2026-01-02")]
    lines = [f"  - {{server: versat, driver_config: {c}, start: {d}T00:00Z, end: {d}T23:00Z}}" for c, d in windows]
    path.write_text(path.read_text() + "windows:\n" + "\n".join(lines) + "\n")
    runs = run(load_study(path)).timeline["versat"]
    assert [(item.driver_config, item.replicate) for item in runs] == [
        ("emulated", "boot-01"),
        ("emulated", "boot-02"),
        ("virtio", "boot-01"),
        ("virtio", "boot-02"),
    ]
    assert [[view for _, view in item.instruments] for item in runs] == [["host"], ["host"], ["guest"], ["guest"]]
    assert all(item.end_s - item.start_s == 140 and item.start_up_s >= 20 for item in runs)
    assert run(make_study(tmp_path / "without")).timeline is None


class TestMistakes:
    def test_two_recordings_of_the_same_time(self, tmp_path):
        study = make_study(tmp_path, boots=2)
        same = boot(np.random.default_rng(1), start="2026-01-01T00:06")
        first = next(recordings(study.folder, "versat", "emulated"))
        provenance = first.provenance.model_copy(update={"replicate": "rrd-01"})
        write(Recording(same, provenance, first.path.with_name("rrd-01.parquet")), study.folder)
        with pytest.raises(DataError, match="boot-01 and rrd-01 hold the same time, and would count as two replicates"):
            steps.collect(study, "versat", "emulated")

    def test_a_step_makes_what_it_needs(self, tmp_path):
        study = make_study(tmp_path, boots=2)
        assert steps.results(study).servers["versat"].comparisons["total"].effects
        assert artefacts.work_file(study, "versat", "virtio", "clean.parquet").exists()

    def test_unknown_names(self, study):
        with pytest.raises(StudyError, match=r"unknown server 'verst' \(did you mean 'versat'"):
            steps.collect(study, "verst", "virtio")
        with pytest.raises(StudyError, match="unknown driver configuration 'virtual'"):
            steps.collect(study, "versat", "virtual")

    @pytest.mark.parametrize("what", ["collected.parquet", "clean.parquet", "provenance.json", "levels.json"])
    def test_damaged_artefact_is_made_anew(self, tmp_path, what):
        study = make_study(tmp_path, boots=2)
        before = steps.results(study)
        path = artefacts.work_file(study, "versat", "virtio", what)
        whole = path.read_bytes()
        path.write_bytes(whole[:-50])
        assert steps.results(study) == before
        if what != "collected.parquet":  # which nothing needed
            steps.clean(study, "versat", "virtio")
        assert path.read_bytes() == whole or what == "collected.parquet"

    def test_damaged_input(self, tmp_path):
        study = make_study(tmp_path, boots=2)
        (study.folder / "counts.json").write_text("{")
        with pytest.raises(DataError, match=r"counts\.json: .*Invalid JSON.*; run virtio-study lab count again"):
            steps.results(study)
