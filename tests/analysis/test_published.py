"""The paper's numbers as data, and what the checks find in them by themselves."""

import shutil

import pytest

from paths import ROOT
from virtio_study.analysis.audit import audit_published
from virtio_study.analysis.published import load_values, sides, table_rows
from virtio_study.errors import DataError
from virtio_study.study import load_study

FOLDER = ROOT / "data" / "published"


@pytest.fixture(scope="module")
def study():
    return load_study(FOLDER)


@pytest.fixture(scope="module")
def audit(study):
    return audit_published(study)


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "data" / "published"
    shutil.copytree(FOLDER, folder)
    return folder


def check(audit, server, metric, name):
    return next(c for c in audit.servers[server][metric].checks if c.name == name)


def test_every_figure_and_the_whole_table_are_there(study):
    values = load_values(study.folder)
    places = " ".join(value.place for value in values.values())
    assert all(f"Figure {number}" in places for number in range(1, 9))
    assert sum(value.place == "Table 1" for value in values.values()) == 12


@pytest.mark.parametrize(
    ("server", "metric", "difference", "relative"),
    [
        ("versat", "cpu", -18.94, -0.8834),
        ("versat", "mem_displayed", -1.93, -0.5884),
        ("dominio", "cpu", -1.5, -0.9375),
        ("dominio", "mem_displayed", -5.1, -0.9623),
    ],
)
def test_table_differences_are_computed_again(audit, server, metric, difference, relative):
    row = audit.servers[server][metric]
    assert row.difference == pytest.approx(difference)
    assert row.relative == pytest.approx(relative, abs=5e-5)
    assert row.agrees


class TestFoundByTheChecks:
    def test_more_used_than_allocated(self, audit):
        found = check(audit, "dominio", "mem_displayed", "possible_values")
        assert found.status == "fail"
        assert "5.3 GB used is more than the 4 GB allocated" in found.sentence
        assert check(audit, "versat", "mem_displayed", "possible_values").status == "pass"

    def test_maximum_against_sustained(self, audit):
        found = check(audit, "dominio", "cpu", "same_statistic")
        assert found.status == "fail"
        assert "maximum" in found.sentence
        assert "sustained" in found.sentence
        pair = audit.servers["dominio"]["cpu"].like_with_like
        assert (pair.before, pair.after) == ("fig5-dominio-cpu", "fig6-dominio-cpu-peak")
        assert pair.difference == pytest.approx(-0.9)

    @pytest.mark.parametrize("server", ["versat", "dominio"])
    @pytest.mark.parametrize("metric", ["cpu", "mem_displayed"])
    def test_no_load_no_replicate_no_duration(self, audit, server, metric):
        assert check(audit, server, metric, "same_load").status == "not_assessable"
        assert check(audit, server, metric, "enough_replicates").status == "fail"
        assert check(audit, server, metric, "enough_rows").status == "not_assessable"
        assert audit.servers[server][metric].verdict.status == "not_believable"

    def test_value_near_the_tick(self, audit):
        found = check(audit, "dominio", "cpu", "quantum")
        assert found.status == "warn"
        assert found.numbers["quanta"] == pytest.approx(3)
        assert "0.1 %, is only 3 times" in found.sentence
        assert check(audit, "versat", "cpu", "quantum").status == "pass"

    def test_memory_instrument_unknown(self, audit):
        assert check(audit, "versat", "mem_displayed", "same_instrument").status == "not_assessable"
        assert check(audit, "versat", "cpu", "same_instrument").status == "pass"

    def test_findings(self, audit):
        found = {item.name: item for item in audit.findings}
        assert found["table_differences"].status == "pass"
        assert "21.4 %" in found["repetitions"].sentence
        assert "Figure 8" in found["caption"].sentence
        assert "63.1 %" in found["start_up"].sentence

    def test_nothing_is_hard_coded(self, copy):
        """With other values in the data the same checks find nothing."""
        values = copy / "values.csv"
        text = values.read_text(encoding="utf-8")
        text = (
            text.replace(",5.3,GB", ",3.3,GB")
            .replace("5.1,GB", "3.1,GB")
            .replace("maximum,maximum", "sustained,sustained")
        )
        text = (
            text.replace(",0.1,%", ",1.1,%").replace(",1.5,%", ",0.5,%").replace("process_ticks,1,", "process_ticks,8,")
        )
        values.write_text(text, encoding="utf-8")
        audit = audit_published(load_study(copy))
        assert check(audit, "dominio", "mem_displayed", "possible_values").status == "pass"
        assert check(audit, "dominio", "cpu", "same_statistic").status == "warn"
        assert check(audit, "dominio", "cpu", "quantum").status == "pass"
        assert check(audit, "dominio", "cpu", "enough_replicates").status == "pass"
        assert all(row.agrees for server in audit.servers.values() for row in server.values())


def test_capacity_as_the_paper_counts(audit):
    found = audit.capacity.servers["versat"]
    assert (found.by_logical_cpus, found.by_physical_cores, found.by_memory) == (21, 10, 4)


def test_sides_are_in_cores_and_bytes(study):
    before, after = sides(study, load_values(study.folder))["dominio", "cpu"]
    assert before.value == pytest.approx(0.048)
    assert after.value == pytest.approx(0.003)
    assert after.quantum == pytest.approx(0.001)
    memory = sides(study, load_values(study.folder))["dominio", "mem_displayed"]
    assert [side.value for side in memory] == [5.3e9, 200e6]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("21.44,%,sustained", "21.4x,%,sustained", r"values.csv:10: value is '21.4x'; expected a number"),
        ("21.44,%,sustained", ",%,sustained", r"values.csv:10: value is empty"),
        ("text-versat-cpu,", "fig1-versat-cpu,", r"values.csv:11: id 'fig1-versat-cpu' is there already"),
        ("Table 1,fig1-versat-cpu", "Table 1,fig9", "repeats 'fig9', which is not an id"),
        ("id,server", "ident,server", "values.csv:1: columns are"),
        ('"The caption names the Versat server, the text the domain server"', "a, b", "expected 16 fields"),
    ],
)
def test_a_broken_file_is_named_with_its_line(copy, old, new, match):
    path = copy / "values.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_values(copy)


def test_missing_file_and_missing_table_row(copy):
    path = copy / "values.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(x for x in lines if not x.startswith("table1-dominio-ram-after")), encoding="utf-8")
    study = load_study(copy)
    with pytest.raises(DataError, match="no table row of dominio, mem_displayed, virtio"):
        table_rows(study, load_values(copy))
    path.unlink()
    with pytest.raises(DataError, match=r"values.csv: missing"):
        load_values(copy)
