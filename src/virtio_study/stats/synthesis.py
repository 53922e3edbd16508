"""One answer over several servers: random effects, how much the servers differ, and what a new server may expect."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from virtio_study.errors import DataError
from virtio_study.i18n.marks import N_
from virtio_study.stats.elementary import Array, product_sum, total
from virtio_study.stats.interval import Interval
from virtio_study.stats.student import t_quantile

__all__ = ["RandomEffects", "false_discoveries", "false_discoveries_within", "synthesise", "synthesise_groups"]

NORMAL = 1e5
"""Degrees of freedom from which on Student's t is the normal distribution, to four digits."""

FEWEST_GROUPS = 5
"""From fewer groups, what the members of one share cannot be told from what they are by themselves."""

CONVERGED = 1e-15
"""A step between two variances that is as small as this beside them changes nothing."""


@dataclass(frozen=True)
class RandomEffects:
    """The answer of `synthesise`.

    `tau` is the standard deviation of the true effects, `q` Cochran's Q, `i2` the share of the variance between
    servers. `prediction` is the interval for the effect in a further server of the same kind, None with two servers.
    `without` holds the mean effect with each server left out in turn, in order; empty with two servers.
    """

    mean: Interval
    tau: float
    q: float
    i2: float
    prediction: Interval | None
    without: tuple[float, ...]


def synthesise(effects: ArrayLike, standard_errors: ArrayLike, confidence: float) -> RandomEffects:
    """Random-effects mean over servers, by Paule and Mandel, with Hartung and Knapp's interval, never narrower than the
    errors of the servers make it.

    Parameters
    ----------
    effects : array-like of float64, shape (servers,)
        One effect a server, in one unit (relative effects, if the servers differ in size).
    standard_errors : array-like of float64, shape (servers,)
        Of each effect, above 0.
    confidence : float
        Such as 0.95.

    Returns
    -------
    Synthesis
        With two servers the interval has one degree of freedom: it is several times as wide as a fixed-effect interval
        would be, and that is what two servers can say.

    Raises
    ------
    DataError
        With fewer than two servers, unequal lengths, a value that is not finite, or a standard error of 0 or less.

    References
    ----------
    Paule, R. C. & Mandel, J. (1982). J. Res. Natl. Bur. Stand. 87, 377-385. Hartung, J. & Knapp, G. (2001). Stat. Med.
    20, 3875-3889; never narrower than by the errors: Wiksten, A., Ruecker, G. & Schwarzer, G. (2016). Stat. Med. 35,
    2503-2515. Higgins,
    J. P. T., Thompson, S. G. & Spiegelhalter, D. J. (2009). J. R. Stat. Soc. A 172, 137-159 (prediction interval, k - 2
    df). The tests hold it against statsmodels'
    `combine_effects(method_re="iterated")`, which stops after fewer digits.
    """
    values, errors = _checked(effects, standard_errors)
    without = tuple(
        _random_effects(np.delete(values, place), np.delete(errors, place)).mean
        for place in range(len(values) if len(values) > 2 else 0)
    )
    found = _random_effects(values, errors)
    # servers that agree better than their errors allow are luck: their mean is no surer than the errors say
    half = max(t_quantile(found.df, confidence) * found.by_servers, t_quantile(NORMAL, confidence) * found.expected)
    method = "Paule-Mandel, Hartung-Knapp t over servers, not narrower than the servers' errors make it"
    return _summary(found, half, max(found.by_servers, found.expected), confidence, method, without)


def synthesise_groups(
    effects: ArrayLike, standard_errors: ArrayLike, groups: Sequence[str], confidence: float
) -> RandomEffects:
    """As `synthesise`, of many servers of which those of a group share a part of their errors.

    Servers of one node that are held against the same controls err together. The interval is not narrower than that of
    the sums over groups; with fewer than `FEWEST_GROUPS` groups those say nothing, and it is that of `synthesise`.

    Parameters
    ----------
    groups : sequence of str
        Of each server, such as its node.

    References
    ----------
    Hedges, L. V., Tipton, E. & Johnson, M. C. (2010). Robust variance estimation in meta-regression with dependent
    effect size estimates. Res. Synth. Methods 1, 39-65.
    """
    values, errors = _checked(effects, standard_errors)
    found = _random_effects(values, errors)
    half = max(t_quantile(found.df, confidence) * found.by_servers, t_quantile(NORMAL, confidence) * found.expected)
    error, df = max(found.by_servers, found.expected), found.df
    _, group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    count = int(group.max()) + 1
    if count >= FEWEST_GROUPS:
        weights = 1 / (errors * errors + found.tau * found.tau)
        sums: Array = np.bincount(group, weights * (values - found.mean), count).astype(np.float64)
        together = math.sqrt(count / (count - 1) * product_sum(sums, sums)) / total(weights)
        half, error = max(half, t_quantile(count - 1, confidence) * together), max(error, together)
        df = float(count - 1) if error == together else df
    method = "Paule-Mandel, t over servers or over groups of them, whichever is wider"
    return _summary(replace(found, df=df), half, error, confidence, method, ())


@dataclass(frozen=True)
class _Centre:
    """A mean over servers, its standard errors by their scatter and by their errors, and how much they differ."""

    tau: float
    mean: float
    by_servers: float
    expected: float
    q: float
    count: int
    df: float


