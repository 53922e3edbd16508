"""What the host can get back, predicted without free page reporting, against what came in the bundled lab study."""

import json

import pytest

from paths import ROOT

MIB = 2.0**20
SERVERS = json.loads((ROOT / "reports" / "lab-qemu" / "results.json").read_text())["servers"]
FORECASTS = [(name, forecast) for name, server in SERVERS.items() for forecast in server["forecasts"]]


def test_every_configuration_without_reporting_has_a_forecast_and_its_twin():
    assert {(forecast["before"], forecast["after"]) for _, forecast in FORECASTS} == {
        ("emulated", "reporting"),
        ("balloon", "reporting"),
        ("devices", "virtio"),
        ("devices-balloon", "virtio"),
        ("old-machine", None),
    }


@pytest.mark.parametrize(("server", "forecast"), [pair for pair in FORECASTS if pair[1]["after"]])
def test_no_more_comes_back_than_the_bound_and_the_prediction_is_near(server, forecast):
    both = [boot for boot in forecast["boots"] if boot["realised"] is not None]
    assert len(both) >= 4
    for boot in both:
        assert boot["realised"] <= boot["bound"] + 4 * MIB  # a boot's level differs by that much from the next one's
        assert abs(boot["predicted"] - boot["realised"]) < 30 * MIB, (server, boot)


def test_no_server_is_predicted_from_itself():
    """QEMU's overhead is that of the others: bound less prediction is one number a server, and each its own."""
    overheads = {}
    for server, forecast in FORECASTS:
        overheads.setdefault(server, set()).update(
            round((boot["bound"] - boot["predicted"]) / MIB, 3) for boot in forecast["boots"] if boot["predicted"] > 0
        )
    assert len(overheads["versat"]) == len(overheads["dominio"]) == 1
    assert overheads["versat"] != overheads["dominio"]
