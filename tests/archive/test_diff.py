"""Differences between two results: which values, how large, and what recorded cause explains them."""

import copy
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic import make_study
from virtio_study.archive.diff import CAUSES, Differences, as_dict, differences
from virtio_study.archive.recorded import read_results
from virtio_study.cli.differences import differences_lines
from virtio_study.cli.main import main
from virtio_study.errors import DataError, StudyError
from virtio_study.study import load_study
from virtio_study.workflow.steps import write_results

SMALL: dict[str, Any] = {
    "schema_version": 2,
    "code": "c0de",
    "study": {"seed": 1, "confidence": 0.95},
    "methods": {"difference": "Welch"},
    "provenance": {"inputs": {"study.yaml": "aa"}, "version": "0.1.0", "seed": 1},
    "environment": {"packages": {"numpy": "2.0"}, "python": "3.11.7", "processor": ["X86_V2"], "blas": "openblas 0.3"},
    "servers": {"versat": {"boots": [{"replicate": "b1", "mean": 0.3}, {"replicate": "b2", "mean": 0.0}], "ok": True}},
}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    result = copy.deepcopy(SMALL)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("diff")
    write_results(make_study(root, boots=3))
    return root


def differences_text(found: Differences) -> str:
    return "\n".join(differences_lines(found))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def test_the_same_results_have_no_difference() -> None:
    found = differences(SMALL, copy.deepcopy(SMALL))
    assert found.agreement == "identical"
    assert (found.causes, found.values, found.differing) == ((), 5, 0)
    assert differences_text(found) == "Every one of 5 values is the same."


def test_a_changed_number_is_named_with_its_relative_size() -> None:
    found = differences(SMALL, changed("servers", "versat", "boots", 0, "mean", value=0.33))
    (item,) = found.outcomes
    assert item.path == ("servers", "versat", "boots", "b1", "mean")
    assert item.relative == pytest.approx(0.1)
    text = differences_text(found)
    assert "1 of 5 values differ" in text
    assert "servers/versat/boots/b1/mean: 0.3 -> 0.33 (+10 %)" in text


def test_the_last_digit_counts_and_the_type_of_a_number_does_not() -> None:
    last = math.nextafter(0.3, 1)
    mean = ("servers", "versat", "boots", 0, "mean")
    assert differences(SMALL, changed(*mean, value=last)).agreement == "within_promise"
    assert differences(SMALL, changed("servers", "versat", "boots", 1, "mean", value=0)).agreement == "identical"
    assert differences(SMALL, changed("servers", "versat", "ok", value=1)).agreement == "different"


@pytest.mark.parametrize(
    ("value", "agreement"),
    [(0.3, "identical"), (0.300000001, "within_promise"), (0.30000001, "different"), (-0.3, "different")],
)
def test_one_unit_in_the_last_written_digit_is_within_the_promise(value: float, agreement: str) -> None:
    found = differences(SMALL, changed("servers", "versat", "boots", 0, "mean", value=value))
    assert found.agreement == agreement
    assert ("within the promise" in differences_text(found)) == (agreement == "within_promise")


def test_one_number_beyond_the_promise_is_not_hidden_by_one_within_it() -> None:
    other = changed("servers", "versat", "boots", 0, "mean", value=0.300000001)
    other["servers"]["versat"]["boots"][1]["mean"] = 1.0
    assert differences(SMALL, other).agreement == "different"


def test_a_change_from_zero_has_no_relative_size() -> None:
    (item,) = differences(SMALL, changed("servers", "versat", "boots", 1, "mean", value=0.1)).outcomes
    assert item.relative is None
    assert "%" not in differences_text(differences(SMALL, changed("servers", "versat", "boots", 1, "mean", value=0.1)))


def test_an_item_that_goes_does_not_shift_the_items_after_it() -> None:
    found = differences(SMALL, changed("servers", "versat", "boots", value=[{"replicate": "b2", "mean": 0.0}]))
    (item,) = found.outcomes
    assert (item.kind, item.path[-1], item.values) == ("removed", "b1", 2)
    assert (found.values, found.differing) == (5, 2)
    assert "boots/b1: only in the first: 2 values" in differences_text(found)


@pytest.mark.parametrize(
    ("cause", "path", "value"),
    [
        ("inputs", ("provenance", "inputs", "study.yaml"), "bb"),
        ("code", ("provenance", "version"), "0.2.0"),
        ("code", ("code",), "c0ffee"),
        ("code", ("schema_version",), 3),
        ("seed", ("provenance", "seed"), 2),
        ("seed", ("study", "seed"), 2),
        ("environment", ("environment", "packages", "numpy"), "2.1"),
        ("environment", ("environment", "python"), "3.12.1"),
        ("environment", ("environment", "processor"), ["X86_V2", "X86_V4"]),
        ("environment", ("environment", "blas"), "openblas 0.4"),
        ("parameters", ("study", "confidence"), 0.9),
        ("parameters", ("methods", "difference"), "Student"),
    ],
)
def test_what_was_recorded_about_the_making_is_told_apart_from_outcomes(
    cause: str, path: tuple[str, ...], value: Any
) -> None:
    found = differences(SMALL, changed(*path, value=value))
    assert found.agreement == "identical"
    assert [item.cause for item in found.causes] == [cause]
    assert f"{cause}: 1 different" in differences_text(found)
    assert cause in CAUSES


