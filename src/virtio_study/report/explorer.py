"""An effect to play with in JupyterLab: other rows, other ways to calculate, and what then becomes of the checks."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from markupsafe import Markup

from virtio_study.analysis.exploring import WHOLE, Choices, Explorable, Explored, Window
from virtio_study.analysis.multiverse import ROWS_AVERAGED, START_UPS, STATISTICS
from virtio_study.i18n.language import Words
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers
from virtio_study.report.explored_figure import explored
from virtio_study.report.figures import time_unit
from virtio_study.report.front_end import somebody_looks
from virtio_study.report.svg import show
from virtio_study.report.ways_figure import CHOICES

__all__ = ["Explorer"]

NAMES = {(name, value): label for name, value, label in CHOICES}
STEPS = 200
SYMBOLS: dict[float, str] = {1: "s", 3600: "h", 86400: "d"}
WIDE, WIDTH = {"description_width": "10em"}, "25em"


class Explorer:
    """What `vs.explore` shows: controls and the effect under them, or a picture where nobody can move anything.

    Parameters
    ----------
    open_server : callable
        A server's name -> what can be calculated anew of it.
    servers : sequence of str
        Names to choose from; the first is shown.
    """

    def __init__(self, open_server: Callable[[str], Explorable], servers: Sequence[str], words: Words) -> None:
        self._open, self._servers, self._words = open_server, servers, words
        self._opened = {servers[0]: open_server(servers[0])}
        self.server, first = servers[0], self._opened[servers[0]]
        totals = [name for name, item in first.study.comparisons.items() if item.purpose == "total"]
        self.comparison: str = next(iter([*totals, *first.study.comparisons]))
        effects = first.compared[self.comparison].effects
        shown = [metric for metric in first.study.metrics if effects[metric].difference]
        self.metric: Any = "mem_host" if "mem_host" in shown else next(iter([*shown, *first.study.metrics]))
        self.choice = Choices()

    @property
    def explorable(self) -> Explorable:
        """The server that is shown; its recordings are read when it is first asked for."""
        if self.server not in self._opened:
            self._opened[self.server] = self._open(self.server)
        return self._opened[self.server]

    def found(self) -> Explored:
        """The effect under what is chosen."""
        return self.explorable.answer(self.comparison, self.metric, self.choice)

    def told(self, found: Explored) -> list[tuple[str, Numbers]]:
        """Sentences about an effect under what is chosen, without the checks."""
        own = self.explorable.compared[self.comparison].effects[self.metric]
        unit, scale = ("cores", 1.0) if self.metric == "cpu" else ("MiB", 2.0**20)
        shown: dict[str, Any] = {"unit": unit, "scale": scale, "confidence": self.explorable.study.confidence}
        told: list[tuple[str, Numbers]] = []
        if found.way is None:
            told.append(("{why}", {"why": found.why}))
        else:
            way = found.way
            ends: dict[str, Any] = {"difference": way.estimate, "low": way.low, "high": way.high}
            told.append((_CHOSEN if way.low is not None else _CHOSEN_BARE, {**ends, **shown}))
        if own.difference:
            ends = {name: getattr(own.difference, name) for name in ("estimate", "low", "high")}
            told.append((_OWN, {**ends, **shown}))
        if found.agrees is False:
            told.append((_OTHER, {}))
        if own.status == "emulator_only":
            told.append((own.messages[0], own.fields))
        return told

    def picture(self, found: Explored) -> Any:
        """The rows that are taken, and the difference; what it says is its text."""
        drawn = explored(self.explorable, self.comparison, self.metric, self.choice, found, self._words)
        picture = show(drawn, self._text(found))
        # neither widgets nor every front end (VS Code) makes a picture fit
        picture.data = picture.data.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
        return picture

    def _text(self, found: Explored) -> str:
        return " ".join(self._words.plain(message, numbers) for message, numbers in self.told(found))

    def __repr__(self) -> str:
        return self._text(self.found())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        picture = self.picture(self.found())
        bundle = {"image/svg+xml": picture.data, "text/plain": repr(picture)}
        if somebody_looks():
            with suppress(ImportError):
                bundle = _Controls(self, self._servers, self._words).box._repr_mimebundle_() | bundle
        return bundle


class _Controls:
    """The widgets of an explorer; whatever is moved, first the effect is made anew, then the checks and the picture."""

    def __init__(self, explorer: Explorer, servers: Sequence[str], words: Words) -> None:
        import ipywidgets as widgets

        self.explorer, self.words = explorer, words
        of_study = explorer.explorable.study
        choose = self._choose
        self.server = choose(N_("server"), [(name, name) for name in servers], explorer.server)
        questions = [(words.own(item.question), name) for name, item in of_study.comparisons.items()]
        self.comparison = choose(N_("comparison"), questions, explorer.comparison)
        metrics = [(words.term("metric", metric), metric) for metric in of_study.metrics]
        self.metric = choose(N_("metric"), metrics, explorer.metric)
        self.windows = [self._slider(), self._slider()]
        self.start_up = choose(N_("start-up"), self._named("start_up", START_UPS), START_UPS[0])
        self.statistic = choose(N_("statistic"), self._named("statistic", STATISTICS), "mean")
        self.averaged = choose(N_("rows"), self._named("rows_averaged", ROWS_AVERAGED), 1)
        self.cycle = choose(N_("daily cycle"), [], None)
        self.method = choose(N_("interval"), [], None)
        self.effect, self.checks, self.drawn = (widgets.HTML() for _ in range(3))
        self.of_server = [self.server, self.comparison, self.metric, *self.windows]
        self.of_way = [self.start_up, self.statistic, self.averaged, self.cycle, self.method]
        columns = [widgets.VBox(controls) for controls in (self.of_server, self.of_way)]
        layout = widgets.Layout(flex_flow="row wrap")
        self.box = widgets.VBox([widgets.HBox(columns, layout=layout), self.effect, self.checks, self.drawn])
        self._at_work = False
        self._open()
        for control in (*self.of_server, *self.of_way):
            control.observe(self._moved, "value")

    def _choose(self, label: str, options: Sequence[tuple[str, Any]], value: Any) -> Any:
        import ipywidgets as widgets

        made = {"options": list(options), "description": self.words.gettext(label), "style": WIDE}
        made["layout"] = widgets.Layout(width=WIDTH)
        return widgets.Dropdown(**made, **({} if value is None else {"value": value}))

    def _slider(self) -> Any:
        import ipywidgets as widgets

        layout = widgets.Layout(width=WIDTH)
        return widgets.FloatRangeSlider(continuous_update=False, style=WIDE, layout=layout)

    def _named(self, field: str, values: Sequence[Any]) -> list[tuple[str, Any]]:
        return [(self.words.gettext(NAMES.get((field, value), str(value))), value) for value in values]

    def _moved(self, change: Any) -> None:
        if self._at_work:
            return
        if change["owner"] in (self.server, self.comparison):
            self._open()
        else:
            self._show()

    def _open(self) -> None:
        """Take a server and a comparison: their recordings say how far the sliders go."""
        explorer = self.explorer
        explorer.server, explorer.comparison = self.server.value, self.comparison.value
        self._at_work = True
        longest = explorer.explorable.longest_s(explorer.comparison)
        for slider, label, longest_s in zip(self.windows, (N_("rows before"), N_("rows after")), longest, strict=True):
            unit_s, since = time_unit(longest_s)
            slider.max, slider.step = longest_s / unit_s, longest_s / unit_s / STEPS
            slider.value, slider.readout_format = (0.0, slider.max), ".0f" if slider.max >= 100 else ".1f"
            slider.description = f"{self.words.gettext(label)} ({SYMBOLS[unit_s]})"
            slider.tooltip = self.words.gettext(since)
        self._at_work = False
        self._show()

    def _window(self, slider: Any, longest_s: float) -> Window:
        low, high = slider.value
        unit_s, _ = time_unit(longest_s)
        # at its ends a slider takes everything, whatever its last step is
        return (low * unit_s if low > slider.min else WHOLE[0], high * unit_s if high < slider.max else WHOLE[1])

    def _show(self) -> None:
        explorer = self.explorer
        longest = explorer.explorable.longest_s(explorer.comparison)
        before, after = (self._window(slider, most) for slider, most in zip(self.windows, longest, strict=True))
        explorer.metric = self.metric.value
        explorer.choice = Choices(
            start_up=self.start_up.value,
            windows=(before, after),
            statistic=self.statistic.value,
            rows_averaged=self.averaged.value,
            daily_cycle=self.cycle.value,
            method=self.method.value,
        )
        found = explorer.found()
        told = (self.words.sentence(message, numbers) for message, numbers in explorer.told(found))
        self.effect.value = Markup("<p class='virtio-study-effect'>{}</p>").format(Markup(" ").join(told))
        self._offer(found)
        self.checks.value = self._broken()
        self.drawn.value = explorer.picture(found).data

    def _offer(self, found: Explored) -> None:
        """What the rows that are taken allow is what there is to choose from."""
        self._at_work = True
        allowed = [way for way in found.ways if way.statistic == self.statistic.value]
        for control, field in ((self.cycle, "daily_cycle"), (self.method, "method")):
            values = list(dict.fromkeys(getattr(way, field) for way in allowed if getattr(way, field) != "-"))
            control.options = self._named(field, values)
            control.value = getattr(found.way, field) if getattr(found.way, field, None) in values else None
            control.layout.display = None if len(values) > 1 else "none"
        self._at_work = False

    def _broken(self) -> str:
        explorer = self.explorer
        broken = explorer.explorable.broken(explorer.comparison, explorer.metric, explorer.choice)
        if not broken:
            return Markup("<p>{}</p>").format(self.words.gettext(_BREAKS_NONE))
        items = (
            Markup("<li><strong>{}</strong> ({}): {}</li>").format(
                self.words.term("check", check.name),
                self.words.term("status", check.status),
                self.words.sentence(check.messages, check.fields),
            )
            for check in broken
        )
        return Markup("<p>{}</p><ul>{}</ul>").format(self.words.gettext(_BREAKS), Markup("").join(items))


_CHOSEN = N_(
    "With these choices the difference is {difference:quantity} ({confidence:percent} interval {low:quantity} to "
    "{high:quantity})."
)
_CHOSEN_BARE = N_("With these choices the difference is {difference:quantity}; it has no interval.")
_OWN = N_("The study's own answer: {estimate:quantity} ({low:quantity} to {high:quantity}).")
_OTHER = N_("The conclusion is not that of the study.")
_BREAKS = N_("Checks that these choices break:")
_BREAKS_NONE = N_("These choices break no check.")
