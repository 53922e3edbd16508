"""The answers on the first screen: each says what the results say, with the verdict that it rests on."""

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from paths import ROOT
from virtio_study.analysis.results import Results
from virtio_study.i18n.language import ENGLISH, LANGUAGES, words
from virtio_study.report.answers import answers, finding, worst


@cache
def bundled() -> dict[str, Any]:
    return json.loads((ROOT / "reports" / "pve-rig" / "results.json").read_text(encoding="utf-8"))


def said(change: Callable[[dict[str, Any]], None] = lambda found: None, language: str = "en") -> dict[str, list[Any]]:
    """Question -> (mark, sentences) of every line, of the bundled results after a change to them."""
    found = copy.deepcopy(bundled())
    change(found)
    spoken = words(language)
    return {
        answer.question: [(line.mark, spoken.plain(line.messages, line.fields)) for line in answer.lines]
        for answer in answers(Results.model_validate(found))
    }


def totals(found: dict[str, Any]) -> list[Any]:
    return [server["comparisons"]["total"] for server in found["servers"].values()]


def test_on_an_emulator_cpu_cannot_be_told_and_the_displayed_figure_is_no_saving() -> None:
    told = said()
    assert told["Did CPU use fall?"] == [("not_an_effect", "Nobody can tell: it was measured on a software emulator.")]
    assert told["Did RAM use fall?"][0] == (
        "not_an_effect",
        "Proxmox VE shows less, but now measures something else: no saving.",
    )
    assert told["Was the published saving real?"] == [
        (
            "not_believable",
            "Nobody can know: none of the paper's figures passes our checks. "
            "One server uses 5.3\u00a0GB of its 4\u00a0GB.",
        )
    ]


def test_memory_of_the_host_falls_by_what_the_results_say_and_comes_from_the_ingredient_that_made_it() -> None:
    (line,) = said()["Does the host get RAM back, and from what?"]
    relative = [item["effects"]["mem_host"]["relative"]["estimate"] for item in totals(bundled())]
    least, most = sorted(round(-100 * value) for value in relative)
    mark, text = line
    assert {mark} == {item["verdicts"]["mem_host"]["status"] for item in totals(bundled())}
    assert text.startswith(f"Yes: it spends {least}\u00a0% to {most}\u00a0% less on every server.")
    assert "free page reporting: guests hand back unused memory" in text
    assert "disk and network card seem to give none back" in text


def test_an_ingredient_is_not_named_where_the_study_did_not_take_the_change_apart() -> None:
    def whole_only(found: dict[str, Any]) -> None:
        for total in totals(found):
            total["decomposition"] = {}

    (line,) = said(whole_only)["Does the host get RAM back, and from what?"]
    assert "Its origin is not known: several things changed together." in line[1]
    assert "free page reporting" not in line[1]


def test_devices_that_gave_memory_are_not_said_to_give_none() -> None:
    def devices_gave(found: dict[str, Any]) -> None:
        for total in totals(found):
            for part in total["decomposition"].get("mem_host", {"parts": []})["parts"]:
                if "disk" in part["names"]:
                    part["change"] |= {"estimate": -2e7, "low": -3e7, "high": -1e7}

    (line,) = said(devices_gave)["Does the host get RAM back, and from what?"]
    assert "seem to give none back" not in line[1]


@pytest.mark.parametrize(
    ("status", "low", "high", "robust", "verdict", "sentence"),
    [
        ("estimated", -0.05, -0.02, None, "believable", "Yes: it fell by 40 % on every server."),
        ("estimated", 0.02, 0.05, None, "believable", "No: it rose by 40 % on every server."),
        ("estimated", -0.05, 0.05, None, "with_reservations", "No change can be seen on every server."),
        ("estimated", -0.05, -0.02, False, "with_reservations", "It seems to fall on every server"),
        ("estimated", -0.05, -0.02, True, "not_believable", "Nobody can tell on every server"),
    ],
)
def test_what_is_said_of_cpu_follows_interval_robustness_and_verdict(
    status: str, low: float, high: float, robust: bool | None, verdict: str, sentence: str
) -> None:
    def changed(found: dict[str, Any]) -> None:
        for total in totals(found):
            effect = total["effects"]["cpu"]
            sign = 1 if low > 0 else -1
            effect |= {"status": status, "robust": robust}
            effect["difference"] |= {"low": low, "high": high, "estimate": sign * 0.035}
            effect["relative"] |= {"estimate": sign * 0.4}
            effect["practical"]["equivalent"] = False
            total["verdicts"]["cpu"]["status"] = verdict

    lines = said(changed)["Did CPU use fall?"]
    assert len(lines) == 1
    assert lines[0][0] == verdict
    assert lines[0][1].replace("\u00a0", " ").startswith(sentence)