def test_where_nothing_recorded_differs_no_reason_is_made_up() -> None:
    text = differences_text(differences(SMALL, changed("servers", "versat", "ok", value=False)))
    assert "Nothing that was recorded about their making differs." in text
    assert not re.search("edited|tampered|forged|was changed", text)
    both = changed("servers", "versat", "ok", value=False)
    both["provenance"]["seed"] = 2
    assert "Nothing that was recorded" not in differences_text(differences(SMALL, both))


def test_no_name_or_value_commands_the_terminal() -> None:
    hostile = changed("servers", "\x1b[2J\u202e", value="\x1b]0;gone\x07" + "x" * 300)
    text = differences_text(differences(SMALL, hostile))
    assert all(line.isprintable() for line in text.splitlines())
    assert max(len(line) for line in text.splitlines()) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_any_two_results_are_compared_both_ways_alike(left: Any, right: Any) -> None:
    one, other = {"servers": left}, {"servers": right}
    there, back = differences(one, other), differences(other, one)
    assert there.agreement == back.agreement
    assert (there.values, there.differing) == (back.values, back.differing)
    assert there.differing <= there.values
    assert differences(one, json.loads(json.dumps(one))).agreement == "identical"
    json.dumps(as_dict(there))
    differences_text(there)


def test_results_are_found_by_file_report_folder_study_folder_and_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    report = home / "reports" / "made-up"
    places = [report / "results.json", report, home / "data" / "made-up", home / "data/made-up/study.yaml", "made-up"]
    assert {read_results(place).path.resolve() for place in places} == {report / "results.json"}


def test_what_is_no_result_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study 'nowhere'"):
        read_results("nowhere")
    with pytest.raises(DataError, match="no results yet; make them with: virtio-study run made-up"):
        read_results(make_study(tmp_path, boots=1).folder)
    for text, message in (("{", "not JSON"), ("[" * 100_000, "not JSON"), ("{}", "not results of virtio-study")):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(DataError, match=message):
            read_results(tmp_path)
    (tmp_path / "results.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not JSON"):
        read_results(tmp_path)


def test_diff_explains_another_confidence_level(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_study(tmp_path, boots=3)
    protocol = other.folder / "study.yaml"
    protocol.write_text(protocol.read_text() + "confidence: 0.9\n")
    write_results(load_study(other.folder))
    code, out, err = run(capsys, "diff", str(home / "data" / "made-up"), str(other.folder))
    assert (code, err) == (1, "")
    assert "inputs: 1 different\n  provenance/inputs/study.yaml: " in out
    assert "study/confidence: 0.95 -> 0.9 (-5.26 %)" in out
    assert "servers/versat: " in out
    assert "comparisons/total/effects/cpu/difference/low: " in out
    assert "configurations/emulated/boots/boot-01/levels/cpu/mean: " not in out  # a mean has no confidence level
    code, out, _ = run(capsys, "diff", "--json", str(home / "data" / "made-up"), str(other.folder))
    found = json.loads(out)
    assert (code, found["agreement"]) == (1, "different")
    assert set(found["causes"]) == {"inputs", "parameters"}
    assert 0 < found["differing"] == sum(item["values"] for item in found["outcomes"]) < found["values"]


def test_diff_of_a_study_with_itself_exits_0(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(home / "reports" / "made-up")
    code, out, err = run(capsys, "diff", place, place)
    assert (code, err) == (0, "")
    assert "values is the same." in out
    code, _, err = run(capsys, "diff", place, str(home / "nothing.json"))
    assert code == 2
    assert err.count("\n") == 1


def test_diff_says_that_results_are_not_those_that_their_list_names(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(home / "reports" / "made-up", tmp_path / "made-up")
    path = tmp_path / "made-up" / "results.json"
    results = json.loads(path.read_text())
    assert read_results(path).as_listed is True
    results["seed_of_nothing"] = 1
    path.write_text(json.dumps(results))
    code, out, _ = run(capsys, "diff", str(home / "reports" / "made-up"), str(path))
    assert code == 1
    assert f"{path} is not as the manifest.json beside it lists it." in out
    assert "code: 1 different" in out  # what made the second is not known


def test_diff_names_another_processor_beside_other_numbers(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(home / "reports" / "made-up", tmp_path / "made-up")
    path = tmp_path / "made-up" / "environment.json"
    made = json.loads(path.read_text())
    made["processor"], made["packages"]["numpy"] = ["VSX"], "9.9"
    path.write_text(json.dumps(made))
    code, out, _ = run(capsys, "diff", str(home / "reports" / "made-up"), str(tmp_path / "made-up"))
    assert code == 0
    assert "What was recorded about their making differs:" in out
    assert "environment/packages/numpy: " in out
    assert "environment/processor/0: " in out
