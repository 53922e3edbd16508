"""Before there is free page reporting: what can the host get back by it? Held against what came."""

from collections.abc import Iterable, Iterator, Mapping

from virtio_study.analysis.description import Description
from virtio_study.analysis.records import Line, Number, Recorded, Statement
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Filling
from virtio_study.stats.elementary import mean
from virtio_study.study import Study

__all__ = ["BootForecast", "Forecast", "forecasts"]

HOST = "mem_host"


class BootForecast(Recorded):
    """One boot, in bytes: the most that can come back, what was predicted, and what came in the same block."""

    replicate: Line
    bound: Number
    predicted: Number | None
    realised: Number | None


class Forecast(Statement):
    """RAM that the host of a server can get back: by boot of `before`, without free page reporting.

    `after` is the configuration with the balloon driver and reporting and nothing else changed, if the study has one.
    """

    before: Line
    after: Line | None
    boots: tuple[BootForecast, ...]


def forecasts(study: Study, described: Mapping[str, Mapping[str, Description]]) -> dict[str, tuple[Forecast, ...]]:
    """Forecasts of every server from its configurations without reporting and with the guest's use known.

    Parameters
    ----------
    described : mapping
        Server -> driver configuration -> description.

    Notes
    -----
    Reporting gives back what the guest keeps free and has touched before, so at most the host's memory less the guest's
    peak use (Linux `mm/page_reporting.c`). What QEMU itself needs stays; it is taken from the study's other servers, as
    host memory less guest memory where reporting is on, so that no server is predicted from itself.
    """
    found: dict[str, tuple[Forecast, ...]] = {}
    for server, of_server in described.items():
        others = [_overheads(study, configurations) for name, configurations in described.items() if name != server]
        overheads = [overhead for of_other in others for overhead in of_other]
        made = [
            _forecast(config, _twin(study, config), of_server, mean(overheads) if overheads else None)
            for config in _without_reporting(study)
            if config in of_server
        ]
        found[server] = tuple(forecast for forecast in made if forecast is not None)
    return found


def _without_reporting(study: Study) -> Iterator[str]:
    """Configurations without free page reporting; of several with the same settings (A/A) the first."""
    seen = []
    for name, config in study.driver_configs.items():
        settings = config.model_dump(exclude={"label"})
        if False in (config.balloon_driver, config.free_page_reporting) and settings not in seen:
            seen.append(settings)
            yield name


def _twin(study: Study, config: str) -> str | None:
    """The configuration that has the driver with free page reporting, and is the same in all else."""
    other = {"label", "balloon_driver", "free_page_reporting"}
    own = study.driver_config(config).model_dump(exclude=other)
    return next(
        (
            name
            for name, item in study.driver_configs.items()
            if item.balloon_driver and item.free_page_reporting and item.model_dump(exclude=other) == own
        ),
        None,
    )


def _overheads(study: Study, configurations: Mapping[str, Description]) -> Iterable[float]:
    """Host memory less guest memory of every boot with free page reporting: what QEMU itself needs, and fragments."""
    for name, described in configurations.items():
        if study.driver_config(name).free_page_reporting:
            hosts, guests = (_means(described, metric) for metric in (HOST, _guest(described)))
            yield from (hosts[boot] - guests[boot] for boot in hosts if boot in guests)


def _guest(described: Description) -> str:
    """The metric that is the guest's own figure: what it says by itself, else what its balloon driver reports."""
    own = any("mem_guest" in boot.levels for boot in described.boots)
    return "mem_displayed" if not own and described.instruments.get("mem_displayed") == "guest_stats" else "mem_guest"


def _means(described: Description, metric: str) -> dict[str, float]:
    return {
        boot.replicate: boot.levels[metric].mean or 0.0
        for boot in described.boots
        if metric in boot.levels and boot.levels[metric].mean is not None
    }


def _forecast(
    before: str, after: str | None, described: Mapping[str, Description], overhead: float | None
) -> Forecast | None:
    hosts = _means(described[before], HOST)
    came = _means(described[after], HOST) if after in described and after is not None else {}
    boots, guest = [], _guest(described[before])
    for boot in described[before].boots:
        peak = boot.levels[guest].peak if guest in boot.levels else None
        if peak is None or boot.replicate not in hosts:
            continue
        bound = max(0.0, hosts[boot.replicate] - peak)
        boots.append(
            BootForecast(
                replicate=boot.replicate,
                bound=bound,
                predicted=None if overhead is None else max(0.0, bound - overhead),
                realised=hosts[boot.replicate] - came[boot.replicate] if boot.replicate in came else None,
            )
        )
    return _told(before, after, boots) if boots else None


def _told(before: str, after: str | None, boots: list[BootForecast]) -> Forecast:
    numbers: dict[str, Filling] = {"bound": mean(boot.bound for boot in boots), "scale": 2.0**20, "unit": "MiB"}
    messages = [_BOUND]
    both = [
        (boot.predicted, boot.realised) for boot in boots if boot.predicted is not None and boot.realised is not None
    ]
    if both:
        numbers |= {
            "predicted": mean(predicted for predicted, _ in both),
            "realised": mean(realised for _, realised in both),
            "worst": max(abs(predicted - realised) for predicted, realised in both),
            "boots": len(both),
        }
        messages.append(_CAME)
    return Forecast(before=before, after=after, boots=tuple(boots), **Forecast.said(messages, numbers))


_BOUND = N_(
    "The host could get back at most {bound:quantity} of this server by free page reporting. That is what it spends, "
    "less what the guest really uses at its peak."
)
_CAME = N_(
    "Less QEMU's own need, as on the study's other servers, {predicted:quantity} were predicted; {realised:quantity} "
    "came back with the driver and reporting. The prediction for one of the {boots} boots is off by {worst:quantity} "
    "at most."
)
