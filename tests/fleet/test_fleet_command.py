"""The command `fleet`: what it prints in both languages and leaves, and how it refuses."""

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from virtio_study.cli.fleet import fleet
from virtio_study.errors import DataError
from virtio_study.fleet.recorded import RecordedFleet
from virtio_study.fleet.survey import survey
from virtio_study.study import load_study


def test_a_simulated_fleet_is_told_as_simulated_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTIO_STUDY_LANGUAGE", "es")
    told = CliRunner().invoke(fleet, ["--simulated", "12", "--workers", "1", "--output", str(tmp_path)])
    assert told.exit_code == 0
    assert "Simulado: nada de esto se midió." in told.output
    assert "12 servidores en 1 nodo durante" in told.output
    assert "Ahorrarían" in told.output
    summary = json.loads((tmp_path / "fleet.json").read_text())
    table = pd.read_parquet(tmp_path / "fleet.parquet")
    assert summary["simulated"]
    assert summary["effects"] == (table["reason"] == "").sum() > 0
    assert summary["discoveries"] == table["shown"].sum()
    assert sum(item["count"] for item in summary["silences"]) == (table["reason"] != "").sum()
    assert len(summary["outlooks"]) == summary["foreseen"]["servers"] == 12 - summary["changed"]


def test_neither_a_study_nor_a_simulation_is_wrong_use() -> None:
    assert CliRunner().invoke(fleet, []).exit_code == 2
    assert CliRunner().invoke(fleet, ["pve-rig", "--simulated", "3"]).exit_code == 2


def test_hours_of_the_genuine_rig_are_too_short_and_its_changes_are_found() -> None:
    found = survey(RecordedFleet(load_study("pve-rig")), 0.95)
    assert {item.reason for item in found.findings if item.metric == "cpu"} == {"emulator"}
    assert {item.reason for item in found.findings if item.metric != "cpu"} == {"too short"}
    assert {item.parts for item in found.findings} >= {("balloon driver",), ("disk", "card")}


def test_boots_of_a_laboratory_are_no_history() -> None:
    with pytest.raises(DataError, match="no history of servers"):
        survey(RecordedFleet(load_study("lab-qemu")), 0.95)
