"""The study's servers taken together: relative effects pooled, and which of all effects stand among so many."""

from collections.abc import Iterable, Mapping, Sequence

from virtio_study.analysis.comparison import ServerComparison
from virtio_study.analysis.effects import Effect
from virtio_study.analysis.records import Estimate, Number, Recorded, Statement
from virtio_study.i18n.marks import N_
from virtio_study.i18n.sentences import Numbers
from virtio_study.stats.interval import Interval
from virtio_study.stats.student import t_cdf, t_quantile
from virtio_study.stats.synthesis import false_discoveries, synthesise

__all__ = ["FALSE_DISCOVERY_RATE", "Discoveries", "Pooled", "Synthesis", "pooled", "standard_error"]

FALSE_DISCOVERY_RATE = 0.05
BELIEVED = ("believable", "with_reservations")
"""Verdicts of effects that are pooled and counted."""

BATCH_DF = 22.0
"""Degrees of freedom at which a mixture's interval is turned back into a standard error: 2 x (12 - 1)."""


class Pooled(Statement):
    """The relative effect of a comparison and metric over the servers; see `stats.synthesis.Synthesis`."""

    mean: Estimate
    tau: Number
    q: Number
    i2: Number
    prediction: Estimate | None
    without: tuple[Number, ...]


class Discoveries(Recorded):
    """How many of all believed effects exclude zero one by one, and how many at a false discovery rate."""

    effects: int
    one_by_one: int
    rate: Number
    controlled: int


class Synthesis(Recorded):
    """The servers taken together: comparison -> metric -> pooled effect, where two servers or more have one."""

    effects: dict[str, dict[str, Pooled]]
    discoveries: Discoveries


def pooled(servers: Sequence[Mapping[str, ServerComparison]], confidence: float) -> Synthesis | None:
    """Relative effects over servers by comparison and metric, and the discoveries among all effects that are believed.

    Parameters
    ----------
    servers : sequence of mapping
        Comparisons of each server, by name.
    confidence : float
        Such as 0.95.

    Returns
    -------
    Synthesis or None
        None with one server.
    """
    if len(servers) < 2:
        return None
    of_pair: dict[tuple[str, str], list[Estimate]] = {}
    everything = []
    for comparisons in servers:
        everything += _distinct(comparisons)
        for name, metric, effect in _estimated(comparisons):
            if effect.relative:
                of_pair.setdefault((name, metric), []).append(effect.relative)
    effects: dict[str, dict[str, Pooled]] = {}
    for (name, metric), found in sorted(of_pair.items()):
        errors = [standard_error(item) for item in found]
        if len(found) > 1 and min(errors) > 0:
            effects.setdefault(name, {})[metric] = _pooled([item.estimate for item in found], errors, confidence)
    return Synthesis(effects=effects, discoveries=_discoveries(everything, confidence))


def _estimated(comparisons: Mapping[str, ServerComparison]) -> Iterable[tuple[str, str, Effect]]:
    """Effects that may be believed; what a restart alone changes is a control and none of them."""
    for name, comparison in comparisons.items():
        for metric, effect in comparison.effects.items():
            believed = metric in comparison.verdicts and comparison.verdicts[metric].status in BELIEVED
            if effect.status == "estimated" and believed and comparison.purpose != "restart":
                yield name, metric, effect


def _distinct(comparisons: Mapping[str, ServerComparison]) -> list[Estimate]:
    """Differences of a server's effects; the same numbers under two names (displayed RAM that is the host's) once."""
    found = {(effect.unit, effect.difference) for _, _, effect in _estimated(comparisons) if effect.difference}
    return sorted((difference for _, difference in found), key=lambda item: (item.unit, item.estimate, item.low))


def standard_error(interval: Estimate | Interval) -> float:
    """Standard error behind an interval; the longer arm counts where they differ (Fieller)."""
    arm = max(interval.high - interval.estimate, interval.estimate - interval.low)
    return arm / t_quantile(interval.df or BATCH_DF, interval.confidence)


def _discoveries(everything: Sequence[Estimate], confidence: float) -> Discoveries:
    usable = [item for item in everything if item.high > item.low]
    p_values = [2 * t_cdf(item.df or BATCH_DF, -abs(item.estimate) / standard_error(item)) for item in usable]
    return Discoveries(
        effects=len(usable),
        one_by_one=sum(value < 1 - confidence for value in p_values),
        rate=FALSE_DISCOVERY_RATE,
        controlled=sum(false_discoveries(p_values, FALSE_DISCOVERY_RATE)),
    )


def _pooled(estimates: Sequence[float], errors: Sequence[float], confidence: float) -> Pooled:
    found = synthesise(estimates, errors, confidence)
    numbers: Numbers = {
        "mean": found.mean.estimate,
        "low": found.mean.low,
        "high": found.mean.high,
        "confidence": found.mean.confidence,
        "servers": found.mean.n,
        "tau": found.tau,
        "least": found.prediction.low if found.prediction else None,
        "most": found.prediction.high if found.prediction else None,
    }
    return Pooled(
        mean=Estimate.of(found.mean, "share"),
        tau=found.tau,
        q=found.q,
        i2=found.i2,
        prediction=Estimate.of_any(found.prediction, "share"),
        without=found.without,
        **Pooled.said(_wording(found.prediction), numbers),
    )


def _wording(prediction: Interval | None) -> str:
    """A fall of more than everything is no expectation: then the servers are too few, or too unlike, for one."""
    if prediction is None:
        return _TWO
    return _MANY if prediction.low > -1 else _NO_EXPECTATION


_TWO = N_(
    "Over the two servers the mean relative change is {mean:percent} ({confidence:percent} interval {low:percent} to "
    "{high:percent}). Two servers cannot say more: the interval has one degree of freedom, and says nothing of a third."
)
_MANY = N_(
    "Over {servers} servers the mean relative change is {mean:percent} ({confidence:percent} interval "
    "{low:percent} to {high:percent}). The servers differ by a standard deviation of {tau:percent}; a further "
    "server of this kind may expect {least:percent} to {most:percent}."
)
_NO_EXPECTATION = N_(
    "Over {servers} servers the mean relative change is {mean:percent} ({confidence:percent} interval "
    "{low:percent} to {high:percent}). The servers differ by a standard deviation of {tau:percent}, and are too few "
    "to say what a further one may expect."
)