def _summary(
    found: _Centre, half: float, error: float, confidence: float, method: str, without: tuple[float, ...]
) -> RandomEffects:
    mean, count = found.mean, found.count
    centre = Interval(mean, mean - half, mean + half, confidence, count, found.df, method)
    prediction = None
    if count > 2:
        reach = t_quantile(count - 2, confidence) * math.sqrt(found.tau * found.tau + error * error)
        prediction = Interval(
            mean, mean - reach, mean + reach, confidence, count, float(count - 2), "prediction for a further server"
        )
    i2 = max(0.0, (found.q - (count - 1)) / found.q) if found.q > 0 else 0.0
    return RandomEffects(centre, found.tau, found.q, i2, prediction, without)


def _checked(effects: ArrayLike, errors: ArrayLike) -> tuple[Array, Array]:
    values, spreads = np.asarray(effects, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or values.shape != spreads.shape:
        raise DataError(
            N_("{effects} effects and {errors} standard errors; expected one of each a server"),
            effects=values.shape,
            errors=spreads.shape,
        )
    if len(values) < 2:
        raise DataError(N_("{count} server: a synthesis needs at least two"), count=len(values))
    wrong = np.flatnonzero(~np.isfinite(values) | ~np.isfinite(spreads) | ~(spreads > 0))
    if len(wrong):
        place = int(wrong[0])
        raise DataError(
            N_(
                "server {place}: effect {effect:g} with standard error {error:g}; expected finite numbers "
                "and an error above 0"
            ),
            place=place,
            effect=values[place],
            error=spreads[place],
        )
    return values, spreads


def _random_effects(values: Array, errors: Array) -> _Centre:
    """Mean over servers by Paule and Mandel; `by_servers` is its error by Hartung and Knapp."""
    # in units of the errors, so that bytes squared do not spoil the iteration
    scale = float(np.median(errors))
    effects, variances = values / scale, (errors / scale) * (errors / scale)
    expected, tau2 = len(values) - 1, 0.0
    mean, weights, found = _weighted(effects, variances, tau2)
    q = product_sum(weights, found)
    # Newton's rule from zero goes up to the root and never beyond: the sum of squares is convex in tau2
    for _ in range(200):
        excess = product_sum(weights, found) - expected
        if excess <= 0:
            break
        step = excess / product_sum(weights * weights, found)
        if step <= CONVERGED * (tau2 + float(variances.min())):
            break
        tau2 += step
        mean, weights, found = _weighted(effects, variances, tau2)
    spread = product_sum(weights, found) / expected
    return _Centre(
        tau=math.sqrt(tau2 * (scale * scale)),
        mean=mean * scale,
        by_servers=math.sqrt(spread / total(weights)) * scale,
        expected=math.sqrt(1 / total(weights)) * scale,
        q=q,
        count=len(values),
        df=float(expected),
    )


def _weighted(effects: Array, variances: Array, tau2: float) -> tuple[float, Array, Array]:
    """Mean under a variance between servers, every server's weight in it, and its squared distance from it."""
    weights = 1 / (variances + tau2)
    mean = product_sum(weights, effects) / total(weights)
    return mean, weights, (effects - mean) * (effects - mean)


def false_discoveries(p_values: Sequence[float], rate: float) -> list[bool]:
    """Which of many effects are shown, if the share of false ones among those shown may be `rate` at most.

    Parameters
    ----------
    p_values : sequence of float
        Two-sided, one an effect.
    rate : float
        Such as 0.05.

    Raises
    ------
    DataError
        If a p value is outside 0 to 1, or the rate is not between them.

    References
    ----------
    Benjamini, Y. & Hochberg, Y. (1995). J. R. Stat. Soc. B 57, 289-300; statsmodels `multipletests`.
    """
    wrong = [value for value in p_values if not 0 <= value <= 1]
    if wrong or not 0 < rate < 1:
        raise DataError(
            N_("p value {value} or rate {rate:g}: expected numbers between 0 and 1"),
            value=wrong[0] if wrong else "",
            rate=rate,
        )
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [bool(shown) for shown in multipletests(p_values, alpha=rate, method="fdr_bh")[0]]


def false_discoveries_within(p_values: Sequence[float], families: Sequence[Hashable], rate: float) -> list[bool]:
    """Which of many effects are shown, so that the share of false ones is `rate` at most within each family too.

    Over everything together, effects that are found easily let the others through (docs/fleet.md measures it on a
    simulated fleet).

    Parameters
    ----------
    p_values : sequence of float
        Two-sided, one an effect.
    families : sequence of hashable
        Of each effect: what is looked at by itself. Where every effect is a family this is `false_discoveries`.
    rate : float
        Such as 0.05. On average over the families in which something is shown.

    Raises
    ------
    DataError
        As `false_discoveries`.

    References
    ----------
    Benjamini, Y. & Bogomolov, M. (2014). Selective inference on multiple families of hypotheses. J. R. Stat. Soc. B 76,
    297-318. A family's own p value is that of Simes, R. J. (1986). Biometrika 73, 751-754. Why families: Efron, B.
    (2008). Simultaneous inference: when should hypothesis testing problems be combined? Ann. Appl. Stat. 2, 197-223.
    """
    members: dict[Hashable, list[int]] = {}
    for place, family in enumerate(families):
        members.setdefault(family, []).append(place)
    of_family = [[p_values[place] for place in places] for places in members.values()]
    selected = false_discoveries([_simes(found) for found in of_family], rate)
    shown = [False] * len(p_values)
    for places, found, chosen in zip(members.values(), of_family, selected, strict=True):
        if chosen:
            for place, discovery in zip(
                places, false_discoveries(found, rate * selected.count(True) / len(members)), strict=True
            ):
                shown[place] = discovery
    return shown


def _simes(p_values: Sequence[float]) -> float:
    """How likely so small p values are where no effect is true."""
    return min(p * len(p_values) / rank for rank, p in enumerate(sorted(p_values), start=1))
