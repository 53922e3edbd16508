"""Headings of the sections: what was found, with its verdict, and another heading where something else was found."""

import pytest

from paths import ROOT
from virtio_study.analysis.results import Results
from virtio_study.i18n.language import ENGLISH
from virtio_study.report.answers import Line
from virtio_study.report.headings import capacity_found, methods_found, plausibility_found, sensitivity_found


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.model_validate_json((ROOT / "reports" / "lab-qemu" / "results.json").read_bytes())


def told(line: Line | None) -> str:
    assert line is not None
    return ENGLISH.plain(line.messages, line.fields)


def test_what_limits_the_host_is_the_cores_unless_servers_spend_more_memory(results: Results) -> None:
    fits = results.capacity.servers["versat"]
    assert told(capacity_found(results)) == (
        f"The cores limit the host to {fits.allocation.servers} servers of a kind, before and after"
    )
    spent = fits.measured["virtio"].model_copy(update={"by_memory": fits.allocation.servers - 1})
    servers = {"versat": fits.model_copy(update={"measured": {"virtio": spent}})}
    capacity = results.capacity.model_copy(update={"servers": servers})
    assert "fewer fit" in told(capacity_found(results.model_copy(update={"capacity": capacity})))


def test_the_published_fall_is_told_in_requests_and_has_the_verdict_of_the_published_figure(results: Results) -> None:
    line = plausibility_found(results)
    assert results.plausibility
    least = min(rates.disk.typical for rates in results.plausibility.implied.values())
    assert f"{least:.0f} requests a second" in told(line)
    assert line
    assert line.mark == "not_believable"
    assert plausibility_found(results.model_copy(update={"plausibility": None})) is None


def test_answers_that_hang_on_the_calculation_are_counted_and_an_emulator_gives_none(results: Results) -> None:
    server = results.servers["dominio"]
    name, total = next((name, c) for name, c in server.comparisons.items() if c.purpose == "total")

    def only(same: float, status: str = "estimated") -> Results:
        effect = total.effects["mem_host"]
        ways = effect.sensitivity
        assert ways
        changed = effect.model_copy(
            update={"status": status, "sensitivity": ways.model_copy(update={"same_conclusion": same})}
        )
        one = server.model_copy(
            update={"comparisons": {name: total.model_copy(update={"effects": {"mem_host": changed}})}}
        )
        return results.model_copy(update={"servers": {"dominio": one}})

    assert told(sensitivity_found(only(1.0))) == "Every answer stays the same, however it is calculated"
    assert told(sensitivity_found(only(0.97))).startswith("0 of 1 answers stay the same")
    assert sensitivity_found(only(1.0)).mark == total.verdicts["mem_host"].status
    assert "No answer yet" in told(sensitivity_found(only(1.0, "emulator_only")))


def test_the_method_is_told_by_its_worst_share_of_false_alarms(results: Results) -> None:
    worst = max(cell.alarms["robust"] or 0 for cell in results.calibration.received)
    assert methods_found(results).fields == {"most": worst}
    assert 0 < worst < 0.1