def test_servers_of_which_another_thing_is_said_have_a_line_of_their_own() -> None:
    def one_too_short(found: dict[str, Any]) -> None:
        effect = found["servers"]["dominio"]["comparisons"]["total"]["effects"]["mem_host"]
        effect |= {"status": "not_estimable", "difference": None, "relative": None, "practical": None}

    lines = said(one_too_short)["Does the host get RAM back, and from what?"]
    size = round(-100 * totals(bundled())[0]["effects"]["mem_host"]["relative"]["estimate"])
    assert [text.split(".")[0] for _, text in lines] == [
        f"Yes: it spends {size}\u00a0% less on versat",
        "There is too little data of dominio to tell",
    ]


@pytest.mark.parametrize(
    ("equivalent", "sentence"),
    [(True, "For memory the change brings nothing."), (False, "For memory nothing here says to change a driver")],
)
def test_advice_on_memory_that_did_not_change_names_memory(equivalent: bool, sentence: str) -> None:
    def unchanged(found: dict[str, Any]) -> None:
        for total in totals(found):
            effect = total["effects"]["mem_host"]
            effect["difference"] |= {"low": -1.0, "high": 1.0, "estimate": 0.0}
            effect["practical"]["equivalent"] = equivalent

    assert said(unchanged)["What should I do?"][0][1].startswith(sentence)


def test_what_the_study_does_not_have_is_not_asked() -> None:
    told = said(lambda found: found.update(published=None))
    assert "Was the published saving real?" not in told
    assert "Did CPU use fall?" in told


def test_a_heading_of_a_server_has_the_size_and_the_verdict_of_its_host_memory() -> None:
    results = Results.model_validate(bundled())
    line = finding(results, "versat")
    assert line is not None
    assert line.mark == worst(results, "mem_host") == totals(bundled())[0]["verdicts"]["mem_host"]["status"]
    assert re.fullmatch(r"\d\d\u00a0% less host memory", ENGLISH.plain(line.messages, line.fields))


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_are_short_and_have_no_bracket_and_no_arrow(language: str) -> None:
    for lines in said(language=language).values():
        for _, text in lines:
            assert not re.search(r"[\[\](){}→±φ]", text), text
            for sentence in re.split(r"[.:;] ", text):
                assert len(sentence.split()) < 25, sentence


def reading_ease(text: str, language: str) -> float:
    """Flesch's index (1948) for English, Fernández Huerta's of it (1959) for Spanish: 60 and more is plain."""
    sentences = [part for part in re.split(r"[.?:;](?:\s+|$)", text) if part.strip()]
    found = re.findall(r"[^\W\d_]+", text.lower())
    vowels = "[aeiouy]+" if language == "en" else "[aeiouáéóü]*[íú]|[aeiouáéóü]+"
    silent = "e$" if language == "en" else "$^"
    syllables = sum(max(1, len(re.findall(vowels, re.sub(silent, "", word)))) for word in found)
    a_word, a_sentence = syllables / len(found), len(found) / len(sentences)
    if language == "en":
        return 206.835 - 84.6 * a_word - 1.015 * a_sentence
    return 206.84 - 60 * a_word - 1.02 * a_sentence


@pytest.mark.parametrize("name", ["lab-qemu", "pve-rig"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_level_reads_easily(language: str, name: str) -> None:
    spoken = words(language)
    found = (ROOT / "reports" / name / "results.json").read_text(encoding="utf-8")
    told = answers(Results.model_validate_json(found))
    text = " ".join(
        [spoken.gettext(item.question) for item in told]
        + [spoken.plain(line.messages, line.fields) for item in told for line in item.lines]
    )
    assert reading_ease(text, language) > 65


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_tells_plain_from_learned(language: str) -> None:
    plain, learned = {
        "en": ("The host gets it back. Load the driver.", "Heterogeneous instrumentation invalidates comparability."),
        "es": (
            "El huésped usa lo mismo. Baja en los dos.",
            "La heterogeneidad instrumental imposibilita comparaciones.",
        ),
    }[language]
    assert reading_ease(plain, language) > 65 > 0 > reading_ease(learned, language)
