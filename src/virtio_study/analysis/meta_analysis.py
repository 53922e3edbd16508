"""The study's servers taken together: relative effects pooled, and which of all effects stand among so many."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from virtio_study.i18n.sentences import Numbers, render
from virtio_study.stats.student import t_cdf, t_quantile
from virtio_study.stats.synthesis import Synthesis, false_discoveries, synthesise

__all__ = ["FALSE_DISCOVERY_RATE", "pooled"]

FALSE_DISCOVERY_RATE = 0.05
BATCH_DF = 22.0
"""Degrees of freedom at which a mixture's interval is turned back into a standard error: 2 x (12 - 1)."""


def pooled(servers: Mapping[str, Any], confidence: float) -> dict[str, Any] | None:
    """Relative effects over servers by comparison and metric, and the discoveries among all effects.

    Parameters
    ----------
    servers : mapping
        `servers` of the results.
    confidence : float
        Such as 0.95.

    Returns
    -------
    dict or None
        `effects` (comparison -> metric -> pooled effect with a sentence), where two servers or more have an estimated
        relative effect; `discoveries`: how many effects exclude zero one by one, and how many at a false discovery rate
        of 0.05. None with one server.
    """
    if len(servers) < 2:
        return None
    of_pair: dict[tuple[str, str], list[dict[str, Any]]] = {}
    everything = []
    for server in servers.values():
        for name, comparison in server["comparisons"].items():
            for metric, effect in comparison["effects"].items():
                if effect["status"] != "estimated":
                    continue
                everything.append(effect["difference"])
                if effect["relative"]:
                    of_pair.setdefault((name, metric), []).append(effect["relative"])
    effects: dict[str, dict[str, Any]] = {}
    for (name, metric), found in sorted(of_pair.items()):
        errors = [_error(item) for item in found]
        if len(found) > 1 and min(errors) > 0:
            estimates = [item["estimate"] for item in found]
            effects.setdefault(name, {})[metric] = _as_dict(synthesise(estimates, errors, confidence))
    return {"effects": effects, "discoveries": _discoveries(everything, confidence)}


def _error(interval: Mapping[str, Any]) -> float:
    """Standard error behind an interval; the longer arm counts where they differ (Fieller)."""
    arm = max(interval["high"] - interval["estimate"], interval["estimate"] - interval["low"])
    return float(arm) / t_quantile(interval["df"] or BATCH_DF, interval["confidence"])


def _discoveries(everything: list[dict[str, Any]], confidence: float) -> dict[str, Any]:
    usable = [item for item in everything if item["high"] > item["low"]]
    p_values = [2 * t_cdf(item["df"] or BATCH_DF, -abs(item["estimate"]) / _error(item)) for item in usable]
    return {
        "effects": len(usable),
        "one_by_one": sum(value < 1 - confidence for value in p_values),
        "rate": FALSE_DISCOVERY_RATE,
        "controlled": sum(false_discoveries(p_values, FALSE_DISCOVERY_RATE)),
    }


def _as_dict(found: Synthesis) -> dict[str, Any]:
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
    message = _TWO if found.prediction is None else _MANY
    return {**asdict(found), "message": message, "numbers": dict(numbers), "sentence": render(message, numbers)}


_TWO = (
    "Over the two servers the mean relative change is {mean:percent} ({confidence:percent} interval {low:percent} to "
    "{high:percent}). Two servers cannot say more: the interval has one degree of freedom, and nothing can be said of "
    "a third."
)
_MANY = (
    "Over {servers} servers the mean relative change is {mean:percent} ({confidence:percent} interval {low:percent} to "
    "{high:percent}); servers differ by a standard deviation of {tau:percent}, and a further server of this kind may "
    "expect {least:percent} to {most:percent}."
)
