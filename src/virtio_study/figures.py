"""Figures of the study: legible on a telephone, the same bytes for the same data, words translated by the caller."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["accesses", "boot_levels", "over_time", "ram_by_instrument", "show", "svg", "time_table"]

Translate = Callable[[str], str]
MIB = 2**20
WIDTH_IN, HEIGHT_IN = 4.4, 3.1
# Okabe and Ito's colours, told apart with every form of colour blindness
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
RAM = {
    "mem_displayed": ("displayed", BLUE, "-", "o"),
    "mem_host": ("host", ORANGE, "--", "s"),
    "mem_guest": ("guest", GREEN, ":", "^"),
}


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "virtio-study",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "axes.axisbelow": True,
        "legend.frameon": False,
        "figure.dpi": 100,
    }
    with mpl.rc_context(settings):
        yield


def _figure(rows: int = 1, height_in: float = HEIGHT_IN) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]


def time_table(clean: pd.DataFrame) -> pd.DataFrame:
    """Median over boots of CPU and the three memory values, by row since the start of QEMU.

    Returns
    -------
    DataFrame
        `uptime_s`, `cpu_cores` (with `cpu_low`, `cpu_high`: least and greatest of the boots), `mem_displayed_bytes`,
        `mem_host_bytes`, `mem_guest_bytes`, `steady_boots` (boots that are in their steady stretch).
    """
    rows = clean.assign(row=clean.groupby("replicate").cumcount(), steady=clean["period"].eq("steady"))
    by_row = rows.groupby("row")
    columns = ["uptime_s", "cpu_cores", "mem_displayed_bytes", "mem_host_bytes", "mem_guest_bytes"]
    table = by_row[columns].median()
    table["cpu_low"], table["cpu_high"] = by_row["cpu_cores"].min(), by_row["cpu_cores"].max()
    table["steady_boots"] = by_row["steady"].sum()
    complete = by_row["replicate"].nunique() == rows["replicate"].nunique()
    return table[complete].reset_index(drop=True)


def over_time(clean: pd.DataFrame, translate: Translate = str) -> "Figure":
    """CPU and RAM of one server under one driver configuration since start, the start-up transient shaded.

    Parameters
    ----------
    clean : DataFrame
        Rows with `period` and `replicate`. Lines are medians over boots; the band holds all boots.
    """
    table = time_table(clean)
    with _style():
        figure, (cpu, ram) = _figure(2, 4.0)
        cpu.fill_between(table["uptime_s"], table["cpu_low"], table["cpu_high"], color=GREY, alpha=0.3, linewidth=0)
        cpu.plot(table["uptime_s"], table["cpu_cores"], color="#222222", linewidth=1.2)
        cpu.set_ylabel(translate("CPU (cores)"))
        for metric, (name, colour, line, _) in RAM.items():
            ram.plot(
                table["uptime_s"], table[f"{metric}_bytes"] / MIB, color=colour, linestyle=line, label=translate(name)
            )
        ram.set_ylabel(translate("RAM (MiB)"))
        ram.set_xlabel(translate("seconds since start"))
        ram.set_ylim(0, float(clean["mem_allocated_bytes"].max()) / MIB)
        ram.legend(ncols=3, loc="upper center", handlelength=2.2, columnspacing=1.2)
        for axes in (cpu, ram):
            _shade(axes, clean, translate if axes is cpu else None)
            axes.set_xlim(0, float(table["uptime_s"].iloc[-1]))
        cpu.set_ylim(bottom=0)
    return figure


def _shade(axes: "Axes", clean: pd.DataFrame, translate: Translate | None) -> None:
    """Shade up to the median end of the boots' transients."""
    ends = clean[clean["period"] != "steady"].groupby("replicate")["uptime_s"].max()
    if ends.empty:
        return
    end = float(ends.median())
    axes.axvspan(0, end, color="#f3d9b1", alpha=0.6, linewidth=0)
    if translate is not None:
        axes.text(end, 0.94, " " + translate("start-up, left out"), transform=axes.get_xaxis_transform(), va="top")


