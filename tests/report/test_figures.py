"""Figures of long recordings: as many points as a page can hold, and nothing that happened is lost from the band."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paths import ROOT
from virtio_study.analysis.multiverse import Sensitivity, Specification
from virtio_study.analysis.records import Estimate
from virtio_study.analysis.results import Results
from virtio_study.i18n.language import words
from virtio_study.report import figures
from virtio_study.report.drawings import draw
from virtio_study.report.page import render_page
from virtio_study.report.spoken_intervals import difference_says
from virtio_study.report.svg import on_white, svg
from virtio_study.report.ways_figure import specification_curve


def weeks(rows: int) -> pd.DataFrame:
    """A recording of 10 s a row with one reading of four cores in it."""
    cpu = np.full(rows, 0.2)
    cpu[rows // 2] = 4.0
    return pd.DataFrame(
        {
            "replicate": "api-01",
            "time": pd.date_range("2026-01-01", periods=rows, freq="10s", tz="UTC"),
            "period": "steady",
            "uptime_s": 10.0 * np.arange(1, rows + 1),
            "cpu_cores": cpu,
            "mem_displayed_bytes": 1e9,
            "mem_host_bytes": 1e9,
            "mem_guest_bytes": 1e9,
            "mem_allocated_bytes": 2e9,
        }
    )


def test_two_weeks_are_thinned_and_their_peak_and_end_stay() -> None:
    table = figures.time_table(weeks(120_960))
    assert 0.9 * figures.MOST_ROWS <= len(table) <= figures.MOST_ROWS
    assert table["cpu_high"].max() == 4.0
    assert table["uptime_s"].iloc[-1] == 1_209_600
    assert table["cpu_cores"].mean() == pytest.approx(0.2, rel=1e-3)
    short = figures.time_table(weeks(200))
    assert (len(short), short["cpu_cores"].max()) == (200, 4.0)


@pytest.mark.parametrize(
    ("rows", "label"), [(120, "seconds since start"), (2000, "hours since start"), (60_000, "days since start")]
)
def test_the_axis_has_a_unit_that_can_be_read(rows: int, label: str) -> None:
    figure = figures.over_time(weeks(rows))
    _, ram = figure.axes
    assert ram.get_xlabel() == label
    assert ram.get_xlim()[1] == pytest.approx(10 * rows / {"s": 1, "h": 3600, "d": 86400}[label[0]])


def test_an_interval_says_what_it_means_in_the_readers_language() -> None:
    level = Estimate(estimate=2.0**28, low=2.0**27, high=2.0**29, confidence=0.95, n=5, df=4, method="t", unit="bytes")
    outside = (
        "The difference lies between 128 MiB and 512 MiB. Of such intervals 95 % hold the true one. "
        "Zero lies outside: there is a change."
    )
    inside = "El cero queda dentro: no se demuestra un cambio."
    for low, language, wanted in ((2.0**27, "en", outside), (-(2.0**20), "es", inside)):
        figure, (axes,) = figures.blank()
        (line,) = axes.plot([0, 1], [0, 0])
        difference_says(line, level.model_copy(update={"low": low}), words(language))
        drawn = svg(figure, "name", "", "").replace("\N{NO-BREAK SPACE}", " ")
        assert re.search(f'<g data-says=""><title>[^<]*{wanted}</title><path', drawn), drawn


def noisy(table: pd.DataFrame) -> pd.DataFrame:
    """The same numbers as another processor might compute them: some differ in their last bit."""
    found = table.copy()
    for column in ("cpu_cores", "mem_host_bytes", "mem_guest_bytes"):
        found[column] = np.where(np.arange(len(found)) % 3, found[column], np.nextafter(found[column], np.inf))
    return found


def test_noise_in_the_last_bit_reaches_neither_figure_nor_table() -> None:
    clean = weeks(2000).assign(cpu_cores=np.random.default_rng(3).uniform(0, 2, 2000))
    assert not noisy(clean).equals(clean)
    assert figures.time_table(noisy(clean)).equals(figures.time_table(clean))
    one, other = (svg(figures.over_time(frame), "name", "title", "text") for frame in (clean, noisy(clean)))
    assert one == other


def test_a_figure_refers_to_its_own_definitions_by_short_names() -> None:
    text = svg(figures.over_time(weeks(200)), "name", 'id="m0123456789"', "#m0123456789")
    defined, used = set(re.findall(r' id="([^"]+)"', text)), set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
    assert used
    assert used <= defined
    assert not [name for name in defined if re.search(r"[0-9a-f]{10}$", name)]
    assert "#m0123456789" in text
    coordinates = re.findall(r' (?:d|x|y)="([^"]*)"', text)
    assert max(len(places) for line in coordinates for places in re.findall(r"\.(\d+)", line)) == 2


TIMELINE = """
from pathlib import Path
from virtio_study.analysis.results import Results
from virtio_study.report.svg import svg
from virtio_study.report.timeline_figure import timeline
found = Results.model_validate_json(Path("reports/pve-rig/results.json").read_bytes())
figure = timeline(found.timeline, {name: name for name in found.study.driver_configs})
print(svg(figure, "timeline", "title", "text"))
"""


def test_a_matplotlibrc_of_the_user_changes_no_figure(tmp_path: Path) -> None:
    settings = tmp_path / "matplotlibrc"
    settings.write_text("timezone: America/Lima\naxes.facecolor: black\nfont.size: 30\nlines.linewidth: 9\n")
    drawn = [
        subprocess.run(
            [sys.executable, "-c", TIMELINE], cwd=ROOT, env=os.environ | own, check=True, capture_output=True
        ).stdout
        for own in ({}, {"MATPLOTLIBRC": str(settings)})
    ]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 5000


def of_servers(*names: str) -> Results:
    """The results of the bundled study with one of its servers under each of these names."""
    found = json.loads((ROOT / "reports" / "pve-rig" / "results.json").read_text(encoding="utf-8"))
    study = found["study"]
    for place in (found["servers"], found["capacity"]["servers"], found["timeline"], study["servers"], study["load"]):
        one = place["versat"]
        place.clear()
        place.update(
            (name, {**one, "vmid": 100 + i} if place is study["servers"] else one) for i, name in enumerate(names)
        )
    return Results.model_validate(found)


@pytest.mark.slow
def test_weeks_of_a_further_server_take_less_than_their_share_of_a_page() -> None:
    clean = weeks(120_960).assign(cpu_cores=np.random.default_rng(3).uniform(0, 2, 120_960))
    first = draw(of_servers("alpha"), lambda server, config: clean, words("es"))
    further = {name.replace("alpha", "gamma"): drawn for name, drawn in first.items() if name.startswith("alpha")}
    assert {name.split("-")[-1] for name in further} >= {"time", "waterfall", "estimation", "ways", "boots"}
    one, two = (
        len(render_page(results, figures, "es").encode())
        for results, figures in ((of_servers("alpha"), first), (of_servers("alpha", "gamma"), first | further))
    )
    assert 50_000 < two - one < 0.15 * 2**20


def test_the_start_up_is_named_outside_of_the_rows_that_are_kept() -> None:
    clean = weeks(2000)
    clean.loc[:300, "period"] = "transient"
    figure = figures.over_time(clean)
    figure.draw_without_rendering()
    (name,) = [text for text in figure.axes[0].get_legend().get_texts() if "start-up" in text.get_text()]
    assert name.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1 - 1


def test_a_picture_keeps_what_it_shows_without_the_groups_that_it_was_drawn_in() -> None:
    figure = figures.over_time(weeks(200))
    text = svg(figure, "name", "title", "text")
    assert "<g>" not in text
    assert text.count("<g ") == text.count("</g>")
    for label in ("CPU (cores)", "RAM (MiB)", "displayed", "host", "guest", "seconds since start"):
        assert f">{label}</text>" in text


def test_every_way_to_calculate_has_a_tick_for_what_it_chose() -> None:
    ways = tuple(
        Specification(
            start_up="found",
            statistic=statistic,
            rows_averaged=averaged,
            daily_cycle="-",
            method="pairs of boots",
            estimate=place,
            low=place - 1,
            high=place + 1,
        )
        for place, (statistic, averaged) in enumerate([("mean", 1), ("mean", 5), ("median", 1), ("peak", 5)])
    )
    found = Sensitivity(specifications=ways, count=4, judged=4, same_sign=1.0, same_conclusion=1.0, least=0.0, most=3.0)
    main = Estimate(estimate=0.0, low=-1, high=1, confidence=0.95, n=2, df=1.0, method="m", unit="cores")
    _, below = specification_curve(found, main, "cpu").axes
    assert [label.get_text() for label in below.get_yticklabels()] == [
        "mean",
        "median",
        "peak",
        "every row",
        "five rows averaged",
    ]
    ticks = [[float(x) + 0.3 for x in line.get_xdata()[::3]] for line in below.get_lines()]
    assert ticks == [pytest.approx(at) for at in ([0, 1], [2], [3], [0, 2], [1, 3])]


def test_a_figure_in_a_file_has_a_ground_of_its_own():
    assert on_white('<svg viewBox="0 0 9 9"><svg x="1"/></svg>') == (
        b'<svg style="background:#fff" viewBox="0 0 9 9"><svg x="1"/></svg>'
    )
