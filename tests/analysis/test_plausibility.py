"""Accesses times a price: forwards, backwards, and on the bundled studies."""

import pytest
from click.testing import CliRunner

from paths import ROOT
from virtio_study.analysis.plausibility import (
    EXIT,
    NOTIFICATION,
    Counts,
    implied_rate,
    mean_accesses,
    plausibility,
    predicted_change,
)
from virtio_study.cli.main import cli
from virtio_study.errors import DataError

COUNTS = Counts.model_validate_json((ROOT / "data/lab-qemu/counts.json").read_text())


def test_a_hundred_requests_a_second_by_hand():
    change = predicted_change(100, 26, 1)
    assert change.typical == pytest.approx(100 * (1 * 2e-6 - 26 * 5e-6))
    assert change.low > change.typical > change.high  # a fall: the cheapest exit saves least
    for price in (EXIT, NOTIFICATION):
        assert price.low_s < price.typical_s < price.high_s


def test_backwards_is_the_inverse_of_forwards():
    implied = implied_rate(0.5, 26, 1)
    for rate, price in ((implied.low, "low"), (implied.typical, "typical"), (implied.high, "high")):
        assert getattr(predicted_change(rate, 26, 1), price) == pytest.approx(-0.5)
    assert implied.low > implied.typical > implied.high
    with pytest.raises(DataError, match="expected more than 0"):
        implied_rate(-0.1, 26, 1)


def test_the_counts_are_those_of_the_lab():
    counted = mean_accesses(COUNTS.rows)
    assert (counted["ide"], counted["virtio-blk"]) == (26, 1)
    assert 9 < counted["e1000"] < 12.5
    with pytest.raises(DataError, match=r"e1000.* not counted"):
        mean_accesses([row for row in COUNTS.rows if row.device != "e1000"])


def test_every_answer_has_its_sentence_and_a_rise_is_left_out():
    found = plausibility(COUNTS, {"versat": 0.568, "dominio": -0.1}, {"versat": {"disk": 60.0}})
    assert found.predicted["versat"]["disk"].typical == pytest.approx(60 * (2e-6 - 26 * 5e-6))
    assert "60 operations a second" in found.predicted["versat"]["disk"].sentence
    assert set(found.implied) == {"versat"}
    assert "4438 requests a second" in found.implied["versat"].disk.sentence


@pytest.mark.parametrize("study", ["published", "lab-qemu"])
def test_the_command_on_the_bundled_studies(study):
    shown = CliRunner().invoke(cli, ["plausible", str(ROOT / "data" / study)])
    assert shown.exit_code == 0, shown.output
    assert "versat, as published: A fall of 0.5682 cores by disk requests alone" in shown.output
    assert "Assumptions:" in shown.output
    assert ("operations a second VirtIO would change" in shown.output) == (study == "lab-qemu")