def boot_levels(
    levels: dict[str, dict[str, Any]], metric: str, labels: dict[str, str], translate: Translate = str
) -> "Figure":
    """Sustained level of every boot (dots) and its mean with interval, by driver configuration.

    Parameters
    ----------
    levels : dict
        Driver configuration -> what `describe` returns.
    metric : str
        Such as `mem_host`.
    labels : dict
        Driver configuration -> its label.
    """
    import seaborn as sns

    scale = 1 if metric == "cpu" else MIB
    long = pd.DataFrame(
        [
            (labels[config], boot["levels"][metric]["mean"] / scale)
            for config, described in levels.items()
            for boot in described["boots"]
            if boot["levels"].get(metric, {}).get("mean") is not None
        ],
        columns=["configuration", "level"],
    )
    with _style():
        figure, (axes,) = _figure(height_in=2.6)
        sns.swarmplot(long, x="level", y="configuration", color=BLUE, alpha=0.6, size=3.4, ax=axes)
        for place, described in enumerate(levels.values()):
            level = described["levels"][metric]["sustained"]
            if level is None:
                continue
            low, mid, high = (level[key] / scale for key in ("low", "estimate", "high"))
            axes.plot([low, high], [place + 0.32] * 2, color="#222222", linewidth=2)
            axes.plot([mid], [place + 0.32], "D", color="#222222", markersize=4)
        axes.set_xlabel(translate("CPU (cores)") if metric == "cpu" else translate("RAM (MiB)"))
        axes.set_ylabel("")
        axes.set_xlim(left=0)
    return figure


def ram_by_instrument(
    levels: dict[str, dict[str, Any]], labels: dict[str, str], translate: Translate = str
) -> "Figure":
    """Displayed, host and guest memory side by side through the driver configurations."""
    with _style():
        figure, (axes,) = _figure()
        places = np.arange(len(levels))
        for metric, (name, colour, line, marker) in RAM.items():
            values = [described["levels"][metric]["sustained"]["estimate"] / MIB for described in levels.values()]
            axes.plot(places, values, color=colour, linestyle=line, marker=marker, markersize=7, label=translate(name))
        axes.set_xticks(places, [labels[config].replace(" (", "\n(").replace(" + ", "\n+ ") for config in levels])
        axes.set_xlim(-0.3, len(levels) - 0.7)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(translate("RAM (MiB)"))
        axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=2.4)
    return figure


def accesses(counts: dict[str, Any], translate: Translate = str) -> "Figure":
    """Device-register accesses per operation, device by device, on a logarithmic axis; mean over boots."""
    rows = [row for row in counts["rows"] if row["operation"] != "write_4k"]
    paravirtual = {"virtio-blk", "virtio-scsi", "virtio-net"}
    with _style():
        figure, (axes,) = _figure(height_in=3.2)
        for place, row in enumerate(rows):
            value = float(np.mean(row["boots"]))
            new = row["device"] in paravirtual
            axes.plot([0.5, value], [place, place], color=GREY, linewidth=1)
            axes.plot([value], [place], "s" if new else "o", color=GREEN if new else ORANGE, markersize=8)
            axes.text(value * 1.25, place, f"{value:.3g}", va="center")
        axes.set_xscale("log")
        axes.set_xlim(0.5, 90)
        axes.set_xticks([1, 10], ["1", "10"])
        axes.minorticks_off()
        kinds = {"read_4k": translate("4 KiB read")}
        names = [f"{row['device']}, {kinds.get(row['operation'], translate('packet'))}" for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.set_xlabel(translate("device-register accesses per operation"))
    return figure


def svg(figure: "Figure", name: str, title: str, description: str) -> str:
    """A figure as an SVG element for a page: names unique to it, real text, a title and a description for readers.

    Parameters
    ----------
    name : str
        Prefix for every name inside, unique on the page.
    """
    sink = io.StringIO()
    with _style():
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    text = sink.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(url\(|xlink:href=")#', rf"\1#{name}-", text)
    text = re.sub(r' (?:width|height)="[0-9.]+pt"', "", text, count=2)
    labels = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    head, _, body = text.partition(">")
    return f'{head} role="img" aria-labelledby="{name}-title {name}-desc">{labels}{body}'


def show(figure: "Figure", description: str) -> Any:
    """A figure for a notebook's output: SVG with the description as its alternative text."""
    from IPython.display import SVG

    return SVG(data=svg(figure, "figure", description, description))  # type: ignore[no-untyped-call]
